// The cores of the software GPU: threads that execute the blocks of grids.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace mignificient::cpu {

// Runs one function on several threads at once. The caller of Run works too, so a pool of N threads
// starts N - 1. Several threads may call Run at the same time; they share the pool's threads.
class WorkerPool {
 public:
  explicit WorkerPool(unsigned threads = std::thread::hardware_concurrency());
  ~WorkerPool();  // no Run may be in progress
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  unsigned threads() const { return static_cast<unsigned>(helpers_.size()) + 1; }

  // Calls `body` on the calling thread and on at most `parallelism` - 1 free threads of the pool;
  // returns once every started call has returned. `body` must take its share of the work from a
  // shared counter: how many calls are made depends on how many threads are free.
  void Run(unsigned parallelism, const std::function<void()>& body);

 private:
  struct Job;
  void Help();

  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::shared_ptr<Job>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> helpers_;
};

}  // namespace mignificient::cpu
