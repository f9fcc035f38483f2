// A Store on a thread of its own, so that no fsync ever blocks the node's loop. Jobs run in the order in which they
// were asked for; those that wait together share one transaction.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>

#include "node/mailbox.h"
#include "node/store.h"

namespace mignificient::node {

class StoreThread {
 public:
  StoreThread(boost::asio::any_io_executor loop, std::unique_ptr<Store> store);
  // Does what was asked for, then ends. Coroutines that still wait are not resumed by it.
  ~StoreThread();

  // Runs `job`, which returns a Result<T>, on the thread. Resumes on the loop once it is durable: an error of the job
  // undoes that job alone, an error of the transaction is everybody's.
  template <typename Job>
  boost::asio::awaitable<std::invoke_result_t<Job&, Store&>> Do(Job job) {
    using Outcome = std::invoke_result_t<Job&, Store&>;
    struct Asked {
      Asked(boost::asio::any_io_executor loop, Job asked_job) : job(std::move(asked_job)), answer(std::move(loop)) {}
      Job job;
      std::optional<Outcome> outcome;
      Mailbox<Outcome> answer;
    };
    const auto asked = std::make_shared<Asked>(loop_, std::move(job));
    Task task;
    task.run = [asked](Store& store) {
      asked->outcome = asked->job(store);
      return asked->outcome->has_value();
    };
    task.tell = [asked, loop = loop_](const Result<>& written) {
      if (!written) asked->outcome = std::unexpected(written.error());
      boost::asio::post(loop, [asked] { asked->answer.Post(std::move(*asked->outcome)); });
    };
    Post(std::move(task));
    auto answer = co_await asked->answer.Next(std::chrono::steady_clock::time_point::max());
    co_return std::move(*answer);
  }

 private:
  struct Task {
    std::function<bool(Store&)> run;            // false: to be undone
    std::function<void(const Result<>&)> tell;  // whether the transaction was written
  };
  void Post(Task task);
  void Work();
  static Result<> RunTogether(Store& store, std::vector<Task>& tasks);

  boost::asio::any_io_executor loop_;
  std::unique_ptr<Store> store_;  // the thread's
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Task> tasks_;  // guarded by mutex_, as `ending_`
  bool ending_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace mignificient::node
