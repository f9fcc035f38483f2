// The explorer by the litmus tests of memory models: what C++ allows must be seen, what it forbids must not.

#include <gtest/gtest.h>

#include <memory>

#include "os/atomic.h"
#include "os/barrier.h"
#include "os/futex.h"
#include "os/model/explorer.h"

namespace mignificient::os::model {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;
constexpr auto kSequential = std::memory_order_seq_cst;

struct Words {
  Atomic<int> x, y;
  Atomic<uint32_t> word;
  uint64_t plain = 0;
  int seen[4] = {-1, -1, -1, -1};
};

// Whether some execution ends with what `bad` describes, or fails in another way.
template <typename... Bodies>
bool Possible(bool (*bad)(const Words&), Bodies... bodies) {
  const Outcome outcome = Explore([&] {
    auto words = std::make_shared<Words>();
    World world;
    (world.threads.push_back([words, bodies] { bodies(*words); }), ...);
    world.at_end = [words, bad] { Check(!bad(*words), "The end is the one looked for."); };
    return world;
  });
  return !outcome.failure.empty();
}

bool BothMissed(const Words& words) {
  return words.seen[0] == 0 && words.seen[1] == 0;
}

TEST(ExplorerTest, StoreBufferingNeedsSequentialAccessesOrFences) {
  const auto with = [](std::memory_order store, std::memory_order load, bool fence) {
    return Possible(
        BothMissed,
        [=](Words& w) {
          w.x.store(1, store);
          if (fence) FullFence();
          w.seen[0] = w.y.load(load);
        },
        [=](Words& w) {
          w.y.store(1, store);
          if (fence) FullFence();
          w.seen[1] = w.x.load(load);
        });
  };
  EXPECT_TRUE(with(kRelaxed, kRelaxed, false));
  EXPECT_TRUE(with(kRelease, kAcquire, false));
  EXPECT_TRUE(with(kSequential, kAcquire, false));
  EXPECT_FALSE(with(kSequential, kSequential, false));
  EXPECT_FALSE(with(kRelaxed, kRelaxed, true));
}

TEST(ExplorerTest, ABarrierOnOneSideIsAFenceOnBothIfTheCompilerKeepsTheOrder) {
  const auto with = [](bool compiler_fence, bool barrier) {
    return Possible(
        BothMissed,
        [=](Words& w) {
          w.x.store(1, kRelaxed);
          if (compiler_fence) CompilerFence();
          w.seen[0] = w.y.load(kRelaxed);
        },
        [=](Words& w) {
          w.y.store(1, kRelaxed);
          if (barrier) BarrierEverywhere();
          w.seen[1] = w.x.load(kRelaxed);
        });
  };
  EXPECT_FALSE(with(true, true));
  EXPECT_TRUE(with(false, true));
  EXPECT_TRUE(with(true, false));
}

TEST(ExplorerTest, PlainMemoryIsPassedByReleaseAndAcquireAlone) {
  const auto with = [](std::memory_order store, std::memory_order load) {
    return Possible([](const Words&) { return false; },
                    [=](Words& w) {
                      const uint64_t value = 1;
                      WriteShared(&w.plain, &value, sizeof value);
                      w.x.store(1, store);
                    },
                    [=](Words& w) {
                      uint64_t value = 0;
                      if (w.x.load(load) == 1) ReadShared(&value, &w.plain, sizeof value);
                    });
  };
  EXPECT_FALSE(with(kRelease, kAcquire));
  EXPECT_TRUE(with(kRelaxed, kAcquire));
  EXPECT_TRUE(with(kRelease, kRelaxed));
}

TEST(ExplorerTest, AThreadNeverSeesAnAtomicGoBack) {
  EXPECT_FALSE(Possible([](const Words& w) { return w.seen[0] > w.seen[1]; },
                        [](Words& w) {
                          w.x.store(1, kRelaxed);
                          w.x.store(2, kRelaxed);
                        },
                        [](Words& w) {
                          w.seen[0] = w.x.load(kRelaxed);
                          w.seen[1] = w.x.load(kRelaxed);
                        }));
}

TEST(ExplorerTest, TwoReadersDisagreeAboutTheOrderOfTwoWritersUnlessAllIsSequential) {
  const auto with = [](std::memory_order store, std::memory_order load) {
    return Possible([](const Words& w) { return w.seen[0] == 1 && w.seen[1] == 0 && w.seen[2] == 1 && w.seen[3] == 0; },
                    [=](Words& w) { w.x.store(1, store); }, [=](Words& w) { w.y.store(1, store); },
                    [=](Words& w) {
                      w.seen[0] = w.x.load(load);
                      w.seen[1] = w.y.load(load);
                    },
                    [=](Words& w) {
                      w.seen[2] = w.y.load(load);
                      w.seen[3] = w.x.load(load);
                    });
  };
  EXPECT_TRUE(with(kRelease, kAcquire));
  EXPECT_FALSE(with(kSequential, kSequential));
}

TEST(ExplorerTest, UpdatesOfOneAtomicAreNeverLost) {
  const auto add = [](Words& w) { w.x.fetch_add(1, kRelaxed); };
  EXPECT_FALSE(Possible([](const Words& w) { return w.x.load() != 3; }, add, add, add));
}

TEST(ExplorerTest, ASleeperWithoutAWakeUpIsADeadlock) {
  const auto sleep = [](Words& w) {
    while (w.word.load(kAcquire) == 0) FutexWait(w.word, 0);
  };
  const auto none = [](const Words&) { return false; };
  EXPECT_TRUE(Possible(none, sleep, [](Words& w) { w.word.store(1, kRelease); }));
  EXPECT_FALSE(Possible(none, sleep, [](Words& w) {
    w.word.store(1, kRelease);
    FutexWakeAll(w.word);
  }));
}

}  // namespace
}  // namespace mignificient::os::model
