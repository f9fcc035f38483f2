// Threads that help the program's own where a copy is so large that one processor is slower than the bus. They exist
// from the first such copy on, spin briefly after each so that a series of copies does not wait for threads to wake, and
// sleep otherwise.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>

namespace mignificient::client {

class CopyCrew {
 public:
  // The process's, leaked on purpose: its threads outlive the program's destructors.
  static CopyCrew& Get();

  // With `most` threads; none are started before the first Run that asks for one.
  explicit CopyCrew(int most) : most_(most) {}
  CopyCrew(const CopyCrew&) = delete;
  CopyCrew& operator=(const CopyCrew&) = delete;

  // Calls `work` on the calling thread and at the same time on up to `helpers` others; returns when all of them have
  // returned. Where the crew works for another thread, where it may have no threads, or before they have woken, the
  // calling thread does the work alone: so `work` is done when any one call of it has returned and the others have none
  // left. Any thread.
  void Run(int helpers, const std::function<void()>& work);

  int most() const { return most_; }

 private:
  // The state of one Run: how many may still join, and how many have.
  static constexpr uint32_t kOneTicket = 1, kTickets = 0xffff, kOneInside = 0x10000;

  static void* Serve(void* crew);
  bool Help();
  bool Join();
  void StartThreads(int wanted);
  void Invite(int helpers);
  void WaitUntilAlone();

  const int most_;
  std::mutex running_;  // held by whom the crew works for
  int started_ = 0;     // guarded by running_
  const std::function<void()>* work_ = nullptr;  // valid while there are tickets, or somebody is inside
  alignas(64) std::atomic<uint32_t> calls_{0};   // futex word of the crew: bumped by each Run
  std::atomic<uint32_t> sleepers_{0};
  alignas(64) std::atomic<uint32_t> places_{0};  // futex word of the caller: tickets and who is inside
};

}  // namespace mignificient::client
