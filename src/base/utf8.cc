#include "base/utf8.h"

#include <cstdint>

namespace mignificient {
namespace {

// How many bytes at the start of `text` are one character; 0: none. Overlong forms, surrogates and what lies beyond
// U+10FFFF are none.
size_t CharacterSize(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t size = first >= 0xc2 && first <= 0xdf   ? 2
                      : (first & 0xf0) == 0xe0         ? 3
                      : first >= 0xf0 && first <= 0xf4 ? 4
                                                       : 0;
  if (size == 0 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const uint8_t second = byte(1);
  const bool allowed = first == 0xe0   ? second >= 0xa0
                       : first == 0xed ? second <= 0x9f
                       : first == 0xf0 ? second >= 0x90
                       : first == 0xf4 ? second <= 0x8f
                                       : true;
  return allowed ? size : 0;
}

}  // namespace

std::string ValidUtf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    const size_t size = CharacterSize(text);
    if (size == 0) {
      valid += '?';
      text.remove_prefix(1);
    } else {
      valid += text.substr(0, size);
      text.remove_prefix(size);
    }
  }
  return valid;
}

}  // namespace mignificient
