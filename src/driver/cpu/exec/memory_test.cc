// Loads and stores in every space and width, addresses, and what a kernel may not touch.
#include "driver/cpu/exec/fixture.h"

namespace mignificient::cpu {
namespace {

using U32 = uint32_t;

Ran RunOn(std::string_view body, std::vector<U32>& memory, U32 threads = 32, std::string_view before = "",
          U32 dynamic = 0) {
  Module module(fmt::format(R"({}
.visible .entry k(.param .u64 out) {{ .reg .b32 %r<32>; .reg .b64 %rd<16>; .reg .pred %p<8>; .reg .b16 %h<8>;
  ld.param.u64 %rd1, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; add.u64 %rd3, %rd1, %rd2; {} ret; }})",
                            before, body));
  return module.Run("k", {1}, {threads}, Params().Add(AddressOf(memory)), {ExtentOf(memory)}, dynamic);
}
std::vector<U32> Memory(std::string_view body, U32 threads = 32, std::string_view before = "", U32 dynamic = 0) {
  std::vector<U32> memory(256);
  for (U32 i = 0; i < 256; ++i) memory[i] = 0x80000000u + i * 0x01010101u;
  const auto ran = RunOn(body, memory, threads, before, dynamic);
  EXPECT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
  return memory;
}
U32 Original(U32 i) {
  return 0x80000000u + i * 0x01010101u;
}

TEST(MemoryTest, NarrowLoadsExtendToTheirRegister) {
  const auto s8 = Memory("ld.global.s8 %r2, [%rd3+3]; st.global.u32 [%rd3], %r2;");
  const auto u8 = Memory("ld.global.u8 %rd4, [%rd3+3]; st.global.u32 [%rd3], %rd4;");
  const auto wide = Memory("ld.global.s16 %rd4, [%rd3+2]; shr.u64 %rd4, %rd4, 8; st.global.u32 [%rd3], %rd4;");
  for (U32 i = 0; i < 32; ++i) {
    EXPECT_EQ(s8[i], static_cast<U32>(static_cast<int8_t>(Original(i) >> 24)));
    EXPECT_EQ(u8[i], Original(i) >> 24);
    EXPECT_EQ(wide[i], static_cast<U32>(static_cast<int64_t>(static_cast<int16_t>(Original(i) >> 16)) >> 8));
  }
}

TEST(MemoryTest, VectorsMoveWholeElements) {
  const auto out = Memory(R"(mul.wide.u32 %rd4, %r1, 16; add.u64 %rd5, %rd1, %rd4;
    ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%r2, _, %r3, %r4}, [%rd5]; st.global.v2.u32 [%rd5], {%r4, 9};
    ld.volatile.global.v2.b64 {%rd6, %rd7}, [%rd5]; st.global.b64 [%rd5+8], %rd6;)");
  for (U32 i = 0; i < 32; ++i) {
    EXPECT_EQ(out[4 * i], Original(4 * i + 3));
    EXPECT_EQ(out[4 * i + 1], 9u);
    EXPECT_EQ(out[4 * i + 2], Original(4 * i + 3));
    EXPECT_EQ(out[4 * i + 3], 9u);
  }
}

TEST(MemoryTest, BytesPackAndUnpack) {
  const auto out =
      Memory(R"(ld.global.b32 %r2, [%rd3]; mov.b32 {%h1, %h2}, %r2; mov.b32 %r3, {%h2, %h1}; mov.b64 %rd4, {%r3, %r2};
    mov.b64 {%h3, %h4, %h5, %h6}, %rd4; mov.b32 %r5, {%h6, %h3}; st.global.b32 [%rd3], %r5;)");
  for (U32 i = 0; i < 32; ++i) EXPECT_EQ(out[i], (Original(i) >> 16) * 0x10001u);
}

TEST(MemoryTest, StaticAndDynamicSharedDoNotOverlap) {
  const auto out = Memory(
      R"(.shared .align 4 .b32 fixed[32]; mov.u64 %rd4, fixed; add.u64 %rd4, %rd4, %rd2; mov.u32 %r5, dyn; cvt.u64.u32 %rd5, %r5; add.u64 %rd5, %rd5, %rd2;
    st.shared.u32 [%rd4], 1; st.shared.u32 [%rd5], 2; ld.shared.u32 %r2, [%rd4]; ld.shared.u32 %r3, [%rd5]; shl.b32 %r3, %r3, 4; or.b32 %r2, %r2, %r3;
    mov.u32 %r4, %dynamic_smem_size; add.u32 %r2, %r2, %r4; st.global.u32 [%rd3], %r2;)",
      32, ".extern .shared .align 16 .b8 dyn[];", 128);
  for (U32 i = 0; i < 32; ++i) EXPECT_EQ(out[i], 0x21u + 128);
}

TEST(MemoryTest, GenericAddressesLeadToEachSpace) {
  const auto out = Memory(R"(.shared .align 4 .b32 s[32]; .local .align 4 .b8 l[8];
    mov.u64 %rd4, s; add.u64 %rd4, %rd4, %rd2; cvta.shared.u64 %rd5, %rd4; mov.u64 %rd6, l; cvta.local.u64 %rd7, %rd6; cvta.global.u64 %rd8, %rd3;
    st.u32 [%rd5], 3; st.u32 [%rd7+4], %r1; ld.u32 %r2, [%rd5]; ld.local.u32 %r3, [%rd6+4]; atom.add.u32 %r4, [%rd5], 5; ld.shared.u32 %r4, [%rd4];
    setp.eq.u32 %p1, %r1, 0; selp.b64 %rd9, %rd5, %rd7, %p1; ld.u32 %r6, [%rd9+0];
    isspacep.shared %p2, %rd5; isspacep.local %p3, %rd7; isspacep.global %p4, %rd8; isspacep.global %p5, %rd5;
    mov.u32 %r7, 0; @%p2 add.u32 %r7, %r7, 1; @%p3 add.u32 %r7, %r7, 2; @%p4 add.u32 %r7, %r7, 4; @%p5 add.u32 %r7, %r7, 8;
    mul.lo.u32 %r2, %r2, 100; add.u32 %r2, %r2, %r3; mad.lo.u32 %r2, %r4, 10000, %r2; mad.lo.u32 %r2, %r7, 1000000, %r2; st.u32 [%rd8], %r2;)");
  for (U32 i = 0; i < 32; ++i) EXPECT_EQ(out[i], 7080300u + i);
}

TEST(MemoryTest, ParametersAreReadByOffsetAndByAddress) {
  Module module(
      R"(.visible .entry k(.param .u64 out, .param .align 4 .b8 s[12], .param .u16 h) { .reg .b32 %r<5>; .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [out]; ld.param.u32 %r1, [s+8]; ld.param.u16 %r2, [h]; mov.b64 %rd2, s; ld.param.u32 %r3, [%rd2+4]; cvta.param.u64 %rd3, %rd2; ld.u8 %r4, [%rd3+1];
    st.global.v4.u32 [%rd1], {%r1, %r2, %r3, %r4}; ret; })");
  std::vector<U32> out(4);
  struct Three {
    U32 a, b, c;
  };
  const auto ran = module.Run("k", {1}, {1}, Params().Add(AddressOf(out)).Add(Three{0xabcd, 2, 3}).Add(uint16_t{77}),
                              {ExtentOf(out)});
  ASSERT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
  EXPECT_EQ(out, (std::vector<U32>{3, 77, 2, 0xab}));
}

TEST(MemoryTest, GlobalsConstantsAndRelocations) {
  const auto out = Memory(
      "mov.u64 %rd4, pointer; ld.global.u64 %rd5, [%rd4]; ld.u32 %r2, [%rd5]; mul.wide.u32 %rd6, %r1, 2; ld.const.u16 "
      "%r3, [table+2]; add.u32 %r2, %r2, %r3; st.global.u32 [%rd3], %r2;",
      32,
      ".const .align 2 .u16 table[3] = {5, 6, 7}; .global .u32 values[2] = {10, 20}; .global .u64 pointer = "
      "generic(values)+4;");
  for (U32 i = 0; i < 32; ++i) EXPECT_EQ(out[i], 26u);
}

TEST(MemoryTest, AsyncCopiesAreDoneWhenWaitedFor) {
  const auto out = Memory(
      R"(.shared .align 16 .b8 s[512]; mul.wide.u32 %rd4, %r1, 16; mov.u64 %rd5, s; add.u64 %rd5, %rd5, %rd4; add.u64 %rd6, %rd1, %rd4;
    cp.async.cg.shared.global.L2::128B [%rd5], [%rd6], 16, 12; cp.async.commit_group; cp.async.wait_group 0; ld.shared.v4.u32 {%r2,%r3,%r4,%r5}, [%rd5]; st.global.v2.u32 [%rd6], {%r4, %r5};)");
  for (U32 i = 0; i < 32; ++i) {
    EXPECT_EQ(out[4 * i], Original(4 * i + 2));
    EXPECT_EQ(out[4 * i + 1], 0u);
  }
}

TEST(MemoryTest, ScatteredAndUniformAccessesAgree) {
  const auto out =
      Memory(R"(mul.lo.u32 %r2, %r1, 7; and.b32 %r2, %r2, 31; mul.wide.u32 %rd4, %r2, 4; add.u64 %rd4, %rd4, %rd1;
    ld.global.u32 %r3, [%rd4]; ld.global.u32 %r4, [%rd1+12]; sub.u32 %r3, %r3, %r4; bar.warp.sync -1; st.global.u32 [%rd4+512], %r3;)");
  for (U32 i = 0; i < 32; ++i) EXPECT_EQ(out[128 + i], Original(i) - Original(3));
}

TEST(MemoryTest, NothingOutsideTheMapIsTouched) {
  struct Case {
    const char* body;
    LaunchStatus status;
  };
  const Case cases[] = {
      {"ld.global.u32 %r2, [%rd1+1024];", LaunchStatus::kIllegalAddress},
      {"ld.global.u32 %r2, [%rd1+-4];", LaunchStatus::kIllegalAddress},
      {"ld.global.v4.u32 {%r2,%r3,%r4,%r5}, [%rd1+1016];", LaunchStatus::kMisaligned},
      {"ld.global.u64 %rd4, [%rd1+1020];", LaunchStatus::kMisaligned},
      {"ld.u8 %r2, [0];", LaunchStatus::kIllegalAddress},
      {"mov.u64 %rd4, -8; st.global.u64 [%rd4], %rd4;", LaunchStatus::kIllegalAddress},
      {"mov.u64 %rd4, -8; ld.u64 %rd4, [%rd4+8];", LaunchStatus::kIllegalAddress},
      {".shared .b32 s[4]; mov.u64 %rd4, s; ld.shared.u32 %r2, [%rd4+16];", LaunchStatus::kIllegalAddress},
      {".shared .b32 s[4]; mov.u64 %rd4, s; st.shared.u32 [%rd4+-4], 0;", LaunchStatus::kIllegalAddress},
      {".shared .b32 s[4]; mov.u64 %rd4, s; cvta.shared.u64 %rd4, %rd4; ld.global.u32 %r2, [%rd4];",
       LaunchStatus::kIllegalAddress},
      {".shared .b32 s[4]; mov.u64 %rd4, 0x1000000000000; ld.shared.u32 %r2, [%rd4];", LaunchStatus::kIllegalAddress},
      {".local .b32 l[4]; mov.u64 %rd4, l; st.local.u32 [%rd4+4096], 0;", LaunchStatus::kIllegalAddress},
      {".local .b32 l[4]; mov.u64 %rd4, l; st.local.u32 [%rd4+-4], 0;", LaunchStatus::kIllegalAddress},
      {"atom.global.add.u32 %r2, [%rd1+1024], 1;", LaunchStatus::kIllegalAddress},
      {"red.global.add.u64 [%rd1+4], 1;", LaunchStatus::kMisaligned},
      {"setp.eq.u32 %p1, %r1, 31; selp.b64 %rd4, 8, %rd1, %p1; ld.global.u32 %r2, [%rd4];",
       LaunchStatus::kIllegalAddress},
      {"setp.eq.u32 %p1, %r1, 31; selp.b64 %rd4, 8, %rd1, %p1; @!%p1 ld.global.u32 %r2, [%rd4];", LaunchStatus::kOk},
      {"mov.u64 %rd4, 0x3000000000000; st.u32 [%rd4], 1;", LaunchStatus::kIllegalAddress},
      {"mov.u64 %rd4, 0x4000000000010; ld.u32 %r2, [%rd4];", LaunchStatus::kIllegalAddress},
  };
  for (const Case& one : cases) {
    std::vector<U32> memory(256);
    EXPECT_EQ(RunOn(one.body, memory).result.status, one.status) << one.body;
  }
}

TEST(MemoryTest, AccessMayNotSpanTwoAllocations) {
  std::vector<U32> memory(64);
  Module module(
      ".visible .entry k(.param .u64 a) { .reg .b64 %rd<3>; ld.param.u64 %rd1, [a]; ld.global.u64 %rd2, [%rd1+8]; ret; "
      "}");
  const uint64_t a = (AddressOf(memory) + 7) & ~uint64_t{7};
  const auto run = [&](std::vector<MemoryMap::Extent> extents) {
    return module.Run("k", {1}, {1}, Params().Add(a), extents).result.status;
  };
  EXPECT_EQ(run({{a, a + 12}, {a + 12, a + 64}}), LaunchStatus::kIllegalAddress);
  EXPECT_EQ(run({{a, a + 16}}), LaunchStatus::kOk);
}

TEST(MemoryMapTest, FindsTheExtentOrNone) {
  const auto map = MemoryMap::Of({{100, 200}, {0, 10}, {300, 300}, {200, 250}});
  EXPECT_EQ(map->Find(9)->end, 10u);
  EXPECT_EQ(map->Find(10), nullptr);
  EXPECT_EQ(map->Find(199)->begin, 100u);
  EXPECT_EQ(map->Find(250), nullptr);
  EXPECT_EQ(MemoryMap::Of({{100, 200}, {200, 250}}, true)->Find(100)->end, 250u);
}

}  // namespace
}  // namespace mignificient::cpu
