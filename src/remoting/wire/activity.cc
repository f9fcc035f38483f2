#include "remoting/wire/activity.h"

#include <algorithm>

namespace mignificient::wire {

std::string_view ActivityName(ActivityKind kind) {
  switch (kind) {
    case ActivityKind::kCopyIn:
      return "copy in";
    case ActivityKind::kCopyOut:
      return "copy out";
    case ActivityKind::kCopyDevice:
      return "copy on device";
    case ActivityKind::kMemset:
      return "memset";
    case ActivityKind::kKernel:
      return "kernel";
    case ActivityKind::kGraph:
      return "graph";
    case ActivityKind::kMemoryOperation:
      return "memory operation";
  }
  return "unknown";
}

bool IsCopy(ActivityKind kind) {
  return kind == ActivityKind::kCopyIn || kind == ActivityKind::kCopyOut || kind == ActivityKind::kCopyDevice;
}

Result<ActivityRing> ActivityRing::Create() {
  MIG_ASSIGN(os::UniqueFd fd, os::CreateSealedMemory("mignificient-activity", kActivityBytes));
  return FromFd(std::move(fd));
}

Result<ActivityRing> ActivityRing::FromFd(os::UniqueFd fd) {
  MIG_ASSIGN(const uint64_t size, os::SealedSize(fd.get()));
  if (size != kActivityBytes)
    return Fail(Code::kPeer, "Activity ring has {} bytes (expected {}).", size, kActivityBytes);
  MIG_ASSIGN(os::Mapping mapping, os::Mapping::Create(fd.get(), size));
  return ActivityRing(std::move(fd), std::move(mapping));
}

bool ActivityRing::Write(const ActivityRecord& written) {
  const uint64_t tail = control().tail.load(std::memory_order_relaxed);
  if (tail - control().head.load(std::memory_order_acquire) >= kRecords) {
    Lose();
    return false;
  }
  record(tail) = written;
  control().tail.store(tail + 1, std::memory_order_release);
  return true;
}

uint64_t ActivityRing::Read(const std::function<void(const ActivityRecord&)>& take) {
  const uint64_t tail = control().tail.load(std::memory_order_acquire);
  uint64_t head = control().head.load(std::memory_order_relaxed);
  for (; head != tail; ++head) {
    const ActivityRecord copy = record(head);
    control().head.store(head + 1, std::memory_order_release);
    take(copy);
  }
  const uint64_t lost = control().lost.load(std::memory_order_relaxed);
  return lost - std::exchange(lost_seen_, lost);
}

}  // namespace mignificient::wire
