// What single CUDA calls cost: one program, run natively and behind MIGnificient by bench/compare.py. Prints one JSON
// object: name -> median microseconds. "returns": until the call returns; "complete": until its effect is there.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <cuda_runtime.h>

namespace {

using Clock = std::chrono::steady_clock;

#define CHECK(call)                                                       \
  do {                                                                    \
    const cudaError_t error = (call);                                     \
    if (error != cudaSuccess) {                                           \
      std::fprintf(stderr, "%s: %s\n", #call, cudaGetErrorString(error)); \
      std::exit(1);                                                       \
    }                                                                     \
  } while (0)

__global__ void Tiny(float* a, const float* b, const float* c, int n, float x, float y, float z, long q) {
  if (a != nullptr && threadIdx.x < n) a[threadIdx.x] += b[0] * c[0] * x + y + z + q;
}

double MicrosecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

// Median over `repeats` of `measure()`, after `repeats / 10 + 1` unmeasured ones.
double Median(int repeats, const std::function<double()>& measure) {
  for (int i = 0; i < repeats / 10 + 1; ++i) measure();
  std::vector<double> samples(repeats);
  for (double& sample : samples) sample = measure();
  std::nth_element(samples.begin(), samples.begin() + repeats / 2, samples.end());
  return samples[repeats / 2];
}

void Report(const std::string& name, double microseconds) {
  static bool first = true;
  std::printf("%s\n  \"%s\": %.4f", first ? "{" : ",", name.c_str(), microseconds);
  first = false;
}

void MeasureLaunches(float* device) {
  const auto launch = [device] { Tiny<<<1, 32>>>(device, device, device, 32, 1, 2, 3, 4); };
  for (const int burst : {1, 16, 256, 10000}) {
    double drained = 0;
    const double returns = Median(burst > 1000 ? 20 : 500, [&] {
      const auto start = Clock::now();
      for (int i = 0; i < burst; ++i) launch();
      const double issued = MicrosecondsSince(start);
      CHECK(cudaDeviceSynchronize());
      drained = MicrosecondsSince(start);
      return issued / burst;
    });
    Report("launch, returns, burst of " + std::to_string(burst), returns);
    if (burst == 10000) Report("launch, drained, burst of 10000", drained / burst);
  }
  Report("launch + synchronize", Median(5000, [&] {
           const auto start = Clock::now();
           launch();
           CHECK(cudaDeviceSynchronize());
           return MicrosecondsSince(start);
         }));
  Report("empty synchronize", Median(5000, [&] {
           const auto start = Clock::now();
           CHECK(cudaDeviceSynchronize());
           return MicrosecondsSince(start);
         }));
}

void MeasureCopies(float* device, std::vector<char>& host) {
  for (const size_t bytes : {size_t{64}, size_t{4096}, size_t{65536}, size_t{1} << 20, size_t{16} << 20}) {
    const int repeats = bytes > (1 << 20) ? 30 : 500;
    const std::string size = bytes < 1024        ? std::to_string(bytes) + " B"
                             : bytes < (1 << 20) ? std::to_string(bytes >> 10) + " KiB"
                                                 : std::to_string(bytes >> 20) + " MiB";
    double complete = 0;
    Report("pageable H2D " + size + ", returns", Median(repeats, [&] {
             const auto start = Clock::now();
             CHECK(cudaMemcpy(device, host.data(), bytes, cudaMemcpyHostToDevice));
             const double returned = MicrosecondsSince(start);
             CHECK(cudaDeviceSynchronize());
             complete = MicrosecondsSince(start);
             return returned;
           }));
    Report("pageable H2D " + size + ", complete", complete);
    Report("pageable D2H " + size, Median(repeats, [&] {
             const auto start = Clock::now();
             CHECK(cudaMemcpy(host.data(), device, bytes, cudaMemcpyDeviceToHost));
             return MicrosecondsSince(start);
           }));
  }
}

void MeasurePinned(float* device) {
  for (const size_t bytes : {size_t{4096}, size_t{1} << 20, size_t{64} << 20}) {
    void* host = nullptr;
    CHECK(cudaMallocHost(&host, bytes));
    std::memset(host, 1, bytes);
    const std::string size =
        bytes < (1 << 20) ? std::to_string(bytes >> 10) + " KiB" : std::to_string(bytes >> 20) + " MiB";
    const int repeats = bytes > (1 << 20) ? 30 : 500;
    Report("pinned H2D " + size, Median(repeats, [&] {
             const auto start = Clock::now();
             CHECK(cudaMemcpy(device, host, bytes, cudaMemcpyHostToDevice));
             return MicrosecondsSince(start);
           }));
    Report("pinned D2H " + size, Median(repeats, [&] {
             const auto start = Clock::now();
             CHECK(cudaMemcpy(host, device, bytes, cudaMemcpyDeviceToHost));
             return MicrosecondsSince(start);
           }));
    CHECK(cudaFreeHost(host));
  }
}

void MeasureAllocation() {
  for (const size_t bytes : {size_t{256}, size_t{4} << 20}) {
    Report("malloc + free " + (bytes < 1024 ? std::to_string(bytes) + " B" : std::to_string(bytes >> 20) + " MiB"),
           Median(500, [&] {
             void* block = nullptr;
             const auto start = Clock::now();
             CHECK(cudaMalloc(&block, bytes));
             CHECK(cudaFree(block));
             return MicrosecondsSince(start);
           }));
  }
}

void MeasureEvents() {
  cudaEvent_t event;
  CHECK(cudaEventCreate(&event));
  Report("event record + synchronize", Median(2000, [&] {
           const auto start = Clock::now();
           CHECK(cudaEventRecord(event));
           CHECK(cudaEventSynchronize(event));
           return MicrosecondsSince(start);
         }));
  CHECK(cudaEventDestroy(event));
}

}  // namespace

int main() {
  const auto start = Clock::now();
  float* device = nullptr;
  CHECK(cudaMalloc(&device, 64 << 20));
  Report("first call (initialisation)", MicrosecondsSince(start));
  CHECK(cudaMemset(device, 0, 64 << 20));
  Tiny<<<1, 32>>>(device, device, device, 32, 1, 2, 3, 4);
  CHECK(cudaDeviceSynchronize());
  std::vector<char> host(64 << 20, 1);
  MeasureLaunches(device);
  MeasureCopies(device, host);
  MeasurePinned(device);
  MeasureAllocation();
  MeasureEvents();
  std::printf("\n}\n");
  return 0;
}
