#include "remoting/server/host_calls.h"

#include <algorithm>
#include <chrono>

#include "os/futex.h"

namespace mignificient::server {

bool HostCalls::Count() {
  if (count_ == kLimit) return false;
  ++count_;
  return true;
}

void* HostCalls::Add(uint64_t id) {
  const std::lock_guard lock(lock_);
  if (!Count()) return nullptr;
  Once& call = once_.emplace_back(Once{this, id, {}});
  call.place = std::prev(once_.end());
  return &call;
}

void HostCalls::Remove(void* call) {
  const std::lock_guard lock(lock_);
  once_.erase(static_cast<Once*>(call)->place);
  --count_;
}

HostCalls::Ref HostCalls::Keep(uint64_t id, Kind kind) {
  {
    const std::lock_guard lock(lock_);
    if (!Count()) return nullptr;
  }
  return std::make_shared<Call>(*this, id, kind);
}

HostCalls::Call::~Call() {
  const std::lock_guard lock(owner_.lock_);
  owner_.ended_.push_back(id_);
}

HostCalls::Ref HostCalls::Of(CUhostFn function, void* user_data) {
  return function == Repeat ? static_cast<Call*>(user_data)->shared_from_this() : nullptr;
}

CUDA_HOST_NODE_PARAMS HostCalls::NodeOf(const Ref& call) {
  return call == nullptr ? CUDA_HOST_NODE_PARAMS{Nothing, nullptr} : CUDA_HOST_NODE_PARAMS{Repeat, call.get()};
}

size_t HostCalls::TakeEnded(std::span<uint64_t> ids) {
  const std::lock_guard lock(lock_);
  const size_t count = std::min(ids.size(), ended_.size());
  std::copy(ended_.end() - static_cast<ptrdiff_t>(count), ended_.end(), ids.begin());
  ended_.resize(ended_.size() - count);
  count_ -= count;
  return count;
}

void HostCalls::Function(void* call) {
  Callback(nullptr, CUDA_SUCCESS, call);
}

void HostCalls::Callback(CUstream, CUresult status, void* call) {
  const auto& once = *static_cast<Once*>(call);
  once.owner->Run(once.id, status);
  once.owner->Remove(call);
}

void HostCalls::Repeat(void* call) {
  const auto& ours = *static_cast<Call*>(call);
  ours.owner_.Run(ours.id_, CUDA_SUCCESS);
}

void HostCalls::Run(uint64_t id, CUresult status) {
  const std::lock_guard turn(turn_);
  if (closed_.load(std::memory_order_acquire)) return;
  box_.id.store(id, std::memory_order_relaxed);
  box_.status.store(status, std::memory_order_relaxed);
  // Releases id and status to the client's thread, which acquires `asked`.
  const uint32_t asked = box_.asked.fetch_add(1, std::memory_order_release) + 1;
  os::FutexWakeAll(box_.asked);
  // Acquires what the function wrote to shared memory; released by the client's store to `ended`.
  for (uint32_t ended = box_.ended.load(std::memory_order_acquire);
       ended != asked && !closed_.load(std::memory_order_acquire); ended = box_.ended.load(std::memory_order_acquire))
    os::FutexWait(box_.ended, ended, std::chrono::milliseconds(100));
}

void HostCalls::Close() {
  closed_.store(true, std::memory_order_release);
  os::FutexWakeAll(box_.ended);
}

}  // namespace mignificient::server
