// Streams as CUDA orders them, run by a bounded number of threads that sleep when nothing can run.
//
// Everything enqueued is a task that waits for other tasks: the one before it in its stream, the events it was told to
// wait for, and, between the legacy default stream and the blocking streams, the latest tasks of the other side. Tasks
// wait for earlier tasks only, so they always complete unless one of them runs for ever.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

namespace mignificient::cpu {

class Task;
using Ticket = std::shared_ptr<Task>;

enum class StreamKind {
  kLegacy,       // the one that waits for, and holds up, every blocking stream
  kBlocking,     // created with default flags; also the per-thread default stream
  kNonBlocking,  // CU_STREAM_NON_BLOCKING
};

class Stream {
 public:
  explicit Stream(StreamKind kind) : kind_(kind) {}
  StreamKind kind() const { return kind_; }

 private:
  friend class Scheduler;
  const StreamKind kind_;
  Ticket last_;  // newest task; guarded by the scheduler's mutex
};

// Thread-safe. Its threads start when first needed.
class Scheduler {
 public:
  using Work = std::function<void()>;
  using Clock = std::chrono::steady_clock;

  // At most `threads` tasks run at once.
  explicit Scheduler(unsigned threads);
  // Drops the work of tasks that have not started and waits for those that have: cancel these first.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  std::shared_ptr<Stream> CreateStream(StreamKind kind);

  // Appends to the stream. An empty `work` completes as soon as what it waits for has. Waits for room while
  // kMaxPending tasks are incomplete.
  Ticket Enqueue(Stream& stream, Work work, std::span<const Ticket> also_after = {});

  // The same without a stream: the task comes after `after` alone.
  Ticket EnqueueAfter(Work work, std::span<const Ticket> after);

  // A ticket that is done once all work now in the stream is; of the legacy stream, also that of the blocking ones.
  Ticket Mark(Stream& stream);
  // Whether that is so already. Polling it leaves nothing behind.
  bool IsIdle(const Stream& stream);

  bool IsDone(const Ticket& ticket);
  void Wait(const Ticket& ticket);
  void WaitAll();      // for everything enqueued before the call
  void WaitRunning();  // for work that has begun; tasks that have not may still be waiting

  // Within a task that waits for something outside its streams: another task may run meanwhile, so that what ends the
  // wait gets its turn.
  class Blocked {
   public:
    explicit Blocked(Scheduler& scheduler);
    ~Blocked();
    Blocked(const Blocked&) = delete;
    Blocked& operator=(const Blocked&) = delete;

   private:
    Scheduler& scheduler_;
  };

  // When the task completed; of a task that is done only.
  Clock::time_point CompletedAt(const Ticket& ticket);

 private:
  static constexpr size_t kMaxPending = 16384;
  static constexpr unsigned kMaxBlocked = 256;

  std::vector<Ticket> Predecessors(const Stream& stream) const;
  Ticket Add(Stream& stream, Work work, std::span<const Ticket> also_after);
  Ticket AddTask(Work work, std::span<const Ticket> predecessors, std::span<const Ticket> also_after);
  void MakeReady(std::vector<Ticket> tasks);
  void StartThreadIfUseful();
  void RunTasks();

  const unsigned max_threads_;
  std::mutex mutex_;
  unsigned blocked_ = 0;  // tasks that wait, each of which lets another run
  std::condition_variable ready_changed_;
  std::condition_variable completed_;
  std::deque<Ticket> ready_;
  std::vector<Ticket> running_;
  std::vector<std::shared_ptr<Stream>> streams_;  // until destroyed and drained
  size_t pending_ = 0;
  unsigned idle_threads_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace mignificient::cpu
