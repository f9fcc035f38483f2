// Waiting for the other lanes of a warp-level operation.
#pragma once

#include <algorithm>

#include "driver/cpu/exec/ops/lanes.h"

namespace mignificient::cpu::MIG_ISA {

// True when every live lane of `need` is here; lanes that waited at this instruction join `m` and the
// running lanes. Otherwise the lanes of `m` wait here, the others go on behind: continue with Pick().
inline bool Converge(Warp& w, const Inst* i, uint32_t& m, uint32_t need) {
  need &= w.live;
  if ((m & need) == need) return true;
  const uint32_t frame = w.FrameOffset();
  for (size_t k = 0; k < w.others.size();) {
    Split& split = w.others[k];
    if (split.state == Split::State::kSync && split.pc == i && split.frame == frame) {
      m |= split.mask;
      w.active |= split.mask;
      w.others.Remove(k);
    } else {
      ++k;
    }
  }
  if ((m & need) == need || w.force_sync) {
    w.force_sync = false;
    return true;
  }
  w.others.push_back({m, frame, i, Split::State::kSync, 0, w.turn});
  if (const uint32_t rest = w.active & ~m) w.others.push_back({rest, frame, i + 1, Split::State::kReady, 0, w.turn});
  return false;
}

}  // namespace mignificient::cpu::MIG_ISA
