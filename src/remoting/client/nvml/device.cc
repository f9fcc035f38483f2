// The device: how it is found, what it is called and what it is. What it does at the moment (temperature, clocks,
// power, utilisation) is the host's and other tenants' matter too, and not supported, as on a MIG instance.

#include <fmt/format.h>
#include <sched.h>

#include <array>
#include <cstdio>
#include <cstring>

#include "remoting/client/nvml/session.h"

namespace mignificient::nvml {
namespace {

template <typename T, typename Get>
Return Answer(Device device, T* out, Get get) {
  wire::View view;
  if (const Return result = Check(device); result != kSuccess) return result;
  if (out == nullptr) return kInvalidArgument;
  if (const Return result = Look(view); result != kSuccess) return result;
  *out = get(view);
  return kSuccess;
}

// What does not depend on the session.
template <typename T>
Return Constant(Device device, T* out, T value) {
  if (const Return result = Check(device); result != kSuccess) return result;
  if (out == nullptr) return kInvalidArgument;
  *out = value;
  return kSuccess;
}

Return Count(unsigned* count) {
  if (const Return result = Initialized(); result != kSuccess) return result;
  if (count == nullptr) return kInvalidArgument;
  *count = 1;
  return kSuccess;
}

Return ByIndex(unsigned index, Device* device) {
  if (const Return result = Initialized(); result != kSuccess) return result;
  if (device == nullptr || index != 0) return kInvalidArgument;
  *device = TheDevice();
  return kSuccess;
}

// "GPU-d1f0c9a2-…", as CUDA_VISIBLE_DEVICES takes it and cuDeviceGetUuid gives it in bytes.
std::string Uuid(const wire::View& view) {
  std::string text = "GPU";
  for (size_t i = 0; i < sizeof view.device.uuid.bytes; ++i) {
    if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(view.device.uuid.bytes[i]));
  }
  return text;
}

PciInfo Pci(const wire::View& view) {
  PciInfo info{};
  info.domain = static_cast<unsigned>(Attribute(view, CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID));
  info.bus = static_cast<unsigned>(Attribute(view, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID));
  info.device = static_cast<unsigned>(Attribute(view, CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID));
  info.device_and_vendor = static_cast<unsigned>(Attribute(view, CU_DEVICE_ATTRIBUTE_GPU_PCI_DEVICE_ID));
  info.subsystem = static_cast<unsigned>(Attribute(view, CU_DEVICE_ATTRIBUTE_GPU_PCI_SUBSYSTEM_ID));
  std::snprintf(info.bus_id_legacy, sizeof info.bus_id_legacy, "%04X:%02X:%02X.0", info.domain & 0xffff,
                info.bus & 0xff, info.device & 0xff);
  std::snprintf(info.bus_id, sizeof info.bus_id, "%08X:%02X:%02X.0", info.domain, info.bus & 0xff, info.device & 0xff);
  return info;
}

// Fills the first `bytes` of a PciInfo: older versions are shorter.
Return GetPciInfo(Device device, void* out, size_t bytes) {
  wire::View view;
  if (const Return result = Check(device); result != kSuccess) return result;
  if (out == nullptr) return kInvalidArgument;
  if (const Return result = Look(view); result != kSuccess) return result;
  const PciInfo info = Pci(view);
  std::memcpy(out, &info, bytes);
  return kSuccess;
}

// "domain:bus:device.function", with or without domain and function, hexadecimal.
Return ByPciBusId(const char* text, Device* device) {
  wire::View view;
  if (const Return result = Look(view); result != kSuccess) return result;
  if (text == nullptr || device == nullptr) return kInvalidArgument;
  unsigned domain = 0, bus = 0, slot = 0;
  if (std::sscanf(text, "%x:%x:%x", &domain, &bus, &slot) != 3) {
    domain = 0;
    if (std::sscanf(text, "%x:%x", &bus, &slot) != 2) return kInvalidArgument;
  }
  const PciInfo ours = Pci(view);
  if (domain != ours.domain || bus != ours.bus || slot != ours.device) return kNotFound;
  *device = TheDevice();
  return kSuccess;
}

// nvmlDeviceArchitecture_t
unsigned Architecture(const wire::View& view) {
  const int major = Attribute(view, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  const int minor = Attribute(view, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  switch (major) {
    case 5:
      return 3;  // Maxwell
    case 6:
      return 4;  // Pascal
    case 7:
      return minor < 5 ? 5 : 6;  // Volta, Turing
    case 8:
      return minor == 9 ? 8 : 7;  // Ada, Ampere
    case 9:
      return 9;  // Hopper
    case 10:
    case 12:
      return 10;  // Blackwell
    default:
      return 0xffffffff;
  }
}

// The CPUs that this process may use, as bits of unsigned longs.
Return CpuAffinity(Device device, unsigned words, unsigned long* out) {
  if (const Return result = Check(device); result != kSuccess) return result;
  if (out == nullptr || words == 0) return kInvalidArgument;
  cpu_set_t cpus;
  if (::sched_getaffinity(0, sizeof cpus, &cpus) != 0) return kNotSupported;
  constexpr unsigned kBits = 8 * sizeof(unsigned long);
  for (unsigned word = 0; word < words; ++word) {
    out[word] = 0;
    for (unsigned bit = 0; bit < kBits; ++bit)
      if (const unsigned cpu = word * kBits + bit; cpu < CPU_SETSIZE && CPU_ISSET(cpu, &cpus)) out[word] |= 1ul << bit;
  }
  return kSuccess;
}

}  // namespace

MIG_EXPORT int nvmlDeviceGetCount(unsigned* count) {
  return Count(count);
}
MIG_EXPORT int nvmlDeviceGetCount_v2(unsigned* count) {
  return Count(count);
}
MIG_EXPORT int nvmlDeviceGetHandleByIndex(unsigned index, Device* device) {
  return ByIndex(index, device);
}
MIG_EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device* device) {
  return ByIndex(index, device);
}
MIG_EXPORT int nvmlDeviceGetHandleByPciBusId(const char* text, Device* device) {
  return ByPciBusId(text, device);
}
MIG_EXPORT int nvmlDeviceGetHandleByPciBusId_v2(const char* text, Device* device) {
  return ByPciBusId(text, device);
}
MIG_EXPORT int nvmlDeviceGetHandleByUUID(const char* uuid, Device* device) {
  wire::View view;
  if (const Return result = Look(view); result != kSuccess) return result;
  if (uuid == nullptr || device == nullptr) return kInvalidArgument;
  if (Uuid(view) != uuid) return kNotFound;
  *device = TheDevice();
  return kSuccess;
}
// The device shows no serial number, so none is its.
MIG_EXPORT int nvmlDeviceGetHandleBySerial(const char* serial, Device* device) {
  if (const Return result = Initialized(); result != kSuccess) return result;
  return serial == nullptr || device == nullptr ? kInvalidArgument : kNotFound;
}

MIG_EXPORT int nvmlDeviceGetName(Device device, char* text, unsigned bytes) {
  wire::View view;
  const Return result = Look(device, view);
  return result == kSuccess ? CopyText(view.device.name, text, bytes) : result;
}
MIG_EXPORT int nvmlDeviceGetUUID(Device device, char* text, unsigned bytes) {
  wire::View view;
  const Return result = Look(device, view);
  return result == kSuccess ? CopyText(Uuid(view), text, bytes) : result;
}
MIG_EXPORT int nvmlDeviceGetIndex(Device device, unsigned* index) {
  return Constant(device, index, 0u);
}
MIG_EXPORT int nvmlDeviceGetMinorNumber(Device device, unsigned* number) {
  return Constant(device, number, 0u);
}
MIG_EXPORT int nvmlDeviceGetBrand(Device device, unsigned* brand) {
  return Constant(device, brand, 0u);  // NVML_BRAND_UNKNOWN
}

MIG_EXPORT int nvmlDeviceGetPciInfo(Device device, void* info) {
  return GetPciInfo(device, info, offsetof(PciInfo, subsystem));
}
MIG_EXPORT int nvmlDeviceGetPciInfo_v2(Device device, void* info) {
  return GetPciInfo(device, info, offsetof(PciInfo, bus_id));
}
MIG_EXPORT int nvmlDeviceGetPciInfo_v3(Device device, void* info) {
  return GetPciInfo(device, info, sizeof(PciInfo));
}

MIG_EXPORT int nvmlDeviceGetCudaComputeCapability(Device device, int* major, int* minor) {
  wire::View view;
  if (const Return result = Check(device); result != kSuccess) return result;
  if (major == nullptr || minor == nullptr) return kInvalidArgument;
  if (const Return result = Look(view); result != kSuccess) return result;
  *major = Attribute(view, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  *minor = Attribute(view, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  return kSuccess;
}
MIG_EXPORT int nvmlDeviceGetArchitecture(Device device, unsigned* architecture) {
  return Answer(device, architecture, Architecture);
}
MIG_EXPORT int nvmlDeviceGetMemoryBusWidth(Device device, unsigned* bits) {
  return Answer(device, bits, [](const wire::View& view) {
    return static_cast<unsigned>(Attribute(view, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH));
  });
}
MIG_EXPORT int nvmlDeviceGetComputeMode(Device device, int* mode) {
  return Answer(device, mode, [](const wire::View& view) { return Attribute(view, CU_DEVICE_ATTRIBUTE_COMPUTE_MODE); });
}
MIG_EXPORT int nvmlDeviceGetEccMode(Device device, int* current, int* pending) {
  const auto get = [](const wire::View& view) { return Attribute(view, CU_DEVICE_ATTRIBUTE_ECC_ENABLED); };
  if (pending == nullptr) return Initialized() == kSuccess ? kInvalidArgument : kUninitialized;
  const Return result = Answer(device, current, get);
  if (result == kSuccess) *pending = *current;
  return result;
}

// The GPU server keeps the driver loaded.
MIG_EXPORT int nvmlDeviceGetPersistenceMode(Device device, int* mode) {
  return Constant(device, mode, kEnabled);
}
MIG_EXPORT int nvmlDeviceGetDisplayMode(Device device, int* mode) {
  return Constant(device, mode, kDisabled);
}
MIG_EXPORT int nvmlDeviceGetDisplayActive(Device device, int* active) {
  return Constant(device, active, kDisabled);
}
MIG_EXPORT int nvmlDeviceGetMultiGpuBoard(Device device, unsigned* multiple) {
  return Constant(device, multiple, 0u);
}

// Whether it is an instance or a whole GPU, the container has all of it.
MIG_EXPORT int nvmlDeviceGetMigMode(Device device, unsigned* current, unsigned* pending) {
  if (const Return result = Constant(device, current, 0u); result != kSuccess) return result;
  return Constant(device, pending, 0u);
}
MIG_EXPORT int nvmlDeviceGetMaxMigDeviceCount(Device device, unsigned* count) {
  return Constant(device, count, 0u);
}
MIG_EXPORT int nvmlDeviceIsMigDeviceHandle(Device device, unsigned* is_instance) {
  return Constant(device, is_instance, 0u);
}
MIG_EXPORT int nvmlDeviceGetMigDeviceHandleByIndex(Device device, unsigned, Device* instance) {
  if (const Return result = Check(device); result != kSuccess) return result;
  return instance == nullptr ? kInvalidArgument : kNotFound;
}

MIG_EXPORT int nvmlDeviceGetCpuAffinity(Device device, unsigned words, unsigned long* cpus) {
  return CpuAffinity(device, words, cpus);
}
MIG_EXPORT int nvmlDeviceGetCpuAffinityWithinScope(Device device, unsigned words, unsigned long* cpus, unsigned) {
  return CpuAffinity(device, words, cpus);
}

// There is one device, so questions about two are about it and itself.
MIG_EXPORT int nvmlDeviceGetTopologyCommonAncestor(Device first, Device second, unsigned* level) {
  if (const Return result = Check(first); result != kSuccess) return result;
  return Constant(second, level, 0u);  // NVML_TOPOLOGY_INTERNAL
}
MIG_EXPORT int nvmlDeviceGetP2PStatus(Device first, Device second, unsigned, unsigned* status) {
  if (const Return result = Check(first); result != kSuccess) return result;
  return Constant(second, status, 5u);  // NVML_P2P_STATUS_NOT_SUPPORTED
}
MIG_EXPORT int nvmlDeviceOnSameBoard(Device first, Device second, int* same) {
  if (const Return result = Check(first); result != kSuccess) return result;
  return Constant(second, same, 1);
}

}  // namespace mignificient::nvml
