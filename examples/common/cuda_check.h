// What the examples that nvcc builds share: error checks and owned device memory.
#pragma once

#include <cstddef>
#include <vector>

#include <cuda_runtime.h>

#include "example.h"

// Returns from the function with a sentence when a runtime call fails: `EXAMPLE_CUDA(cudaDeviceSynchronize());`
#define EXAMPLE_CUDA(call)                                                                  \
  do {                                                                                      \
    const cudaError_t example_status = (call);                                              \
    if (example_status != cudaSuccess)                                                      \
      return example::Fail("%s fails: %s (%s).", #call, cudaGetErrorString(example_status), \
                           cudaGetErrorName(example_status));                               \
  } while (0)

namespace example {

// Device memory for `count` values of T; freed with its owner. Check Status() before use.
template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t count) : count_(count) {
    status_ = cudaMalloc(reinterpret_cast<void**>(&data_), count * sizeof(T));
  }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  cudaError_t Status() const { return status_; }
  T* data() const { return data_; }
  cudaError_t Upload(const std::vector<T>& host) {
    return cudaMemcpy(data_, host.data(), count_ * sizeof(T), cudaMemcpyHostToDevice);
  }
  cudaError_t Download(std::vector<T>& host) const {
    return cudaMemcpy(host.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost);
  }

 private:
  T* data_ = nullptr;
  size_t count_;
  cudaError_t status_;
};

}  // namespace example
