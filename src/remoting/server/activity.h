// Measures when the commands of one connection run on the device, for an owner who asked (wire/activity.h). Only on the
// dispatcher's thread.
//
// Commands of one kind that are issued to one stream back to back are measured together, between two timing events: at
// most kMostCommands, and only as long as the dispatcher finds the next command without having been idle, held up at
// the gate or busy with something else. Times of the device are those of its events, fitted to CLOCK_MONOTONIC by an
// event that was seen to happen, and never before the command was issued or after it was seen complete.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "driver/driver_table.h"
#include "remoting/wire/activity.h"

namespace mignificient::server {

// A session's end of the ring; for the dispatchers of all its connections.
class ActivityLog {
 public:
  explicit ActivityLog(wire::ActivityRing ring) : ring_(std::move(ring)) {}
  void Write(const wire::ActivityRecord& record) {
    const std::lock_guard lock(mutex_);
    ring_.Write(record);
  }
  void Lost() {
    const std::lock_guard lock(mutex_);
    ring_.Lose();
  }

 private:
  std::mutex mutex_;
  wire::ActivityRing ring_;
};

class Activity {
 public:
  struct Work {
    wire::ActivityKind kind{};
    CUstream stream = nullptr;
    uint64_t bytes = 0;
    uint64_t blocks = 0;
    CUfunction function = nullptr;  // of a kernel, one of the two
    CUkernel kernel = nullptr;
  };

  Activity(const DriverTable& driver, ActivityLog& log, uint32_t connection);
  // The context must be current.
  ~Activity();
  Activity(const Activity&) = delete;
  Activity& operator=(const Activity&) = delete;

  // Right before work is issued to a stream that does not capture.
  void Before(const Work& work);
  using Event = std::shared_ptr<CUevent_st>;  // goes back to the pool

  // Nothing may be issued for a while, or the stream may end or capture: ends the measurement that is open. Returns the
  // event at its end; null where none was open.
  Event Close();
  // After each command, whatever it was.
  void AfterCommand() {
    if (!noted_) Close();
    noted_ = false;
  }
  // Writes what is complete. Cheap when nothing is pending.
  void Poll();
  // Writes everything; only once all work is complete: waits for events that are due.
  void Finish();

 private:
  struct Measurement {
    wire::ActivityRecord record;
    CUstream stream = nullptr;
    std::chrono::nanoseconds issued{};
    Event start, end;
  };

  Event NewEvent();
  Event Mark(CUstream stream);  // null: it cannot be recorded
  bool FitClock();              // false: there is no fit
  void FitOnce(std::chrono::nanoseconds patience, std::optional<std::chrono::nanoseconds>& best);
  uint64_t TimeOf(const Event& event, std::chrono::nanoseconds least, std::chrono::nanoseconds most) const;
  void Write(Measurement& measurement);
  void SetName(wire::ActivityRecord& record, const Work& work);
  uint32_t Ordinal(CUstream stream);

  const DriverTable& driver_;
  ActivityLog& log_;
  const uint32_t connection_;
  std::vector<CUevent> pool_;
  std::optional<Measurement> open_;
  std::deque<Measurement> pending_;  // in the order of issue
  bool noted_ = false;               // the command at hand is being measured
  CUstream clock_stream_ = nullptr;  // our own, never busy
  Event base_;                       // happened at base_at_
  std::chrono::nanoseconds base_at_{};
  std::map<CUstream, uint32_t> ordinals_;
  std::map<std::string, std::string> names_;  // mangled -> for people
};

}  // namespace mignificient::server
