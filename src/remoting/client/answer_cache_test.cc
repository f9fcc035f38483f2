#include "remoting/client/answer_cache.h"

#include <gtest/gtest.h>

#include "remoting/client/context.h"
#include "remoting/client/fake_call.h"

extern "C" {
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
    ForgetAnswers();
    CUcontext context = nullptr;
    RetainPrimary(&context, 0);
    cuCtxSetCurrent(context);
    fake::Get().answer = [this](const fake::Command&, std::span<std::byte> reply) {
      if (!reply.empty()) std::memcpy(reply.data(), &value_, sizeof value_);
      return result_;
    };
  }
  size_t Asked() { return fake::Get().commands.size(); }

  int value_ = 512;
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

}  // namespace
}  // namespace mignificient::client
