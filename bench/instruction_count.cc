#include "instruction_count.h"

#include <fmt/format.h>

#include <sstream>

namespace mignificient::bench {
namespace {

bool IsInstruction(std::string_view line) {
  const size_t first = line.find_first_not_of(' ');
  if (first == std::string_view::npos || !line.ends_with(';')) return false;
  return line[first] != '.' && line[first] != '{' && line[first] != '}';
}

bool EndsBlock(std::string_view line) {
  return line.find(" bra ") != std::string_view::npos || line.find(" ret") != std::string_view::npos;
}

// Every lane counts itself, the lowest one the warp.
std::string Counter(size_t block) {
  return fmt::format(
      " activemask.b32 %bench_m; mov.u32 %bench_l, %lanemask_lt; and.b32 %bench_l, %bench_l, %bench_m;\n"
      " setp.eq.u32 %bench_p, %bench_l, 0; red.global.add.u64 [{0}+{2}], 1;\n"
      " @%bench_p red.global.add.u64 [{0}+{1}], 1;\n",
      kCountsName, 16 * block, 16 * block + 8);
}

}  // namespace

CountedText AddCounters(std::string_view ptx) {
  CountedText out;
  std::string body;
  bool fresh = true;
  std::istringstream lines{std::string(ptx)};
  for (std::string line; std::getline(lines, line);) {
    if (line == "{") {
      body += "{\n .reg .pred %bench_p; .reg .b32 %bench_m, %bench_l;\n";
      fresh = true;
      continue;
    }
    if (line.ends_with(':')) fresh = true;
    if (IsInstruction(line)) {
      if (fresh) {
        body += Counter(out.lengths.size());
        out.lengths.push_back(0);
      }
      ++out.lengths.back();
      fresh = EndsBlock(line);
    }
    body += line + "\n";
    if (line.starts_with(".address_size"))
      body += fmt::format(".visible .global .align 8 .u64 {}[BENCH_COUNTS];\n", kCountsName);
  }
  const std::string_view mark = "BENCH_COUNTS";
  body.replace(body.find(mark), mark.size(), std::to_string(2 * out.lengths.size()));
  out.ptx = std::move(body);
  return out;
}

Executed Total(const CountedText& text, std::span<const uint64_t> counts) {
  Executed total;
  for (size_t i = 0; i < text.lengths.size(); ++i) {
    total.warps += counts[2 * i] * text.lengths[i];
    total.lanes += counts[2 * i + 1] * text.lengths[i];
  }
  return total;
}

}  // namespace mignificient::bench
