#include "driver/cpu/ptx/lexer.h"

#include <gtest/gtest.h>

namespace mignificient::cpu::ptx {
namespace {

std::vector<std::string> Texts(std::string_view source) {
  std::vector<std::string> texts;
  const auto tokens = Tokenize(source);
  if (!tokens) return {tokens.error().message()};
  for (const auto& token : *tokens) texts.emplace_back(token.text);
  texts.pop_back();
  return texts;
}

TEST(LexerTest, SplitsAnInstructionIntoNameModifiersAndOperands) {
  EXPECT_EQ(Texts("@!%p1 ld.global.L2::128B.v2.f32 {%f1,$x}, [%rd1+-8]; // c"),
            (std::vector<std::string>{"@",  "!", "%p1", "ld", ".global", ".L2::128B", ".v2", ".f32", "{", "%f1", ",",
                                      "$x", "}", ",",   "[",  "%rd1",    "+",         "-",   "8",    "]", ";"}));
}

TEST(LexerTest, ReadsNumbersOfEveryBaseAndFloatsAsBits) {
  const auto tokens = Tokenize("10 0x1F 017 0b101 7U 0f3F800000 0d3FF0000000000000 1.5 2e3");
  ASSERT_TRUE(tokens) << tokens.error().message();
  const uint64_t expected[] = {
      10, 31, 15, 5, 7, 0x3F800000, 0x3FF0000000000000, 0x3FF8000000000000, 0x409F400000000000};
  for (size_t i = 0; i < std::size(expected); ++i) EXPECT_EQ((*tokens)[i].value, expected[i]) << i;
}

TEST(LexerTest, CountsLinesThroughComments) {
  const auto tokens = Tokenize("a /* \n\n */ b // x\n c");
  ASSERT_TRUE(tokens);
  EXPECT_EQ((*tokens)[1].line, 3);
  EXPECT_EQ((*tokens)[2].line, 4);
}

TEST(LexerTest, NamesLineAndCharacterOfWhatIsNoToken) {
  EXPECT_EQ(Tokenize("a\n #").error().message(), "Line 2: the character [#] does not belong to PTX.");
  EXPECT_FALSE(Tokenize("0f12"));
  EXPECT_FALSE(Tokenize("12ab"));
  EXPECT_FALSE(Tokenize("/* open"));
  EXPECT_FALSE(Tokenize("\"open\n"));
  EXPECT_FALSE(Tokenize("99999999999999999999999"));
}

}  // namespace
}  // namespace mignificient::cpu::ptx
