#include <gtest/gtest.h>

#include "abi/cuda.h"

extern "C" {
CUresult cuGetErrorName(CUresult, const char**);
CUresult cuGetErrorString(CUresult, const char**);
}

namespace {

TEST(ErrorNamesTest, KnownCodesHaveNameAndSentence) {
  const char* text = nullptr;
  EXPECT_EQ(cuGetErrorName(CUDA_SUCCESS, &text), CUDA_SUCCESS);
  EXPECT_STREQ(text, "CUDA_SUCCESS");
  EXPECT_EQ(cuGetErrorName(CUDA_ERROR_CONTAINED, &text), CUDA_SUCCESS);
  EXPECT_STREQ(text, "CUDA_ERROR_CONTAINED");
  EXPECT_EQ(cuGetErrorString(CUDA_ERROR_OUT_OF_MEMORY, &text), CUDA_SUCCESS);
  EXPECT_STREQ(text, "out of memory");
  EXPECT_EQ(cuGetErrorName(CUDA_ERROR_UNKNOWN, &text), CUDA_SUCCESS);
}

TEST(ErrorNamesTest, UnknownCodeGivesNullAndAnError) {
  const char* text = "before";
  EXPECT_EQ(cuGetErrorName(static_cast<CUresult>(9), &text), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(text, nullptr);
  EXPECT_EQ(cuGetErrorString(static_cast<CUresult>(100000), &text), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuGetErrorString(CUDA_SUCCESS, nullptr), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
