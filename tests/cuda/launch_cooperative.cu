// A cooperative launch: all blocks meet at the grid's barrier, and more blocks than fit are refused.
#include <cooperative_groups.h>

#include "check.h"

__global__ void Exchange(int* values, int* out) {
  const auto grid = cooperative_groups::this_grid();
  const int me = static_cast<int>(grid.thread_rank());
  const int all = static_cast<int>(grid.size());
  values[me] = me * me;
  grid.sync();
  const int next = values[(me + blockDim.x) % all];
  grid.sync();
  values[me] = -1;
  out[me] = next;
}

int main() {
  int supported = 0;
  NEED(cudaDeviceGetAttribute(&supported, cudaDevAttrCooperativeLaunch, 0));
  Print("supported", supported);
  int* values = Device<int>(128);
  int* out = Device<int>(128);
  void* arguments[] = {&values, &out};
  SHOW(cudaLaunchCooperativeKernel(Exchange, dim3(4), dim3(32), arguments, 0, nullptr));
  SHOW(cudaDeviceSynchronize());
  const auto result = Host(out, 128);
  int wrong = 0;
  for (int i = 0; i < 128; ++i) wrong += result[i] != ((i + 32) % 128) * ((i + 32) % 128);
  Print("wrong", wrong);
  SHOW(cudaLaunchCooperativeKernel(Exchange, dim3(1 << 20), dim3(1024), arguments, 0, nullptr));
  SHOW(cudaGetLastError());

  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(2);
  config.blockDim = dim3(32);
  config.attrs = &attribute;
  config.numAttrs = 1;
  SHOW(cudaLaunchKernelEx(&config, Exchange, values, out));
  SHOW(cudaDeviceSynchronize());
  Print("out", Host(out + 30, 4));
}
