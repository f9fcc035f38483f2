#include "remoting/client/integrity.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>

namespace mignificient::client {
namespace {

std::string Hex(const Digest& digest) {
  std::string text;
  for (const uint8_t byte : digest) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", byte);
    text += two;
  }
  return text;
}

std::span<const uint8_t> Text(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

TEST(IntegrityTest, Md2AgreesWithTheVectorsOfRfc1319) {
  EXPECT_EQ(Hex(Md2(Text(""))), "8350e5a3e24c153df2275c9f80692773");
  EXPECT_EQ(Hex(Md2(Text("a"))), "32ec01ec4a6dac72c0ab96fb34c0b5d1");
  EXPECT_EQ(Hex(Md2(Text("abc"))), "da853b0d3f88d99b30283a69e6ded6bb");
  EXPECT_EQ(Hex(Md2(Text("message digest"))), "ab4f496bfb2a530b219ff33031fe06b0");
  EXPECT_EQ(Hex(Md2(Text("abcdefghijklmnopqrstuvwxyz"))), "4e8ddff3650292ab5a4108c3aa47940b");
  EXPECT_EQ(Hex(Md2(Text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))),
            "da33def2a42df13975352846c30338cd");
  EXPECT_EQ(Hex(Md2(Text("12345678901234567890123456789012345678901234567890123456789012345678901234567890"))),
            "d5976f79d83d3a0dc9806c3c66f3efd8");
}

// Expected values: tests/abi/hmac_md2.py, which builds HMAC with Python's own hmac module.
TEST(IntegrityTest, HmacAgreesWithPython) {
  uint8_t key[16];
  for (uint8_t i = 0; i < 16; ++i) key[i] = i;
  EXPECT_EQ(Hex(HmacMd2(key, Text("what do ya want for nothing?"))), "022f90a619e88463118324aa4749d100");
}

TEST(IntegrityTest, AnswerCoversFactsThenDevicesInOrder) {
  const IntegrityFacts facts{13000, 13002, 0x1234, 0x89abcdef, 0x1111, 0x2222, 0x3333, 1700000000};
  IntegrityDevice device{{}, 1, 2, 3};
  for (uint8_t i = 0; i < 16; ++i) device.uuid.bytes[i] = static_cast<uint8_t>(0xf0 + i);
  const auto answer = IntegrityAnswer(facts, {&device, 1});
  Digest digest;
  std::memcpy(digest.data(), answer.data(), sizeof answer);
  EXPECT_EQ(Hex(digest), "4875aef1ffb881e223845e0e491efda2");
}

TEST(IntegrityTest, VersionsEndingInZeroAndOneHaveFixedAnswers) {
  const IntegrityFacts zero{.version = 13000}, one{.version = 12041};
  EXPECT_EQ(IntegrityAnswer(zero, {})[0], 0x3341181c03cb675cu);
  EXPECT_EQ(IntegrityAnswer(one, {})[0], 0x1841181c03cb675cu);
  EXPECT_EQ(IntegrityAnswer(one, {})[1], 0x8ed383aa1f4cd1e8u);
}

}  // namespace
}  // namespace mignificient::client
