#include "remoting/server/window.h"

#include <gtest/gtest.h>

#include "remoting/server/fake_driver.h"

namespace mignificient::server {
namespace {

constexpr uint64_t kGranule = 4096;
constexpr uint64_t kBudget = 64 * kGranule;
constexpr uint64_t kBase = uint64_t{1} << 44;

int released;
int unmapped;

class WindowTest : public testing::Test {
 protected:
  WindowTest() {
    released = unmapped = 0;
    driver_.cuMemRelease = [](CUmemGenericAllocationHandle) {
      ++released;
      return CUDA_SUCCESS;
    };
    driver_.cuMemUnmap = [](CUdeviceptr, size_t) {
      ++unmapped;
      return CUDA_SUCCESS;
    };
    window_ = Window::Reserve(device_, session_, 1024 * kGranule, kBase).value();
  }
  std::shared_ptr<Physical> Memory(uint64_t granules) {
    std::shared_ptr<Physical> memory;
    EXPECT_EQ(Physical::Create(device_, session_, granules * kGranule, memory), CUDA_SUCCESS);
    return memory;
  }
  uint64_t mapped() const { return session_.mapped_bytes.load(); }

  DriverTable driver_ = FakeDriver();
  Device device_ = FakeDevice(driver_);
  Session session_{1, kBudget, wire::Gate::Create(wire::GateState::kFull).value()};
  std::unique_ptr<Window> window_;
};

TEST_F(WindowTest, ExtentsAreChargedAndGivenBack) {
  EXPECT_EQ(window_->Map(kBase, 4 * kGranule), CUDA_SUCCESS);
  EXPECT_EQ(mapped(), 4 * kGranule);
  EXPECT_EQ(window_->Map(kBase + 3 * kGranule, 2 * kGranule), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(window_->Map(kBase + 4 * kGranule, kBudget), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(window_->Unmap(kBase, 4 * kGranule), CUDA_SUCCESS);
  EXPECT_EQ(mapped(), 0u);
  EXPECT_EQ(released, 1);
}

TEST_F(WindowTest, MemoryIsChargedOnceHoweverOftenItIsMapped) {
  auto memory = Memory(4);
  EXPECT_EQ(window_->Map(kBase, 4 * kGranule, 0, memory), CUDA_SUCCESS);
  EXPECT_EQ(window_->Map(kBase + 8 * kGranule, 2 * kGranule, 2 * kGranule, memory), CUDA_SUCCESS);
  EXPECT_EQ(mapped(), 4 * kGranule);
  memory.reset();
  EXPECT_EQ(window_->Unmap(kBase, 4 * kGranule), CUDA_SUCCESS);
  EXPECT_EQ(released, 0);
  EXPECT_EQ(window_->Unmap(kBase + 8 * kGranule, 2 * kGranule), CUDA_SUCCESS);
  EXPECT_EQ(released, 1);
  EXPECT_EQ(mapped(), 0u);
}

TEST_F(WindowTest, WhatTheDriverRefusesIsNotKept) {
  driver_.cuMemMap = [](CUdeviceptr, size_t, size_t, CUmemGenericAllocationHandle, unsigned long long) {
    return CUDA_ERROR_OUT_OF_MEMORY;
  };
  EXPECT_EQ(window_->Map(kBase, kGranule), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(mapped(), 0u);
  driver_.cuMemMap = FakeDriver().cuMemMap;
  driver_.cuMemSetAccess = [](CUdeviceptr, size_t, const CUmemAccessDesc*, size_t) { return CUDA_ERROR_NOT_SUPPORTED; };
  EXPECT_EQ(window_->Map(kBase, kGranule), CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(mapped(), 0u);
  EXPECT_EQ(unmapped, 1);
  driver_.cuMemCreate = [](CUmemGenericAllocationHandle*, size_t, const CUmemAllocationProp*, unsigned long long) {
    return CUDA_ERROR_OUT_OF_MEMORY;
  };
  EXPECT_EQ(window_->Map(kBase, kGranule), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(mapped(), 0u);
}

TEST_F(WindowTest, UnmapThatTheDriverRefusesKeepsTheExtent) {
  ASSERT_EQ(window_->Map(kBase, kGranule), CUDA_SUCCESS);
  driver_.cuMemUnmap = [](CUdeviceptr, size_t) { return CUDA_ERROR_INVALID_VALUE; };
  EXPECT_EQ(window_->Unmap(kBase, kGranule), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(mapped(), kGranule);
  EXPECT_EQ(window_->Map(kBase, kGranule), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(WindowTest, ItsEndUnmapsEverything) {
  ASSERT_EQ(window_->Map(kBase, kGranule), CUDA_SUCCESS);
  ASSERT_EQ(window_->Map(kBase + 8 * kGranule, kGranule, 0, Memory(1)), CUDA_SUCCESS);
  window_.reset();
  EXPECT_EQ(unmapped, 2);
  EXPECT_EQ(released, 2);
  EXPECT_EQ(mapped(), 0u);
}

}  // namespace
}  // namespace mignificient::server
