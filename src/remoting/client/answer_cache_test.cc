#include "remoting/client/answer_cache.h"

#include <gtest/gtest.h>

#include "remoting/client/context.h"
#include "remoting/client/fake_call.h"

#include "gen/commands.h"

extern "C" {
CUresult cuCtxGetLimit(size_t*, int);
CUresult cuCtxSetLimit(int, size_t);
CUresult cuCtxSetCurrent(CUcontext);
CUresult cuFuncGetAttribute(int*, int, CUfunction);
CUresult cuFuncSetAttribute(CUfunction, int, int);
}

namespace mignificient::client {
namespace {

class AnswerCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    fake::Reset();
    answer_cache.Forget();
    CUcontext context = nullptr;
    RetainPrimary(&context, 0);
    cuCtxSetCurrent(context);
    fake::Get().answer = [this](const fake::Command&, std::span<std::byte> reply) {
      if (!reply.empty()) std::memcpy(reply.data(), &value_, sizeof value_);
      return result_;
    };
  }
  size_t Asked() { return fake::Get().commands.size(); }

  int64_t value_ = 512;
  CUresult result_ = CUDA_SUCCESS;
  const CUfunction function_ = reinterpret_cast<CUfunction>(0x0500000100000001);
};

TEST_F(AnswerCacheTest, SameQuestionIsAskedOnce) {
  int value = 0;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(cuFuncGetAttribute(&value, 4, function_), CUDA_SUCCESS);
  EXPECT_EQ(value, 512);
  EXPECT_EQ(Asked(), 1u);
  cuFuncGetAttribute(&value, 5, function_);
  EXPECT_EQ(Asked(), 2u);
}

TEST_F(AnswerCacheTest, ChangeMakesItAskAgain) {
  int value = 0;
  cuFuncGetAttribute(&value, 8, function_);
  value_ = 1024;
  cuFuncSetAttribute(function_, 8, 1024);
  cuFuncGetAttribute(&value, 8, function_);
  EXPECT_EQ(value, 1024);
}

TEST_F(AnswerCacheTest, EndOfAListIsRememberedAndOtherErrorsAreNot) {
  int value = 7;
  result_ = CUDA_ERROR_INVALID_VALUE;
  for (int i = 0; i < 2; ++i) EXPECT_EQ(cuFuncGetAttribute(&value, 99, function_), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(Asked(), 1u);
  EXPECT_EQ(value, 7);
  result_ = CUDA_ERROR_INVALID_HANDLE;
  for (int i = 0; i < 2; ++i) EXPECT_EQ(cuFuncGetAttribute(&value, 98, function_), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(Asked(), 3u);
}

TEST_F(AnswerCacheTest, LimitIsAskedForAgainOnceOneWasSet) {
  size_t value = 0;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE), CUDA_SUCCESS);
  EXPECT_EQ(value, 512u);
  EXPECT_EQ(Asked(), 1u);
  EXPECT_EQ(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 2048), CUDA_SUCCESS);
  value_ = 2048;
  EXPECT_EQ(cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE), CUDA_SUCCESS);
  EXPECT_EQ(value, 2048u);
  EXPECT_EQ(Asked(), 3u);
}

TEST_F(AnswerCacheTest, QuestionsThatShareASlotAreToldApart) {
  // More than there are slots, so that some must share one.
  const auto function = [](uint32_t slot) {
    return reinterpret_cast<CUfunction>(wire::PackHandle({wire::HandleKind::kFunction, 1, slot}));
  };
  fake::Get().answer = [](const fake::Command& command, std::span<std::byte> reply) {
    const auto asked = command.As<wire::api::cuFuncGetAttribute::Body>();
    const int answer = static_cast<int>(asked.function & 0xffff) * 3 + asked.attribute;
    std::memcpy(reply.data(), &answer, sizeof answer);
    return CUDA_SUCCESS;
  };
  for (int round = 0; round < 2; ++round)
    for (uint32_t slot = 0; slot < 5000; ++slot) {
      int value = 0;
      ASSERT_EQ(cuFuncGetAttribute(&value, 2, function(slot)), CUDA_SUCCESS);
      ASSERT_EQ(value, static_cast<int>(slot) * 3 + 2);
    }
}

}  // namespace
}  // namespace mignificient::client
