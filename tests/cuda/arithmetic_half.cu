// Half precision: conversions, arithmetic, comparisons, in singles and in pairs.
#include <cuda_fp16.h>

#include "check.h"

__global__ void Compute(float a, float b, float* out) {
  const __half x = __float2half(a), y = __float2half(b);
  out[0] = __half2float(__hadd(x, y));
  out[1] = __half2float(__hmul(x, y));
  out[2] = __half2float(__hfma(x, y, __float2half(1.0f)));
  out[3] = __half2float(__hsub(x, y));
  out[4] = __half2float(x);
  out[5] = __hlt(x, y) * 4 + __hge(x, y) * 2 + __heq(x, x);
  out[6] = __half2float(__float2half_rz(0.1f)) - __half2float(__float2half_ru(0.1f));
  out[7] = __half2float(__float2half(70000.0f));  // infinite
  out[8] = __half2int_rn(x) * 100 + __half2int_rz(y);
  const __half2 pair = __hfma2(__halves2half2(x, y), __float2half2_rn(2.0f), __halves2half2(y, x));
  out[9] = __low2float(pair);
  out[10] = __high2float(pair);
  out[11] = __half2float(__hneg(__habs(x)));
  out[12] = __half2float(__ushort_as_half(1));  // the smallest
  out[13] = __half_as_ushort(y);
  out[14] = __half2float(__hmax(x, y));
}

int main() {
  float* out = Device<float>(15);
  Compute<<<1, 1>>>(3.14159f, -2.71828f, out);
  SHOW(cudaDeviceSynchronize());
  Print("out", Host(out, 15));
}
