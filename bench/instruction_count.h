// How many instructions a kernel executes: its PTX with counters added, to be run once.
//
// Independent of the engine, so that versions of it are measured against the same number: an instruction is one of the
// PTX text. A guarded one counts for every lane that reaches it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mignificient::bench {

// The variable that the counted text declares: for each block of straight code, how often a warp and how often a lane
// began it, as two 64-bit numbers.
inline constexpr std::string_view kCountsName = "bench_counts";

struct CountedText {
  std::string ptx;
  std::vector<uint64_t> lengths;  // instructions of each block of straight code
};

// `ptx` has one statement a line, as nvcc writes it; labels stand alone.
CountedText AddCounters(std::string_view ptx);

struct Executed {
  uint64_t warps = 0, lanes = 0;  // instructions executed by warps and by lanes
};
// `counts` is what a run left in the variable.
Executed Total(const CountedText& text, std::span<const uint64_t> counts);

}  // namespace mignificient::bench
