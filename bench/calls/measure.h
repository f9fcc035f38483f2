// What the measuring programs of bench/ share: time, repetitions, and the report that bench/compare.py reads, one JSON
// object on standard output:
//
//   {"rows": {NAME: {"unit", "median", "p99", "samples"}}, "answers": {NAME: VALUE}}
//
// A program's only argument is its effort: smoke (does it work), quick or full. Answers are what must be the same
// natively and behind MIGnificient.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <cuda_runtime.h>

// Ends the program with a sentence when a runtime call fails.
#define CHECK(call)                                                                    \
  do {                                                                                 \
    const cudaError_t check_error = (call);                                            \
    if (check_error != cudaSuccess) {                                                  \
      std::fprintf(stderr, "%s fails: %s.\n", #call, cudaGetErrorString(check_error)); \
      std::exit(1);                                                                    \
    }                                                                                  \
  } while (0)

namespace bench {

enum class Effort { kSmoke, kQuick, kFull };

inline Effort ParseEffort(int argc, char** argv) {
  const std::string word = argc > 1 ? argv[1] : "full";
  if (argc <= 2 && word == "smoke") return Effort::kSmoke;
  if (argc <= 2 && word == "quick") return Effort::kQuick;
  if (argc <= 2 && word == "full") return Effort::kFull;
  std::fprintf(stderr, "Usage: %s [smoke|quick|full]\n", argv[0]);
  std::exit(2);
}

class Stopwatch {
 public:
  double Microseconds() const { return std::chrono::duration<double, std::micro>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

// "64 B", "4 KiB", "1 GiB"; `bytes` is a whole number of the unit.
inline std::string SizeName(size_t bytes) {
  const char* const units[] = {"B", "KiB", "MiB", "GiB"};
  int unit = 0;
  for (; bytes >= 1024 && unit < 3; ++unit) bytes /= 1024;
  return std::to_string(bytes) + " " + units[unit];
}

// Fills memory with words that all differ; writing also touches it for the first time.
inline void Fill(void* data, size_t bytes) {
  for (size_t at = 0; at + 8 <= bytes; at += 8) {
    const uint64_t word = (at + 1) * 0x9e3779b97f4a7c15u;
    std::memcpy(static_cast<char*>(data) + at, &word, 8);
  }
}

// A sum in which the place of each word counts.
inline uint64_t Checksum(const void* data, size_t bytes) {
  uint64_t sum = 0;
  for (size_t at = 0; at + 8 <= bytes; at += 8) {
    uint64_t word;
    std::memcpy(&word, static_cast<const char*>(data) + at, 8);
    sum = sum * 0x9e3779b97f4a7c15u + word;
  }
  return sum;
}

// Printed when it ends, so a program that fails reports nothing.
class Report {
 public:
  explicit Report(Effort effort) : effort_(effort) {}
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;
  ~Report() {
    std::printf("{\"rows\": {%s},\n \"answers\": {%s}}\n", rows_.c_str(), answers_.c_str());
    std::fflush(stdout);
  }

  Effort effort() const { return effort_; }

  // How often to do what a full measurement does `full` times.
  int Times(int full) const {
    if (effort_ == Effort::kSmoke) return std::clamp(full / 100, 2, 5);
    return effort_ == Effort::kQuick ? std::max(3, full / 2) : full;
  }

  // Calls `body` `count` times after count / 10 + 1 unmeasured ones. It returns one value per name; a row without a
  // name is left out.
  template <size_t kRows, typename Body>
  void Measure(int count, const std::array<std::string, kRows>& names, Body body, const char* unit = "us") {
    for (int i = 0; i < count / 10 + 1; ++i) body();
    std::array<std::vector<double>, kRows> samples;
    for (int i = 0; i < count; ++i) {
      const std::array<double, kRows> values = body();
      for (size_t row = 0; row < kRows; ++row) samples[row].push_back(values[row]);
    }
    for (size_t row = 0; row < kRows; ++row)
      if (!names[row].empty()) Row(names[row], unit, std::move(samples[row]));
  }

  void Row(const std::string& name, const char* unit, std::vector<double> samples) {
    std::sort(samples.begin(), samples.end());
    char text[160];
    std::snprintf(text, sizeof text, R"({"unit": "%s", "median": %.6g, "p99": %.6g, "samples": %zu})", unit,
                  samples[samples.size() / 2], samples[(samples.size() * 99 - 1) / 100], samples.size());
    Append(rows_, name, text);
  }

  void Answer(const std::string& name, uint64_t value) { Append(answers_, name, std::to_string(value)); }

 private:
  static void Append(std::string& object, const std::string& name, const std::string& value) {
    object += (object.empty() ? "\n  \"" : ",\n  \"") + name + "\": " + value;
  }

  Effort effort_;
  std::string rows_, answers_;
};

// Device memory for `count` values of T, zeroed.
template <typename T>
T* Zeroed(size_t count) {
  T* data = nullptr;
  CHECK(cudaMalloc(&data, count * sizeof(T)));
  CHECK(cudaMemset(data, 0, count * sizeof(T)));
  CHECK(cudaDeviceSynchronize());
  return data;
}

template <typename T>
T Read(const T* device) {
  T value{};
  CHECK(cudaMemcpy(&value, device, sizeof value, cudaMemcpyDeviceToHost));
  return value;
}

}  // namespace bench
