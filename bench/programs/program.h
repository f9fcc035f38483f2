// What the programs of this folder share. Each is a whole computation of a kind that GPUs are benchmarked with, written
// for this suite: it allocates, copies there, computes, copies back and frees, several times, and tells how long that
// took and a checksum of the result; and it checks the result, or one of a smaller size by the same code.
#pragma once

#include <cmath>
#include <functional>

#include "measure.h"

namespace bench {

// The same numbers on each run, from 0 to 1.
class Sequence {
 public:
  explicit Sequence(uint32_t seed) : state_(seed) {}
  uint32_t Word() { return state_ = state_ * 1664525u + 1013904223u; }
  float Unit() { return static_cast<float>(Word() >> 8) / static_cast<float>(1 << 24); }

 private:
  uint32_t state_;
};

template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t count) : count_(count) { CHECK(cudaMalloc(&data_, count * sizeof(T))); }
  explicit DeviceArray(const std::vector<T>& host) : DeviceArray(host.size()) { Upload(host); }
  ~DeviceArray() { CHECK(cudaFree(data_)); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() { return data_; }
  void Upload(const std::vector<T>& host) {
    CHECK(cudaMemcpy(data_, host.data(), count_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  std::vector<T> Download() const {
    std::vector<T> host(count_);
    CHECK(cudaMemcpy(host.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost));
    return host;
  }

 private:
  T* data_ = nullptr;
  size_t count_;
};

inline unsigned Blocks(size_t count, unsigned threads) {
  return static_cast<unsigned>((count + threads - 1) / threads);
}

// Ends the program unless `right`.
inline void Expect(bool right, const char* sentence) {
  if (right) return;
  std::fprintf(stderr, "Wrong result: %s.\n", sentence);
  std::exit(1);
}

// Measures `compute`, which returns the result, and reports it; the last result is returned for a check.
template <typename T>
std::vector<T> MeasureComputation(Report& report, const std::string& name,
                                  const std::function<std::vector<T>()>& compute) {
  CHECK(cudaFree(nullptr));  // the context is not part of it
  const Stopwatch first;
  std::vector<T> result = compute();
  report.Row(name + ", first computation", "ms", {first.Microseconds() / 1e3});
  std::vector<double> samples;
  for (int i = 0; i < report.Times(10); ++i) {
    const Stopwatch watch;
    result = compute();
    samples.push_back(watch.Microseconds() / 1e3);
  }
  report.Row(name + ", computation", "ms", samples);
  report.Answer("checksum", Checksum(result.data(), result.size() * sizeof(T)));
  return result;
}

}  // namespace bench
