// PTX of the kernels that the driver tests launch.
#pragma once

namespace mignificient::cpu {

inline constexpr const char* kTestPtx = R"(
.version 8.0
.target sm_80
.address_size 64

.extern .func (.param .b32 result) vprintf(.param .b64 format, .param .b64 arguments);
.extern .func __assertfail(.param .b64 message, .param .b64 file, .param .b32 line, .param .b64 function,
                           .param .b64 char_size);

.visible .global .align 4 .u32 counter = 7;
.visible .global .align 8 .u64 pointer_to_counter = generic(counter);
.visible .const .align 4 .f32 factors[4] = {0f3F800000, 0f40000000, 0f40400000, 0f40800000};
.global .align 1 .b8 format[10] = {98, 108, 111, 99, 107, 32, 37, 117, 10, 0};
.global .align 1 .b8 message[4] = {98, 97, 100, 0};
.extern .shared .align 4 .b8 dynamic[];

// c[i] = a[i] + b[i]
.visible .entry vector_add(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n) {
  .reg .pred %p; .reg .b32 %r<6>; .reg .f32 %f<4>; .reg .b64 %rd<8>;
  ld.param.u64 %rd1, [a]; ld.param.u64 %rd2, [b]; ld.param.u64 %rd3, [c]; ld.param.u32 %r1, [n];
  mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mov.u32 %r4, %tid.x;
  mad.lo.s32 %r5, %r2, %r3, %r4;
  setp.ge.u32 %p, %r5, %r1;
  @%p bra DONE;
  mul.wide.u32 %rd4, %r5, 4;
  add.s64 %rd5, %rd1, %rd4; add.s64 %rd6, %rd2, %rd4; add.s64 %rd7, %rd3, %rd4;
  ld.global.f32 %f1, [%rd5]; ld.global.f32 %f2, [%rd6];
  add.f32 %f3, %f1, %f2;
  st.global.f32 [%rd7], %f3;
DONE:
  ret;
}

// out[block] = sum of the block's 256 numbers, by halving in dynamic shared memory
.visible .entry block_sum(.param .u64 in, .param .u64 out) {
  .reg .pred %p; .reg .b32 %r<12>; .reg .b64 %rd<6>;
  ld.param.u64 %rd1, [in]; ld.param.u64 %rd2, [out];
  mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x;
  mad.lo.s32 %r4, %r2, %r3, %r1;
  mul.wide.u32 %rd3, %r4, 4; add.s64 %rd3, %rd1, %rd3;
  ld.global.u32 %r5, [%rd3];
  mov.u32 %r6, dynamic; shl.b32 %r7, %r1, 2; add.u32 %r7, %r6, %r7;
  st.shared.u32 [%r7], %r5;
  shr.u32 %r8, %r3, 1;
LOOP:
  bar.sync 0;
  setp.ge.u32 %p, %r1, %r8;
  @%p bra NEXT;
  shl.b32 %r9, %r8, 2; add.u32 %r9, %r7, %r9;
  ld.shared.u32 %r10, [%r9]; ld.shared.u32 %r11, [%r7];
  add.u32 %r11, %r11, %r10;
  st.shared.u32 [%r7], %r11;
NEXT:
  shr.u32 %r8, %r8, 1;
  setp.ne.u32 %p, %r8, 0;
  @%p bra LOOP;
  setp.ne.u32 %p, %r1, 0;
  @%p bra DONE;
  ld.shared.u32 %r11, [%r6];
  mul.wide.u32 %rd4, %r2, 4; add.s64 %rd4, %rd2, %rd4;
  st.global.u32 [%rd4], %r11;
DONE:
  ret;
}

// bins[in[i] & 15] += 1
.visible .entry histogram(.param .u64 in, .param .u64 bins) {
  .reg .b32 %r<8>; .reg .b64 %rd<6>;
  ld.param.u64 %rd1, [in]; ld.param.u64 %rd2, [bins];
  mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x;
  mad.lo.s32 %r4, %r2, %r3, %r1;
  mul.wide.u32 %rd3, %r4, 4; add.s64 %rd3, %rd1, %rd3;
  ld.global.u32 %r5, [%rd3]; and.b32 %r5, %r5, 15;
  mul.wide.u32 %rd4, %r5, 4; add.s64 %rd4, %rd2, %rd4;
  red.global.add.u32 [%rd4], 1;
  ret;
}

// Waits until *flag is not 0, then *out = value.
.visible .entry await(.param .u64 flag, .param .u64 out, .param .u32 value) {
  .reg .pred %p; .reg .b32 %r<3>; .reg .b64 %rd<3>;
  ld.param.u64 %rd1, [flag]; ld.param.u64 %rd2, [out]; ld.param.u32 %r2, [value];
LOOP:
  ld.volatile.global.u32 %r1, [%rd1];
  setp.eq.u32 %p, %r1, 0;
  @%p bra LOOP;
  st.global.u32 [%rd2], %r2;
  ret;
}

.visible .entry store(.param .u64 out, .param .u32 value) {
  .reg .b32 %r<2>; .reg .b64 %rd<2>;
  ld.param.u64 %rd1, [out]; ld.param.u32 %r1, [value];
  st.global.u32 [%rd1], %r1;
  ret;
}

// *out = *out * factor + term
.visible .entry affine(.param .u64 out, .param .u32 factor, .param .u32 term) {
  .reg .b32 %r<5>; .reg .b64 %rd<2>;
  ld.param.u64 %rd1, [out]; ld.param.u32 %r1, [factor]; ld.param.u32 %r2, [term];
  ld.global.u32 %r3, [%rd1];
  mad.lo.u32 %r4, %r3, %r1, %r2;
  st.global.u32 [%rd1], %r4;
  ret;
}

.visible .entry endless() {
LOOP:
  bra LOOP;
}

.visible .entry trap_now() { trap; ret; }

.visible .entry fail_assert() {
  .reg .b64 %rd<3>; .reg .b32 %r<2>;
  mov.u64 %rd1, message; cvta.global.u64 %rd2, %rd1;
  { .param .b64 p0; .param .b64 p1; .param .b32 p2; .param .b64 p3; .param .b64 p4;
    st.param.b64 [p0], %rd2; st.param.b64 [p1], %rd2; st.param.b32 [p2], 3; st.param.b64 [p3], %rd2;
    st.param.b64 [p4], 1;
    call.uni __assertfail, (p0, p1, p2, p3, p4); }
  ret;
}

.visible .entry print() {
  .local .align 8 .b8 frame[8];
  .reg .b32 %r<4>; .reg .b64 %rd<6>;
  mov.u64 %rd1, frame; cvta.local.u64 %rd2, %rd1;
  mov.u32 %r1, %ctaid.x; st.local.u32 [%rd1], %r1;
  mov.u64 %rd3, format; cvta.global.u64 %rd4, %rd3;
  { .param .b64 p0; .param .b64 p1; .param .b32 r0;
    st.param.b64 [p0], %rd4; st.param.b64 [p1], %rd2;
    call.uni (r0), vprintf, (p0, p1);
    ld.param.b32 %r2, [r0]; }
  ret;
}

.visible .entry shapes(.param .u32 a, .param .u64 b, .param .align 16 .b8 c[24]) { ret; }
.visible .entry at_most_128() .maxntid 128, 1, 1 { ret; }
.visible .entry exactly_64x2() .reqntid 64, 2, 1 { ret; }
.visible .entry shared_4096() {
  .shared .align 4 .b8 scratch[4096];
  .reg .b32 %r<2>;
  mov.u32 %r1, scratch; st.shared.u32 [%r1], %r1;
  ret;
}
)";

}  // namespace mignificient::cpu
