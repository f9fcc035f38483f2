// The single requests of a load: for its CSV file and its picture. In bounded memory: of a load longer than `kept`
// requests, the file gets each of them as it ends, and the picture an even random choice.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/load.h"

namespace mignificient::cli {

struct Sample {
  uint64_t iteration = 0;
  int worker = 0;
  uint16_t kind = 0;                 // index in SampleLog::kinds()
  std::chrono::nanoseconds begin{};  // as in Exchange
  std::chrono::nanoseconds time{};
};

class SampleLog {
 public:
  static constexpr size_t kKept = size_t{1} << 20;
  static constexpr std::string_view kFailed = "failed";

  // Which order the lines of the file have, as long as there are no more than `kept`.
  enum class Order { kByWorker, kByIteration };

  // `csv_file` empty: none. kOs where it cannot be written: better before a long load than after it.
  static Result<SampleLog> Create(const std::string& csv_file, Order order, size_t kept = kKept);

  // `kind`: the start type, or kFailed.
  void Add(const Exchange& exchange, std::string_view kind);
  // Writes what is not written yet. kOs where it cannot be.
  Result<> Finish();

  const std::vector<Sample>& samples() const { return samples_; }  // all, or the choice
  const std::vector<std::string>& kinds() const { return kinds_; }
  uint64_t count() const { return count_; }

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  SampleLog(Order order, size_t kept) : order_(order), kept_(kept) {}
  uint16_t KindOf(std::string_view kind);
  void WriteKept();
  void WriteLine(const Sample& sample);

  Order order_;
  size_t kept_;
  std::string file_name_;
  std::unique_ptr<std::FILE, Closer> file_;
  std::vector<Sample> samples_;
  std::vector<std::string> kinds_;
  uint64_t count_ = 0;
  bool written_ = false;       // samples_ is in the file; each one that follows is written at once
  std::mt19937_64 random_{1};  // NOLINT(cert-msc51-cpp): the same choice each time
};

}  // namespace mignificient::cli
