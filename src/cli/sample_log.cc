#include "cli/sample_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <system_error>
#include <tuple>

namespace mignificient::cli {
namespace {

std::unexpected<Error> CannotWrite(const std::string& file) {
  return std::unexpected(FailErrno("write", errno).error().While(fmt::format("writing the file ({})", file)));
}

}  // namespace

Result<SampleLog> SampleLog::Create(const std::string& csv_file, Order order, size_t kept) {
  SampleLog log(order, kept);
  if (csv_file.empty()) return log;
  log.file_name_ = csv_file;
  log.file_.reset(std::fopen(csv_file.c_str(), "we"));
  if (log.file_ == nullptr) {
    const int reason = errno;
    return Fail(Code::kOs, "File ({}) cannot be written: {}.", csv_file, std::generic_category().message(reason));
  }
  fmt::print(log.file_.get(), "iteration,worker,time\n");
  return log;
}

uint16_t SampleLog::KindOf(std::string_view kind) {
  const auto known = std::find(kinds_.begin(), kinds_.end(), kind);
  if (known != kinds_.end()) return static_cast<uint16_t>(known - kinds_.begin());
  // What a node calls them is its own matter, how many there are is not.
  constexpr size_t kMost = 16;
  if (kinds_.size() == kMost) return kMost - 1;
  kinds_.emplace_back(kind);
  return static_cast<uint16_t>(kinds_.size() - 1);
}

void SampleLog::Add(const Exchange& exchange, std::string_view kind) {
  const Sample sample{.iteration = exchange.iteration,
                      .worker = exchange.worker,
                      .kind = KindOf(kind),
                      .begin = exchange.begin,
                      .time = exchange.time};
  ++count_;
  if (samples_.size() < kept_) {
    samples_.push_back(sample);
    return;
  }
  if (file_ != nullptr) {
    if (!written_) WriteKept();
    WriteLine(sample);
  }
  written_ = true;
  const uint64_t place = std::uniform_int_distribution<uint64_t>(0, count_ - 1)(random_);
  if (place < kept_) samples_[place] = sample;
}

void SampleLog::WriteLine(const Sample& sample) {
  fmt::print(file_.get(), "{},{},{}\n", sample.iteration, sample.worker,
             std::chrono::duration_cast<std::chrono::microseconds>(sample.time).count());
}

void SampleLog::WriteKept() {
  for (const Sample& sample : samples_) WriteLine(sample);
}

Result<> SampleLog::Finish() {
  if (file_ == nullptr) return {};
  if (!written_) {
    const bool by_worker = order_ == Order::kByWorker;
    std::sort(samples_.begin(), samples_.end(), [by_worker](const Sample& a, const Sample& b) {
      return by_worker ? std::tie(a.worker, a.iteration) < std::tie(b.worker, b.iteration)
                       : std::tie(a.iteration, a.worker) < std::tie(b.iteration, b.worker);
    });
    WriteKept();
    written_ = true;
  }
  errno = 0;
  const bool failed = std::ferror(file_.get()) != 0;
  if (std::fclose(file_.release()) != 0 || failed) return CannotWrite(file_name_);
  return {};
}

}  // namespace mignificient::cli
