// cuBLASLt: an fp16 matrix product with a bias and ReLU epilogue; cuBLAS: sgemm.
#include <cublasLt.h>
#include <cublas_v2.h>

#include <cstdio>
#include <vector>

#include <cuda_fp16.h>

#define CHECK(call)                                               \
  do {                                                            \
    if (const int status = static_cast<int>(call); status != 0) { \
      std::printf("%s answers %d\n", #call, status);              \
      return 1;                                                   \
    }                                                             \
  } while (false)

int main() {
  constexpr int kSize = 256;
  std::vector<__half> host(kSize * kSize);
  for (int i = 0; i < kSize * kSize; ++i) host[i] = __float2half(static_cast<float>(i % 13 - 6) / 8);
  __half *a, *b, *c, *bias;
  CHECK(cudaMalloc(&a, host.size() * 2));
  CHECK(cudaMalloc(&b, host.size() * 2));
  CHECK(cudaMalloc(&c, host.size() * 2));
  CHECK(cudaMalloc(&bias, kSize * 2));
  CHECK(cudaMemcpy(a, host.data(), host.size() * 2, cudaMemcpyHostToDevice));
  CHECK(cudaMemcpy(b, host.data(), host.size() * 2, cudaMemcpyHostToDevice));
  CHECK(cudaMemcpy(bias, host.data(), kSize * 2, cudaMemcpyHostToDevice));

  cublasLtHandle_t lt;
  CHECK(cublasLtCreate(&lt));
  cublasLtMatmulDesc_t operation;
  CHECK(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_RELU_BIAS;
  CHECK(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
  CHECK(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias));
  cublasLtMatrixLayout_t layout;
  CHECK(cublasLtMatrixLayoutCreate(&layout, CUDA_R_16F, kSize, kSize, kSize));
  const float one = 1, zero = 0;
  CHECK(cublasLtMatmul(lt, operation, &one, a, layout, b, layout, &zero, c, layout, c, layout, nullptr, nullptr, 0,
                       nullptr));
  CHECK(cudaMemcpy(host.data(), c, host.size() * 2, cudaMemcpyDeviceToHost));
  double sum = 0;
  for (const __half value : host) sum += __half2float(value);
  std::printf("cublasLt fp16 %a\n", sum);

  cublasHandle_t handle;
  CHECK(cublasCreate(&handle));
  std::vector<float> single(kSize * kSize);
  for (int i = 0; i < kSize * kSize; ++i) single[i] = static_cast<float>(i % 17) / 16;
  float *x, *y;
  CHECK(cudaMalloc(&x, single.size() * 4));
  CHECK(cudaMalloc(&y, single.size() * 4));
  CHECK(cublasSetMatrix(kSize, kSize, 4, single.data(), kSize, x, kSize));
  CHECK(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_T, kSize, kSize, kSize, &one, x, kSize, x, kSize, &zero, y, kSize));
  float norm = 0;
  CHECK(cublasSnrm2(handle, kSize * kSize, y, 1, &norm));
  std::printf("cublas sgemm %a\n", norm);
  CHECK(cublasDestroy(handle));
  CHECK(cublasLtDestroy(lt));
}
