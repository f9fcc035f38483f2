#include "driver/cpu/exec/worker_pool.h"

#include <algorithm>

namespace mignificient::cpu {

struct WorkerPool::Job {
  const std::function<void()>* body = nullptr;
  unsigned wanted = 0;   // helpers that may still join
  unsigned running = 0;  // helpers inside body
  std::condition_variable done;
};

WorkerPool::WorkerPool(unsigned threads) {
  for (unsigned i = 1; i < std::max(threads, 1u); ++i) helpers_.emplace_back([this] { Help(); });
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  for (auto& helper : helpers_) helper.join();
}

void WorkerPool::Help() {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    const std::shared_ptr<Job> job = queue_.front();
    // Jobs take turns, so that a long grid does not keep every helper from the next one.
    queue_.pop_front();
    if (--job->wanted > 0) queue_.push_back(job);
    ++job->running;
    lock.unlock();
    (*job->body)();
    lock.lock();
    if (--job->running == 0) job->done.notify_all();
  }
}

void WorkerPool::Run(unsigned parallelism, const std::function<void()>& body) {
  const unsigned helpers = std::min(std::max(parallelism, 1u), threads()) - 1;
  if (helpers == 0) {
    body();
    return;
  }
  const auto job = std::make_shared<Job>();
  job->body = &body;
  job->wanted = helpers;
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(job);
  }
  for (unsigned i = 0; i < helpers; ++i) work_.notify_one();
  body();
  std::unique_lock lock(mutex_);
  std::erase(queue_, job);  // helpers that did not come are not needed any more
  job->done.wait(lock, [&] { return job->running == 0; });
}

}  // namespace mignificient::cpu
