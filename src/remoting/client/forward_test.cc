// What generated entry points send, and what they do with the answer.

#include <gtest/gtest.h>

#include "remoting/client/context.h"
#include "remoting/client/fake_call.h"

#include "gen/commands.h"

extern "C" {
CUresult cuCtxSetCurrent(CUcontext);
CUresult cuMemsetD8_v2(CUdeviceptr, unsigned char, size_t);
CUresult cuMemsetD8_v2_ptds(CUdeviceptr, unsigned char, size_t);
CUresult cuMemsetD32Async(CUdeviceptr, unsigned, size_t, CUstream);
CUresult cuMemsetD32Async_ptsz(CUdeviceptr, unsigned, size_t, CUstream);
CUresult cuModuleGetGlobal_v2(CUdeviceptr*, size_t*, CUmodule, const char*);
CUresult cuKernelSetAttribute(int, int, CUkernel, CUdevice);
CUresult cuMemsetD2D8_v2(CUdeviceptr, size_t, unsigned char, size_t, size_t);
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr, CUdeviceptr, size_t, CUstream);
CUresult cuOccupancyMaxActiveClusters(int*, CUfunction, const CUlaunchConfig*);
CUresult cuStreamCopyAttributes(CUstream, CUstream);
CUresult cuStreamWaitEvent(CUstream, CUevent, unsigned);
CUresult cuFuncGetAttribute(int*, int, CUfunction);
CUresult cuGraphLaunch(CUgraphExec, CUstream);
CUresult cuGLInit();
CUresult cuGraphicsMapResources_ptsz();
}

namespace mignificient::client {
namespace {

template <typename T>
T Handle(wire::HandleKind kind) {
  return reinterpret_cast<T>(wire::PackHandle({kind, 1, 7}));
}
const auto kStream = Handle<CUstream>(wire::HandleKind::kStream);
const auto kModule = Handle<CUmodule>(wire::HandleKind::kModule);
const auto kKernel = Handle<CUkernel>(wire::HandleKind::kKernel);
const auto kFunction = Handle<CUfunction>(wire::HandleKind::kFunction);

class ForwardTest : public testing::Test {
 protected:
  void SetUp() override {
    fake::Reset();
    CUcontext context = nullptr;
    RetainPrimary(&context, 0);
    cuCtxSetCurrent(context);
  }
  const fake::Command& Last() { return fake::Get().commands.back(); }
};

TEST_F(ForwardTest, SynchronousMemsetIsPostedOnTheDefaultStream) {
  EXPECT_EQ(cuMemsetD8_v2(0x7000, 0xab, 5), CUDA_SUCCESS);
  EXPECT_FALSE(Last().waits);
  EXPECT_EQ(Last().opcode, wire::api::cuMemsetD8_v2::kOpcode);
  const auto body = Last().As<wire::api::cuMemsetD8_v2::Body>();
  EXPECT_EQ(body.dst, 0x7000u);
  EXPECT_EQ(body.value, 0xab);
  EXPECT_EQ(body.count, 5u);
  EXPECT_EQ(body.default_stream, 0u);
  cuMemsetD8_v2_ptds(0x7000, 0xab, 5);
  EXPECT_EQ(Last().As<wire::api::cuMemsetD8_v2::Body>().default_stream, 2u);
}

TEST_F(ForwardTest, NullStreamIsThePerThreadStreamInPtszForm) {
  cuMemsetD32Async(0, 0, 0, nullptr);
  EXPECT_EQ(Last().As<wire::api::cuMemsetD32Async::Body>().stream, 0u);
  cuMemsetD32Async_ptsz(0, 0, 0, nullptr);
  EXPECT_EQ(Last().As<wire::api::cuMemsetD32Async::Body>().stream, 2u);
  cuMemsetD32Async_ptsz(0, 0, 0, kStream);
  EXPECT_EQ(Last().As<wire::api::cuMemsetD32Async::Body>().stream, reinterpret_cast<uint64_t>(kStream));
}

TEST_F(ForwardTest, StringFollowsTheBody) {
  fake::Get().answer = [](const fake::Command&, std::span<std::byte> reply) {
    const wire::api::cuModuleGetGlobal_v2::Reply value{.ptr = 0x9000, .bytes = 64};
    std::memcpy(reply.data(), &value, sizeof value);
    return CUDA_SUCCESS;
  };
  size_t bytes = 0;
  EXPECT_EQ(cuModuleGetGlobal_v2(nullptr, &bytes, kModule, "weights"), CUDA_SUCCESS);
  EXPECT_EQ(bytes, 64u);
  EXPECT_EQ(Last().tail, "weights");
  EXPECT_EQ(Last().As<wire::api::cuModuleGetGlobal_v2::Body>().name_bytes, 7u);
  EXPECT_EQ(cuModuleGetGlobal_v2(nullptr, &bytes, kModule, nullptr), CUDA_ERROR_INVALID_VALUE);
  const std::string endless(1 << 20, 'x');
  EXPECT_EQ(cuModuleGetGlobal_v2(nullptr, &bytes, kModule, endless.c_str()), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(ForwardTest, OutputIsLeftAloneWhenTheCallFails) {
  fake::Get().answer = [](const fake::Command&, std::span<std::byte>) { return CUDA_ERROR_NOT_FOUND; };
  CUdeviceptr ptr = 77;
  EXPECT_EQ(cuModuleGetGlobal_v2(&ptr, nullptr, kModule, "x"), CUDA_ERROR_NOT_FOUND);
  EXPECT_EQ(ptr, 77u);
}

TEST_F(ForwardTest, DeviceIsCheckedHere) {
  EXPECT_EQ(cuKernelSetAttribute(8, 1, kKernel, 1), CUDA_ERROR_INVALID_DEVICE);
  EXPECT_TRUE(fake::Get().commands.empty());
}

TEST_F(ForwardTest, NothingIsSentWithoutAContextUnlessTheCallNeedsNone) {
  cuCtxSetCurrent(nullptr);
  EXPECT_EQ(cuMemsetD8_v2(0x7000, 0, 5), CUDA_ERROR_INVALID_CONTEXT);
  EXPECT_TRUE(fake::Get().commands.empty());
  EXPECT_EQ(cuMemsetD32Async(0x7000, 0, 5, nullptr), CUDA_ERROR_INVALID_CONTEXT);
  EXPECT_EQ(cuMemsetD32Async_ptsz(0x7000, 0, 5, nullptr), CUDA_ERROR_INVALID_CONTEXT);
  EXPECT_TRUE(fake::Get().commands.empty());
  EXPECT_EQ(cuMemsetD32Async(0x7000, 0, 5, kStream), CUDA_SUCCESS);
  EXPECT_EQ(cuKernelSetAttribute(8, 1, kKernel, 0), CUDA_SUCCESS);
}

TEST_F(ForwardTest, WhatIsNoNameOfItsKindIsNotSent) {
  size_t bytes = 0;
  int value = 0;
  const auto made_up = reinterpret_cast<CUstream>(0x1234);
  EXPECT_EQ(cuMemsetD32Async(0x7000, 0, 5, made_up), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(cuModuleGetGlobal_v2(nullptr, &bytes, nullptr, "x"), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(cuModuleGetGlobal_v2(nullptr, &bytes, Handle<CUmodule>(wire::HandleKind::kLibrary), "x"),
            CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(cuStreamCopyAttributes(kStream, made_up), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(cuStreamWaitEvent(nullptr, nullptr, 0), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(cuFuncGetAttribute(&value, 0, nullptr), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(cuGraphLaunch(nullptr, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_TRUE(fake::Get().commands.empty());
}

TEST_F(ForwardTest, WhatTheDescriptionRefusesIsNotSent) {
  const auto event = Handle<CUevent>(wire::HandleKind::kEvent);
  EXPECT_EQ(cuMemsetD8_v2(0, 1, 5), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemsetD32Async(0x7002, 1, 5, nullptr), CUDA_ERROR_INVALID_VALUE);  // no multiple of four
  EXPECT_EQ(cuStreamWaitEvent(nullptr, event, 2), CUDA_ERROR_INVALID_VALUE);
  EXPECT_TRUE(fake::Get().commands.empty());
  EXPECT_EQ(cuMemsetD8_v2(0, 1, 0), CUDA_SUCCESS);  // sets nothing
  EXPECT_EQ(cuStreamWaitEvent(nullptr, event, 1), CUDA_SUCCESS);
}

TEST_F(ForwardTest, ShapeOfALaunchArrivesWithoutItsHandles) {
  CUlaunchAttribute attributes[2]{};
  attributes[0].id = 7;  // an event: of no account here
  attributes[1].id = wire::kClusterDimensionAttribute;
  const uint32_t cluster[3] = {2, 1, 1};
  std::memcpy(attributes[1].value, cluster, sizeof cluster);
  const CUlaunchConfig config{64, 1, 1, 128, 1, 1, 4096, CuStreamLegacy(), attributes, 2};
  int clusters = 0;
  EXPECT_EQ(cuOccupancyMaxActiveClusters(&clusters, kFunction, &config), CUDA_SUCCESS);
  const auto body = Last().As<wire::api::cuOccupancyMaxActiveClusters::Body>();
  CUlaunchAttribute received[wire::kShapeAttributes];
  const CUlaunchConfig again = wire::Expand(body.config, received);
  EXPECT_EQ(again.grid_x, 64u);
  EXPECT_EQ(again.block_x, 128u);
  EXPECT_EQ(again.shared_bytes, 4096u);
  ASSERT_EQ(again.attribute_count, 1u);
  EXPECT_EQ(again.attributes[0].id, wire::kClusterDimensionAttribute);
  EXPECT_EQ(std::memcmp(again.attributes[0].value, cluster, sizeof cluster), 0);
  EXPECT_EQ(cuOccupancyMaxActiveClusters(&clusters, kFunction, nullptr), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(ForwardTest, WhatLeavesItsAllocationIsToldAtTheCallAndNotSent) {
  fake::Get().allocation_bytes = 1000;
  const size_t sent = fake::Get().commands.size();
  EXPECT_EQ(cuMemsetD8_v2(1, 0, 1001), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemsetD32Async(4, 0, 251, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemsetD32Async(4, 0, (size_t{1} << 62) + 1, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemsetD2D8_v2(1, 512, 0, 489, 2), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemcpyDtoDAsync_v2(1, 2, 1001, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(fake::Get().commands.size(), sent);
  EXPECT_EQ(cuMemsetD8_v2(1, 0, 1000), CUDA_SUCCESS);
  EXPECT_EQ(cuMemsetD32Async(4, 0, 250, nullptr), CUDA_SUCCESS);
  EXPECT_EQ(cuMemsetD2D8_v2(1, 512, 0, 488, 2), CUDA_SUCCESS);
  EXPECT_EQ(cuMemcpyDtoDAsync_v2(1, 2, 1000, nullptr), CUDA_SUCCESS);
  EXPECT_EQ(fake::Get().commands.size(), sent + 4);
}

TEST_F(ForwardTest, RefusalsNameTheirSymbol) {
  EXPECT_EQ(cuGLInit(), CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(cuGraphicsMapResources_ptsz(), CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(fake::Get().refused, (std::vector<std::string>{"cuGLInit", "cuGraphicsMapResources_ptsz"}));
}

}  // namespace
}  // namespace mignificient::client
