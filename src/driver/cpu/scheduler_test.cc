#include "driver/cpu/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <string>

namespace mignificient::cpu {
namespace {

constexpr unsigned kThreads = 4;

// Work that is known to have begun, and ends when told.
class Gate {
 public:
  Scheduler::Work Work() {
    return [this] {
      begun_.count_down();
      open_.wait();
    };
  }
  void AwaitBegin() { begun_.wait(); }
  void Open() { open_.count_down(); }

 private:
  std::latch begun_{1};
  std::latch open_{1};
};

class Journal {
 public:
  Scheduler::Work Note(std::string word) {
    return [this, word = std::move(word)] {
      const std::lock_guard lock(mutex_);
      words_.push_back(word);
    };
  }
  std::vector<std::string> words() {
    const std::lock_guard lock(mutex_);
    return words_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> words_;
};

using testing::ElementsAre;

TEST(SchedulerTest, AStreamRunsInOrder) {
  Scheduler scheduler(kThreads);
  const auto stream = scheduler.CreateStream(StreamKind::kBlocking);
  Journal journal;
  for (const char* word : {"a", "b", "c", "d"}) scheduler.Enqueue(*stream, journal.Note(word));
  scheduler.WaitAll();
  EXPECT_THAT(journal.words(), ElementsAre("a", "b", "c", "d"));
}

// Which streams hold each other up: the second one's work is enqueued while the first one's runs.
struct Pair {
  StreamKind first, second;
  bool waits;
};

class StreamPairTest : public testing::TestWithParam<Pair> {};

TEST_P(StreamPairTest, LegacyAndBlockingStreamsWaitForEachOther) {
  Scheduler scheduler(kThreads);
  const auto first = scheduler.CreateStream(GetParam().first);
  const auto second = scheduler.CreateStream(GetParam().second);
  Gate gate;
  Journal journal;
  scheduler.Enqueue(*first, gate.Work());
  scheduler.Enqueue(*first, journal.Note("first"));
  const auto done = scheduler.Enqueue(*second, journal.Note("second"));
  gate.AwaitBegin();
  if (GetParam().waits) {
    EXPECT_FALSE(scheduler.IsDone(done));
    gate.Open();
    scheduler.WaitAll();
    EXPECT_THAT(journal.words(), ElementsAre("first", "second"));
  } else {
    scheduler.Wait(done);  // or the test hangs
    gate.Open();
    scheduler.WaitAll();
    EXPECT_THAT(journal.words(), ElementsAre("second", "first"));
  }
}

constexpr auto kLegacy = StreamKind::kLegacy;
constexpr auto kBlocking = StreamKind::kBlocking;
constexpr auto kNonBlocking = StreamKind::kNonBlocking;
INSTANTIATE_TEST_SUITE_P(Matrix, StreamPairTest,
                         testing::Values(Pair{kLegacy, kBlocking, true}, Pair{kBlocking, kLegacy, true},
                                         Pair{kLegacy, kNonBlocking, false}, Pair{kNonBlocking, kLegacy, false},
                                         Pair{kBlocking, kBlocking, false}, Pair{kBlocking, kNonBlocking, false},
                                         Pair{kNonBlocking, kBlocking, false},
                                         Pair{kNonBlocking, kNonBlocking, false}));

TEST(SchedulerTest, ALegacyTaskSeparatesTwoBlockingStreams) {
  Scheduler scheduler(kThreads);
  const auto legacy = scheduler.CreateStream(kLegacy);
  const auto one = scheduler.CreateStream(kBlocking);
  const auto two = scheduler.CreateStream(kBlocking);
  Gate gate;
  Journal journal;
  scheduler.Enqueue(*one, gate.Work());
  scheduler.Enqueue(*one, journal.Note("one"));
  scheduler.Enqueue(*legacy, journal.Note("legacy"));
  scheduler.Enqueue(*two, journal.Note("two"));
  gate.Open();
  scheduler.WaitAll();
  EXPECT_THAT(journal.words(), ElementsAre("one", "legacy", "two"));
}

TEST(SchedulerTest, AStreamWaitsForATicketOfAnother) {
  Scheduler scheduler(kThreads);
  const auto one = scheduler.CreateStream(kNonBlocking);
  const auto two = scheduler.CreateStream(kNonBlocking);
  Gate gate;
  Journal journal;
  scheduler.Enqueue(*one, gate.Work());
  scheduler.Enqueue(*one, journal.Note("one"));
  const auto event = scheduler.Enqueue(*one, {});
  scheduler.Enqueue(*two, {}, std::span(&event, 1));
  scheduler.Enqueue(*two, journal.Note("two"));
  gate.Open();
  scheduler.WaitAll();
  EXPECT_THAT(journal.words(), ElementsAre("one", "two"));
}

TEST(SchedulerTest, MarkOfTheLegacyStreamCoversBlockingStreams) {
  Scheduler scheduler(kThreads);
  const auto legacy = scheduler.CreateStream(kLegacy);
  const auto blocking = scheduler.CreateStream(kBlocking);
  const auto free = scheduler.CreateStream(kNonBlocking);
  Gate gate, free_gate;
  scheduler.Enqueue(*free, free_gate.Work());
  EXPECT_TRUE(scheduler.IsIdle(*legacy));
  scheduler.Enqueue(*blocking, gate.Work());
  EXPECT_FALSE(scheduler.IsIdle(*legacy));
  const auto mark = scheduler.Mark(*legacy);
  EXPECT_FALSE(scheduler.IsDone(mark));
  gate.Open();
  scheduler.Wait(mark);
  EXPECT_TRUE(scheduler.IsIdle(*blocking));
  free_gate.Open();
}

TEST(SchedulerTest, WaitRunningDoesNotWaitForWhatHasNotBegun) {
  Scheduler scheduler(1);
  const auto one = scheduler.CreateStream(kBlocking);
  const auto two = scheduler.CreateStream(kBlocking);
  Gate first, second;
  scheduler.Enqueue(*one, first.Work());
  first.AwaitBegin();
  scheduler.Enqueue(*two, second.Work());
  first.Open();
  scheduler.WaitRunning();
  second.Open();
  scheduler.WaitAll();
}

TEST(SchedulerTest, WhatWorkHoldsIsReleasedBeforeItIsDone) {
  Scheduler scheduler(kThreads);
  const auto stream = scheduler.CreateStream(kBlocking);
  auto held = std::make_shared<int>(7);
  const std::weak_ptr<int> watch = held;
  scheduler.Wait(scheduler.Enqueue(*stream, [held = std::move(held)] {}));
  EXPECT_TRUE(watch.expired());
}

TEST(SchedulerTest, CompletionTimesFollowTheOrder) {
  Scheduler scheduler(kThreads);
  const auto stream = scheduler.CreateStream(kBlocking);
  const auto start = scheduler.Enqueue(*stream, {});
  scheduler.Enqueue(*stream, [] {});
  const auto end = scheduler.Enqueue(*stream, {});
  scheduler.Wait(end);
  EXPECT_LE(scheduler.CompletedAt(start), scheduler.CompletedAt(end));
}

TEST(SchedulerTest, ADestroyedStreamStillHoldsUpTheLegacyStream) {
  Scheduler scheduler(kThreads);
  const auto legacy = scheduler.CreateStream(kLegacy);
  auto stream = scheduler.CreateStream(kBlocking);
  Gate gate;
  scheduler.Enqueue(*stream, gate.Work());
  stream = nullptr;
  scheduler.CreateStream(kBlocking);  // drops what is drained
  EXPECT_FALSE(scheduler.IsIdle(*legacy));
  gate.Open();
  scheduler.Wait(scheduler.Mark(*legacy));
}

TEST(SchedulerTest, DestructionDropsALongQueueOfWorkThatHasNotBegun) {
  std::atomic<int> ran = 0;
  Gate gate;
  {
    Scheduler scheduler(1);
    const auto stream = scheduler.CreateStream(kBlocking);
    scheduler.Enqueue(*stream, gate.Work());
    for (int i = 0; i < 10000; ++i) scheduler.Enqueue(*stream, [&] { ++ran; });
    gate.Open();
  }
  EXPECT_LE(ran, 10000);
}

TEST(SchedulerTest, BlockedTasksLetOthersRun) {
  Scheduler scheduler(1);
  std::latch ended(8);
  std::vector<std::shared_ptr<Stream>> streams;
  for (int i = 0; i < 8; ++i) {  // each ends once all have begun
    streams.push_back(scheduler.CreateStream(StreamKind::kNonBlocking));
    scheduler.Enqueue(*streams.back(), [&] {
      const Scheduler::Blocked blocked(scheduler);
      ended.arrive_and_wait();
    });
  }
  scheduler.WaitAll();
  EXPECT_TRUE(ended.try_wait());
}

}  // namespace
}  // namespace mignificient::cpu
