// Lock under every interleaving and reordering (os/model): one thread at a time has it, and sees what those before it
// have done; nobody sleeps for ever.

#include <gtest/gtest.h>

#include <memory>
#include <mutex>

#include "os/model/explorer.h"
#include "remoting/client/lock.h"

namespace mignificient::client {
namespace {

using os::model::Check;
using os::model::Mutation;
using os::model::Op;
using os::model::Outcome;

struct LockWorld {
  LockWorld() { os::model::Name(&lock, "state"); }
  Lock lock;
  int sum = 0;  // guarded by lock
};

Outcome ExploreLock(int threads, std::vector<Mutation> mutations = {}) {
  return os::model::Explore(
      [threads] {
        auto world = std::make_shared<LockWorld>();
        const auto add_one = [world] {
          const std::lock_guard lock(world->lock);
          int sum;
          os::ReadShared(&sum, &world->sum, sizeof sum);
          ++sum;
          os::WriteShared(&world->sum, &sum, sizeof sum);
        };
        return os::model::World{.threads = std::vector<std::function<void()>>(threads, add_one),
                                .at_end = [world, threads] { Check(world->sum == threads, "An addition is lost."); }};
      },
      {.mutations = std::move(mutations)});
}

TEST(LockModelTest, OneThreadAtATimeHasItAndSeesWhatOthersHaveDone) {
  EXPECT_EQ(ExploreLock(2).failure, "");
  EXPECT_EQ(ExploreLock(3).failure, "");
}

TEST(LockModelTest, SeededBugsAreFound) {
  const Mutation bugs[] = {{Op::kUpdate, "state"},  // taking it acquires nothing, and giving it back releases nothing
                           {Op::kWake, "state", -1, true},  // nobody wakes who waits
                           {Op::kUpdate, "state", 0, true}};
  for (const Mutation& bug : bugs) EXPECT_NE(ExploreLock(3, {bug}).failure, "") << static_cast<int>(bug.op);
}

}  // namespace
}  // namespace mignificient::client
