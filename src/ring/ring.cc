#include "ring/ring.h"

#include <chrono>

#include "os/barrier.h"
#include "os/futex.h"

namespace mignificient::ring {
namespace {

constexpr int kSpins = os::Spins(2000);

// Orders the announcement before the sleeper's second look; pairs with MustWakeAfterPublishing.
void AnnounceSleep(os::Atomic<uint32_t>& asleep, Barrier barrier) {
  asleep.store(1, std::memory_order_relaxed);
  if (barrier == Barrier::kSymmetric)
    os::FullFence();
  else
    os::BarrierEverywhere();
}

}  // namespace

void Wake(os::Atomic<uint32_t>& asleep) {
  // Before the wake-up: a sleeper on its way into the kernel finds the word changed there, and does not sleep.
  asleep.store(0, std::memory_order_relaxed);
  os::FutexWakeAll(asleep);
}

bool Producer::Fits(uint64_t bytes) {
  if (tail_ + bytes - head_ <= storage_.size()) return true;
  // Pairs with the store in Consumer::PublishHead: the space before `head` is no longer read.
  const uint64_t head = control_->head.load(std::memory_order_acquire);
  if (head < head_ || head > tail_) return false;  // not a position our consumer can have; wait, and time out
  head_ = head;
  return tail_ + bytes - head_ <= storage_.size();
}

std::byte* Producer::ReserveOtherwise(uint32_t bytes) {
  const uint64_t offset = tail_ & (storage_.size() - 1);
  const uint64_t to_end = storage_.size() - offset;
  if (bytes <= to_end) {
    if (!Fits(bytes)) return nullptr;
    reserved_ = tail_ + bytes;
    return storage_.data() + offset;
  }
  if (!Fits(to_end + bytes)) return nullptr;
  const RecordHeader skip{static_cast<uint32_t>(to_end), kSkip, 0};
  os::WriteShared(storage_.data() + offset, &skip, sizeof skip);
  reserved_ = tail_ + to_end + bytes;
  return storage_.data();
}

void Producer::WaitForRoom(uint64_t timeout_ns) {
  // These looks only say that it is worth trying again; Fits, which does, acquires for itself.
  for (int i = 0; i < kSpins; ++i) {
    if (control_->head.load(std::memory_order_relaxed) != head_) return;
    os::SpinPause();
  }
  AnnounceSleep(control_->producer_asleep, barrier_);
  if (control_->head.load(std::memory_order_relaxed) == head_)
    os::FutexWait(control_->producer_asleep, 1, std::chrono::nanoseconds(timeout_ns));
  // Late at worst: then the consumer wakes nobody once.
  control_->producer_asleep.store(0, std::memory_order_relaxed);
}

Result<RecordHeader> Consumer::Check(uint64_t available) const {
  RecordHeader header;
  const uint64_t offset = head_ & (storage_.size() - 1);
  os::ReadShared(&header, storage_.data() + offset, sizeof header);
  const uint64_t to_end = storage_.size() - offset;
  if (header.bytes < sizeof header || header.bytes % 8 != 0)
    return Fail(Code::kPeer, "Record has {} bytes (expected a multiple of 8, at least 8).", header.bytes);
  if (header.bytes > available || header.bytes > to_end)
    return Fail(Code::kPeer, "Record has {} bytes ({} published, {} to the end of the ring).", header.bytes, available,
                to_end);
  if (header.opcode != kSkip && header.bytes > copy_.size() * sizeof(uint64_t))
    return Fail(Code::kPeer, "Record has {} bytes (limit {}).", header.bytes, copy_.size() * sizeof(uint64_t));
  if (header.opcode == kSkip && header.bytes != to_end)
    return Fail(Code::kPeer, "Skip record has {} bytes ({} to the end of the ring).", header.bytes, to_end);
  return header;
}

Result<uint64_t> Consumer::Available() {
  if (tail_ == head_) {
    // Pairs with the store in Producer::Publish: the records before `tail` are complete.
    const uint64_t tail = control_->tail.load(std::memory_order_acquire);
    const uint64_t available = tail - head_;
    if (available > storage_.size() || available % 8 != 0)
      return Fail(Code::kPeer, "Ring claims {} unread bytes (capacity {}).", available, storage_.size());
    tail_ = tail;
  }
  return tail_ - head_;
}

Result<std::optional<Record>> Consumer::Next() {
  for (;;) {
    MIG_ASSIGN(const uint64_t available, Available());
    if (available == 0) {
      if (released_ != head_) PublishHead();
      return std::nullopt;
    }
    MIG_ASSIGN(const RecordHeader header, Check(available));
    next_ = head_ + header.bytes;
    if (header.opcode == kSkip) {
      Release();
      continue;
    }
    const std::byte* record = storage_.data() + (head_ & (storage_.size() - 1));
    if (tail_ != next_) PrefetchNext();
    const size_t body_bytes = header.bytes - sizeof header;
    os::ReadShared(copy_.data(), record + sizeof header, body_bytes);
    return Record{header.opcode, header.reply_slot, {reinterpret_cast<const std::byte*>(copy_.data()), body_bytes}};
  }
}

// What the producer has written is in its processor's cache: let it come while this record is carried out.
void Consumer::PrefetchNext() const {
  constexpr uint64_t kLine = 64, kLines = 3;  // a launch with a few parameters
  for (uint64_t i = 0; i < kLines && next_ + i * kLine < tail_; ++i)
    __builtin_prefetch(storage_.data() + ((next_ + i * kLine) & (storage_.size() - 1)));
}

void Consumer::Release() {
  head_ = next_;
  if (head_ - released_ >= storage_.size() / 16) PublishHead();
}

void Consumer::PublishHead() {
  released_ = head_;
  // Pairs with the loads in Producer::Fits and WaitForRoom.
  control_->head.store(head_, std::memory_order_release);
  if (MustWakeAfterPublishing(control_->producer_asleep, barrier_)) Wake(control_->producer_asleep);
}

bool Consumer::PrepareSleep() {
  AnnounceSleep(control_->consumer_asleep, barrier_);
  // The second look, which the fence of AnnounceSleep orders; what it finds, Available acquires.
  if (control_->tail.load(std::memory_order_relaxed) == head_) return true;
  CancelSleep();
  return false;
}

}  // namespace mignificient::ring
