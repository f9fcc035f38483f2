// What tests, os/model/atomic.h and the code that is explored call.
#include "os/model/explorer.h"

#include <memory>
#include <optional>
#include <utility>

#include "os/barrier.h"
#include "os/cpus.h"
#include "os/futex.h"
#include "os/model/exploration.h"

namespace mignificient::os::model {

thread_local Explorer* exploring = nullptr;

Outcome Explore(const std::function<World()>& build, const Options& options) {
  const auto explorer = std::make_unique<Explorer>(options);
  exploring = explorer.get();
  Outcome outcome = explorer->Run(build);
  exploring = nullptr;
  return outcome;
}

void Check(bool holds, const char* what) {
  exploring->Check(holds, what);
}
void Name(const void* atomic, std::string name) {
  exploring->Name(atomic, std::move(name));
}
void Register(const void* atomic) {
  exploring->Register(atomic);
}
uint64_t Load(const void* atomic, std::memory_order order) {
  return exploring->Load(exploring->Find(atomic), order);
}
void Store(const void* atomic, uint64_t value, std::memory_order order) {
  exploring->Store(exploring->Find(atomic), value, order);
}
uint64_t Update(const void* atomic, Combine combine, uint64_t operand, std::memory_order order) {
  return exploring->Update(exploring->Find(atomic), combine, operand, order);
}
bool CompareExchange(const void* atomic, uint64_t& expected, uint64_t desired, std::memory_order success,
                     std::memory_order failure) {
  return exploring->CompareExchange(exploring->Find(atomic), expected, desired, success, failure);
}
void Fence() {
  exploring->Fence();
}
void CompilerFence() {
  exploring->CompilerFence();
}
void AccessPlain(const void* address, size_t bytes, bool write) {
  exploring->AccessPlain(address, bytes, write);
}

}  // namespace mignificient::os::model

// The kernel's part of os/futex.h, os/barrier.h and os/cpus.h, in place of their sources.
namespace mignificient::os {

int AvailableCpus() {
  return 1;
}
bool OffersBarrier() {
  return true;
}
bool RegisterForBarrier() {
  return true;
}
void BarrierEverywhere() {
  model::exploring->Barrier();
}
void FutexWait(const Atomic<uint32_t>& word, uint32_t expected, std::optional<std::chrono::nanoseconds>) {
  model::exploring->Wait(model::exploring->Find(&word), expected);
}
void FutexWakeAll(const Atomic<uint32_t>& word) {
  model::exploring->Wake(model::exploring->Find(&word));
}

}  // namespace mignificient::os
