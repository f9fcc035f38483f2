#include "remoting/server/waits.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace mignificient::server {

Waits::~Waits() {
  for (const CUevent event : pool_) driver_.cuEventDestroy_v2(event);
  for (const CUevent event : retired_) driver_.cuEventDestroy_v2(event);
}

void Waits::AddStreams(ring::Completion& completion, const std::vector<CUstream>& streams, Purpose purpose) {
  Add(&completion, streams, purpose, {});
}

void Waits::After(const std::vector<CUstream>& streams, std::function<void()> then) {
  Add(nullptr, streams, Purpose::kRoom, std::move(then));
}

void Waits::Add(ring::Completion* completion, const std::vector<CUstream>& streams, Purpose purpose,
                std::function<void()> then) {
  Wait wait{completion, {}, purpose, std::move(then)};
  for (const CUstream stream : streams) wait.conditions.push_back({.stream = stream});
  const auto last = std::ranges::find(wait.conditions, just_issued_, &Condition::stream);
  if (last != wait.conditions.end()) {
    std::swap(*last, wait.conditions.back());  // which is looked at first
    WantMark(wait);
  }
  unpinned_ += streams.size();
  waits_.push_back(std::move(wait));
}

void Waits::AddEvent(ring::Completion& completion, CUevent event, Purpose purpose) {
  Wait wait{&completion, {{.event = event}}, purpose, {}};
  if (just_issued_ && just_recorded_ == event) {  // it happens when all that the stream has is complete
    wait.conditions.back().stream = *just_issued_;
    WantMark(wait);
  }
  waits_.push_back(std::move(wait));
}

void Waits::WantMark(const Wait& wait) {
  if (marks_ != nullptr && wait.purpose != Purpose::kRoom) wants_mark_ = wait.completion;
}

void Waits::PinAll() {
  for (Wait& wait : waits_)
    for (Condition& condition : wait.conditions)
      if (condition.PollsStream() && Record(condition)) --unpinned_;
}

// False: it keeps polling the stream, which is later, but not wrong.
bool Waits::Record(Condition& condition) {
  CUevent event = nullptr;
  if (!pool_.empty()) {
    event = pool_.back();
    pool_.pop_back();
  } else if (driver_.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING) != CUDA_SUCCESS) {
    return false;
  }
  if (driver_.cuEventRecord(event, condition.stream) != CUDA_SUCCESS) {
    pool_.push_back(event);
    return false;
  }
  condition.event = event;
  condition.pooled = true;
  return true;
}

void Waits::LetGoOfStreams() {
  Pin();
  for (Wait& wait : waits_)
    for (Condition& condition : wait.conditions)
      if (condition.event == nullptr && !Record(condition)) condition.lost = true;
}

// For who wants it, and for all others that poll the stream: nothing has been issued to it since they were added.
void Waits::SetMark() {
  const auto asker = std::ranges::find(waits_, std::exchange(wants_mark_, nullptr), &Wait::completion);
  if (asker == waits_.end() || asker->conditions.empty() || asker->conditions.back().mark) return;
  Condition& wanted = asker->conditions.back();
  const CUstream stream = wanted.stream;
  const auto mark = marks_->Set(stream);
  if (!mark) return;
  last_marked_ = stream;
  if (wanted.PollsStream()) --unpinned_;
  wanted.mark = mark;
  for (Wait& wait : waits_) {
    for (Condition& condition : wait.conditions) {
      if (!condition.PollsStream() || condition.stream != stream) continue;
      marks_->Share(*mark);
      condition.mark = mark;
      --unpinned_;
    }
  }
}

void Waits::Drop(const Condition& condition) {
  if (condition.pooled) pool_.push_back(condition.event);
  if (condition.PollsStream()) --unpinned_;
  if (condition.mark) marks_->Drop(*condition.mark);
}

// For all sessions of the context: where another one prints, this one synchronises without need.
bool Waits::MayHavePrinted() {
  if (prints_ == Prints::kUnknown) {
    size_t bytes = 0;
    const bool none = driver_.cuCtxGetLimit(&bytes, CU_LIMIT_PRINTF_FIFO_SIZE) == CUDA_SUCCESS &&
                      driver_.cuCtxSetLimit(CU_LIMIT_PRINTF_FIFO_SIZE, bytes) == CUDA_SUCCESS;
    prints_ = none ? Prints::kNo : Prints::kYes;
  }
  return prints_ == Prints::kYes;
}

CUresult Waits::Ask(Condition& condition, Look look) {
  if (condition.mark) {
    if (marks_->Reached(*condition.mark)) {
      if (last_marked_ == condition.stream) idle_ = std::exchange(last_marked_, std::nullopt);
      return CUDA_SUCCESS;
    }
    if (!asks_driver_ || condition.lost) return CUDA_ERROR_NOT_READY;
  }
  if (condition.event == nullptr && condition.lost) return CUDA_ERROR_OUT_OF_MEMORY;  // for the event
  const CUresult result =
      condition.event != nullptr ? driver_.cuEventQuery(condition.event) : driver_.cuStreamQuery(condition.stream);
  if (result == CUDA_ERROR_NOT_READY && look != Look::kGlance && wants_mark_ != nullptr) SetMark();
  return result;
}

CUresult Waits::Check(Wait& wait, Look look) {
  while (!wait.conditions.empty()) {
    Condition& condition = wait.conditions.back();
    const bool in_order = condition.InOrder();
    if (in_order && std::ranges::find(pending_, condition.stream) != pending_.end()) return CUDA_ERROR_NOT_READY;
    CUresult result = Ask(condition, look);
    if (result == CUDA_ERROR_NOT_READY) {
      if (in_order) pending_.push_back(condition.stream);
      return result;
    }
    // Only a synchronisation makes the driver write out what kernels printed; the work itself is over.
    if (result == CUDA_SUCCESS && wait.purpose == Purpose::kSynchronize && MayHavePrinted()) {
      if (condition.event != nullptr)
        result = driver_.cuEventSynchronize(condition.event);
      else if (!condition.lost)
        result = driver_.cuStreamSynchronize(condition.stream);
      std::fflush(stdout);
    }
    Drop(condition);
    wait.conditions.pop_back();
    if (result != CUDA_SUCCESS) {
      for (const Condition& rest : wait.conditions) Drop(rest);
      wait.conditions.clear();
      return result;
    }
  }
  return CUDA_SUCCESS;
}

bool Waits::Poll(Look look, const std::function<void(CUresult)>& on_error) {
  constexpr uint32_t kLooksPerQuestion = 256;  // some 20 us
  asks_driver_ = look == Look::kSlept || ++looks_ % kLooksPerQuestion == 0;
  bool progress = false;
  pending_.clear();
  for (size_t i = 0; i < waits_.size();) {
    const CUresult result = Check(waits_[i], look);
    if (result == CUDA_ERROR_NOT_READY) {
      ++i;
      continue;
    }
    if (result != CUDA_SUCCESS) on_error(result);
    const Wait over = std::move(waits_[i]);
    waits_.erase(waits_.begin() + static_cast<long>(i));
    if (over.completion != nullptr) over.completion->Finish(result);
    if (over.then) over.then();
    progress = true;
  }
  wants_mark_ = nullptr;
  if (waits_.empty() && !retired_.empty()) {
    for (const CUevent event : retired_) driver_.cuEventDestroy_v2(event);
    retired_.clear();
  }
  return progress;
}

void Waits::Retire(CUevent event) {
  if (waits_.empty())
    driver_.cuEventDestroy_v2(event);
  else
    retired_.push_back(event);
}

void Waits::Abandon(CUresult result) {
  for (Wait& wait : waits_) {
    for (const Condition& condition : wait.conditions) Drop(condition);
    if (wait.completion != nullptr) wait.completion->Finish(result);
  }
  waits_.clear();
}

}  // namespace mignificient::server
