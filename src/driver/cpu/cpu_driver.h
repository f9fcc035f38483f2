// The software GPU: the driver entry points of driver_table.h carried out on the CPU.
//
// It presents one device, shaped as one partition of a MIG GPU, and runs PTX: modules must hold PTX text (plain or in
// a fat binary); machine code alone is CUDA_ERROR_NO_BINARY_FOR_GPU. Results, ordering and sticky errors follow what an
// H100 with driver 580 was seen to do. Known differences:
//  - cuMemSetAccess gives read and write access or answers CUDA_ERROR_NOT_SUPPORTED; cuMemUnmap and
//    cuMemHostUnregister wait for kernels that are running, because these run in this process;
//  - libraries are compiled when they are loaded, so their errors come then;
//  - PTX of a newer version or architecture is tried; what cannot run fails the lookup of the kernels that need it;
//  - sums of matrix instructions are rounded once, where tensor cores round in an order of their own;
//  - textures: no sRGB, no block formats, no gradients; the linker takes PTX alone;
//  - no thread block clusters; of graphs, no conditional nodes and no launches from kernels.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "driver/driver_table.h"

namespace mignificient::cpu {

struct CpuDriverOptions {
  std::string name = "MIGnificient software GPU";
  uint64_t memory_bytes = uint64_t{8} << 30;  // what cuMemGetInfo reports and cuMemCreate may take
  unsigned sms = 132;                         // reported; sets occupancy, not speed
  unsigned compute_capability = 90;           // reported, and selects among the PTX of a fat binary
  CUuuid uuid{};                              // all zero: made from the name, the same in every process
  unsigned threads = 0;                       // that execute blocks; 0: one per CPU
};

// Fills the table. Entry points are plain functions, so there is one device per process at a time, found through the
// one process-wide state in cpu_driver.cc, which is never destroyed: other libraries' exit handlers may still call.
// kExists while a device is there; kInvalidArgument for options that make no device.
Result<const DriverTable*> CreateCpuDevice(CpuDriverOptions options);

// Cancels what runs, endless kernels too, waits for it, and frees everything. Afterwards entry points answer
// CUDA_ERROR_NOT_INITIALIZED. Handles and addresses of the device must not be used any more.
void DestroyCpuDevice();

// Receives what kernels print, whole lines as printf gave them, at synchronisation points and when much has gathered.
// Empty: standard output. Applies to the current and to later devices; called by any thread, one call at a time.
void SetPrintfSink(std::function<void(std::string_view)> sink);

}  // namespace mignificient::cpu
