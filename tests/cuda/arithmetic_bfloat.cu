// bfloat16: conversions and arithmetic, in singles and in pairs, with exact operands.
#include <cuda_bf16.h>

#include "check.h"

__global__ void Compute(float a, float b, float* out) {
  const __nv_bfloat16 x = __float2bfloat16(a), y = __float2bfloat16(b);
  out[0] = __bfloat162float(x);
  out[1] = __bfloat162float(__hadd(x, y));
  out[2] = __bfloat162float(__hmul(x, y));
  out[3] = __bfloat162float(__hsub(x, y));
  out[4] = __bfloat162float(__float2bfloat16_rz(1.999f));
  out[5] = __bfloat162float(__float2bfloat16(1.999f));
  out[6] = __hgt(x, y);
  const __nv_bfloat162 pair = __hmul2(__halves2bfloat162(x, y), __float2bfloat162_rn(4.0f));
  out[7] = __low2float(pair);
  out[8] = __high2float(pair);
  out[9] = __bfloat16_as_ushort(x);
}

int main() {
  float* out = Device<float>(10);
  Compute<<<1, 1>>>(1.5f, -0.375f, out);
  SHOW(cudaDeviceSynchronize());
  Print("out", Host(out, 10));
}
