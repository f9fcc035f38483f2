#include "http/tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace mignificient::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Complaint(std::string_view text) {
  const auto tokens = Tokens::Parse(text);
  return tokens ? "parsed" : tokens.error().message();
}

TEST(TokensTest, FindsTheOwnerOfAHashedAndOfAPlainToken) {
  // sha256("abcdefghijklmnop")
  const auto tokens = Tokens::Parse(
      "# who  what\n\n"
      "alice sha256:f39dac6cbaba535e2c207cd0cd8f154974223c848f727f98b3564cea569b41cf\r\n"
      "  bob\tplain:0123456789abcdef   admin\n");
  ASSERT_TRUE(tokens) << tokens.error().message();
  EXPECT_EQ(tokens->size(), 2u);
  const auto alice = tokens->Find("abcdefghijklmnop"), bob = tokens->Find("0123456789abcdef");
  ASSERT_TRUE(alice && bob);
  EXPECT_EQ(alice->user, "alice");
  EXPECT_FALSE(alice->administrator);
  EXPECT_TRUE(alice->May("alice"));
  EXPECT_FALSE(alice->May("bob"));
  EXPECT_EQ(bob->user, "bob");
  EXPECT_TRUE(bob->May("alice"));
}

TEST(TokensTest, FindsNobodyByAPartOfATokenByItsDigestOrByNothing) {
  const auto tokens = Tokens::Parse("alice plain:0123456789abcdef\n");
  ASSERT_TRUE(tokens);
  for (const char* token : {"", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF",
                            "9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f", "alice"})
    EXPECT_FALSE(tokens->Find(token)) << token;
}

TEST(TokensTest, AUserMayHaveSeveralTokens) {
  const auto tokens = Tokens::Parse("alice plain:0123456789abcdef\nalice plain:fedcba9876543210 admin\n");
  ASSERT_TRUE(tokens);
  EXPECT_FALSE(tokens->Find("0123456789abcdef")->administrator);
  EXPECT_TRUE(tokens->Find("fedcba9876543210")->administrator);
}

TEST(TokensTest, ErrorsNameTheLineAndNeverTheToken) {
  EXPECT_THAT(Complaint(""), HasSubstr("names no token"));
  EXPECT_THAT(Complaint("# alice plain:0123456789abcdef\n"), HasSubstr("names no token"));
  EXPECT_THAT(Complaint("alice\n"), HasSubstr("Line 1: 1 words are given"));
  EXPECT_THAT(Complaint("\nalice plain:0123456789abcdef root\n"), HasSubstr("Line 2: 3 words"));
  EXPECT_THAT(Complaint("alice 0123456789abcdef\n"), HasSubstr("sha256:HEX or plain:TOKEN"));
  EXPECT_THAT(Complaint("alice 0123456789abcdef\n"), Not(HasSubstr("0123456789abcdef")));
  EXPECT_THAT(Complaint("alice sha256:00\n"), HasSubstr("64 hexadecimal digits"));
  EXPECT_THAT(Complaint("alice sha256:" + std::string(64, 'g')), HasSubstr("64 hexadecimal digits"));
  EXPECT_THAT(Complaint("alice plain:short\n"), HasSubstr("5 bytes is given; at least 16"));
  EXPECT_THAT(Complaint("a plain:0123456789abcdef\nb plain:0123456789abcdef\n"), HasSubstr("Line 2: an earlier line"));
  EXPECT_THAT(Complaint(std::string(257, 'a') + " plain:0123456789abcdef\n"), HasSubstr("1 to 256 bytes"));
}

TEST(TokensTest, AMadeTokenIsKnownByItsLine) {
  for (const bool administrator : {false, true}) {
    const auto made = MakeToken("alice", administrator);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->token.size(), 47u);
    EXPECT_THAT(made->line, Not(HasSubstr(made->token)));
    const auto tokens = Tokens::Parse(made->line);
    ASSERT_TRUE(tokens) << tokens.error().message();
    EXPECT_EQ(tokens->Find(made->token)->user, "alice");
    EXPECT_EQ(tokens->Find(made->token)->administrator, administrator);
  }
  EXPECT_NE(MakeToken("alice", false)->token, MakeToken("alice", false)->token);
  for (const char* user : {"", "a b", "#a", "a\n"}) EXPECT_FALSE(MakeToken(user, false)) << user;
}

class TokenFileTest : public ::testing::Test {
 protected:
  TokenFileTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tokens-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    std::ofstream(path()) << "alice plain:0123456789abcdef\n";
  }
  ~TokenFileTest() override { std::filesystem::remove_all(folder_); }
  std::string path() const { return folder_ + "/tokens"; }
  std::string ComplaintAtMode(mode_t mode) const {
    ::chmod(path().c_str(), mode);
    const auto tokens = ReadTokens(path());
    return tokens ? "read" : tokens.error().message();
  }

 private:
  std::string folder_;
};

TEST_F(TokenFileTest, ThatOthersMayReadOrChangeIsRefused) {
  EXPECT_EQ(ComplaintAtMode(0600), "read");
  EXPECT_EQ(ComplaintAtMode(0640), "read");
  for (const mode_t mode : {0644, 0660, 0602, 0601})
    EXPECT_THAT(ComplaintAtMode(mode), HasSubstr("others may read or change it; at most 0640 is allowed")) << mode;
}

TEST_F(TokenFileTest, ThatIsNoneIsNamed) {
  EXPECT_THAT(ReadTokens(path() + ".none").error().message(), HasSubstr("tokens.none"));
  EXPECT_THAT(ReadTokens("/dev/null").error().message(), HasSubstr("not a regular file"));
  std::ofstream(path()) << "alice\n";
  EXPECT_THAT(ComplaintAtMode(0600), HasSubstr("While reading the token file"));
}

}  // namespace
}  // namespace mignificient::http
