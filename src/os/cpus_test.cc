#include "os/cpus.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace mignificient::os {
namespace {

using std::filesystem::path;

class CpuQuotaTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void Write(const path& file, const std::string& text) {
    std::filesystem::create_directories((folder_ / file).parent_path());
    std::ofstream(folder_ / file) << text;
  }
  std::optional<double> Quota() { return CpuQuota((folder_ / "self").string(), (folder_ / "fs").string()); }

  path folder_ = path(testing::TempDir()) / ("cpus-" + std::to_string(::getpid()));
};

TEST_F(CpuQuotaTest, NoGroupsAreNoLimit) {
  EXPECT_FALSE(Quota());
}

TEST_F(CpuQuotaTest, TheStrictestOfTheGroupAndThoseAroundItCounts) {
  Write("self", "0::/a/b\n");
  Write("fs/a/b/cpu.max", "max 100000\n");
  EXPECT_FALSE(Quota());
  Write("fs/a/cpu.max", "250000 100000\n");
  EXPECT_EQ(Quota(), 2.5);
  Write("fs/a/b/cpu.max", "50000 100000\n");
  EXPECT_EQ(Quota(), 0.5);
}

TEST_F(CpuQuotaTest, InAContainerTheTopIsItsOwnGroup) {
  Write("self", "0::/not/seen/from/here\n");
  Write("fs/cpu.max", "400000 100000\n");
  EXPECT_EQ(Quota(), 4);
}

TEST_F(CpuQuotaTest, VersionOneHasAFolderForTheController) {
  Write("self", "9:cpuset:/elsewhere\n4:cpu,cpuacct:/a\n");
  Write("fs/cpuset/elsewhere/cpu.cfs_quota_us", "1\n");
  Write("fs/cpu/a/cpu.cfs_quota_us", "-1\n");
  Write("fs/cpu/a/cpu.cfs_period_us", "100000\n");
  EXPECT_FALSE(Quota());
  Write("fs/cpu/a/cpu.cfs_quota_us", "300000\n");
  EXPECT_EQ(Quota(), 3);
}

TEST(CpusTest, AffinityCounts) {
  std::thread([] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(::sched_getcpu(), &one);
    ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
    EXPECT_EQ(AvailableCpus(), 1);
  }).join();
}

}  // namespace
}  // namespace mignificient::os
