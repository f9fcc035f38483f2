// How many processors this process may use, and so whether a thread may look again and again for what comes soon.
#pragma once

namespace mignificient::os {

// At least 1.
int AvailableCpus();

// Threads that look again for a millisecond do not take the processor from those they wait for.
inline bool CpusToSpare() {
  constexpr int kMany = 8;
  static const bool many = AvailableCpus() >= kMany;
  return many;
}

}  // namespace mignificient::os
