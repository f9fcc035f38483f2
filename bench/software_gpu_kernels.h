// PTX of software_gpu_kernels.cu, made by nvcc -ptx -arch=compute_75, without comments and empty lines. A copy in the
// tree, so that the benchmark needs no CUDA toolkit and measures the same instructions everywhere.
#pragma once

inline constexpr const char* kBenchPtx = R"(
.version 9.0
.target sm_75
.address_size 64
.visible .entry matrix_product(
 .param .u64 matrix_product_param_0,
 .param .u64 matrix_product_param_1,
 .param .u64 matrix_product_param_2,
 .param .u32 matrix_product_param_3
)
{
 .reg .pred %p<3>;
 .reg .f32 %f<57>;
 .reg .b32 %r<35>;
 .reg .b64 %rd<13>;
 .shared .align 4 .b8 _ZZ14matrix_productE6tile_a[1024];
 .shared .align 4 .b8 _ZZ14matrix_productE6tile_b[1024];
 ld.param.u64 %rd3, [matrix_product_param_0];
 ld.param.u64 %rd4, [matrix_product_param_1];
 ld.param.u64 %rd5, [matrix_product_param_2];
 ld.param.u32 %r18, [matrix_product_param_3];
 mov.u32 %r19, %ctaid.y;
 shl.b32 %r20, %r19, 4;
 mov.u32 %r1, %tid.y;
 add.s32 %r21, %r20, %r1;
 mov.u32 %r22, %ctaid.x;
 shl.b32 %r2, %r22, 4;
 mov.u32 %r3, %tid.x;
 mul.lo.s32 %r4, %r21, %r18;
 setp.lt.s32 %p1, %r18, 1;
 mov.f32 %f56, 0f00000000;
 @%p1 bra $L__BB0_3;
 shl.b32 %r24, %r1, 6;
 mov.u32 %r25, _ZZ14matrix_productE6tile_a;
 add.s32 %r7, %r25, %r24;
 shl.b32 %r26, %r3, 2;
 add.s32 %r5, %r7, %r26;
 mov.u32 %r27, _ZZ14matrix_productE6tile_b;
 add.s32 %r28, %r27, %r24;
 add.s32 %r6, %r28, %r26;
 add.s32 %r8, %r27, %r26;
 mad.lo.s32 %r29, %r1, %r18, %r3;
 add.s32 %r33, %r29, %r2;
 shl.b32 %r10, %r18, 4;
 add.s32 %r32, %r3, %r4;
 cvta.to.global.u64 %rd1, %rd3;
 cvta.to.global.u64 %rd2, %rd4;
 mov.f32 %f56, 0f00000000;
 mov.u32 %r34, 0;
$L__BB0_2:
 mul.wide.u32 %rd6, %r32, 4;
 add.s64 %rd7, %rd1, %rd6;
 ld.global.f32 %f6, [%rd7];
 st.shared.f32 [%r5], %f6;
 mul.wide.u32 %rd8, %r33, 4;
 add.s64 %rd9, %rd2, %rd8;
 ld.global.f32 %f7, [%rd9];
 st.shared.f32 [%r6], %f7;
 bar.sync 0;
 ld.shared.f32 %f8, [%r8];
 ld.shared.f32 %f9, [%r7];
 fma.rn.f32 %f10, %f9, %f8, %f56;
 ld.shared.f32 %f11, [%r8+64];
 ld.shared.f32 %f12, [%r7+4];
 fma.rn.f32 %f13, %f12, %f11, %f10;
 ld.shared.f32 %f14, [%r8+128];
 ld.shared.f32 %f15, [%r7+8];
 fma.rn.f32 %f16, %f15, %f14, %f13;
 ld.shared.f32 %f17, [%r8+192];
 ld.shared.f32 %f18, [%r7+12];
 fma.rn.f32 %f19, %f18, %f17, %f16;
 ld.shared.f32 %f20, [%r8+256];
 ld.shared.f32 %f21, [%r7+16];
 fma.rn.f32 %f22, %f21, %f20, %f19;
 ld.shared.f32 %f23, [%r8+320];
 ld.shared.f32 %f24, [%r7+20];
 fma.rn.f32 %f25, %f24, %f23, %f22;
 ld.shared.f32 %f26, [%r8+384];
 ld.shared.f32 %f27, [%r7+24];
 fma.rn.f32 %f28, %f27, %f26, %f25;
 ld.shared.f32 %f29, [%r8+448];
 ld.shared.f32 %f30, [%r7+28];
 fma.rn.f32 %f31, %f30, %f29, %f28;
 ld.shared.f32 %f32, [%r8+512];
 ld.shared.f32 %f33, [%r7+32];
 fma.rn.f32 %f34, %f33, %f32, %f31;
 ld.shared.f32 %f35, [%r8+576];
 ld.shared.f32 %f36, [%r7+36];
 fma.rn.f32 %f37, %f36, %f35, %f34;
 ld.shared.f32 %f38, [%r8+640];
 ld.shared.f32 %f39, [%r7+40];
 fma.rn.f32 %f40, %f39, %f38, %f37;
 ld.shared.f32 %f41, [%r8+704];
 ld.shared.f32 %f42, [%r7+44];
 fma.rn.f32 %f43, %f42, %f41, %f40;
 ld.shared.f32 %f44, [%r8+768];
 ld.shared.f32 %f45, [%r7+48];
 fma.rn.f32 %f46, %f45, %f44, %f43;
 ld.shared.f32 %f47, [%r8+832];
 ld.shared.f32 %f48, [%r7+52];
 fma.rn.f32 %f49, %f48, %f47, %f46;
 ld.shared.f32 %f50, [%r8+896];
 ld.shared.f32 %f51, [%r7+56];
 fma.rn.f32 %f52, %f51, %f50, %f49;
 ld.shared.f32 %f53, [%r8+960];
 ld.shared.f32 %f54, [%r7+60];
 fma.rn.f32 %f56, %f54, %f53, %f52;
 bar.sync 0;
 add.s32 %r33, %r33, %r10;
 add.s32 %r32, %r32, 16;
 add.s32 %r34, %r34, 16;
 setp.lt.s32 %p2, %r34, %r18;
 @%p2 bra $L__BB0_2;
$L__BB0_3:
 add.s32 %r30, %r2, %r3;
 add.s32 %r31, %r4, %r30;
 cvta.to.global.u64 %rd10, %rd5;
 mul.wide.s32 %rd11, %r31, 4;
 add.s64 %rd12, %rd10, %rd11;
 st.global.f32 [%rd12], %f56;
 ret;
}
.visible .entry reduction(
 .param .u64 reduction_param_0,
 .param .u64 reduction_param_1,
 .param .u32 reduction_param_2
)
{
 .reg .pred %p<15>;
 .reg .b32 %r<43>;
 .reg .b64 %rd<41>;
 .shared .align 8 .b8 _ZZ9reductionE9warp_sums[64];
 ld.param.u64 %rd6, [reduction_param_0];
 ld.param.u64 %rd7, [reduction_param_1];
 ld.param.u32 %r7, [reduction_param_2];
 mov.u32 %r1, %ntid.x;
 mov.u32 %r8, %ctaid.x;
 mov.u32 %r2, %tid.x;
 mad.lo.s32 %r42, %r8, %r1, %r2;
 setp.ge.s32 %p1, %r42, %r7;
 mov.u64 %rd40, 0;
 @%p1 bra $L__BB1_3;
 mov.u32 %r9, %nctaid.x;
 mul.lo.s32 %r4, %r9, %r1;
 cvta.to.global.u64 %rd1, %rd6;
 mov.u64 %rd40, 0;
$L__BB1_2:
 mul.wide.s32 %rd10, %r42, 4;
 add.s64 %rd11, %rd1, %rd10;
 ld.global.u32 %rd12, [%rd11];
 add.s64 %rd40, %rd40, %rd12;
 add.s32 %r42, %r42, %r4;
 setp.lt.s32 %p2, %r42, %r7;
 @%p2 bra $L__BB1_2;
$L__BB1_3:
 mov.b64 {%r10,%r11}, %rd40;
 mov.u32 %r30, 2;
 mov.u32 %r31, 31;
 mov.u32 %r32, 16;
 mov.u32 %r33, -1;
 shfl.sync.down.b32 %r13|%p3, %r11, %r32, %r31, %r33;
 shfl.sync.down.b32 %r12|%p4, %r10, %r32, %r31, %r33;
 mov.b64 %rd14, {%r12,%r13};
 add.s64 %rd15, %rd14, %rd40;
 mov.b64 {%r14,%r15}, %rd15;
 mov.u32 %r34, 8;
 shfl.sync.down.b32 %r17|%p5, %r15, %r34, %r31, %r33;
 shfl.sync.down.b32 %r16|%p6, %r14, %r34, %r31, %r33;
 mov.b64 %rd16, {%r16,%r17};
 add.s64 %rd17, %rd16, %rd15;
 mov.b64 {%r18,%r19}, %rd17;
 mov.u32 %r35, 4;
 shfl.sync.down.b32 %r21|%p7, %r19, %r35, %r31, %r33;
 shfl.sync.down.b32 %r20|%p8, %r18, %r35, %r31, %r33;
 mov.b64 %rd18, {%r20,%r21};
 add.s64 %rd19, %rd18, %rd17;
 mov.b64 {%r22,%r23}, %rd19;
 shfl.sync.down.b32 %r25|%p9, %r23, %r30, %r31, %r33;
 shfl.sync.down.b32 %r24|%p10, %r22, %r30, %r31, %r33;
 mov.b64 %rd20, {%r24,%r25};
 add.s64 %rd21, %rd20, %rd19;
 mov.b64 {%r26,%r27}, %rd21;
 mov.u32 %r36, 1;
 shfl.sync.down.b32 %r29|%p11, %r27, %r36, %r31, %r33;
 shfl.sync.down.b32 %r28|%p12, %r26, %r36, %r31, %r33;
 mov.b64 %rd22, {%r28,%r29};
 add.s64 %rd5, %rd22, %rd21;
 and.b32 %r37, %r2, 31;
 setp.ne.s32 %p13, %r37, 0;
 @%p13 bra $L__BB1_5;
 shr.u32 %r38, %r2, 2;
 and.b32 %r39, %r38, 1073741816;
 mov.u32 %r40, _ZZ9reductionE9warp_sums;
 add.s32 %r41, %r40, %r39;
 st.shared.u64 [%r41], %rd5;
$L__BB1_5:
 bar.sync 0;
 setp.ne.s32 %p14, %r2, 0;
 @%p14 bra $L__BB1_7;
 ld.shared.u64 %rd23, [_ZZ9reductionE9warp_sums+8];
 add.s64 %rd24, %rd23, %rd5;
 ld.shared.u64 %rd25, [_ZZ9reductionE9warp_sums+16];
 add.s64 %rd26, %rd25, %rd24;
 ld.shared.u64 %rd27, [_ZZ9reductionE9warp_sums+24];
 add.s64 %rd28, %rd27, %rd26;
 ld.shared.u64 %rd29, [_ZZ9reductionE9warp_sums+32];
 add.s64 %rd30, %rd29, %rd28;
 ld.shared.u64 %rd31, [_ZZ9reductionE9warp_sums+40];
 add.s64 %rd32, %rd31, %rd30;
 ld.shared.u64 %rd33, [_ZZ9reductionE9warp_sums+48];
 add.s64 %rd34, %rd33, %rd32;
 ld.shared.u64 %rd35, [_ZZ9reductionE9warp_sums+56];
 add.s64 %rd36, %rd35, %rd34;
 cvta.to.global.u64 %rd37, %rd7;
 atom.global.add.u64 %rd38, [%rd37], %rd36;
$L__BB1_7:
 ret;
}
.visible .entry saxpy(
 .param .u64 saxpy_param_0,
 .param .u64 saxpy_param_1,
 .param .f32 saxpy_param_2,
 .param .u32 saxpy_param_3
)
{
 .reg .pred %p<3>;
 .reg .f32 %f<5>;
 .reg .b32 %r<11>;
 .reg .b64 %rd<8>;
 ld.param.u64 %rd3, [saxpy_param_0];
 ld.param.u64 %rd4, [saxpy_param_1];
 ld.param.f32 %f1, [saxpy_param_2];
 ld.param.u32 %r6, [saxpy_param_3];
 mov.u32 %r1, %ntid.x;
 mov.u32 %r7, %ctaid.x;
 mov.u32 %r8, %tid.x;
 mad.lo.s32 %r10, %r7, %r1, %r8;
 setp.ge.s32 %p1, %r10, %r6;
 @%p1 bra $L__BB2_3;
 mov.u32 %r9, %nctaid.x;
 mul.lo.s32 %r3, %r9, %r1;
 cvta.to.global.u64 %rd1, %rd3;
 cvta.to.global.u64 %rd2, %rd4;
$L__BB2_2:
 mul.wide.s32 %rd5, %r10, 4;
 add.s64 %rd6, %rd1, %rd5;
 ld.global.f32 %f2, [%rd6];
 add.s64 %rd7, %rd2, %rd5;
 ld.global.f32 %f3, [%rd7];
 fma.rn.f32 %f4, %f2, %f1, %f3;
 st.global.f32 [%rd7], %f4;
 add.s32 %r10, %r10, %r3;
 setp.lt.s32 %p2, %r10, %r6;
 @%p2 bra $L__BB2_2;
$L__BB2_3:
 ret;
}
.visible .entry histogram(
 .param .u64 histogram_param_0,
 .param .u64 histogram_param_1,
 .param .u32 histogram_param_2
)
{
 .reg .pred %p<4>;
 .reg .b16 %rs<2>;
 .reg .b32 %r<21>;
 .reg .b64 %rd<9>;
 .shared .align 4 .b8 _ZZ9histogramE10block_bins[1024];
 ld.param.u64 %rd2, [histogram_param_0];
 ld.param.u64 %rd3, [histogram_param_1];
 ld.param.u32 %r9, [histogram_param_2];
 mov.u32 %r1, %tid.x;
 shl.b32 %r10, %r1, 2;
 mov.u32 %r11, _ZZ9histogramE10block_bins;
 add.s32 %r2, %r11, %r10;
 mov.u32 %r12, 0;
 st.shared.u32 [%r2], %r12;
 bar.sync 0;
 mov.u32 %r3, %ntid.x;
 mov.u32 %r13, %ctaid.x;
 mad.lo.s32 %r20, %r13, %r3, %r1;
 setp.ge.s32 %p1, %r20, %r9;
 @%p1 bra $L__BB3_3;
 mov.u32 %r14, %nctaid.x;
 mul.lo.s32 %r5, %r14, %r3;
 cvta.to.global.u64 %rd1, %rd2;
$L__BB3_2:
 cvt.s64.s32 %rd4, %r20;
 add.s64 %rd5, %rd1, %rd4;
 ld.global.u8 %rs1, [%rd5];
 mul.wide.u16 %r15, %rs1, 4;
 add.s32 %r17, %r11, %r15;
 atom.shared.add.u32 %r18, [%r17], 1;
 add.s32 %r20, %r20, %r5;
 setp.lt.s32 %p2, %r20, %r9;
 @%p2 bra $L__BB3_2;
$L__BB3_3:
 bar.sync 0;
 ld.shared.u32 %r8, [%r2];
 setp.eq.s32 %p3, %r8, 0;
 @%p3 bra $L__BB3_5;
 cvta.to.global.u64 %rd6, %rd3;
 mul.wide.u32 %rd7, %r1, 4;
 add.s64 %rd8, %rd6, %rd7;
 atom.global.add.u32 %r19, [%rd8], %r8;
$L__BB3_5:
 ret;
}
.visible .entry collatz(
 .param .u64 collatz_param_0,
 .param .u32 collatz_param_1
)
{
 .reg .pred %p<9>;
 .reg .b32 %r<31>;
 .reg .b64 %rd<5>;
 ld.param.u64 %rd1, [collatz_param_0];
 ld.param.u32 %r14, [collatz_param_1];
 mov.u32 %r15, %ntid.x;
 mov.u32 %r16, %ctaid.x;
 mov.u32 %r17, %tid.x;
 mad.lo.s32 %r1, %r16, %r15, %r17;
 setp.ge.s32 %p1, %r1, %r14;
 @%p1 bra $L__BB4_8;
 setp.eq.s32 %p2, %r1, 0;
 mov.u32 %r29, 0;
 @%p2 bra $L__BB4_7;
 add.s32 %r25, %r1, 1;
 mov.u32 %r29, 0;
$L__BB4_3:
 and.b32 %r20, %r25, 1;
 setp.eq.b32 %p3, %r20, 1;
 mad.lo.s32 %r21, %r25, 3, 1;
 selp.b32 %r25, %r21, %r25, %p3;
 add.s32 %r29, %r29, %r20;
 and.b32 %r22, %r25, 1;
 setp.eq.b32 %p4, %r22, 1;
 mov.pred %p5, 0;
 xor.pred %p6, %p4, %p5;
 @%p6 bra $L__BB4_6;
 mov.u32 %r27, %r25;
$L__BB4_5:
 shr.u32 %r25, %r27, 1;
 add.s32 %r29, %r29, 1;
 and.b32 %r23, %r27, 2;
 setp.eq.s32 %p7, %r23, 0;
 mov.u32 %r27, %r25;
 @%p7 bra $L__BB4_5;
$L__BB4_6:
 setp.ne.s32 %p8, %r25, 1;
 @%p8 bra $L__BB4_3;
$L__BB4_7:
 cvta.to.global.u64 %rd2, %rd1;
 mul.wide.s32 %rd3, %r1, 4;
 add.s64 %rd4, %rd2, %rd3;
 st.global.u32 [%rd4], %r29;
$L__BB4_8:
 ret;
}
)";
