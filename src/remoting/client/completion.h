// What is known, without asking, of events and streams that were found complete. Both stay so until something is
// written that may change it. Any thread may ask and tell; where two threads disagree about which came first, nothing
// is known.
#pragma once

#include <atomic>
#include <cstdint>

#include "remoting/client/idleness.h"
#include "remoting/client/seq_slot.h"

namespace mignificient::client {

// Whether the last record of an event is known to be complete.
class EventState {
 public:
  // A record of the event was written: call afterwards, since who asks meanwhile may be answered for the record before.
  // `complete`: of work that was complete already.
  void Recorded(bool complete) {
    uint64_t word = word_.load(std::memory_order_relaxed);
    while (!word_.compare_exchange_weak(word, Next(word, complete), std::memory_order_release)) {
    }
  }
  // A graph or a launch may record it from now on, at any time.
  void RecordedElsewhere() { word_.fetch_or(kElsewhere, std::memory_order_release); }

  // How it was found out. Only a wait has had the driver write out what kernels printed, so a query's answer is none to
  // a wait.
  enum class By : uint64_t { kQuery = 1, kWait = 3 };

  // Taken before the server is asked, and told to Complete() once it has said so.
  uint64_t Asked() const { return word_.load(std::memory_order_acquire); }
  // Counts only if nobody has recorded it since.
  void Complete(uint64_t asked, By by) {
    if ((asked & kElsewhere) != 0) return;
    word_.compare_exchange_strong(asked, asked | static_cast<uint64_t>(by), std::memory_order_release);
  }

  // Whether `by` would succeed.
  bool Known(By by) const {
    const uint64_t wanted = static_cast<uint64_t>(by);
    return (word_.load(std::memory_order_acquire) & (wanted | kElsewhere)) == wanted;
  }

 private:
  static constexpr uint64_t kComplete = 3, kElsewhere = 4, kRecord = 8;  // By, then a flag; the rest counts records
  static uint64_t Next(uint64_t word, bool complete) {
    return ((word + kRecord) & ~kComplete) | (complete ? kComplete : 0);
  }
  std::atomic<uint64_t> word_{0};
};

// Of a stream: both hold while Idleness::written() is what it was.
class StreamState {
 public:
  static constexpr uint64_t kNever = ~uint64_t{0};

  // A query would succeed.
  bool Idle(uint64_t written) const { return idle_at_.load(std::memory_order_acquire) == written; }
  // So would a wait (see EventState::By), and a record in it would be complete at once: it would not even wait for
  // another stream, as blocking streams and the legacy one do for each other.
  bool Settled(uint64_t written) const { return settled_at_.load(std::memory_order_acquire) == written; }

  void FoundIdle(uint64_t written) { idle_at_.store(written, std::memory_order_release); }
  void FoundSettled(uint64_t written) {
    settled_at_.store(written, std::memory_order_release);
    FoundIdle(written);
  }

 private:
  std::atomic<uint64_t> idle_at_{kNever};
  std::atomic<uint64_t> settled_at_{kNever};
};

// The record of an event that was the last command of all when it was written. Once it is complete and still the last
// one, its stream is settled: nothing is left that a further record would wait for.
class LastRecord {
 public:
  // `before`: Idleness::written() before the record.
  void Wrote(const Idleness& idleness, uint64_t before, uint64_t event, uint64_t stream) {
    if (idleness.written() == before + 1) slot_.TryWrite({before + 1, event, stream});
  }
  // Whether that was `event`, recorded in `stream`, with nothing behind it at `written`.
  bool Was(uint64_t written, uint64_t event, uint64_t& stream) const {
    SeqSlot<3>::Words words;
    if (!slot_.Read(words) || words[0] != written || words[1] != event) return false;
    stream = words[2];
    return true;
  }

 private:
  SeqSlot<3> slot_;
};

}  // namespace mignificient::client
