// A number of seconds, as configuration and requests give them, as a duration. The number's range is checked by then.
#pragma once

#include <chrono>

namespace mignificient {

constexpr std::chrono::nanoseconds FromSeconds(double seconds) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds));
}

}  // namespace mignificient
