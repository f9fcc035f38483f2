// A single-producer single-consumer ring of variable-sized records in shared memory, between two processes that do not
// trust each other. Records are a multiple of 8 bytes, begin with a RecordHeader, and never wrap around the end: what
// is left of the ring is skipped with a record of opcode kSkip.
//
// Each side keeps its own position privately and only publishes it; neither ever reads its own position back from
// shared memory. The consumer copies a record out once, checks the copy, and hands out the copy.
//
// Sleeping: a side that finds nothing to do announces it (`*_asleep` = 1), looks again, and sleeps on that word. The
// other side publishes, then looks at that word, and wakes. Between the store and the load of either side stands a full
// barrier, so at least one sees the other. With Barrier::kAsymmetric the side that goes to sleep executes both of them
// (os/barrier.h), and publishing is a plain store: it need not wait until its cache line comes back from the reader.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "os/atomic.h"

namespace mignificient::ring {

struct RecordHeader {
  uint32_t bytes;       // including this header; a multiple of 8
  uint16_t opcode;      // kSkip, or the user's
  uint16_t reply_slot;  // the user's
};
static_assert(sizeof(RecordHeader) == 8);

inline constexpr uint16_t kSkip = 0;

// The shared words. Positions count bytes since the beginning and are never reduced modulo the ring.
struct RingControl {
  alignas(64) os::Atomic<uint64_t> tail;             // producer -> consumer: records before it are complete
  alignas(64) os::Atomic<uint64_t> head;             // consumer -> producer: records before it are consumed
  alignas(64) os::Atomic<uint32_t> consumer_asleep;  // futex word
  alignas(64) os::Atomic<uint32_t> producer_asleep;  // futex word
};

enum class Barrier {
  kSymmetric,   // each side has its own
  kAsymmetric,  // both processes have succeeded in os::RegisterForBarrier
};

// After a publication: whether the other side sleeps, and then is to be woken.
inline bool MustWakeAfterPublishing(const os::Atomic<uint32_t>& asleep, Barrier barrier) {
  // Orders our publication before our look at the sleeper; pairs with AnnounceSleep (ring.cc), which under kAsymmetric
  // executes this barrier for us.
  if (barrier == Barrier::kSymmetric) [[unlikely]]
    os::FullFence();
  else
    os::CompilerFence();
  // Relaxed, as are all accesses to the word: it carries no data, only the need for a wake-up; who wakes up looks at
  // `tail` or `head` again.
  return asleep.load(std::memory_order_relaxed) != 0;
}
void Wake(os::Atomic<uint32_t>& asleep);

// The writing end. Not thread-safe: callers serialise.
class Producer {
 public:
  // `storage` is the ring itself; its size is a power of two. A record may take at most a quarter of it.
  Producer(RingControl& control, std::span<std::byte> storage, Barrier barrier)
      : control_(&control), storage_(storage), barrier_(barrier) {}

  uint32_t max_record_bytes() const { return static_cast<uint32_t>(storage_.size() / 4); }

  // Space for one record of `bytes` (a multiple of 8, at most max_record_bytes()), or null while the ring is full.
  // The caller fills all of it and then publishes.
  std::byte* Reserve(uint32_t bytes) {
    const uint64_t offset = tail_ & (storage_.size() - 1);
    if (bytes > storage_.size() - offset || tail_ + bytes - head_ > storage_.size()) [[unlikely]]
      return ReserveOtherwise(bytes);
    reserved_ = tail_ + bytes;
    return storage_.data() + offset;
  }
  // Makes the reserved record visible and wakes the consumer if it sleeps.
  void Publish() {
    tail_ = reserved_;
    // Releases the record to Consumer::Available.
    control_->tail.store(tail_, std::memory_order_release);
    if (MustWakeAfterPublishing(control_->consumer_asleep, barrier_)) [[unlikely]]
      Wake(control_->consumer_asleep);
    PrefetchForWriting();
  }
  // Sleeps until the consumer may have made room, or `timeout_ns` passed. Spins briefly first.
  void WaitForRoom(uint64_t timeout_ns);

 private:
  bool Fits(uint64_t bytes);
  // The lines of the records after the next are still the consumer's, since it read them a lap ago: they are fetched
  // while the caller prepares the next record, so that its stores need not wait for them.
  void PrefetchForWriting() const {
    constexpr uint64_t kLine = 64, kFirst = 4, kCount = 2;  // a launch with a few parameters has two lines
    for (uint64_t line = kFirst; line < kFirst + kCount; ++line) {
      const std::byte* at = storage_.data() + ((tail_ + line * kLine) & (storage_.size() - 1));
#if defined(__x86_64__)
      asm volatile("prefetchw %0" : : "m"(*at));
#else
      __builtin_prefetch(at, 1);
#endif
    }
  }
  // Where the record does not fit before the end, or not in the space that is known to be free.
  std::byte* ReserveOtherwise(uint32_t bytes);

  RingControl* control_;
  std::span<std::byte> storage_;
  Barrier barrier_;
  uint64_t tail_ = 0;
  uint64_t reserved_ = 0;  // where tail_ goes at the next Publish
  uint64_t head_ = 0;      // the consumer's position as last seen
};

struct Record {
  uint16_t opcode = 0;
  uint16_t reply_slot = 0;
  std::span<const std::byte> body;  // private to the consumer, 8-byte aligned, valid until the next Next()
};

// The reading end, on one thread.
class Consumer {
 public:
  Consumer(RingControl& control, std::span<const std::byte> storage, uint32_t max_record_bytes, Barrier barrier)
      : control_(&control), storage_(storage), barrier_(barrier), copy_(max_record_bytes / sizeof(uint64_t)) {}

  // The next record, copied out; nullopt when there is none. kPeer when the shared words or the record are not what a
  // correct producer writes; the ring is unusable from then on.
  Result<std::optional<Record>> Next();
  // Says that the last record is done with. Call once per record, as early as its copy allows. The producer gets the
  // space back in larger pieces, and at the latest when Next() has found the ring empty.
  void Release();

  // Where the consumer stands, and where the producer says it stands (unchecked: only compare).
  uint64_t position() const { return head_; }
  uint64_t published() const { return control_->tail.load(std::memory_order_acquire); }
  // Whether more records were seen behind the last one; there may be some that were not.
  bool SeesMore() const { return tail_ != head_; }
  // Announces sleep; true when there is still nothing to read, and the caller shall sleep on sleep_word() being 1.
  bool PrepareSleep();
  // Late at worst: then the producer wakes nobody once.
  void CancelSleep() { control_->consumer_asleep.store(0, std::memory_order_relaxed); }
  os::Atomic<uint32_t>& sleep_word() { return control_->consumer_asleep; }

 private:
  Result<RecordHeader> Check(uint64_t available) const;
  // Bytes published and not yet consumed; looks at the shared word only when the last look is used up.
  Result<uint64_t> Available();
  void PrefetchNext() const;
  void PublishHead();

  RingControl* control_;
  std::span<const std::byte> storage_;
  Barrier barrier_;
  std::vector<uint64_t> copy_;
  uint64_t head_ = 0;
  uint64_t next_ = 0;      // where head_ goes at the next Release
  uint64_t tail_ = 0;      // the producer's position as last seen and checked
  uint64_t released_ = 0;  // the head that the producer has been told
};

}  // namespace mignificient::ring
