// A driver for tests that does nothing and says yes: handles count up, memory is never touched, work is complete at
// once. What remoting does with hostile commands can be tested without a device.
#pragma once

#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "driver/driver_table.h"
#include "remoting/server/session.h"

namespace mignificient::server {

namespace fake {

template <typename... Args>
CUresult Yes(Args...) {
  return CUDA_SUCCESS;
}
template <typename... Args>
CUresult Make(CUresult (**entry)(Args...)) {
  *entry = &Yes<Args...>;
  return CUDA_SUCCESS;
}
template <typename Handle>
Handle Next() {
  static std::atomic<uint64_t> last = 0x1000;
  return (Handle)(last += 0x10);
}

// What an entry point was called with, in order. A dispatcher adds, the test reads once it has been answered; that
// orders the two already, but through memory that is mapped twice, where ThreadSanitizer does not see it.
template <typename T>
class Seen {
 public:
  void Add(T value) {
    const std::lock_guard lock(lock_);
    values_.push_back(std::move(value));
  }
  void Clear() {
    const std::lock_guard lock(lock_);
    values_.clear();
  }
  std::vector<T> All() const {
    const std::lock_guard lock(lock_);
    return values_;
  }

 private:
  mutable std::mutex lock_;
  std::vector<T> values_;
};

}  // namespace fake

inline DriverTable FakeDriver() {
  DriverTable table;
#define MIG_FAKE(symbol, ...) fake::Make(&table.symbol);
  MIG_DRIVER_FUNCTIONS(MIG_FAKE)
#undef MIG_FAKE
  table.cuMemAddressReserve = [](CUdeviceptr* ptr, size_t, size_t, CUdeviceptr hint, unsigned long long) {
    *ptr = hint;
    return CUDA_SUCCESS;
  };
  table.cuMemCreate = [](CUmemGenericAllocationHandle* handle, size_t, const CUmemAllocationProp*, unsigned long long) {
    *handle = fake::Next<CUmemGenericAllocationHandle>();
    return CUDA_SUCCESS;
  };
  table.cuStreamCreateWithPriority = [](CUstream* stream, unsigned, int) {
    *stream = fake::Next<CUstream>();
    return CUDA_SUCCESS;
  };
  table.cuEventCreate = [](CUevent* event, unsigned) {
    *event = fake::Next<CUevent>();
    return CUDA_SUCCESS;
  };
  table.cuModuleLoadDataEx = [](CUmodule* module, const void*, unsigned, int*, void**) {
    *module = fake::Next<CUmodule>();
    return CUDA_SUCCESS;
  };
  table.cuLibraryLoadData = [](CUlibrary* library, const void*, int*, void**, unsigned, int*, void**, unsigned) {
    *library = fake::Next<CUlibrary>();
    return CUDA_SUCCESS;
  };
  table.cuModuleGetFunction = [](CUfunction* function, CUmodule, const char*) {
    *function = fake::Next<CUfunction>();
    return CUDA_SUCCESS;
  };
  table.cuLibraryGetKernel = [](CUkernel* kernel, CUlibrary, const char*) {
    *kernel = fake::Next<CUkernel>();
    return CUDA_SUCCESS;
  };
  // Every kernel has one 8-byte parameter.
  table.cuFuncGetParamInfo = [](CUfunction, size_t index, size_t* offset, size_t* size) {
    *offset = 0;
    *size = 8;
    return index == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  };
  table.cuKernelGetParamInfo = [](CUkernel, size_t index, size_t* offset, size_t* size) {
    *offset = 0;
    *size = 8;
    return index == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  };
  return table;
}

inline Device FakeDevice(const DriverTable& driver) {
  Device device;
  device.driver = &driver;
  device.granule_bytes = 4096;
  device.info.total_bytes = uint64_t{1} << 30;
  return device;
}

}  // namespace mignificient::server
