// NVML by dlopen. The declarations below are our own, after NVML's documentation: sizes and layouts are part of
// its stable interface.
#include "device/nvml.h"

#include <dlfcn.h>

#include "os/library.h"

namespace mignificient::device {
namespace {

using Handle = void*;  // nvmlDevice_t

constexpr int kSuccess = 0;
constexpr int kNotSupported = 3;
constexpr int kNotFound = 6;
constexpr unsigned kTextBytes = 96;  // NVML_DEVICE_UUID_V2_BUFFER_SIZE, NVML_DEVICE_NAME_V2_BUFFER_SIZE

struct Memory {  // nvmlMemory_t
  unsigned long long total, free, used;
};

struct Attributes {  // nvmlDeviceAttributes_t
  unsigned multiprocessors, copy_engines, decoders, encoders, jpeg, ofa, gpu_slices, compute_slices;
  unsigned long long memory_mib;
};

struct Library {
  void* handle = nullptr;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  const char* (*error_text)(int) = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*by_index)(unsigned, Handle*) = nullptr;
  int (*uuid)(Handle, char*, unsigned) = nullptr;
  int (*name)(Handle, char*, unsigned) = nullptr;
  int (*memory)(Handle, Memory*) = nullptr;
  int (*capability)(Handle, int*, int*) = nullptr;
  int (*mig_mode)(Handle, unsigned*, unsigned*) = nullptr;
  int (*mig_slots)(Handle, unsigned*) = nullptr;
  int (*mig_device)(Handle, unsigned, Handle*) = nullptr;
  int (*attributes)(Handle, Attributes*) = nullptr;

  ~Library() {
    if (handle != nullptr) ::dlclose(handle);
  }
};

template <typename Function>
Result<> Find(Library& library, Function& function, const char* name) {
  function = reinterpret_cast<Function>(::dlsym(library.handle, name));
  if (function != nullptr) return {};
  return Fail(Code::kUnavailable, "libnvidia-ml.so.1 exports no function [{}].", name);
}

Result<> Load(Library& library) {
  const auto handle = os::OpenHostLibrary("libnvidia-ml.so.1");
  if (!handle) return Fail(Code::kUnavailable, "There is no NVIDIA driver: {}", handle.error().message());
  library.handle = *handle;
  MIG_TRY(Find(library, library.init, "nvmlInit_v2"));
  MIG_TRY(Find(library, library.shutdown, "nvmlShutdown"));
  MIG_TRY(Find(library, library.error_text, "nvmlErrorString"));
  MIG_TRY(Find(library, library.count, "nvmlDeviceGetCount_v2"));
  MIG_TRY(Find(library, library.by_index, "nvmlDeviceGetHandleByIndex_v2"));
  MIG_TRY(Find(library, library.uuid, "nvmlDeviceGetUUID"));
  MIG_TRY(Find(library, library.name, "nvmlDeviceGetName"));
  MIG_TRY(Find(library, library.memory, "nvmlDeviceGetMemoryInfo"));
  MIG_TRY(Find(library, library.capability, "nvmlDeviceGetCudaComputeCapability"));
  MIG_TRY(Find(library, library.mig_mode, "nvmlDeviceGetMigMode"));
  MIG_TRY(Find(library, library.mig_slots, "nvmlDeviceGetMaxMigDeviceCount"));
  MIG_TRY(Find(library, library.mig_device, "nvmlDeviceGetMigDeviceHandleByIndex"));
  MIG_TRY(Find(library, library.attributes, "nvmlDeviceGetAttributes_v2"));
  return {};
}

class RealNvml : public Nvml {
 public:
  explicit RealNvml(std::unique_ptr<Library> library) : library_(std::move(library)) {}
  ~RealNvml() override { library_->shutdown(); }

  Result<uint32_t> GpuCount() override {
    unsigned count = 0;
    MIG_TRY(Check(library_->count(&count), "nvmlDeviceGetCount_v2"));
    return count;
  }

  Result<Identity> Gpu(uint32_t index) override {
    MIG_ASSIGN(const Handle gpu, ByIndex(index));
    return Identify(gpu);
  }

  Result<std::string> ComputeCapability(uint32_t index) override {
    MIG_ASSIGN(const Handle gpu, ByIndex(index));
    int major = 0, minor = 0;
    MIG_TRY(Check(library_->capability(gpu, &major, &minor), "nvmlDeviceGetCudaComputeCapability"));
    return fmt::format("{}.{}", major, minor);
  }

  Result<bool> MigEnabled(uint32_t index) override {
    MIG_ASSIGN(const Handle gpu, ByIndex(index));
    unsigned current = 0, pending = 0;
    const int status = library_->mig_mode(gpu, &current, &pending);
    if (status == kNotSupported) return false;
    MIG_TRY(Check(status, "nvmlDeviceGetMigMode"));
    return current == 1;
  }

  Result<uint32_t> InstanceSlots(uint32_t index) override {
    MIG_ASSIGN(const Handle gpu, ByIndex(index));
    unsigned count = 0;
    MIG_TRY(Check(library_->mig_slots(gpu, &count), "nvmlDeviceGetMaxMigDeviceCount"));
    return count;
  }

  Result<std::optional<InstanceIdentity>> InstanceAt(uint32_t index, uint32_t slot) override {
    MIG_ASSIGN(const Handle gpu, ByIndex(index));
    Handle instance = nullptr;
    const int status = library_->mig_device(gpu, slot, &instance);
    if (status == kNotFound) return std::optional<InstanceIdentity>{};
    MIG_TRY(Check(status, "nvmlDeviceGetMigDeviceHandleByIndex"));
    MIG_ASSIGN(Identity identity, Identify(instance));
    Attributes attributes{};
    MIG_TRY(Check(library_->attributes(instance, &attributes), "nvmlDeviceGetAttributes_v2"));
    return std::optional(InstanceIdentity{std::move(identity.uuid), std::move(identity.name), attributes.memory_mib,
                                          attributes.gpu_slices, attributes.multiprocessors});
  }

 private:
  Result<> Check(int status, const char* function) {
    if (status == kSuccess) return {};
    return Fail(Code::kUnavailable, "{} fails: {}.", function, library_->error_text(status));
  }

  Result<Handle> ByIndex(uint32_t index) {
    Handle gpu = nullptr;
    MIG_TRY(Check(library_->by_index(index, &gpu), "nvmlDeviceGetHandleByIndex_v2"));
    return gpu;
  }

  Result<Identity> Identify(Handle handle) {
    char uuid[kTextBytes] = {}, name[kTextBytes] = {};
    Memory memory{};
    MIG_TRY(Check(library_->uuid(handle, uuid, sizeof uuid), "nvmlDeviceGetUUID"));
    MIG_TRY(Check(library_->name(handle, name, sizeof name), "nvmlDeviceGetName"));
    MIG_TRY(Check(library_->memory(handle, &memory), "nvmlDeviceGetMemoryInfo"));
    return Identity{uuid, name, memory.total >> 20};
  }

  std::unique_ptr<Library> library_;
};

}  // namespace

Result<std::unique_ptr<Nvml>> OpenNvml() {
  auto library = std::make_unique<Library>();
  MIG_TRY(Load(*library));
  if (const int status = library->init(); status != kSuccess)
    return Fail(Code::kUnavailable, "nvmlInit_v2 fails: {}.", library->error_text(status));
  return std::make_unique<RealNvml>(std::move(library));
}

}  // namespace mignificient::device
