#include "cli/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace mignificient::cli {
namespace {

// Values below 2 * kHalf have a bucket each; each power of two above is divided into kHalf buckets.
constexpr uint64_t kHalf = 1024;
constexpr int kHalfBits = 10;
constexpr size_t kBuckets = (64 - kHalfBits) * kHalf;

size_t BucketOf(int64_t value) {
  const auto bits = static_cast<uint64_t>(value);
  if (bits < 2 * kHalf) return bits;
  const int shift = std::bit_width(bits) - kHalfBits - 1;
  return static_cast<size_t>(shift) * kHalf + (bits >> shift);
}

// The middle of a bucket.
double ValueOf(size_t bucket) {
  if (bucket < 2 * kHalf) return static_cast<double>(bucket);
  const size_t shift = bucket / kHalf - 1;
  return std::ldexp(static_cast<double>(bucket - shift * kHalf) + 0.5, static_cast<int>(shift));
}

constexpr double kNsPerMs = 1e6;

}  // namespace

void LatencyHistogram::Add(std::chrono::nanoseconds value) {
  const int64_t ns = std::max<int64_t>(value.count(), 0);
  min_ns_ = count_ == 0 ? ns : std::min(min_ns_, ns);
  max_ns_ = std::max(max_ns_, ns);
  sum_ns_ += static_cast<double>(ns);
  ++count_;
  if (exact() && values_.size() >= exact_limit_) Spill();
  if (exact())
    values_.push_back(ns);
  else
    ++buckets_[BucketOf(ns)];
}

void LatencyHistogram::Spill() {
  buckets_.resize(kBuckets);
  for (const int64_t ns : values_) ++buckets_[BucketOf(ns)];
  values_ = {};
}

double LatencyHistogram::MinMs() const {
  return static_cast<double>(min_ns_) / kNsPerMs;
}

double LatencyHistogram::MaxMs() const {
  return static_cast<double>(max_ns_) / kNsPerMs;
}

double LatencyHistogram::MeanMs() const {
  return count_ == 0 ? 0 : sum_ns_ / static_cast<double>(count_) / kNsPerMs;
}

template <typename Found>
void LatencyHistogram::ValuesAt(std::span<const uint64_t> ranks, Found found) const {
  if (exact()) {
    std::vector<int64_t> sorted = values_;
    std::sort(sorted.begin(), sorted.end());
    for (const uint64_t rank : ranks) found(static_cast<double>(sorted[rank]));
    return;
  }
  size_t bucket = 0;
  uint64_t seen = buckets_[0];  // values in the buckets up to `bucket`
  for (const uint64_t rank : ranks) {
    while (seen <= rank) seen += buckets_[++bucket];
    // The ends are known exactly.
    const bool last = rank + 1 == count_;
    const double value = rank == 0 ? static_cast<double>(min_ns_)
                         : last    ? static_cast<double>(max_ns_)
                                   : ValueOf(bucket);
    found(std::clamp(value, static_cast<double>(min_ns_), static_cast<double>(max_ns_)));
  }
}

std::vector<double> LatencyHistogram::PercentilesMs(std::span<const double> fractions) const {
  std::vector<double> percentiles(fractions.size());
  if (count_ == 0) return percentiles;
  std::vector<uint64_t> ranks;
  const auto position = [this](double fraction) {
    return std::clamp(fraction, 0.0, 1.0) * static_cast<double>(count_ - 1);
  };
  for (const double fraction : fractions) {
    const auto below = static_cast<uint64_t>(position(fraction));
    ranks.push_back(below);
    ranks.push_back(std::min(below + 1, count_ - 1));
  }
  std::sort(ranks.begin(), ranks.end());
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  std::vector<double> values;
  ValuesAt(ranks, [&values](double ns) { values.push_back(ns); });
  const auto at = [&](uint64_t rank) {
    return values[static_cast<size_t>(std::lower_bound(ranks.begin(), ranks.end(), rank) - ranks.begin())];
  };
  for (size_t i = 0; i < fractions.size(); ++i) {
    const double exact = position(fractions[i]);
    const auto below = static_cast<uint64_t>(exact);
    const double low = at(below), high = at(std::min(below + 1, count_ - 1));
    percentiles[i] = (low + (high - low) * (exact - static_cast<double>(below))) / kNsPerMs;
  }
  return percentiles;
}

}  // namespace mignificient::cli
