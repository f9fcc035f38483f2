#include "remoting/client/globals.h"

#include <mutex>

namespace mignificient::client {

void GlobalVariables::Insert(uint64_t owner, Extent extent) {
  if (extent.address == 0 || extent.bytes == 0) return;
  const std::lock_guard lock(lock_);
  variables_.insert_or_assign(extent.address, Variable{extent.bytes, owner});
}

std::optional<Extent> GlobalVariables::Find(uint64_t address) const {
  const std::shared_lock lock(lock_);
  auto it = variables_.upper_bound(address);
  if (it == variables_.begin()) return std::nullopt;
  --it;
  if (address - it->first >= it->second.bytes) return std::nullopt;
  return Extent{it->first, it->second.bytes};
}

void GlobalVariables::ForgetOf(uint64_t owner) {
  const std::lock_guard lock(lock_);
  std::erase_if(variables_, [owner](const auto& entry) { return entry.second.owner == owner; });
}

GlobalVariables& TheGlobals() {
  static GlobalVariables& globals = *new GlobalVariables;
  return globals;
}

}  // namespace mignificient::client
