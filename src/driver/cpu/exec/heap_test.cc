// What kernels call that has no body in the module: the heap, and what printf answers.
#include <algorithm>

#include "driver/cpu/exec/fixture.h"

namespace mignificient::cpu {
namespace {

TEST(DeviceHeapTest, BlocksAreApartAndComeBack) {
  DeviceHeap heap(0x1000, 256);
  const uint64_t a = heap.Allocate(1), b = heap.Allocate(100), c = heap.Allocate(112);
  EXPECT_EQ(a, 0x1000u);
  EXPECT_EQ(b, 0x1010u);
  EXPECT_EQ(c, 0x1080u);
  EXPECT_EQ(heap.Allocate(17), 0u);
  EXPECT_EQ(heap.Allocate(~uint64_t{0}), 0u);
  EXPECT_TRUE(heap.Free(b));
  EXPECT_FALSE(heap.Free(b));
  EXPECT_FALSE(heap.Free(a + 4));
  EXPECT_EQ(heap.Allocate(112), b);
  EXPECT_TRUE(heap.Free(a));
  EXPECT_TRUE(heap.Free(c));
  EXPECT_TRUE(heap.Free(b));
  EXPECT_EQ(heap.Allocate(256), a);  // neighbours became one again
}

constexpr const char* kCalls = R"(
.extern .func (.param .b64 p) malloc(.param .b64 n);
.extern .func free(.param .b64 p);
.extern .func (.param .b32 r) vprintf(.param .b64 f, .param .b64 a);
.global .align 1 .b8 format[12] = {37, 100, 32, 37, 100, 32, 37, 108, 108, 117, 10, 0};

// Each thread keeps its number in memory of its own; out[i] is where.
.visible .entry keep(.param .u64 out) {
  .reg .b64 %d<6>; .reg .b32 %r<4>; .reg .pred %p;
  ld.param.u64 %d1, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %d2, %r1, 8; add.u64 %d1, %d1, %d2;
  { .param .b64 n; .param .b64 p; mov.u64 %d3, 24; st.param.b64 [n], %d3; call.uni (p), malloc, (n); ld.param.b64 %d4, [p]; }
  st.global.u64 [%d1], %d4;
  setp.eq.u64 %p, %d4, 0; @%p bra END;
  st.u32 [%d4+20], %r1;
END: ret;
}
.visible .entry give_back(.param .u64 in) {
  .reg .b64 %d<6>; .reg .b32 %r<4>;
  ld.param.u64 %d1, [in]; mov.u32 %r1, %tid.x; mul.wide.u32 %d2, %r1, 8; add.u64 %d1, %d1, %d2; ld.global.u64 %d3, [%d1];
  { .param .b64 p; st.param.b64 [p], %d3; call.uni free, (p); }
  ret;
}
.visible .entry count(.param .u64 out) {
  .local .align 8 .b8 frame[16];
  .reg .b64 %d<6>; .reg .b32 %r<4>;
  ld.param.u64 %d1, [out]; mov.u64 %d2, frame; cvta.local.u64 %d3, %d2; mov.u64 %d4, format; cvta.global.u64 %d5, %d4;
  mov.u32 %r1, 7; st.local.u32 [%d2], %r1; st.local.u32 [%d2+4], %r1; mov.u64 %d4, 8; st.local.u64 [%d2+8], %d4;
  { .param .b64 f; .param .b64 a; .param .b32 r; st.param.b64 [f], %d5; st.param.b64 [a], %d3;
    call.uni (r), vprintf, (f, a); ld.param.b32 %r2, [r]; }
  st.global.u32 [%d1], %r2;
  ret;
}
)";

TEST(DeviceHeapTest, KernelsAllocateForLaterKernels) {
  Module module(kCalls);
  alignas(16) static char memory[64 * 32];
  const auto begin = reinterpret_cast<uint64_t>(memory);
  DeviceHeap heap(begin, sizeof memory);
  module.heap = &heap;
  std::vector<uint64_t> out(64);
  const MemoryMap::Extent extent{begin, begin + sizeof memory};
  const auto params = Params().Add(AddressOf(out));
  auto ran = module.Run("keep", {1}, {64}, params, {ExtentOf(out), extent});
  ASSERT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
  for (uint32_t i = 0; i < 64; ++i) {
    uint32_t kept = 0;
    std::memcpy(&kept, reinterpret_cast<const char*>(out[i]) + 20, sizeof kept);
    EXPECT_EQ(kept, i);
  }
  auto sorted = out;
  std::ranges::sort(sorted);
  EXPECT_EQ(std::ranges::adjacent_find(sorted), sorted.end());
  std::vector<uint64_t> more(64, 1);
  ran = module.Run("keep", {1}, {64}, Params().Add(AddressOf(more)), {ExtentOf(more), extent});
  EXPECT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
  EXPECT_THAT(more, testing::Each(0u));  // no room
  ran = module.Run("give_back", {1}, {64}, params, {ExtentOf(out), extent});
  EXPECT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
  EXPECT_EQ(heap.Allocate(sizeof memory), begin);
  EXPECT_TRUE(heap.Free(begin));
  ran = module.Run("give_back", {1}, {1}, params, {ExtentOf(out), extent});
  EXPECT_EQ(ran.result.status, LaunchStatus::kTrap);
}

TEST(PrintfTest, AnswersHowManyArgumentsItTook) {
  Module module(kCalls);
  std::vector<uint32_t> out(1, 99);
  const auto ran = module.Run("count", {1}, {1}, Params().Add(AddressOf(out)), {ExtentOf(out)});
  ASSERT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
  EXPECT_EQ(ran.printed, "7 7 8\n");
  EXPECT_EQ(out[0], 3u);
}

// The barrier as nvcc writes cooperative groups' grid.sync(): the words lie at %envreg1:%envreg2.
TEST(GridBarrierTest, NoBlockPassesBeforeTheLastArrives) {
  Module module(R"(.global .b32 arrived;
.visible .entry k(.param .u64 out) {
  .reg .b64 %d<6>; .reg .b32 %r<16>; .reg .pred %p<4>;
  ld.param.u64 %d1, [out]; mov.u32 %r1, %envreg2; mov.u32 %r2, %envreg1; mov.b64 %d2, {%r1, %r2};
  mov.u32 %r3, %ctaid.x; mov.u32 %r4, %nctaid.x; mov.u32 %r5, %tid.x; mov.u64 %d3, arrived;
  setp.ne.u32 %p1, %r5, 0; @%p1 bra IN; red.global.add.u32 [%d3], 1;
IN: setp.ne.s64 %p2, %d2, 0; @%p2 bra SYNC; trap;
SYNC: barrier.sync 0; @%p1 bra OUT;
  mov.u32 %r6, -2147483647; sub.s32 %r6, %r6, %r4; setp.eq.u32 %p3, %r3, 0; selp.b32 %r7, %r6, 1, %p3;
  atom.add.release.gpu.u32 %r8, [%d2+4], %r7;
WAIT: ld.acquire.gpu.u32 %r9, [%d2+4]; xor.b32 %r10, %r9, %r8; setp.gt.s32 %p3, %r10, -1; @%p3 bra WAIT;
OUT: barrier.sync 0; ld.global.u32 %r11, [%d3];
  mov.u32 %r12, %ntid.x; mad.lo.u32 %r13, %r3, %r12, %r5; mul.wide.u32 %d4, %r13, 4; add.u64 %d4, %d1, %d4;
  st.global.u32 [%d4], %r11; ret;
})");
  std::vector<uint32_t> out(24 * 64);
  const auto params = Params().Add(AddressOf(out));
  auto ran = module.Run("k", {24}, {64}, params, {ExtentOf(out)}, 0, nullptr, true);
  ASSERT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
  EXPECT_THAT(out, testing::Each(24u));
  ran = module.Run("k", {24}, {64}, params, {ExtentOf(out)});  // not cooperative: there is no barrier
  EXPECT_EQ(ran.result.status, LaunchStatus::kTrap);
}

}  // namespace
}  // namespace mignificient::cpu
