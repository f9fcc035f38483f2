// Somebody who waits for an invocation's answer, as Node and whoever asks it know them.
#pragma once

#include <functional>
#include <string>

#include <boost/asio/awaitable.hpp>

namespace mignificient::node {

// May lose interest: `Leave` while the invocation waits takes it out of the queue; one that runs goes on, and its answer
// is dropped.
class Caller {
 public:
  void Leave() {
    if (on_leave_) on_leave_();
  }

  // Where it is set: asked with the turn, before the function runs, at most once. False: it does not run, and the
  // answer is kNoCapacity.
  std::function<boost::asio::awaitable<bool>(const std::string& container)> before_run;

 private:
  friend class Node;
  std::function<void()> on_leave_;
};

}  // namespace mignificient::node
