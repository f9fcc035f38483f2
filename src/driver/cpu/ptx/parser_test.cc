#include "driver/cpu/ptx/parser.h"

#include <gtest/gtest.h>

namespace mignificient::cpu::ptx {
namespace {

constexpr std::string_view kHead = ".version 9.0\n.target sm_90a, debug\n.address_size 64\n";

Module Parsed(std::string text) {
  auto module = Parse(std::string(kHead) + text);
  EXPECT_TRUE(module) << module.error().message();
  return module ? std::move(*module) : Module{};
}

TEST(ParserTest, ReadsVariablesWithInitialisers) {
  const Module module = Parsed(R"(
.visible .const .align 8 .f32 table[2][2] = {{1.0, 0f40000000}, {3}};
.global .u64 vtable[3] = {0, f, generic(table)+8}, single = -(2+3)*4;
.global .u8 bytes[] = {0xFF(vtable), 0xFF00(vtable), 7};
.extern .shared .align 16 .b8 dynamic[];)");
  EXPECT_EQ(module.version, "9.0");
  ASSERT_EQ(module.variables.size(), 5u);
  const auto& table = module.variables[0];
  EXPECT_EQ(table.Bytes(), 16u);
  ASSERT_EQ(table.initial.size(), 3u);
  EXPECT_EQ(table.initial[0].bits, 0x3F800000u);
  EXPECT_EQ(table.initial[2].element, 2u);
  EXPECT_EQ(table.initial[2].bits, 0x40400000u);
  EXPECT_EQ(module.variables[1].initial[1].symbol, "f");
  EXPECT_EQ(module.variables[1].initial[2].bits, 8u);
  EXPECT_EQ(static_cast<int64_t>(module.variables[2].initial[0].bits), -20);
  EXPECT_EQ(module.variables[3].count, 3u);
  EXPECT_EQ(module.variables[3].initial[1].mask, 0xFF00u);
  EXPECT_TRUE(module.variables[4].external);
}

TEST(ParserTest, ReadsEntryWithAttributesAndBody) {
  const Module module = Parsed(R"(
.visible .entry k(.param .u64 .ptr .global .align 4 a, .param .align 4 .b8 b[84])
.maxntid 256, 2, 1 .minnctapersm 2
{
  .reg .b32 %r<5>;
  .reg .pred p, q;
  .loc 1 5 3, function_name $L__info0, inlined_at 1 4 2
  { .reg .b32 t; mov.b32 t, {%r1, _}; }
$L1:
  @!p setp.lt.and.s32 p|q, %r1, -5, !q;
  ld.param.u32 %r1, [b+80];
  call.uni (ret), f, (x, y), proto;
  mov.u32 %r1, %tid.x;
  bra $L1;
  .pragma "nounroll";
})");
  ASSERT_EQ(module.functions.size(), 1u);
  const auto& k = module.functions[0];
  EXPECT_TRUE(k.entry && k.defined);
  EXPECT_EQ(k.max_threads[1], 2u);
  ASSERT_EQ(k.parameters.size(), 2u);
  EXPECT_EQ(k.parameters[1].Bytes(), 84u);
  const auto& setp = k.body[8].instruction;
  EXPECT_EQ(setp.text, "@!p setp.lt.and.s32 p|q, %r1, -5, !q");
  EXPECT_TRUE(setp.guard_negated);
  EXPECT_EQ(setp.operands[0].kind, Operand::Kind::kPair);
  EXPECT_EQ(static_cast<int64_t>(setp.operands[2].value), -5);
  EXPECT_TRUE(setp.operands[3].negated);
  EXPECT_EQ(k.body[9].instruction.operands[1].offset, 80);
  EXPECT_EQ(k.body[11].instruction.operands[1].name, "%tid.x");
}

TEST(ParserTest, ReadsPrototypesTargetsAndDebugSections) {
  const Module module = Parsed(R"(
.section .debug_str { .b8 1, 2
.b32 .debug_abbrev
}
.func (.param .b32 r) f (.param .b32 a) .noreturn ;
.func g { T: .branchtargets A, B; P: .callprototype (.param .b32 _) _ (.param .b64 _); A: B: ret; }
.alias h, g;)");
  ASSERT_EQ(module.functions.size(), 2u);
  EXPECT_FALSE(module.functions[0].defined);
  EXPECT_EQ(module.functions[1].body[0].names.size(), 2u);
  EXPECT_EQ(module.functions[1].body[1].parameters.size(), 1u);
  EXPECT_EQ(module.aliases.size(), 1u);
}

TEST(ParserTest, NamesLineAndTextOfASyntaxError) {
  const auto broken = Parse(".version 8.0\n.entry k() {\n add.u32 %r1 %r2;\n}");
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code(), Code::kInvalidArgument);
  EXPECT_EQ(broken.error().message(), "Line 3: expected [;] before [%r2;].\n - While parsing [k]");
}

TEST(ParserTest, RefusesTruncatedTextWithoutHanging) {
  const std::string text = std::string(kHead) +
                           ".global .u32 x[4] = {1,2}; .visible .entry k(.param .u64 a) { .reg .b32 %r<5>; "
                           "@%p1 ld.global.v2.u32 {%r1,%r2}, [%rd1+4]; ret; }";
  ASSERT_TRUE(Parse(text));
  for (size_t length = 0; length < text.size(); ++length) (void)Parse(text.substr(0, length));
  EXPECT_FALSE(Parse(text.substr(0, text.size() - 1)));
  EXPECT_FALSE(Parse(std::string(kHead) + ".global .u32 x = " + std::string(100000, '(')));
}

}  // namespace
}  // namespace mignificient::cpu::ptx
