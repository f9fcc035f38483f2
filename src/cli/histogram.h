// Durations and their percentiles, in memory that does not grow with a long load. Up to `exact_limit` values are kept
// as they are; after that each one is counted in a bucket of a log-linear histogram (HdrHistogram's layout), whose
// width is at most 1/1024 of the values in it. Mean, least and greatest value are exact always.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mignificient::cli {

class LatencyHistogram {
 public:
  static constexpr size_t kExactLimit = size_t{1} << 20;

  explicit LatencyHistogram(size_t exact_limit = kExactLimit) : exact_limit_(exact_limit) {}

  void Add(std::chrono::nanoseconds value);  // a negative one counts as 0

  uint64_t count() const { return count_; }
  bool exact() const { return buckets_.empty(); }
  // Milliseconds; 0 without values.
  double MinMs() const;
  double MaxMs() const;
  double MeanMs() const;
  // One for each of `fractions` (0 to 1), in milliseconds: linear between the two nearest ranks, as numpy.percentile
  // and R's type 7. 0 without values.
  std::vector<double> PercentilesMs(std::span<const double> fractions) const;

 private:
  void Spill();
  // Calls `found` with the value of each of `ranks` (ascending, below count()).
  template <typename Found>
  void ValuesAt(std::span<const uint64_t> ranks, Found found) const;

  size_t exact_limit_;
  std::vector<int64_t> values_;    // while exact()
  std::vector<uint64_t> buckets_;  // else
  uint64_t count_ = 0;
  double sum_ns_ = 0;
  int64_t min_ns_ = 0, max_ns_ = 0;
};

}  // namespace mignificient::cli
