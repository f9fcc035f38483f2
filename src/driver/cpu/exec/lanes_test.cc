// Shuffles, votes, matches and reductions between lanes, and atomics between blocks.
#include <cmath>
#include <numeric>

#include "driver/cpu/exec/fixture.h"

namespace mignificient::cpu {
namespace {

using U32 = uint32_t;

std::vector<U32> PerLane(std::string_view body, U32 threads = 32, U32 blocks = 1, std::string_view before = "") {
  Module module(fmt::format(R"({}
.visible .entry k(.param .u64 out) {{ .reg .b32 %r<32>; .reg .b64 %rd<8>; .reg .pred %p<8>;
  ld.param.u64 %rd1, [out]; mov.u32 %r1, %tid.x; mov.u32 %r2, %laneid;
  mad.lo.u32 %r3, %ctaid.x, %ntid.x, %r1; mul.wide.u32 %rd2, %r3, 4; add.u64 %rd3, %rd1, %rd2; mul.lo.u32 %r4, %r2, 10;
  {} st.global.u32 [%rd3], %r5; ret; }})",
                            before, body));
  std::vector<U32> out(size_t{threads} * blocks, 77777);
  const auto ran = module.Run("k", {blocks}, {threads}, Params().Add(AddressOf(out)), {ExtentOf(out)});
  EXPECT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
  return out;
}

TEST(LanesTest, ShufflesMoveValuesAndSayWhetherInRange) {
  const auto up = PerLane("shfl.sync.up.b32 %r5|%p1, %r4, 3, 0, -1; @!%p1 add.u32 %r5, %r5, 1000;");
  const auto down = PerLane("shfl.sync.down.b32 %r5|%p1, %r4, 4, 0x1f, -1; @!%p1 add.u32 %r5, %r5, 1000;");
  const auto fly = PerLane("shfl.sync.bfly.b32 %r5, %r4, 5, 0x1f, 0xffffffff;");
  const auto index = PerLane("shfl.sync.idx.b32 %r5, %r4, 7, 0x1f, -1;");
  const auto segment = PerLane("shfl.sync.idx.b32 %r5|%p1, %r4, 2, 0x181f, -1;");  // width 8
  const auto down8 = PerLane("shfl.sync.down.b32 %r5|%p1, %r4, 3, 0x181f, -1; @!%p1 add.u32 %r5, %r5, 1000;");
  for (U32 l = 0; l < 32; ++l) {
    EXPECT_EQ(up[l], l >= 3 ? (l - 3) * 10 : l * 10 + 1000) << l;
    EXPECT_EQ(down[l], l + 4 < 32 ? (l + 4) * 10 : l * 10 + 1000) << l;
    EXPECT_EQ(fly[l], (l ^ 5) * 10);
    EXPECT_EQ(index[l], 70u);
    EXPECT_EQ(segment[l], (l / 8 * 8 + 2) * 10);
    EXPECT_EQ(down8[l], l % 8 + 3 < 8 ? (l + 3) * 10 : l * 10 + 1000) << l;
  }
}

TEST(LanesTest, ShuffleWaitsForItsMembersAfterDivergence) {
  const auto out = PerLane(R"(
    setp.lt.u32 %p1, %r2, 9; @%p1 bra SLOW; bra MEET;
  SLOW: add.u32 %r4, %r4, 5;
  MEET: shfl.sync.bfly.b32 %r5, %r4, 16, 0x1f, -1;)");
  for (U32 l = 0; l < 32; ++l) EXPECT_EQ(out[l], (l ^ 16) * 10 + ((l ^ 16) < 9 ? 5 : 0));
}

TEST(LanesTest, ShuffleAmongAQuarterOfAWarp) {
  const auto out = PerLane(R"(
    mov.u32 %r5, 0; setp.ge.u32 %p1, %r2, 8; @%p1 bra END;
    shfl.sync.down.b32 %r5, %r4, 1, 0x1f, 0xff;
  END:)");
  EXPECT_EQ(out[3], 40u);
  EXPECT_EQ(out[9], 0u);
}

TEST(LanesTest, VotesAndMatches) {
  EXPECT_EQ(PerLane("setp.lt.u32 %p1, %r2, 5; vote.sync.ballot.b32 %r5, %p1, -1;")[20], 31u);
  EXPECT_EQ(PerLane("setp.lt.u32 %p1, %r2, 5; vote.sync.any.pred %p2, %p1, -1; selp.u32 %r5, 1, 0, %p2;")[20], 1u);
  EXPECT_EQ(PerLane("setp.lt.u32 %p1, %r2, 5; vote.sync.all.pred %p2, %p1, -1; selp.u32 %r5, 1, 0, %p2;")[2], 0u);
  EXPECT_EQ(PerLane("setp.lt.u32 %p1, %r2, 50; vote.sync.uni.pred %p2, !%p1, -1; selp.u32 %r5, 1, 0, %p2;")[2], 1u);
  EXPECT_EQ(PerLane("setp.lt.u32 %p1, %r2, 5; vote.sync.ballot.b32 %r5, !%p1, -1;", 16)[3], 0xffe0u);
  const auto any = PerLane("and.b32 %r6, %r2, 3; match.any.sync.b32 %r5, %r6, -1;");
  for (U32 l = 0; l < 32; ++l) EXPECT_EQ(any[l], 0x11111111u << (l & 3));
  EXPECT_EQ(PerLane("match.all.sync.b32 %r5|%p1, 7, -1; @!%p1 mov.u32 %r5, 3;")[4], ~0u);
  EXPECT_EQ(PerLane("match.all.sync.b32 %r5|%p1, %r2, -1; @!%p1 mov.u32 %r5, 3;")[4], 3u);
  EXPECT_EQ(PerLane("elect.sync %r6|%p1, -1; selp.u32 %r5, 1, 0, %p1;")[0], 1u);
  EXPECT_EQ(PerLane("elect.sync _|%p1, -1; selp.u32 %r5, 1, 0, %p1;")[1], 0u);
  EXPECT_EQ(PerLane("activemask.b32 %r5;", 20)[0], 0xfffffu);
}

TEST(LanesTest, ReductionsOfOneInstruction) {
  EXPECT_EQ(PerLane("redux.sync.add.s32 %r5, %r2, -1;")[9], 496u);
  EXPECT_EQ(PerLane("sub.s32 %r6, %r2, 7; redux.sync.min.s32 %r5, %r6, -1;")[9], static_cast<U32>(-7));
  EXPECT_EQ(PerLane("redux.sync.max.u32 %r5, %r4, -1;")[9], 310u);
  EXPECT_EQ(PerLane("redux.sync.xor.b32 %r5, %r4, -1;", 3)[0], 0u ^ 10u ^ 20u);
  EXPECT_EQ(PerLane("redux.sync.or.b32 %r5, %r2, -1;")[0], 31u);
}

TEST(LanesTest, LaneMasksAndClusterOfOneBlock) {
  const auto out = PerLane(
      "mov.u32 %r5, %lanemask_lt; mov.u32 %r6, %lanemask_ge; add.u32 %r5, %r5, %r6; mov.u32 %r7, %cluster_nctarank; "
      "add.u32 %r5, %r5, %r7;");
  for (const U32 v : out) EXPECT_EQ(v, 0u);
}

TEST(AtomicTest, SumsFromEveryBlockAreExact) {
  Module module(R"(
.visible .entry k(.param .u64 out) { .reg .b64 %rd<4>; .reg .b32 %r<8>; .reg .f64 %fd1; .reg .f32 %f1; .shared .b32 s;
  ld.param.u64 %rd1, [out]; mov.u32 %r1, %tid.x; setp_done: { .reg .pred p; setp.eq.u32 p, %r1, 0; @p st.shared.u32 [s], 0; } bar.sync 0;
  red.global.add.u32 [%rd1], 1; atom.global.add.u64 %rd2, [%rd1+8], 3; red.add.f64 [%rd1+16], 0d3FF0000000000000;
  atom.global.gpu.relaxed.add.f32 %f1, [%rd1+24], 0f3F800000; red.global.max.s32 [%rd1+28], %r1; atom.global.inc.u32 %r2, [%rd1+32], 9;
  red.global.xor.b32 [%rd1+36], %r1; red.shared.add.u32 [s], 2; bar.sync 0;
  { .reg .pred p; setp.eq.u32 p, %r1, 0; @!p ret; ld.shared.u32 %r3, [s]; red.global.add.u32 [%rd1+40], %r3; }
  red.global.add.noftz.f16x2 [%rd1+44], 0x3c004000; atom.global.dec.u32 %r2, [%rd1+48], 3; atom.global.min.u32 %r2, [%rd1+52], 5;
  atom.global.cas.b16 %r2, [%rd1+56], 0, 7; atom.global.exch.b64 %rd2, [%rd1+64], 11; atom.global.and.b32 _, [%rd1+72], 0xf0; ret; })");
  std::vector<uint64_t> out(10);
  out[6] = uint64_t{100} << 32;
  out[9] = 0xff;
  const auto ran = module.Run("k", {200}, {96}, Params().Add(AddressOf(out)), {ExtentOf(out)});
  ASSERT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
  const auto* words = reinterpret_cast<const U32*>(out.data());
  EXPECT_EQ(words[0], 19200u);
  EXPECT_EQ(out[1], 57600u);
  EXPECT_EQ(std::bit_cast<double>(out[2]), 19200.0);
  EXPECT_EQ(std::bit_cast<float>(words[6]), 19200.0f);
  EXPECT_EQ(words[7], 95u);
  EXPECT_EQ(words[8], 0u);  // 19200 increments modulo 10
  EXPECT_EQ(words[9], 0u);
  EXPECT_EQ(words[10], 200u * 192);
  EXPECT_EQ(words[11], 0x5a405e40u);  // 200 and 400 as halves
  EXPECT_EQ(words[12], 0u);           // 200 decrements modulo 4
  EXPECT_EQ(words[13], 5u);
  EXPECT_EQ(words[14] & 0xffff, 7u);
  EXPECT_EQ(out[8], 11u);
  EXPECT_EQ(out[9], 0xf0u);
}

}  // namespace
}  // namespace mignificient::cpu
