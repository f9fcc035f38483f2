#include "http/call_id.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mignificient::http {
namespace {

constexpr size_t kIdBytes = 16;

// The kernel is asked for those of many at once.
std::array<uint8_t, kIdBytes> RandomBytes() {
  constexpr size_t kAtOnce = 16 * kIdBytes;  // 256 bytes are never interrupted
  thread_local std::array<uint8_t, kAtOnce> some;
  thread_local size_t used = kAtOnce;
  if (used == kAtOnce) {
    (void)!::getrandom(some.data(), some.size(), 0);
    used = 0;
  }
  std::array<uint8_t, kIdBytes> bytes;
  std::copy_n(some.begin() + static_cast<ptrdiff_t>(used), kIdBytes, bytes.begin());
  used += kIdBytes;
  return bytes;
}

}  // namespace

std::string MakeCallId() {
  std::array<uint8_t, kIdBytes> bytes = RandomBytes();
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string id(36, '-');
  auto at = id.begin();
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) ++at;
    *at++ = kDigits[bytes[i] >> 4];
    *at++ = kDigits[bytes[i] & 15];
  }
  return id;
}

}  // namespace mignificient::http
