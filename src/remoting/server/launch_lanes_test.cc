#include "remoting/server/launch_lanes.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <mutex>
#include <random>
#include <set>

#include "remoting/server/fake_driver.h"

namespace mignificient::server {
namespace {

struct Launched {
  std::mutex lock;
  std::map<CUstream, std::vector<uint64_t>> numbers;  // the kernels' parameter, in the order of their launches
  std::set<std::thread::id> threads;
} launched;
std::atomic<bool> driver_is_blocked;

CUstream Stream(uint64_t number) {
  return reinterpret_cast<CUstream>(0x1000 * number);
}

class LaunchLanesTest : public testing::Test {
 protected:
  LaunchLanesTest() {
    launched.numbers.clear();
    launched.threads.clear();
    driver_is_blocked = false;
    driver_.cuLaunchKernel = [](CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                                CUstream stream, void** params, void**) {
      while (driver_is_blocked) std::this_thread::yield();
      uint64_t number = 0;
      std::memcpy(&number, params[1], sizeof number);
      const std::lock_guard lock(launched.lock);
      launched.numbers[stream].push_back(number);
      launched.threads.insert(std::this_thread::get_id());
      return number == kBad ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    };
  }

  // With the number as its second parameter.
  void Launch(LaunchLanes& lanes, CUstream stream, uint64_t number) {
    wire::LaunchBody launch{};
    launch.param_bytes = 16;
    const wire::FunctionReply::Param layout[] = {{0, 4}, {8, 8}};
    std::byte params[16] = {};
    std::memcpy(params + 8, &number, sizeof number);
    lanes.Launch(nullptr, launch, layout, params, stream);
  }

  static constexpr uint64_t kBad = ~uint64_t{0};
  DriverTable driver_ = FakeDriver();
  std::atomic<int> errors_{0};
  LaunchLanes lanes_{driver_, nullptr, [this](CUresult error) {
                       EXPECT_EQ(error, CUDA_ERROR_INVALID_VALUE);
                       ++errors_;
                     }};
};

TEST_F(LaunchLanesTest, OneStreamNeedsNoLane) {
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(lanes_.Wants(Stream(1), true));
}

TEST_F(LaunchLanesTest, SeveralStreamsDoWhereOthersWaitBehind) {
  EXPECT_FALSE(lanes_.Wants(Stream(1), true));
  EXPECT_TRUE(lanes_.Wants(Stream(2), true));
  EXPECT_TRUE(lanes_.Wants(Stream(1), true));
  EXPECT_FALSE(lanes_.Wants(Stream(2), false));
}

TEST_F(LaunchLanesTest, AStreamThatWasUsedLongAgoDoesNotCount) {
  lanes_.Wants(Stream(1), true);
  for (int i = 0; i < 1000; ++i) lanes_.Wants(Stream(2), false);
  EXPECT_FALSE(lanes_.Wants(Stream(2), true));
}

TEST_F(LaunchLanesTest, AStreamStaysInItsLaneWhileSomethingOfItIsThere) {
  driver_is_blocked = true;
  Launch(lanes_, Stream(1), 1);
  EXPECT_TRUE(lanes_.Wants(Stream(1), false));
  driver_is_blocked = false;
  lanes_.Join();
  EXPECT_FALSE(lanes_.Wants(Stream(1), false));
}

TEST_F(LaunchLanesTest, LaunchesOfAStreamStayInOrderAndAllAreMadeBeforeJoinReturns) {
  std::mt19937 random(1);
  std::map<CUstream, std::vector<uint64_t>> expected;
  for (uint64_t number = 0; number < 20'000; ++number) {
    const CUstream stream = Stream(1 + random() % 9);
    Launch(lanes_, stream, number);
    expected[stream].push_back(number);
    if (random() % 1000 != 0) continue;
    lanes_.Join();
    const std::lock_guard lock(launched.lock);
    EXPECT_EQ(launched.numbers, expected);
  }
  lanes_.Join();
  EXPECT_EQ(launched.numbers, expected);
  EXPECT_GT(launched.threads.size(), 1u);
  EXPECT_FALSE(launched.threads.contains(std::this_thread::get_id()));
}

TEST_F(LaunchLanesTest, ErrorsAreTold) {
  Launch(lanes_, Stream(1), kBad);
  Launch(lanes_, Stream(2), 1);
  lanes_.Join();
  EXPECT_EQ(errors_.load(), 1);
}

TEST_F(LaunchLanesTest, EndsWhileItsThreadsSleepAndWhileTheyWork) {
  for (int round = 0; round < 50; ++round) {
    LaunchLanes lanes(driver_, nullptr, [](CUresult) {});
    Launch(lanes, Stream(1), 1);
    if (round % 2 == 0) lanes.Join();
  }
}

}  // namespace
}  // namespace mignificient::server
