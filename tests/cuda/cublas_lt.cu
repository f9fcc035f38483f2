// cuBLASLt: a product with a bias and a relu, with the algorithm that the heuristic proposes.
#include <cublasLt.h>

#include <cuda_fp16.h>

#include "check.h"

int main() {
  constexpr int kN = 64;
  std::vector<__half> a(kN * kN), bias(kN);
  for (int i = 0; i < kN * kN; ++i) a[i] = __float2half(i % 3 - 1);
  for (int i = 0; i < kN; ++i) bias[i] = __float2half(i - 32);
  __half *left = Device(a), *added = Device(bias), *out = Device<__half>(kN * kN);
  cublasLtHandle_t handle;
  Print("create", cublasLtCreate(&handle));
  cublasLtMatmulDesc_t operation;
  cublasLtMatrixLayout_t layout;
  cublasLtMatmulPreference_t preference;
  Print("operation", cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  const cublasOperation_t transpose = CUBLAS_OP_T;
  const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_RELU_BIAS;
  Print("transpose",
        cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSA, &transpose, sizeof transpose));
  Print("epilogue",
        cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
  Print("bias", cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &added, sizeof added));
  Print("layout", cublasLtMatrixLayoutCreate(&layout, CUDA_R_16F, kN, kN, kN));
  Print("preference", cublasLtMatmulPreferenceCreate(&preference));
  const size_t workspace_bytes = 4 << 20;
  Print("workspace", cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                          &workspace_bytes, sizeof workspace_bytes));
  cublasLtMatmulHeuristicResult_t proposal;
  int proposals = 0;
  Print("heuristic", cublasLtMatmulAlgoGetHeuristic(handle, operation, layout, layout, layout, layout, preference, 1,
                                                    &proposal, &proposals));
  Print("proposals", proposals);
  const float one = 1, zero = 0;
  void* workspace = Device<char>(workspace_bytes);
  Print("matmul", cublasLtMatmul(handle, operation, &one, left, layout, left, layout, &zero, out, layout, out, layout,
                                 &proposal.algo, workspace, workspace_bytes, nullptr));
  SHOW(cudaDeviceSynchronize());
  const auto given = Host(out, kN * kN);
  int wrong = 0;
  for (int column = 0; column < kN; ++column)
    for (int row = 0; row < kN; ++row) {
      float sum = row - 32;
      for (int k = 0; k < kN; ++k) sum += __half2float(a[row * kN + k]) * __half2float(a[column * kN + k]);
      wrong += __half2float(given[column * kN + row]) != (sum > 0 ? sum : 0);
    }
  Print("wrong", wrong);
  Print("destroy", cublasLtDestroy(handle));
}
