// Control flow, barriers, calls, and how launches end.
#include <numeric>
#include <thread>

#include "driver/cpu/exec/fixture.h"

namespace mignificient::cpu {
namespace {

constexpr std::string_view kPrologue = R"(
  .reg .b32 %r<32>; .reg .b64 %rd<16>; .reg .pred %p<8>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x;
  mad.lo.u32 %r4, %r2, %r3, %r1;
  mul.wide.u32 %rd2, %r4, 4; add.u64 %rd3, %rd1, %rd2;
)";

// Runs `body` with r1 tid, r4 global thread, rd3 the address of its 32-bit result.
std::vector<uint32_t> Results(std::string_view body, uint32_t threads, uint32_t blocks = 1,
                              std::string_view before = "") {
  Module module(fmt::format("{}\n.visible .entry k(.param .u64 out) {{ {} {} }}", before, kPrologue, body));
  std::vector<uint32_t> out(size_t{threads} * blocks, 0xdeadbeef);
  const auto ran = module.Run("k", {blocks}, {threads}, Params().Add(AddressOf(out)), {ExtentOf(out)});
  EXPECT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
  return out;
}

LaunchResult Ends(std::string_view body, uint32_t threads = 32) {
  Module module(fmt::format(".visible .entry k(.param .u64 out) {{ {} {} }}", kPrologue, body));
  std::vector<uint32_t> out(threads);
  return module.Run("k", {1}, {threads}, Params().Add(AddressOf(out)), {ExtentOf(out)}).result;
}

TEST(ControlTest, LanesLoopAsOftenAsEachWants) {
  const auto out = Results(R"(
    mov.u32 %r5, 0; mov.u32 %r6, 0;
  LOOP: setp.ge.u32 %p1, %r5, %r1; @%p1 bra DONE;
    add.u32 %r6, %r6, %r5; add.u32 %r5, %r5, 1; bra LOOP;
  DONE: st.global.u32 [%rd3], %r6; ret;)",
                           100);
  for (uint32_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], i == 0 ? 0 : i * (i - 1) / 2) << i;
}

TEST(ControlTest, NestedDivergenceMeetsAgainAndEarlyReturnsLeave) {
  const auto out = Results(R"(
    and.b32 %r5, %r1, 1; setp.eq.u32 %p1, %r5, 0;
    and.b32 %r6, %r1, 2; setp.eq.u32 %p2, %r6, 0;
    mov.u32 %r7, 0;
    setp.eq.u32 %p3, %r1, 13; @%p3 ret;
    @%p1 bra EVEN;
    @%p2 bra ODD_A;
    add.u32 %r7, %r7, 1; bra JOIN;
  ODD_A: add.u32 %r7, %r7, 2; bra JOIN;
  EVEN: @!%p2 bra EVEN_B; add.u32 %r7, %r7, 3; bra JOIN;
  EVEN_B: add.u32 %r7, %r7, 4;
  JOIN: activemask.b32 %r8; popc.b32 %r9, %r8; mad.lo.u32 %r7, %r9, 100, %r7;
    st.global.u32 [%rd3], %r7; ret;)",
                           32);
  const uint32_t kinds[] = {3, 2, 4, 1};
  for (uint32_t i = 0; i < 32; ++i) EXPECT_EQ(out[i], i == 13 ? 0xdeadbeef : 3100 + kinds[i & 3]) << i;
}

TEST(ControlTest, ShadowedRegistersAndLabelsBelongToTheirScope) {
  const auto out = Results(R"(
    mov.u32 %r5, 7;
    { .reg .b32 %r<9>; .reg .b32 t; mov.u32 %r5, 1; bra L; L: mov.u32 t, %r5; }
    { .reg .f32 t; bra L; mov.u32 %r5, 9; L: }
    st.global.u32 [%rd3], %r5; ret;)",
                           32);
  EXPECT_EQ(out[3], 7u);
}

TEST(ControlTest, RecursionAndDivergentCallsReturnToEachLane) {
  constexpr std::string_view kFib = R"(
.func (.param .b32 ret) fib(.param .b32 n) {
  .reg .b32 %r<8>; .reg .pred %p<2>; .local .align 4 .b8 depot[4]; .reg .b64 %rd1;
  ld.param.b32 %r1, [n]; mov.u64 %rd1, depot; st.local.u32 [%rd1], %r1;
  setp.lt.s32 %p1, %r1, 2; @%p1 bra BASE;
  add.s32 %r2, %r1, -1;
  { .param .b32 p0; .param .b32 r0; st.param.b32 [p0+0], %r2; call.uni (r0), fib, (p0); ld.param.b32 %r3, [r0+0]; }
  ld.local.u32 %r5, [%rd1]; add.s32 %r2, %r5, -2;
  { .param .b32 p0; .param .b32 r0; st.param.b32 [p0+0], %r2; call.uni (r0), fib, (p0); ld.param.b32 %r4, [r0+0]; }
  add.s32 %r1, %r3, %r4;
BASE: st.param.b32 [ret+0], %r1; ret; }
.func (.param .b32 ret) twice(.param .b32 n) {
  .reg .b32 %r<3>; ld.param.b32 %r1, [n]; add.s32 %r1, %r1, %r1; st.param.b32 [ret], %r1; ret; })";
  const auto out = Results(R"(
    and.b32 %r5, %r1, 3; setp.eq.u32 %p1, %r5, 0; rem.u32 %r6, %r1, 11;
    @%p1 bra OTHER;
    { .param .b32 a; .param .b32 r; st.param.b32 [a], %r6; call (r), fib, (a); ld.param.b32 %r7, [r]; }
    bra DONE;
  OTHER: call (%r7), twice, (%r6);
  DONE: st.global.u32 [%rd3], %r7; ret;)",
                           64, 2, kFib);
  const uint32_t fib[] = {0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55};
  for (uint32_t i = 0; i < out.size(); ++i) {
    const uint32_t tid = i % 64;
    EXPECT_EQ(out[i], tid % 4 == 0 ? 2 * (tid % 11) : fib[tid % 11]) << i;
  }
}

TEST(ControlTest, LocalsOfACalleeAreAlignedAfterOddLocalsOfItsCaller) {
  const auto out =
      Results(R"(.local .align 4 .b8 depot[28]; mov.u64 %rd4, depot; st.local.u32 [%rd4+24], 5; call (%r5), f, (%r1);
    ld.local.u32 %r6, [%rd4+24]; add.u32 %r5, %r5, %r6; st.global.u32 [%rd3], %r5; ret;)",
              32, 1, R"(
.func (.param .b32 r) f(.param .b32 a) { .local .align 8 .b8 depot[16]; .reg .b64 %rd<3>; .reg .b32 %r1;
  ld.param.b32 %r1, [a]; mov.u64 %rd1, depot; cvt.u64.u32 %rd2, %r1; st.local.u64 [%rd1+8], %rd2; ld.local.u32 %r1, [%rd1+8]; st.param.b32 [r], %r1; ret; })");
  for (uint32_t i = 0; i < 32; ++i) EXPECT_EQ(out[i], i + 5);
}

TEST(ControlTest, IndirectCallsGoThroughATableOfFunctions) {
  constexpr std::string_view kFunctions = R"(
.func (.param .b32 r) f(.param .b32 a) { .reg .b32 %r1; ld.param.b32 %r1, [a]; add.u32 %r1, %r1, 1; st.param.b32 [r], %r1; ret; }
.func (.param .b32 r) g(.param .b32 a) { .reg .b32 %r1; ld.param.b32 %r1, [a]; mul.lo.u32 %r1, %r1, 3; st.param.b32 [r], %r1; ret; }
.global .align 8 .u64 vtable[2] = {f, g};)";
  const auto out = Results(R"(
    and.b32 %r5, %r1, 1; mul.wide.u32 %rd4, %r5, 8; mov.u64 %rd5, vtable; add.u64 %rd5, %rd5, %rd4; ld.global.u64 %rd6, [%rd5];
    { .param .b32 a; .param .b32 r; st.param.b32 [a], %r1;
      proto: .callprototype (.param .b32 _) _ (.param .b32 _);
      call (r), %rd6, (a), proto; ld.param.b32 %r7, [r]; }
    st.global.u32 [%rd3], %r7; ret;)",
                           32, 1, kFunctions);
  for (uint32_t i = 0; i < 32; ++i) EXPECT_EQ(out[i], i % 2 ? i * 3 : i + 1) << i;
  EXPECT_EQ(Ends("mov.u64 %rd6, 1234; call %rd6, (); ret;").status, LaunchStatus::kIllegalInstruction);
}

TEST(ControlTest, BranchTablesSendEachLaneItsWay) {
  const auto out = Results(R"(
    T: .branchtargets A, B, C;
    rem.u32 %r5, %r1, 3; brx.idx %r5, T;
  A: mov.u32 %r6, 10; bra D;
  B: mov.u32 %r6, 20; bra D;
  C: mov.u32 %r6, 30;
  D: st.global.u32 [%rd3], %r6; ret;)",
                           32);
  for (uint32_t i = 0; i < 32; ++i) EXPECT_EQ(out[i], 10 * (i % 3 + 1));
}

TEST(ControlTest, BarrierOrdersSharedMemoryAcrossWarps) {
  const auto out = Results(R"(
    .shared .align 4 .b32 s[256]; .reg .b64 %s<3>;
    mov.u64 %s1, s; mul.wide.u32 %rd4, %r1, 4; add.u64 %s2, %s1, %rd4;
    st.shared.u32 [%s2], %r1; bar.sync 0;
    sub.u32 %r5, 255, %r1; mul.wide.u32 %rd4, %r5, 4; add.u64 %s2, %s1, %rd4;
    ld.shared.u32 %r6, [%s2]; st.global.u32 [%rd3], %r6; ret;)",
                           256, 3);
  for (uint32_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], 255 - i % 256);
}

TEST(ControlTest, BarrierReductionsCountEveryThread) {
  const auto out = Results(R"(
    setp.lt.u32 %p1, %r1, 70; bar.red.popc.u32 %r5, 0, %p1; bar.red.and.pred %p2, 1, %p1; bar.red.or.pred %p3, 1, !%p1;
    selp.u32 %r6, 1000, 0, %p2; selp.u32 %r7, 2000, 0, %p3; add.u32 %r5, %r5, %r6; add.u32 %r5, %r5, %r7;
    st.global.u32 [%rd3], %r5; ret;)",
                           96);
  for (const uint32_t v : out) EXPECT_EQ(v, 2070u);
}

TEST(ControlTest, NamedBarrierWithCountJoinsProducersAndConsumers) {
  const auto out = Results(R"(
    .shared .b32 flag;
    setp.lt.u32 %p1, %r1, 32; @%p1 bra PRODUCE;
    bar.sync 3, 64; ld.shared.u32 %r5, [flag]; st.global.u32 [%rd3], %r5; ret;
  PRODUCE: st.shared.u32 [flag], 42; bar.arrive 3, 64; st.global.u32 [%rd3], 1; ret;)",
                           64);
  EXPECT_EQ(out[0], 1u);
  EXPECT_EQ(out[40], 42u);
}

TEST(ControlTest, WarpSpinsForAFlagOfAnotherWarp) {
  const auto out = Results(R"(
    .shared .b32 flag;
    setp.eq.u32 %p1, %r1, 0; @%p1 st.shared.u32 [flag], 0; bar.sync 0;
    setp.ge.u32 %p1, %r1, 32; @%p1 bra SET;
  SPIN: ld.volatile.shared.u32 %r5, [flag]; setp.eq.u32 %p2, %r5, 0; @%p2 bra SPIN;
    st.global.u32 [%rd3], %r5; ret;
  SET: setp.eq.u32 %p2, %r1, 63; @%p2 st.volatile.shared.u32 [flag], 5; st.global.u32 [%rd3], 9; ret;)",
                           64);
  EXPECT_EQ(out[0], 5u);
  EXPECT_EQ(out[63], 9u);
}

TEST(ControlTest, LanesOfOneWarpTakeASpinLockInTurn) {
  const auto out = Results(R"(
    .reg .b64 %l<2>; mov.u64 %l1, lock; mov.u64 %rd5, total;
  AGAIN: atom.global.cas.b32 %r5, [%l1], 0, 1; setp.ne.u32 %p1, %r5, 0; @%p1 bra AGAIN;
    ld.global.u32 %r6, [%rd5]; add.u32 %r6, %r6, 1; st.global.u32 [%rd5], %r6; membar.gl;
    atom.global.exch.b32 %r5, [%l1], 0;
    st.global.u32 [%rd3], %r6; ret;)",
                           64, 4, ".global .b32 lock; .global .b32 total;");
  std::vector<uint32_t> sorted = out;
  std::ranges::sort(sorted);
  for (uint32_t i = 0; i < sorted.size(); ++i) EXPECT_EQ(sorted[i], i + 1);
}

TEST(ControlTest, CooperativeGridWaitsForAllItsBlocks) {
  Module module(fmt::format(R"(.global .b32 count;
.visible .entry k(.param .u64 out) {{ {} mov.u64 %rd4, count;
    setp.ne.u32 %p1, %r1, 0; @%p1 bra WAIT; atom.global.add.u32 %r5, [%rd4], 1;
  WAIT: ld.volatile.global.u32 %r5, [%rd4]; setp.lt.u32 %p1, %r5, 20; @%p1 bra WAIT;
    st.global.u32 [%rd3], %r5; ret; }})",
                            kPrologue));
  std::vector<uint32_t> out(64 * 20);
  const auto ran = module.Run("k", {20}, {64}, Params().Add(AddressOf(out)), {ExtentOf(out)}, 0, nullptr, true);
  EXPECT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
  for (const uint32_t v : out) EXPECT_EQ(v, 20u);
}

TEST(ControlTest, CancelStopsAnEndlessKernel) {
  Module module(".visible .entry k() { L: bra L; }");
  std::atomic<bool> cancel{false};
  std::thread canceller([&] { cancel = true; });
  const auto ran = module.Run("k", {8}, {64}, {}, {}, 0, &cancel);
  canceller.join();
  EXPECT_EQ(ran.result.status, LaunchStatus::kCancelled);
}

TEST(ControlTest, SaysHowAndWhereAKernelFails) {
  EXPECT_EQ(Ends("trap;").status, LaunchStatus::kTrap);
  EXPECT_EQ(Ends("setp.lt.u32 %p1, %r1, 32; @%p1 bar.sync 0; bar.sync 1, 96; ret;", 33).status,
            LaunchStatus::kDeadlock);
  const auto fault = Ends("\nsetp.eq.u32 %p1, %r1, 7; @%p1 st.global.u32 [%rd1+4096], 1; ret;");
  EXPECT_EQ(fault.status, LaunchStatus::kIllegalAddress);
  EXPECT_THAT(fault.message, testing::HasSubstr("thread (7,0,0) of block (0,0,0), PTX line 11)"));
  EXPECT_EQ(Ends("st.global.u32 [%rd1+2], 1; ret;").status, LaunchStatus::kMisaligned);
}

TEST(ControlTest, EndlessRecursionOverflowsTheStack) {
  Module module(".func f() { call f, (); ret; } .visible .entry k() { call f, (); ret; }");
  EXPECT_EQ(module.Run("k", {1}, {32}, {}, {}).result.status, LaunchStatus::kStackOverflow);
}

TEST(ControlTest, RefusesLaunchesOutsideTheLimits) {
  Module module(".visible .entry k(.param .u64 a) .reqntid 32, 2, 1 { ret; }");
  const Params params = Params().Add(uint64_t{0});
  EXPECT_EQ(module.Run("k", {1}, {32, 2}, params, {}).result.status, LaunchStatus::kOk);
  EXPECT_EQ(module.Run("k", {1}, {64, 1}, params, {}).result.status, LaunchStatus::kInvalidLaunch);
  EXPECT_EQ(module.Run("k", {0}, {32, 2}, params, {}).result.status, LaunchStatus::kInvalidLaunch);
  EXPECT_EQ(module.Run("k", {1}, {32, 2}, {}, {}).result.status, LaunchStatus::kInvalidLaunch);
  EXPECT_EQ(module.Run("k", {1}, {32, 2}, params, {}, 300 * 1024).result.status, LaunchStatus::kInvalidLaunch);
}

TEST(ControlTest, SpecialRegistersNumberThreeDimensions) {
  Module module(R"(.visible .entry k(.param .u64 out) { .reg .b32 %r<20>; .reg .b64 %rd<4>; ld.param.u64 %rd1, [out];
    mov.u32 %r1, %tid.x; mov.u32 %r2, %tid.y; mov.u32 %r3, %tid.z; mov.u32 %r4, %ctaid.x; mov.u32 %r5, %ctaid.y; mov.u32 %r6, %ctaid.z;
    mad.lo.u32 %r7, %r6, %nctaid.y, %r5; mad.lo.u32 %r7, %r7, %nctaid.x, %r4;
    mad.lo.u32 %r8, %r3, %ntid.y, %r2; mad.lo.u32 %r8, %r8, %ntid.x, %r1;
    mov.u32 %r9, %ntid.x; mul.lo.u32 %r9, %r9, %ntid.y; mul.lo.u32 %r9, %r9, %ntid.z; mad.lo.u32 %r10, %r7, %r9, %r8;
    mov.u32 %r11, %laneid; mov.u32 %r12, %warpid; mad.lo.u32 %r11, %r12, 32, %r11;
    mul.wide.u32 %rd2, %r10, 4; add.u64 %rd3, %rd1, %rd2; st.global.u32 [%rd3], %r11; ret; })");
  std::vector<uint32_t> out(3 * 2 * 2 * 5 * 4 * 3, ~0u);
  const auto ran = module.Run("k", {3, 2, 2}, {5, 4, 3}, Params().Add(AddressOf(out)), {ExtentOf(out)});
  ASSERT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
  for (uint32_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], i % 60);
}

}  // namespace
}  // namespace mignificient::cpu
