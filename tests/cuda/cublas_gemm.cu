// cuBLAS: products of small whole numbers, which are exact, in four types, batched and on a stream.
#include <cublas_v2.h>

#include <cuda_fp16.h>

#include "check.h"

template <typename T>
std::vector<T> Numbers(int count, int modulus) {
  std::vector<T> values(count);
  for (int i = 0; i < count; ++i) values[i] = static_cast<T>(static_cast<float>(i % modulus - 1));
  return values;
}

int main() {
  constexpr int kN = 32;
  cublasHandle_t handle;
  Print("create", cublasCreate(&handle));
  cudaStream_t stream;
  NEED(cudaStreamCreate(&stream));
  Print("stream", cublasSetStream(handle, stream));
  float* a = Device(Numbers<float>(kN * kN, 5));
  float* b = Device(Numbers<float>(kN * kN, 3));
  float* c = Device<float>(2 * kN * kN);
  const float one = 1, zero = 0;
  Print("sgemm", cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_T, kN, kN, kN, &one, a, kN, b, kN, &zero, c, kN));
  NEED(cudaStreamSynchronize(stream));
  const auto product = Host(c, kN * kN);
  Print("product", product.data(), 8);
  Print("checksum", Checksum(product.data(), product.size() * sizeof(float)));
  Print("batched", cublasSgemmStridedBatched(handle, CUBLAS_OP_N, CUBLAS_OP_N, 16, 16, 16, &one, a, 16, 256, b, 16, 256,
                                             &zero, c, 16, 256, 4));
  NEED(cudaStreamSynchronize(stream));
  const auto batched = Host(c, kN * kN);
  Print("checksum", Checksum(batched.data(), batched.size() * sizeof(float)));

  double* d = Device(Numbers<double>(kN * kN, 7));
  double* e = Device<double>(kN * kN);
  const double two = 2, none = 0;
  Print("dgemm", cublasDgemm(handle, CUBLAS_OP_T, CUBLAS_OP_N, kN, kN, kN, &two, d, kN, d, kN, &none, e, kN));
  NEED(cudaStreamSynchronize(stream));
  Print("product", Host(e, 4));
  __half* h = Device(Numbers<__half>(kN * kN, 4));
  Print("half", cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, kN, kN, kN, &one, h, CUDA_R_16F, kN, h, CUDA_R_16F, kN,
                             &zero, c, CUDA_R_32F, kN, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
  NEED(cudaStreamSynchronize(stream));
  Print("product", Host(c, 4));
  float dot = 0, norm = 0;
  int most = 0;
  Print("dot", cublasSdot(handle, kN, a, 1, b, 1, &dot));
  Print("result", dot);
  Print("norm", cublasSnrm2(handle, 4, a, 1, &norm));
  Print("most", cublasIsamax(handle, 10, a, 1, &most));
  Print("result", most);
  Print("wrong", cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, -1, kN, kN, &one, a, kN, b, kN, &zero, c, kN));
  Print("destroy", cublasDestroy(handle));
}
