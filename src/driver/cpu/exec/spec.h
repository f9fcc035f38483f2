// An instruction's name and modifiers, sorted out; what a family of operations is asked for.
#pragma once

#include <string>
#include <vector>

#include "driver/cpu/exec/code.h"

namespace mignificient::cpu {

enum class Round : uint8_t { kNone, kNearest, kZero, kDown, kUp, kIntNearest, kIntZero, kIntDown, kIntUp };

struct Spec {
  std::string op;                       // with its variant: "mul.wide", "setp.lt"
  ptx::Type type = ptx::Type::kNone;    // the first, result type of cvt, set
  ptx::Type source = ptx::Type::kNone;  // the second, or the first
  Round round = Round::kNone;
  bool ftz = false, sat = false, approx = false, full = false, cc = false, nan = false, xorsign = false, relu = false;
  std::vector<std::string> rest;  // other modifiers, in order

  bool Has(std::string_view modifier) const;
  bool Take(std::string_view modifier);  // removes it
};

// The finders of one instruction set level. Null: this engine has no such operation.
struct Operations {
  Handler (*integer)(const Spec&);
  Handler (*compare)(const Spec&);
  Handler (*floating)(const Spec&);
  Handler (*half)(const Spec&);
  Handler (*convert)(const Spec&);
  Handler (*move)(const Spec&);
  // op: "ld", "st", "atom", "red"; element bytes and space are in the spec's type and rest[0].
  Handler (*memory)(const Spec&);
  Handler (*atomic)(const Spec&);
  Handler (*lanes)(const Spec&);    // shfl, vote, match, redux, special registers
  Handler (*control)(const Spec&);  // bra, call, ret, bar ...
  void (*interpret)(Warp& warp, const Inst* pc);
  const char* name;
};

// The best level this processor has.
const Operations& BestOperations();

}  // namespace mignificient::cpu
