// A file that a thread of its own writes, so that who appends never waits for a disk. Bounded in what the file may hold
// and in what may be on its way there. Append is for one thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/result.h"
#include "os/unique_fd.h"

namespace mignificient::node {

class TraceFile {
 public:
  // What ends something that was appended before is owed, and passes beyond the bounds.
  enum class Weight { kOptional, kOwed };

  static constexpr uint64_t kMostPendingBytes = 8u << 20;

  // Makes the file anew (readable by its group).
  static Result<std::unique_ptr<TraceFile>> Create(const std::string& path, uint64_t limit_bytes);
  // Writes what was appended, then closes.
  ~TraceFile();

  // Appends whole. False: dropped, because of a bound or because the file cannot be written; counted.
  bool Append(std::string_view text, Weight weight);
  uint64_t dropped() const { return dropped_; }

 private:
  TraceFile(os::UniqueFd file, std::string path, uint64_t limit_bytes);
  void Write();
  void NoteDrop(const char* why);

  const os::UniqueFd file_;
  const std::string path_;
  const uint64_t limit_bytes_;
  uint64_t accepted_bytes_ = 0;
  uint64_t dropped_ = 0;
  std::atomic<bool> failed_{false};  // set by the thread: writing failed, nothing more is written

  std::mutex mutex_;  // of what follows; never held while writing
  std::condition_variable changed_;
  std::string pending_;
  bool asleep_ = false;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace mignificient::node
