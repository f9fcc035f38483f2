#include <iterator>
#include <stdexcept>
#include <string>

#include "abi/cuda.h"
#include "gpu.h"

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

// The kernels of gpu_runtime.cu.
constexpr const char* kPtx = R"(
.version 6.0
.target sm_50
.address_size 64

.visible .entry mix(.param .u64 words, .param .u32 count, .param .u32 rounds) {
  .reg .pred %p; .reg .b32 %r<7>; .reg .b64 %d<3>;
  mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x;
  mad.lo.u32 %r1, %r1, %r2, %r3;
  ld.param.u32 %r2, [count];
  setp.ge.u32 %p, %r1, %r2;
  @%p bra DONE;
  ld.param.u64 %d1, [words];
  cvta.to.global.u64 %d1, %d1;
  mul.wide.u32 %d2, %r1, 4;
  add.u64 %d1, %d1, %d2;
  ld.global.u32 %r4, [%d1];
  ld.param.u32 %r5, [rounds];
  mov.u32 %r6, 0;
LOOP:
  setp.ge.u32 %p, %r6, %r5;
  @%p bra STORE;
  mad.lo.u32 %r4, %r4, 1664525, 1013904223;
  add.u32 %r6, %r6, 1;
  bra LOOP;
STORE:
  st.global.u32 [%d1], %r4;
DONE:
  ret;
}

.visible .entry checksum(.param .u64 words, .param .u32 count, .param .u64 sum) {
  .reg .pred %p; .reg .b32 %r<6>; .reg .b64 %d<4>;
  mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x;
  mad.lo.u32 %r1, %r1, %r2, %r3;
  ld.param.u32 %r2, [count];
  setp.ge.u32 %p, %r1, %r2;
  @%p bra DONE;
  ld.param.u64 %d1, [words];
  cvta.to.global.u64 %d1, %d1;
  mul.wide.u32 %d2, %r1, 4;
  add.u64 %d1, %d1, %d2;
  ld.global.u32 %r4, [%d1];
  add.u32 %r5, %r1, 1;
  mul.lo.u32 %r4, %r4, %r5;
  ld.param.u64 %d3, [sum];
  cvta.to.global.u64 %d3, %d3;
  red.global.add.u32 [%d3], %r4;
DONE:
  ret;
}

.visible .entry expand(.param .u64 targets, .param .u64 levels, .param .u32 vertices, .param .u32 degree,
                       .param .u32 level, .param .u64 reached) {
  .reg .pred %p; .reg .b32 %r<12>; .reg .b64 %d<8>;
  mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x;
  mad.lo.u32 %r1, %r1, %r2, %r3;
  ld.param.u32 %r2, [vertices];
  setp.ge.u32 %p, %r1, %r2;
  @%p bra DONE;
  ld.param.u64 %d1, [levels];
  cvta.to.global.u64 %d1, %d1;
  mul.wide.u32 %d2, %r1, 4;
  add.u64 %d2, %d1, %d2;
  ld.global.u32 %r3, [%d2];
  ld.param.u32 %r4, [level];
  setp.ne.u32 %p, %r3, %r4;
  @%p bra DONE;
  add.u32 %r4, %r4, 1;
  ld.param.u32 %r5, [degree];
  mul.lo.u32 %r6, %r1, %r5;
  add.u32 %r7, %r6, %r5;
  ld.param.u64 %d3, [targets];
  cvta.to.global.u64 %d3, %d3;
  ld.param.u64 %d4, [reached];
  cvta.to.global.u64 %d4, %d4;
EDGE:
  setp.ge.u32 %p, %r6, %r7;
  @%p bra DONE;
  mul.wide.u32 %d5, %r6, 4;
  add.u64 %d5, %d3, %d5;
  ld.global.u32 %r8, [%d5];
  mul.wide.u32 %d6, %r8, 4;
  add.u64 %d6, %d1, %d6;
  add.u32 %r6, %r6, 1;
  atom.global.cas.b32 %r9, [%d6], 0xffffffff, %r4;
  setp.ne.u32 %p, %r9, 0xffffffff;
  @%p bra EDGE;
  red.global.add.u32 [%d4], 1;
  bra EDGE;
DONE:
  ret;
}

.visible .entry relax(.param .u64 from, .param .u64 to, .param .u32 side) {
  .reg .pred %p; .reg .b32 %r<10>; .reg .b64 %d<6>;
  mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x;
  mad.lo.u32 %r1, %r1, %r2, %r3;
  ld.param.u32 %r2, [side];
  mul.lo.u32 %r3, %r2, %r2;
  sub.u32 %r3, %r3, 1;
  setp.gt.u32 %p, %r1, %r3;
  @%p bra DONE;
  ld.param.u64 %d1, [from];
  cvta.to.global.u64 %d1, %d1;
  mul.wide.u32 %d2, %r1, 4;
  add.u64 %d3, %d1, %d2;
  ld.global.u32 %r4, [%d3];
  shl.b32 %r4, %r4, 2;
  add.u32 %r5, %r1, 1;
  and.b32 %r5, %r5, %r3;
  mul.wide.u32 %d3, %r5, 4;
  add.u64 %d3, %d1, %d3;
  ld.global.u32 %r6, [%d3];
  add.u32 %r4, %r4, %r6;
  sub.u32 %r5, %r1, 1;
  and.b32 %r5, %r5, %r3;
  mul.wide.u32 %d3, %r5, 4;
  add.u64 %d3, %d1, %d3;
  ld.global.u32 %r6, [%d3];
  add.u32 %r4, %r4, %r6;
  add.u32 %r5, %r1, %r2;
  and.b32 %r5, %r5, %r3;
  mul.wide.u32 %d3, %r5, 4;
  add.u64 %d3, %d1, %d3;
  ld.global.u32 %r6, [%d3];
  add.u32 %r4, %r4, %r6;
  sub.u32 %r5, %r1, %r2;
  and.b32 %r5, %r5, %r3;
  mul.wide.u32 %d3, %r5, 4;
  add.u64 %d3, %d1, %d3;
  ld.global.u32 %r6, [%d3];
  add.u32 %r4, %r4, %r6;
  shr.u32 %r4, %r4, 3;
  ld.param.u64 %d4, [to];
  cvta.to.global.u64 %d4, %d4;
  add.u64 %d4, %d4, %d2;
  st.global.u32 [%d4], %r4;
DONE:
  ret;
}

.visible .entry timed(.param .u64 times, .param .u32 rounds) {
  .reg .pred %p; .reg .b32 %r<4>; .reg .b64 %d<5>;
  ld.param.u64 %d1, [times];
  cvta.to.global.u64 %d1, %d1;
  ld.param.u32 %r1, [rounds];
  mov.u64 %d2, %globaltimer;
  cvt.u32.u64 %r2, %d2;
  mov.u32 %r3, 0;
LOOP:
  setp.ge.u32 %p, %r3, %r1;
  @%p bra STORE;
  mad.lo.u32 %r2, %r2, 1664525, 1013904223;
  add.u32 %r3, %r3, 1;
  bra LOOP;
STORE:
  cvt.u64.u32 %d3, %r2;
  st.volatile.global.u64 [%d1+8], %d3;
  mov.u64 %d4, %globaltimer;
  st.volatile.global.u64 [%d1], %d2;
  st.volatile.global.u64 [%d1+8], %d4;
  ret;
}
)";

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
    Check("cuModuleLoadData", cuModuleLoadData(&module, kPtx));
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
