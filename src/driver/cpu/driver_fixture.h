// A software GPU with a current context, and short ways to use it through the driver table.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "driver/cpu/cpu_driver.h"
#include "driver/cpu/testdata/kernels.h"

namespace mignificient::cpu {

#define EXPECT_CUDA(expression, expected) EXPECT_EQ(static_cast<int>(expression), static_cast<int>(expected))
#define EXPECT_OK(expression) EXPECT_CUDA(expression, CUDA_SUCCESS)

class DriverTest : public testing::Test {
 protected:
  static constexpr uint64_t kPage = 4096;
  static constexpr uint64_t kMemoryBytes = uint64_t{64} << 20;

  static CpuDriverOptions Options() {
    return {.name = "MIGnificient software GPU test", .memory_bytes = kMemoryBytes, .sms = 8, .threads = 3};
  }

  void SetUp() override {
    const auto table = CreateCpuDevice(Options());
    ASSERT_TRUE(table) << table.error().message();
    cu = *table;
    EXPECT_OK(cu->cuInit(0));
    EXPECT_OK(cu->cuDevicePrimaryCtxRetain(&context, 0));
    EXPECT_OK(cu->cuCtxSetCurrent(context));
  }

  void TearDown() override {
    DestroyCpuDevice();
    SetPrintfSink({});
  }

  static CUmemAllocationProp OnDevice() {
    return {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
  }

  CUmemGenericAllocationHandle Create(uint64_t bytes) {
    CUmemGenericAllocationHandle handle = 0;
    const auto prop = OnDevice();
    EXPECT_OK(cu->cuMemCreate(&handle, bytes, &prop, 0));
    return handle;
  }

  CUresult Allow(CUdeviceptr ptr, uint64_t bytes) {
    const CUmemAccessDesc desc{{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    return cu->cuMemSetAccess(ptr, bytes, &desc, 1);
  }

  // Whole pages; what lies behind them is a page that nothing may touch.
  CUdeviceptr Alloc(uint64_t bytes) {
    bytes = (bytes + kPage - 1) / kPage * kPage;
    CUdeviceptr ptr = 0;
    EXPECT_OK(cu->cuMemAddressReserve(&ptr, bytes + kPage, 0, 0, 0));
    const auto handle = Create(bytes);
    EXPECT_OK(cu->cuMemMap(ptr, bytes, 0, handle, 0));
    EXPECT_OK(Allow(ptr, bytes));
    EXPECT_OK(cu->cuMemRelease(handle));
    return ptr;
  }

  template <typename T>
  CUdeviceptr Upload(const std::vector<T>& values) {
    const CUdeviceptr ptr = Alloc(values.size() * sizeof(T));
    EXPECT_OK(cu->cuMemcpyHtoDAsync_v2(ptr, values.data(), values.size() * sizeof(T), nullptr));
    return ptr;
  }

  template <typename T>
  std::vector<T> Download(CUdeviceptr ptr, size_t count) {
    std::vector<T> values(count);
    EXPECT_OK(cu->cuMemcpyDtoHAsync_v2(values.data(), ptr, count * sizeof(T), nullptr));
    return values;
  }

  CUfunction Kernel(const char* name) {
    if (module == nullptr) {
      EXPECT_OK(cu->cuModuleLoadDataEx(&module, kTestPtx, 0, nullptr, nullptr));
    }
    CUfunction function = nullptr;
    EXPECT_OK(cu->cuModuleGetFunction(&function, module, name));
    return function;
  }

  struct Shape {
    unsigned grid = 1, block = 1, shared_bytes = 0;
    CUstream stream = nullptr;
  };

  template <typename... Args>
  CUresult Launch(const char* name, Shape shape, Args... args) {
    void* params[] = {static_cast<void*>(&args)..., nullptr};
    return cu->cuLaunchKernel(Kernel(name), shape.grid, 1, 1, shape.block, 1, 1, shape.shared_bytes, shape.stream,
                              params, nullptr);
  }

  CUstream NewStream(unsigned flags) {
    CUstream stream = nullptr;
    EXPECT_OK(cu->cuStreamCreateWithPriority(&stream, flags, 0));
    return stream;
  }

  const DriverTable* cu = nullptr;
  CUcontext context = nullptr;
  CUmodule module = nullptr;
};

// Two words of registered host memory: a flag that the `await` kernel waits for, and where it then writes.
class GateTest : public DriverTest {
 protected:
  void SetUp() override {
    DriverTest::SetUp();
    EXPECT_OK(cu->cuMemHostRegister_v2(words_, sizeof(words_), 0));
  }
  void TearDown() override {
    Open();
    DriverTest::TearDown();
  }

  CUresult Await(CUstream stream, uint32_t value = 1) {
    return Launch("await", {.stream = stream}, Address(0), Address(1), value);
  }
  void Open() { std::atomic_ref(words_[0]).store(1); }
  uint32_t Written() { return std::atomic_ref(words_[1]).load(); }
  CUdeviceptr WrittenAddress() { return Address(1); }

 private:
  CUdeviceptr Address(int index) { return reinterpret_cast<CUdeviceptr>(&words_[index]); }
  alignas(64) uint32_t words_[2] = {0, 0};
};

}  // namespace mignificient::cpu
