// The ring and completions under every interleaving and every reordering that their memory orders allow (os/model), and
// with each of these orders weakened in turn: then the model must find what breaks.

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "os/futex.h"
#include "os/model/explorer.h"
#include "ring/completion.h"
#include "ring/ring.h"

namespace mignificient::ring {
namespace {

using os::model::Check;
using os::model::Explore;
using os::model::Mutation;
using os::model::Name;
using os::model::Op;
using os::model::Options;
using os::model::Outcome;
using os::model::World;

constexpr int kProducer = 0, kConsumer = 1;
constexpr uint64_t kForever = ~uint64_t{0} >> 2;

// Records of the given sizes go through a ring of `ring_bytes`; both sides sleep when they can do nothing. The consumer
// ends when it has had `consumed` of them.
struct RingCase {
  const char* name;
  size_t ring_bytes;
  std::vector<uint32_t> records;
  size_t consumed;
  Barrier barrier;
};

struct RingWorld {
  explicit RingWorld(const RingCase& of)
      : storage(of.ring_bytes / sizeof(uint64_t)),
        producer(control, std::as_writable_bytes(std::span(storage)), of.barrier),
        consumer(control, std::as_bytes(std::span(storage)), static_cast<uint32_t>(of.ring_bytes), of.barrier) {
    Name(&control.tail, "tail");
    Name(&control.head, "head");
    Name(&control.consumer_asleep, "consumer_asleep");
    Name(&control.producer_asleep, "producer_asleep");
  }

  RingControl control;
  std::vector<uint64_t> storage;
  Producer producer;
  Consumer consumer;
};

void Produce(RingWorld& world, const std::vector<uint32_t>& records) {
  for (size_t i = 0; i < records.size(); ++i) {
    std::byte* space = world.producer.Reserve(records[i]);
    for (; space == nullptr; space = world.producer.Reserve(records[i])) world.producer.WaitForRoom(kForever);
    const RecordHeader header{records[i], 1, static_cast<uint16_t>(i)};
    os::WriteShared(space, &header, sizeof header);
    const std::vector<uint64_t> body((records[i] - sizeof header) / sizeof(uint64_t), i);
    os::WriteShared(space + sizeof header, body.data(), body.size() * sizeof(uint64_t));
    world.producer.Publish();
  }
}

// As server::Connection: looks, and sleeps when there is nothing.
void Consume(RingWorld& world, const std::vector<uint32_t>& records, size_t count) {
  for (size_t i = 0; i < count;) {
    const auto record = world.consumer.Next();
    Check(record.has_value(), "The consumer finds fault with a correct producer.");
    if (!*record) {
      if (!world.consumer.PrepareSleep()) continue;
      os::FutexWait(world.consumer.sleep_word(), 1);
      world.consumer.CancelSleep();
      continue;
    }
    Check((*record)->reply_slot == i && (*record)->body.size() == records[i] - sizeof(RecordHeader),
          "Records arrive in another order.");
    for (size_t at = 0; at < (*record)->body.size(); at += sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, (*record)->body.data() + at, sizeof word);
      Check(word == i, "A record arrives with other bytes.");
    }
    world.consumer.Release();
    ++i;
  }
}

Outcome ExploreRing(const RingCase& of, Options options = {}) {
  return Explore(
      [&of] {
        auto world = std::make_shared<RingWorld>(of);
        return World{.threads = {[world, &of] { Produce(*world, of.records); },
                                 [world, &of] { Consume(*world, of.records, of.consumed); }}};
      },
      options);
}

const RingCase kEmpty{"an empty ring: the consumer sleeps", 256, {16, 16}, 2, Barrier::kSymmetric};
const RingCase kFull{"a full ring that wraps: both sleep", 16, {16, 16}, 2, Barrier::kSymmetric};
const RingCase kSkips{"a record that does not fit before the end", 32, {24, 16}, 2, Barrier::kSymmetric};
const RingCase kEmptyAsymmetric{"an empty ring, one-sided barriers", 256, {16, 16}, 2, Barrier::kAsymmetric};
const RingCase kFullAsymmetric{"a full ring, one-sided barriers", 16, {16, 16}, 1, Barrier::kAsymmetric};

class RingCasesTest : public testing::TestWithParam<RingCase> {};
INSTANTIATE_TEST_SUITE_P(Cases, RingCasesTest,
                         testing::Values(kEmpty, kFull, kSkips, kEmptyAsymmetric, kFullAsymmetric));

TEST_P(RingCasesTest, EveryInterleavingDeliversEachRecordOnceAndWakesWhoSleeps) {
  const Outcome outcome = ExploreRing(GetParam());
  EXPECT_EQ(outcome.failure, "") << GetParam().name;
  EXPECT_GT(outcome.executions, 100u);
  RecordProperty("executions", static_cast<int>(outcome.executions));
}

TEST(RingModelTest, AWakeUpThatNobodySentHarmsNothing) {
  const Outcome outcome = ExploreRing({"one record", 256, {16}, 1, Barrier::kSymmetric}, {.spurious_wakes = 2});
  EXPECT_EQ(outcome.failure, "");
}

struct Seeded {
  const char* what;
  Mutation mutation;
  RingCase of;
};

class SeededRingBugTest : public testing::TestWithParam<Seeded> {};
INSTANTIATE_TEST_SUITE_P(
    Bugs, SeededRingBugTest,
    testing::Values(
        Seeded{"publishing does not release the record", {Op::kStore, "tail"}, kEmpty},
        Seeded{"looking does not acquire the record", {Op::kLoad, "tail"}, kEmpty},
        Seeded{"giving space back does not release it", {Op::kStore, "head"}, kFull},
        Seeded{"taking space does not acquire it", {Op::kLoad, "head"}, kFull},
        Seeded{"no fence between publishing and looking for a sleeper", {Op::kFence, "", kProducer}, kEmpty},
        Seeded{"no fence between going to sleep and the second look", {Op::kFence, "", kConsumer}, kEmpty},
        Seeded{"no fence between giving space back and looking for a sleeper", {Op::kFence, "", kConsumer}, kFull},
        Seeded{"no fence before the producer's second look", {Op::kFence, "", kProducer}, kFull},
        Seeded{"the compiler may look for a sleeper before it publishes",
               {Op::kCompilerFence, "", kProducer},
               kEmptyAsymmetric},
        Seeded{"the compiler may look for a sleeper before it gives space back",
               {Op::kCompilerFence, "", kConsumer},
               kFullAsymmetric},
        Seeded{"the consumer goes to sleep without a barrier", {Op::kBarrier, "", kConsumer}, kEmptyAsymmetric},
        Seeded{"the producer goes to sleep without a barrier", {Op::kBarrier, "", kProducer}, kFullAsymmetric},
        Seeded{"nobody wakes the consumer", {Op::kWake, "consumer_asleep"}, kEmpty},
        Seeded{"nobody wakes the producer", {Op::kWake, "producer_asleep"}, kFull},
        Seeded{"the consumer does not say that it sleeps", {Op::kStore, "consumer_asleep", kConsumer, true}, kEmpty},
        Seeded{"who wakes does not clear the word", {Op::kStore, "consumer_asleep", kProducer, true}, kEmpty}));

TEST_P(SeededRingBugTest, IsFound) {
  const Outcome outcome = ExploreRing(GetParam().of, {.mutations = {GetParam().mutation}});
  EXPECT_NE(outcome.failure, "") << GetParam().what;
}

// A server that writes an answer and ends a completion that two threads of the client wait for.
struct CompletionWorld {
  CompletionWorld() {
    Name(&completion.state, "state");
    Name(&completion.result, "result");
    completion.Arm();
  }
  Completion completion;
  uint64_t answer = 0;
};

Outcome ExploreCompletion(int waiters, Options options = {}) {
  return Explore(
      [waiters] {
        auto world = std::make_shared<CompletionWorld>();
        const auto serve = [world] {
          constexpr uint64_t kAnswer = 7;
          os::WriteShared(&world->answer, &kAnswer, sizeof kAnswer);
          world->completion.Finish(5);
        };
        const auto wait = [world] {
          while (!world->completion.Wait(kForever)) {
          }
          Check(world->completion.result.load(std::memory_order_relaxed) == 5, "The result is an older one.");
          uint64_t answer = 0;
          os::ReadShared(&answer, &world->answer, sizeof answer);
          Check(answer == 7, "The answer is an older one.");
        };
        World built{.threads = {serve}};
        built.threads.resize(1 + waiters, wait);
        return built;
      },
      std::move(options));
}

TEST(CompletionModelTest, WhoeverWaitsIsWokenAndSeesTheAnswer) {
  for (const int waiters : {1, 2}) EXPECT_EQ(ExploreCompletion(waiters, {.spurious_wakes = 1}).failure, "");
}

TEST(CompletionModelTest, SeededBugsAreFound) {
  const Mutation bugs[] = {{Op::kUpdate, "state", 0},  // the end does not release the answer
                           {Op::kLoad, "state", 1},    // looking does not acquire it
                           {Op::kUpdate, "state", 1},  // finding it done, when about to sleep, does not acquire it
                           {Op::kUpdate, "state", 1, true},  // who sleeps does not say so
                           {Op::kWake, "state", 0}};         // nobody wakes who sleeps
  for (const Mutation& bug : bugs)
    EXPECT_NE(ExploreCompletion(1, {.mutations = {bug}}).failure, "") << static_cast<int>(bug.op) << bug.thread;
}

}  // namespace
}  // namespace mignificient::ring
