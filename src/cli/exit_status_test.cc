#include "cli/exit_status.h"

#include <gtest/gtest.h>

namespace mignificient::cli {
namespace {

TEST(ExitStatusTest, FollowsTheHttpStatus) {
  EXPECT_EQ(ExitOfAnswer(200, ""), kExitOk);
  EXPECT_EQ(ExitOfAnswer(202, ""), kExitOk);
  EXPECT_EQ(ExitOfAnswer(400, "bad_request"), kExitUsage);
  EXPECT_EQ(ExitOfAnswer(404, "not_found"), kExitNotFound);
  EXPECT_EQ(ExitOfAnswer(429, "queue_full"), kExitRefused);
  EXPECT_EQ(ExitOfAnswer(502, "function_crashed"), kExitFunctionError);
  EXPECT_EQ(ExitOfAnswer(504, ""), kExitTimeout);
  EXPECT_EQ(ExitOfAnswer(507, ""), kExitOutOfMemory);
}

TEST(ExitStatusTest, ErrorTypeCountsMoreThanAStatusOf200) {
  EXPECT_EQ(ExitOfAnswer(200, "timeout"), kExitTimeout);
  EXPECT_EQ(ExitOfAnswer(200, "gpu_out_of_memory"), kExitOutOfMemory);
  EXPECT_EQ(ExitOfAnswer(200, "function_error"), kExitFunctionError);
}

}  // namespace
}  // namespace mignificient::cli
