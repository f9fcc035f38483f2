// The first calls after a pause, when whoever carries them out has gone to sleep.
#include <thread>

#include "measure.h"

namespace {

__global__ void Count(uint64_t* count) {
  *count += 1;
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report(bench::ParseEffort(argc, argv));
  uint64_t* count = bench::Zeroed<uint64_t>(1);
  for (const int idle_ms : {1, 100}) {
    const std::string after = "after " + std::to_string(idle_ms) + " ms of idleness, launch ";
    report.Measure(report.Times(idle_ms == 1 ? 200 : 20), std::array{after + "returns", after + "+ synchronize"}, [&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(idle_ms));
      const bench::Stopwatch watch;
      Count<<<1, 1>>>(count);
      const double returned = watch.Microseconds();
      CHECK(cudaDeviceSynchronize());
      return std::array{returned, watch.Microseconds()};
    });
  }
  report.Answer("launches carried out", bench::Read(count));
  return 0;
}
