// Clusters: ranks, distributed shared memory and barriers, by attribute and at compile time.
#include <cooperative_groups.h>

#include "check.h"

namespace cg = cooperative_groups;

__global__ void Ring(int* out) {
  __shared__ int mine;
  const cg::cluster_group cluster = cg::this_cluster();
  const unsigned rank = cluster.block_rank(), blocks = cluster.num_blocks();
  if (threadIdx.x == 0) mine = 100 + blockIdx.x;
  cluster.sync();
  if (threadIdx.x == 0)
    out[blockIdx.x] = *cluster.map_shared_rank(&mine, (rank + 1) % blocks) * 10 + static_cast<int>(blocks);
  cluster.sync();
}
__global__ void __cluster_dims__(2) Fixed(int* out) {
  if (threadIdx.x == 0) out[blockIdx.x] = cg::this_cluster().block_rank();
}

int main() {
  int* out = Device<int>(8);
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim = {4, 1, 1};
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(8);
  config.blockDim = dim3(64);
  config.attrs = &attribute;
  config.numAttrs = 1;
  SHOW(cudaLaunchKernelEx(&config, Ring, out));
  SHOW(cudaDeviceSynchronize());
  Print("ring", Host(out, 8));
  Fixed<<<8, 32>>>(out);
  SHOW(cudaDeviceSynchronize());
  Print("ranks", Host(out, 8));
  int clusters = 0, size = 0;
  SHOW(cudaOccupancyMaxActiveClusters(&clusters, Ring, &config));
  Print("some fit", clusters > 0);
  SHOW(cudaOccupancyMaxPotentialClusterSize(&size, Ring, &config));
  Print("size", size);
  config.gridDim = dim3(6);  // not a multiple of four
  SHOW(cudaLaunchKernelEx(&config, Ring, out));
  attribute.val.clusterDim = {16, 1, 1};  // more than portable
  config.gridDim = dim3(16);
  SHOW(cudaLaunchKernelEx(&config, Ring, out));
  SHOW(cudaGetLastError());
  SHOW(cudaFuncSetAttribute(Ring, cudaFuncAttributeNonPortableClusterSizeAllowed, 1));
  SHOW(cudaLaunchKernelEx(&config, Ring, Device<int>(16)));
  SHOW(cudaDeviceSynchronize());
}
