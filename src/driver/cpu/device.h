// The software GPU as objects: the device, its primary context, and what a context holds.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>

#include "abi/cuda.h"
#include "driver/cpu/cpu_driver.h"
#include "driver/cpu/exec/device_heap.h"
#include "driver/cpu/exec/texture.h"
#include "driver/cpu/exec/worker_pool.h"
#include "driver/cpu/memory.h"
#include "driver/cpu/module.h"
#include "driver/cpu/printer.h"
#include "driver/cpu/registry.h"
#include "driver/cpu/scheduler.h"

namespace mignificient::cpu {

class Captures;
class Context;
class Graphs;
struct Array;
class ArrayMemory;
struct CapturedRecord;
struct Link;

// Lives from CreateCpuDevice to DestroyCpuDevice.
class Device {
 public:
  Device(CpuDriverOptions options, std::unique_ptr<DeviceMemory> memory, Printer& printer, HandleSource& handles);
  ~Device();

  const CpuDriverOptions& options() const { return options_; }
  WorkerPool& pool() { return pool_; }
  DeviceMemory& memory() { return *memory_; }
  Printer& printer() { return printer_; }
  HandleSource& handles() { return handles_; }

  // The primary context, created by the first retain and destroyed by the last release.
  CUcontext context_handle() const { return context_handle_; }
  CUresult RetainContext();
  CUresult ReleaseContext();
  void DestroyContext();
  std::shared_ptr<Context> context();  // null: not retained

  // The first fault of a kernel. It ends the device for this process: a later retain answers it too.
  CUresult fault() const { return fault_.load(std::memory_order_acquire); }
  void SetFault(CUresult fault);

  // One warning per sentence, however often a program runs into it.
  void WarnOnce(std::string_view event, const std::string& sentence);

 private:
  const CpuDriverOptions options_;
  WorkerPool pool_;
  const std::unique_ptr<DeviceMemory> memory_;
  Printer& printer_;
  HandleSource& handles_;
  const CUcontext context_handle_;
  std::atomic<CUresult> fault_{CUDA_SUCCESS};  // release by the task that faulted, acquire by every entry point

  std::mutex mutex_;
  std::shared_ptr<Context> context_;
  unsigned retains_ = 0;
  std::set<std::string> warned_;
};

struct Event {
  unsigned flags = 0;
  std::shared_ptr<CapturedRecord> captured;  // the newest record was captured; guarded by the mutex of Graphs

  // The newest record that runs; null: there was none.
  Ticket Recorded() {
    const std::lock_guard lock(mutex_);
    return recorded_;
  }
  void Record(Ticket ticket) {
    const std::lock_guard lock(mutex_);
    recorded_ = std::move(ticket);
  }

 private:
  std::mutex mutex_;
  Ticket recorded_;
};

// Apart from the engine's decoded Function: one name for two types would let the linker take one's destructor for both.
inline namespace loaded {
// A kernel as the program set it up. `kernel` belongs to the module's program.
struct Function {
  std::shared_ptr<Module> module;
  const Kernel* kernel = nullptr;  // null: listed by cuModuleEnumerateFunctions, but the engine cannot run it
  std::atomic<int> max_dynamic_shared{0};
  std::atomic<int> carveout{-1};
};
}  // namespace loaded

// What one life of the primary context holds. Entry points keep it alive while they use it.
class Context {
 public:
  explicit Context(Device& device);
  ~Context();

  Device& device() { return device_; }
  Scheduler& scheduler() { return scheduler_; }
  Graphs& graphs() { return *graphs_; }
  Captures& captures() { return *captures_; }

  // The stream behind a handle, special ones included; null for an invalid one.
  std::shared_ptr<Stream> FindStream(CUstream handle);

  // The handle of a kernel of `module`, the same for every lookup of a name. Of a kernel that the engine cannot run,
  // CUDA_ERROR_NOT_SUPPORTED, and the handle of a function without kernel.
  CUresult FindFunction(const std::shared_ptr<Module>& module, const char* name, CUfunction* handle);
  void Unload(const std::shared_ptr<Module>& module);

  // Waits for running work, for memory that is about to go away.
  DeviceMemory::Drain drain() {
    return [this] { scheduler_.WaitRunning(); };
  }

  // Ends everything soon; tasks that have not started do nothing.
  void Cancel() { cancelled_.store(true, std::memory_order_release); }
  const std::atomic<bool>& cancelled() const { return cancelled_; }
  bool Stopped() const { return cancelled_.load(std::memory_order_acquire) || device_.fault() != CUDA_SUCCESS; }

  // Calls `body(Function&)` for a function that has a kernel.
  template <typename Body>
  CUresult WithFunction(CUfunction handle, Body&& body) const {
    const auto function = functions.Find(handle);
    if (function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    return function->kernel == nullptr ? CUDA_ERROR_NOT_SUPPORTED : body(*function);
  }

  // What a synchronising call answers once its wait is over.
  CUresult Settled();

  Registry<CUstream, Stream> streams;
  Registry<CUevent, Event> events;
  Registry<CUmodule, Module> modules;  // of cuModuleLoad and of libraries
  Registry<CUlibrary, Module> libraries;
  Registry<CUlinkState, Link> links;
  Registry<CUarray, Array> arrays;
  Registry<CUmipmappedArray, ArrayMemory> array_memory;  // of arrays too, under the handle of their only level
  Registry<CUfunction, Function> functions;              // a CUkernel is the CUfunction of the same kernel

  TextureTable textures;  // and surfaces

  // Where kernels allocate, made when first asked for, as large as its limit says then. Null: there is no room.
  DeviceHeap* heap();

  std::atomic<unsigned> flags{0};
  std::array<std::atomic<size_t>, CU_LIMIT_COUNT> limits;
  std::atomic<bool> printed{false};  // a kernel has: CUDA lets nobody change the size of the buffer for it any more

 private:
  // Kernels and copies of different streams that run at once. A kernel uses the whole worker pool by itself.
  static constexpr unsigned kConcurrentTasks = 8;

  Device& device_;
  Scheduler scheduler_{kConcurrentTasks};
  std::atomic<bool> cancelled_{false};  // read by running kernels
  const std::shared_ptr<Stream> legacy_;
  std::mutex mutex_;
  std::unordered_map<std::thread::id, std::shared_ptr<Stream>> per_thread_;
  std::optional<DeviceHeap> heap_;
  CUdeviceptr heap_memory_ = 0;
  const std::unique_ptr<Graphs> graphs_;
  const std::unique_ptr<Captures> captures_;
};

}  // namespace mignificient::cpu
