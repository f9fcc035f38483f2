#include "http/auth.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace mignificient::http {
namespace {

class AuthenticatorTest : public ::testing::Test {
 protected:
  AuthenticatorTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tokens-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    config_.auth.tokens = folder_ + "/tokens";
    Write("alice plain:0123456789abcdef\n");
  }
  ~AuthenticatorTest() override { std::filesystem::remove_all(folder_); }
  void Write(std::string_view text) const {
    std::ofstream(config_.auth.tokens) << text;
    ::chmod(config_.auth.tokens.c_str(), 0600);
  }

  node::Config config_;
  std::string folder_;
};

std::string Challenge(const Admission& admission) {
  if (admission) return "admitted";
  EXPECT_EQ(admission.error().status, 401u);
  for (const auto& [name, value] : admission.error().headers)
    if (name == "WWW-Authenticate") return value;
  return "none";
}

TEST_F(AuthenticatorTest, AdmitsTheOwnerOfATokenInAnyCaseOfTheScheme) {
  const auto auth = Authenticator::Create(config_);
  ASSERT_TRUE(auth) << auth.error().message();
  for (const char* header : {"Bearer 0123456789abcdef", "bearer 0123456789abcdef", "BEARER   0123456789abcdef"}) {
    const Admission admission = auth->Admit("/containers", header, {});
    ASSERT_TRUE(admission) << header;
    EXPECT_EQ(admission->user, "alice");
    EXPECT_FALSE(admission->administrator);
  }
}

TEST_F(AuthenticatorTest, ChallengesEverybodyElseExceptForHealth) {
  const auto auth = Authenticator::Create(config_);
  ASSERT_TRUE(auth);
  EXPECT_EQ(Challenge(auth->Admit("/invoke", "", {})), "Bearer realm=\"mignificient\"");
  for (const char* header : {"Bearer", "Bearer ", "Bearer x", "Basic 0123456789abcdef", "0123456789abcdef"})
    EXPECT_EQ(Challenge(auth->Admit("/invoke", header, {})), "Bearer realm=\"mignificient\", error=\"invalid_token\"")
        << header;
  for (const char* target : {"/healthz", "/readyz", "/healthz?verbose"})
    EXPECT_EQ(Challenge(auth->Admit(target, "", {})), "admitted");
  for (const char* target : {"/healthz/", "/healthzz", "//healthz", "/metrics"})
    EXPECT_NE(Challenge(auth->Admit(target, "", {})), "admitted") << target;
}

TEST_F(AuthenticatorTest, ASocketsOwnerIsTrustedOnlyWhereTheConfigurationSaysSo) {
  EXPECT_NE(Challenge(Authenticator::Create(config_)->Admit("/kill", "", {.uid = ::geteuid()})), "admitted");
  config_.auth.trust_socket_owner = true;
  const auto auth = Authenticator::Create(config_);
  const Admission owner = auth->Admit("/kill", "", {.uid = ::geteuid()});
  ASSERT_TRUE(owner);
  EXPECT_TRUE(owner->administrator);
  EXPECT_NE(Challenge(auth->Admit("/kill", "", {.uid = ::geteuid() + 1})), "admitted");
  EXPECT_NE(Challenge(auth->Admit("/kill", "", {})), "admitted");
  EXPECT_NE(Challenge(auth->Admit("/kill", "Bearer wrong", {.uid = ::geteuid()})), "admitted");
}

TEST_F(AuthenticatorTest, WithoutATokenFileEverybodyIsTheAdministrator) {
  const auto auth = Authenticator::Create({});
  const Admission admission = auth->Admit("/kill", "Bearer whatever", {});
  ASSERT_TRUE(admission);
  EXPECT_TRUE(admission->administrator);
}

TEST_F(AuthenticatorTest, ANewFileCountsAndABrokenOneChangesNothing) {
  auto auth = Authenticator::Create(config_);
  ASSERT_TRUE(auth);
  Write("bob plain:fedcba9876543210\nalice plain:0123456789abcdef\n");
  auth->RereadIfChanged();
  EXPECT_TRUE(auth->Admit("/", "Bearer fedcba9876543210", {}));
  Write("bob\n");
  auth->RereadIfChanged();
  EXPECT_TRUE(auth->Admit("/", "Bearer fedcba9876543210", {}));
  std::filesystem::remove(config_.auth.tokens);
  auth->RereadIfChanged();
  EXPECT_TRUE(auth->Admit("/", "Bearer fedcba9876543210", {}));
  Write("alice plain:0123456789abcdef\n");
  auth->Reread();
  EXPECT_FALSE(auth->Admit("/", "Bearer fedcba9876543210", {}));
}

TEST_F(AuthenticatorTest, ABrokenFileAtTheStartIsAnError) {
  Write("");
  EXPECT_FALSE(Authenticator::Create(config_));
}

}  // namespace
}  // namespace mignificient::http
