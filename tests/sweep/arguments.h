// What the sweep passes: for each kind of argument, a value for each case. A function's signature is a list of kinds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <tuple>

namespace sweep {

enum class Case {
  kNulls,  // zeros and null pointers
  kHuge,   // the largest integers; pointers to zeros; null handles
  kBogus,  // small integers; pointers to zeros, handles too
  kKinds,  // as kBogus, with handles of objects of another kind, where there are any
};

// Memory that pointers lead to: a piece of zeros for each argument, and nothing readable after the last.
class Scratch {
 public:
  Scratch();  // aborts without memory
  std::byte* Take() { return base_ + kPieceBytes * taken_++; }
  // Zeros again what was taken.
  void Reset() {
    std::memset(base_, 0, kPieceBytes * taken_);
    taken_ = 0;
  }

 private:
  static constexpr size_t kPieceBytes = 64 * 1024, kPieces = 32;
  std::byte* base_;
  size_t taken_ = 0;
};

struct Values {
  Case which;
  Scratch scratch;
  // Living objects of the driver; null where there is no context to make them in.
  void* event = nullptr;
  void* stream = nullptr;
};

inline size_t Ignore(void*) {
  return 0;
}

template <typename T>
struct Number {
  using Type = T;
  static T Value(Values& values) {
    if (values.which == Case::kNulls) return 0;
    return values.which == Case::kHuge ? std::numeric_limits<T>::max() : 1;
  }
};
struct Real {
  using Type = float;
  static float Value(Values& values) { return values.which == Case::kNulls ? 0 : 1e30f; }
};
struct Device {  // valid except among huge numbers, so that what follows is looked at
  using Type = int;
  static int Value(Values& values) { return values.which == Case::kHuge ? std::numeric_limits<int>::max() : 0; }
};
struct Address {
  using Type = uint64_t;
  static uint64_t Value(Values& values) {
    if (values.which == Case::kNulls) return 0;
    return values.which == Case::kHuge ? ~uint64_t{0} : 0x1000;
  }
};
struct Text {
  using Type = const char*;
  static const char* Value(Values& values) { return values.which == Case::kNulls ? nullptr : "no such/thing"; }
};
struct Pointer {
  using Type = void*;
  static void* Value(Values& values) { return values.which == Case::kNulls ? nullptr : values.scratch.Take(); }
};
template <void* Values::* kOther>
struct HandleOf {
  using Type = void*;
  static void* Value(Values& values) {
    if (values.which == Case::kNulls || values.which == Case::kHuge) return nullptr;
    void* const other = values.which == Case::kKinds ? values.*kOther : nullptr;
    return other != nullptr ? other : values.scratch.Take();
  }
};
using Handle = HandleOf<&Values::event>;
using Event = HandleOf<&Values::stream>;
struct Callback {
  using Type = size_t (*)(void*);
  static Type Value(Values& values) { return values.which == Case::kNulls ? nullptr : Ignore; }
};
template <size_t kBytes>
struct Struct {
  using Type = std::array<unsigned char, kBytes>;
  static Type Value(Values& values) {
    Type bytes{};
    if (values.which != Case::kNulls) bytes.fill(0xff);
    return bytes;
  }
};

template <typename... Kinds>
unsigned Call(void* function, Values& values) {
  const std::tuple<typename Kinds::Type...> arguments{Kinds::Value(values)...};
  return std::apply(reinterpret_cast<unsigned (*)(typename Kinds::Type...)>(function), arguments);
}

// A function whose signature nobody knows: as many zeros as any takes.
inline unsigned CallWithZeros(void* function, Values&) {
  using Word = uint64_t;
  using Function =
      unsigned (*)(Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word);
  return reinterpret_cast<Function>(function)(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

struct Symbol {
  const char* name;
  unsigned (*call)(void* function, Values& values);
  bool known;  // its signature; if not, it is called in the case of nulls only
};

inline constexpr Symbol kSymbols[] = {
#define MIG_KNOWN(symbol, ...) {#symbol, Call<__VA_ARGS__>, true},
#define MIG_UNKNOWN(symbol) {#symbol, CallWithZeros, false},
#include "sweep_table.inc"
#undef MIG_KNOWN
#undef MIG_UNKNOWN
};

}  // namespace sweep
