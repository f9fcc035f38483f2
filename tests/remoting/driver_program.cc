// A CUDA program for remoting_test.py: driver API and PTX text, one case per argument. Prints what it observes, and
// `ok` last. Exits with 1 where an answer differs from what CUDA documents.

#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "driver_api.h"

namespace {

void Expect(CUresult result, CUresult wanted, const char* what) {
  if (result == wanted) return;
  std::printf("%s answers %u (expected %u)\n", what, static_cast<unsigned>(result), static_cast<unsigned>(wanted));
  std::exit(1);
}
#define OK(call) Expect(call, CUDA_SUCCESS, #call)

CUcontext context;

CUfunction Setup() {
  CUdevice device;
  CUmodule module;
  CUfunction add;
  OK(cuInit(0));
  OK(cuDeviceGet(&device, 0));
  OK(cuDevicePrimaryCtxRetain(&context, device));
  OK(cuCtxSetCurrent(context));
  OK(cuModuleLoadData(&module, kAddPtx));
  OK(cuModuleGetFunction(&add, module, "add"));
  return add;
}

CUresult Launch(CUfunction add, CUdeviceptr p, uint32_t n, uint32_t x, CUstream stream) {
  void* params[] = {&p, &n, &x};
  return cuLaunchKernel(add, (n + 127) / 128, 1, 1, 128, 1, 1, 0, stream, params, nullptr);
}

// Copies of every size class there and back, at offsets that cross chunks.
void Copies() {
  Setup();
  for (const size_t bytes : {size_t{1}, size_t{4095}, size_t{16384}, size_t{16385}, size_t{32768}, size_t{32769},
                             size_t{1} << 20, (size_t{1} << 20) + 3, (size_t{37} << 20) + 11}) {
    std::vector<uint8_t> out(bytes), in(bytes);
    for (size_t i = 0; i < bytes; ++i) out[i] = static_cast<uint8_t>(i * 2654435761u >> 13);
    CUdeviceptr p;
    OK(cuMemAlloc_v2(&p, bytes + 64));
    OK(cuMemcpyHtoD_v2(p + 7, out.data(), bytes));
    OK(cuMemcpyDtoH_v2(in.data(), p + 7, bytes));
    OK(cuMemFree_v2(p));
    if (in != out) std::printf("%zu bytes come back changed\n", bytes), std::exit(1);
  }
}

void Threads() {
  const CUfunction add = Setup();
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 8; ++t)
    threads.emplace_back([add, t] {
      OK(cuCtxSetCurrent(context));
      constexpr uint32_t kCount = 1000;
      CUstream stream;
      CUdeviceptr p;
      OK(cuStreamCreate(&stream, 1));
      OK(cuMemAlloc_v2(&p, kCount * 4));
      OK(cuMemsetD32Async(p, t, kCount, stream));
      for (uint32_t i = 1; i <= 50; ++i) {
        OK(Launch(add, p, kCount, i, stream));
        if (i % 10 == 0) OK(cuStreamSynchronize(stream));
      }
      std::vector<uint32_t> values(kCount);
      OK(cuMemcpyDtoHAsync_v2(values.data(), p, kCount * 4, stream));
      OK(cuStreamSynchronize(stream));
      for (const uint32_t value : values)
        if (value != t + 50 * 51 / 2) std::printf("thread %u reads %u\n", t, value), std::exit(1);
      OK(cuMemFree_v2(p));
      OK(cuStreamDestroy_v2(stream));
    });
  for (std::thread& thread : threads) thread.join();
}

// Pinned memory: asynchronous copies, and a kernel that works on it directly.
void Pinned() {
  const CUfunction add = Setup();
  constexpr uint32_t kCount = 100000;
  void *first, *second;
  CUdeviceptr p;
  OK(cuMemHostAlloc(&first, kCount * 4, 0));
  OK(cuMemHostAlloc(&second, kCount * 4, 0));
  OK(cuMemAlloc_v2(&p, kCount * 4));
  auto* values = static_cast<uint32_t*>(first);
  for (uint32_t i = 0; i < kCount; ++i) values[i] = i;
  OK(cuMemcpyHtoDAsync_v2(p, first, kCount * 4, nullptr));
  OK(Launch(add, p, kCount, 5, nullptr));
  OK(cuMemcpyDtoHAsync_v2(second, p, kCount * 4, nullptr));
  OK(Launch(add, reinterpret_cast<CUdeviceptr>(second), kCount, 1, nullptr));
  OK(cuStreamSynchronize(nullptr));
  for (uint32_t i = 0; i < kCount; ++i)
    if (static_cast<uint32_t*>(second)[i] != i + 6) std::printf("element %u is wrong\n", i), std::exit(1);
  OK(cuMemFreeHost(first));
  OK(cuMemFreeHost(second));
  Expect(cuMemFreeHost(second), CUDA_ERROR_INVALID_VALUE, "freeing pinned memory twice");
}

void IllegalAddress() {
  const CUfunction add = Setup();
  CUdeviceptr p;
  OK(cuMemAlloc_v2(&p, 64));
  OK(Launch(add, 0x10000, 32, 1, nullptr));
  Expect(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS, "synchronize after a stray store");
  Expect(cuMemAlloc_v2(&p, 64), CUDA_ERROR_ILLEGAL_ADDRESS, "the next call");
  Expect(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS, "synchronize once more");
}

void Misuse() {
  const CUfunction add = Setup();
  CUdeviceptr p;
  CUevent event;
  const auto stream = reinterpret_cast<CUstream>(0x1234);
  OK(cuMemAlloc_v2(&p, 64));
  Expect(cuMemFree_v2(p + 8), CUDA_ERROR_INVALID_VALUE, "freeing the middle of an allocation");
  Expect(cuStreamQuery(stream), CUDA_ERROR_INVALID_HANDLE, "a made-up stream");
  Expect(Launch(add, p, 1, 1, stream), CUDA_ERROR_INVALID_HANDLE, "a launch on it");
  // Setting memory does not wait for the server, so what it refuses surfaces at the next wait, once.
  OK(cuMemsetD32Async(0x1000, 0, 1, nullptr));
  Expect(cuCtxSynchronize(), CUDA_ERROR_INVALID_VALUE, "waiting for a set of no memory");
  OK(cuCtxSynchronize());
  OK(cuEventCreate(&event, 0));
  OK(cuEventDestroy_v2(event));
  Expect(cuEventRecord(event, nullptr), CUDA_ERROR_INVALID_HANDLE, "a destroyed event");
  void* params[] = {&p, &p, &p};
  Expect(cuLaunchKernel(add, 1, 1, 1, 4096, 1, 1, 0, nullptr, params, nullptr), CUDA_ERROR_INVALID_VALUE,
         "4096 threads");
  Expect(cuLaunchKernel(add, 0, 1, 1, 32, 1, 1, 0, nullptr, params, nullptr), CUDA_ERROR_INVALID_VALUE, "no blocks");
  CUmodule module;
  Expect(cuModuleLoadData(&module, ".version 7.0\n.target sm_50\n.address_size 64\nnonsense"), CUDA_ERROR_INVALID_PTX,
         "malformed PTX");
  OK(cuCtxSynchronize());
}

// A forked child shares its parent's channel and must not use it.
void Fork() {
  Setup();
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    CUdeviceptr p;
    ::_exit(cuMemAlloc_v2(&p, 64) == CUDA_ERROR_NOT_INITIALIZED ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (status != 0) std::printf("the child ends with %d\n", status), std::exit(1);
  CUdeviceptr p;
  OK(cuMemAlloc_v2(&p, 64));
}

// A library belongs to no context, so a thread without one loads it and finds its kernel, as the runtime does.
void LibraryWithoutContext() {
  const CUfunction add = Setup();
  CUlibrary library;
  CUkernel kernel = nullptr;
  std::thread([&] {
    CUcontext current;
    OK(cuCtxGetCurrent(&current));
    if (current != nullptr) std::printf("a new thread has a context\n"), std::exit(1);
    OK(cuLibraryLoadData(&library, kAddPtx, nullptr, nullptr, 0, nullptr, nullptr, 0));
    OK(cuLibraryGetKernel(&kernel, library, "add"));
    CUmodule module;
    CUfunction function;
    Expect(cuModuleLoadData(&module, kAddPtx), CUDA_ERROR_INVALID_CONTEXT, "a module without a context");
    Expect(cuModuleGetFunction(&function, nullptr, "add"), CUDA_ERROR_INVALID_CONTEXT, "a function without one");
  }).join();
  CUdeviceptr p;
  uint32_t value = 1;
  OK(cuMemAlloc_v2(&p, 4));
  OK(cuMemcpyHtoD_v2(p, &value, 4));
  OK(Launch(reinterpret_cast<CUfunction>(kernel), p, 1, 2, nullptr));
  OK(Launch(add, p, 1, 3, nullptr));
  OK(cuMemcpyDtoH_v2(&value, p, 4));
  if (value != 6) std::printf("the kernels give %u\n", value), std::exit(1);
  std::thread([&] { OK(cuLibraryUnload(library)); }).join();
}

// Ends while its kernel never does; the driver ends such work with the process.
void EndlessKernel() {
  Setup();
  CUmodule module;
  CUfunction forever;
  OK(cuModuleLoadData(&module, kAddPtx));
  OK(cuModuleGetFunction(&forever, module, "forever"));
  OK(cuLaunchKernel(forever, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr));
  Expect(cuStreamQuery(nullptr), CUDA_ERROR_NOT_READY, "the stream of a kernel that never ends");
}

// Copies until something fails; says when the first copy is done and what failed.
void CopyForever() {
  Setup();
  std::vector<char> host(8 << 20);
  CUdeviceptr p;
  OK(cuMemAlloc_v2(&p, host.size()));
  CUresult result = CUDA_SUCCESS;
  for (int i = 0; result == CUDA_SUCCESS; ++i) {
    result = cuMemcpyHtoD_v2(p, host.data(), host.size());
    if (result == CUDA_SUCCESS) result = cuMemcpyDtoH_v2(host.data(), p, host.size());
    if (i == 0) std::printf("copying\n"), std::fflush(stdout);
  }
  std::printf("failed with %u\n", static_cast<unsigned>(result));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, void (*)()> cases = {{"copies", Copies},
                                                   {"threads", Threads},
                                                   {"pinned", Pinned},
                                                   {"illegal-address", IllegalAddress},
                                                   {"misuse", Misuse},
                                                   {"fork", Fork},
                                                   {"copy-forever", CopyForever},
                                                   {"library-without-context", LibraryWithoutContext},
                                                   {"endless-kernel", EndlessKernel}};
  const auto found = cases.find(argc > 1 ? argv[1] : "");
  if (found == cases.end()) return 2;
  found->second();
  std::printf("ok\n");
  return 0;
}
