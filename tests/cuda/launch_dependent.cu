// Programmatic dependent launch: the second kernel may begin early and waits for the first's results.
#include "check.h"

__global__ void First(int* values) {
  cudaTriggerProgrammaticLaunchCompletion();
  values[threadIdx.x] = 3 * threadIdx.x;
}
__global__ void Second(const int* values, int* out) {
  cudaGridDependencySynchronize();
  out[threadIdx.x] = values[31 - threadIdx.x] + 1;
}

int main() {
  int* values = Device<int>(32);
  int* out = Device<int>(32);
  cudaStream_t stream;
  NEED(cudaStreamCreate(&stream));
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(1);
  config.blockDim = dim3(32);
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = 1;
  for (int i = 0; i < 3; ++i) {
    First<<<1, 32, 0, stream>>>(values);
    SHOW(cudaLaunchKernelEx(&config, Second, values, out));
  }
  SHOW(cudaStreamSynchronize(stream));
  Print("out", Host(out, 32));
}
