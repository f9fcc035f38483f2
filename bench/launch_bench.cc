// What a kernel launch costs its caller: the whole way from cuLaunchKernel of our libcuda.so.1 to the command that is
// published in the ring, without a runtime above it and without a driver behind it.
//
//   launch_bench [--params=N] [--library=LIBCUDA]      another version's libcuda.so.1 compares two versions

#include <benchmark/benchmark.h>
#include <dlfcn.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "abi/cuda.h"
#include "drain.h"

namespace mignificient::bench {
namespace {

// Fits the ring with parameters of 320 bytes, so that nobody waits for the consumer.
constexpr int kBurst = 2000;

template <typename Function>
Function* Symbol(void* library, const char* name) {
  void* symbol = ::dlsym(library, name);
  if (symbol == nullptr) {
    std::fprintf(stderr, "launch_bench: %s\n", ::dlerror());
    std::exit(1);
  }
  return reinterpret_cast<Function*>(symbol);
}

void Expect(CUresult result, const char* what) {
  if (result == CUDA_SUCCESS) return;
  std::fprintf(stderr, "launch_bench: %s answers %d.\n", what, static_cast<int>(result));
  std::exit(1);
}

using Launch = CUresult(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream,
                        void**, void**);

// A process has one channel, and so the whole program one drain and one kernel for each number of parameters.
class Client {
 public:
  static Client& Get() {
    static Client& client = *new Client;  // libcuda's threads outlive main
    return client;
  }

  Drain& drain() { return *drain_; }
  CUfunction function() const { return function_; }
  void LaunchOnce() { launch_(function_, 1, 1, 1, 32, 1, 1, 0, nullptr, params_.data(), nullptr); }

  // Set before the first use.
  static inline int param_count = 8;
  static inline const char* library = MIG_LIBCUDA;

 private:
  Client() : drain_(Drain::Open(std::vector<uint32_t>(param_count, 8)).value()) {
    void* opened = ::dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (opened == nullptr) std::fprintf(stderr, "launch_bench: %s\n", ::dlerror());
    Expect(Symbol<CUresult(unsigned)>(opened, "cuInit")(0), "cuInit");
    CUcontext context = nullptr;
    Expect(Symbol<CUresult(CUcontext*, unsigned, CUdevice)>(opened, "cuCtxCreate_v2")(&context, 0, 0), "cuCtxCreate");
    const auto module = reinterpret_cast<CUmodule>(wire::PackHandle({wire::HandleKind::kModule, 1, 0}));
    Expect(Symbol<CUresult(CUfunction*, CUmodule, const char*)>(opened, "cuModuleGetFunction")(&function_, module, "k"),
           "cuModuleGetFunction");
    launch_ = Symbol<Launch>(opened, "cuLaunchKernel");
    for (size_t i = 0; i < params_.size(); ++i) params_[i] = &values_[i];
  }

  std::unique_ptr<Drain> drain_;
  CUfunction function_ = nullptr;
  Launch* launch_ = nullptr;
  std::array<uint64_t, 64> values_{};
  std::array<void*, 64> params_{};
};

// Nobody reads meanwhile: the instructions alone.
void LaunchUnread(benchmark::State& state) {
  Client& client = Client::Get();
  for (auto _ : state) {
    state.PauseTiming();
    client.drain().WaitUntilEmpty();
    client.drain().Hold(true);
    state.ResumeTiming();
    for (int i = 0; i < kBurst; ++i) client.LaunchOnce();
    state.PauseTiming();
    client.drain().Hold(false);
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * kBurst);
}
BENCHMARK(LaunchUnread);

// Another thread reads as fast as it can, and so takes the cache lines away again.
void LaunchRead(benchmark::State& state) {
  Client& client = Client::Get();
  const auto burst = static_cast<int>(state.range(0));
  for (auto _ : state) {
    for (int i = 0; i < burst; ++i) client.LaunchOnce();
    state.PauseTiming();
    client.drain().WaitUntilEmpty();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * burst);
}
BENCHMARK(LaunchRead)->Arg(1)->Arg(16)->Arg(256)->Arg(10000);

}  // namespace
}  // namespace mignificient::bench

int main(int argc, char** argv) {
  using mignificient::bench::Client;
  benchmark::Initialize(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    constexpr std::string_view kParams = "--params=", kLibrary = "--library=";
    const std::string_view word = argv[i];
    if (word.starts_with(kParams)) Client::param_count = std::atoi(argv[i] + kParams.size());
    if (word.starts_with(kLibrary)) Client::library = argv[i] + kLibrary.size();
  }
  benchmark::RunSpecifiedBenchmarks();
  std::fflush(nullptr);
  std::_Exit(0);  // the drain's thread and libcuda's have no end of their own
}
