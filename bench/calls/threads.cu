// Eight threads that launch at the same time, each on a stream of its own.
#include <atomic>
#include <thread>

#include "measure.h"

namespace {

constexpr int kThreads = 8;

__global__ void Count(uint64_t* count) {
  *count += 1;
}

struct Worker {
  cudaStream_t stream;
  uint64_t* count;
};

// Microseconds per launch: until the slowest thread has issued its launches, and until all are carried out.
std::array<double, 2> LaunchAtOnce(const std::vector<Worker>& workers, int launches) {
  std::atomic<int> waiting{0};
  std::atomic<bool> go{false};
  std::vector<double> issued(workers.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < workers.size(); ++i)
    threads.emplace_back([&, i] {
      CHECK(cudaSetDevice(0));
      waiting.fetch_add(1);
      while (!go.load()) std::this_thread::yield();
      const bench::Stopwatch watch;
      for (int n = 0; n < launches; ++n) Count<<<1, 1, 0, workers[i].stream>>>(workers[i].count);
      issued[i] = watch.Microseconds();
      CHECK(cudaStreamSynchronize(workers[i].stream));
    });
  while (waiting.load() != kThreads) std::this_thread::yield();
  const bench::Stopwatch watch;
  go.store(true);
  for (std::thread& thread : threads) thread.join();
  const double all = static_cast<double>(launches) * kThreads;
  return {*std::max_element(issued.begin(), issued.end()) / all, watch.Microseconds() / all};
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report(bench::ParseEffort(argc, argv));
  std::vector<Worker> workers(kThreads);
  for (Worker& worker : workers) {
    CHECK(cudaStreamCreateWithFlags(&worker.stream, cudaStreamNonBlocking));
    worker.count = bench::Zeroed<uint64_t>(1);
  }
  const int launches = report.effort() == bench::Effort::kSmoke ? 50 : 2000;
  report.Measure(report.Times(20),
                 std::array<std::string, 2>{"launch by 8 threads on 8 streams, returns",
                                            "launch by 8 threads on 8 streams, drained"},
                 [&] { return LaunchAtOnce(workers, launches); });
  uint64_t carried_out = 0;
  for (const Worker& worker : workers) carried_out += bench::Read(worker.count);
  report.Answer("launches carried out", carried_out);
  return 0;
}
