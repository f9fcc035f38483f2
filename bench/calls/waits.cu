// Waiting: events and streams, synchronised with and asked again and again.
#include "measure.h"

namespace {

__global__ void Count(uint64_t* count) {
  *count += 1;
}

void MeasureEvents(bench::Report& report, uint64_t* count) {
  cudaEvent_t event;
  CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  report.Measure(report.Times(2000), std::array<std::string, 1>{"event record + synchronize"}, [&] {
    const bench::Stopwatch watch;
    CHECK(cudaEventRecord(event));
    CHECK(cudaEventSynchronize(event));
    return std::array{watch.Microseconds()};
  });
  report.Measure(report.Times(2000), std::array<std::string, 1>{"launch + event record + synchronize"}, [&] {
    const bench::Stopwatch watch;
    Count<<<1, 1>>>(count);
    CHECK(cudaEventRecord(event));
    CHECK(cudaEventSynchronize(event));
    return std::array{watch.Microseconds()};
  });
  report.Measure(report.Times(2000), std::array<std::string, 1>{"launch + event record + query in a loop"}, [&] {
    const bench::Stopwatch watch;
    Count<<<1, 1>>>(count);
    CHECK(cudaEventRecord(event));
    while (cudaEventQuery(event) == cudaErrorNotReady) {
    }
    return std::array{watch.Microseconds()};
  });
  report.Measure(report.Times(500), std::array<std::string, 1>{"event query, complete"}, [&] {
    const bench::Stopwatch watch;
    for (int i = 0; i < 100; ++i) CHECK(cudaEventQuery(event));
    return std::array{watch.Microseconds() / 100};
  });
  CHECK(cudaEventDestroy(event));
}

void MeasureStreams(bench::Report& report, uint64_t* count) {
  cudaStream_t stream;
  CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  report.Measure(report.Times(2000), std::array<std::string, 1>{"launch + stream query in a loop"}, [&] {
    const bench::Stopwatch watch;
    Count<<<1, 1, 0, stream>>>(count);
    while (cudaStreamQuery(stream) == cudaErrorNotReady) {
    }
    return std::array{watch.Microseconds()};
  });
  report.Measure(report.Times(500), std::array<std::string, 1>{"stream query, idle"}, [&] {
    const bench::Stopwatch watch;
    for (int i = 0; i < 100; ++i) CHECK(cudaStreamQuery(stream));
    return std::array{watch.Microseconds() / 100};
  });
  report.Measure(report.Times(2000), std::array<std::string, 1>{"launch + stream synchronize"}, [&] {
    const bench::Stopwatch watch;
    Count<<<1, 1, 0, stream>>>(count);
    CHECK(cudaStreamSynchronize(stream));
    return std::array{watch.Microseconds()};
  });
  report.Measure(report.Times(2000), std::array<std::string, 1>{"synchronize, nothing to wait for"}, [&] {
    const bench::Stopwatch watch;
    CHECK(cudaDeviceSynchronize());
    return std::array{watch.Microseconds()};
  });
  CHECK(cudaStreamDestroy(stream));
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report(bench::ParseEffort(argc, argv));
  uint64_t* count = bench::Zeroed<uint64_t>(1);
  MeasureEvents(report, count);
  MeasureStreams(report, count);
  report.Answer("launches carried out", bench::Read(count));
  return 0;
}
