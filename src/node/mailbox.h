// Where one coroutine waits for what happens to it. One reader; posts from the same thread; posts are never lost.
#pragma once

#include <chrono>
#include <list>
#include <optional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace mignificient::node {

template <typename Event>
class Mailbox {
 public:
  explicit Mailbox(boost::asio::any_io_executor executor) : timer_(std::move(executor)) {}

  void Post(Event event) {
    events_.push_back(std::move(event));
    timer_.cancel();
  }

  // The oldest event, where there is one.
  std::optional<Event> Take() {
    if (events_.empty()) return std::nullopt;
    std::optional<Event> event(std::move(events_.front()));
    events_.pop_front();
    return event;
  }

  // The oldest event, or nullopt once `deadline` has passed and there is none.
  boost::asio::awaitable<std::optional<Event>> Next(std::chrono::steady_clock::time_point deadline) {
    while (events_.empty()) {
      if (std::chrono::steady_clock::now() >= deadline) co_return std::nullopt;
      timer_.expires_at(deadline);
      boost::system::error_code ignored;
      co_await timer_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
    }
    co_return Take();
  }

 private:
  boost::asio::steady_timer timer_;
  std::list<Event> events_;  // takes no memory while it is empty
};

}  // namespace mignificient::node
