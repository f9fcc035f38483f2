// Flags of contexts: how the host waits (at most one), and what the context allows.
#pragma once

namespace mignificient::client {

inline constexpr unsigned kScheduleMask = 7;  // automatic 0, spin 1, yield 2, block 4
inline constexpr unsigned kMapHost = 8;       // always in force; reported for every context
inline constexpr unsigned kFlagsMask = 0xff;

inline bool ContextFlagsValid(unsigned flags) {
  const unsigned schedule = flags & kScheduleMask;
  return (flags & ~kFlagsMask) == 0 && (schedule & (schedule - 1)) == 0;
}

}  // namespace mignificient::client
