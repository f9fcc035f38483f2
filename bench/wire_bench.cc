// What the two ends do per command besides the ring: names of objects, records of activity.

#include <benchmark/benchmark.h>

#include <vector>

#include "remoting/server/handles.h"
#include "remoting/wire/activity.h"

namespace mignificient {
namespace {

using wire::HandleKind;

// Argument: objects in the table.
void FindHandle(benchmark::State& state) {
  server::HandleTable<uint64_t> table(HandleKind::kEvent, 1 << 16);
  std::vector<uint64_t> names;
  for (int64_t i = 0; i < state.range(0); ++i) names.push_back(table.Add(i).value());
  size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(table.Find(names[next]));
    if (++next == names.size()) next = 0;
  }
}
BENCHMARK(FindHandle)->Arg(16)->Arg(60'000);

void AddAndRemoveHandle(benchmark::State& state) {
  server::HandleTable<uint64_t> table(HandleKind::kEvent, 1 << 16);
  for (auto _ : state) table.Remove(table.Add(1).value());
}
BENCHMARK(AddAndRemoveHandle);

// Names that the client chose, as those of its streams and events.
void InsertAndRemoveHandle(benchmark::State& state) {
  server::HandleTable<uint64_t> table(HandleKind::kEvent, 1 << 16);
  const uint64_t name = wire::PackHandle({HandleKind::kEvent, 1, 7});
  for (auto _ : state) {
    table.Insert(name, 1);
    table.Remove(name);
  }
}
BENCHMARK(InsertAndRemoveHandle);

void WriteAndReadActivity(benchmark::State& state) {
  auto ring = wire::ActivityRing::Create();
  if (!ring) return state.SkipWithError(ring.error().message().c_str());
  constexpr int kBurst = 1000;
  uint64_t read = 0;
  for (auto _ : state) {
    for (int i = 0; i < kBurst; ++i) ring->Write({.kind = wire::ActivityKind::kKernel, .commands = 1});
    ring->Read([&](const wire::ActivityRecord& record) { read += record.commands; });
  }
  benchmark::DoNotOptimize(read);
  state.SetItemsProcessed(state.iterations() * kBurst);
}
BENCHMARK(WriteAndReadActivity);

}  // namespace
}  // namespace mignificient

BENCHMARK_MAIN();
