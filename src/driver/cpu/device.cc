#include "driver/cpu/device.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "driver/cpu/array.h"
#include "driver/cpu/capture.h"
#include "driver/cpu/graphs.h"
#include "driver/cpu/link.h"

namespace mignificient::cpu {
namespace {

unsigned PoolThreads(const CpuDriverOptions& options) {
  const unsigned wanted = options.threads != 0 ? options.threads : std::thread::hardware_concurrency();
  return wanted != 0 ? wanted : 1;
}

constexpr size_t kMaxWarnings = 1000;  // a program can make up as many as it likes

// As an H100 answers cuCtxGetLimit, by CUlimit.
constexpr std::array<size_t, CU_LIMIT_COUNT> kDefaultLimits = {1024, 1 << 20, 8 << 20, 0, 2048, 64, 0, 0, 0, 0};

}  // namespace

Device::Device(CpuDriverOptions options, std::unique_ptr<DeviceMemory> memory, Printer& printer, HandleSource& handles)
    : options_(std::move(options)),
      pool_(PoolThreads(options_)),
      memory_(std::move(memory)),
      printer_(printer),
      handles_(handles),
      context_handle_(reinterpret_cast<CUcontext>(handles_.Next())) {}

Device::~Device() {
  DestroyContext();
}

CUresult Device::RetainContext() {
  const std::lock_guard lock(mutex_);
  if (fault() != CUDA_SUCCESS && context_ == nullptr) return fault();
  if (context_ == nullptr) context_ = std::make_shared<Context>(*this);
  ++retains_;
  return CUDA_SUCCESS;
}

CUresult Device::ReleaseContext() {
  {
    const std::lock_guard lock(mutex_);
    if (retains_ == 0) return CUDA_ERROR_INVALID_CONTEXT;
    if (--retains_ != 0) return CUDA_SUCCESS;
  }
  DestroyContext();
  return CUDA_SUCCESS;
}

void Device::DestroyContext() {
  std::shared_ptr<Context> ending;
  {
    const std::lock_guard lock(mutex_);
    ending = std::exchange(context_, nullptr);
    retains_ = 0;
  }
  if (ending == nullptr) return;
  ending->Cancel();
  ending->scheduler().WaitAll();
  printer_.Flush();
}

std::shared_ptr<Context> Device::context() {
  const std::lock_guard lock(mutex_);
  return context_;
}

void Device::SetFault(CUresult fault) {
  CUresult none = CUDA_SUCCESS;
  fault_.compare_exchange_strong(none, fault, std::memory_order_acq_rel);
}

void Device::WarnOnce(std::string_view event, const std::string& sentence) {
  {
    const std::lock_guard lock(mutex_);
    if (warned_.size() == kMaxWarnings || !warned_.insert(sentence).second) return;
  }
  log::Warning(event, {{"reason", sentence}});
}

Context::Context(Device& device)
    : streams(device.handles()),
      events(device.handles()),
      modules(device.handles()),
      libraries(device.handles()),
      links(device.handles()),
      arrays(device.handles()),
      array_memory(device.handles()),
      functions(device.handles()),
      device_(device),
      legacy_(scheduler_.CreateStream(StreamKind::kLegacy)),
      graphs_(std::make_unique<Graphs>(device)),
      captures_(std::make_unique<Captures>(*this)) {
  for (size_t i = 0; i < limits.size(); ++i) limits[i] = kDefaultLimits[i];
}

Context::~Context() {
  Cancel();
  scheduler_.WaitAll();
  functions.RemoveAll();
  libraries.RemoveAll();
  graphs_->RemoveAll();
  if (heap_) device_.memory().Free(heap_memory_, [] {});
  arrays.RemoveAll();
  for (const auto& array : array_memory.RemoveAll()) array->Free(device_.memory(), [] {});
  for (const auto& module : modules.RemoveAll()) module->FreeGlobals(device_.memory(), [] {});
}

std::shared_ptr<Stream> Context::FindStream(CUstream handle) {
  if (handle == nullptr || handle == CuStreamLegacy()) return legacy_;
  if (handle != CuStreamPerThread()) return streams.Find(handle);
  const std::lock_guard lock(mutex_);
  auto& stream = per_thread_[std::this_thread::get_id()];
  if (stream == nullptr) stream = scheduler_.CreateStream(StreamKind::kBlocking);
  return stream;
}

CUresult Context::FindFunction(const std::shared_ptr<Module>& module, const char* name, CUfunction* handle) {
  if (name == nullptr || *name == '\0') return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard lock(module->functions_mutex);
  if (const auto known = module->functions.find(name); known != module->functions.end()) {
    *handle = known->second;
    return WithFunction(*handle, [](Function&) { return CUDA_SUCCESS; });
  }
  const auto kernel = module->program().FindKernel(name);
  if (!kernel && kernel.error().code() == Code::kNotFound) return CUDA_ERROR_NOT_FOUND;
  if (!kernel) device_.WarnOnce("kernel_not_supported", kernel.error().message());
  auto function = std::make_shared<Function>();
  function->module = module;
  if (kernel) {
    function->kernel = *kernel;
    function->max_dynamic_shared =
        std::max(0, kDefaultSharedBytes - static_cast<int>((*kernel)->static_shared_bytes()));
  }
  *handle = functions.Add(std::move(function));
  module->functions.emplace(name, *handle);
  return kernel ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}

void Context::Unload(const std::shared_ptr<Module>& module) {
  scheduler_.WaitAll();  // kernels that were launched before may use its code and its variables
  {
    const std::lock_guard lock(module->functions_mutex);
    for (const auto& [name, handle] : std::exchange(module->functions, {})) functions.Remove(handle);
  }
  module->FreeGlobals(device_.memory(), drain());
}

DeviceHeap* Context::heap() {
  const std::lock_guard lock(mutex_);
  if (!heap_) {
    const uint64_t bytes = limits[CU_LIMIT_MALLOC_HEAP_SIZE];
    if (bytes == 0 || device_.memory().Allocate(&heap_memory_, bytes) != CUDA_SUCCESS) return nullptr;
    heap_.emplace(heap_memory_, bytes);
  }
  return &*heap_;
}

CUresult Context::Settled() {
  device_.printer().Flush();
  return device_.fault();
}

}  // namespace mignificient::cpu
