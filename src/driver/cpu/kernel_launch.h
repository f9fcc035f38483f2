// A kernel launch with everything it needs to run later: what a stream, a graph node or a capture keeps of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "driver/cpu/device.h"
#include "driver/cpu/exec/program.h"

namespace mignificient::cpu {

struct KernelLaunch {
  std::shared_ptr<Function> function;  // has a kernel
  Dim3 grid;
  Dim3 block;
  uint32_t dynamic_shared_bytes = 0;
  bool cooperative = false;
  std::vector<std::byte> params;  // laid out as the kernel describes them
};

// Whether the kernel can run in this shape on this device; CUDA's answer if not.
CUresult CheckShape(const KernelLaunch& launch, const CpuDriverOptions& options);

// Packs the parameters from one of the two forms that cuLaunchKernel takes.
CUresult PackParams(const Kernel& kernel, void** params, void** extra, std::vector<std::byte>* packed);

// Runs it now, on the calling thread and the worker pool. A fault becomes the device's.
void Execute(Context& context, const KernelLaunch& launch);

}  // namespace mignificient::cpu
