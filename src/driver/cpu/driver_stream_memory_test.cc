#include "driver/cpu/driver_fixture.h"

namespace mignificient::cpu {
namespace {

class DriverStreamMemoryTest : public DriverTest {
 protected:
  static CUstreamBatchMemOpParams Value(int operation, CUdeviceptr address, uint64_t value, unsigned flags = 0) {
    CUstreamBatchMemOpParams each{};
    each.value.operation = operation;
    each.value.address = address;
    each.value.value64 = value;
    each.value.flags = flags;
    return each;
  }
  CUresult Run(CUstream stream, CUstreamBatchMemOpParams operation) {
    return cu->cuStreamBatchMemOp_v2(stream, 1, &operation, 0);
  }
};

TEST_F(DriverStreamMemoryTest, AWaitHoldsUpItsStreamUntilTheValueIsThere) {
  const CUstream waiting = NewStream(1), writing = NewStream(1);
  const CUdeviceptr ptr = Upload(std::vector<uint32_t>{0, 0, 0, 0});
  EXPECT_OK(Run(waiting, Value(CU_STREAM_MEM_OP_WAIT_VALUE_32, ptr, 3, CU_STREAM_WAIT_VALUE_EQ)));
  EXPECT_OK(Run(waiting, Value(CU_STREAM_MEM_OP_WRITE_VALUE_32, ptr + 4, 8)));
  EXPECT_CUDA(cu->cuStreamQuery(waiting), CUDA_ERROR_NOT_READY);
  EXPECT_OK(Run(writing, Value(CU_STREAM_MEM_OP_WRITE_VALUE_32, ptr, 3)));
  EXPECT_OK(cu->cuStreamSynchronize(waiting));
  EXPECT_EQ(Download<uint32_t>(ptr, 4), (std::vector<uint32_t>{3, 8, 0, 0}));
}

TEST_F(DriverStreamMemoryTest, ConditionsAreThoseOfCuda) {
  const uint64_t all = ~uint64_t{0};
  const CUdeviceptr ptr = Upload(std::vector<uint64_t>{5, all});
  const struct {
    CUdeviceptr address;
    uint64_t value;
    unsigned condition;
  } met[] = {{ptr, 5, CU_STREAM_WAIT_VALUE_EQ},      {ptr, 5, CU_STREAM_WAIT_VALUE_GEQ},
             {ptr, 4, CU_STREAM_WAIT_VALUE_GEQ},     {ptr, all, CU_STREAM_WAIT_VALUE_GEQ},  // 5 is 6 past -1
             {ptr, 4, CU_STREAM_WAIT_VALUE_AND},     {ptr, 2, CU_STREAM_WAIT_VALUE_NOR},
             {ptr + 8, 1, CU_STREAM_WAIT_VALUE_AND}, {ptr + 8, all - 5, CU_STREAM_WAIT_VALUE_GEQ}};
  for (const auto& each : met) {
    EXPECT_OK(Run(nullptr, Value(CU_STREAM_MEM_OP_WAIT_VALUE_64, each.address, each.value, each.condition)));
    EXPECT_OK(cu->cuStreamSynchronize(nullptr));  // or the test hangs
  }
}

TEST_F(DriverStreamMemoryTest, WhatIsNoOperationIsRefused) {
  const CUdeviceptr ptr = Alloc(kPage);
  auto good = Value(CU_STREAM_MEM_OP_WRITE_VALUE_32, ptr, 1);
  EXPECT_CUDA(cu->cuStreamBatchMemOp_v2(nullptr, 0, &good, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuStreamBatchMemOp_v2(nullptr, 257, &good, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuStreamBatchMemOp_v2(nullptr, 1, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuStreamBatchMemOp_v2(nullptr, 1, &good, 1), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(Run(nullptr, Value(77, ptr, 1)), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(Run(nullptr, Value(CU_STREAM_MEM_OP_WRITE_VALUE_32, ptr + 1, 1)), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(Run(nullptr, Value(CU_STREAM_MEM_OP_WRITE_VALUE_64, ptr + 4, 1)), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(Run(nullptr, Value(CU_STREAM_MEM_OP_WAIT_VALUE_32, 4096, 1)), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(Run(nullptr, Value(CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES, 0, 0)), CUDA_ERROR_NOT_SUPPORTED);
}

TEST_F(DriverStreamMemoryTest, AWaitThatNeverEndsEndsWithTheContext) {
  const CUdeviceptr ptr = Upload(std::vector<uint32_t>{0});
  EXPECT_OK(Run(nullptr, Value(CU_STREAM_MEM_OP_WAIT_VALUE_32, ptr, 3, CU_STREAM_WAIT_VALUE_EQ)));
  // TearDown destroys the device, or the test hangs.
}

}  // namespace
}  // namespace mignificient::cpu
