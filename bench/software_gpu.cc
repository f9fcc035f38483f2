// The speed of the software GPU: kernels that nvcc made, executed by the interpreter, against the same loops compiled
// for one core, by turns in one run. build/release/bench/software_gpu_bench [--benchmark_filter=...]
//
// Of each line: `insts` are the PTX instructions that warps executed in a second, `lanes` those of their lanes, `ratio`
// is the kernel's time over the compiled loop's (below 1: faster than one core). `cpu_insts` and `cpu_ratio` are the
// same by CPU time of all workers, for machines whose cores others use too. All are of the fastest iterations. "/N" in
// a name is the number of worker threads.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <thread>

#include "driver/cpu/exec/launch.h"
#include "instruction_count.h"
#include "software_gpu_kernels.h"
#include "software_gpu_native.h"

namespace mignificient::bench {
namespace {

using cpu::Dim3;
using cpu::MemoryMap;

// One kernel with its arguments, and the loop that does the same.
struct Case {
  const char* kernel = nullptr;
  Dim3 grid, block;
  std::vector<std::byte> params;
  std::vector<MemoryMap::Extent> extents;
  std::function<void()> native;
  std::function<bool()> agrees;  // after one run of each
  std::function<void()> reset = [] {};
};

template <typename T>
void Append(std::vector<std::byte>& params, const T& value) {
  params.resize((params.size() + alignof(T) - 1) / alignof(T) * alignof(T));
  const auto* at = reinterpret_cast<const std::byte*>(&value);
  params.insert(params.end(), at, at + sizeof value);
}

template <typename T>
class Array {
 public:
  Array(Case& owner, size_t size) : values_(std::make_shared<std::vector<T>>(size)) {
    const auto begin = reinterpret_cast<uint64_t>(values_->data());
    owner.extents.push_back({begin, begin + size * sizeof(T)});
    Append(owner.params, begin);
  }
  std::vector<T>& operator*() const { return *values_; }

 private:
  std::shared_ptr<std::vector<T>> values_;
};

Case MatrixProductCase() {
  constexpr int kSize = 128;
  Case out{.kernel = "matrix_product", .grid = {kSize / 16, kSize / 16}, .block = {16, 16}};
  const Array<float> a(out, kSize * kSize), b(out, kSize * kSize), c(out, kSize * kSize);
  Append(out.params, kSize);
  for (int i = 0; i < kSize * kSize; ++i) {
    (*a)[i] = static_cast<float>(i % 17 - 8);
    (*b)[i] = static_cast<float>(i % 13 - 6);
  }
  const auto expected = std::make_shared<std::vector<float>>(kSize * kSize);
  out.native = [=] { MatrixProduct((*a).data(), (*b).data(), expected->data(), kSize); };
  out.agrees = [=] { return *c == *expected; };
  return out;
}

Case ReductionCase() {
  constexpr int kCount = 1 << 20;
  Case out{.kernel = "reduction", .grid = {64}, .block = {256}};
  const Array<uint32_t> values(out, kCount);
  const Array<uint64_t> total(out, 1);
  Append(out.params, kCount);
  for (int i = 0; i < kCount; ++i) (*values)[i] = static_cast<uint32_t>(i) * 2654435761u;
  const auto expected = std::make_shared<uint64_t>();
  out.native = [=] { *expected = Sum(*values); };
  out.agrees = [=] { return (*total)[0] == *expected; };
  out.reset = [=] { (*total)[0] = 0; };
  return out;
}

Case SaxpyCase() {
  constexpr int kCount = 1 << 20;
  constexpr float kFactor = 0.5f;
  Case out{.kernel = "saxpy", .grid = {64}, .block = {256}};
  const Array<float> x(out, kCount), y(out, kCount);
  Append(out.params, kFactor), Append(out.params, kCount);
  const auto expected = std::make_shared<std::vector<float>>(kCount);
  out.reset = [=] {
    for (int i = 0; i < kCount; ++i) {
      (*x)[i] = static_cast<float>(i % 1024);
      (*y)[i] = (*expected)[i] = 1.0f;
    }
  };
  out.native = [=] { Saxpy(*x, *expected, kFactor); };
  out.agrees = [=] { return *y == *expected; };
  return out;
}

Case HistogramCase() {
  constexpr int kCount = 1 << 20;
  Case out{.kernel = "histogram", .grid = {64}, .block = {256}};
  const Array<uint8_t> values(out, kCount);
  const Array<uint32_t> bins(out, 256);
  Append(out.params, kCount);
  for (int i = 0; i < kCount; ++i) {
    const uint32_t hash = static_cast<uint32_t>(i) * 2654435761u;
    (*values)[i] = static_cast<uint8_t>(std::min(hash >> 24, (hash >> 16) & 255));
  }
  const auto expected = std::make_shared<std::array<uint32_t, 256>>();
  out.native = [=] { Histogram(*values, *expected); };
  out.agrees = [=] { return std::ranges::equal(*bins, *expected); };
  out.reset = [=] {
    std::ranges::fill(*bins, 0u);
    expected->fill(0);
  };
  return out;
}

Case CollatzCase() {
  constexpr int kCount = 1 << 14;
  Case out{.kernel = "collatz", .grid = {kCount / 256}, .block = {256}};
  const Array<uint32_t> steps(out, kCount);
  Append(out.params, kCount);
  const auto expected = std::make_shared<std::vector<uint32_t>>(kCount);
  out.native = [=] { Collatz(*expected); };
  out.agrees = [=] { return *steps == *expected; };
  return out;
}

std::unique_ptr<cpu::Program> Compile(std::string_view ptx) {
  auto program = cpu::Program::Compile(ptx);
  if (!program) throw std::runtime_error(program.error().message());
  return std::move(*program);
}

void Execute(const cpu::Program& program, const Case& what, std::shared_ptr<const MemoryMap> memory,
             cpu::WorkerPool& pool) {
  const auto kernel = program.FindKernel(what.kernel);
  if (!kernel) throw std::runtime_error(kernel.error().message());
  const cpu::Launch launch{
      .kernel = *kernel, .grid = what.grid, .block = what.block, .params = what.params, .memory = std::move(memory)};
  const auto result = cpu::Run(launch, pool);
  if (result.status != cpu::LaunchStatus::kOk) throw std::runtime_error(result.message);
}

Executed CountInstructions(const Case& what) {
  const CountedText text = AddCounters(kBenchPtx);
  const auto program = Compile(text.ptx);
  std::vector<uint64_t> counts(2 * text.lengths.size());
  const auto begin = reinterpret_cast<uint64_t>(counts.data());
  if (!program->Bind(kCountsName, begin)) throw std::runtime_error("The counters have no address.");
  auto extents = what.extents;
  extents.push_back({begin, begin + counts.size() * sizeof counts[0]});
  cpu::WorkerPool pool(1);
  Execute(*program, what, MemoryMap::Of(std::move(extents)), pool);
  return Total(text, counts);
}

// Wall time and CPU time of the whole process since it began, in seconds.
struct Moment {
  double wall = 0, cpu = 0;
  static Moment Now() {
    const auto read = [](clockid_t clock) {
      timespec time{};
      clock_gettime(clock, &time);
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
    };
    return {read(CLOCK_MONOTONIC), read(CLOCK_PROCESS_CPUTIME_ID)};
  }
};

// The shortest times seen.
struct Fastest {
  double wall = 1e9, cpu = 1e9;
  void Add(const Moment& from, const Moment& to) {
    wall = std::min(wall, to.wall - from.wall);
    cpu = std::min(cpu, to.cpu - from.cpu);
  }
};

void Measure(benchmark::State& state, const Case& what, unsigned threads) {
  const auto program = Compile(kBenchPtx);
  const auto memory = MemoryMap::Of(what.extents);
  cpu::WorkerPool pool(threads);
  what.reset();
  const Executed executed = CountInstructions(what);
  what.reset();
  Execute(*program, what, memory, pool);
  what.native();
  if (!what.agrees()) {
    state.SkipWithError("The kernel's result is not the loop's.");
    return;
  }
  Fastest kernel, native;
  for (auto _ : state) {
    const Moment start = Moment::Now();
    Execute(*program, what, memory, pool);
    const Moment between = Moment::Now();
    what.native();
    benchmark::ClobberMemory();
    native.Add(between, Moment::Now());
    kernel.Add(start, between);
    state.SetIterationTime(between.wall - start.wall);
  }
  state.counters["insts"] = static_cast<double>(executed.warps) / kernel.wall;
  state.counters["lanes"] = static_cast<double>(executed.lanes) / kernel.wall;
  state.counters["ratio"] = kernel.wall / native.wall;
  state.counters["cpu_insts"] = static_cast<double>(executed.warps) / kernel.cpu;
  state.counters["cpu_ratio"] = kernel.cpu / native.cpu;
}

// What a launch costs apart from its instructions: one warp, and as many blocks as keep every worker busy.
void MeasureLaunch(benchmark::State& state, unsigned blocks, unsigned threads) {
  Case what{.kernel = "saxpy", .grid = {blocks}, .block = {32}};
  const Array<float> x(what, 1024), y(what, 1024);
  Append(what.params, 1.0f), Append(what.params, static_cast<int>(32 * blocks));
  const auto program = Compile(kBenchPtx);
  const auto memory = MemoryMap::Of(what.extents);
  cpu::WorkerPool pool(threads);
  for (auto _ : state) Execute(*program, what, memory, pool);
}

void Register() {
  const std::map<std::string, Case> cases = {{"matrix_product", MatrixProductCase()},
                                             {"reduction", ReductionCase()},
                                             {"saxpy", SaxpyCase()},
                                             {"histogram", HistogramCase()},
                                             {"collatz", CollatzCase()}};
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  for (const unsigned threads : cores > 1 ? std::vector<unsigned>{1, cores} : std::vector<unsigned>{1}) {
    for (const auto& [name, what] : cases) {
      benchmark::RegisterBenchmark(fmt::format("{}/{}", name, threads).c_str(),
                                   [=](benchmark::State& state) { Measure(state, what, threads); })
          ->UseManualTime()
          ->Unit(benchmark::kMicrosecond);
    }
    for (const unsigned blocks : {1u, 16u}) {
      benchmark::RegisterBenchmark(fmt::format("launch_{}_blocks/{}", blocks, threads).c_str(),
                                   [=](benchmark::State& state) { MeasureLaunch(state, blocks, threads); })
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

}  // namespace
}  // namespace mignificient::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  mignificient::bench::Register();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
