// Branches, calls, barriers, ends, and the loop that runs it all.
#include <thread>

#include "driver/cpu/exec/builtin.h"
#include "driver/cpu/exec/ops/converge.h"

namespace mignificient::cpu::MIG_ISA {
namespace {

// Continues at `pc` of the current frame, together with the lanes that wait there, unless lanes wait that are behind:
// then those run until they catch up.
const Inst* Meet(Warp& w, const Inst* pc) {
  const uint32_t frame = w.FrameOffset();
  for (size_t k = 0; k < w.others.size();) {
    const Split& split = w.others[k];
    if (split.state == Split::State::kReady) {
      if (split.frame > frame || (split.frame == frame && split.pc < pc)) return w.Switch(pc);
      if (split.frame == frame && split.pc == pc) {
        w.active |= split.mask;
        w.others.Remove(k);
        continue;
      }
    }
    ++k;
  }
  return pc;
}

[[gnu::always_inline]] inline const Inst* GoOn(Warp& w, const Inst* pc) {
  if (w.others.empty()) [[likely]]
    return pc;
  return Meet(w, pc);
}

// Continues at `target` with all running lanes. A branch is where turns end.
[[gnu::always_inline]] inline const Inst* Jump(Warp& w, const Inst* target) {
  if (--w.budget <= 0) [[unlikely]]
    return w.Yield(target);
  return GoOn(w, target);
}

const Inst* Branch(Warp& w, const Inst* i, uint32_t) {
  return Jump(w, i + i->imm);
}

// Taken by the lanes whose predicate a, flipped by x, is true. Not guarded: all running lanes decide here.
const Inst* BranchIf(Warp& w, const Inst* i, uint32_t m) {
  const uint32_t taken = m & (w.Word(i->a) ^ i->x);
  const Inst* target = i + i->imm;
  if (taken == 0) return GoOn(w, i + 1);
  if (taken == m) return Jump(w, target);
  // Those who are ahead wait.
  const bool forward = target > i;
  w.Wait(forward ? taken : m & ~taken, forward ? target : i + 1);
  w.active = forward ? m & ~taken : taken;
  return Jump(w, forward ? i + 1 : target);
}

// At every label: lanes that wait here join. Branches lead behind it.
const Inst* Join(Warp& w, const Inst* i, uint32_t) {
  return GoOn(w, i + 1);
}

const Inst* BranchIndexed(Warp& w, const Inst* i, uint32_t m) {
  const uint32_t frame = w.FrameOffset();
  for (uint32_t rest = m; rest; rest &= rest - 1) {
    const uint32_t l = static_cast<uint32_t>(std::countr_zero(rest));
    const uint32_t index = w.Row<uint32_t>(i->a)[l];
    if (index >= i->extra->targets.size()) {
      return w.Fault(i, LaunchStatus::kIllegalInstruction, l, "branches outside its table");
    }
    w.others.push_back({1u << l, frame, i->extra->targets[index], Split::State::kReady, 0, w.turn});
  }
  if (const uint32_t rest = w.active & ~m) w.others.push_back({rest, frame, i + 1, Split::State::kReady, 0, w.turn});
  w.active = 0;
  return w.Pick();
}

// Moves the lanes of `m` into a new frame of `callee`.
bool Enter(Warp& w, const Inst* i, const Function& callee, uint32_t m) {
  uint32_t base = w.Word(kFrameEnd);
  for (const Split& split : w.others) {
    base = std::max(base, *reinterpret_cast<uint32_t*>(w.regs + split.frame + kFrameEnd));
  }
  const uint32_t caller = w.FrameOffset();
  const uint32_t here = w.Word(kLocalBase);
  const auto* function = *w.Row<const Function*>(kFrameFunction);
  const uint32_t local = here + ((function->local_bytes + 15) & ~15u);  // as aligned as any variable may ask
  const uint32_t lane = static_cast<uint32_t>(std::countr_zero(m));
  if (base + callee.frame_bytes > kMaxFrameBytes || local + callee.local_bytes > w.local_stride) {
    w.Fault(i, LaunchStatus::kStackOverflow, lane, fmt::format("overflows its stack calling [{}]", callee.name));
    return false;
  }
  w.Reserve(base + callee.frame_bytes);
  w.Enter(callee, base, m, i, caller, local);
  const char* from = w.regs + caller;
  char* to = w.regs + base;
  for (size_t k = 0; k < callee.parameters.size() && k < i->extra->arguments.size(); ++k) {
    const ParamBlock& source = i->extra->arguments[k];
    const ParamBlock& target = callee.parameters[k];
    for (uint32_t rest = m; rest; rest &= rest - 1) {
      const uint32_t l = static_cast<uint32_t>(std::countr_zero(rest));
      std::memcpy(to + target.offset + l * target.stride, from + source.offset + l * source.stride,
                  std::min(source.size, target.size));
    }
  }
  w.others.push_back({m, base, callee.code.data(), Split::State::kReady, 0, w.turn});
  return true;
}

const Inst* Call(Warp& w, const Inst* i, uint32_t m) {
  if (i->extra->builtin != Builtin::kNone) return CallBuiltin(w, i, m) ? i + 1 : nullptr;
  const uint32_t frame = w.FrameOffset();
  const uint32_t stay = w.active & ~m;
  if (i->extra->callee != nullptr) {
    if (!Enter(w, i, *i->extra->callee, m)) return nullptr;
  } else {
    const auto& table = w.block->grid->code->table;
    for (uint32_t rest = m; rest != 0;) {
      const uint32_t l = static_cast<uint32_t>(std::countr_zero(rest));
      const uint64_t address = w.Row<uint64_t>(i->a)[l];
      const uint64_t index = (address - kFunctionWindow) / 16;
      if (address < kFunctionWindow || address % 16 != 0 || index >= table.size() || table[index] == nullptr) {
        return w.Fault(i, LaunchStatus::kIllegalInstruction, l,
                       fmt::format("calls 0x{:x}, which is no function", address));
      }
      uint32_t same = 0;
      for (uint32_t k = 0; k < 32; ++k) same |= static_cast<uint32_t>(w.Row<uint64_t>(i->a)[k] == address) << k;
      if (!Enter(w, i, *table[index], same & rest)) return nullptr;
      rest &= ~same;
    }
  }
  if (stay) w.others.push_back({stay, frame, i + 1, Split::State::kReady, 0, w.turn});
  w.active = 0;
  if (--w.budget <= 0) return w.Yield(nullptr);
  return w.Pick();
}

const Inst* Exit(Warp& w, const Inst* i, uint32_t m) {
  w.active &= ~m;
  w.live &= ~m;
  w.block->Exit(w, m);
  if (w.active != 0) return i + 1;
  return w.Pick();
}

const Inst* Return(Warp& w, const Inst* i, uint32_t m) {
  const Inst* call = *w.Row<const Inst*>(kReturnTo);
  if (call == nullptr) return Exit(w, i, m);
  const auto* function = *w.Row<const Function*>(kFrameFunction);
  const uint32_t caller = w.Word(kCallerFrame);
  const uint32_t frame = w.FrameOffset();
  for (size_t k = 0; k < function->results.size() && k < call->extra->returns.size(); ++k) {
    const ParamBlock& source = function->results[k];
    const ParamBlock& target = call->extra->returns[k];
    for (uint32_t rest = m; rest; rest &= rest - 1) {
      const uint32_t l = static_cast<uint32_t>(std::countr_zero(rest));
      std::memcpy(w.regs + caller + target.offset + l * target.stride, w.frame + source.offset + l * source.stride,
                  std::min(source.size, target.size));
    }
  }
  if (m == w.active && w.others.empty()) {
    w.frame = w.regs + caller;
    return call + 1;
  }
  w.others.push_back({m, caller, call + 1, Split::State::kReady, 0, w.turn});
  if (const uint32_t rest = w.active & ~m) w.others.push_back({rest, frame, i + 1, Split::State::kReady, 0, w.turn});
  w.active = 0;
  return w.Pick();
}

// a: id row, b: thread count row or 0, e and y: predicate; x: 0 sync, 1 arrive, 2.. red.
const Inst* BarrierOf(Warp& w, const Inst* i, uint32_t m) {
  const uint32_t l = static_cast<uint32_t>(std::countr_zero(m));
  const uint32_t id = w.Row<uint32_t>(i->a)[l];
  const uint32_t count = i->b ? w.Row<uint32_t>(i->b)[l] : 0;
  if (id >= 16) return w.Fault(i, LaunchStatus::kIllegalInstruction, l, fmt::format("uses barrier {} (limit 15)", id));
  const uint32_t predicate = i->x >= 2 ? w.Word(i->e) ^ i->y : 0;
  if (i->x == 1) {
    w.block->Arrive(w, id, count, m, predicate);
    w.block->Check(id);
    return i + 1;
  }
  const uint32_t frame = w.FrameOffset();
  w.others.push_back({m, frame, i + 1, Split::State::kBarrier, static_cast<uint8_t>(id), w.turn});
  if (const uint32_t rest = w.active & ~m) w.others.push_back({rest, frame, i + 1, Split::State::kReady, 0, w.turn});
  w.active = 0;
  w.block->Arrive(w, id, count, m, predicate);
  w.block->Check(id);
  return w.Pick();
}

const Inst* WarpSync(Warp& w, const Inst* i, uint32_t m) {
  if (!Converge(w, i, m, w.Row<uint32_t>(i->e)[std::countr_zero(m)])) return w.Pick();
  return i + 1;
}

const Inst* Trap(Warp& w, const Inst* i, uint32_t m) {
  return w.Fault(i, LaunchStatus::kTrap, static_cast<uint32_t>(std::countr_zero(m)), "executes a trap");
}

const Inst* Fence(Warp&, const Inst* i, uint32_t) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return i + 1;
}

const Inst* Sleep(Warp& w, const Inst* i, uint32_t) {
  w.budget -= kQuantum / 8;
  std::this_thread::yield();
  return Jump(w, i + 1);
}

}  // namespace

Handler FindControl(const Spec& s) {
  if (s.op == "bra") return Branch;
  if (s.op == "bra.if") return BranchIf;
  if (s.op == "join") return Join;
  if (s.op == "brx.idx") return BranchIndexed;
  if (s.op == "call") return Call;
  if (s.op == "ret") return Return;
  if (s.op == "exit") return Exit;
  if (s.op == "bar") return BarrierOf;
  if (s.op == "bar.warp") return WarpSync;
  if (s.op == "trap") return Trap;
  if (s.op == "fence") return Fence;
  if (s.op == "nanosleep") return Sleep;
  return nullptr;
}

void Run(Warp& w, const Inst* pc) {
  while (pc != nullptr) {
    const uint32_t mask = w.active & (w.Word(pc->guard) ^ pc->guard_flip);
    pc = mask != 0 ? pc->run(w, pc, mask) : pc + 1;
  }
}

extern const Operations kOperations;
const Operations kOperations = {FindInteger, FindCompare, FindFloat, FindHalf,    FindConvert, FindMove,
                                FindMemory,  FindAtomic,  FindLanes, FindControl, Run,         ""};

}  // namespace mignificient::cpu::MIG_ISA
