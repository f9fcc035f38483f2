#include "ring/ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <random>
#include <thread>

#include "os/barrier.h"
#include "os/futex.h"
#include "ring/completion.h"

namespace mignificient::ring {
namespace {

constexpr size_t kBytes = 4096;

struct Shared {
  RingControl control{};
  alignas(64) std::array<std::byte, kBytes> storage{};
};

class RingTest : public testing::Test {
 protected:
  bool Write(uint16_t opcode, std::span<const std::byte> body) {
    const RecordHeader header{static_cast<uint32_t>(sizeof(RecordHeader) + body.size()), opcode, 7};
    std::byte* space = producer_.Reserve(header.bytes);
    if (space == nullptr) return false;
    std::memcpy(space, &header, sizeof header);
    std::ranges::copy(body, space + sizeof header);
    producer_.Publish();
    return true;
  }
  bool WriteZeros(uint16_t opcode, size_t bytes) { return Write(opcode, std::vector<std::byte>(bytes)); }

  std::unique_ptr<Shared> shared_ = std::make_unique<Shared>();
  Producer producer_{shared_->control, shared_->storage, Barrier::kSymmetric};
  Consumer consumer_{shared_->control, shared_->storage, 1024, Barrier::kSymmetric};
};

TEST_F(RingTest, RecordsArriveInOrderWithTheirBytes) {
  const std::array<uint64_t, 2> body{11, 22};
  ASSERT_TRUE(Write(3, std::as_bytes(std::span(body))));
  ASSERT_TRUE(Write(4, {}));
  auto first = consumer_.Next();
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((*first)->opcode, 3);
  EXPECT_EQ((*first)->reply_slot, 7);
  ASSERT_EQ((*first)->body.size(), 16u);
  EXPECT_EQ(std::memcmp((*first)->body.data(), body.data(), 16), 0);
  consumer_.Release();
  EXPECT_EQ((*consumer_.Next())->opcode, 4);
  consumer_.Release();
  EXPECT_FALSE(consumer_.Next()->has_value());
}

TEST_F(RingTest, FullRingRefusesUntilSpaceIsReleased) {
  size_t written = 0;
  while (WriteZeros(1, 1000)) ++written;
  EXPECT_EQ(written, 4u);
  ASSERT_TRUE(consumer_.Next()->has_value());
  EXPECT_FALSE(WriteZeros(1, 1000));
  consumer_.Release();
  EXPECT_TRUE(WriteZeros(1, 1000));
}

TEST_F(RingTest, RecordsNeverWrapAroundTheEnd) {
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(WriteZeros(1, 8 * (i % 97)));
    auto record = consumer_.Next();
    ASSERT_TRUE(record && *record) << record.error().message();
    EXPECT_EQ((*record)->body.size(), 8u * (i % 97));
    consumer_.Release();
  }
}

TEST_F(RingTest, ConsumerIgnoresIndexBeyondCapacity) {
  shared_->control.tail.store(kBytes + 8);
  EXPECT_EQ(consumer_.Next().error().code(), Code::kPeer);
}

TEST_F(RingTest, ConsumerRefusesTailBehindItsHead) {
  ASSERT_TRUE(WriteZeros(1, 8));
  ASSERT_TRUE(consumer_.Next()->has_value());
  consumer_.Release();
  shared_->control.tail.store(8);
  EXPECT_EQ(consumer_.Next().error().code(), Code::kPeer);
}

TEST_F(RingTest, ConsumerDoesNotReadItsOwnHeadBack) {
  ASSERT_TRUE(WriteZeros(1, 8));
  ASSERT_TRUE(WriteZeros(2, 8));
  ASSERT_TRUE(consumer_.Next()->has_value());
  consumer_.Release();
  shared_->control.head.store(0);
  EXPECT_EQ((*consumer_.Next())->opcode, 2);
}

TEST_F(RingTest, EveryMalformedLengthIsThePeersFault) {
  for (const uint32_t bytes : {0u, 4u, 7u, 12u, 2048u, 0xffffffffu}) {
    auto shared = std::make_unique<Shared>();
    Consumer consumer(shared->control, shared->storage, 1024, Barrier::kSymmetric);
    const RecordHeader header{bytes, 1, 0};
    std::memcpy(shared->storage.data(), &header, sizeof header);
    shared->control.tail.store(2048);
    EXPECT_EQ(consumer.Next().error().code(), Code::kPeer) << bytes;
  }
}

TEST_F(RingTest, RandomContentsNeverCrashTheConsumer) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    auto shared = std::make_unique<Shared>();
    for (size_t i = 0; i < kBytes; i += 8) {
      const uint64_t word = random() & (round % 2 ? ~0ull : 0xffff000000ff00f8ull);
      std::memcpy(shared->storage.data() + i, &word, 8);
    }
    shared->control.tail.store(round % 3 ? random() : (random() % 512) * 8);
    Consumer consumer(shared->control, shared->storage, 1024, Barrier::kSymmetric);
    for (int i = 0; i < 1000; ++i) {
      auto record = consumer.Next();
      if (!record || !*record) break;
      EXPECT_LE((*record)->body.size(), 1016u);
      consumer.Release();
    }
  }
}

TEST_F(RingTest, SmallRecordsGiveTheirSpaceBackWhenTheRingIsEmpty) {
  ASSERT_TRUE(WriteZeros(1, 8));
  ASSERT_TRUE(consumer_.Next()->has_value());
  consumer_.Release();
  EXPECT_EQ(shared_->control.head.load(), 0u);
  EXPECT_FALSE(consumer_.Next()->has_value());
  EXPECT_EQ(shared_->control.head.load(), 16u);
}

class TwoThreadsTest : public RingTest, public testing::WithParamInterface<Barrier> {};
INSTANTIATE_TEST_SUITE_P(Barriers, TwoThreadsTest, testing::Values(Barrier::kSymmetric, Barrier::kAsymmetric));

TEST_P(TwoThreadsTest, AMillionRecordsArriveWithSleepsOnBothSides) {
  if (GetParam() == Barrier::kAsymmetric && !os::RegisterForBarrier()) GTEST_SKIP() << "The kernel has no membarrier.";
  producer_ = Producer(shared_->control, shared_->storage, GetParam());
  consumer_ = Consumer(shared_->control, shared_->storage, 1024, GetParam());
  constexpr uint64_t kCount = 1'000'000;
  std::thread writer([&] {
    for (uint64_t i = 0; i < kCount; ++i)
      while (!Write(1, std::as_bytes(std::span(&i, 1)))) producer_.WaitForRoom(1'000'000'000);
  });
  for (uint64_t expected = 0; expected < kCount;) {
    auto record = consumer_.Next();
    ASSERT_TRUE(record);
    if (!*record) {
      if (consumer_.PrepareSleep()) os::FutexWait(consumer_.sleep_word(), 1);
      consumer_.CancelSleep();
      continue;
    }
    uint64_t value;
    std::memcpy(&value, (*record)->body.data(), sizeof value);
    ASSERT_EQ(value, expected++);
    consumer_.Release();
  }
  writer.join();
}

TEST(CompletionTest, WaiterSeesResultAndWhatWasWrittenBefore) {
  for (int round = 0; round < 1000; ++round) {
    Completion completion{};
    int data = 0;
    completion.Arm();
    std::thread server([&] {
      data = round;
      completion.Finish(5);
    });
    while (!completion.Wait(1'000'000'000)) {
    }
    EXPECT_EQ(data, round);
    EXPECT_EQ(completion.result.load(), 5u);
    server.join();
  }
}

}  // namespace
}  // namespace mignificient::ring
