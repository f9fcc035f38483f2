// What every program of the suite prints: calls with the error that CUDA answered, by name, and the values it read.
// Nothing printed may differ between two runs of the program: no addresses, no handles, no times.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <type_traits>
#include <vector>

#include <cuda.h>
#include <cuda_runtime.h>

inline const char* Name(cudaError_t error) {
  return cudaGetErrorName(error);
}

inline const char* Name(CUresult error) {
  const char* name = nullptr;
  return cuGetErrorName(error, &name) == CUDA_SUCCESS ? name : "an error without a name";
}

template <typename Error>
Error Show(const char* call, Error error) {
  std::printf("%s -> %s\n", call, Name(error));
  std::fflush(stdout);
  return error;
}

template <typename Error>
void Need(const char* call, Error error) {
  if (static_cast<int>(error) == 0) return;
  Show(call, error);
  std::exit(1);
}

// The call as it is written, and its answer.
#define SHOW(call) Show(#call, (call))
// A call that the program builds on: nothing is printed if it succeeds, else its answer, and the program ends.
#define NEED(call) Need(#call, (call))
// Loads a kernel now: loading one at its first launch would wait for the kernels that are running.
#define PRELOAD(kernel)                               \
  do {                                                \
    cudaFuncAttributes attributes;                    \
    NEED(cudaFuncGetAttributes(&attributes, kernel)); \
  } while (0)

// `what = a b c`
template <typename T>
void Print(const char* what, const T* values, size_t count) {
  std::printf("%s =", what);
  for (size_t i = 0; i < count; ++i) {
    if constexpr (std::is_floating_point_v<T>)
      std::printf(" %.9g", static_cast<double>(values[i]));
    else if constexpr (std::is_unsigned_v<T>)
      std::printf(" %llu", static_cast<unsigned long long>(values[i]));
    else
      std::printf(" %lld", static_cast<long long>(values[i]));
  }
  std::printf("\n");
  std::fflush(stdout);
}

template <typename T>
void Print(const char* what, const std::vector<T>& values) {
  Print(what, values.data(), values.size());
}

template <typename T, typename = std::enable_if_t<std::is_arithmetic_v<T> || std::is_enum_v<T>>>
void Print(const char* what, T value) {
  if constexpr (std::is_enum_v<T>) {
    const auto number = static_cast<long long>(value);
    Print(what, &number, 1);
  } else {
    Print(what, &value, 1);
  }
}

// FNV-1a of bytes: what a program prints of a large result.
inline unsigned Checksum(const void* data, size_t bytes) {
  unsigned hash = 2166136261u;
  for (size_t i = 0; i < bytes; ++i) hash = (hash ^ static_cast<const unsigned char*>(data)[i]) * 16777619u;
  return hash;
}

// Device memory that holds `count` zeros, for the time of the program; every stream may use it at once.
template <typename T>
T* Device(size_t count) {
  T* memory = nullptr;
  NEED(cudaMalloc(&memory, count * sizeof(T)));
  NEED(cudaMemset(memory, 0, count * sizeof(T)));
  NEED(cudaStreamSynchronize(nullptr));
  return memory;
}

template <typename T>
T* Device(const std::vector<T>& values) {
  T* memory = Device<T>(values.size());
  NEED(cudaMemcpy(memory, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice));
  return memory;
}

template <typename T>
std::vector<T> Host(const T* device, size_t count) {
  std::vector<T> values(count);
  NEED(cudaMemcpy(values.data(), device, count * sizeof(T), cudaMemcpyDeviceToHost));
  return values;
}
