// Shuffles, votes, matches and masks within a warp.
#include "check.h"

__global__ void Shuffle(int* out) {
  const int lane = threadIdx.x;
  out[lane] = __shfl_sync(~0u, lane * 10, 3);
  out[32 + lane] = __shfl_up_sync(~0u, lane, 2);
  out[64 + lane] = __shfl_down_sync(~0u, lane, 2, 8);
  out[96 + lane] = __shfl_xor_sync(~0u, lane, 5);
}
__global__ void Vote(unsigned* out) {
  const unsigned lane = threadIdx.x;
  const unsigned odd = __ballot_sync(~0u, lane & 1);
  const int all = __all_sync(~0u, lane < 32), any = __any_sync(~0u, lane == 40);
  unsigned active = 0;
  if (lane < 5) active = __activemask();
  const unsigned same = __match_any_sync(~0u, lane / 8);
  int uniform = 0;
  const unsigned every = __match_all_sync(~0u, 7, &uniform);
  if (lane == 4) {
    const unsigned values[] = {odd,
                               static_cast<unsigned>(all),
                               static_cast<unsigned>(any),
                               active,
                               same,
                               every,
                               static_cast<unsigned>(uniform),
                               static_cast<unsigned>(__popc(odd)),
                               static_cast<unsigned>(__ffs(0x50)),
                               static_cast<unsigned>(__clz(0xff)),
                               __brev(1u),
                               __byte_perm(0x01234567, 0x89abcdef, 0x7210)};
    for (int i = 0; i < 12; ++i) out[i] = values[i];
  }
}
__global__ void Barrier(int* out) {
  const int zeros = __syncthreads_count(threadIdx.x % 3 == 0);
  const int any = __syncthreads_or(threadIdx.x == 100), all = __syncthreads_and(threadIdx.x < 100);
  if (threadIdx.x == 0) out[0] = zeros, out[1] = any, out[2] = all;
}

int main() {
  int* out = Device<int>(128);
  Shuffle<<<1, 32>>>(out);
  const auto shuffled = Host(out, 128);
  Print("broadcast", shuffled.data(), 8);
  Print("up", shuffled.data() + 32, 8);
  Print("down within 8", shuffled.data() + 64, 8);
  Print("xor", shuffled.data() + 96, 8);
  Vote<<<1, 32>>>(reinterpret_cast<unsigned*>(out));
  Print("votes", Host(reinterpret_cast<unsigned*>(out), 12));
  Barrier<<<1, 96>>>(out);
  Print("barrier", Host(out, 3));
  SHOW(cudaDeviceSynchronize());
}
