#include "node/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

namespace mignificient::node {
namespace {

namespace json = boost::json;
using std::chrono::microseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TraceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    trace_.emplace(
        [this](std::string_view text, TraceFile::Weight weight) {
          if (full_ && weight == TraceFile::Weight::kOptional) return false;
          text_ += text;
          return true;
        },
        [this] { return now_; });
    trace_->Partition(0, "3g.40gb MIG-1", "sequential");
    ContainerSpec spec;
    spec.id = "c-7";
    spec.user = "alice";
    spec.function = "vadd";
    trace_->Starting(7, 0, spec);
  }

  Request Asks(std::string function) {
    Request request;
    request.call_id = "id-1";
    request.user = "alice";
    request.function = std::move(function);
    request.accepted = now_ - microseconds(5);
    return request;
  }

  void Pass(int us) { now_ += microseconds(us); }

  // The events so far that are not about names, "phase thread ts name" each.
  std::vector<std::string> Events(std::string_view phases) {
    std::vector<std::string> events;
    const json::value all = json::parse(text_ + "]");
    for (const json::value& value : all.as_array()) {
      const json::object& event = value.as_object();
      if (phases.find(event.at("ph").as_string()) == phases.npos) continue;
      const auto* name = event.if_contains("name");
      events.push_back(fmt::format("{} {} {:.0f}{}", std::string(event.at("ph").as_string()),
                                   event.at("tid").as_int64(), event.at("ts").to_number<double>(),
                                   name != nullptr ? " " + std::string(name->as_string()) : ""));
    }
    return events;
  }

  std::string text_;
  bool full_ = false;
  Trace::Clock::time_point now_{std::chrono::seconds(100)};
  std::optional<Trace> trace_;
};

TEST_F(TraceTest, AnInvocationIsNestedSlicesOnItsContainersTrack) {
  Pass(10);
  trace_->Started(7);
  trace_->Arrived(1, Asks("vadd"));
  Pass(10);
  trace_->Owns(0, 1, 7);
  trace_->Gate(7, wire::GateState::kFull);
  trace_->Runs(1, 7);
  Pass(10);
  trace_->Returned(1);
  Pass(10);
  trace_->Gate(7, wire::GateState::kLocked);
  trace_->Drained(1);
  trace_->Disowned(0);
  trace_->Answered(1, "");
  EXPECT_THAT(Events("BE"),
              ElementsAre("B 7000 0 starting", "B 7001 0 Locked", "E 7000 10", "B 10 20 vadd c-7 #1", "E 7001 20",
                          "B 7001 20 Full", "B 7002 20 vadd", "B 7002 20 exec", "E 7002 30", "B 7002 30 drain",
                          "E 7001 40", "B 7001 40 Locked", "E 7002 40", "E 7002 40", "E 10 40"));
  EXPECT_THAT(Events("be"), ElementsAre("b 1 5 vadd", "b 1 5 queue", "e 1 20 queue", "e 1 40 vadd"));
  EXPECT_THAT(Events("stf"), ElementsAre("s 1 10 call", "t 7002 20 call", "f 2 40 call"));
}

TEST_F(TraceTest, AYieldIsASliceWithinExec) {
  trace_->Arrived(1, Asks("vadd"));
  trace_->Runs(1, 7);
  trace_->Yields(1);
  Pass(2);
  trace_->Resumes(1);
  Pass(1);
  trace_->Returned(1);
  trace_->Drained(1);
  EXPECT_THAT(Events("BE"),
              ElementsAre("B 7000 0 starting", "B 7001 0 Locked", "B 7002 0 vadd", "B 7002 0 exec", "B 7002 0 yielded",
                          "E 7002 2", "E 7002 3", "B 7002 3 drain", "E 7002 3", "E 7002 3"));
}

TEST_F(TraceTest, ACallWhoseContainerHasGoneIsAnsweredAndLeavesNothingOpen) {
  trace_->Arrived(1, Asks("vadd"));
  trace_->Runs(1, 7);
  trace_->Ending(7, "it crashed");
  trace_->Gone(7);
  trace_->Returned(1);
  trace_->Answered(1, "it crashed\nand its log");
  trace_->Gate(7, wire::GateState::kFull);
  trace_->Owns(0, 1, 7);
  int open = 0;
  for (const std::string& event : Events("BE")) open += event[0] == 'B' ? 1 : -1;
  EXPECT_EQ(open, 0);
  EXPECT_THAT(text_, HasSubstr(R"("error":"it crashed"})"));
}

TEST_F(TraceTest, WhatTheDeviceDidIsOnTracksByStream) {
  wire::ActivityRecord record;
  record.start_ns = 100'000'005'000;
  record.end_ns = 100'000'007'500;
  record.kind = wire::ActivityKind::kCopyIn;
  record.commands = 1;
  record.bytes = 64;
  trace_->Did(7, record);
  record.kind = wire::ActivityKind::kKernel;
  record.commands = 3;
  record.stream = 2;
  std::strcpy(record.name, "saxpy");
  trace_->Did(7, record);
  EXPECT_THAT(Events("X"), ElementsAre("X 7010 5 copy in", "X 7013 5 saxpy (+2)"));
  EXPECT_THAT(
      text_,
      HasSubstr(R"("dur":2.500,"cat":"copy","name":"copy in","args":{"container":"c-7","commands":1,"bytes":64}})"));
  EXPECT_THAT(text_, HasSubstr(R"("name":"c-7 kernels stream 2")"));
}

TEST_F(TraceTest, WhatIsDroppedLeavesNoEndWithoutABeginning) {
  trace_->Arrived(1, Asks("vadd"));
  full_ = true;
  trace_->Runs(1, 7);
  full_ = false;
  trace_->Yields(1);  // within what was dropped
  trace_->Returned(1);
  trace_->Drained(1);
  trace_->Runs(1, 7);
  full_ = true;
  trace_->Drained(1);
  EXPECT_THAT(Events("BE"), ElementsAre("B 7000 0 starting", "B 7001 0 Locked", "B 7002 0 vadd", "B 7002 0 exec",
                                        "E 7002 0", "E 7002 0"));
}

TEST_F(TraceTest, NamesAreEscapedAndTheArrayIsJsonWhenItIsClosed) {
  trace_->Arrived(1, Asks("a\"b\\c\n\xff"));
  trace_->Refused(Asks("d"), "Too \"many\".");
  trace_.reset();
  EXPECT_THAT(text_, HasSubstr(R"(a\"b\\c\n?)"));
  EXPECT_TRUE(json::parse(text_).is_array());
}

std::string Contents(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(TraceFileTest, WritesInOrderAndKeepsToItsLimitExceptForWhatIsOwed) {
  const std::string path = ::testing::TempDir() + fmt::format("trace_file_test.{}", ::getpid());
  {
    auto file = TraceFile::Create(path, 10);
    ASSERT_TRUE(file) << file.error().message();
    EXPECT_TRUE((*file)->Append("12345", TraceFile::Weight::kOptional));
    EXPECT_TRUE((*file)->Append("67890", TraceFile::Weight::kOptional));
    EXPECT_FALSE((*file)->Append("x", TraceFile::Weight::kOptional));
    EXPECT_TRUE((*file)->Append("owed", TraceFile::Weight::kOwed));
    EXPECT_EQ((*file)->dropped(), 1u);
  }
  EXPECT_EQ(Contents(path), "1234567890owed");
  ::unlink(path.c_str());
}

TEST(TraceFileTest, AFileThatCannotBeMadeNamesItsKey) {
  const auto file = TraceFile::Create("/nonexistent/folder/trace.json", 10);
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().message(), HasSubstr("trace.file"));
}

TEST(TraceFileTest, ADiskThatIsFullIsNoFailureOfWhoAppends) {
  auto file = TraceFile::Create("/dev/full", 1u << 20);
  ASSERT_TRUE(file) << file.error().message();
  while ((*file)->Append("text", TraceFile::Weight::kOwed)) std::this_thread::yield();
  EXPECT_EQ((*file)->dropped(), 1u);
}

}  // namespace
}  // namespace mignificient::node
