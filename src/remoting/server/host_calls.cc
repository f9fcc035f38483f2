#include "remoting/server/host_calls.h"

#include <chrono>

#include "os/futex.h"

namespace mignificient::server {

void* HostCalls::Add(uint64_t id, bool repeats) {
  const std::lock_guard lock(lock_);
  if (calls_.size() == kLimit) return nullptr;
  Call& call = calls_.emplace_back(Call{this, id, repeats, {}});
  call.place = std::prev(calls_.end());
  return &call;
}

void HostCalls::Remove(void* call) {
  const std::lock_guard lock(lock_);
  calls_.erase(static_cast<Call*>(call)->place);
}

void HostCalls::Function(void* call) {
  Callback(nullptr, CUDA_SUCCESS, call);
}

void HostCalls::Callback(CUstream, CUresult status, void* call) {
  auto& ours = *static_cast<Call*>(call);
  ours.owner->Run(ours, status);
}

uint64_t HostCalls::IdOf(const void* call) {
  const std::lock_guard lock(lock_);
  for (const Call& each : calls_)
    if (&each == call) return each.id;
  return 0;
}

void HostCalls::Run(Call& call, CUresult status) {
  {
    const std::lock_guard turn(turn_);
    if (!closed_.load(std::memory_order_acquire)) {
      box_.id.store(call.id, std::memory_order_relaxed);
      box_.status.store(status, std::memory_order_relaxed);
      // Releases id and status to the client's thread, which acquires `asked`.
      const uint32_t asked = box_.asked.fetch_add(1, std::memory_order_release) + 1;
      os::FutexWakeAll(box_.asked);
      // Acquires what the function wrote to shared memory; released by the client's store to `ended`.
      for (uint32_t ended = box_.ended.load(std::memory_order_acquire);
           ended != asked && !closed_.load(std::memory_order_acquire);
           ended = box_.ended.load(std::memory_order_acquire))
        os::FutexWait(box_.ended, ended, std::chrono::milliseconds(100));
    }
  }
  if (!call.repeats) Remove(&call);
}

void HostCalls::Close() {
  closed_.store(true, std::memory_order_release);
  os::FutexWakeAll(box_.ended);
}

}  // namespace mignificient::server
