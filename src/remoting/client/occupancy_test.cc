#include <gtest/gtest.h>

#include <algorithm>

#include "remoting/client/answer_cache.h"
#include "remoting/client/context.h"
#include "remoting/client/fake_call.h"

#include "gen/commands.h"

extern "C" {
CUresult cuCtxSetCurrent(CUcontext);
CUresult cuOccupancyMaxPotentialBlockSize(int*, int*, CUfunction, size_t (*)(int), size_t, int);
}

namespace mignificient::client {
namespace {

using Occupancy = wire::api::cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags;

// A multiprocessor of 2048 threads, 16 blocks and 64 KiB of shared memory.
int Blocks(const Occupancy::Body& body) {
  int blocks = std::min(16, 2048 / body.block_size);
  if (body.dynamic_shared_bytes > 0) blocks = std::min(blocks, static_cast<int>(65536 / body.dynamic_shared_bytes));
  return blocks;
}

const auto kFunction = reinterpret_cast<CUfunction>(wire::PackHandle({wire::HandleKind::kFunction, 1, 7}));

class OccupancyTest : public testing::Test {
 protected:
  void SetUp() override {
    fake::Reset();
    answer_cache.Forget();
    CUcontext context = nullptr;
    RetainPrimary(&context, 0);
    cuCtxSetCurrent(context);
    fake::Get().answer = [](const fake::Command& command, std::span<std::byte> reply) {
      const int value = command.opcode == Occupancy::kOpcode ? Blocks(command.As<Occupancy::Body>()) : 768;
      std::memcpy(reply.data(), &value, sizeof value);
      return CUDA_SUCCESS;
    };
  }
  int grid_ = 0;
  int block_ = 0;
};

TEST_F(OccupancyTest, FindsTheSizeThatFillsTheMultiprocessor) {
  EXPECT_EQ(cuOccupancyMaxPotentialBlockSize(&grid_, &block_, kFunction, nullptr, 0, 0), CUDA_SUCCESS);
  EXPECT_EQ(block_, 512);  // the kernel allows 768: two of them leave a quarter unused
  EXPECT_EQ(grid_, 4 * 132);
}

TEST_F(OccupancyTest, LimitIsHonoured) {
  EXPECT_EQ(cuOccupancyMaxPotentialBlockSize(&grid_, &block_, kFunction, nullptr, 0, 100), CUDA_SUCCESS);
  EXPECT_EQ(block_, 100);
}

TEST_F(OccupancyTest, SharedMemoryIsAskedOfTheProgram) {
  const auto per_thread = [](int block_size) { return size_t{64} * block_size; };
  EXPECT_EQ(cuOccupancyMaxPotentialBlockSize(&grid_, &block_, kFunction, per_thread, 0, 0), CUDA_SUCCESS);
  EXPECT_EQ(block_ * (grid_ / 132), 1024);
}

}  // namespace
}  // namespace mignificient::client
