// Copies between the device and pinned memory: the call that waits, the one that does not, and both directions at once.
#include "measure.h"

namespace {

int TimesOf(const bench::Report& report, size_t bytes) {
  if (bytes <= 64 << 10) return report.Times(1000);
  if (bytes <= 1 << 20) return report.Times(400);
  return report.Times(bytes <= 16 << 20 ? 60 : 8);
}

// One half of each memory goes to the device, the other comes from it.
struct Memory {
  char* host;
  char* device;
  size_t half;
};

void MeasureSync(bench::Report& report, const Memory& memory, size_t bytes) {
  const std::string size = bench::SizeName(bytes);
  for (const cudaMemcpyKind kind : {cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost}) {
    const bool up = kind == cudaMemcpyHostToDevice;
    report.Measure(TimesOf(report, bytes), std::array{(up ? "pinned H2D " : "pinned D2H ") + size + ", sync"}, [&] {
      const bench::Stopwatch watch;
      CHECK(cudaMemcpy(up ? memory.device : memory.host, up ? memory.host : memory.device, bytes, kind));
      return std::array{watch.Microseconds()};
    });
  }
}

void MeasureAsync(bench::Report& report, const Memory& memory, size_t bytes, cudaStream_t stream) {
  const std::string size = bench::SizeName(bytes);
  for (const cudaMemcpyKind kind : {cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost}) {
    const bool up = kind == cudaMemcpyHostToDevice;
    const std::string name = (up ? "pinned H2D " : "pinned D2H ") + size + ", async";
    report.Measure(TimesOf(report, bytes), std::array{name + ", returns", name + ", complete"}, [&] {
      const bench::Stopwatch watch;
      CHECK(cudaMemcpyAsync(up ? memory.device : memory.host, up ? memory.host : memory.device, bytes, kind, stream));
      const double returned = watch.Microseconds();
      CHECK(cudaStreamSynchronize(stream));
      return std::array{returned, watch.Microseconds()};
    });
  }
}

void MeasureBoth(bench::Report& report, const Memory& memory, size_t bytes, cudaStream_t up, cudaStream_t down) {
  report.Measure(TimesOf(report, bytes), std::array{"pinned " + bench::SizeName(bytes) + ", both directions"}, [&] {
    const bench::Stopwatch watch;
    CHECK(cudaMemcpyAsync(memory.device, memory.host, bytes, cudaMemcpyHostToDevice, up));
    CHECK(cudaMemcpyAsync(memory.host + memory.half, memory.device + memory.half, bytes, cudaMemcpyDeviceToHost, down));
    CHECK(cudaStreamSynchronize(up));
    CHECK(cudaStreamSynchronize(down));
    return std::array{watch.Microseconds()};
  });
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report(bench::ParseEffort(argc, argv));
  std::vector<size_t> sizes{4 << 10, 64 << 10, 1 << 20};
  if (report.effort() != bench::Effort::kSmoke) sizes.insert(sizes.end(), {16 << 20, 256 << 20});
  if (report.effort() == bench::Effort::kFull) sizes.push_back(1 << 30);
  Memory memory{.host = nullptr, .device = bench::Zeroed<char>(2 * sizes.back()), .half = sizes.back()};
  CHECK(cudaMallocHost(&memory.host, 2 * memory.half));
  bench::Fill(memory.host, 2 * memory.half);
  CHECK(cudaMemcpy(memory.device + memory.half, memory.host, memory.half, cudaMemcpyHostToDevice));
  cudaStream_t up, down;
  CHECK(cudaStreamCreateWithFlags(&up, cudaStreamNonBlocking));
  CHECK(cudaStreamCreateWithFlags(&down, cudaStreamNonBlocking));
  for (const size_t bytes : sizes) {
    MeasureSync(report, memory, bytes);
    MeasureAsync(report, memory, bytes, up);
    MeasureBoth(report, memory, bytes, up, down);
  }
  report.Answer("pinned, the half that came back", bench::Checksum(memory.host + memory.half, memory.half));
  return 0;
}
