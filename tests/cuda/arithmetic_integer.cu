// Integer arithmetic: high halves, saturation, bit fields, dot products, division, shifts past the width.
#include "check.h"

__global__ void Compute(int a, unsigned b, long long c, long long* out) {
  out[0] = __mulhi(a, 1 << 30);
  out[1] = __umulhi(b, b);
  out[2] = __mul64hi(c, c);
  out[3] = static_cast<long long>(__umul64hi(c, ~0ull));
  out[4] = a / 7 * 1000 + a % 7;
  out[5] = b / 10u + b % 10u;
  out[6] = c / -1000003 + c % 1000003;
  out[7] = __sad(a, -5, 100u);
  out[8] = __funnelshift_l(0x80000001u, 0x00ff00ffu, 8);
  out[9] = __funnelshift_r(b, 0x12345678u, 12);
  out[10] = __dp4a(0x01020304, 0x01010101, 5);
  out[11] = __clzll(c) * 100 + __popcll(c);
  out[12] = static_cast<long long>(__brevll(1));
  out[13] = __vadd4(0x01fe03ffu, 0x01010101u);
  out[14] = __hadd(a, 3) * 10 + __rhadd(a, 4);
  out[15] = abs(a) + llabs(-c) + min(a, 3) + max(b, 1u);
  out[16] = __ffsll(1ll << 40);
  unsigned shifted, field;
  asm("shl.b32 %0, %1, 40;" : "=r"(shifted) : "r"(b));
  asm("bfe.u32 %0, %1, 4, 8;" : "=r"(field) : "r"(b));
  out[17] = shifted;
  out[18] = field;
  int wide;
  asm("{ .reg .u32 lo; add.cc.u32 lo, %1, 1; addc.u32 %0, %2, 0; }" : "=r"(wide) : "r"(0xffffffffu), "r"(41));
  out[19] = wide;
}

int main() {
  auto* out = Device<long long>(20);
  Compute<<<1, 1>>>(-123456789, 0xdeadbeefu, 0x123456789abcdefll, out);
  SHOW(cudaDeviceSynchronize());
  Print("out", Host(out, 20));
}
