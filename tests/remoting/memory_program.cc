// A CUDA program for remoting_test.py about device memory: pools, stream-ordered allocation, and virtual memory
// management. One case per argument. Prints what it observes, the same natively and remoted, and `ok` last; exits with
// 1 where memory holds what it should not.

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "driver_api.h"

namespace {

constexpr size_t kMiB = 1 << 20;
constexpr unsigned kNonBlocking = 1;

[[noreturn]] void Wrong(const std::string& what) {
  std::printf("%s\n", what.c_str());
  std::exit(1);
}

void Expect(CUresult result, const char* what) {
  if (result != CUDA_SUCCESS) Wrong(std::string(what) + " answers " + std::to_string(result));
}
#define OK(call) Expect(call, #call)

// What the driver answers to a call that should not work, to be compared between native and remoted.
#define SHOW(call) std::printf("%s: %u\n", #call, static_cast<unsigned>(call))

CUcontext context;

void Setup() {
  CUdevice device;
  OK(cuInit(0));
  OK(cuDeviceGet(&device, 0));
  OK(cuDevicePrimaryCtxRetain(&context, device));
  OK(cuCtxSetCurrent(context));
}

CUstream Stream() {
  CUstream stream;
  OK(cuStreamCreate(&stream, kNonBlocking));
  return stream;
}

void Fill(CUdeviceptr p, uint32_t value, size_t bytes, CUstream stream) {
  OK(cuMemsetD32Async(p, value, bytes / 4, stream));
}

void Check(CUdeviceptr p, uint32_t value, size_t bytes, CUstream stream) {
  std::vector<uint32_t> host(bytes / 4);
  OK(cuMemcpyDtoHAsync_v2(host.data(), p, bytes, stream));
  OK(cuStreamSynchronize(stream));
  for (const uint32_t word : host)
    if (word != value) Wrong("memory holds " + std::to_string(word) + " instead of " + std::to_string(value));
}

uint64_t Attribute(CUmemoryPool pool, int attribute) {
  uint64_t value = 0;
  OK(cuMemPoolGetAttribute(pool, attribute, &value));
  return value;
}

CUmemPoolProps PoolProps(size_t max_bytes = 0) {
  CUmemPoolProps props{};
  props.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  props.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  props.max_bytes = max_bytes;
  return props;
}

// --- Pools ----------------------------------------------------------------------------------------------------------

void Attributes() {
  Setup();
  const auto show = [](const char* what, int attribute) {
    int value = -1;
    OK(cuDeviceGetAttribute(&value, attribute, 0));
    std::printf("%s: %d\n", what, value);
  };
  show("pools", CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED);
  show("virtual memory management", CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED);
}

void Pools() {
  Setup();
  CUmemoryPool pool, current;
  const CUstream stream = Stream();
  OK(cuDeviceGetDefaultMemPool(&pool, 0));
  OK(cuDeviceGetMemPool(&current, 0));
  std::printf("the default pool is current: %d\n", pool == current);
  std::printf("threshold %llu\n", static_cast<unsigned long long>(Attribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD)));
  CUdeviceptr p, q;
  OK(cuMemAllocAsync(&p, 3 * kMiB, stream));
  OK(cuMemAllocAsync(&q, kMiB, stream));
  Fill(p, 1, 3 * kMiB, stream);
  Fill(q, 2, kMiB, stream);
  Check(p, 1, 3 * kMiB, stream);
  Check(q, 2, kMiB, stream);
  const auto used = [&] { return static_cast<unsigned long long>(Attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT)); };
  const auto reserved = [&] { return Attribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT); };
  std::printf("used %llu\n", used());
  std::printf("reserved as much at least: %d\n", reserved() >= used());
  CUmemoryPool of_pointer = nullptr;
  unsigned type = 0;
  size_t size = 0;
  CUdeviceptr base = 0;
  OK(cuPointerGetAttribute(&of_pointer, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, p + 100));
  OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p + 100));
  OK(cuMemGetAddressRange_v2(&base, &size, p + 100));
  std::printf("pool of the pointer: %d, type %u, range %d %zu\n", of_pointer == pool, type, base == p, size);
  OK(cuMemFreeAsync(p, stream));
  OK(cuMemFreeAsync(q, stream));
  std::printf("used after the frees %llu\n", used());
  OK(cuStreamSynchronize(stream));
  std::printf("reserved after synchronisation %llu\n", static_cast<unsigned long long>(reserved()));
  std::printf("most used %llu\n", static_cast<unsigned long long>(Attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH)));
  uint64_t value = 0;
  OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &value));
  std::printf("most used since the reset %llu\n",
              static_cast<unsigned long long>(Attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH)));
  value = ~uint64_t{0};
  OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &value));
  OK(cuMemAllocAsync(&p, kMiB, stream));
  OK(cuMemFreeAsync(p, stream));
  OK(cuStreamSynchronize(stream));
  std::printf("kept below the threshold: %d\n", reserved() > 0);
  OK(cuMemPoolTrimTo(pool, 0));
  std::printf("reserved after the trim %llu\n", static_cast<unsigned long long>(reserved()));
}

void PoolErrors() {
  Setup();
  CUmemoryPool pool, other;
  CUdeviceptr p = 0;
  const CUstream stream = Stream();
  const CUmemPoolProps props = PoolProps();
  OK(cuMemPoolCreate(&pool, &props));
  OK(cuDeviceGetDefaultMemPool(&other, 0));
  uint64_t value = 5;
  int flags = 0;
  CUmemLocation here{CU_MEM_LOCATION_TYPE_DEVICE, 0};
  OK(cuMemPoolGetAccess(&flags, pool, &here));
  std::printf("access %d\n", flags);
  SHOW(cuMemPoolCreate(nullptr, &props));
  SHOW(cuMemPoolCreate(&other, nullptr));
  SHOW(cuMemPoolDestroy(other));
  SHOW(cuMemPoolDestroy(nullptr));
  SHOW(cuMemPoolGetAttribute(pool, 99, &value));
  SHOW(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &value));
  SHOW(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &value));
  SHOW(cuMemAllocAsync(nullptr, 64, stream));
  SHOW(cuMemAllocAsync(&p, 0, stream));
  SHOW(cuMemAllocAsync(&p, size_t{1} << 50, stream));
  SHOW(cuMemAllocFromPoolAsync(&p, 64, nullptr, stream));
  SHOW(cuMemFreeAsync(0, stream));
  SHOW(cuMemFreeAsync(0x1234, stream));
  SHOW(cuDeviceSetMemPool(0, nullptr));
  CUmemAccessDesc none{here, CU_MEM_ACCESS_FLAGS_PROT_NONE}, full{here, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  SHOW(cuMemPoolSetAccess(pool, &none, 1));
  SHOW(cuMemPoolSetAccess(pool, &full, 1));
  int fd = -1;
  unsigned char data[64];
  SHOW(cuMemPoolExportToShareableHandle(&fd, pool, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
  OK(cuMemAllocFromPoolAsync(&p, 64, pool, stream));
  SHOW(cuMemPoolExportPointer(data, p));
  OK(cuDeviceSetMemPool(0, pool));
  // A pool is destroyed at once, and its memory when the last of it is freed.
  OK(cuMemPoolDestroy(pool));
  OK(cuDeviceGetMemPool(&pool, 0));
  std::printf("the default pool is current again: %d\n", pool == other);
  Fill(p, 7, 64, stream);
  Check(p, 7, 64, stream);
  OK(cuMemFreeAsync(p, stream));
  OK(cuStreamSynchronize(stream));
}

// Each kind of memory may be freed by the other kind's function.
void MixedFrees() {
  Setup();
  const CUstream stream = Stream();
  for (int i = 0; i < 50; ++i) {
    CUdeviceptr p, q;
    OK(cuMemAlloc_v2(&p, kMiB));
    OK(cuMemAllocAsync(&q, kMiB, stream));
    Fill(p, 2 * i, kMiB, stream);
    Fill(q, 2 * i + 1, kMiB, stream);
    Check(p, 2 * i, kMiB, stream);
    Check(q, 2 * i + 1, kMiB, stream);
    OK(cuMemFreeAsync(p, stream));
    OK(cuMemFree_v2(q));
  }
}

// A host function that waits for the program, as work that takes long.
struct Hold {
  std::atomic<bool> running{false}, over{false};
  static void Run(void* self) {
    auto& hold = *static_cast<Hold*>(self);
    hold.running = true;
    hold.running.notify_all();
    hold.over.wait(false);
  }
  void End() {
    over = true;
    over.notify_all();
  }
};

// Memory freed in a stream whose work is not done is given to no other stream: there it would be written too early.
void Streams() {
  Setup();
  const CUstream slow = Stream(), quick = Stream();
  constexpr size_t kBytes = 4 * kMiB;
  for (int i = 0; i < 20; ++i) {
    Hold hold;
    CUdeviceptr p, q, copy;
    OK(cuMemAllocAsync(&copy, kBytes, slow));
    OK(cuMemAllocAsync(&p, kBytes, slow));
    Fill(p, 100 + i, kBytes, slow);
    OK(cuLaunchHostFunc(slow, Hold::Run, &hold));
    OK(cuMemcpyDtoDAsync_v2(copy, p, kBytes, slow));
    OK(cuMemFreeAsync(p, slow));
    hold.running.wait(false);
    OK(cuMemAllocAsync(&q, kBytes, quick));
    std::thread ends([&] { hold.End(); });  // where the driver lets `quick` wait for `slow`
    Fill(q, 200 + i, kBytes, quick);
    Check(q, 200 + i, kBytes, quick);
    ends.join();
    Check(copy, 100 + i, kBytes, slow);
    OK(cuMemFreeAsync(q, quick));
    OK(cuMemFreeAsync(copy, slow));
  }
}

// Threads that allocate in their streams and free what others have allocated, ordered by events.
void Threads() {
  Setup();
  constexpr int kThreads = 4, kRounds = 100;
  struct Slot {
    CUdeviceptr p = 0;
    size_t bytes = 0;
    uint32_t value = 0;
    CUevent written = nullptr;
    std::atomic<int> round{0};
  };
  static Slot slots[kThreads];
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([t] {
      OK(cuCtxSetCurrent(context));
      const CUstream stream = Stream();
      Slot& mine = slots[t];
      Slot& next = slots[(t + 1) % kThreads];
      OK(cuEventCreate(&mine.written, CU_EVENT_DISABLE_TIMING));
      for (int i = 0; i < kRounds; ++i) {
        mine.bytes = 4096 * (1 + (i * 7 + t * 13) % 300);
        mine.value = static_cast<uint32_t>(i * kThreads + t);
        OK(cuMemAllocAsync(&mine.p, mine.bytes, stream));
        Fill(mine.p, mine.value, mine.bytes, stream);
        OK(cuEventRecord(mine.written, stream));
        mine.round = 2 * i + 1;  // ready for the thread before
        mine.round.notify_all();
        for (int seen = next.round; seen < 2 * i + 1; seen = next.round) next.round.wait(seen);
        OK(cuStreamWaitEvent(stream, next.written, 0));
        Check(next.p, next.value, next.bytes, stream);
        OK(cuMemFreeAsync(next.p, stream));
        next.round = 2 * i + 2;  // taken
        next.round.notify_all();
        for (int seen = mine.round; seen < 2 * i + 2; seen = mine.round) mine.round.wait(seen);
      }
      OK(cuStreamSynchronize(stream));
      OK(cuStreamDestroy_v2(stream));
    });
  for (std::thread& thread : threads) thread.join();
  CUmemoryPool pool;
  OK(cuDeviceGetDefaultMemPool(&pool, 0));
  std::printf("used in the end %llu\n",
              static_cast<unsigned long long>(Attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT)));
}

// Nearly all memory, by every kind of allocation in turn: what one has given back is there for the next.
void Pressure() {
  Setup();
  const CUstream stream = Stream(), other = Stream();
  size_t free_bytes = 0, total_bytes = 0;
  OK(cuMemGetInfo_v2(&free_bytes, &total_bytes));
  const size_t most = free_bytes / 10 * 7 / (32 * kMiB) * (32 * kMiB);
  uint64_t keep_all = ~uint64_t{0};
  CUmemoryPool pool;
  OK(cuDeviceGetDefaultMemPool(&pool, 0));
  OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep_all));
  CUmemAllocationProp prop{};
  prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  prop.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  for (int i = 0; i < 3; ++i) {
    CUdeviceptr p;
    CUmemGenericAllocationHandle handle;
    OK(cuMemAllocAsync(&p, most, stream));
    Fill(p, 1, most, stream);
    OK(cuMemFreeAsync(p, stream));
    OK(cuMemAllocAsync(&p, most + 2 * kMiB, other));
    Fill(p, 2, most, other);
    OK(cuMemFreeAsync(p, other));
    OK(cuCtxSynchronize());
    OK(cuMemAlloc_v2(&p, most));
    Fill(p, 3, most, stream);
    OK(cuStreamSynchronize(stream));
    OK(cuMemFree_v2(p));
    OK(cuMemCreate(&handle, most, &prop, 0));
    CUdeviceptr none;
    SHOW(cuMemAllocAsync(&none, most, stream));
    SHOW(cuMemAlloc_v2(&none, most));
    OK(cuMemRelease(handle));
  }
}

// Not natively: there, a thread in cuMemFree may hold up the others.
void Fence() {
  Setup();
  const CUstream slow = Stream(), quick = Stream(), doomed = Stream();
  Hold hold, other_hold;
  CUdeviceptr p, kept;
  OK(cuMemAlloc_v2(&p, 8 * kMiB));
  OK(cuMemAlloc_v2(&kept, kMiB));
  Fill(p, 1, 8 * kMiB, slow);
  OK(cuLaunchHostFunc(slow, Hold::Run, &hold));
  hold.running.wait(false);
  OK(cuLaunchHostFunc(doomed, Hold::Run, &other_hold));
  OK(cuStreamDestroy_v2(doomed));  // its work goes on
  std::atomic<bool> has{false};
  std::thread thread([&] {
    OK(cuCtxSetCurrent(context));
    OK(cuMemFree_v2(p));
    CUdeviceptr again;
    OK(cuMemAlloc_v2(&again, 8 * kMiB));
    has = true;
    Fill(again, 9, 8 * kMiB, quick);
  });
  for (uint32_t i = 0; i < 200; ++i) {
    Fill(kept, i, kMiB, quick);
    Check(kept, i, kMiB, quick);
  }
  std::printf("other threads go on; the memory is used again before its work is over: %d\n", has.load());
  hold.End();
  other_hold.End();
  thread.join();
  OK(cuCtxSynchronize());
}

// An allocation that is captured is a node; its memory is the graph's.
void Capture() {
  Setup();
  const CUstream stream = Stream();
  CUdeviceptr result, p = 0;
  OK(cuMemAlloc_v2(&result, kMiB));
  OK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
  OK(cuMemAllocAsync(&p, kMiB, stream));
  Fill(p, 41, kMiB, stream);
  OK(cuMemcpyDtoDAsync_v2(result, p, kMiB, stream));
  OK(cuMemFreeAsync(p, stream));
  CUgraph graph;
  OK(cuStreamEndCapture(stream, &graph));
  size_t nodes = 0;
  OK(cuGraphGetNodes(graph, nullptr, &nodes));
  std::printf("nodes %zu\n", nodes);
  CUgraphExec exec;
  OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
  for (int i = 0; i < 3; ++i) {
    Fill(result, 0, kMiB, stream);
    OK(cuGraphLaunch(exec, stream));
    Check(result, 41, kMiB, stream);
  }
  OK(cuGraphExecDestroy(exec));
  OK(cuGraphDestroy(graph));
  // Memory that the graph leaves allocated is freed outside.
  OK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
  OK(cuMemAllocAsync(&p, kMiB, stream));
  Fill(p, 43, kMiB, stream);
  OK(cuStreamEndCapture(stream, &graph));
  OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
  for (int i = 0; i < 3; ++i) {
    OK(cuGraphLaunch(exec, stream));
    Check(p, 43, kMiB, stream);
    OK(cuMemFreeAsync(p, stream));
  }
  OK(cuStreamSynchronize(stream));
  OK(cuGraphExecDestroy(exec));
  OK(cuGraphDestroy(graph));
}

// --- Virtual memory management --------------------------------------------------------------------------------------

CUmemAllocationProp Prop() {
  CUmemAllocationProp prop{};
  prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  prop.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  return prop;
}

size_t Granule() {
  size_t granule = 0;
  const CUmemAllocationProp prop = Prop();
  OK(cuMemGetAllocationGranularity(&granule, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
  return granule;
}

CUmemGenericAllocationHandle Create(size_t bytes) {
  CUmemGenericAllocationHandle handle = 0;
  const CUmemAllocationProp prop = Prop();
  OK(cuMemCreate(&handle, bytes, &prop, 0));
  return handle;
}

CUresult Allow(CUdeviceptr p, size_t bytes, int flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE) {
  const CUmemAccessDesc access{{CU_MEM_LOCATION_TYPE_DEVICE, 0}, flags};
  return cuMemSetAccess(p, bytes, &access, 1);
}

void Mappings() {
  Setup();
  const size_t granule = Granule();
  const CUstream stream = Stream();
  CUdeviceptr p;
  OK(cuMemAddressReserve(&p, 8 * granule, 0, 0, 0));
  std::printf("aligned: %d\n", p % granule == 0);
  const CUmemGenericAllocationHandle handle = Create(2 * granule);
  // The same memory twice: what is written through one mapping is read through the other.
  OK(cuMemMap(p, 2 * granule, 0, handle, 0));
  OK(cuMemMap(p + 4 * granule, 2 * granule, 0, handle, 0));
  OK(Allow(p, 2 * granule));
  OK(Allow(p + 4 * granule, 2 * granule));
  Fill(p, 5, 2 * granule, stream);
  Check(p + 4 * granule, 5, 2 * granule, stream);
  int mapped = -1;
  CUdeviceptr base = 0;
  size_t size = 0;
  OK(cuPointerGetAttribute(&base, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, p + 5 * granule));
  OK(cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, p + 5 * granule));
  std::printf("the range is the reservation: %d %zu\n", base == p, size / granule);
  OK(cuMemGetAddressRange_v2(&base, &size, p + 5 * granule));
  std::printf("the address range is the mapping: %d %zu\n", base == p + 4 * granule, size / granule);
  OK(cuPointerGetAttribute(&mapped, CU_POINTER_ATTRIBUTE_MAPPED, p + 5 * granule));
  std::printf("mapped %d\n", mapped);
  SHOW(cuPointerGetAttribute(&mapped, CU_POINTER_ATTRIBUTE_MAPPED, p + 3 * granule));
  unsigned long long flags = 0;
  const CUmemLocation here{CU_MEM_LOCATION_TYPE_DEVICE, 0};
  OK(cuMemGetAccess(&flags, &here, p + granule));
  std::printf("access %llu\n", flags);
  CUmemGenericAllocationHandle same = 0;
  OK(cuMemRetainAllocationHandle(&same, reinterpret_cast<void*>(p + granule)));
  std::printf("the retained handle is the same: %d\n", same == handle);
  CUmemAllocationProp prop{};
  OK(cuMemGetAllocationPropertiesFromHandle(&prop, handle));
  std::printf("properties %d %d %d %d\n", prop.type, prop.requested_handle_types, prop.location.type, prop.location.id);
  OK(cuMemRelease(same));
  OK(cuMemRelease(handle));
  // Without a handle the memory lives in its mappings.
  OK(cuMemUnmap(p, 2 * granule));
  Check(p + 4 * granule, 5, 2 * granule, stream);
  OK(cuMemUnmap(p + 4 * granule, 2 * granule));
  OK(cuMemAddressFree(p, 8 * granule));
}

void MappingErrors() {
  Setup();
  const size_t granule = Granule();
  CUdeviceptr p = 0, q = 0;
  CUmemGenericAllocationHandle handle = 0, none = 0;
  CUmemAllocationProp prop = Prop();
  SHOW(cuMemAddressReserve(nullptr, granule, 0, 0, 0));
  SHOW(cuMemAddressReserve(&p, 0, 0, 0, 0));
  SHOW(cuMemAddressReserve(&p, granule, 3, 0, 0));
  SHOW(cuMemAddressReserve(&p, granule, 0, 0, 1));
  SHOW(cuMemCreate(&handle, granule + 1, &prop, 0));
  SHOW(cuMemCreate(&handle, 0, &prop, 0));
  SHOW(cuMemCreate(&handle, granule, nullptr, 0));
  SHOW(cuMemCreate(&handle, granule, &prop, 1));
  prop.location.id = 99;
  SHOW(cuMemCreate(&handle, granule, &prop, 0));
  prop = Prop();
  prop.type = 0;
  SHOW(cuMemCreate(&handle, granule, &prop, 0));
  SHOW(cuMemRelease(none));
  OK(cuMemAddressReserve(&p, 8 * granule, 0, 0, 0));
  handle = Create(2 * granule);
  SHOW(Allow(p, granule));
  SHOW(cuMemMap(p, 3 * granule, 0, handle, 0));
  SHOW(cuMemMap(p + 1, granule, 0, handle, 0));
  SHOW(cuMemMap(p, granule, 0, none, 0));
  SHOW(cuMemMap(p + 7 * granule, 2 * granule, 0, handle, 0));
  OK(cuMemMap(p, 2 * granule, 0, handle, 0));
  SHOW(cuMemMap(p + granule, granule, 0, handle, 0));
  SHOW(cuMemUnmap(p, granule));
  SHOW(cuMemUnmap(p + 4 * granule, granule));
  SHOW(cuMemAddressFree(p, 8 * granule));
  SHOW(cuMemAddressFree(p, granule));
  SHOW(cuMemFree_v2(p));
  OK(cuMemAlloc_v2(&q, granule));
  SHOW(cuMemRetainAllocationHandle(&none, reinterpret_cast<void*>(q)));
  SHOW(cuMemUnmap(q, granule));
  OK(cuMemFree_v2(q));
  OK(cuMemUnmap(p, 2 * granule));
  OK(cuMemRelease(handle));
  OK(cuMemAddressFree(p, 8 * granule));
}

// As PyTorch's expandable segments: one reservation larger than the device, that grows and shrinks at its end.
void Expandable() {
  Setup();
  const CUstream stream = Stream();
  size_t free_bytes = 0, total_bytes = 0, after = 0;
  OK(cuMemGetInfo_v2(&free_bytes, &total_bytes));
  const size_t granule = Granule(), segment = (20 * kMiB + granule - 1) / granule * granule;
  const size_t reserved = (total_bytes + total_bytes / 8) / segment * segment;
  std::vector<CUdeviceptr> segments(8);
  for (CUdeviceptr& each : segments) OK(cuMemAddressReserve(&each, reserved, 0, 0, 0));
  const CUdeviceptr p = segments[3];
  CUmemAllocationProp prop = Prop();
  prop.requested_handle_types = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
  std::vector<CUmemGenericAllocationHandle> handles;
  for (int round = 0; round < 3; ++round) {
    while (handles.size() < 8) {
      CUmemGenericAllocationHandle handle;
      OK(cuMemCreate(&handle, segment, &prop, 0));
      OK(cuMemMap(p + handles.size() * segment, segment, 0, handle, 0));
      handles.push_back(handle);
    }
    OK(Allow(p, 8 * segment));
    Fill(p, 60 + round, 8 * segment, stream);  // across all of them
    Check(p, 60 + round, 8 * segment, stream);
    while (handles.size() > 2) {
      OK(cuMemUnmap(p + (handles.size() - 1) * segment, segment));
      OK(cuMemRelease(handles.back()));
      handles.pop_back();
    }
    Check(p, 60 + round, 2 * segment, stream);
  }
  // Until memory ends.
  CUresult result = CUDA_SUCCESS;
  size_t count = handles.size();
  for (; result == CUDA_SUCCESS; ++count) {
    CUmemGenericAllocationHandle handle;
    result = cuMemCreate(&handle, segment, &prop, 0);
    if (result == CUDA_SUCCESS) handles.push_back(handle);
  }
  std::printf("in the end: %u\n", static_cast<unsigned>(result));
  OK(cuMemUnmap(p, 2 * segment));
  for (const CUmemGenericAllocationHandle handle : handles) OK(cuMemRelease(handle));
  for (const CUdeviceptr each : segments) OK(cuMemAddressFree(each, reserved));
  OK(cuMemGetInfo_v2(&after, &total_bytes));
  std::printf("all of it is back: %d\n", after == free_bytes);
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, void (*)()> cases = {
      {"attributes", Attributes},  {"pools", Pools},           {"pool-errors", PoolErrors},
      {"mixed-frees", MixedFrees}, {"streams", Streams},       {"threads", Threads},
      {"pressure", Pressure},      {"fence", Fence},           {"capture", Capture},
      {"mappings", Mappings},      {"expandable", Expandable}, {"mapping-errors", MappingErrors}};
  const auto found = cases.find(argc > 1 ? argv[1] : "");
  if (found == cases.end()) return 2;
  found->second();
  std::printf("ok\n");
  return 0;
}
