// The command ring by itself: what a record costs the writer and the reader, and what the two barriers cost.

#include <benchmark/benchmark.h>

#include <array>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "os/barrier.h"
#include "os/futex.h"
#include "ring/completion.h"
#include "ring/ring.h"

namespace mignificient::ring {
namespace {

constexpr size_t kBytes = 1 << 20;
constexpr uint32_t kRecord = 112;  // a launch with eight parameters

struct Ends {
  explicit Ends(Barrier barrier)
      : producer(*control, std::as_writable_bytes(std::span(storage)), barrier),
        consumer(*control, std::as_bytes(std::span(storage)), kBytes / 4, barrier) {}

  bool Write() {
    std::byte* space = producer.Reserve(kRecord);
    if (space == nullptr) return false;
    std::memcpy(space, record.data(), kRecord);
    producer.Publish();
    return true;
  }
  // Reads all that is there; how many records that was.
  int ReadAll() {
    int count = 0;
    for (auto next = consumer.Next(); next && *next; next = consumer.Next(), ++count) {
      benchmark::DoNotOptimize((*next)->body.data());
      consumer.Release();
    }
    return count;
  }

  std::unique_ptr<RingControl> control = std::make_unique<RingControl>();
  std::vector<uint64_t> storage = std::vector<uint64_t>(kBytes / sizeof(uint64_t));
  Producer producer;
  Consumer consumer;
  std::array<uint64_t, kRecord / sizeof(uint64_t)> record = FirstWord();

  static std::array<uint64_t, kRecord / sizeof(uint64_t)> FirstWord() {
    std::array<uint64_t, kRecord / sizeof(uint64_t)> words{};
    const RecordHeader header{kRecord, 1, 0};
    std::memcpy(words.data(), &header, sizeof header);
    return words;
  }
};

// One thread does both, so that no cache line travels. Argument: Barrier.
void WriteThenRead(benchmark::State& state) {
  Ends ends(static_cast<Barrier>(state.range(0)));
  constexpr int kBurst = 1000;
  for (auto _ : state) {
    for (int i = 0; i < kBurst; ++i) ends.Write();
    if (ends.ReadAll() != kBurst) state.SkipWithError("records are missing");
  }
  state.SetItemsProcessed(state.iterations() * kBurst);
}
BENCHMARK(WriteThenRead)->ArgName("asymmetric")->Arg(0)->Arg(1);

// A thread that reads as fast as it can and never sleeps.
void WriteWhileRead(benchmark::State& state) {
  const auto barrier = static_cast<Barrier>(state.range(0));
  if (barrier == Barrier::kAsymmetric && !os::RegisterForBarrier()) return state.SkipWithError("no membarrier");
  Ends ends(barrier);
  std::jthread reader([&](const std::stop_token& stop) {
    while (!stop.stop_requested())
      if (ends.ReadAll() == 0) os::SpinPause();
  });
  for (auto _ : state)
    while (!ends.Write()) ends.producer.WaitForRoom(1'000'000);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(WriteWhileRead)->ArgName("asymmetric")->Arg(0)->Arg(1);

void ArmAndFinish(benchmark::State& state) {
  Completion completion{};
  for (auto _ : state) {
    completion.Arm();
    completion.Finish(0);
    benchmark::DoNotOptimize(completion.Done());
  }
}
BENCHMARK(ArmAndFinish);

// What going to sleep costs: a membarrier of all processors.
void BarrierEverywhere(benchmark::State& state) {
  os::RegisterForBarrier();
  for (auto _ : state) os::BarrierEverywhere();
}
BENCHMARK(BarrierEverywhere);

}  // namespace
}  // namespace mignificient::ring

BENCHMARK_MAIN();
