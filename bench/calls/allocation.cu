// Allocating device memory: what it costs the caller, and with the use and the wait that follow.
#include "measure.h"

namespace {

__global__ void Use(uint64_t* block, uint64_t* count) {
  *block = *count + 1;
  *count = *block;
}

void MeasurePlain(bench::Report& report, size_t bytes, uint64_t* count) {
  const std::string size = bench::SizeName(bytes);
  report.Measure(report.Times(500), std::array{"cudaMalloc " + size + ", returns", "cudaFree " + size + ", returns"},
                 [&] {
                   uint64_t* block = nullptr;
                   const bench::Stopwatch malloc_watch;
                   CHECK(cudaMalloc(&block, bytes));
                   const double allocated = malloc_watch.Microseconds();
                   const bench::Stopwatch free_watch;
                   CHECK(cudaFree(block));
                   return std::array{allocated, free_watch.Microseconds()};
                 });
  report.Measure(report.Times(500), std::array{"cudaMalloc + launch + synchronize + cudaFree " + size}, [&] {
    uint64_t* block = nullptr;
    const bench::Stopwatch watch;
    CHECK(cudaMalloc(&block, bytes));
    Use<<<1, 1>>>(block, count);
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaFree(block));
    return std::array{watch.Microseconds()};
  });
}

void MeasureStreamOrdered(bench::Report& report, size_t bytes, uint64_t* count, cudaStream_t stream) {
  const std::string size = bench::SizeName(bytes);
  report.Measure(report.Times(1000),
                 std::array{"cudaMallocAsync " + size + ", returns", "cudaFreeAsync " + size + ", returns"}, [&] {
                   uint64_t* block = nullptr;
                   const bench::Stopwatch malloc_watch;
                   CHECK(cudaMallocAsync(&block, bytes, stream));
                   const double allocated = malloc_watch.Microseconds();
                   const bench::Stopwatch free_watch;
                   CHECK(cudaFreeAsync(block, stream));
                   return std::array{allocated, free_watch.Microseconds()};
                 });
  CHECK(cudaStreamSynchronize(stream));
  report.Measure(report.Times(500), std::array{"cudaMallocAsync + launch + cudaFreeAsync + synchronize " + size}, [&] {
    uint64_t* block = nullptr;
    const bench::Stopwatch watch;
    CHECK(cudaMallocAsync(&block, bytes, stream));
    Use<<<1, 1, 0, stream>>>(block, count);
    CHECK(cudaFreeAsync(block, stream));
    CHECK(cudaStreamSynchronize(stream));
    return std::array{watch.Microseconds()};
  });
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report(bench::ParseEffort(argc, argv));
  uint64_t* count = bench::Zeroed<uint64_t>(1);
  cudaStream_t stream;
  CHECK(cudaStreamCreate(&stream));
  for (const size_t bytes : {size_t{256}, size_t{4} << 20}) {
    MeasurePlain(report, bytes, count);
    MeasureStreamOrdered(report, bytes, count, stream);
  }
  report.Answer("uses carried out", bench::Read(count));
  return 0;
}
