// cuDNN: a convolution of ones, whose result counts the neighbours, an activation and a softmax.
#include <cudnn.h>

#include <cmath>

#include "check.h"

int main() {
  cudnnHandle_t handle;
  Print("create", cudnnCreate(&handle));
  cudnnTensorDescriptor_t in, out;
  cudnnFilterDescriptor_t filter;
  cudnnConvolutionDescriptor_t convolution;
  Print("tensor", cudnnCreateTensorDescriptor(&in));
  Print("tensor", cudnnCreateTensorDescriptor(&out));
  Print("filter", cudnnCreateFilterDescriptor(&filter));
  Print("convolution", cudnnCreateConvolutionDescriptor(&convolution));
  Print("shape", cudnnSetTensor4dDescriptor(in, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 1, 2, 8, 8));
  Print("shape", cudnnSetTensor4dDescriptor(out, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 1, 3, 8, 8));
  Print("shape", cudnnSetFilter4dDescriptor(filter, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NCHW, 3, 2, 3, 3));
  Print("shape",
        cudnnSetConvolution2dDescriptor(convolution, 1, 1, 1, 1, 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
  float *x = Device(std::vector<float>(128, 1.0f)), *w = Device(std::vector<float>(54, 1.0f)), *y = Device<float>(192);
  size_t bytes = 0;
  const auto algorithm = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM;
  Print("workspace", cudnnGetConvolutionForwardWorkspaceSize(handle, in, filter, convolution, out, algorithm, &bytes));
  void* workspace = Device<char>(bytes + 1);
  const float one = 1, zero = 0;
  Print("forward", cudnnConvolutionForward(handle, &one, in, x, filter, w, convolution, algorithm, workspace, bytes,
                                           &zero, out, y));
  SHOW(cudaDeviceSynchronize());
  Print("first row", Host(y, 8));
  Print("second row", Host(y + 8, 8));

  cudnnActivationDescriptor_t relu;
  Print("activation", cudnnCreateActivationDescriptor(&relu));
  Print("relu", cudnnSetActivationDescriptor(relu, CUDNN_ACTIVATION_RELU, CUDNN_PROPAGATE_NAN, 0));
  const float minus = -1;
  Print("forward", cudnnActivationForward(handle, relu, &minus, in, x, &zero, in, x));
  Print("x", Host(x, 2));
  Print("softmax",
        cudnnSoftmaxForward(handle, CUDNN_SOFTMAX_ACCURATE, CUDNN_SOFTMAX_MODE_CHANNEL, &one, out, y, &zero, out, y));
  SHOW(cudaDeviceSynchronize());
  const auto softmax = Host(y, 1);
  Print("a third", std::fabs(softmax[0] - 1.0f / 3) < 1e-6f);
  Print("destroy", cudnnDestroy(handle));
}
