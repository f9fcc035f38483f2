// mov, and packing and unpacking of vectors into one register.
#include "driver/cpu/exec/ops/lanes.h"

namespace mignificient::cpu::MIG_ISA {
namespace {

uint64_t Get(Warp& w, uint32_t row, bool wide, int l) {
  return wide ? w.Row<uint64_t>(row)[l] : w.Row<uint32_t>(row)[l];
}
void Set(Warp& w, uint32_t row, bool wide, int l, uint64_t value) {
  if (wide)
    w.Row<uint64_t>(row)[l] = value;
  else
    w.Row<uint32_t>(row)[l] = static_cast<uint32_t>(value);
}

// d (y: 1 wide, 2 of 128 bits) from the rows of extra, x bits each, lowest first.
const Inst* Gather(Warp& w, const Inst* i, uint32_t m) {
  const auto& rows = i->extra->rows;
  for (uint32_t rest = m; rest; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    unsigned __int128 value = 0;
    for (size_t k = 0; k < rows.size(); ++k) {
      uint64_t item = Get(w, rows[k], i->extra->wide[k], l);
      if (i->x < 64) item &= (uint64_t{1} << i->x) - 1;
      value |= static_cast<unsigned __int128>(item) << (i->x * k);
    }
    Set(w, i->d, i->y != 0, l, static_cast<uint64_t>(value));
    if (i->y == 2) Set(w, i->d + 256, true, l, static_cast<uint64_t>(value >> 64));
  }
  return i + 1;
}

// The rows of extra (0: dropped) from a.
const Inst* Scatter(Warp& w, const Inst* i, uint32_t m) {
  const auto& rows = i->extra->rows;
  for (uint32_t rest = m; rest; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    unsigned __int128 value = Get(w, i->a, i->y != 0, l);
    if (i->y == 2) value |= static_cast<unsigned __int128>(Get(w, i->a + 256, true, l)) << 64;
    for (size_t k = 0; k < rows.size(); ++k) {
      auto item = static_cast<uint64_t>(value >> (i->x * k));
      if (i->x < 64) item &= (uint64_t{1} << i->x) - 1;
      if (rows[k] != 0) Set(w, rows[k], i->extra->wide[k], l, item);
    }
  }
  return i + 1;
}

// Of 64 bits and two registers of 32, as nvcc writes around every 64-bit shuffle.
const Inst* GatherPair(Warp& w, const Inst* i, uint32_t m) {
  const uint32_t* low = w.Row<uint32_t>(i->b);
  const uint32_t* high = w.Row<uint32_t>(i->c);
  uint64_t* d = w.Row<uint64_t>(i->d);
#pragma GCC ivdep
  for (int l = 0; l < 32; ++l) d[l] = (m >> l) & 1 ? uint64_t{high[l]} << 32 | low[l] : d[l];
  return i + 1;
}
const Inst* ScatterPair(Warp& w, const Inst* i, uint32_t m) {
  const uint64_t* a = w.Row<uint64_t>(i->a);
  uint32_t* low = w.Row<uint32_t>(i->d);
  uint32_t* high = w.Row<uint32_t>(i->d2);
#pragma GCC ivdep
  for (int l = 0; l < 32; ++l) {
    low[l] = (m >> l) & 1 ? static_cast<uint32_t>(a[l]) : low[l];
    high[l] = (m >> l) & 1 ? static_cast<uint32_t>(a[l] >> 32) : high[l];
  }
  return i + 1;
}

const Inst* Nothing(Warp&, const Inst* i, uint32_t) {
  return i + 1;
}

}  // namespace

Handler FindMove(const Spec& s) {
  if (s.op == "nop") return Nothing;
  if (s.op == "pack") return Gather;
  if (s.op == "unpack") return Scatter;
  if (s.op == "pack.pair") return GatherPair;
  if (s.op == "unpack.pair") return ScatterPair;
  if (s.op == "widen.s") return Map<[](int32_t a) { return static_cast<int64_t>(a); }, int64_t, int32_t>;
  if (s.op == "widen.u") return Map<[](uint32_t a) { return static_cast<uint64_t>(a); }, uint64_t, uint32_t>;
  if (s.op == "narrow") return Map<[](uint64_t a) { return static_cast<uint32_t>(a); }, uint32_t, uint64_t>;
  if (s.op == "add.base") {  // a generic address from an offset in a window, and back
    return Map<[](uint64_t a, uint64_t b) { return a + b; }, uint64_t, uint64_t, uint64_t>;
  }
  if (s.op == "mov") {
    if (ptx::SizeOf(s.type) == 8) return Map<[](uint64_t a) { return a; }, uint64_t, uint64_t>;
    return Map<[](uint32_t a) { return a; }, uint32_t, uint32_t>;
  }
  if (s.op == "local.base") {  // the address of a local: imm from this frame's first
    return [](Warp& w, const Inst* i, uint32_t m) -> const Inst* {
      for (uint32_t rest = m; rest; rest &= rest - 1) {
        w.Row<uint64_t>(i->d)[std::countr_zero(rest)] = w.Word(kLocalBase) + static_cast<uint64_t>(i->imm);
      }
      return i + 1;
    };
  }
  return nullptr;
}

}  // namespace mignificient::cpu::MIG_ISA
