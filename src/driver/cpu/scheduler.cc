#include "driver/cpu/scheduler.h"

#include <algorithm>
#include <utility>

namespace mignificient::cpu {

// Guarded by the scheduler's mutex; `work` is used by the thread that runs the task alone.
class Task {
 public:
  Scheduler::Work work;
  size_t waits_for = 0;
  std::vector<Ticket> followers;
  bool done = false;
  Scheduler::Clock::time_point completed_at;
};

Scheduler::Scheduler(unsigned threads) : max_threads_(std::max(threads, 1u)) {}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    ready_changed_.notify_all();
    completed_.notify_all();
  }
  for (auto& thread : threads_) thread.join();
  const std::lock_guard lock(mutex_);  // tasks form chains: undo them one by one, not by recursion
  std::vector<Ticket> rest(ready_.begin(), ready_.end());
  while (!rest.empty()) {
    const Ticket task = std::move(rest.back());
    rest.pop_back();
    std::ranges::move(std::exchange(task->followers, {}), std::back_inserter(rest));
  }
}

std::shared_ptr<Stream> Scheduler::CreateStream(StreamKind kind) {
  auto stream = std::make_shared<Stream>(kind);
  const std::lock_guard lock(mutex_);
  std::erase_if(streams_, [](const auto& known) {
    return known.use_count() == 1 && (known->last_ == nullptr || known->last_->done);
  });
  streams_.push_back(stream);
  return stream;
}

// The newest tasks that a new task of `stream` comes after.
std::vector<Ticket> Scheduler::Predecessors(const Stream& stream) const {
  std::vector<Ticket> found;
  const auto add = [&](const Stream& other) {
    if (other.last_ != nullptr && !other.last_->done) found.push_back(other.last_);
  };
  add(stream);
  if (stream.kind_ == StreamKind::kNonBlocking) return found;
  const auto other_side = stream.kind_ == StreamKind::kLegacy ? StreamKind::kBlocking : StreamKind::kLegacy;
  for (const auto& other : streams_) {
    if (other->kind_ == other_side) add(*other);
  }
  return found;
}

Ticket Scheduler::Enqueue(Stream& stream, Work work, std::span<const Ticket> also_after) {
  std::unique_lock lock(mutex_);
  completed_.wait(lock, [&] { return pending_ < kMaxPending || stopping_; });
  return Add(stream, std::move(work), also_after);
}

Ticket Scheduler::EnqueueAfter(Work work, std::span<const Ticket> after) {
  std::unique_lock lock(mutex_);
  completed_.wait(lock, [&] { return pending_ < kMaxPending || stopping_; });
  return AddTask(std::move(work), after, {});
}

Ticket Scheduler::Add(Stream& stream, Work work, std::span<const Ticket> also_after) {
  return stream.last_ = AddTask(std::move(work), Predecessors(stream), also_after);
}

Ticket Scheduler::AddTask(Work work, std::span<const Ticket> predecessors, std::span<const Ticket> also_after) {
  auto task = std::make_shared<Task>();
  task->work = std::move(work);
  const auto wait_for = [&](const Ticket& other) {
    if (other == nullptr || other->done) return;
    other->followers.push_back(task);
    ++task->waits_for;
  };
  std::ranges::for_each(predecessors, wait_for);
  std::ranges::for_each(also_after, wait_for);
  ++pending_;
  if (task->waits_for == 0) MakeReady({task});
  return task;
}

Ticket Scheduler::Mark(Stream& stream) {
  const std::lock_guard lock(mutex_);
  return stream.kind_ == StreamKind::kLegacy ? Add(stream, {}, {}) : stream.last_;
}

bool Scheduler::IsIdle(const Stream& stream) {
  const std::lock_guard lock(mutex_);
  if (stream.kind_ == StreamKind::kLegacy) return Predecessors(stream).empty();
  return stream.last_ == nullptr || stream.last_->done;
}

// Queues tasks with work; completes those without and, with them, whatever waited for nothing else.
void Scheduler::MakeReady(std::vector<Ticket> tasks) {
  bool any_done = false;
  for (size_t i = 0; i < tasks.size(); ++i) {
    const Ticket task = tasks[i];
    if (task->work) {
      ready_.push_back(task);
      StartThreadIfUseful();
      continue;
    }
    task->done = any_done = true;
    task->completed_at = Clock::now();
    --pending_;
    for (auto& follower : std::exchange(task->followers, {})) {
      if (--follower->waits_for == 0) tasks.push_back(std::move(follower));
    }
  }
  if (any_done) completed_.notify_all();
}

void Scheduler::StartThreadIfUseful() {
  const unsigned most = max_threads_ + std::min(blocked_, kMaxBlocked);
  if (idle_threads_ < ready_.size() && threads_.size() < most && !stopping_) {
    threads_.emplace_back([this] { RunTasks(); });
  }
  ready_changed_.notify_one();
}

void Scheduler::RunTasks() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_threads_;
    ready_changed_.wait(lock, [&] { return stopping_ || !ready_.empty(); });
    --idle_threads_;
    if (stopping_) return;
    const Ticket task = std::move(ready_.front());
    ready_.pop_front();
    running_.push_back(task);
    lock.unlock();
    task->work();
    task->work = nullptr;  // what it held is released before anyone learns that it is done
    lock.lock();
    std::erase(running_, task);
    MakeReady({task});
  }
}

Scheduler::Blocked::Blocked(Scheduler& scheduler) : scheduler_(scheduler) {
  const std::lock_guard lock(scheduler_.mutex_);
  ++scheduler_.blocked_;
  if (!scheduler_.ready_.empty()) scheduler_.StartThreadIfUseful();
}

// The thread it made room for stays: it is needed again at the next wait.
Scheduler::Blocked::~Blocked() {
  const std::lock_guard lock(scheduler_.mutex_);
  --scheduler_.blocked_;
}

bool Scheduler::IsDone(const Ticket& ticket) {
  const std::lock_guard lock(mutex_);
  return ticket == nullptr || ticket->done;
}

void Scheduler::Wait(const Ticket& ticket) {
  std::unique_lock lock(mutex_);
  completed_.wait(lock, [&] { return ticket == nullptr || ticket->done || stopping_; });
}

void Scheduler::WaitAll() {
  std::vector<Ticket> tickets;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& stream : streams_) tickets.push_back(stream->last_);
  }
  for (const auto& ticket : tickets) Wait(ticket);
}

void Scheduler::WaitRunning() {
  std::vector<Ticket> tickets;
  {
    const std::lock_guard lock(mutex_);
    tickets = running_;
  }
  for (const auto& ticket : tickets) Wait(ticket);
}

Scheduler::Clock::time_point Scheduler::CompletedAt(const Ticket& ticket) {
  const std::lock_guard lock(mutex_);
  return ticket->completed_at;
}

}  // namespace mignificient::cpu
