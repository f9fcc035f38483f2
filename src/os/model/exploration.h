// One exploration: the executions that have been begun, and of the current one its threads, its memory, and what has
// been decided. schedule.cc decides who goes on and repeats executions; memory.cc says what accesses see and change.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "os/model/explorer.h"

namespace mignificient::os::model {

inline constexpr size_t kStackBytes = 128 * 1024;
inline constexpr int kNobody = -1;
inline constexpr int kAllSequential = -2;  // in place of an atomic: the fences' common state

// What a thread has seen, or what a value brings along: the oldest value of each atomic that may still be read, and how
// far each thread has come for sure (a vector clock, for races).
struct View {
  std::array<uint16_t, kMostAtomics> oldest{};
  std::array<uint16_t, kMostThreads> clock{};

  void JoinValues(const View& other) {
    for (size_t i = 0; i < oldest.size(); ++i) oldest[i] = std::max(oldest[i], other.oldest[i]);
  }
  void Join(const View& other) {
    JoinValues(other);
    for (size_t i = 0; i < clock.size(); ++i) clock[i] = std::max(clock[i], other.clock[i]);
  }
};

// What an access comes after, by whatever it shares with earlier ones: so many steps of each thread.
struct Past {
  std::array<uint16_t, kMostThreads> steps{};

  void Join(const Past& other) {
    for (size_t i = 0; i < steps.size(); ++i) steps[i] = std::max(steps[i], other.steps[i]);
  }
};

struct Value {
  uint64_t value = 0;
  View brings;
  int writer = 0;
  uint16_t step = 0;  // of the writer
};

struct Location {
  const void* address = nullptr;
  std::string name;
  std::vector<Value> values;
  uint16_t oldest_sequential = 0;  // that a seq_cst load may read
  Past accesses, changes;
};

// A word of plain memory: who wrote it last and who has read it since, and when by their own clocks: as part of the
// access to an atomic that comes next.
struct Plain {
  uintptr_t address = 0;
  int writer = kNobody;
  uint16_t written = 0;
  std::array<uint16_t, kMostThreads> read{};
};

struct Access {
  Op op{};
  int location = kNobody;
  bool sequential = false;  // touches what all fences share
};

struct Step {
  int thread = kNobody;
  Access access;
  uint64_t value = 0;
};

struct Thread {
  std::function<void()> body;
  ucontext_t context{};
  std::unique_ptr<std::byte[]> stack{new std::byte[kStackBytes]};
  bool ended = false;
  Access next;              // what it does when it goes on
  int asleep_on = kNobody;  // futex
  Past past;                // of its last access
  Past before;              // the same, but for what it knows by the atomic of its last access
  View seen;                // may read nothing older
  View to_acquire;          // by its next fence: what relaxed loads have met
  View released;            // by its last fence: what relaxed stores bring along
  View settled;             // as of its last CompilerFence: what another's barrier makes visible
  View pending;             // what another's barrier has made visible to it, from the next CompilerFence on
};

// One decision: which of `count` options was taken. Of a thread, with those that need not be tried.
struct Decision {
  int option = 0;
  int count = 0;
  bool of_thread = false;
  uint32_t enabled = 0;  // bit sets of threads
  uint32_t asleep = 0;   // every execution in which one of these goes on here is equal to one that was tried
};

struct Abandoned {};  // unwinds a thread whose execution is over

// See explorer.h. Its members are what threads call, and how executions are made of that.
class Explorer {
 public:
  explicit Explorer(const Options& options) : options_(options) {}

  Outcome Run(const std::function<World()>& build);

  // What the threads call. Outside of an execution (in build and at_end) accesses take effect at once.
  void Register(const void* atomic);
  void Name(const void* atomic, std::string name) { locations_[Find(atomic)].name = std::move(name); }
  uint64_t Load(int location, std::memory_order order);
  void Store(int location, uint64_t value, std::memory_order order);
  uint64_t Update(int location, Combine combine, uint64_t operand, std::memory_order order);
  bool CompareExchange(int location, uint64_t& expected, uint64_t desired, std::memory_order success,
                       std::memory_order failure);
  void Fence();
  void CompilerFence();
  void Barrier();
  void Wait(int location, uint32_t expected);
  void Wake(int location);
  void AccessPlain(const void* address, size_t bytes, bool write);
  void Check(bool holds, const char* what);

  int Find(const void* atomic) const;

 private:
  Thread& self() { return threads_[current_]; }
  bool running() const { return current_ != kNobody && !over_; }
  const Mutation* Mutated(Op op, int location) const;

  void Execute(const std::function<World()>& build);
  bool NextExecution();
  void StartThread(int thread);
  static void Enter();
  void Unwind();

  // Gives every thread the chance to go first, then counts the access as the calling thread's.
  void Announce(Access access);
  int PickThread();
  int PickNewThread(uint32_t enabled, uint32_t asleep);
  uint32_t EnabledThreads() const;
  int Choose(int count);
  [[noreturn]] void Abandon();
  void Fail(std::string what);
  std::string Trace() const;

  void Follow(const Access& access);
  int Oldest(int location, std::memory_order order) const;
  void FindReadable(int location, std::memory_order order);
  int ChooseReadable() { return readable_[Choose(static_cast<int>(readable_.size()))]; }
  uint64_t Read(int location, int index, std::memory_order order);
  void Append(int location, uint64_t value, std::memory_order order, const View* continued);
  void Sequential(int location, uint16_t index);
  void FenceOf(Thread& thread);

  Options options_;
  Outcome outcome_;
  std::vector<Decision> decisions_;
  size_t depth_ = 0;
  uint32_t sleeping_ = 0;  // the sleep set of the current state

  std::vector<Location> locations_;
  std::vector<Plain> plain_;
  std::array<Thread, kMostThreads> threads_;
  int thread_count_ = 0;
  int current_ = kNobody;
  bool over_ = false;  // of the current execution: threads only unwind
  bool pruned_ = false;
  int spurious_ = 0;
  View all_fences_;
  Past fences_, barriers_;
  std::vector<int> readable_;
  std::vector<Step> steps_;
  ucontext_t main_{};
};

// What this thread explores, or null.
extern thread_local Explorer* exploring;

}  // namespace mignificient::os::model
