#include <cstring>
#include <numeric>

#include "driver/cpu/driver_fixture.h"
#include "driver/cpu/exec/program.h"

namespace mignificient::cpu {
namespace {

using testing::Each;
using testing::UnorderedElementsAre;

class DriverKernelTest : public DriverTest {};

TEST_F(DriverKernelTest, VectorAddAddsVectors) {
  constexpr unsigned kCount = 10'000;
  std::vector<float> a(kCount), b(kCount);
  for (unsigned i = 0; i < kCount; ++i) {
    a[i] = 0.5f * i;
    b[i] = 3.0f;
  }
  const CUdeviceptr in_a = Upload(a), in_b = Upload(b), out = Alloc(kCount * 4);
  EXPECT_OK(Launch("vector_add", {.grid = (kCount + 255) / 256, .block = 256}, in_a, in_b, out, kCount));
  const auto sums = Download<float>(out, kCount);
  for (unsigned i = 0; i < kCount; ++i) ASSERT_EQ(sums[i], a[i] + b[i]) << i;
}

TEST_F(DriverKernelTest, BlocksReduceInSharedMemory) {
  constexpr unsigned kBlocks = 37;
  std::vector<uint32_t> in(kBlocks * 256);
  std::iota(in.begin(), in.end(), 0);
  const CUdeviceptr from = Upload(in), out = Alloc(kBlocks * 4);
  EXPECT_OK(Launch("block_sum", {.grid = kBlocks, .block = 256, .shared_bytes = 1024}, from, out));
  const auto sums = Download<uint32_t>(out, kBlocks);
  for (unsigned i = 0; i < kBlocks; ++i) EXPECT_EQ(sums[i], 256 * 256 * i + 255 * 256 / 2) << i;
}

TEST_F(DriverKernelTest, AtomicsCountEveryElement) {
  constexpr unsigned kCount = 64 * 128;
  std::vector<uint32_t> in(kCount);
  std::iota(in.begin(), in.end(), 0);
  const CUdeviceptr from = Upload(in), bins = Alloc(64);
  EXPECT_OK(Launch("histogram", {.grid = 64, .block = 128}, from, bins));
  EXPECT_THAT(Download<uint32_t>(bins, 16), Each(kCount / 16));
}

TEST_F(DriverKernelTest, ParametersMayComeInOneBuffer) {
  const CUdeviceptr out = Alloc(kPage);
  struct {
    CUdeviceptr out;
    uint32_t value = 77;
  } buffer{out};
  size_t bytes = 12;
  void* extra[] = {reinterpret_cast<void*>(kLaunchParamBufferPointer), &buffer,
                   reinterpret_cast<void*>(kLaunchParamBufferSize), &bytes, nullptr};
  const CUfunction store = Kernel("store");
  EXPECT_OK(cu->cuLaunchKernel(store, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, extra));
  EXPECT_THAT(Download<uint32_t>(out, 1), Each(77u));
  bytes = 16;
  EXPECT_CUDA(cu->cuLaunchKernel(store, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, extra),
              CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
  void* params[] = {&buffer.out, &buffer.value};
  EXPECT_CUDA(cu->cuLaunchKernel(store, 1, 1, 1, 1, 1, 1, 0, nullptr, params, extra), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuLaunchKernel(store, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(DriverKernelTest, PrintfReachesTheSinkAtSynchronisation) {
  std::string printed;
  SetPrintfSink([&](std::string_view text) { printed += text; });
  EXPECT_OK(Launch("print", {.grid = 3}));
  EXPECT_OK(cu->cuCtxSynchronize());
  std::vector<std::string> lines;
  for (size_t begin = 0, end; (end = printed.find('\n', begin)) != std::string::npos; begin = end + 1) {
    lines.push_back(printed.substr(begin, end - begin));
  }
  EXPECT_THAT(lines, UnorderedElementsAre("block 0", "block 1", "block 2"));
}

TEST_F(DriverKernelTest, ShapesThatAnH100RefusesAreInvalid) {
  const auto launch = [&](const char* name, Dim3 grid, Dim3 block, unsigned shared_bytes = 0) {
    return cu->cuLaunchKernel(Kernel(name), grid.x, grid.y, grid.z, block.x, block.y, block.z, shared_bytes, nullptr,
                              nullptr, nullptr);
  };
  const Dim3 one{1, 1, 1};
  for (const CUresult answer :
       {launch("at_most_128", {0, 1, 1}, one), launch("at_most_128", {1, 65536, 1}, one),
        launch("at_most_128", one, {1, 1, 65}), launch("at_most_128", one, {129, 1, 1}),
        launch("shared_4096", one, {1024, 2, 1}), launch("shared_4096", one, {1025, 1, 1}),
        launch("shared_4096", one, {0x10000, 0x10000, 64}), launch("exactly_64x2", one, {64, 1, 1}),
        launch("shared_4096", one, one, 45057), launch("shared_4096", one, one, 0xffffffff)}) {
    EXPECT_CUDA(answer, CUDA_ERROR_INVALID_VALUE);
  }
  EXPECT_OK(launch("exactly_64x2", one, {64, 2, 1}));
  EXPECT_OK(launch("shared_4096", one, one, 45056));
  EXPECT_OK(cu->cuFuncSetAttribute(Kernel("shared_4096"), CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 228352));
  EXPECT_OK(launch("shared_4096", one, one, 228352));
  EXPECT_OK(cu->cuCtxSynchronize());
}

TEST_F(DriverKernelTest, CooperativeGridsMustFitTheMultiprocessors) {
  const CUfunction kernel = Kernel("at_most_128");
  int per_sm = 0;
  EXPECT_OK(cu->cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&per_sm, kernel, 128, 0, 0));
  EXPECT_EQ(per_sm, 16);
  const unsigned resident = 8 * per_sm;
  EXPECT_OK(cu->cuLaunchCooperativeKernel(kernel, resident, 1, 1, 128, 1, 1, 0, nullptr, nullptr));
  EXPECT_CUDA(cu->cuLaunchCooperativeKernel(kernel, resident + 1, 1, 1, 128, 1, 1, 0, nullptr, nullptr),
              CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
  EXPECT_OK(cu->cuCtxSynchronize());
}

TEST_F(DriverKernelTest, LaunchAttributesThatChangeNothingAreAccepted) {
  CUlaunchAttribute attribute{.id = 6};  // programmatic stream serialisation
  CUlaunchConfig config{.grid_x = 1, .grid_y = 1, .grid_z = 1, .block_x = 1, .block_y = 1, .block_z = 1};
  config.attributes = &attribute;
  config.attribute_count = 1;
  EXPECT_OK(cu->cuLaunchKernelEx(&config, Kernel("at_most_128"), nullptr, nullptr));
  attribute.id = 4;  // cluster dimension
  const Dim3 cluster{2, 1, 1};
  std::memcpy(attribute.value, &cluster, sizeof(cluster));
  EXPECT_CUDA(cu->cuLaunchKernelEx(&config, Kernel("at_most_128"), nullptr, nullptr), CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_CUDA(cu->cuLaunchKernelEx(nullptr, Kernel("at_most_128"), nullptr, nullptr), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(DriverKernelTest, OccupancyIsThatOfAHopper) {
  const CUfunction kernel = Kernel("shared_4096");
  const auto blocks = [&](int block_size, size_t dynamic) {
    int answer = -1;
    EXPECT_OK(cu->cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&answer, kernel, block_size, dynamic, 0));
    return answer;
  };
  EXPECT_EQ(blocks(32, 0), 32);
  EXPECT_EQ(blocks(1024, 0), 2);
  EXPECT_EQ(blocks(1025, 0), 0);
  EXPECT_EQ(blocks(128, 100'000), 2);
  EXPECT_EQ(blocks(128, 300'000), 0);
  size_t bytes = 0;
  EXPECT_OK(cu->cuOccupancyAvailableDynamicSMemPerBlock(&bytes, kernel, 1, 128));
  EXPECT_EQ(bytes, 228352u);
  EXPECT_CUDA(cu->cuOccupancyAvailableDynamicSMemPerBlock(&bytes, kernel, 32, 128), CUDA_ERROR_INVALID_VALUE);
}

struct Fault {
  const char* kernel;
  CUdeviceptr address;  // for kernels that take one; added to a good page
  bool takes_address;
  CUresult expected;
};

class FaultTest : public DriverTest, public testing::WithParamInterface<Fault> {};

TEST_P(FaultTest, EndsTheContextForGood) {
  const auto& fault = GetParam();
  const CUdeviceptr page = Alloc(kPage);
  const CUfunction store = Kernel("store");
  CUevent event = nullptr;
  EXPECT_OK(cu->cuEventCreate(&event, 0));
  if (fault.takes_address) {
    EXPECT_OK(Launch(fault.kernel, {}, page + fault.address, 1u));
  } else {
    EXPECT_OK(Launch(fault.kernel, {}));
  }
  size_t free_bytes = 0, total_bytes = 0;
  CUstream stream = nullptr;
  CUfunction function = nullptr;
  int value = 0;
  void* params[] = {nullptr};
  for (const CUresult answer :
       {cu->cuCtxSynchronize(), cu->cuCtxSynchronize(), cu->cuStreamQuery(nullptr), cu->cuStreamSynchronize(nullptr),
        cu->cuMemGetInfo_v2(&free_bytes, &total_bytes), cu->cuStreamCreateWithPriority(&stream, 0, 0),
        cu->cuEventQuery(event), cu->cuEventRecord(event, nullptr), cu->cuModuleGetFunction(&function, module, "store"),
        cu->cuFuncGetAttribute(&value, 0, store), cu->cuMemsetD8Async(page, 1, 1, nullptr),
        cu->cuMemcpyDtoHAsync_v2(&value, page, 4, nullptr), cu->cuMemHostRegister_v2(&value, 4, 0),
        cu->cuLaunchKernel(store, 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr)}) {
    EXPECT_CUDA(answer, fault.expected);
  }
  EXPECT_OK(cu->cuCtxGetCurrent(&context));
  EXPECT_OK(cu->cuMemUnmap(page, kPage));  // what the context does not own can still be given back
  EXPECT_OK(cu->cuDevicePrimaryCtxRelease_v2(0));
  EXPECT_CUDA(cu->cuDevicePrimaryCtxRetain(&context, 0), fault.expected);
}

INSTANTIATE_TEST_SUITE_P(Faults, FaultTest,
                         testing::Values(Fault{"store", 4096, true, CUDA_ERROR_ILLEGAL_ADDRESS},
                                         Fault{"store", 4095, true, CUDA_ERROR_MISALIGNED_ADDRESS},
                                         Fault{"store", CUdeviceptr{1} << 50, true, CUDA_ERROR_ILLEGAL_ADDRESS},
                                         Fault{"trap_now", 0, false, CUDA_ERROR_LAUNCH_FAILED},
                                         Fault{"fail_assert", 0, false, CUDA_ERROR_ASSERT}));

TEST_F(DriverKernelTest, UnmappedAndUnregisteredMemoryIsIllegal) {
  alignas(64) static uint32_t word = 0;
  EXPECT_OK(cu->cuMemHostRegister_v2(&word, 4, 0));
  EXPECT_OK(Launch("store", {}, reinterpret_cast<CUdeviceptr>(&word), 9u));
  EXPECT_OK(cu->cuCtxSynchronize());
  EXPECT_EQ(word, 9u);
  EXPECT_OK(cu->cuMemHostUnregister(&word));
  EXPECT_OK(Launch("store", {}, reinterpret_cast<CUdeviceptr>(&word), 10u));
  EXPECT_CUDA(cu->cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_EQ(word, 9u);
}

}  // namespace
}  // namespace mignificient::cpu
