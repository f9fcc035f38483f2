#include "driver/cpu/exec/memory_map.h"

#include <algorithm>

namespace mignificient::cpu {

std::shared_ptr<const MemoryMap> MemoryMap::Of(std::vector<Extent> extents, bool join) {
  std::erase_if(extents, [](const Extent& e) { return e.begin >= e.end; });
  std::ranges::sort(extents, {}, &Extent::begin);
  auto map = std::make_shared<MemoryMap>();
  for (const Extent& extent : extents) {
    auto& out = map->extents_;
    if (join && !out.empty() && extent.begin <= out.back().end)
      out.back().end = std::max(out.back().end, extent.end);
    else
      out.push_back(extent);
  }
  return map;
}

const MemoryMap::Extent* MemoryMap::Find(uint64_t address) const {
  auto after = std::ranges::upper_bound(extents_, address, {}, &Extent::begin);
  if (after == extents_.begin()) return nullptr;
  --after;
  return address < after->end ? &*after : nullptr;
}

}  // namespace mignificient::cpu
