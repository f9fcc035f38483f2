#include "cli/sample_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace mignificient::cli {
namespace {

using namespace std::chrono_literals;
using Order = SampleLog::Order;

class SampleLogTest : public ::testing::Test {
 protected:
  SampleLogTest()
      : file_(std::filesystem::temp_directory_path() / fmt::format("mignificient-sample-log-{}.csv", ::getpid())) {}
  ~SampleLogTest() override { std::filesystem::remove(file_); }

  std::string Written() const {
    std::ifstream in(file_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  static Exchange Of(uint64_t iteration, int worker, std::chrono::nanoseconds time) {
    Exchange exchange;
    exchange.iteration = iteration;
    exchange.worker = worker;
    exchange.time = time;
    return exchange;
  }

  std::filesystem::path file_;
};

TEST_F(SampleLogTest, CsvIsTheOriginalsFormatInMicroseconds) {
  auto log = SampleLog::Create(file_, Order::kByWorker);
  ASSERT_TRUE(log);
  log->Add(Of(0, 1, 1500us), "cold");
  log->Add(Of(1, 0, 900ns), "warm");
  log->Add(Of(0, 0, 2ms), SampleLog::kFailed);
  ASSERT_TRUE(log->Finish());
  EXPECT_EQ(Written(), "iteration,worker,time\n0,0,2000\n1,0,0\n0,1,1500\n");
  EXPECT_THAT(log->kinds(), ::testing::ElementsAre("cold", "warm", "failed"));
}

TEST_F(SampleLogTest, BatchesAreOrderedByIteration) {
  auto log = SampleLog::Create(file_, Order::kByIteration);
  log->Add(Of(1, 0, 3us), "warm");
  log->Add(Of(0, 1, 2us), "warm");
  log->Add(Of(0, 0, 1us), "warm");
  ASSERT_TRUE(log->Finish());
  EXPECT_EQ(Written(), "iteration,worker,time\n0,0,1\n0,1,2\n1,0,3\n");
}

TEST_F(SampleLogTest, ALongLoadIsWrittenWholeAndKeptInPart) {
  auto log = SampleLog::Create(file_, Order::kByIteration, 10);
  std::string expected = "iteration,worker,time\n";
  for (uint64_t i = 0; i < 1000; ++i) {
    log->Add(Of(i, 0, 5us), "warm");
    expected += fmt::format("{},0,5\n", i);
  }
  ASSERT_TRUE(log->Finish());
  EXPECT_EQ(Written(), expected);
  EXPECT_EQ(log->samples().size(), 10u);
  EXPECT_EQ(log->count(), 1000u);
  const auto late = [](const Sample& sample) { return sample.iteration >= 500; };
  EXPECT_GT(std::count_if(log->samples().begin(), log->samples().end(), late), 0);
}

TEST_F(SampleLogTest, AFileThatCannotBeWrittenIsNoticedBeforeTheLoad) {
  const auto log = SampleLog::Create("/no/such/folder/out.csv", Order::kByWorker);
  ASSERT_FALSE(log);
  EXPECT_THAT(log.error().message(), ::testing::HasSubstr("/no/such/folder/out.csv"));
}

}  // namespace
}  // namespace mignificient::cli
