#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace mignificient {
namespace {

Result<int> Half(int value) {
  if (value % 2 != 0) return Fail(Code::kInvalidArgument, "Value ({}) is odd.", value);
  return value / 2;
}

Result<int> Quarter(int value) {
  MIG_ASSIGN(const int half, Half(value));
  return Half(half);
}

TEST(ResultTest, AssignPassesTheValueOn) {
  EXPECT_EQ(*Quarter(12), 3);
}

TEST(ResultTest, AssignPassesTheErrorOn) {
  const auto result = Quarter(6);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), Code::kInvalidArgument);
  EXPECT_EQ(result.error().message(), "Value (3) is odd.");
}

TEST(ResultTest, WhileAddsContextBelowTheSentence) {
  const Error error = Error(Code::kPeer, "Length (9) exceeds the limit (8).").While("reading");
  EXPECT_EQ(error.message(), "Length (9) exceeds the limit (8).\n - While reading");
}

TEST(ResultTest, ErrnoErrorsNameTheCall) {
  const Result<> result = FailErrno("open", ENOENT);
  EXPECT_EQ(result.error().message(), "open fails: No such file or directory (errno 2).");
}

}  // namespace
}  // namespace mignificient
