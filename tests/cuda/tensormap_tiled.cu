// A tensor map, and a kernel that loads a tile through it by the tensor memory accelerator.
#include "check.h"

__global__ void Load(const __grid_constant__ CUtensorMap map, int x, int y, int* out) {
  __shared__ alignas(128) int tile[8][8];
  __shared__ alignas(8) unsigned long long barrier;
  const unsigned tile_at = __cvta_generic_to_shared(tile), barrier_at = __cvta_generic_to_shared(&barrier);
  if (threadIdx.x == 0) {
    asm volatile("mbarrier.init.shared.b64 [%0], 1;" ::"r"(barrier_at));
    asm volatile("fence.proxy.async.shared::cta;");
    asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], 256;" ::"r"(barrier_at));
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(
            tile_at),
        "l"(&map), "r"(x), "r"(y), "r"(barrier_at)
        : "memory");
  }
  __syncthreads();
  unsigned done = 0;
  while (done == 0)
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared.b64 p, [%1], 0; selp.u32 %0, 1, 0, p; }"
                 : "=r"(done)
                 : "r"(barrier_at)
                 : "memory");
  out[threadIdx.x] = tile[threadIdx.x / 8][threadIdx.x % 8];
}

int main() {
  std::vector<int> values(32 * 16);
  for (int i = 0; i < 32 * 16; ++i) values[i] = i;
  int* memory = Device(values);
  int* out = Device<int>(64);
  CUtensorMap map;
  const cuuint64_t dims[] = {32, 16}, strides[] = {128};
  const cuuint32_t box[] = {8, 8}, steps[] = {1, 1};
  SHOW(cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_INT32, 2, memory, dims, strides, box, steps,
                              CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
                              CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
  Load<<<1, 64>>>(map, 4, 2, out);
  SHOW(cudaDeviceSynchronize());
  const auto inside = Host(out, 64);
  Print("first row", inside.data(), 8);
  Print("last row", inside.data() + 56, 8);
  Load<<<1, 64>>>(map, 28, 12, out);  // beyond both ends: zeros
  SHOW(cudaDeviceSynchronize());
  const auto beyond = Host(out, 64);
  Print("first row", beyond.data(), 8);
  Print("last row", beyond.data() + 56, 8);
  const cuuint64_t odd[] = {100};
  SHOW(cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_INT32, 2, memory, dims, odd, box, steps,
                              CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
                              CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
  SHOW(cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_INT32, 6, memory, dims, strides, box, steps,
                              CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
                              CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
  SHOW(cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_INT32, 2, memory + 1, dims, strides, box, steps,
                              CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
                              CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
  NEED(cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_INT32, 2, memory, dims, strides, box, steps,
                              CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
                              CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
  SHOW(cuTensorMapReplaceAddress(&map, memory + 32));
  Load<<<1, 64>>>(map, 0, 0, out);
  Print("moved by a row", Host(out, 8));
}
