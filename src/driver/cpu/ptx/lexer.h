// PTX text to tokens.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mignificient::cpu::ptx {

struct Token {
  enum class Kind : uint8_t {
    kName,       // add, %r1, $L__BB0_2
    kDirective,  // .global, .u32, .L2::128B: a dot and what follows
    kInteger,
    kFloat,   // 0fXXXXXXXX
    kDouble,  // 0dXXXXXXXXXXXXXXXX, 1.5
    kString,  // text without the quotes
    kPunct,   // one character, or << >> <= >= == != && ||
    kEnd,
  };
  Kind kind = Kind::kEnd;
  std::string_view text;
  uint64_t value = 0;  // number, or bits of a float
  int line = 0;        // from 1

  bool Is(std::string_view what) const { return kind != Kind::kString && text == what; }
};

// Tokens that view `source`, the last one kEnd. kInvalidArgument with line and text for what is no token.
Result<std::vector<Token>> Tokenize(std::string_view source);

}  // namespace mignificient::cpu::ptx
