// Arithmetic whose results IEEE 754 fixes: double and float, roundings, remainders, conversions.
#include "check.h"

__global__ void Compute(double a, double b, double zero, double huge, double* out, float* single, long long* whole) {
  out[0] = a + b;
  out[1] = a * b;
  out[2] = a / b;
  out[3] = sqrt(a);
  out[4] = fma(a, b, -1.0);
  out[5] = __dadd_ru(a, b) - __dadd_rd(a, b);
  out[6] = fmod(a, b);
  out[7] = remainder(a, b);
  out[8] = floor(-a) + ceil(a) + rint(2.5) + trunc(-1.7);
  out[9] = ldexp(a, 100) * 0 + scalbn(b, 3);
  out[10] = fmin(a, nan("")) + fmax(nan(""), b);
  out[11] = copysign(a, -0.0);
  single[0] = static_cast<float>(a) / static_cast<float>(b);
  single[1] = sqrtf(static_cast<float>(a));
  single[2] = __fdiv_rz(1.0f, 3.0f);
  single[3] = fmaf(1.0000001f, 1.0000001f, -1.0f);
  single[4] = __int_as_float(0x00000001) * 2;  // a subnormal number
  whole[0] = __double2ll_rn(2.5);
  whole[1] = __double2ll_ru(a);
  whole[2] = static_cast<long long>(-huge);  // saturates
  whole[3] = static_cast<int>(static_cast<float>(huge));
  whole[4] = __float2int_rn(nanf(""));
  whole[5] = __double_as_longlong(a);
  whole[6] = isnan(a / zero - a / zero) + 2 * isinf(a / zero);
}

int main() {
  double* out = Device<double>(12);
  float* single = Device<float>(5);
  auto* whole = Device<long long>(7);
  Compute<<<1, 1>>>(10.7, 3.3, 0.0, 1e30, out, single, whole);
  SHOW(cudaDeviceSynchronize());
  for (const double value : Host(out, 12)) std::printf("%a\n", value);
  for (const float value : Host(single, 5)) std::printf("%a\n", value);
  Print("whole", Host(whole, 7));
}
