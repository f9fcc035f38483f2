// Questions about the device, contexts, functions and occupancy: most of what frameworks call. By the runtime API, and
// by the driver's functions, which are asked for as frameworks do.
#include <cuda.h>

#include "measure.h"

namespace {

__global__ void Kernel(float* a) {
  __shared__ float shared[256];
  shared[threadIdx.x] = a[threadIdx.x];
  __syncthreads();
  a[threadIdx.x] = shared[255 - threadIdx.x];
}

// The driver's function `symbol`.
template <typename Function>
Function Driver(const char* symbol) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
#if CUDART_VERSION >= 12050
  CHECK(cudaGetDriverEntryPointByVersion(symbol, &function, CUDART_VERSION, cudaEnableDefault, &found));
#else
  CHECK(cudaGetDriverEntryPoint(symbol, &function, cudaEnableDefault, &found));
#endif
  if (found == cudaDriverEntryPointSuccess) return reinterpret_cast<Function>(function);
  std::fprintf(stderr, "The driver has no %s.\n", symbol);
  std::exit(1);
}

void Check(CUresult result, const char* symbol) {
  if (result == CUDA_SUCCESS) return;
  std::fprintf(stderr, "%s fails with %d.\n", symbol, static_cast<int>(result));
  std::exit(1);
}

// Nanoseconds of one call, which is made many times per sample.
template <typename Call>
void MeasureCall(bench::Report& report, const std::string& name, Call call, int calls = 1000) {
  if (report.effort() == bench::Effort::kSmoke) calls = 10;
  report.Measure(
      report.Times(100), std::array{name},
      [&] {
        const bench::Stopwatch watch;
        for (int i = 0; i < calls; ++i) call();
        return std::array{watch.Microseconds() * 1e3 / calls};
      },
      "ns");
}

void MeasureRuntime(bench::Report& report, float* memory) {
  int device = 0, value = 0, blocks = 0;
  MeasureCall(report, "cudaGetDevice", [&] { CHECK(cudaGetDevice(&device)); });
  MeasureCall(report, "cudaSetDevice", [&] { CHECK(cudaSetDevice(0)); });
  MeasureCall(report, "cudaDeviceGetAttribute",
              [&] { CHECK(cudaDeviceGetAttribute(&value, cudaDevAttrMaxThreadsPerBlock, 0)); });
  report.Answer("threads per block", value);
  cudaDeviceProp properties;
  MeasureCall(report, "cudaGetDeviceProperties", [&] { CHECK(cudaGetDeviceProperties(&properties, 0)); }, 20);
  report.Answer("warp size", properties.warpSize);
  cudaFuncAttributes attributes;
  MeasureCall(report, "cudaFuncGetAttributes", [&] { CHECK(cudaFuncGetAttributes(&attributes, Kernel)); }, 200);
  report.Answer("shared bytes", attributes.sharedSizeBytes);
  MeasureCall(report, "cudaOccupancyMaxActiveBlocksPerMultiprocessor",
              [&] { CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, Kernel, 256, 0)); });
  report.Answer("blocks per multiprocessor", blocks);
  cudaPointerAttributes pointer;
  MeasureCall(report, "cudaPointerGetAttributes", [&] { CHECK(cudaPointerGetAttributes(&pointer, memory + 1)); });
  report.Answer("type of memory", pointer.type);
  cudaStreamCaptureStatus capturing;
  MeasureCall(report, "cudaStreamIsCapturing", [&] { CHECK(cudaStreamIsCapturing(nullptr, &capturing)); });
}

struct DriverCalls {
  CUresult (*get_context)(CUcontext*) = Driver<decltype(get_context)>("cuCtxGetCurrent");
#if CUDART_VERSION >= 13000
  CUresult (*get_device)(CUdevice*, CUcontext) = Driver<decltype(get_device)>("cuCtxGetDevice");
  CUresult GetDevice(CUdevice* device) const { return get_device(device, nullptr); }
#else
  CUresult (*get_device)(CUdevice*) = Driver<decltype(get_device)>("cuCtxGetDevice");
  CUresult GetDevice(CUdevice* device) const { return get_device(device); }
#endif
  CUresult (*state)(CUdevice, unsigned*, int*) = Driver<decltype(state)>("cuDevicePrimaryCtxGetState");
  CUresult (*device_attribute)(int*, CUdevice_attribute,
                               CUdevice) = Driver<decltype(device_attribute)>("cuDeviceGetAttribute");
  CUresult (*function_attribute)(int*, CUfunction_attribute,
                                 CUfunction) = Driver<decltype(function_attribute)>("cuFuncGetAttribute");
  CUresult (*occupancy)(int*, CUfunction, int, size_t,
                        unsigned) = Driver<decltype(occupancy)>("cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags");
  CUresult (*limit)(size_t*, CUlimit) = Driver<decltype(limit)>("cuCtxGetLimit");
};

void MeasureDriver(bench::Report& report) {
  const DriverCalls driver;
  cudaFunction_t function;
  CHECK(cudaGetFuncBySymbol(&function, reinterpret_cast<const void*>(Kernel)));
  CUcontext context;
  CUdevice device;
  unsigned flags;
  int active, value;
  size_t limit;
  const auto get_context = [&] { Check(driver.get_context(&context), "cuCtxGetCurrent"); };
  const auto get_device = [&] { Check(driver.GetDevice(&device), "cuCtxGetDevice"); };
  const auto state = [&] { Check(driver.state(0, &flags, &active), "cuDevicePrimaryCtxGetState"); };
  const auto device_attribute = [&] {
    Check(driver.device_attribute(&value, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0), "cuDeviceGetAttribute");
  };
  const auto function_attribute = [&] {
    Check(driver.function_attribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, function), "cuFuncGetAttribute");
  };
  const auto occupancy = [&] { Check(driver.occupancy(&value, function, 256, 0, 0), "cuOccupancyMaxActiveBlocks..."); };
  MeasureCall(report, "cuCtxGetCurrent", get_context);
  MeasureCall(report, "cuCtxGetDevice", get_device);
  MeasureCall(report, "cuDevicePrimaryCtxGetState", state);
  MeasureCall(report, "cuDeviceGetAttribute", device_attribute);
  MeasureCall(report, "cuFuncGetAttribute", function_attribute);
  MeasureCall(report, "cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags", occupancy);
  MeasureCall(report, "cuCtxGetLimit", [&] { Check(driver.limit(&limit, CU_LIMIT_STACK_SIZE), "cuCtxGetLimit"); });
  // A hundred calls in the proportions that PyTorch, CuPy and JAX were seen to make them.
  MeasureCall(
      report, "a hundred queries as frameworks mix them",
      [&] {
        for (int i = 0; i < 62; ++i) get_device();
        for (int i = 0; i < 18; ++i) state();
        for (int i = 0; i < 13; ++i) function_attribute();
        for (int i = 0; i < 3; ++i) get_context();
        for (int i = 0; i < 3; ++i) device_attribute();
        occupancy();
      },
      20);
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report(bench::ParseEffort(argc, argv));
  float* memory = bench::Zeroed<float>(256);
  Kernel<<<1, 256>>>(memory);
  CHECK(cudaDeviceSynchronize());
  MeasureRuntime(report, memory);
  MeasureDriver(report);
  return 0;
}
