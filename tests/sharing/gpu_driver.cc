#include <iterator>
#include <stdexcept>
#include <string>

#include "abi/cuda.h"
#include "gpu.h"
#include "kernels_ptx.h"

extern "C" {
CUresult cuInit(unsigned);
CUresult cuGetErrorName(CUresult, const char**);
CUresult cuDeviceGet(CUdevice*, int);
CUresult cuDevicePrimaryCtxRetain(CUcontext*, CUdevice);
CUresult cuCtxSetCurrent(CUcontext);
CUresult cuCtxSynchronize();
CUresult cuMemAlloc_v2(CUdeviceptr*, size_t);
CUresult cuMemFree_v2(CUdeviceptr);
CUresult cuMemcpyHtoD_v2(CUdeviceptr, const void*, size_t);
CUresult cuMemcpyDtoH_v2(void*, CUdeviceptr, size_t);
CUresult cuMemsetD8_v2(CUdeviceptr, unsigned char, size_t);
CUresult cuModuleLoadData(CUmodule*, const void*);
CUresult cuModuleGetFunction(CUfunction*, CUmodule, const char*);
CUresult cuLaunchKernel(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream,
                        void**, void**);
}

namespace sharing {
namespace {

void Check(const char* call, CUresult status) {
  if (status == CUDA_SUCCESS) return;
  const char* name = nullptr;
  cuGetErrorName(status, &name);
  throw std::runtime_error(std::string(call) + " fails with " + (name != nullptr ? name : std::to_string(status)));
}

// The primary context and the kernels; made by the first use, kept for the life of the process as CUDA programs do.
struct Device {
  Device() {
    CUdevice device = 0;
    CUcontext context = nullptr;
    CUmodule module = nullptr;
    Check("cuInit", cuInit(0));
    Check("cuDeviceGet", cuDeviceGet(&device, 0));
    Check("cuDevicePrimaryCtxRetain", cuDevicePrimaryCtxRetain(&context, device));
    Check("cuCtxSetCurrent", cuCtxSetCurrent(context));
    Check("cuModuleLoadData", cuModuleLoadData(&module, kKernelsPtx));
    const char* names[] = {"mix", "checksum", "expand", "relax", "timed"};
    for (size_t i = 0; i < std::size(names); ++i)
      Check("cuModuleGetFunction", cuModuleGetFunction(&kernels[i], module, names[i]));
  }
  CUfunction kernels[5] = {};
};

const Device& TheDevice() {
  static const Device device;
  return device;
}

}  // namespace

DeviceMemory::DeviceMemory(size_t bytes) {
  TheDevice();
  CUdeviceptr pointer = 0;
  Check("cuMemAlloc", cuMemAlloc_v2(&pointer, bytes));
  address_ = pointer;
}

DeviceMemory::~DeviceMemory() {
  cuMemFree_v2(address_);
}

void Upload(Address to, const void* from, size_t bytes) {
  Check("cuMemcpyHtoD", cuMemcpyHtoD_v2(to, from, bytes));
}

void Download(void* to, Address from, size_t bytes) {
  Check("cuMemcpyDtoH", cuMemcpyDtoH_v2(to, from, bytes));
}

void Zero(Address at, size_t bytes) {
  Check("cuMemsetD8", cuMemsetD8_v2(at, 0, bytes));
}

void Synchronize() {
  Check("cuCtxSynchronize", cuCtxSynchronize());
}

void LaunchRaw(Kernel kernel, unsigned blocks, unsigned threads, void** parameters) {
  const CUfunction function = TheDevice().kernels[static_cast<size_t>(kernel)];
  Check("cuLaunchKernel", cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, 0, nullptr, parameters, nullptr));
}

}  // namespace sharing
