#include "cli/description.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mignificient::cli {
namespace {

using ::testing::HasSubstr;

TEST(DescriptionTest, ReadsTheOriginalsKeys) {
  const auto description = ParseLoadDescription(R"({
    // as the original's invoker wrote it
    "address": "http://127.0.0.1:10000", "iterations": 3, "parallel-requests": 2, "mode": "batches",
    "different-users": true, "inputs": [{"function": "f", "function-path": "/x/f.so"}, {"function": "g"}]})",
                                                "/somewhere");
  ASSERT_TRUE(description) << description.error().message();
  EXPECT_EQ(description->address, "http://127.0.0.1:10000");
  EXPECT_EQ(description->iterations, 3);
  EXPECT_EQ(description->parallel_requests, 2);
  EXPECT_EQ(description->mode, LoadMode::kBatches);
  EXPECT_TRUE(description->different_users);
  ASSERT_EQ(description->inputs.size(), 2u);
  EXPECT_EQ(description->inputs[0].at("function-path"), "/x/f.so");
}

TEST(DescriptionTest, RelativePathIsRelativeToTheFile) {
  const auto description =
      ParseLoadDescription(R"({"inputs": {"function": "f", "function-path": "../lib/f.so"}})", "/opt/examples");
  ASSERT_TRUE(description) << description.error().message();
  EXPECT_EQ(description->inputs[0].at("function-path"), "/opt/lib/f.so");
}

struct BadDescription {
  const char* text;
  const char* complaint;
};

class BadDescriptionTest : public ::testing::TestWithParam<BadDescription> {};

TEST_P(BadDescriptionTest, IsRefusedWithTheReason) {
  const auto description = ParseLoadDescription(GetParam().text, "/");
  ASSERT_FALSE(description);
  EXPECT_EQ(description.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(description.error().message(), HasSubstr(GetParam().complaint));
}

INSTANTIATE_TEST_SUITE_P(
    Each, BadDescriptionTest,
    ::testing::Values(BadDescription{"{", "not JSON"}, BadDescription{"[]", "not a JSON object"},
                      BadDescription{"{}", "`inputs` is missing"}, BadDescription{R"({"inputs": []})", "at least one"},
                      BadDescription{R"({"inputs": [3]})", "a list of objects"},
                      BadDescription{R"({"mode": "both"})", "\"both\" (allowed: \"independent\" or \"batches\")"},
                      BadDescription{R"({"iterations": 0})", "`iterations` is 0"},
                      BadDescription{R"({"iterations": "3"})", "a whole number"},
                      BadDescription{R"({"different-users": 1})", "true or false"},
                      BadDescription{R"({"iteratoins": 3})", "Did you mean `iterations`?"}));

}  // namespace
}  // namespace mignificient::cli
