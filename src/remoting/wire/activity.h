// What a container's commands did on the device and when: records that a GPU server writes and its owner reads, through
// a ring in sealed shared memory that tenants never see. Both sides are trusted, same build; a full ring loses records
// and counts them.
//
// The owner makes the ring and sends it as the third descriptor of kOpenSession (wire/control.h); that asks for
// records.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string_view>

#include "base/result.h"
#include "os/mapping.h"
#include "os/unique_fd.h"

namespace mignificient::wire {

enum class ActivityKind : uint32_t { kCopyIn = 1, kCopyOut, kCopyDevice, kMemset, kKernel, kGraph, kMemoryOperation };

std::string_view ActivityName(ActivityKind kind);  // "copy in"
bool IsCopy(ActivityKind kind);                    // else it is work of a kernel's class

// Commands of one kind that followed each other in one stream, issued back to back.
struct ActivityRecord {
  uint64_t start_ns = 0, end_ns = 0;  // on the device; CLOCK_MONOTONIC
  uint64_t bytes = 0;                 // copied or set
  uint64_t blocks = 0;                // of kernels
  ActivityKind kind{};
  uint32_t commands = 0;
  uint32_t connection = 0;  // ordinal of the client process
  uint32_t stream = 0;      // ordinal within the connection; 0: the default stream
  char name[80] = {};       // of the first kernel, cut to fit; empty: not known
};
static_assert(sizeof(ActivityRecord) == 128);

inline constexpr uint64_t kActivityBytes = uint64_t{1} << 20;

// One end of the ring; which one is the user's choice.
class ActivityRing {
 public:
  static Result<ActivityRing> Create();
  // kPeer unless it is sealed memory of the right size.
  static Result<ActivityRing> FromFd(os::UniqueFd fd);

  int fd() const { return fd_.get(); }
  // Writing end; one thread at a time. False: the ring is full, the record is lost and counted.
  bool Write(const ActivityRecord& record);
  void Lose() { control().lost.fetch_add(1, std::memory_order_relaxed); }  // counts one that was not written
  // Reading end, one thread: hands each record on, oldest first. Returns how many were lost since the last Read.
  uint64_t Read(const std::function<void(const ActivityRecord&)>& take);

 private:
  struct Control {
    alignas(64) std::atomic<uint64_t> tail;  // records written; pairs with Read
    std::atomic<uint64_t> lost;
    alignas(64) std::atomic<uint64_t> head;  // records read; pairs with Write
  };
  static constexpr uint64_t kRecords = kActivityBytes / sizeof(ActivityRecord) - 2;
  static_assert(sizeof(Control) <= 2 * sizeof(ActivityRecord));

  ActivityRing(os::UniqueFd fd, os::Mapping mapping) : fd_(std::move(fd)), mapping_(std::move(mapping)) {}
  Control& control() const { return *reinterpret_cast<Control*>(mapping_.data()); }
  ActivityRecord& record(uint64_t index) const {
    return reinterpret_cast<ActivityRecord*>(mapping_.data())[2 + index % kRecords];
  }

  os::UniqueFd fd_;
  os::Mapping mapping_;
  uint64_t lost_seen_ = 0;
};

}  // namespace mignificient::wire
