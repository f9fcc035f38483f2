// wire::GatePage under every interleaving and reordering (os/model): behind a gate that was closed because nobody was
// busy, nothing is on the device until the owner opens it again.

#include <gtest/gtest.h>

#include <memory>

#include "os/model/explorer.h"
#include "remoting/wire/gate_page.h"

namespace mignificient::wire {
namespace {

using os::model::Check;
using os::model::Mutation;
using os::model::Op;
using os::model::Outcome;

// One dispatcher with `commands` commands, and an owner that ends an invocation.
struct GateWorld {
  GateWorld() {
    os::model::Name(&page.word, "word");
    os::model::Name(&page.in_flight, "in_flight");
    page.Set(GateState::kFull);
    page.in_flight.store(kOneConnection);
  }
  GatePage page;
  // What really is. Updates see the newest value and order nothing else, so that it is the test's alone.
  os::Atomic<int> on_device;
};

// As server::Connection: a command is carried out where the gate is open, else it waits there.
void Dispatch(GateWorld& world, int commands) {
  for (int i = 0; i < commands; ++i) {
    world.page.BecomeBusy();
    for (uint32_t word = world.page.Look(); GateStateOf(word) != GateState::kFull; word = world.page.Look())
      os::FutexWait(world.page.word, word);
    world.on_device.fetch_add(1, std::memory_order_relaxed);
    world.on_device.fetch_sub(1, std::memory_order_relaxed);
    world.page.BecomeQuiet();
  }
}

void OwnInTurns(GateWorld& world) {
  if (world.page.CloseQuiet(1))
    for (int looks = 0; looks < 2; ++looks)
      Check(world.on_device.fetch_add(0, std::memory_order_relaxed) == 0, "A command is behind the closed gate.");
  world.page.Set(GateState::kFull);  // the next turn of the same container
}

Outcome ExploreGate(std::vector<Mutation> mutations = {}) {
  return os::model::Explore(
      [] {
        auto world = std::make_shared<GateWorld>();
        return os::model::World{.threads = {[world] { OwnInTurns(*world); }, [world] { Dispatch(*world, 1); }}};
      },
      {.mutations = std::move(mutations)});
}

TEST(GateModelTest, NothingPassesAGateThatWasClosedBecauseNobodyWasBusy) {
  EXPECT_EQ(ExploreGate().failure, "");
}

TEST(GateModelTest, SeededBugsAreFound) {
  const Mutation bugs[] = {{Op::kStore, "word", 0},        // the owner closes the gate without saying so in order
                           {Op::kLoad, "in_flight", 0},    // and looks at who is busy too early
                           {Op::kUpdate, "in_flight", 1},  // the dispatcher counts itself too late
                           {Op::kLoad, "word", 1},         // and looks at the gate too early
                           {Op::kWake, "word", 0}};        // nobody wakes who waits at the gate
  for (const Mutation& bug : bugs) EXPECT_NE(ExploreGate({bug}).failure, "") << static_cast<int>(bug.op) << bug.name;
}

}  // namespace
}  // namespace mignificient::wire
