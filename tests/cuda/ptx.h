// PTX text that the programs of modules, libraries and links load.
#pragma once

// add(p, n, x): p[i] += x for i < n. `bias` is added too; `table` holds 1 2 3 4.
inline constexpr const char* kAddPtx = R"(
.version 7.0
.target sm_50
.address_size 64
.visible .global .align 4 .u32 bias = 0;
.visible .const .align 4 .u32 table[4] = {1, 2, 3, 4};
.visible .entry add(.param .u64 p, .param .u32 n, .param .u32 x) {
  .reg .pred %q; .reg .b32 %r<9>; .reg .b64 %d<4>;
  ld.param.u64 %d1, [p]; ld.param.u32 %r1, [n]; ld.param.u32 %r2, [x];
  mov.u32 %r3, %ctaid.x; mov.u32 %r4, %ntid.x; mov.u32 %r5, %tid.x;
  mad.lo.u32 %r6, %r3, %r4, %r5;
  setp.ge.u32 %q, %r6, %r1;
  @%q bra done;
  cvta.to.global.u64 %d1, %d1;
  mul.wide.u32 %d2, %r6, 4;
  add.u64 %d3, %d1, %d2;
  ld.global.u32 %r7, [%d3];
  add.u32 %r7, %r7, %r2;
  ld.global.u32 %r8, [bias];
  add.u32 %r7, %r7, %r8;
  st.global.u32 [%d3], %r7;
done:
  ret;
}
.visible .entry lookup(.param .u64 p) {
  .reg .b32 %r<4>; .reg .b64 %d<6>;
  ld.param.u64 %d1, [p];
  cvta.to.global.u64 %d1, %d1;
  mov.u32 %r1, %tid.x;
  mul.wide.u32 %d2, %r1, 4;
  mov.u64 %d3, table;
  add.u64 %d4, %d3, %d2;
  ld.const.u32 %r2, [%d4];
  add.u64 %d5, %d1, %d2;
  st.global.u32 [%d5], %r2;
  ret;
}
)";
