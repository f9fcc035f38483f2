#include "os/model/explorer.h"

#include <fmt/format.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <optional>
#include <utility>

#include "os/barrier.h"
#include "os/cpus.h"
#include "os/futex.h"

namespace mignificient::os::model {
namespace {

constexpr size_t kStackBytes = 128 * 1024;
constexpr int kNobody = -1;
constexpr int kAllSequential = -2;  // in place of an atomic: the fences' common state

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

bool Fences(Op op) {
  return op == Op::kFence || op == Op::kWait || op == Op::kWake;
}

bool Independent(const Access& a, const Access& b) {
  if (a.op == Op::kBarrier || b.op == Op::kBarrier) return false;
  if ((Fences(a.op) && b.sequential) || (Fences(b.op) && a.sequential)) return false;
  if (a.location != b.location || a.location < 0) return true;
  return a.op == Op::kLoad && b.op == Op::kLoad && !(a.sequential && b.sequential);
}

const char* NameOf(Op op) {
  switch (op) {
    case Op::kLoad:
      return "load";
    case Op::kStore:
      return "store";
    case Op::kUpdate:
      return "update";
    case Op::kFence:
      return "fence";
    case Op::kCompilerFence:
      return "compiler fence";
    case Op::kBarrier:
      return "barrier everywhere";
    case Op::kWait:
      return "futex wait";
    case Op::kWake:
      return "futex wake";
  }
  return "";
}

bool Acquires(std::memory_order order) {
  return order == std::memory_order_acquire || order == std::memory_order_acq_rel || order == std::memory_order_seq_cst;
}
bool Releases(std::memory_order order) {
  return order == std::memory_order_release || order == std::memory_order_acq_rel || order == std::memory_order_seq_cst;
}

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

thread_local Explorer* exploring = nullptr;

// --- Decisions -------------------------------------------------------------------------------------------------------

int Explorer::Choose(int count) {
  if (count <= 1) return 0;
  if (depth_ == decisions_.size()) decisions_.push_back({.option = 0, .count = count});
  return decisions_[depth_++].option;
}

uint32_t Explorer::EnabledThreads() const {
  uint32_t enabled = 0;
  for (int i = 0; i < thread_count_; ++i)
    if (!threads_[i].ended && threads_[i].asleep_on == kNobody) enabled |= 1u << i;
  return enabled;
}

// The first thread that need not be left out; prefers the one that runs, for short traces. kNobody: all are left out.
int Explorer::PickNewThread(uint32_t enabled, uint32_t asleep) {
  const uint32_t candidates = enabled & ~asleep;
  if (candidates == 0) return kNobody;
  if (current_ != kNobody && (candidates >> current_ & 1) != 0) return current_;
  return __builtin_ctz(candidates);
}

// Decides who goes on. kNobody: the execution is over.
int Explorer::PickThread() {
  const uint32_t enabled = EnabledThreads();
  if (enabled == 0) {
    const auto ended = [](const Thread& thread) { return thread.ended; };
    if (!std::all_of(threads_.begin(), threads_.begin() + thread_count_, ended))
      Fail("Every thread that has not ended is asleep.");
    return kNobody;
  }
  if (depth_ == decisions_.size()) {
    const int first = PickNewThread(enabled, sleeping_);
    if (first == kNobody) {
      pruned_ = over_ = true;
      return kNobody;
    }
    decisions_.push_back({.option = first, .of_thread = true, .enabled = enabled, .asleep = sleeping_});
  }
  const Decision& decision = decisions_[depth_++];
  const int picked = decision.option;
  sleeping_ = 0;
  for (int i = 0; i < thread_count_; ++i)
    if (i != picked && (decision.asleep >> i & 1) != 0 && Independent(threads_[i].next, threads_[picked].next))
      sleeping_ |= 1u << i;
  return picked;
}

// Turns the last decision that has another option; false when there is none.
bool Explorer::NextExecution() {
  while (!decisions_.empty()) {
    Decision& last = decisions_.back();
    if (last.of_thread) {
      last.asleep |= 1u << last.option;
      const uint32_t left = last.enabled & ~last.asleep;
      if (left != 0) {
        last.option = __builtin_ctz(left);
        return true;
      }
    } else if (++last.option < last.count) {
      return true;
    }
    decisions_.pop_back();
  }
  return false;
}

// --- Executions ------------------------------------------------------------------------------------------------------

void Explorer::Abandon() {
  throw Abandoned{};
}

void Explorer::Fail(std::string what) {
  if (outcome_.failure.empty()) outcome_.failure = std::move(what) + Trace();
  over_ = true;
}

std::string Explorer::Trace() const {
  std::string text;
  for (const Step& step : steps_)
    text += fmt::format("\n  thread {}: {} {} {}", step.thread, NameOf(step.access.op),
                        step.access.location < 0 ? "" : locations_[step.access.location].name, step.value);
  return text;
}

void Explorer::Announce(Access access) {
  Thread& me = self();
  me.next = access;
  const int mine = current_;
  if (steps_.size() >= options_.most_steps) {
    Fail(fmt::format("An execution has more than {} steps.", options_.most_steps));
    Abandon();
  }
  const int next = PickThread();
  if (next == kNobody) Abandon();
  if (next != mine) {
    current_ = next;
    ::swapcontext(&me.context, &threads_[next].context);
    current_ = mine;
    if (over_) Abandon();
  }
  steps_.push_back({mine, access, 0});
  ++me.seen.clock[mine];
  Follow(access);
}

// Notes what the access comes after, and that what touches the same comes after it.
void Explorer::Follow(const Access& access) {
  Thread& me = self();
  me.past.Join(barriers_);
  if (access.sequential) me.past.Join(fences_);
  ++me.past.steps[current_];
  me.before = me.past;
  if (access.op == Op::kBarrier) {
    for (int i = 0; i < thread_count_; ++i) me.past.Join(threads_[i].past);
    barriers_ = me.past;
  }
  if (access.location >= 0) {
    Location& location = locations_[access.location];
    me.past.Join(access.op == Op::kLoad ? location.changes : location.accesses);
    location.accesses.Join(me.past);
    if (access.op != Op::kLoad) location.changes.Join(me.past);
  }
  if (access.sequential) fences_.Join(me.past);
}

void Explorer::Enter() {
  Explorer& explorer = *exploring;
  const int mine = explorer.current_;
  Thread& me = explorer.threads_[mine];
  try {
    if (!explorer.over_) me.body();
  } catch (const Abandoned&) {
  }
  me.ended = true;
  const int next = explorer.over_ ? kNobody : explorer.PickThread();
  explorer.current_ = next;
  ::setcontext(next == kNobody ? &explorer.main_ : &explorer.threads_[next].context);
}

void Explorer::StartThread(int thread) {
  Thread& it = threads_[thread];
  ::getcontext(&it.context);
  it.context.uc_stack.ss_sp = it.stack.get();
  it.context.uc_stack.ss_size = kStackBytes;
  it.context.uc_link = nullptr;
  ::makecontext(&it.context, &Explorer::Enter, 0);
}

// Lets every thread that has begun destroy what is on its stack.
void Explorer::Unwind() {
  over_ = true;
  for (int i = 0; i < thread_count_; ++i) {
    if (threads_[i].ended) continue;
    current_ = i;
    ::swapcontext(&main_, &threads_[i].context);
  }
  current_ = kNobody;
}

void Explorer::Execute(const std::function<World()>& build) {
  depth_ = 0;
  sleeping_ = 0;
  locations_.clear();
  plain_.clear();
  steps_.clear();
  over_ = pruned_ = false;
  spurious_ = options_.spurious_wakes;
  all_fences_ = {};
  fences_ = barriers_ = {};
  World world = build();
  thread_count_ = static_cast<int>(world.threads.size());
  for (int i = 0; i < thread_count_; ++i) {
    Thread& thread = threads_[i];
    thread.body = std::move(world.threads[i]);
    thread.ended = false;
    thread.asleep_on = kNobody;
    thread.next = {Op::kCompilerFence};  // its beginning touches nothing
    thread.seen = thread.to_acquire = thread.released = thread.settled = thread.pending = {};
    thread.past = thread.before = {};
    StartThread(i);
  }
  // Threads have seen what build() did: it left one value in each atomic.
  current_ = PickThread();
  ::swapcontext(&main_, &threads_[current_].context);
  current_ = kNobody;
  if (over_) {
    Unwind();
  } else {
    try {
      world.at_end();
    } catch (const Abandoned&) {
    }
  }
  for (int i = 0; i < thread_count_; ++i) threads_[i].body = nullptr;
  ++(pruned_ ? outcome_.pruned : outcome_.executions);
}

Outcome Explorer::Run(const std::function<World()>& build) {
  do {
    Execute(build);
    if (outcome_.failure.empty() && outcome_.executions + outcome_.pruned >= options_.most_executions)
      outcome_.failure = fmt::format("There are more than {} executions.", options_.most_executions);
  } while (outcome_.failure.empty() && NextExecution());
  return outcome_;
}

void Explorer::Check(bool holds, const char* what) {
  if (holds || over_) return;
  Fail(what);
  Abandon();
}

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

}  // namespace

// --- What tests and os/model/atomic.h call
// -----------------------------------------------------------------------------

Outcome Explore(const std::function<World()>& build, const Options& options) {
  const auto explorer = std::make_unique<Explorer>(options);
  exploring = explorer.get();
  Outcome outcome = explorer->Run(build);
  exploring = nullptr;
  return outcome;
}

void Check(bool holds, const char* what) {
  exploring->Check(holds, what);
}
void Name(const void* atomic, std::string name) {
  exploring->Name(atomic, std::move(name));
}
void Register(const void* atomic) {
  exploring->Register(atomic);
}
uint64_t Load(const void* atomic, std::memory_order order) {
  return exploring->Load(exploring->Find(atomic), order);
}
void Store(const void* atomic, uint64_t value, std::memory_order order) {
  exploring->Store(exploring->Find(atomic), value, order);
}
uint64_t Update(const void* atomic, Combine combine, uint64_t operand, std::memory_order order) {
  return exploring->Update(exploring->Find(atomic), combine, operand, order);
}
bool CompareExchange(const void* atomic, uint64_t& expected, uint64_t desired, std::memory_order success,
                     std::memory_order failure) {
  return exploring->CompareExchange(exploring->Find(atomic), expected, desired, success, failure);
}
void Fence() {
  exploring->Fence();
}
void CompilerFence() {
  exploring->CompilerFence();
}
void AccessPlain(const void* address, size_t bytes, bool write) {
  exploring->AccessPlain(address, bytes, write);
}

}  // namespace mignificient::os::model

// The kernel's part of os/futex.h, os/barrier.h and os/cpus.h, in place of their sources.
namespace mignificient::os {

int AvailableCpus() {
  return 1;
}
bool OffersBarrier() {
  return true;
}
bool RegisterForBarrier() {
  return true;
}
void BarrierEverywhere() {
  model::exploring->Barrier();
}
void FutexWait(const Atomic<uint32_t>& word, uint32_t expected, std::optional<std::chrono::nanoseconds>) {
  model::exploring->Wait(model::exploring->Find(&word), expected);
}
void FutexWakeAll(const Atomic<uint32_t>& word) {
  model::exploring->Wake(model::exploring->Find(&word));
}

}  // namespace mignificient::os
