// Functions that share a GPU in every way, for the tests of this folder and bench/sharing.py. Each takes a JSON object
// of whole numbers and answers with one. What it computes follows from the numbers alone, so that its caller can tell
// whether the answer is right (work.py). Times in an answer are of CLOCK_MONOTONIC, in nanoseconds, the same clock in
// every process of a machine.
#include <time.h>

#include <chrono>
#include <cstring>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <mignificient/function.hpp>

#include "example.h"  // of examples/common
#include "gpu.h"

namespace sharing {
namespace {

using example::Payload;
using example::Sequence;
using mignificient::Invocation;

constexpr unsigned kThreads = 128;

uint64_t Now(clockid_t clock = CLOCK_MONOTONIC) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1000000000u + static_cast<uint64_t>(time.tv_nsec);
}

// The GPU is not used meanwhile. Busy: by the time that this thread has had a CPU, so that who shares one takes longer.
void SpendCpu(long long microseconds, bool asleep) {
  if (asleep) return std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
  const uint64_t end = Now(CLOCK_THREAD_CPUTIME_ID) + static_cast<uint64_t>(microseconds) * 1000;
  while (Now(CLOCK_THREAD_CPUTIME_ID) < end) {
  }
}

unsigned Blocks(uint32_t count) {
  return (count + kThreads - 1) / kThreads;
}

uint32_t ChecksumOf(const std::vector<uint32_t>& words) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < words.size(); ++i) sum += (i + 1) * words[i];
  return sum;
}

// The words start + i x step.
void Fill(std::vector<uint32_t>& words, uint32_t start, uint32_t step) {
  for (uint32_t i = 0; i < words.size(); ++i) words[i] = start + i * step;
}

class Numbers {
 public:
  explicit Numbers(const Invocation& invocation) {
    const auto payload =
        Payload::Parse({reinterpret_cast<const char*>(invocation.payload.data), invocation.payload.size});
    if (!payload) throw std::invalid_argument("The payload is not a JSON object of numbers.");
    payload_ = *payload;
  }
  uint32_t Get(const char* name, uint32_t otherwise, uint32_t least, uint32_t most) const {
    const long long number = payload_.Number(name, otherwise);
    if (number < least || number > most)
      throw std::invalid_argument(std::string(name) + " is " + std::to_string(number) +
                                  " (allowed: " + std::to_string(least) + " to " + std::to_string(most) + ").");
    return static_cast<uint32_t>(number);
  }

 private:
  Payload payload_;
};

int Answer(const Invocation& invocation, std::initializer_list<std::pair<const char*, uint64_t>> numbers,
           const std::vector<uint64_t>& kernel_times = {}) {
  std::string text = "{";
  for (const auto& [name, number] : numbers)
    text += (text.size() > 1 ? ",\"" : "\"") + std::string(name) + "\":" + std::to_string(number);
  for (size_t i = 0; i < kernel_times.size(); ++i)
    text += (i == 0 ? ",\"kernel_times\":[" : ",") + std::to_string(kernel_times[i]);
  text += kernel_times.empty() ? "}" : "]}";
  if (text.size() > invocation.result.capacity) throw std::length_error("The answer is larger than the result area.");
  std::memcpy(invocation.result.data, text.data(), text.size());
  return static_cast<int>(text.size());
}

// Random CPU time, copies and kernels. The order of draws from the sequence is that of work.py. One kernel per copy
// takes its own time by the device's clock: the answer has begin and end of each, which tells who used the device when.
int Mixed(Invocation invocation) {
  const uint64_t begin = Now();
  const Numbers numbers(invocation);
  Sequence random(numbers.Get("seed", 1, 0, ~0u));
  const uint32_t copies = numbers.Get("copies", 2, 1, 1000), kernels = numbers.Get("kernels", 2, 0, 1000);
  const uint32_t rounds = numbers.Get("rounds", 4, 0, 1u << 30), cpu_us = numbers.Get("cpu_us", 0, 0, 10000000);
  const uint32_t yields = numbers.Get("yields", 0, 0, 100);                 // when the GPU is not needed any more
  const bool yields_between = numbers.Get("yields_between", 0, 0, 1) != 0;  // after each copy back: it is needed again
  const auto spend = [&] {
    const uint32_t draw = random.Next();
    SpendCpu(draw % (2 * cpu_us + 1), draw >> 31 != 0);
  };
  std::vector<uint32_t> words(numbers.Get("bytes", 4096, 4, 1u << 30) / 4);
  const auto count = static_cast<uint32_t>(words.size());
  const uint32_t timed_rounds = numbers.Get("timed_rounds", 100, 0, 1u << 30);
  std::vector<uint64_t> kernel_times(size_t{copies} * 2);
  uint32_t on_host = 0, on_device = 0;
  spend();
  const DeviceMemory memory(count * sizeof(uint32_t)), total(sizeof on_device);
  const DeviceMemory times(kernel_times.size() * sizeof(uint64_t));
  Zero(total.address(), sizeof on_device);
  for (uint32_t copy = 0; copy < copies; ++copy) {
    const uint32_t start = random.Next(), step = random.Next();
    Fill(words, start, step);
    Upload(memory.address(), words.data(), count * sizeof(uint32_t));
    for (uint32_t kernel = 0; kernel < kernels; ++kernel)
      Launch(Kernel::kMix, Blocks(count), kThreads, memory.address(), count, rounds);
    Launch(Kernel::kTimed, 1, 1, times.address() + copy * 2 * sizeof(uint64_t), timed_rounds);
    Launch(Kernel::kChecksum, Blocks(count), kThreads, memory.address(), count, total.address());
    spend();  // while the GPU works
    Download(words.data(), memory.address(), count * sizeof(uint32_t));
    on_host += ChecksumOf(words);
    if (yields_between) invocation.gpu_yield();
  }
  Download(&on_device, total.address(), sizeof on_device);
  Download(kernel_times.data(), times.address(), kernel_times.size() * sizeof(uint64_t));
  if (on_device != on_host)
    throw std::runtime_error("The device's checksum " + std::to_string(on_device) + " is not the host's, " +
                             std::to_string(on_host) + ".");
  for (uint32_t i = 0; i < yields; ++i) {
    invocation.gpu_yield();
    spend();
  }
  return Answer(invocation, {{"checksum", on_device}, {"begin", begin}, {"end", Now()}}, kernel_times);
}

// Many tiny kernels, each waited for: what counts is how long one launch with its wait takes.
int Tiny(Invocation invocation) {
  const Numbers numbers(invocation);
  const uint32_t launches = numbers.Get("launches", 100, 1, 1000000), count = kThreads;
  std::vector<uint32_t> words(count);
  Fill(words, numbers.Get("seed", 1, 0, ~0u), 1);
  const DeviceMemory memory(count * sizeof(uint32_t));
  Upload(memory.address(), words.data(), count * sizeof(uint32_t));
  const uint64_t begin = Now();
  for (uint32_t i = 0; i < launches; ++i) {
    Launch(Kernel::kMix, 1, kThreads, memory.address(), count, uint32_t{1});
    Synchronize();
  }
  const uint64_t spent = Now() - begin;
  Download(words.data(), memory.address(), count * sizeof(uint32_t));
  return Answer(invocation, {{"checksum", ChecksumOf(words)}, {"loop_ns", spent}});
}

// `cpu_us` on the CPU, then kernels: `rounds` over `words` words. The caller chooses rounds so that both take as long.
int Half(Invocation invocation) {
  const Numbers numbers(invocation);
  const uint32_t cpu_us = numbers.Get("cpu_us", 5000, 0, 10000000), asleep = numbers.Get("asleep", 0, 0, 1);
  const uint32_t kernels = numbers.Get("kernels", 4, 1, 1000), rounds = numbers.Get("rounds", 1000, 0, 1u << 30);
  std::vector<uint32_t> words(numbers.Get("words", 1u << 16, 1, 1u << 26));
  const auto count = static_cast<uint32_t>(words.size());
  Fill(words, numbers.Get("seed", 1, 0, ~0u), 1);
  const uint64_t begin = Now();
  SpendCpu(cpu_us, asleep != 0);
  const uint64_t middle = Now();
  const DeviceMemory memory(count * sizeof(uint32_t));
  Upload(memory.address(), words.data(), count * sizeof(uint32_t));
  for (uint32_t kernel = 0; kernel < kernels; ++kernel)
    Launch(Kernel::kMix, Blocks(count), kThreads, memory.address(), count, rounds);
  Download(words.data(), memory.address(), count * sizeof(uint32_t));
  const uint64_t end = Now();
  return Answer(invocation, {{"checksum", ChecksumOf(words)}, {"cpu_ns", middle - begin}, {"gpu_ns", end - middle}});
}

// Breadth-first search from vertex 0 over a long, narrow graph: two small copies and a small kernel per level. An edge
// leads to one of the next 16 vertices, of a ring of a power of two.
int Bfs(Invocation invocation) {
  const Numbers numbers(invocation);
  const uint32_t vertices = 1u << numbers.Get("log2_vertices", 12, 5, 24), degree = numbers.Get("degree", 4, 1, 64);
  Sequence random(numbers.Get("seed", 1, 0, ~0u));
  std::vector<uint32_t> targets(size_t{vertices} * degree), levels(vertices, ~0u);
  for (size_t edge = 0; edge < targets.size(); ++edge)
    targets[edge] = (static_cast<uint32_t>(edge / degree) + 1 + (random.Next() & 15)) & (vertices - 1);
  levels[0] = 0;
  const DeviceMemory edges(targets.size() * sizeof(uint32_t)), found(vertices * sizeof(uint32_t));
  const DeviceMemory counter(sizeof(uint32_t));
  Upload(edges.address(), targets.data(), targets.size() * sizeof(uint32_t));
  Upload(found.address(), levels.data(), vertices * sizeof(uint32_t));
  uint32_t depth = 0, reached = 1;
  for (uint32_t more = 1; more != 0; ++depth) {
    Zero(counter.address(), sizeof(uint32_t));
    Launch(Kernel::kExpand, Blocks(vertices), kThreads, edges.address(), found.address(), vertices, degree, depth,
           counter.address());
    Download(&more, counter.address(), sizeof more);
    reached += more;
  }
  Download(levels.data(), found.address(), vertices * sizeof(uint32_t));
  return Answer(invocation, {{"checksum", ChecksumOf(levels)}, {"reached", reached}, {"depth", depth}});
}

// A stencil, `steps` times over a square grid: many kernels that need no answer in between.
int Hotspot(Invocation invocation) {
  const Numbers numbers(invocation);
  const uint32_t side = 1u << numbers.Get("log2_side", 9, 2, 12), steps = numbers.Get("steps", 200, 0, 1000000);
  std::vector<uint32_t> cells(size_t{side} * side);
  Fill(cells, numbers.Get("seed", 1, 0, ~0u), 2654435761u);
  const auto count = static_cast<uint32_t>(cells.size());
  const DeviceMemory a(count * sizeof(uint32_t)), b(count * sizeof(uint32_t));
  Upload(a.address(), cells.data(), count * sizeof(uint32_t));
  Address from = a.address(), to = b.address();
  for (uint32_t step = 0; step < steps; ++step) {
    Launch(Kernel::kRelax, Blocks(count), kThreads, from, to, side);
    std::swap(from, to);
  }
  Download(cells.data(), from, count * sizeof(uint32_t));
  return Answer(invocation, {{"checksum", ChecksumOf(cells)}});
}

}  // namespace
}  // namespace sharing

extern "C" {
int mixed(mignificient::Invocation invocation) {
  return sharing::Mixed(invocation);
}
int tiny(mignificient::Invocation invocation) {
  return sharing::Tiny(invocation);
}
int half(mignificient::Invocation invocation) {
  return sharing::Half(invocation);
}
int bfs(mignificient::Invocation invocation) {
  return sharing::Bfs(invocation);
}
int hotspot(mignificient::Invocation invocation) {
  return sharing::Hotspot(invocation);
}
}
