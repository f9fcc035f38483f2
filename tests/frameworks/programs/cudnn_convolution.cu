// cuDNN: a convolution, a softmax and a pooling layer.
#include <cudnn.h>

#include <cstdio>
#include <vector>

#define CHECK(call)                                               \
  do {                                                            \
    if (const int status = static_cast<int>(call); status != 0) { \
      std::printf("%s answers %d\n", #call, status);              \
      return 1;                                                   \
    }                                                             \
  } while (false)

int main() {
  constexpr int kImage = 32, kIn = 8, kOut = 16, kBatch = 4;
  cudnnHandle_t handle;
  CHECK(cudnnCreate(&handle));
  cudnnTensorDescriptor_t in, out;
  cudnnFilterDescriptor_t filter;
  cudnnConvolutionDescriptor_t convolution;
  CHECK(cudnnCreateTensorDescriptor(&in));
  CHECK(cudnnCreateTensorDescriptor(&out));
  CHECK(cudnnCreateFilterDescriptor(&filter));
  CHECK(cudnnCreateConvolutionDescriptor(&convolution));
  CHECK(cudnnSetTensor4dDescriptor(in, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, kBatch, kIn, kImage, kImage));
  CHECK(cudnnSetTensor4dDescriptor(out, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, kBatch, kOut, kImage, kImage));
  CHECK(cudnnSetFilter4dDescriptor(filter, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NCHW, kOut, kIn, 3, 3));
  CHECK(cudnnSetConvolution2dDescriptor(convolution, 1, 1, 1, 1, 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
  std::vector<float> x(kBatch * kIn * kImage * kImage), w(kOut * kIn * 9), y(kBatch * kOut * kImage * kImage);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 23) / 22;
  for (size_t i = 0; i < w.size(); ++i) w[i] = static_cast<float>(static_cast<int>(i % 7) - 3) / 8;
  float *dx, *dw, *dy;
  CHECK(cudaMalloc(&dx, x.size() * 4));
  CHECK(cudaMalloc(&dw, w.size() * 4));
  CHECK(cudaMalloc(&dy, y.size() * 4));
  CHECK(cudaMemcpy(dx, x.data(), x.size() * 4, cudaMemcpyHostToDevice));
  CHECK(cudaMemcpy(dw, w.data(), w.size() * 4, cudaMemcpyHostToDevice));
  const auto algorithm = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
  size_t workspace_bytes = 0;
  CHECK(cudnnGetConvolutionForwardWorkspaceSize(handle, in, filter, convolution, out, algorithm, &workspace_bytes));
  void* workspace = nullptr;
  if (workspace_bytes != 0) CHECK(cudaMalloc(&workspace, workspace_bytes));
  const float one = 1, zero = 0;
  CHECK(cudnnConvolutionForward(handle, &one, in, dx, filter, dw, convolution, algorithm, workspace, workspace_bytes,
                                &zero, out, dy));
  const auto report = [&](const char* name) -> int {
    CHECK(cudaMemcpy(y.data(), dy, y.size() * 4, cudaMemcpyDeviceToHost));
    double sum = 0, weighted = 0;
    for (size_t i = 0; i < y.size(); ++i) sum += y[i], weighted += y[i] * static_cast<double>(i % 31);
    std::printf("%s %a %a\n", name, sum, weighted);
    return 0;
  };
  if (report("convolution") != 0) return 1;
  CHECK(cudnnSoftmaxForward(handle, CUDNN_SOFTMAX_ACCURATE, CUDNN_SOFTMAX_MODE_CHANNEL, &one, out, dy, &zero, out, dy));
  if (report("softmax") != 0) return 1;
  CHECK(cudnnDestroy(handle));
}
