// Cooperative groups: tiles, coalesced threads, reductions and scans.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>

#include "check.h"

namespace cg = cooperative_groups;

__global__ void Reduce(int* out) {
  const auto block = cg::this_thread_block();
  const auto tile = cg::tiled_partition<8>(block);
  const int me = block.thread_rank();
  const int sum = cg::reduce(tile, me, cg::plus<int>());
  const int most = cg::reduce(tile, me ^ 5, cg::greater<int>());
  const int before = cg::exclusive_scan(tile, 1 + tile.meta_group_rank());
  out[me] = sum * 10000 + most * 100 + before;
  block.sync();
  if (me % 3 == 0) {
    const auto active = cg::coalesced_threads();
    const unsigned size = active.size(), rank = active.thread_rank();
    if (rank == 0) atomicAdd(out + 64, size);
  }
  const auto warp = cg::tiled_partition<32>(block);
  const auto parity = cg::binary_partition(warp, me % 4 == 0);
  if (me == 0) out[65] = parity.size();
  if (me == 1) out[66] = parity.size();
  const double mean = cg::reduce(warp, static_cast<double>(me), cg::plus<double>()) / 32;
  if (me == 33) out[67] = static_cast<int>(10 * mean);
}

int main() {
  int* out = Device<int>(68);
  Reduce<<<1, 64>>>(out);
  SHOW(cudaDeviceSynchronize());
  Print("out", Host(out, 68));
}
