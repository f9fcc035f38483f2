#include "driver/cpu/driver_fixture.h"

namespace mignificient::cpu {
namespace {

using testing::ElementsAre;

constexpr unsigned kBlocking = 0;

class DriverStreamTest : public GateTest {
 protected:
  CUevent NewEvent(unsigned flags = 0) {
    CUevent event = nullptr;
    EXPECT_OK(cu->cuEventCreate(&event, flags));
    return event;
  }
};

TEST_F(DriverStreamTest, LaunchesReturnBeforeTheKernelEnds) {
  EXPECT_OK(Await(nullptr, 8));
  EXPECT_CUDA(cu->cuStreamQuery(nullptr), CUDA_ERROR_NOT_READY);
  EXPECT_EQ(Written(), 0u);
  Open();
  EXPECT_OK(cu->cuStreamSynchronize(nullptr));
  EXPECT_OK(cu->cuStreamQuery(nullptr));
  EXPECT_EQ(Written(), 8u);
}

TEST_F(DriverStreamTest, LegacyStreamWaitsForBlockingStreamsAlone) {
  const CUstream blocking = NewStream(kBlocking), free = NewStream(CU_STREAM_NON_BLOCKING);
  EXPECT_OK(Await(blocking));
  EXPECT_CUDA(cu->cuStreamQuery(nullptr), CUDA_ERROR_NOT_READY);
  EXPECT_CUDA(cu->cuStreamQuery(CuStreamLegacy()), CUDA_ERROR_NOT_READY);
  EXPECT_OK(cu->cuStreamQuery(CuStreamPerThread()));
  EXPECT_OK(cu->cuStreamQuery(free));
  const CUdeviceptr ptr = Alloc(kPage);
  EXPECT_OK(cu->cuMemsetD32Async(ptr, 4, 1, free));
  EXPECT_OK(cu->cuStreamSynchronize(free));  // or the test hangs
  EXPECT_OK(Launch("store", {}, WrittenAddress(), 2u));
  Open();
  EXPECT_OK(cu->cuStreamSynchronize(nullptr));
  EXPECT_EQ(Written(), 2u);
}

TEST_F(DriverStreamTest, BlockingAndPerThreadStreamsWaitForTheLegacyStream) {
  const CUstream blocking = NewStream(kBlocking);
  EXPECT_OK(Await(nullptr));
  EXPECT_OK(Launch("store", {.stream = blocking}, WrittenAddress(), 2u));
  EXPECT_CUDA(cu->cuStreamQuery(blocking), CUDA_ERROR_NOT_READY);
  EXPECT_OK(Launch("store", {.stream = CuStreamPerThread()}, Alloc(kPage), 2u));
  EXPECT_CUDA(cu->cuStreamQuery(CuStreamPerThread()), CUDA_ERROR_NOT_READY);
  Open();
  EXPECT_OK(cu->cuCtxSynchronize());
  EXPECT_EQ(Written(), 2u);
}

TEST_F(DriverStreamTest, AnEventOrdersTwoStreams) {
  const CUstream one = NewStream(CU_STREAM_NON_BLOCKING), two = NewStream(CU_STREAM_NON_BLOCKING);
  const CUevent event = NewEvent();
  EXPECT_OK(Await(one));
  EXPECT_OK(cu->cuEventRecord(event, one));
  EXPECT_OK(cu->cuStreamWaitEvent(two, event, 0));
  EXPECT_OK(Launch("store", {.stream = two}, WrittenAddress(), 2u));
  EXPECT_CUDA(cu->cuEventQuery(event), CUDA_ERROR_NOT_READY);
  EXPECT_OK(cu->cuEventDestroy_v2(event));  // the wait stays
  EXPECT_CUDA(cu->cuStreamQuery(two), CUDA_ERROR_NOT_READY);
  Open();
  EXPECT_OK(cu->cuStreamSynchronize(two));
  EXPECT_EQ(Written(), 2u);
}

TEST_F(DriverStreamTest, EventsMeasureTheWorkBetweenThem) {
  const CUevent start = NewEvent(), end = NewEvent(), untimed = NewEvent(CU_EVENT_DISABLE_TIMING);
  float milliseconds = -1;
  EXPECT_OK(cu->cuEventQuery(start));  // never recorded: nothing to wait for
  EXPECT_OK(cu->cuEventSynchronize(start));
  EXPECT_CUDA(cu->cuEventElapsedTime_v2(&milliseconds, start, end), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_OK(cu->cuEventRecord(start, nullptr));
  EXPECT_OK(Await(nullptr));
  EXPECT_OK(cu->cuEventRecordWithFlags(end, nullptr, 0));
  EXPECT_OK(cu->cuEventRecord(untimed, nullptr));
  EXPECT_CUDA(cu->cuEventElapsedTime_v2(&milliseconds, start, end), CUDA_ERROR_NOT_READY);
  Open();
  EXPECT_OK(cu->cuEventSynchronize(end));
  EXPECT_OK(cu->cuEventElapsedTime_v2(&milliseconds, start, end));
  EXPECT_GT(milliseconds, 0);
  EXPECT_OK(cu->cuEventSynchronize(untimed));
  EXPECT_CUDA(cu->cuEventElapsedTime_v2(&milliseconds, start, untimed), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(DriverStreamTest, WorkOfADestroyedStreamStillRuns) {
  const CUstream stream = NewStream(kBlocking);
  EXPECT_OK(Await(stream, 3));
  EXPECT_OK(cu->cuStreamDestroy_v2(stream));
  EXPECT_CUDA(cu->cuStreamQuery(stream), CUDA_ERROR_INVALID_HANDLE);
  Open();
  EXPECT_OK(cu->cuCtxSynchronize());
  EXPECT_EQ(Written(), 3u);
}

TEST_F(DriverStreamTest, InvalidHandlesAreAnswered) {
  const auto stream = reinterpret_cast<CUstream>(0x1230);
  const auto event = reinterpret_cast<CUevent>(0x1230);
  const auto function = reinterpret_cast<CUfunction>(0x1230);
  const auto library = reinterpret_cast<CUlibrary>(0x1230);
  const auto kernel = reinterpret_cast<CUkernel>(0x1230);
  const auto bad_module = reinterpret_cast<CUmodule>(NewStream(kBlocking));  // a handle, of the wrong kind
  const CUevent good_event = NewEvent();
  const CUdeviceptr ptr = Alloc(kPage);
  size_t size = 0;
  unsigned count = 0;
  int value = 0;
  CUfunction found = nullptr;
  CUkernel found_kernel = nullptr;
  CUmodule found_module = nullptr;
  for (const CUresult answer : {cu->cuStreamDestroy_v2(stream),
                                cu->cuStreamQuery(stream),
                                cu->cuStreamSynchronize(stream),
                                cu->cuStreamDestroy_v2(nullptr),
                                cu->cuStreamDestroy_v2(CuStreamLegacy()),
                                cu->cuStreamDestroy_v2(CuStreamPerThread()),
                                cu->cuStreamWaitEvent(stream, good_event, 0),
                                cu->cuStreamWaitEvent(nullptr, event, 0),
                                cu->cuEventRecord(good_event, stream),
                                cu->cuEventRecord(event, nullptr),
                                cu->cuEventQuery(event),
                                cu->cuEventSynchronize(event),
                                cu->cuEventDestroy_v2(event),
                                cu->cuMemsetD8Async(ptr, 1, 1, stream),
                                cu->cuMemcpyHtoDAsync_v2(ptr, &size, 8, stream),
                                cu->cuMemcpyDtoHAsync_v2(&size, ptr, 8, stream),
                                cu->cuMemcpyDtoDAsync_v2(ptr, ptr, 8, stream),
                                cu->cuModuleGetFunction(&found, bad_module, "store"),
                                cu->cuModuleUnload(bad_module),
                                cu->cuModuleGetGlobal_v2(nullptr, &size, bad_module, "counter"),
                                cu->cuModuleGetFunctionCount(&count, bad_module),
                                cu->cuModuleEnumerateFunctions(&found, 1, bad_module),
                                cu->cuLibraryUnload(library),
                                cu->cuLibraryGetKernel(&found_kernel, library, "store"),
                                cu->cuLibraryGetModule(&found_module, library),
                                cu->cuLibraryGetGlobal(nullptr, &size, library, "counter"),
                                cu->cuKernelGetFunction(&found, kernel),
                                cu->cuKernelGetAttribute(&value, 0, kernel, 0),
                                cu->cuKernelSetAttribute(8, 0, kernel, 0),
                                cu->cuKernelGetParamInfo(kernel, 0, &size, &size),
                                cu->cuFuncGetAttribute(&value, 0, function),
                                cu->cuFuncSetAttribute(function, 8, 0),
                                cu->cuFuncSetCacheConfig(function, 0),
                                cu->cuFuncGetParamInfo(function, 0, &size, &size),
                                cu->cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr),
                                cu->cuLaunchCooperativeKernel(function, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr),
                                cu->cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&value, function, 32, 0, 0),
                                Launch("endless", {.stream = stream})}) {
    EXPECT_CUDA(answer, CUDA_ERROR_INVALID_HANDLE);
  }
}

TEST_F(DriverStreamTest, UnknownFlagsAreRefused) {
  CUstream stream = nullptr;
  CUevent event = nullptr;
  EXPECT_CUDA(cu->cuStreamCreateWithPriority(&stream, 6, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuEventCreate(&event, 64), CUDA_ERROR_INVALID_VALUE);
  event = NewEvent();
  EXPECT_CUDA(cu->cuEventRecordWithFlags(event, nullptr, 7), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuStreamWaitEvent(nullptr, event, 7), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(DriverStreamTest, DestroyingTheDeviceEndsEndlessKernels) {
  for (int i = 0; i < 20; ++i) EXPECT_OK(Launch("endless", {.stream = NewStream(CU_STREAM_NON_BLOCKING)}));
  DestroyCpuDevice();
  EXPECT_CUDA(cu->cuCtxSynchronize(), CUDA_ERROR_NOT_INITIALIZED);
}

TEST_F(DriverStreamTest, TheLastReleaseEndsEndlessKernels) {
  EXPECT_OK(Launch("endless", {}));
  EXPECT_OK(cu->cuDevicePrimaryCtxRelease_v2(0));
  EXPECT_CUDA(cu->cuCtxSynchronize(), CUDA_ERROR_CONTEXT_IS_DESTROYED);
  EXPECT_OK(cu->cuDevicePrimaryCtxRetain(&context, 0));
  EXPECT_OK(cu->cuCtxSynchronize());
}

TEST_F(DriverStreamTest, CallsNeedACurrentContext) {
  EXPECT_OK(cu->cuCtxSetCurrent(nullptr));
  EXPECT_CUDA(cu->cuCtxSynchronize(), CUDA_ERROR_INVALID_CONTEXT);
  EXPECT_CUDA(cu->cuCtxSetCurrent(reinterpret_cast<CUcontext>(0x1234)), CUDA_ERROR_INVALID_CONTEXT);
  CUcontext current = context;
  EXPECT_OK(cu->cuCtxGetCurrent(&current));
  EXPECT_EQ(current, nullptr);
}

TEST_F(DriverStreamTest, TheDeviceIsThePartitionAskedFor) {
  char name[64];
  EXPECT_OK(cu->cuDeviceGetName(name, sizeof(name), 0));
  EXPECT_EQ(name, Options().name);
  EXPECT_OK(cu->cuDeviceGetName(name, 4, 0));
  EXPECT_STREQ(name, "MIG");
  size_t bytes = 0;
  EXPECT_OK(cu->cuDeviceTotalMem_v2(&bytes, 0));
  EXPECT_EQ(bytes, kMemoryBytes);
  int value = 0;
  EXPECT_OK(cu->cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0));
  EXPECT_EQ(value, 8);
  EXPECT_CUDA(cu->cuDeviceGetAttribute(&value, 9999, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuDeviceGetAttribute(&value, 1, 1), CUDA_ERROR_INVALID_DEVICE);
  CUuuid first{}, again{};
  EXPECT_OK(cu->cuDeviceGetUuid_v2(&first, 0));
  DestroyCpuDevice();
  SetUp();
  EXPECT_OK(cu->cuDeviceGetUuid_v2(&again, 0));
  EXPECT_THAT(first.bytes, testing::ElementsAreArray(again.bytes));
  EXPECT_FALSE(CreateCpuDevice(Options()));  // one per process
}

TEST_F(DriverStreamTest, EveryEntryPointIsThere) {
#define MIG_EXPECT_SET(symbol, ...) EXPECT_NE(cu->symbol, nullptr) << #symbol;
  MIG_DRIVER_FUNCTIONS(MIG_EXPECT_SET)
#undef MIG_EXPECT_SET
}

}  // namespace
}  // namespace mignificient::cpu
