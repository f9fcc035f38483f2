// C = A + B through the CUDA runtime, with the payload of the original system's example.
//
// Payload: "sleep-time" (microseconds spent on the CPU first, default 0), "vec-elements" (default 65536),
// "data-transfers" (how often both inputs are copied to the device, default 1), "seed" (default 1).
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "cuda_check.h"

namespace {

constexpr long long kMaxElements = 1LL << 28;

__global__ void VectorAdd(const float* a, const float* b, float* c, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) c[i] = a[i] + b[i];
}

struct Options {
  long long sleep_us, elements, transfers;
};

int Add(const Options& options, const std::vector<float>& a, const std::vector<float>& b, std::vector<float>& c) {
  example::DeviceArray<float> device_a(a.size()), device_b(b.size()), device_c(c.size());
  EXAMPLE_CUDA(device_a.Status());
  EXAMPLE_CUDA(device_b.Status());
  EXAMPLE_CUDA(device_c.Status());
  std::this_thread::sleep_for(std::chrono::microseconds(options.sleep_us));
  for (long long i = 0; i < options.transfers; ++i) {
    EXAMPLE_CUDA(device_a.Upload(a));
    EXAMPLE_CUDA(device_b.Upload(b));
  }
  const int count = static_cast<int>(a.size());
  VectorAdd<<<(count + 255) / 256, 256>>>(device_a.data(), device_b.data(), device_c.data(), count);
  EXAMPLE_CUDA(cudaGetLastError());
  EXAMPLE_CUDA(device_c.Download(c));
  return 0;
}

}  // namespace

int example::Run(std::string_view text, std::string& result) {
  const auto payload = Payload::Parse(text);
  if (!payload) return Fail("The payload is not a JSON object of numbers.");
  const Options options{payload->Number("sleep-time", 0), payload->Number("vec-elements", 65536),
                        payload->Number("data-transfers", 1)};
  if (options.elements < 1 || options.elements > kMaxElements)
    return Fail("vec-elements is %lld (allowed: 1 to %lld).", options.elements, kMaxElements);
  if (options.transfers < 1) return Fail("data-transfers is %lld (allowed: 1 or more).", options.transfers);
  if (options.sleep_us < 0) return Fail("sleep-time is %lld (allowed: 0 or more).", options.sleep_us);

  std::vector<float> a(options.elements), b(options.elements), c(options.elements);
  Sequence values(static_cast<unsigned>(payload->Number("seed", 1)));
  for (float& value : a) value = values.NextUnit();
  for (float& value : b) value = values.NextUnit();
  if (const int status = Add(options, a, b, c); status != 0) return status;

  double sum = 0;
  for (long long i = 0; i < options.elements; ++i) {
    if (c[i] != a[i] + b[i]) return Fail("Element %lld is %.9g (expected %.9g).", i, c[i], a[i] + b[i]);
    sum += c[i];
  }
  result =
      "{\"result\":\"ok\",\"elements\":" + std::to_string(options.elements) + ",\"sum\":" + std::to_string(sum) + "}";
  return 0;
}
