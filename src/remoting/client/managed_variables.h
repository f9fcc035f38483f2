// __managed__ variables. The GPU server's driver places them in managed memory of the server, at addresses that
// compiled code has as constants; the program cannot map that memory. So the program has a copy of its own, and the two
// are brought together when CUDA programs of any device may look: what the program wrote goes to the device before a
// kernel is launched, what the device wrote comes to the program once it has waited for work. (Devices without
// CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS allow no more.) Bytes that both have changed keep the program's value.
//
// A program without such variables pays one load of a flag. Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>

#include "abi/cuda.h"

namespace mignificient::client {

// The program's address of the variable. As CUDA's: CUDA_ERROR_NOT_FOUND where there is none of that name.
CUresult GetManagedVariable(CUlibrary library, const char* name, CUdeviceptr& address, size_t& bytes);
void ForgetManagedVariablesOf(CUlibrary library);

extern constinit std::atomic<bool> managed_variables_exist;
void SendManagedVariables(CUstream stream);
void FetchManagedVariables();

// Before a launch to `stream`.
inline void BeforeLaunch(CUstream stream) {
  if (managed_variables_exist.load(std::memory_order_relaxed)) [[unlikely]]
    SendManagedVariables(stream);
}
// After a wait that has ended with `result`, which it returns.
inline CUresult AfterWait(CUresult result) {
  if (managed_variables_exist.load(std::memory_order_relaxed) && result == CUDA_SUCCESS) [[unlikely]]
    FetchManagedVariables();
  return result;
}

}  // namespace mignificient::client
