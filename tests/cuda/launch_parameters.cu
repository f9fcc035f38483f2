// Kernel parameters of every size and alignment, up to 4 KiB and beyond it.
#include "check.h"

struct Small {
  char a;
  double b;
  short c;
};
struct Large {
  int values[1000];
};
struct Huge {
  int values[5000];
};

__global__ void Mixed(char a, short b, Small s, long long d, float3 f, bool g, double* out) {
  out[0] = a + b;
  out[1] = s.a + s.b + s.c;
  out[2] = static_cast<double>(d);
  out[3] = f.x + f.y + f.z;
  out[4] = g;
}
__global__ void Sum(const Large large, double* out) {
  double sum = 0;
  for (const int value : large.values) sum += value;
  *out = sum;
}
__global__ void Pick(const __grid_constant__ Huge huge, double* out) {
  *out = huge.values[4999] + huge.values[threadIdx.x];
}

int main() {
  double* out = Device<double>(5);
  Mixed<<<1, 1>>>(1, 300, {2, 0.5, -7}, 1LL << 40, make_float3(1, 2, 3.5f), true, out);
  SHOW(cudaGetLastError());
  Print("mixed", Host(out, 5));
  Large large;
  for (int i = 0; i < 1000; ++i) large.values[i] = i;
  Sum<<<1, 1>>>(large, out);
  large.values[0] = 100'000;  // taken at the launch
  Print("large", Host(out, 1));
  static Huge huge;
  huge.values[0] = 1;
  huge.values[4999] = 2;
  Pick<<<1, 1>>>(huge, out);
  SHOW(cudaGetLastError());
  Print("huge", Host(out, 1));
}
