// Asynchronous calls: accepted now, run later, looked up until they are forgotten. Lives on the node's loop.
//
// A call that was accepted is in the database before its caller hears of it, and is marked there as running before its
// function begins. So, whenever the node dies, what was queued runs once after the restart, and what was running is
// `lost`: it may have run in part, and is not run again. The turn is held for that one write.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "node/caller.h"
#include "node/config.h"
#include "node/mailbox.h"
#include "node/request.h"
#include "node/store_thread.h"

namespace mignificient::node {

struct NewCall {
  std::string id, user, function;
  std::string payload;
  std::optional<double> timeout_s;  // shorter than the function's, or of no effect
  std::string traceparent;
};

class Calls {
 public:
  struct Hooks {
    std::function<boost::asio::awaitable<Answer>(Request, Caller&)> invoke;
    std::function<void(const std::string& user, const std::string& container)> kill;
    std::function<Result<Request>(const std::string& user, const std::string& function)> request;
    std::function<std::string(const std::string& user, const std::string& function)> content_type;  // of results
    std::function<void(const std::string& container)> settle;  // a call has ended in it
  };

  // `queued` is what the database holds, the oldest first. References outlive this and its coroutines.
  Calls(boost::asio::any_io_executor executor, const Config& config, StoreThread& store, Hooks hooks,
        std::vector<StoredCall> queued);

  // Returns once it is durable. What the function's registration says (kNotFound, kForbidden, kInvalidArgument);
  // kExhausted beyond calls.queue or calls.queue-bytes, kUnavailable while the node stops.
  boost::asio::awaitable<Result<StoredCall>> Accept(NewCall call);

  // kNotFound where there is none or it is forgotten. Where it is not over, waits for its end, up to `wait`.
  boost::asio::awaitable<Result<StoredCall>> Find(std::string id, std::chrono::nanoseconds wait = {});
  boost::asio::awaitable<Result<std::string>> ResultOf(std::string id);
  boost::asio::awaitable<Result<std::vector<StoredCall>>> List(CallFilter filter);

  // A queued call never runs; the container of a running one is killed. Returns the call once it is over; one that was
  // over before stays as it is.
  boost::asio::awaitable<Result<StoredCall>> Cancel(std::string id);

  // Begins no more. What is queued stays so; nobody waits any longer.
  void Stop();
  // Returns when nothing runs, after Stop and Node::Stop.
  boost::asio::awaitable<void> Finished();

 private:
  struct Live {  // a call that is not over
    StoredCall call;
    std::chrono::steady_clock::time_point accepted;
    bool claimed = false;  // marked as running
    bool cancelled = false;
    Caller* caller = nullptr;                            // while the node has it
    std::string container;                               // while it runs there
    std::optional<Error> trouble;                        // why it could not be marked
    std::shared_ptr<Mailbox<int>> retry;                 // while the node's queue is full
    std::vector<std::shared_ptr<Mailbox<int>>> waiting;  // for its end
  };
  using LivePtr = std::shared_ptr<Live>;
  struct Queue {  // of one user
    std::deque<LivePtr> waiting;
    uint32_t dispatched = 0;
    uint32_t unfinished = 0;
    uint64_t bytes = 0;
  };

  LivePtr Enter(const StoredCall& call);
  Result<> CheckRoom(const NewCall& call) const;
  void Release(const std::string& user, uint64_t bytes);
  void Dispatch(const std::string& user);
  boost::asio::awaitable<void> Run(LivePtr live);
  boost::asio::awaitable<std::optional<Answer>> Invoke(LivePtr live);
  boost::asio::awaitable<void> AwaitRoom(LivePtr live);
  boost::asio::awaitable<bool> Claim(LivePtr live, std::string container);
  Result<Request> RequestFor(const Live& live, const std::string& payload) const;
  boost::asio::awaitable<void> End(LivePtr live, Answer answer);
  boost::asio::awaitable<void> AwaitEnd(LivePtr live, std::chrono::steady_clock::time_point deadline);
  boost::asio::awaitable<void> Sweep();
  bool IsForgotten(const StoredCall& call) const;

  boost::asio::any_io_executor executor_;
  const Config& config_;
  StoreThread& store_;
  Hooks hooks_;
  std::map<std::string, LivePtr> live_;  // by id
  std::map<std::string, Queue> queues_;  // by user
  uint32_t running_ = 0;                 // coroutines of Run
  bool stopping_ = false;
  Mailbox<int> quiet_;
};

}  // namespace mignificient::node
