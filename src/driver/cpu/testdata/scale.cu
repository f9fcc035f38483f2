// Built by nvcc in every format it knows, for fatbin_test.cc.
extern "C" __global__ void scale(float* data, float factor, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) data[i] *= factor;
}
