// Programs of many threads for remoting_test.py, one case per argument: what one thread waits for keeps no other from
// working. Prints `ok`, or what went wrong and exits with 1; hangs where a thread is kept waiting for good.

#include <sched.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "driver_api.h"

namespace {

constexpr unsigned kNonBlocking = 1;

[[noreturn]] void Complain(const char* what, unsigned got) {
  std::printf("%s: %u\n", what, got);
  std::exit(1);
}
void Ok(CUresult result, const char* call) {
  if (result != CUDA_SUCCESS) Complain(call, result);
}
#define OK(call) Ok(call, #call)

CUcontext context;

void Setup() {
  OK(cuInit(0));
  OK(cuDevicePrimaryCtxRetain(&context, 0));
  OK(cuCtxSetCurrent(context));
}

std::vector<std::thread> Start(int count, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i)
    threads.emplace_back([body, i] {
      OK(cuCtxSetCurrent(context));
      body(i);
    });
  return threads;
}
void Join(std::vector<std::thread>& threads) {
  for (std::thread& thread : threads) thread.join();
}

// A stream in which everything issued after it waits until Open.
class HeldStream {
 public:
  HeldStream() {
    OK(cuStreamCreate(&stream_, kNonBlocking));
    OK(cuLaunchHostFunc(stream_, [](void* open) { static_cast<std::atomic<bool>*>(open)->wait(false); }, &open_));
  }
  ~HeldStream() { OK(cuStreamDestroy_v2(stream_)); }
  CUstream get() const { return stream_; }
  void Open() {
    open_.store(true);
    open_.notify_all();
  }

 private:
  CUstream stream_;
  std::atomic<bool> open_{false};
};

constexpr size_t kBytes = 1 << 20;

// What a program does on a stream of its own, with every kind of answer that it waits for, and kBytes at `p`.
void WorkOn(CUstream stream, CUdeviceptr p) {
  size_t free_bytes, total_bytes;
  std::vector<uint32_t> out(kBytes / 4), in(kBytes / 4);
  for (uint32_t& value : out) value = static_cast<uint32_t>(&value - out.data());
  for (int i = 0; i < 20; ++i) {
    OK(cuMemsetD32Async(p, 7, 1, stream));
    OK(cuMemGetInfo_v2(&free_bytes, &total_bytes));
    OK(cuMemcpyDtoHAsync_v2(in.data(), p, 4, stream));
    if (in[0] != 7) Complain("a word is", in[0]);
    OK(cuMemcpyHtoDAsync_v2(p, out.data(), out.size() * 4, stream));
    OK(cuMemcpyDtoHAsync_v2(in.data(), p, in.size() * 4, stream));
    if (in != out) Complain("a copy comes back changed, round", static_cast<unsigned>(i));
    OK(cuStreamSynchronize(stream));
  }
}

// On a stream and memory of its own. Freeing waits for the device, as CUDA does.
void Work(int rounds) {
  CUstream stream;
  CUdeviceptr p;
  OK(cuStreamCreate(&stream, kNonBlocking));
  OK(cuMemAlloc_v2(&p, kBytes));
  for (int i = 0; i < rounds; ++i) WorkOn(stream, p);
  OK(cuMemFree_v2(p));
  OK(cuStreamDestroy_v2(stream));
}

// More threads than there are reply slots wait for events, streams and one another; none of that may keep the main
// thread, on which they all depend, from working.
void Waiting() {
  Setup();
  HeldStream held;
  CUevent event;
  CUstream stream;
  CUdeviceptr p;
  OK(cuMemAlloc_v2(&p, kBytes));
  OK(cuEventCreate(&event, 0));
  OK(cuEventRecord(event, held.get()));
  OK(cuStreamCreate(&stream, kNonBlocking));
  std::atomic<int> waiting{0};
  auto threads = Start(200, [&](int i) {
    waiting.fetch_add(1);
    if (i % 2 == 0)
      OK(cuEventSynchronize(event));
    else
      OK(cuStreamSynchronize(held.get()));
    OK(cuEventQuery(event));
  });
  while (waiting.load() < 200) ::sched_yield();
  for (int i = 0; i < 3; ++i) WorkOn(stream, p);
  if (cuEventQuery(event) != CUDA_ERROR_NOT_READY) Complain("the event happened before its stream was let go", 0);
  held.Open();
  Join(threads);
  OK(cuEventDestroy_v2(event));
  OK(cuStreamDestroy_v2(stream));
}

// More threads than there are staging chunks copy at once.
void Copying() {
  Setup();
  auto threads = Start(24, [](int) { Work(3); });
  Join(threads);
}

// A thread's default stream goes with the thread: its name is used again.
void ThreadStreams() {
  Setup();
  std::set<uint32_t> slots;
  for (int i = 0; i < 500; ++i) {
    auto threads = Start(1, [&](int) {
      unsigned long long id = 0;
      OK(cuStreamSynchronize_ptsz(nullptr));
      OK(cuStreamGetId_ptsz(nullptr, &id));
      slots.insert(static_cast<uint32_t>(id));
    });
    Join(threads);
  }
  if (slots.size() > 2) Complain("streams of 500 threads, one at a time, have this many names", slots.size());
}

// Threads come and go while others work, as in a server of many requests.
void ComingAndGoing() {
  Setup();
  std::atomic<bool> stop{false};
  auto workers = Start(4, [&](int) {
    while (!stop.load()) Work(1);
  });
  for (int round = 0; round < 20; ++round) {
    auto visitors = Start(20, [](int) {
      CUevent event;
      OK(cuEventCreate(&event, 0));
      OK(cuEventRecord(event, CuStreamPerThread()));
      OK(cuEventSynchronize(event));
      OK(cuEventDestroy_v2(event));
    });
    Join(visitors);
  }
  stop.store(true);
  Join(workers);
}

// Threads load, look up and unload modules of their own: one's unloading gives the name of its kernel to the next.
void Modules() {
  Setup();
  auto threads = Start(8, [](int) {
    for (int i = 0; i < 1000; ++i) {
      CUmodule module;
      CUfunction add;
      OK(cuModuleLoadData(&module, kAddPtx));
      OK(cuModuleGetFunction(&add, module, "add"));
      OK(cuModuleUnload(module));
    }
  });
  Join(threads);
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, void (*)()> cases = {{"waiting", Waiting},
                                                   {"copying", Copying},
                                                   {"thread-streams", ThreadStreams},
                                                   {"coming-and-going", ComingAndGoing},
                                                   {"modules", Modules}};
  const auto found = cases.find(argc > 1 ? argv[1] : "");
  if (found == cases.end()) return 2;
  found->second();
  std::printf("ok\n");
  return 0;
}
