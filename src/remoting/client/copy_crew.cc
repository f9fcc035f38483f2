#include "remoting/client/copy_crew.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>

#include "os/cpus.h"
#include "os/futex.h"
#include "os/signals.h"

namespace mignificient::client {
namespace {

constexpr std::chrono::microseconds kSpin{100};
constexpr int kMostHelpers = 5;  // six threads fill a PCIe 5.0 x16 bus

// Half of the processors are left to the GPU server's dispatcher and to everybody else.
int HelpersHere() {
  return std::clamp(os::AvailableCpus() / 2 - 1, 0, kMostHelpers);
}

}  // namespace

CopyCrew& CopyCrew::Get() {
  static CopyCrew& crew = *new CopyCrew(HelpersHere());
  return crew;
}

void CopyCrew::Run(int helpers, const std::function<void()>& work) {
  helpers = std::min(helpers, most_);
  if (helpers <= 0) return work();
  const std::unique_lock lock(running_, std::try_to_lock);
  if (!lock.owns_lock()) return work();
  StartThreads(helpers);
  work_ = &work;
  // Releases work_ to Join.
  places_.store(static_cast<uint32_t>(helpers) * kOneTicket, std::memory_order_release);
  Invite(helpers);
  work();
  WaitUntilAlone();
}

// The program's signal handlers run on its own threads. The stacks of these are of the usual size: the
// thread-local variables of the program's libraries lie there too, 94 KiB for cuBLASLt alone. Where the system gives no
// thread, the others do its share.
void CopyCrew::StartThreads(int wanted) {
  if (started_ >= wanted) return;
  const os::SignalsBlocked blocked;
  for (pthread_t thread; started_ < wanted; ++started_) {
    if (::pthread_create(&thread, nullptr, Serve, this) != 0) break;
    ::pthread_setname_np(thread, "cuda-copy");
    ::pthread_detach(thread);
  }
}

void CopyCrew::Invite(int helpers) {
  calls_.fetch_add(1);
  // Pairs with Serve: either it sees the new call before it sleeps, or it is counted here.
  if (const uint32_t asleep = sleepers_.load(); asleep > 0)
    os::FutexWake(calls_, std::min(helpers, static_cast<int>(asleep)));
}

void CopyCrew::WaitUntilAlone() {
  // Nobody joins any more.
  uint32_t places = places_.fetch_and(~kTickets, std::memory_order_acq_rel) & ~kTickets;
  for (int i = 0; places != 0; ++i) {
    if (i < 2000)
      os::SpinPause();
    else
      os::FutexWait(places_, places);
    // Acquires what the helpers did.
    places = places_.load(std::memory_order_acquire);
  }
}

bool CopyCrew::Join() {
  uint32_t places = places_.load(std::memory_order_acquire);
  while ((places & kTickets) != 0)
    // Acquires work_.
    if (places_.compare_exchange_weak(places, places - kOneTicket + kOneInside, std::memory_order_acq_rel,
                                      std::memory_order_acquire))
      return true;
  return false;
}

bool CopyCrew::Help() {
  bool helped = false;
  for (; Join(); helped = true) {
    (*work_)();
    // Releases what was done to WaitUntilAlone. After it the Run may be over, and the crew another caller's.
    const uint32_t before = places_.fetch_sub(kOneInside, std::memory_order_acq_rel);
    if (before - kOneInside == 0) os::FutexWakeAll(places_);
  }
  return helped;
}

void* CopyCrew::Serve(void* crew_pointer) {
  CopyCrew& crew = *static_cast<CopyCrew*>(crew_pointer);
  bool helped = false;
  for (uint32_t seen = crew.calls_.load() - 1;;) {
    os::AwaitChange(crew.calls_, seen, helped ? kSpin : std::chrono::microseconds(0), crew.sleepers_);
    seen = crew.calls_.load(std::memory_order_acquire);
    helped = crew.Help();
  }
}

}  // namespace mignificient::client
