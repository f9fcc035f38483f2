#include "driver/cpu/cpu_driver.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <ranges>
#include <utility>

#include "driver/cpu/entries.h"

namespace mignificient::cpu {
namespace {

// The one process-wide state: entry points are plain functions and receive no object. Leaked on purpose.
struct Process {
  std::mutex mutex;
  std::shared_ptr<Device> device;
  bool initialised = false;  // cuInit was called on `device`
  Printer printer;
  HandleSource handles;  // outlives devices, so that a handle of an earlier one is not valid again
};

Process& TheProcess() {
  static auto* const process = new Process;
  return *process;
}

// Ignores what it is called with (it is C-variadic), so it can stand in for any entry point.
CUresult NotSupported(...) {
  return CUDA_ERROR_NOT_SUPPORTED;
}

const DriverTable& Table() {
  static const DriverTable table = [] {
    DriverTable filled;
#define MIG_LACK(symbol, ...) filled.symbol = reinterpret_cast<decltype(filled.symbol)>(&NotSupported);
    MIG_DRIVER_FUNCTIONS(MIG_LACK)
#undef MIG_LACK
    FillDeviceEntries(filled);
    FillMemoryEntries(filled);
    FillCopyEntries(filled);
    FillStreamEntries(filled);
    FillStreamMemoryEntries(filled);
    FillCodeEntries(filled);
    FillLaunchEntries(filled);
    FillArrayEntries(filled);
    FillTextureEntries(filled);
    FillLinkEntries(filled);
    FillGraphEntries(filled);
    FillGraphNodeEntries(filled);
    FillGraphExecEntries(filled);
    FillCaptureEntries(filled);
    return filled;
  }();
  return table;
}

// FNV-1a over the name, twice: enough to tell partitions apart, and the same in every process.
CUuuid UuidFromName(std::string_view name) {
  CUuuid uuid{};
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char& byte : uuid.bytes) {
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    byte = static_cast<unsigned char>(hash >> 32);
  }
  return uuid;
}

Result<void> Check(const CpuDriverOptions& options) {
  constexpr uint64_t kLeastBytes = uint64_t{1} << 20;
  if (options.memory_bytes < kLeastBytes) {
    return Fail(Code::kInvalidArgument, "Device memory ({}) is less than ({}) bytes.", options.memory_bytes,
                kLeastBytes);
  }
  if (options.sms == 0) return Fail(Code::kInvalidArgument, "A device needs at least one multiprocessor.");
  if (options.name.empty()) return Fail(Code::kInvalidArgument, "A device needs a name.");
  return {};
}

}  // namespace

std::shared_ptr<Device> InitialisedDevice() {
  auto& process = TheProcess();
  const std::lock_guard lock(process.mutex);
  return process.initialised ? process.device : nullptr;
}

CUresult InitialiseDevice() {
  auto& process = TheProcess();
  const std::lock_guard lock(process.mutex);
  if (process.device == nullptr) return CUDA_ERROR_NO_DEVICE;
  process.initialised = true;
  return CUDA_SUCCESS;
}

CUcontext& CurrentContextHandle() {
  thread_local CUcontext current = nullptr;
  return current;
}

Result<const DriverTable*> CreateCpuDevice(CpuDriverOptions options) {
  MIG_TRY(Check(options));
  if (std::ranges::all_of(options.uuid.bytes, [](auto byte) { return byte == 0; })) {
    options.uuid = UuidFromName(options.name);
  }
  MIG_ASSIGN(auto memory, DeviceMemory::Create(options.memory_bytes));
  auto& process = TheProcess();
  const std::lock_guard lock(process.mutex);
  if (process.device != nullptr) {
    return Fail(Code::kExists, "This process already has the device [{}].", process.device->options().name);
  }
  process.device = std::make_shared<Device>(std::move(options), std::move(memory), process.printer, process.handles);
  return &Table();
}

void DestroyCpuDevice() {
  auto& process = TheProcess();
  std::shared_ptr<Device> ending;
  {
    const std::lock_guard lock(process.mutex);
    ending = std::exchange(process.device, nullptr);
    process.initialised = false;
  }
  if (ending != nullptr) ending->DestroyContext();
}

void SetPrintfSink(std::function<void(std::string_view)> sink) {
  TheProcess().printer.SetSink(std::move(sink));
}

}  // namespace mignificient::cpu
