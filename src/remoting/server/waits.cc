#include "remoting/server/waits.h"

#include <algorithm>
#include <cstdio>

namespace mignificient::server {

Waits::~Waits() {
  for (const CUevent event : pool_) driver_.cuEventDestroy_v2(event);
  for (const CUevent event : retired_) driver_.cuEventDestroy_v2(event);
}

void Waits::AddStreams(ring::Completion& completion, std::vector<CUstream> streams, Flush flush) {
  Add(&completion, streams, flush, {});
}

void Waits::After(std::vector<CUstream> streams, std::function<void()> then) {
  Add(nullptr, streams, Flush::kNo, std::move(then));
}

void Waits::Add(ring::Completion* completion, const std::vector<CUstream>& streams, Flush flush,
                std::function<void()> then) {
  Wait wait{completion, {}, flush, std::move(then)};
  for (const CUstream stream : streams) wait.conditions.push_back({stream, nullptr, false});
  unpinned_ += streams.size();
  waits_.push_back(std::move(wait));
}

void Waits::AddEvent(ring::Completion& completion, CUevent event, Flush flush) {
  waits_.push_back({&completion, {{nullptr, event, false}}, flush, {}});
}

void Waits::PinAll() {
  for (Wait& wait : waits_) {
    for (Condition& condition : wait.conditions) {
      if (condition.event != nullptr) continue;
      CUevent event = nullptr;
      if (!pool_.empty()) {
        event = pool_.back();
        pool_.pop_back();
      } else if (driver_.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING) != CUDA_SUCCESS) {
        continue;  // keeps polling the stream: later, but not wrong
      }
      if (driver_.cuEventRecord(event, condition.stream) != CUDA_SUCCESS) {
        pool_.push_back(event);
        continue;
      }
      condition.event = event;
      condition.pooled = true;
      --unpinned_;
    }
  }
}

void Waits::Drop(const Condition& condition) {
  if (condition.pooled) pool_.push_back(condition.event);
  if (condition.event == nullptr) --unpinned_;
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

CUresult Waits::Check(Wait& wait) {
  while (!wait.conditions.empty()) {
    const Condition condition = wait.conditions.back();
    const bool in_order = condition.InOrder();
    if (in_order && std::ranges::find(pending_, condition.stream) != pending_.end()) return CUDA_ERROR_NOT_READY;
    CUresult result =
        condition.event != nullptr ? driver_.cuEventQuery(condition.event) : driver_.cuStreamQuery(condition.stream);
    if (result == CUDA_ERROR_NOT_READY) {
      if (in_order) pending_.push_back(condition.stream);
      return result;
    }
    // Only a synchronisation makes the driver write out what kernels printed; the work itself is over.
    if (result == CUDA_SUCCESS && wait.flush == Flush::kYes && MayHavePrinted()) {
      result = condition.event != nullptr ? driver_.cuEventSynchronize(condition.event)
                                          : driver_.cuStreamSynchronize(condition.stream);
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

bool Waits::Poll(const std::function<void(CUresult)>& on_error) {
  bool progress = false;
  pending_.clear();
  for (size_t i = 0; i < waits_.size();) {
    const CUresult result = Check(waits_[i]);
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
