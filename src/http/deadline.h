// A deadline that is moved often and rarely reached: to move it touches no timer. Lives on one loop.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace mignificient::http {

class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  // `reached` is called by the loop when the deadline has passed, once for each; not after the destruction.
  Deadline(boost::asio::any_io_executor executor, std::function<void()> reached)
      : timer_(std::move(executor)), reached_(std::move(reached)) {}

  void In(double seconds) {
    deadline_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    if (!armed_ || timer_.expiry() > deadline_) Arm();
  }
  void Never() { deadline_ = Clock::time_point::max(); }

 private:
  void Arm() {
    armed_ = true;
    timer_.expires_at(deadline_);
    timer_.async_wait([this, alive = std::weak_ptr(alive_)](boost::system::error_code cancelled) {
      if (!cancelled && !alive.expired()) OnTimer();
    });
  }

  // The timer goes off where the deadline was when it was set.
  void OnTimer() {
    if (timer_.expiry() > Clock::now()) return;  // set anew while this was on its way
    armed_ = false;
    if (deadline_ == Clock::time_point::max()) return;
    if (Clock::now() < deadline_) return Arm();
    Never();
    reached_();
  }

  boost::asio::steady_timer timer_;
  std::function<void()> reached_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
  Clock::time_point deadline_ = Clock::time_point::max();
  bool armed_ = false;
};

}  // namespace mignificient::http
