#include "base/utf8.h"

#include <gtest/gtest.h>

namespace mignificient {
namespace {

TEST(Utf8Test, CharactersOfEveryLengthStay) {
  for (const std::string text : {"", "plain\n", "größe", "€", "𝄞", "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_EQ(ValidUtf8(text), text);
}

TEST(Utf8Test, WhatIsNoCharacterBecomesQuestionMarks) {
  EXPECT_EQ(ValidUtf8("x\xffz"), "x?z");
  EXPECT_EQ(ValidUtf8("\x80"), "?");
  EXPECT_EQ(ValidUtf8("\xc3"), "?");       // cut
  EXPECT_EQ(ValidUtf8("\xe2\x82"), "??");  // cut
  EXPECT_EQ(ValidUtf8("\xe2\x82x"), "??x");
  EXPECT_EQ(ValidUtf8("\xc0\xaf"), "??");       // overlong
  EXPECT_EQ(ValidUtf8("\xe0\x80\xaf"), "???");  // overlong
  EXPECT_EQ(ValidUtf8("\xf0\x80\x80\xaf"), "????");
  EXPECT_EQ(ValidUtf8("\xed\xa0\x80"), "???");       // a surrogate
  EXPECT_EQ(ValidUtf8("\xf4\x90\x80\x80"), "????");  // beyond the last character
}

}  // namespace
}  // namespace mignificient
