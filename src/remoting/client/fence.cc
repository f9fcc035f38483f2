#include "remoting/client/fence.h"

#include "remoting/client/call.h"
#include "remoting/client/channel.h"
#include "remoting/wire/commands.h"

namespace mignificient::client {

using wire::Command;

void Fences::Raise(uint64_t epoch) {
  uint64_t known = passed_.load(std::memory_order_relaxed);
  while (known < epoch && !passed_.compare_exchange_weak(known, epoch, std::memory_order_relaxed)) {
  }
}

uint64_t Fences::Passed() {
  Raise(TheChannel()->fence_passed());
  return passed_.load(std::memory_order_relaxed);
}

void Fences::Mark() {
  if (marked_.load(std::memory_order_relaxed) > Passed()) return;
  const std::lock_guard lock(lock_);
  if (marked_.load(std::memory_order_relaxed) > Passed()) return;
  const uint64_t epoch = open_.fetch_add(1, std::memory_order_acq_rel);
  marked_.store(epoch, std::memory_order_relaxed);
  const Idleness& idleness = TheChannel()->idleness();
  const uint64_t before = idleness.written();
  PostBody(static_cast<uint16_t>(Command::kFence), wire::FenceBody{epoch, 0});
  marked_at_.store(idleness.written() == before + 1 ? before + 1 : 0, std::memory_order_relaxed);
}

// Either a wait has told so, or a fence that is still the last command written. That is not Idleness: a wait behind it
// has to have the driver write out what kernels printed.
bool Fences::AllComplete() {
  const Idleness& idleness = TheChannel()->idleness();
  const uint64_t written = idleness.written();
  if (complete_at_.load(std::memory_order_relaxed) == written || idleness.Known()) return true;
  if (marked_at_.load(std::memory_order_relaxed) != written) return false;
  const std::lock_guard lock(lock_);
  if (marked_at_.load(std::memory_order_relaxed) != written || marked_.load(std::memory_order_relaxed) > Passed())
    return false;
  complete_at_.store(written, std::memory_order_relaxed);
  return true;
}

CUresult Fences::Ask(bool now) {
  const wire::FenceBody body{open_.fetch_add(1, std::memory_order_acq_rel), now};
  const Idleness& idleness = TheChannel()->idleness();
  const uint64_t before = idleness.written();
  const CUresult result = Call(static_cast<uint16_t>(Command::kFence), std::as_bytes(std::span(&body, 1)), {});
  if (result == CUDA_SUCCESS && idleness.written() == before + 1)
    complete_at_.store(before + 1, std::memory_order_relaxed);
  // A sticky error ends the work as well; only a server that has gone leaves it open.
  if (result != CUDA_ERROR_NOT_READY && result != CUDA_ERROR_DEVICE_UNAVAILABLE) Raise(body.epoch);
  return result;
}

void Fences::Poll() {
  Ask(true);
}

CUresult Fences::Wait(uint64_t epoch) {
  return epoch <= Passed() ? CUDA_SUCCESS : Ask(false);
}

Fences& TheFences() {
  static Fences& fences = *new Fences;
  return fences;
}

}  // namespace mignificient::client
