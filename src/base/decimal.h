// Numbers as text, where std::format's way is too long for what is written with every invocation.
#pragma once

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>

namespace mignificient {

// Appends `value` with three digits behind the point, as "{:.3f}" has it, but for halves, which go up.
inline void AppendThousandths(std::string& text, double value) {
  constexpr double kMost = 1e12;  // below it thousandths are whole numbers that a double holds
  if (!(value >= 0 && value < kMost)) {
    fmt::format_to(std::back_inserter(text), "{:.3f}", value);
    return;
  }
  const auto thousandths = static_cast<uint64_t>(std::llround(value * 1e3));
  char digits[24];
  char* end = std::to_chars(digits, digits + sizeof digits, thousandths / 1000).ptr;
  const auto part = static_cast<unsigned>(thousandths % 1000);
  *end++ = '.';
  *end++ = static_cast<char>('0' + part / 100);
  *end++ = static_cast<char>('0' + part / 10 % 10);
  *end++ = static_cast<char>('0' + part % 10);
  text.append(digits, end);
}

}  // namespace mignificient
