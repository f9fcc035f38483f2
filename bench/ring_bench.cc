// The command ring by itself: what a record costs the writer and the reader, and what the two barriers cost.

#include <benchmark/benchmark.h>

#include <array>
#include <chrono>
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
constexpr uint32_t kRecord = 112;     // a launch with eight parameters
constexpr uint32_t kMostBytes = 384;  // with forty
constexpr uint16_t kWork = 1, kWait = 2;

struct Ends {
  explicit Ends(Barrier barrier)
      : producer(*control, std::as_writable_bytes(std::span(storage)), barrier),
        consumer(*control, std::as_bytes(std::span(storage)), kBytes / 4, barrier) {}

  bool Write(uint32_t bytes = kRecord, uint16_t opcode = kWork) {
    std::byte* space = producer.Reserve(bytes);
    if (space == nullptr) return false;
    const RecordHeader header{bytes, opcode, 0};
    std::memcpy(space, &header, sizeof header);
    std::memcpy(space + sizeof header, content.data(), bytes - sizeof header);
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
  std::array<std::byte, kMostBytes> content{};
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

void Work(std::chrono::nanoseconds duration) {
  const auto end = std::chrono::steady_clock::now() + duration;
  while (std::chrono::steady_clock::now() < end) {
  }
}

// A command that keeps the reader busy for 3 us, as a launch does the driver, and one that is waited for. Argument:
// bytes of the first.
void LaunchAndWait(benchmark::State& state) {
  if (!os::RegisterForBarrier()) return state.SkipWithError("no membarrier");
  Ends ends(Barrier::kAsymmetric);
  Completion completion{};
  std::jthread reader([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const auto next = ends.consumer.Next();
      if (!next || !*next) {
        os::SpinPause();
        continue;
      }
      ends.consumer.Release();
      if ((*next)->opcode == kWait)
        completion.Finish(0);
      else
        Work(std::chrono::microseconds(3));
    }
  });
  for (auto _ : state) {
    completion.Arm();
    ends.Write(static_cast<uint32_t>(state.range(0)), kWork);
    ends.Write(16, kWait);
    while (!completion.Wait(1'000'000'000)) {
    }
  }
}
BENCHMARK(LaunchAndWait)->ArgName("bytes")->Arg(kRecord)->Arg(kMostBytes)->UseRealTime();

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
