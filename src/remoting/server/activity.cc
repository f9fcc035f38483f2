#include "remoting/server/activity.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace mignificient::server {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr uint32_t kMostCommands = 32;
constexpr size_t kMostPending = 4096;
// A device's clock drifts from ours by some microseconds a second, and CUDA tells elapsed time as a float.
constexpr nanoseconds kFitAge = milliseconds(100);
constexpr int kFits = 4;
constexpr nanoseconds kPatience = microseconds(50), kFirstPatience = milliseconds(20);

nanoseconds Now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

std::string Demangled(const char* name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
  return text != nullptr ? text.get() : name;
}

}  // namespace

Activity::Activity(const DriverTable& driver, ActivityLog& log, uint32_t connection)
    : driver_(driver), log_(log), connection_(connection), ordinals_{{nullptr, 0}, {CUstream(1), 0}} {}

Activity::~Activity() {
  open_.reset();
  pending_.clear();
  base_.reset();
  for (const CUevent event : pool_) driver_.cuEventDestroy_v2(event);
  if (clock_stream_ != nullptr) driver_.cuStreamDestroy_v2(clock_stream_);
}

Activity::Event Activity::NewEvent() {
  CUevent event = nullptr;
  if (!pool_.empty()) {
    event = pool_.back();
    pool_.pop_back();
  } else if (driver_.cuEventCreate(&event, 0) != CUDA_SUCCESS) {
    return nullptr;
  }
  return Event(event, [this](CUevent used) { pool_.push_back(used); });
}

Activity::Event Activity::Mark(CUstream stream) {
  Event event = NewEvent();
  if (event != nullptr && driver_.cuEventRecord(event.get(), stream) != CUDA_SUCCESS) event.reset();
  return event;
}

void Activity::Before(const Work& work) {
  noted_ = true;
  const bool continues = open_ && open_->stream == work.stream;
  if (continues && open_->record.kind == work.kind && open_->record.commands < kMostCommands) {
    ++open_->record.commands;
    open_->record.bytes += work.bytes;
    open_->record.blocks += work.blocks;
    return;
  }
  const Event end = Close();
  if (pending_.size() >= kMostPending) Poll();
  Measurement next;
  if (pending_.size() < kMostPending && FitClock()) {
    next.issued = Now();
    next.start = continues && end != nullptr ? end : Mark(work.stream);
  }
  if (next.start == nullptr) return log_.Lost();
  next.stream = work.stream;
  next.record.kind = work.kind;
  next.record.commands = 1;
  next.record.bytes = work.bytes;
  next.record.blocks = work.blocks;
  next.record.connection = connection_;
  next.record.stream = Ordinal(work.stream);
  SetName(next.record, work);
  open_ = std::move(next);
}

Activity::Event Activity::Close() {
  if (!open_) return nullptr;
  const Event end = open_->end = Mark(open_->stream);
  if (end != nullptr)
    pending_.push_back(std::move(*open_));
  else
    log_.Lost();
  open_.reset();
  return end;
}

void Activity::Poll() {
  while (!pending_.empty()) {
    const CUresult result = driver_.cuEventQuery(pending_.front().end.get());
    if (result == CUDA_ERROR_NOT_READY) return;
    if (result == CUDA_SUCCESS)
      Write(pending_.front());
    else
      log_.Lost();
    pending_.pop_front();
  }
}

void Activity::Finish() {
  Close();
  if (pending_.empty()) return;
  for (const Measurement& due : pending_) driver_.cuEventSynchronize(due.end.get());
  Poll();
}

void Activity::Write(Measurement& measurement) {
  const nanoseconds seen = Now();
  measurement.record.start_ns = TimeOf(measurement.start, measurement.issued, seen);
  measurement.record.end_ns = TimeOf(measurement.end, nanoseconds(measurement.record.start_ns), seen);
  log_.Write(measurement.record);
}

uint64_t Activity::TimeOf(const Event& event, nanoseconds least, nanoseconds most) const {
  float elapsed_ms = 0;
  nanoseconds at = least;
  if (driver_.cuEventElapsedTime_v2(&elapsed_ms, base_.get(), event.get()) == CUDA_SUCCESS)
    at = base_at_ + nanoseconds(static_cast<int64_t>(static_cast<double>(elapsed_ms) * 1e6));
  return static_cast<uint64_t>(std::clamp(at, least, most).count());
}

bool Activity::FitClock() {
  const bool first = base_ == nullptr;
  if (!first && Now() - base_at_ < kFitAge) return true;
  if (clock_stream_ == nullptr &&
      driver_.cuStreamCreateWithPriority(&clock_stream_, CU_STREAM_NON_BLOCKING, 0) != CUDA_SUCCESS)
    return false;
  std::optional<nanoseconds> best;
  for (int i = 0; i < kFits; ++i) FitOnce(first && !best ? kFirstPatience : kPatience, best);
  return base_ != nullptr;
}

// The event happens between our two looks at the clock; the shorter that is, the better.
void Activity::FitOnce(nanoseconds patience, std::optional<nanoseconds>& best) {
  const nanoseconds before = Now();
  Event event = Mark(clock_stream_);
  if (event == nullptr) return;
  CUresult result;
  nanoseconds took;
  do {
    result = driver_.cuEventQuery(event.get());
    took = Now() - before;
  } while (result == CUDA_ERROR_NOT_READY && took < patience);
  if (result != CUDA_SUCCESS || (best && took >= *best)) return;
  best = took;
  base_ = std::move(event);
  base_at_ = before + took / 2;
}

void Activity::SetName(wire::ActivityRecord& record, const Work& work) {
  const char* name = nullptr;
  if (work.function != nullptr)
    driver_.cuFuncGetName(&name, work.function);
  else if (work.kernel != nullptr)
    driver_.cuKernelGetName(&name, work.kernel);
  if (name == nullptr) return;
  auto [found, fresh] = names_.try_emplace(name);
  if (fresh) found->second = Demangled(name);
  found->second.copy(record.name, sizeof record.name - 1);
}

uint32_t Activity::Ordinal(CUstream stream) {
  return ordinals_.try_emplace(stream, static_cast<uint32_t>(ordinals_.size() - 1)).first->second;
}

}  // namespace mignificient::server
