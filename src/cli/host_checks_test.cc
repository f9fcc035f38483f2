#include "cli/host_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mignificient::cli {
namespace {

using ::testing::HasSubstr;

TEST(HostChecksTest, ADelegatedGroupWithAllControllersIsOk) {
  const Check check =
      JudgeCgroups({.own = "0::/a", .controllers = "cpuset cpu io memory pids", .unified = true, .writable = true});
  EXPECT_EQ(check.health, Health::kOk);
  EXPECT_EQ(check.advice, "");
}

TEST(HostChecksTest, WhatLacksInCgroupsIsNamed) {
  EXPECT_EQ(JudgeCgroups({}).health, Health::kMissing);
  const Check shared = JudgeCgroups({.controllers = "cpu memory pids", .unified = true, .writable = false});
  EXPECT_EQ(shared.health, Health::kWarning);
  EXPECT_THAT(shared.advice, HasSubstr("Delegate=yes"));
  const Check partial = JudgeCgroups({.controllers = "cpuset cpu", .unified = true, .writable = true});
  EXPECT_THAT(partial.advice, HasSubstr("memory, pids"));
}

TEST(HostChecksTest, HugePagesOfSharedMemoryCount) {
  EXPECT_EQ(JudgeHugePages("always [madvise] never", "always within_size [advise] never deny force").health,
            Health::kOk);
  const Check never = JudgeHugePages("[always] madvise never", "always within_size advise [never] deny force");
  EXPECT_EQ(never.health, Health::kWarning);
  EXPECT_EQ(never.found, "transparent always, shared memory never");
  EXPECT_EQ(JudgeHugePages("", "").found, "transparent none, shared memory none");
}

TEST(HostChecksTest, WhatThisVeryTestNeedsIsThere) {
  for (const Check& check : {CheckMemorySealing(), CheckPidfd()}) EXPECT_EQ(check.health, Health::kOk) << check.name;
}

TEST(HostChecksTest, AnInterpreterThatDoesNotRunIsNamed) {
  const Check check = CheckPython("/no/such/python'; echo 3.12 #");
  EXPECT_EQ(check.health, Health::kWarning);
  EXPECT_THAT(check.found, HasSubstr("does not run"));
}

}  // namespace
}  // namespace mignificient::cli
