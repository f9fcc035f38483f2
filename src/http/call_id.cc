#include "http/call_id.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <cstdint>

namespace mignificient::http {

std::string MakeCallId() {
  std::array<uint8_t, 16> bytes{};
  (void)!::getrandom(bytes.data(), bytes.size(), 0);
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  std::string id;
  for (size_t i = 0; i < bytes.size(); ++i)
    id += fmt::format("{}{:02x}", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
  return id;
}

}  // namespace mignificient::http
