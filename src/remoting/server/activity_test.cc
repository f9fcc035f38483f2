#include "remoting/server/activity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>

#include "remoting/server/fake_driver.h"
#include "remoting/wire/activity.h"

namespace mignificient::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using wire::ActivityKind;

// Events happen when `done` says so, a millisecond after each other.
struct FakeEvents {
  std::map<CUevent, int> recorded;  // event -> when
  int last = 0, done = 0;
  int records = 0;
};
FakeEvents* fake_events = nullptr;

class ActivityTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fake_events = &events_;
    driver_.cuEventRecord = [](CUevent event, CUstream) {
      fake_events->recorded[event] = ++fake_events->last;
      ++fake_events->records;
      return CUDA_SUCCESS;
    };
    driver_.cuEventQuery = [](CUevent event) {
      return fake_events->recorded[event] <= fake_events->done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
    };
    driver_.cuFuncGetName = [](const char** name, CUfunction) {
      *name = "_Z5saxpyPf";
      return CUDA_SUCCESS;
    };
    events_.done = 1 << 30;
    activity_.emplace(driver_, log_, 3);
  }

  void Issue(ActivityKind kind, uint64_t stream, uint64_t bytes = 0) {
    activity_->Before({kind, reinterpret_cast<CUstream>(stream), bytes, 1, CUfunction(0x10), nullptr});
    activity_->AfterCommand();
  }

  // "kind commands bytes stream" of each record there is.
  std::vector<std::string> Records() {
    std::vector<std::string> texts;
    reader_.Read([&](const wire::ActivityRecord& record) {
      EXPECT_LE(record.start_ns, record.end_ns);
      EXPECT_EQ(record.connection, 3u);
      EXPECT_STREQ(record.name, "saxpy(float*)");
      texts.push_back(
          fmt::format("{} {} {} {}", wire::ActivityName(record.kind), record.commands, record.bytes, record.stream));
    });
    return texts;
  }

  FakeEvents events_;
  DriverTable driver_ = FakeDriver();
  wire::ActivityRing reader_ = std::move(*wire::ActivityRing::Create());
  ActivityLog log_{std::move(*wire::ActivityRing::FromFd(os::UniqueFd(::dup(reader_.fd()))))};
  std::optional<Activity> activity_;
};

TEST_F(ActivityTest, CommandsOfOneKindBackToBackAreOneRecord) {
  for (int i = 0; i < 5; ++i) Issue(ActivityKind::kCopyIn, 0, 100);
  Issue(ActivityKind::kKernel, 0);
  Issue(ActivityKind::kKernel, 0);
  activity_->Finish();
  EXPECT_THAT(Records(), ElementsAre("copy in 5 500 0", "kernel 2 0 0"));
}

TEST_F(ActivityTest, ALongSeriesIsSeveralRecordsThatShareTheirEvents) {
  Issue(ActivityKind::kKernel, 0);
  const int before = events_.records;
  for (int i = 0; i < 99; ++i) Issue(ActivityKind::kKernel, 0);
  activity_->Finish();
  EXPECT_THAT(Records(), ElementsAre("kernel 32 0 0", "kernel 32 0 0", "kernel 32 0 0", "kernel 4 0 0"));
  EXPECT_EQ(events_.records - before, 4);
}

TEST_F(ActivityTest, OtherCommandsAndIdlenessEndARecord) {
  Issue(ActivityKind::kKernel, 0);
  activity_->AfterCommand();  // one that is not measured
  Issue(ActivityKind::kKernel, 0);
  activity_->Close();
  Issue(ActivityKind::kKernel, 0);
  activity_->Finish();
  EXPECT_THAT(Records(), ElementsAre("kernel 1 0 0", "kernel 1 0 0", "kernel 1 0 0"));
}

TEST_F(ActivityTest, StreamsAreNumberedAsTheyComeAndTheDefaultStreamIsZero) {
  Issue(ActivityKind::kKernel, 0x100);
  Issue(ActivityKind::kKernel, 1);
  Issue(ActivityKind::kKernel, 0x200);
  Issue(ActivityKind::kKernel, 0x100);
  activity_->Finish();
  EXPECT_THAT(Records(), ElementsAre("kernel 1 0 1", "kernel 1 0 0", "kernel 1 0 2", "kernel 1 0 1"));
}

TEST_F(ActivityTest, NothingIsWrittenBeforeItIsComplete) {
  Issue(ActivityKind::kKernel, 0);
  events_.done = events_.last;
  activity_->Close();
  activity_->Poll();
  EXPECT_THAT(Records(), IsEmpty());
  events_.done = events_.last;
  activity_->Poll();
  EXPECT_THAT(Records(), ElementsAre("kernel 1 0 0"));
}

TEST_F(ActivityTest, TimesAreNotBeforeTheIssueNorAfterTheCompletionWasSeen) {
  for (const float elapsed : {-1e6f, 1e6f}) {
    static float answer;
    answer = elapsed;
    driver_.cuEventElapsedTime_v2 = [](float* milliseconds, CUevent, CUevent) {
      *milliseconds = answer;
      return CUDA_SUCCESS;
    };
    const auto now = [] { return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()); };
    const uint64_t before = now();
    Issue(ActivityKind::kKernel, 0);
    activity_->Finish();
    const uint64_t after = now();
    reader_.Read([&](const wire::ActivityRecord& record) {
      EXPECT_GE(record.start_ns, before);
      EXPECT_LE(record.end_ns, after);
    });
  }
}

TEST_F(ActivityTest, WhatDoesNotFitIntoTheRingIsCounted) {
  for (int i = 0; i < 10000; ++i) Issue(i % 2 ? ActivityKind::kKernel : ActivityKind::kMemset, 0);
  activity_->Finish();
  uint64_t read = 0;
  const uint64_t lost = reader_.Read([&](const wire::ActivityRecord&) { ++read; });
  EXPECT_GT(lost, 0u);
  EXPECT_EQ(read + lost, 10000u);
  EXPECT_EQ(reader_.Read([](const wire::ActivityRecord&) {}), 0u);
}

TEST_F(ActivityTest, AnEventThatFailsLosesItsRecordAndNothingElse) {
  Issue(ActivityKind::kKernel, 0);
  driver_.cuEventQuery = [](CUevent) { return CUDA_ERROR_ILLEGAL_ADDRESS; };
  activity_->Finish();
  EXPECT_EQ(reader_.Read([](const wire::ActivityRecord&) { FAIL(); }), 1u);
}

}  // namespace
}  // namespace mignificient::server
