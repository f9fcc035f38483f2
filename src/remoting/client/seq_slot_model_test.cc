// SeqSlot under every interleaving and reordering (os/model): a reader gets the words of one Write or none.

#include <gtest/gtest.h>

#include <memory>

#include "os/model/explorer.h"
#include "remoting/client/seq_slot.h"

namespace mignificient::client {
namespace {

using os::model::Check;
using os::model::Mutation;
using os::model::Op;
using os::model::Outcome;

struct SlotWorld {
  SlotWorld() {
    // The slot's atomics in the order in which it declares them.
    os::model::Name(reinterpret_cast<const std::byte*>(&slot), "sequence");
    os::model::Name(reinterpret_cast<const std::byte*>(&slot) + 8, "words");
    os::model::Name(reinterpret_cast<const std::byte*>(&slot) + 16, "words");
  }
  SeqSlot<2> slot;
};

Outcome ExploreSlot(std::vector<Mutation> mutations = {}) {
  return os::model::Explore(
      [] {
        auto world = std::make_shared<SlotWorld>();
        const auto write = [world] {
          world->slot.Write({1, 1});
          world->slot.Write({2, 2});
        };
        const auto read = [world] {
          SeqSlot<2>::Words words{};
          if (world->slot.Read(words)) Check(words[0] == words[1], "A reader gets words of two writes.");
        };
        return os::model::World{.threads = {write, read, read}};
      },
      {.mutations = std::move(mutations)});
}

TEST(SeqSlotModelTest, AReaderNeverGetsWordsOfTwoWrites) {
  EXPECT_EQ(ExploreSlot().failure, "");
}

TEST(SeqSlotModelTest, TwoWritersThatTryNeverMixTheirWords) {
  const Outcome outcome = os::model::Explore([] {
    auto world = std::make_shared<SlotWorld>();
    const auto writer = [world](uint64_t value) { return [world, value] { world->slot.TryWrite({value, value}); }; };
    const auto read = [world] {
      SeqSlot<2>::Words words{};
      if (world->slot.Read(words)) Check(words[0] == words[1], "A reader gets words of two writes.");
    };
    return os::model::World{.threads = {writer(1), writer(2), read}};
  });
  EXPECT_EQ(outcome.failure, "");
}

TEST(SeqSlotModelTest, SeededBugsAreFound) {
  const Mutation bugs[] = {{Op::kStore, "words"},     // a word does not bring the odd sequence along
                           {Op::kLoad, "words"},      // reading one does not acquire it
                           {Op::kStore, "sequence"},  // the end of a write does not release its words
                           {Op::kLoad, "sequence"}};  // the reader does not acquire them
  for (const Mutation& bug : bugs) EXPECT_NE(ExploreSlot({bug}).failure, "") << static_cast<int>(bug.op) << bug.name;
}

}  // namespace
}  // namespace mignificient::client
