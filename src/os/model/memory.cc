// What an access sees of the memory, and what it changes.
#include <fmt/format.h>

#include "os/model/exploration.h"

namespace mignificient::os::model {
namespace {

bool Acquires(std::memory_order order) {
  return order == std::memory_order_acquire || order == std::memory_order_acq_rel || order == std::memory_order_seq_cst;
}
bool Releases(std::memory_order order) {
  return order == std::memory_order_release || order == std::memory_order_acq_rel || order == std::memory_order_seq_cst;
}

}  // namespace

// --- Memory ----------------------------------------------------------------------------------------------------------

void Explorer::Register(const void* atomic) {
  if (locations_.size() == kMostAtomics) std::abort();  // a test's mistake: raise kMostAtomics
  locations_.push_back({atomic, fmt::format("atomic {}", locations_.size()), {Value{}}});
}

int Explorer::Find(const void* atomic) const {
  for (size_t i = locations_.size(); i-- > 0;)
    if (locations_[i].address == atomic) return static_cast<int>(i);
  std::abort();  // made outside of build()
}

const Mutation* Explorer::Mutated(Op op, int location) const {
  for (const Mutation& mutation : options_.mutations)
    if (mutation.op == op && (mutation.thread == -1 || mutation.thread == current_) &&
        (mutation.name.empty() || (location >= 0 && mutation.name == locations_[location].name)))
      return &mutation;
  return nullptr;
}

int Explorer::Oldest(int location, std::memory_order order) const {
  const int seen = threads_[current_].seen.oldest[location];
  return order == std::memory_order_seq_cst ? std::max<int>(seen, locations_[location].oldest_sequential) : seen;
}

// Indices of the values that the calling thread may read, newest first. An older one only where the thread has, but for
// this atomic, come behind the store that replaced it: otherwise it is what the thread reads if it goes before that
// store, which is tried as well.
void Explorer::FindReadable(int location, std::memory_order order) {
  const std::vector<Value>& values = locations_[location].values;
  const Past& before = threads_[current_].before;
  const int oldest = Oldest(location, order), newest = static_cast<int>(values.size()) - 1;
  readable_.assign(1, newest);
  for (int i = newest - 1; i >= oldest; --i)
    if (before.steps[values[i + 1].writer] >= values[i + 1].step) readable_.push_back(i);
}

uint64_t Explorer::Read(int location, int index, std::memory_order order) {
  const Value& value = locations_[location].values[index];
  Thread& me = self();
  me.seen.oldest[location] = std::max(me.seen.oldest[location], static_cast<uint16_t>(index));
  if (order == std::memory_order_seq_cst) Sequential(location, static_cast<uint16_t>(index));
  (Acquires(order) ? me.seen : me.to_acquire).Join(value.brings);
  return value.value;
}

// `continued`: what the value that an update replaces brought along; who acquires the new one acquires that too.
void Explorer::Append(int location, uint64_t value, std::memory_order order, const View* continued) {
  Location& to = locations_[location];
  Thread& me = self();
  const auto index = static_cast<uint16_t>(to.values.size());
  me.seen.oldest[location] = index;
  View brings = Releases(order) ? me.seen : me.released;
  brings.oldest[location] = index;
  if (continued != nullptr) brings.Join(*continued);
  to.values.push_back({value, brings, current_, me.past.steps[current_]});
  if (order == std::memory_order_seq_cst) Sequential(location, index);
}

// No later seq_cst access sees an older value than a seq_cst access has read or written, and none behind a later fence.
void Explorer::Sequential(int location, uint16_t index) {
  uint16_t& oldest = locations_[location].oldest_sequential;
  oldest = std::max(oldest, index);
  all_fences_.oldest[location] = std::max(all_fences_.oldest[location], index);
}

uint64_t Explorer::Load(int location, std::memory_order order) {
  if (!running()) return locations_[location].values.back().value;
  const Mutation* mutation = Mutated(Op::kLoad, location);
  if (mutation != nullptr) order = std::memory_order_relaxed;
  Announce({Op::kLoad, location, order == std::memory_order_seq_cst});
  FindReadable(location, order);
  const bool dropped = mutation != nullptr && mutation->drop;
  const int index = dropped ? Oldest(location, order) : ChooseReadable();
  return steps_.back().value = Read(location, index, order);
}

void Explorer::Store(int location, uint64_t value, std::memory_order order) {
  if (!running()) {
    locations_[location].values.back().value = value;
    return;
  }
  const Mutation* mutation = Mutated(Op::kStore, location);
  if (mutation != nullptr && mutation->drop) return;
  if (mutation != nullptr) order = std::memory_order_relaxed;
  Announce({Op::kStore, location, order == std::memory_order_seq_cst});
  steps_.back().value = value;
  Append(location, value, order, nullptr);
}

uint64_t Explorer::Update(int location, Combine combine, uint64_t operand, std::memory_order order) {
  std::vector<Value>& values = locations_[location].values;
  if (!running()) return std::exchange(values.back().value, combine(values.back().value, operand));
  const Mutation* mutation = Mutated(Op::kUpdate, location);
  if (mutation != nullptr && mutation->drop) return values.back().value;
  if (mutation != nullptr) order = std::memory_order_relaxed;
  Announce({Op::kUpdate, location, order == std::memory_order_seq_cst});
  const View continued = values.back().brings;
  const uint64_t old = Read(location, static_cast<int>(values.size()) - 1, order);
  steps_.back().value = combine(old, operand);
  Append(location, combine(old, operand), order, &continued);
  return old;
}

bool Explorer::CompareExchange(int location, uint64_t& expected, uint64_t desired, std::memory_order success,
                               std::memory_order failure) {
  std::vector<Value>& values = locations_[location].values;
  if (!running()) {
    if (values.back().value != expected) return expected = values.back().value, false;
    return values.back().value = desired, true;
  }
  if (Mutated(Op::kUpdate, location) != nullptr) success = failure = std::memory_order_relaxed;
  Announce({Op::kUpdate, location, success == std::memory_order_seq_cst});
  const auto newest = static_cast<int>(values.size()) - 1;
  // It succeeds on the newest value only, and fails on any that is another.
  FindReadable(location, failure);
  std::erase_if(readable_, [&](int index) { return index != newest && values[index].value == expected; });
  const int index = ChooseReadable();
  if (values[index].value != expected) {
    expected = steps_.back().value = Read(location, index, failure);
    return false;
  }
  const View continued = values[index].brings;
  Read(location, index, success);
  steps_.back().value = desired;
  Append(location, desired, success, &continued);
  return true;
}

void Explorer::FenceOf(Thread& thread) {
  thread.seen.Join(thread.to_acquire);
  thread.seen.JoinValues(all_fences_);
  all_fences_.JoinValues(thread.seen);
  thread.released = thread.seen;
}

void Explorer::Fence() {
  if (!running() || Mutated(Op::kFence, kNobody) != nullptr) return;
  Announce({Op::kFence, kAllSequential, true});
  FenceOf(self());
  CompilerFence();
}

void Explorer::CompilerFence() {
  if (!running() || Mutated(Op::kCompilerFence, kNobody) != nullptr) return;
  Thread& me = self();
  me.seen.JoinValues(me.pending);
  me.settled = me.seen;
}

void Explorer::Barrier() {
  if (!running() || Mutated(Op::kBarrier, kNobody) != nullptr) return;
  Announce({Op::kBarrier, kAllSequential, true});
  FenceOf(self());
  for (int i = 0; i < thread_count_; ++i) {
    if (i == current_) continue;
    all_fences_.JoinValues(threads_[i].settled);
    threads_[i].pending.JoinValues(all_fences_);
    // A thread that stands right behind its fence stands in the barrier with all that it does next.
    if (threads_[i].settled.oldest == threads_[i].seen.oldest) threads_[i].seen.JoinValues(all_fences_);
  }
  FenceOf(self());
  CompilerFence();
}

void Explorer::Wait(int location, uint32_t expected) {
  if (!running()) return;
  if (Mutated(Op::kWait, location) != nullptr) return;
  Announce({Op::kWait, location, true});
  FenceOf(self());  // the kernel's, before it looks
  CompilerFence();
  FindReadable(location, std::memory_order_relaxed);
  const uint64_t value = Read(location, ChooseReadable(), std::memory_order_relaxed);
  steps_.back().value = value;
  if (static_cast<uint32_t>(value) != expected) return;
  if (spurious_ > 0 && Choose(2) == 1) {
    --spurious_;
    return;
  }
  self().asleep_on = location;
  Announce({Op::kCompilerFence});  // goes on when it is woken
}

void Explorer::Wake(int location) {
  if (!running() || Mutated(Op::kWake, location) != nullptr) return;
  Announce({Op::kWake, location, true});
  FenceOf(self());  // the kernel's, before it looks for sleepers
  CompilerFence();
  for (int i = 0; i < thread_count_; ++i) {
    if (threads_[i].asleep_on != location) continue;
    threads_[i].asleep_on = kNobody;
    threads_[i].past.Join(self().past);
  }
}

void Explorer::AccessPlain(const void* address, size_t bytes, bool write) {
  if (!running()) return;
  const View& seen = self().seen;
  const uintptr_t first = reinterpret_cast<uintptr_t>(address) & ~uintptr_t{7};
  for (uintptr_t word = first; word < reinterpret_cast<uintptr_t>(address) + bytes; word += 8) {
    auto it = std::find_if(plain_.begin(), plain_.end(), [&](const Plain& plain) { return plain.address == word; });
    if (it == plain_.end()) it = plain_.insert(plain_.end(), Plain{.address = word});
    bool race = it->writer != kNobody && it->writer != current_ && seen.clock[it->writer] < it->written;
    for (int i = 0; write && i < thread_count_; ++i) race |= i != current_ && seen.clock[i] < it->read[i];
    if (race) {
      Fail(fmt::format("Thread {} {} plain memory while another one uses it.", current_, write ? "writes" : "reads"));
      Abandon();
    }
    const auto now = static_cast<uint16_t>(seen.clock[current_] + 1);
    if (write) it->writer = current_;
    (write ? it->written : it->read[current_]) = now;
  }
}

}  // namespace mignificient::os::model
