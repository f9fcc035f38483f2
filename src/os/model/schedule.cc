// Who goes on at each step, and which executions are still to be tried.
#include <fmt/format.h>

#include <exception>

#include "os/model/exploration.h"

namespace mignificient::os::model {
namespace {

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

}  // namespace

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

}  // namespace mignificient::os::model
