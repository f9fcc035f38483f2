#include "device/mig_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "device/fake_nvml.h"

namespace mignificient::device {
namespace {

class MigLockTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "mig-lock-" + std::to_string(::getpid());
    std::filesystem::create_directory(folder_);
    std::ofstream(folder_ + "/gpus") << FakeStateJson(FakeState::H100s(1, true));
    nvml_ = FakeNvml::Open(folder_ + "/gpus").value();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
  std::unique_ptr<FakeNvml> nvml_;
};

TEST_F(MigLockTest, OneHoldsItUntilItLetsGo) {
  auto first = LockMig(*nvml_);
  ASSERT_TRUE(first);
  const auto second = LockMig(*nvml_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::kExhausted);
  EXPECT_THAT(second.error().message(), testing::HasSubstr("Process " + std::to_string(::getpid())));
  first->Reset();
  EXPECT_TRUE(LockMig(*nvml_));
}

TEST_F(MigLockTest, ALinkIsNotFollowed) {
  std::filesystem::create_symlink(folder_ + "/elsewhere", nvml_->LockPath());
  EXPECT_FALSE(LockMig(*nvml_));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/elsewhere"));
}

TEST_F(MigLockTest, GpusInMemoryAreNobodyElses) {
  FakeNvml nvml(FakeState::H100s(1, true));
  const auto first = LockMig(nvml), second = LockMig(nvml);
  EXPECT_TRUE(first && second);
}

}  // namespace
}  // namespace mignificient::device
