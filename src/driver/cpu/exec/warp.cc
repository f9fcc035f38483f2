#include "driver/cpu/exec/warp.h"

#include <algorithm>

namespace mignificient::cpu {

void Warp::Reserve(uint32_t bytes) {
  if (bytes <= regs_bytes) return;
  const uint32_t size = std::max(bytes, regs_bytes * 2);
  const uint32_t offset = regs_bytes ? FrameOffset() : 0;
  std::vector<char> grown(size + 64);
  char* aligned = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(grown.data()) + 63) & ~uintptr_t{63});
  if (regs_bytes) std::memcpy(aligned, regs, regs_bytes);
  regs_storage = std::move(grown);
  regs = aligned;
  regs_bytes = size;
  frame = regs + offset;
}

void Warp::Enter(const Function& function, uint32_t offset, uint32_t, const Inst* call, uint32_t caller,
                 uint32_t local_base) {
  char* base = regs + offset;
  const auto put = [base](uint32_t at, auto value) { std::memcpy(base + at, &value, sizeof value); };
  put(kTrueWord, ~0u);
  put(kCarryWord, 0u);
  put(kCallerFrame, caller);
  put(kLocalBase, local_base);
  put(kReturnTo, call);
  put(kFrameEnd, offset + function.frame_bytes);
  put(kFrameFunction, &function);
  for (const Constant& constant : function.constants) {
    uint64_t bits = constant.bits;
    if (constant.global >= 0) bits += block->grid->code->program->BoundAddress(static_cast<size_t>(constant.global));
    char* row = base + constant.offset;
    for (int lane = 0; lane < 32; ++lane) {
      if (constant.wide)
        std::memcpy(row + 8 * lane, &bits, 8);
      else
        std::memcpy(row + 4 * lane, &bits, 4);
    }
  }
}

void Warp::Wait(uint32_t mask, const Inst* pc) {
  const uint32_t here = FrameOffset();
  for (Split& split : others) {
    if (split.pc != pc || split.frame != here || split.state != Split::State::kReady) continue;
    split.mask |= mask;
    split.ran = turn;
    return;
  }
  others.push_back({mask, here, pc, Split::State::kReady, 0, turn});
}

const Inst* Warp::Switch(const Inst* pc) {
  if (active != 0) others.push_back({active, FrameOffset(), pc, Split::State::kReady, 0, turn});
  active = 0;
  return Pick();
}

namespace {

// Lanes at the same place become one split again.
void Merge(Splits& splits) {
  for (size_t i = 0; i < splits.size(); ++i) {
    for (size_t k = i + 1; k < splits.size();) {
      const Split& a = splits[i];
      const Split& b = splits[k];
      if (a.pc == b.pc && a.frame == b.frame && a.state == Split::State::kReady && b.state == Split::State::kReady) {
        splits[i].mask |= b.mask;
        splits[i].ran = std::max(a.ran, b.ran);
        splits.Remove(k);
      } else {
        ++k;
      }
    }
  }
}

}  // namespace

// The deepest frame first, then the smallest pc: lanes behind catch up with lanes ahead, which is where
// they meet again. The first pick of a turn is the one that waited longest, so nobody starves.
const Inst* Warp::Pick() {
  Merge(others);
  size_t best = others.size();
  for (size_t k = 0; k < others.size(); ++k) {
    const Split& split = others[k];
    if (split.state != Split::State::kReady) continue;
    if (best == others.size()) best = k;
    const Split& leader = others[best];
    const bool first_of_turn = budget == kQuantum;
    if (first_of_turn ? split.ran < leader.ran
                      : split.frame > leader.frame || (split.frame == leader.frame && split.pc < leader.pc)) {
      best = k;
    }
  }
  if (best == others.size()) {
    // Everyone waits for lanes of this warp that are elsewhere: let the first go on without them.
    const bool all_sync =
        !others.empty() && std::ranges::all_of(others, [](const Split& s) { return s.state == Split::State::kSync; });
    if (!all_sync) {
      active = 0;
      return nullptr;
    }
    best = 0;
    force_sync = true;
  }
  const Split chosen = others[best];
  others.Remove(best);
  active = chosen.mask;
  frame = regs + chosen.frame;
  return chosen.pc;
}

const Inst* Warp::Yield(const Inst* pc) {
  if (active != 0) others.push_back({active, FrameOffset(), pc, Split::State::kReady, 0, turn});
  active = 0;
  return nullptr;
}

const Inst* Warp::Fault(const Inst* at, LaunchStatus status, uint32_t lane, std::string what) {
  Grid& grid = *block->grid;
  faulted = true;
  grid.stop.store(true, std::memory_order_relaxed);
  int line = 0;
  for (const Function* function : grid.code->functions) {
    const auto* begin = function->code.data();
    if (std::less_equal<>()(begin, at) && std::less<>()(at, begin + function->code.size()))
      line = function->lines[at - begin];
  }
  const Dim3& n = grid.launch->block;
  const uint32_t thread = index * 32 + lane;
  const std::lock_guard lock(grid.mutex);
  if (grid.result.status != LaunchStatus::kOk) return nullptr;
  grid.result.status = status;
  grid.result.message = fmt::format("Kernel [{}] {} (thread ({},{},{}) of block ({},{},{}), PTX line {}).",
                                    grid.launch->kernel->name(), what, thread % n.x, thread / n.x % n.y,
                                    thread / (n.x * n.y), block->index.x, block->index.y, block->index.z, line);
  return nullptr;
}

bool FaultIllegal(Warp& warp, const Inst* at, uint32_t lane, uint32_t bytes, uint64_t address, bool write) {
  warp.Fault(at, LaunchStatus::kIllegalAddress, lane,
             fmt::format("{} {} bytes at illegal address 0x{:x}", write ? "writes" : "reads", bytes, address));
  return false;
}

bool FaultMisaligned(Warp& warp, const Inst* at, uint32_t lane, uint32_t bytes, uint64_t address, bool write) {
  warp.Fault(at, LaunchStatus::kMisaligned, lane,
             fmt::format("{} {} bytes at misaligned address 0x{:x}", write ? "writes" : "reads", bytes, address));
  return false;
}

bool Block::Reach(uint64_t address, uint64_t bytes) {
  const auto& map = grid->launch->memory;
  const auto* extent = map == nullptr ? nullptr : map->Find(address);
  if (extent == nullptr || bytes > extent->end - address) return false;
  if (extent->end >= 4096) recent[replaced = (replaced + 1) % recent.size()] = *extent;  // `end - bytes` does not wrap
  return true;
}

void Block::Arrive(Warp& warp, uint32_t id, uint32_t expected, uint32_t mask, uint32_t predicate) {
  Barrier& barrier = barriers[id];
  // Hardware counts warps: a count covers the lanes a warp never had or that have exited.
  barrier.arrived += expected != 0 && mask == warp.live ? 32 : static_cast<uint32_t>(std::popcount(mask));
  barrier.expected = expected;
  barrier.ones += static_cast<uint32_t>(std::popcount(mask & predicate));
  barrier.voted += static_cast<uint32_t>(std::popcount(mask));
}

void Block::Check(uint32_t id) {
  const Barrier& barrier = barriers[id];
  if (barrier.arrived == 0) return;
  if (barrier.arrived >= (barrier.expected ? barrier.expected : live)) Release(id);
}

void Block::Release(uint32_t id) {
  const Barrier barrier = barriers[id];
  barriers[id] = {};
  for (Warp& warp : warps) {
    for (Split& split : warp.others) {
      if (split.state != Split::State::kBarrier || split.barrier != id) continue;
      split.state = Split::State::kReady;
      const Inst* at = split.pc - 1;
      if (at->x < 2) continue;
      char* base = warp.regs + split.frame;
      if (at->x == 2) {
        auto* d = reinterpret_cast<uint32_t*>(base + at->d);
        for (int l = 0; l < 32; ++l) d[l] = (split.mask >> l) & 1 ? barrier.ones : d[l];
      } else {
        const bool r = at->x == 3 ? barrier.ones == barrier.voted : barrier.ones != 0;
        auto& word = *reinterpret_cast<uint32_t*>(base + at->d);
        word = (word & ~split.mask) | (r ? split.mask : 0);
      }
    }
  }
}

void Block::Exit(Warp&, uint32_t mask) {
  live -= static_cast<uint32_t>(std::popcount(mask));
  for (uint32_t id = 0; id < barriers.size(); ++id) Check(id);
}

}  // namespace mignificient::cpu
