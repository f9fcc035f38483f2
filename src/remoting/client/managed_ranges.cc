#include "remoting/client/managed_ranges.h"

#include <utility>

namespace mignificient::client {
namespace {

bool Same(const CUmemLocation& one, const CUmemLocation& other) {
  return one.type == other.type && one.id == other.id;
}

}  // namespace

void ManagedRanges::Split(uint64_t address) {
  auto it = stretches_.lower_bound(address);
  if (it == stretches_.begin()) return;
  --it;
  if (it->first >= address || it->second.end <= address) return;
  const Stretch rest = it->second;
  it->second.end = address;
  stretches_.emplace(address, rest);
}

void ManagedRanges::Forget(Extent range) {
  Split(range.address);
  Split(range.address + range.bytes);
  stretches_.erase(stretches_.lower_bound(range.address), stretches_.lower_bound(range.address + range.bytes));
}

RangeState ManagedRanges::Common(Extent range) const {
  const uint64_t end = range.address + range.bytes;
  auto it = stretches_.upper_bound(range.address);
  if (it != stretches_.begin()) --it;
  RangeState common;
  bool first = true;
  uint64_t at = range.address;
  const auto add = [&](const RangeState& state) {
    if (std::exchange(first, false)) {
      common = state;
      return;
    }
    common.read_mostly = common.read_mostly && state.read_mostly;
    common.accessed_by_device = common.accessed_by_device && state.accessed_by_device;
    common.accessed_by_host = common.accessed_by_host && state.accessed_by_host;
    if (!Same(common.preferred, state.preferred)) common.preferred = {kNowhere, 0};
    if (!Same(common.prefetched, state.prefetched)) common.prefetched = {kNowhere, 0};
  };
  for (; it != stretches_.end() && it->first < end; ++it) {
    if (it->second.end <= at) continue;
    if (it->first > at) add({});
    add(it->second.state);
    at = it->second.end;
  }
  if (at < end) add({});
  return common;
}

}  // namespace mignificient::client
