#include "remoting/server/stream_marks.h"

#include <gtest/gtest.h>

#include <vector>

#include "remoting/server/fake_driver.h"

namespace mignificient::server {
namespace {

struct Write {
  CUstream stream;
  std::atomic<uint32_t>* word;
  uint32_t value;
};

// What the device is to write, and what the driver says when it is told. Drivers are plain functions, so there is one.
std::vector<Write> asked_for;
CUresult answer;
int registered;

class StreamMarksTest : public testing::Test {
 protected:
  StreamMarksTest() {
    asked_for.clear();
    answer = CUDA_SUCCESS;
    registered = 0;
    driver_.cuMemHostRegister_v2 = [](void*, size_t, unsigned) {
      ++registered;
      return answer;
    };
    driver_.cuMemHostUnregister = [](void*) {
      --registered;
      return CUDA_SUCCESS;
    };
    driver_.cuStreamBatchMemOp_v2 = [](CUstream stream, unsigned count, CUstreamBatchMemOpParams* operations,
                                       unsigned) {
      EXPECT_EQ(count, 1u);
      EXPECT_EQ(operations->operation, CU_STREAM_MEM_OP_WRITE_VALUE_32);
      EXPECT_EQ(operations->value.flags, 0u) << "The write must not overtake the work before it.";
      asked_for.push_back(
          {stream, reinterpret_cast<std::atomic<uint32_t>*>(operations->value.address), operations->value.value});
      return answer;
    };
  }

  static void Carry(const Write& write) { write.word->store(write.value); }

  DriverTable driver_ = FakeDriver();
  const CUstream stream_ = fake::Next<CUstream>();
  std::optional<StreamMarks> marks_{driver_};
};

TEST_F(StreamMarksTest, IsReachedWhenTheDeviceHasWritten) {
  const auto mark = marks_->Set(stream_);
  ASSERT_TRUE(mark);
  ASSERT_EQ(asked_for.size(), 1u);
  EXPECT_EQ(asked_for[0].stream, stream_);
  EXPECT_FALSE(marks_->Reached(*mark));
  Carry(asked_for[0]);
  EXPECT_TRUE(marks_->Reached(*mark));
  marks_->Drop(*mark);
}

TEST_F(StreamMarksTest, AMarkThatIsSetAgainIsNotReachedByTheWriteBefore) {
  for (size_t i = 0; i < 3 * StreamMarks::kMost; ++i) {
    const auto mark = marks_->Set(stream_);
    ASSERT_TRUE(mark);
    EXPECT_FALSE(marks_->Reached(*mark));
    Carry(asked_for.back());
    EXPECT_TRUE(marks_->Reached(*mark));
    marks_->Drop(*mark);
  }
}

TEST_F(StreamMarksTest, WhatIsDroppedEarlyIsNotSetAgainBeforeTheDeviceHasWritten) {
  std::vector<StreamMarks::Mark> marks;
  for (size_t i = 0; i < StreamMarks::kMost; ++i) marks.push_back(marks_->Set(stream_).value());
  EXPECT_FALSE(marks_->Set(stream_)) << "All are in use.";
  for (const auto mark : marks) marks_->Drop(mark);
  EXPECT_FALSE(marks_->Set(stream_)) << "The device may still write all of them.";
  Carry(asked_for[7]);
  const auto mark = marks_->Set(stream_);
  ASSERT_TRUE(mark);
  EXPECT_EQ(asked_for.back().word, asked_for[7].word);
  EXPECT_FALSE(marks_->Set(stream_));
}

TEST_F(StreamMarksTest, WhatIsSharedIsDroppedByTheLast) {
  const auto mark = marks_->Set(stream_).value();
  marks_->Share(mark);
  Carry(asked_for[0]);
  marks_->Drop(mark);
  EXPECT_NE(marks_->Set(stream_)->line, mark.line);
  marks_->Drop(mark);
  EXPECT_EQ(marks_->Set(stream_)->line, mark.line);
}

TEST_F(StreamMarksTest, ADriverThatCannotIsNotAskedAgain) {
  for (const CUresult refusal : {CUDA_ERROR_NOT_SUPPORTED, CUDA_ERROR_INVALID_VALUE}) {
    StreamMarks marks(driver_);
    asked_for.clear();
    answer = CUDA_SUCCESS;
    ASSERT_TRUE(marks.Set(stream_));  // the memory is registered
    answer = refusal;
    EXPECT_FALSE(marks.Set(stream_));
    answer = CUDA_SUCCESS;
    EXPECT_FALSE(marks.Set(stream_));
    EXPECT_EQ(asked_for.size(), 2u);
  }
}

TEST_F(StreamMarksTest, WhatGoesWrongOnceIsTriedAgain) {
  ASSERT_TRUE(marks_->Set(stream_));
  answer = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
  EXPECT_FALSE(marks_->Set(stream_));
  answer = CUDA_SUCCESS;
  EXPECT_TRUE(marks_->Set(stream_));
}

TEST_F(StreamMarksTest, WithoutMemoryThereAreNone) {
  answer = CUDA_ERROR_OUT_OF_MEMORY;
  EXPECT_FALSE(marks_->Set(stream_));
  answer = CUDA_SUCCESS;
  EXPECT_FALSE(marks_->Set(stream_));
  EXPECT_EQ(registered, 1) << "It was asked once.";
  EXPECT_TRUE(asked_for.empty());
}

TEST_F(StreamMarksTest, TheMemoryIsRegisteredAtFirstUseAndUntilTheEnd) {
  EXPECT_EQ(registered, 0);
  ASSERT_TRUE(marks_->Set(stream_));
  ASSERT_TRUE(marks_->Set(stream_));
  EXPECT_EQ(registered, 1);
  marks_.reset();
  EXPECT_EQ(registered, 0);
}

}  // namespace
}  // namespace mignificient::server
