#include "node/store_thread.h"

#include "os/signals.h"

namespace mignificient::node {

StoreThread::StoreThread(boost::asio::any_io_executor loop, std::unique_ptr<Store> store)
    : loop_(std::move(loop)), store_(std::move(store)) {
  // Signals belong to the loop's thread.
  const os::SignalsBlocked blocked;
  thread_ = std::thread([this] { Work(); });
}

StoreThread::~StoreThread() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void StoreThread::Post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

void StoreThread::Work() {
  for (;;) {
    std::vector<Task> tasks;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ending_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      tasks.swap(tasks_);
    }
    const Result<> written = RunTogether(*store_, tasks);
    for (Task& task : tasks) task.tell(written);
  }
}

Result<> StoreThread::RunTogether(Store& store, std::vector<Task>& tasks) {
  auto written = store.Begin();
  for (Task& task : tasks) {
    if (!written) break;
    written = store.Save();
    if (!written) break;
    const bool good = task.run(store);
    written = good ? store.KeepSaved() : store.UndoSaved();
  }
  if (written) written = store.Commit();
  if (!written) store.Rollback();
  return written;
}

}  // namespace mignificient::node
