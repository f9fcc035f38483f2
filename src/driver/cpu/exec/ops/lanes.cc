// Operations between the lanes of a warp, and the special registers.
#include <chrono>

#include "driver/cpu/exec/ops/converge.h"

namespace mignificient::cpu::MIG_ISA {
namespace {

using ptx::Type;

enum class Shuffle { kUp, kDown, kButterfly, kIndex };

// a: value, b: lane, c: clamp and segment, e: member mask (x says whether there is one); d2: in range.
template <Shuffle kind>
const Inst* Shfl(Warp& w, const Inst* i, uint32_t m) {
  if (!Converge(w, i, m, i->x ? w.Row<uint32_t>(i->e)[std::countr_zero(m)] : m)) return w.Pick();
  uint32_t values[32], from[32], bits = 0;
  std::memcpy(values, w.Row<uint32_t>(i->a), sizeof values);
  const uint32_t* b = w.Row<uint32_t>(i->b);
  const uint32_t* c = w.Row<uint32_t>(i->c);
  for (uint32_t l = 0; l < 32; ++l) {
    const uint32_t segment = (c[l] >> 8) & 31, by = b[l] & 31;
    const uint32_t last = (l & segment) | (c[l] & 31 & ~segment);
    uint32_t j;
    bool in;
    if constexpr (kind == Shuffle::kUp) j = l - by, in = static_cast<int32_t>(j) >= static_cast<int32_t>(last);
    if constexpr (kind == Shuffle::kDown) j = l + by, in = j <= last;
    if constexpr (kind == Shuffle::kButterfly) j = l ^ by, in = j <= last;
    if constexpr (kind == Shuffle::kIndex) j = (l & segment) | (by & ~segment), in = j <= last;
    from[l] = in ? j & 31 : l;
    bits |= static_cast<uint32_t>(in) << l;
  }
  uint32_t* d = w.Row<uint32_t>(i->d);
  for (int l = 0; l < 32; ++l) d[l] = (m >> l) & 1 ? values[from[l]] : d[l];
  SetBits(w.Word(i->d2), bits, m);
  return i + 1;
}

// a: predicate word flipped by y, e: member mask; x: has one. kind: all any uni ballot.
enum class Vote { kAll, kAny, kUni, kBallot };
template <Vote kind>
const Inst* Voting(Warp& w, const Inst* i, uint32_t m) {
  const uint32_t member = i->x ? w.Row<uint32_t>(i->e)[std::countr_zero(m)] : m;
  if (!Converge(w, i, m, member)) return w.Pick();
  const uint32_t who = m & (i->x ? member : m);
  const uint32_t yes = (w.Word(i->a) ^ i->y) & who;
  if constexpr (kind == Vote::kBallot) {
    uint32_t* d = w.Row<uint32_t>(i->d);
    for (int l = 0; l < 32; ++l) d[l] = (m >> l) & 1 ? yes : d[l];
  } else {
    const bool r = kind == Vote::kAll ? yes == who : kind == Vote::kAny ? yes != 0 : yes == who || yes == 0;
    SetBits(w.Word(i->d), r ? ~0u : 0, m);
  }
  return i + 1;
}

// a: value, e: member mask.
template <typename U, bool all>
const Inst* Match(Warp& w, const Inst* i, uint32_t m) {
  const uint32_t member = w.Row<uint32_t>(i->e)[std::countr_zero(m)];
  if (!Converge(w, i, m, member)) return w.Pick();
  const uint32_t who = m & member;
  const U* a = w.Row<U>(i->a);
  uint32_t result[32];
  bool every = true;
  for (int l = 0; l < 32; ++l) {
    uint32_t same = 0;
    for (int k = 0; k < 32; ++k) same |= static_cast<uint32_t>(a[k] == a[l]) << k;
    result[l] = same & who;
    if ((who >> l) & 1) every &= result[l] == who;
  }
  uint32_t* d = w.Row<uint32_t>(i->d);
  for (int l = 0; l < 32; ++l) {
    if ((m >> l) & 1) d[l] = all ? (every ? who : 0) : result[l];
  }
  if (all) SetBits(w.Word(i->d2), every ? ~0u : 0, m);
  return i + 1;
}

template <auto F, typename T>
const Inst* Reduce(Warp& w, const Inst* i, uint32_t m) {
  const uint32_t member = w.Row<uint32_t>(i->e)[std::countr_zero(m)];
  if (!Converge(w, i, m, member)) return w.Pick();
  const T* a = w.Row<T>(i->a);
  T r = a[std::countr_zero(m)];
  for (uint32_t rest = m & (m - 1); rest; rest &= rest - 1) r = F(r, a[std::countr_zero(rest)]);
  T* d = w.Row<T>(i->d);
  for (int l = 0; l < 32; ++l) d[l] = (m >> l) & 1 ? r : d[l];
  return i + 1;
}

const Inst* ActiveMask(Warp& w, const Inst* i, uint32_t m) {
  uint32_t* d = w.Row<uint32_t>(i->d);
  for (int l = 0; l < 32; ++l) d[l] = (m >> l) & 1 ? m : d[l];
  return i + 1;
}

// One lane of the member mask e is elected: the lowest. d: its number, d2: true for it.
const Inst* Elect(Warp& w, const Inst* i, uint32_t m) {
  if (!Converge(w, i, m, w.Row<uint32_t>(i->e)[std::countr_zero(m)])) return w.Pick();
  const uint32_t leader = static_cast<uint32_t>(std::countr_zero(m));
  if (i->d != 0) {
    for (int l = 0; l < 32; ++l) w.Row<uint32_t>(i->d)[l] = (m >> l) & 1 ? leader : w.Row<uint32_t>(i->d)[l];
  }
  SetBits(w.Word(i->d2), 1u << leader, m);
  return i + 1;
}

uint64_t Nanoseconds() {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count());
}

uint64_t Special(const Warp& w, uint32_t which, uint32_t lane) {
  const Block& block = *w.block;
  const Launch& launch = *block.grid->launch;
  const Dim3& n = launch.block;
  const uint32_t statics = launch.kernel->static_shared_bytes();
  switch (which) {
    case 0:
    case 1:
    case 2:
      return w.tid[which][lane];
    case 3:
      return n.x;
    case 4:
      return n.y;
    case 5:
      return n.z;
    case 6:
    case 32:
      return block.index.x;
    case 7:
    case 33:
      return block.index.y;
    case 8:
    case 34:
      return block.index.z;
    case 9:
    case 35:
      return launch.grid.x;
    case 10:
    case 36:
      return launch.grid.y;
    case 11:
    case 37:
      return launch.grid.z;
    case 12:
      return lane;
    case 13:
      return w.index;
    case 14:
      return block.warps.size();
    case 15:
      return block.smid;
    case 16:
      return 128;
    case 17:
      return block.grid->id;
    case 18:
      return 1u << lane;
    case 19:
      return (2u << lane) - 1;
    case 20:
      return (1u << lane) - 1;
    case 21:
      return ~((1u << lane) - 1);
    case 22:
      return ~((2u << lane) - 1);
    case 23:
    case 25:
    case 26:
    case 27:
      return Nanoseconds();
    case 24:
    case 28:
      return Nanoseconds() >> 32;
    case 29:
      return launch.dynamic_shared_bytes;
    case 30:
    case 31:
      return statics + launch.dynamic_shared_bytes;
    case 49:  // where cooperative groups find the words of their grid barrier
      return launch.workspace >> 32;
    case 50:
      return launch.workspace & 0xffffffff;
    case 41:
    case 42:
    case 43:
    case 45:
      return 1;
    default:
      return 0;  // a block is a cluster of its own
  }
}

template <typename F>
[[gnu::always_inline]] inline void WriteLanes(Warp& w, const Inst* i, uint32_t m, F value) {
  const auto write = [&]<typename D>(D* d) {
    for (int l = 0; l < 32; ++l) d[l] = (m >> l) & 1 ? static_cast<D>(value(l)) : d[l];
  };
  i->y ? write(w.Row<uint64_t>(i->d)) : write(w.Row<uint32_t>(i->d));
}

// d from special register x; y: wide.
const Inst* ReadSpecial(Warp& w, const Inst* i, uint32_t m) {
  const bool of_lane = i->x == 12 || (i->x >= 18 && i->x <= 22);
  if (i->x <= 2) {
    WriteLanes(w, i, m, [tid = w.tid[i->x]](int l) { return tid[l]; });
  } else if (of_lane) {
    for (uint32_t rest = m; rest; rest &= rest - 1) {
      const int l = std::countr_zero(rest);
      const uint64_t v = Special(w, i->x, static_cast<uint32_t>(l));
      i->y ? w.Row<uint64_t>(i->d)[l] = v : w.Row<uint32_t>(i->d)[l] = static_cast<uint32_t>(v);
    }
  } else {
    WriteLanes(w, i, m, [v = Special(w, i->x, 0)](int) { return v; });
  }
  return i + 1;
}

// Which window a generic address lies in: d (a predicate) from row a. imm: the window, 0 for .global.
const Inst* IsSpace(Warp& w, const Inst* i, uint32_t m) {
  const uint64_t* a = w.Row<uint64_t>(i->a);
  uint32_t bits = 0;
  for (int l = 0; l < 32; ++l) {
    const uint64_t window = a[l] < kSharedWindow ? 0 : a[l] & ~(kWindowBytes - 1);
    bits |= static_cast<uint32_t>(window == static_cast<uint64_t>(i->imm)) << l;
  }
  SetBits(w.Word(i->d), bits, m);
  return i + 1;
}

}  // namespace

Handler FindLanes(const Spec& s) {
  using U = uint32_t;
  using S = int32_t;
  const std::string& op = s.op;
  if (op == "shfl.up") return Shfl<Shuffle::kUp>;
  if (op == "shfl.down") return Shfl<Shuffle::kDown>;
  if (op == "shfl.bfly") return Shfl<Shuffle::kButterfly>;
  if (op == "shfl.idx") return Shfl<Shuffle::kIndex>;
  if (op == "vote.all") return Voting<Vote::kAll>;
  if (op == "vote.any") return Voting<Vote::kAny>;
  if (op == "vote.uni") return Voting<Vote::kUni>;
  if (op == "vote.ballot") return Voting<Vote::kBallot>;
  const bool wide = ptx::SizeOf(s.type) == 8;
  if (op == "match.any") return wide ? Match<uint64_t, false> : Match<U, false>;
  if (op == "match.all") return wide ? Match<uint64_t, true> : Match<U, true>;
  if (op == "activemask") return ActiveMask;
  if (op == "elect") return Elect;
  if (op == "special") return ReadSpecial;
  if (op == "isspacep") return IsSpace;
  if (op.starts_with("redux.") && ptx::SizeOf(s.type) == 4 && !ptx::IsFloat(s.type)) {
    const bool is_signed = s.type == Type::kS32;
    if (op == "redux.add") return Reduce<[](U a, U b) { return a + b; }, U>;
    if (op == "redux.and") return Reduce<[](U a, U b) { return a & b; }, U>;
    if (op == "redux.or") return Reduce<[](U a, U b) { return a | b; }, U>;
    if (op == "redux.xor") return Reduce<[](U a, U b) { return a ^ b; }, U>;
    if (op == "redux.min")
      return is_signed ? Reduce<[](S a, S b) { return std::min(a, b); }, S>
                       : Handler(Reduce<[](U a, U b) { return std::min(a, b); }, U>);
    if (op == "redux.max")
      return is_signed ? Reduce<[](S a, S b) { return std::max(a, b); }, S>
                       : Handler(Reduce<[](U a, U b) { return std::max(a, b); }, U>);
  }
  return nullptr;
}

}  // namespace mignificient::cpu::MIG_ISA
