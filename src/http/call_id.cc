#include "http/call_id.h"

#include <sys/random.h>

#include <array>
#include <cstdint>
#include <string_view>

namespace mignificient::http {

std::string MakeCallId() {
  std::array<uint8_t, 16> bytes{};
  (void)!::getrandom(bytes.data(), bytes.size(), 0);
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string id;
  id.reserve(36);
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) id += '-';
    id += kDigits[bytes[i] >> 4];
    id += kDigits[bytes[i] & 15];
  }
  return id;
}

}  // namespace mignificient::http
