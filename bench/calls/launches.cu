// Kernel launches: what one costs its caller, alone and in bursts, and until the burst is carried out; with 8 and with
// 40 parameters.
#include <utility>

#include "measure.h"

namespace {

// Counts its launches; they are in one stream, one after the other.
template <typename... Parameters>
__global__ void Count(uint64_t* count, const float* a, float* b, int n, float x, double y, Parameters... rest) {
  if (threadIdx.x == 0) *count += 1;
  if (a != nullptr && threadIdx.x >= static_cast<unsigned>(n)) *b = *a * x + static_cast<float>(y) + (rest + ... + 0L);
}

struct Launcher {
  uint64_t* count;
  float* numbers;
  template <size_t... kIndex>
  void operator()(std::index_sequence<kIndex...>) const {
    Count<<<1, 32>>>(count, numbers, numbers, 32, 1.0f, 2.0, static_cast<long>(kIndex)...);
  }
};

template <typename Rest>
void MeasureBursts(bench::Report& report, const Launcher& launch, const std::string& kind) {
  for (const int burst : {1, 16, 256, 10000}) {
    const std::string which = "launch, " + kind + ", burst of " + std::to_string(burst);
    report.Measure(report.Times(burst == 10000 ? 12
                                : burst == 256 ? 200
                                               : 1000),
                   std::array{which + ", returns", burst == 1 ? "" : which + ", drained"}, [&] {
                     const bench::Stopwatch watch;
                     for (int i = 0; i < burst; ++i) launch(Rest());
                     const double returned = watch.Microseconds();
                     CHECK(cudaDeviceSynchronize());
                     return std::array{returned / burst, watch.Microseconds() / burst};
                   });
  }
  report.Measure(report.Times(4000), std::array{"launch + synchronize, " + kind}, [&] {
    const bench::Stopwatch watch;
    launch(Rest());
    CHECK(cudaDeviceSynchronize());
    return std::array{watch.Microseconds()};
  });
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report(bench::ParseEffort(argc, argv));
  const Launcher launch{bench::Zeroed<uint64_t>(1), bench::Zeroed<float>(1)};
  report.Measure(1000, std::array<std::string, 1>{"reading the clock twice"},
                 [] { return std::array{bench::Stopwatch().Microseconds()}; });
  MeasureBursts<std::make_index_sequence<2>>(report, launch, "8 parameters");
  MeasureBursts<std::make_index_sequence<34>>(report, launch, "40 parameters");
  report.Answer("launches carried out", bench::Read(launch.count));
  return 0;
}
