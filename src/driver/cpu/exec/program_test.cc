// Modules: lookup, what is unsupported and how it is said, printf and assertions.
#include "driver/cpu/exec/fixture.h"

namespace mignificient::cpu {
namespace {

TEST(ProgramTest, NamesTheUnknownInstructionItsLineAndKernel) {
  const auto program = Program::Compile(Head() + R"(
.func helper() { .reg .b32 %r1; frobnicate.u32 %r1, 3; ret; }
.visible .entry bad() { call helper, (); ret; }
.visible .entry odd() { .reg .b32 %r1; add.weird.u32 %r1, %r1, 3; ret; }
.visible .entry good() { ret; })");
  ASSERT_TRUE(program) << program.error().message();
  EXPECT_EQ((*program)->KernelNames(), (std::vector<std::string>{"bad", "odd", "good"}));
  EXPECT_TRUE((*program)->FindKernel("good"));
  const auto bad = (*program)->FindKernel("bad");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code(), Code::kUnsupported);
  EXPECT_THAT(bad.error().message(),
              testing::AllOf(testing::HasSubstr("[frobnicate.u32 %r1, 3] on line 5 is not supported"),
                             testing::HasSubstr("kernel [bad]")));
  EXPECT_THAT((*program)->FindKernel("odd").error().message(), testing::HasSubstr(".weird"));
  EXPECT_EQ((*program)->FindKernel("helper").error().code(), Code::kNotFound);
  EXPECT_EQ((*program)->FindKernel("none").error().code(), Code::kNotFound);
}

TEST(ProgramTest, RefusesWhatItCannotDoByName) {
  const char* const bodies[] = {
      "wmma.load.a.sync.aligned.m16n16k16.global.row.f16 {%r1}, [%rd1];",
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%r1}, {%r1}, {%r1}, {%r1};",
      "tex.2d.v4.f32.f32 {%r1,%r1,%r1,%r1}, [t, {%r1,%r1}];",
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%rd1], 16, [%r1];",
      "add.f32x2 %rd1, %rd1, %rd1;",
      "bra NOWHERE;",
      "mov.u32 %r1, %undeclared;",
      "add.u32 %r1, %rd1;",
      "cvt.rna.tf32.f32 %r1, %r1;",
      "add.cc.f32 %r1, %r1, %r1;",
      "setp.zz.s32 %p1, %r1, 0;",
      "ld.global.b32 %r1, %r1;",
      "mov.u32 %r1, %p1;",
      "call missing, ();"};
  for (const char* const body : bodies) {
    const auto program = Program::Compile(
        Head() + ".visible .entry k() { .reg .b32 %r<3>; .reg .b64 %rd<3>; .reg .pred %p<3>; " + body + " ret; }");
    ASSERT_TRUE(program) << program.error().message();
    EXPECT_FALSE((*program)->FindKernel("k")) << body;
  }
}

TEST(ProgramTest, DescribesParametersAndResources) {
  const auto program = Program::Compile(Head() + R"(
.visible .entry k(.param .u8 a, .param .u64 b, .param .align 8 .b8 c[12], .param .u16 d) .maxntid 128, 2 { .shared .align 8 .b8 s[24]; .shared .f64 t; .reg .b32 %r<10>; .reg .b64 %rd<4>; .local .b8 depot[40];
  mov.u64 %rd1, s; mov.u64 %rd2, t; ret; })");
  ASSERT_TRUE(program) << program.error().message();
  const auto kernel = (*program)->FindKernel("k");
  ASSERT_TRUE(kernel) << kernel.error().message();
  const auto& k = **kernel;
  ASSERT_EQ(k.parameters().size(), 4u);
  EXPECT_EQ(k.parameters()[1].offset, 8u);
  EXPECT_EQ(k.parameters()[2].size, 12u);
  EXPECT_EQ(k.parameters()[3].offset, 28u);
  EXPECT_EQ(k.parameter_bytes(), 30u);
  EXPECT_EQ(k.static_shared_bytes(), 32u);
  EXPECT_EQ(k.local_bytes(), 48u);
  EXPECT_EQ(k.max_threads(), 256u);
  EXPECT_EQ(k.register_count(), 18u);
}

TEST(ProgramTest, LaunchNeedsItsGlobalsBound) {
  auto program = Program::Compile(
      Head() + ".global .u32 x; .global .u64 p = x; .visible .entry k() { .reg .b64 %rd1; mov.u64 %rd1, x; ret; }");
  ASSERT_TRUE(program);
  const auto kernel = (*program)->FindKernel("k");
  ASSERT_TRUE(kernel);
  WorkerPool pool(1);
  EXPECT_EQ(cpu::Run({.kernel = *kernel}, pool).status, LaunchStatus::kInvalidLaunch);
  EXPECT_EQ((*program)->InitialImage(1).error().code(), Code::kInvalidArgument);
  EXPECT_TRUE((*program)->Bind("x", 0x1234));
  EXPECT_EQ(static_cast<int>((*(*program)->InitialImage(1))[1]), 0x12);
  EXPECT_EQ(cpu::Run({.kernel = *kernel}, pool).status, LaunchStatus::kOk);
  EXPECT_EQ((*program)->Bind("y", 1).error().code(), Code::kNotFound);
}

TEST(ProgramTest, ReportsSyntaxErrorsWithLineAndText) {
  const auto broken = Program::Compile(Head() + ".visible .entry k() {\n add.u32 %r1 %r2;\n}");
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(broken.error().message(), testing::HasSubstr("Line 5: expected [;] before [%r2;]"));
}

constexpr std::string_view kRuntime = R"(
.extern .func (.param .b32 r) vprintf(.param .b64 f, .param .b64 a);
.extern .func __assertfail(.param .b64 a, .param .b64 b, .param .b32 c, .param .b64 d, .param .b64 e);
.global .align 1 .b8 text[] = {104, 105, 0};
)";

TEST(PrintfTest, FormatsLikeTheDevice) {
  std::string format = "%d|%5.2f|%-4s|%x|%llu|%c|%%|%*d|%p|%e";
  std::string bytes;
  for (const char c : format) bytes += std::to_string(int{c}) + ", ";
  Module module(fmt::format(R"({}
.global .align 1 .b8 format[] = {{ {}0 }};
.visible .entry k() {{ .local .align 8 .b8 depot[80]; .reg .b64 %SP, %SPL, %rd<9>; .reg .b32 %r<4>;
  mov.u64 %SPL, depot; cvta.local.u64 %SP, %SPL; mov.u32 %r1, %tid.x; sub.s32 %r2, %r1, 5;
  st.local.u32 [%SPL], %r2; st.local.f64 [%SPL+8], 0d400921fb54442d18; mov.u64 %rd1, text; cvta.global.u64 %rd1, %rd1; st.local.u64 [%SPL+16], %rd1;
  st.local.u32 [%SPL+24], 255; st.local.u64 [%SPL+32], 0xffffffffffffffff; st.local.u32 [%SPL+40], 65; st.local.u32 [%SPL+44], 6; st.local.u32 [%SPL+48], 42;
  st.local.u64 [%SPL+56], 4660; st.local.f64 [%SPL+64], 0d3ff0000000000000;
  mov.u64 %rd2, format; cvta.global.u64 %rd2, %rd2;
  {{ .param .b64 p0; st.param.b64 [p0], %rd2; .param .b64 p1; st.param.b64 [p1], %SP; .param .b32 r0; call.uni (r0), vprintf, (p0, p1); ld.param.b32 %r3, [r0]; }}
  ret; }})",
                            kRuntime, bytes));
  const auto ran = module.Run("k", {1}, {2}, {}, {});
  ASSERT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
  const std::string rest = "| 3.14|hi  |ff|18446744073709551615|A|%|    42|0x1234|1.000000e+00";
  EXPECT_EQ(ran.printed, "-5" + rest + "-4" + rest);
}

TEST(PrintfTest, AssertStopsTheGridAndSaysWhere) {
  Module module(fmt::format(R"({}
.visible .entry k() {{ .reg .b64 %rd<3>; .reg .pred p; .reg .b32 %r1; mov.u32 %r1, %tid.x; setp.ne.u32 p, %r1, 3; @p ret; mov.u64 %rd1, text;
  {{ .param .b64 a; st.param.b64 [a], %rd1; .param .b64 b; st.param.b64 [b], %rd1; .param .b32 c; st.param.b32 [c], 12; .param .b64 d; st.param.b64 [d], %rd1; .param .b64 e; st.param.b64 [e], 1;
    call.uni __assertfail, (a, b, c, d, e); }}
  ret; }})",
                            kRuntime));
  const auto ran = module.Run("k", {4}, {32}, {}, {});
  EXPECT_EQ(ran.result.status, LaunchStatus::kAssert);
  EXPECT_THAT(ran.printed, testing::StartsWith("hi:12: hi: Assertion `hi` failed.\n"));
  EXPECT_THAT(ran.result.message, testing::HasSubstr("thread (3,0,0)"));
}

TEST(WorkerPoolTest, SeveralRunsShareThePool) {
  WorkerPool pool(3);
  std::atomic<int> total{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int k = 0; k < 50; ++k) {
        std::atomic<int> left{20};
        pool.Run(8, [&] {
          while (left.fetch_sub(1) > 0) total.fetch_add(1);
        });
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(total.load(), 4 * 50 * 20);
}

}  // namespace
}  // namespace mignificient::cpu
