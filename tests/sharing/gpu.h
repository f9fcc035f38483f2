// The GPU as the functions of this folder use it. gpu_driver.cc implements it with the driver API and PTX text, which
// needs a C++ compiler alone; gpu_runtime.cu with the runtime API and nvcc. The same functions do the same through
// either. Every call throws std::runtime_error with its name and CUDA's name of the error.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sharing {

using Address = uint64_t;  // of device memory

// What each kernel takes is in gpu_runtime.cu; all numbers are unsigned and wrap.
enum class Kernel { kMix, kChecksum, kExpand, kRelax, kTimed };

// Device memory; freed with its owner.
class DeviceMemory {
 public:
  explicit DeviceMemory(size_t bytes);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  Address address() const { return address_; }

 private:
  Address address_ = 0;
};

void Upload(Address to, const void* from, size_t bytes);
void Download(void* to, Address from, size_t bytes);  // waits for what was issued before
void Zero(Address at, size_t bytes);
void Synchronize();
void LaunchRaw(Kernel kernel, unsigned blocks, unsigned threads, void** parameters);

// Launch(Kernel::kMix, blocks, threads, address, count, rounds): the types must be the kernel's.
template <typename... Parameters>
void Launch(Kernel kernel, unsigned blocks, unsigned threads, Parameters... values) {
  void* parameters[] = {&values...};
  LaunchRaw(kernel, blocks, threads, parameters);
}

}  // namespace sharing
