#include "node/gpu_server.h"

#include <gtest/gtest.h>

namespace mignificient::node {
namespace {

TEST(GpuServerTest, WhoHasAServerAloneIsToldNothingOfOthers) {
  EXPECT_EQ(SharedFaults("alice", {"c-1"}), "");
}

TEST(GpuServerTest, WhoSharesAServerIsToldWithWhom) {
  EXPECT_EQ(SharedFaults("alice", {"c-1", "c-4"}),
            " Containers [c-1, c-4] of user [alice] shared it, and share its faults (gpu-server.share is user).");
}

}  // namespace
}  // namespace mignificient::node
