// Turns at the driver for connections that share a context. The driver serialises their calls with a lock at which
// threads sleep, and a thread that looks again and again whether its work is over takes that lock from those that
// launch. So who launches or copies waits here, awake, for the call of another to end, and who only looks does so when
// nobody is in the driver. A courtesy, not exclusion: nobody waits long, nor twice for the same call.
#pragma once

#include <atomic>
#include <cstdint>

#include "os/futex.h"

namespace mignificient::server {

class DriverTurn {
 public:
  void Join() { connections_.fetch_add(1, std::memory_order_relaxed); }
  void Leave() { connections_.fetch_sub(1, std::memory_order_relaxed); }

  // False: somebody has it. Take and give may be relaxed in what they order: nothing is protected.
  bool TryTake() {
    uint32_t state = state_.load(std::memory_order_relaxed);
    return (state & 1) == 0 && state_.compare_exchange_strong(state, state + 1, std::memory_order_relaxed);
  }
  void Give() { state_.fetch_add(1, std::memory_order_relaxed); }

  bool alone() const { return connections_.load(std::memory_order_relaxed) <= 1; }
  uint32_t state() const { return state_.load(std::memory_order_relaxed); }  // odd: taken; changes with each turn

 private:
  alignas(64) std::atomic<uint32_t> state_{0};
  alignas(64) std::atomic<uint32_t> connections_{0};
};

// A connection's place in the turns; for its thread.
class DriverSeat {
 public:
  explicit DriverSeat(DriverTurn& turn) : turn_(turn) { turn_.Join(); }
  ~DriverSeat() { turn_.Leave(); }
  DriverSeat(const DriverSeat&) = delete;
  DriverSeat& operator=(const DriverSeat&) = delete;

  // The turn for as long as this lives, where it comes soon.
  class Turn {
   public:
    explicit Turn(DriverSeat& seat) : turn_(seat.Take() ? &seat.turn_ : nullptr) {}
    ~Turn() {
      if (turn_ != nullptr) turn_->Give();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    DriverTurn* turn_;
  };

  // False while another's turn lasts that lasted already when this was asked before, if not for long.
  bool MayLook() {
    const uint32_t state = turn_.state();
    const bool taken = (state & 1) != 0 && !turn_.alone();
    if (taken && (refusals_ == 0 || state == refused_in_) && refusals_ < kMostLooks) {
      refused_in_ = state;
      ++refusals_;
      return false;
    }
    refusals_ = 0;
    return true;
  }

 private:
  static constexpr int kMostLooks = 400;  // some 20 us: several launches

  bool Take() {
    if (turn_.alone()) return false;
    for (int i = 0; i < kMostLooks; ++i) {
      if (turn_.TryTake()) return true;
      if (turn_.state() == waited_for_) return false;
      os::SpinPause();
    }
    waited_for_ = turn_.state();
    return false;
  }

  DriverTurn& turn_;
  uint32_t waited_for_ = 0;  // the turn that was too long
  uint32_t refused_in_ = 0;  // the turn in which MayLook has refused, so often in a row
  int refusals_ = 0;
};

}  // namespace mignificient::server
