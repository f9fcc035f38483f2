// Initialisation and the device: one, the partition this process was given, as the server described it at attachment.
// Its memory is the container's budget.

#include <algorithm>
#include <array>
#include <climits>
#include <cstdio>
#include <cstring>

#include "remoting/client/call.h"
#include "remoting/client/versions.h"
#include "remoting/client/withheld_attributes.h"

namespace mignificient::client {
namespace {

constexpr int kLastAttribute = CU_DEVICE_ATTRIBUTE_ONLY_PARTIAL_HOST_NATIVE_ATOMIC_SUPPORTED;
static_assert(kLastAttribute < wire::kAttributeCount);

constexpr auto kWithheld = [] {
  std::array<bool, kLastAttribute + 1> withheld{};
  for (const CUdeviceAttribute attribute : kWithheldAttributes) withheld[attribute] = true;
  return withheld;
}();

CUresult Check(CUdevice device) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  return device == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult Uuid(CUuuid* uuid, CUdevice device) {
  if (const CUresult result = Check(device); result != CUDA_SUCCESS) return result;
  if (uuid == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *uuid = Device().uuid;
  return CUDA_SUCCESS;
}

int Attribute(CUdeviceAttribute attribute) {
  return Device().attributes[attribute];
}

struct PciAddress {
  unsigned domain = 0;
  unsigned bus = 0;
  unsigned device = 0;
};

PciAddress ThePciAddress() {
  return {static_cast<unsigned>(Attribute(CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID)),
          static_cast<unsigned>(Attribute(CU_DEVICE_ATTRIBUTE_PCI_BUS_ID)),
          static_cast<unsigned>(Attribute(CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID))};
}

// "domain:bus:device.function", "domain:bus:device" or "bus:device.function", hexadecimal.
bool ParsePciAddress(const char* text, PciAddress& address) {
  unsigned function = 0;
  char rest = 0;
  const int full =
      std::sscanf(text, "%8x:%4x:%4x.%4x%c", &address.domain, &address.bus, &address.device, &function, &rest);
  if (full == 3 || full == 4) return true;
  address.domain = 0;
  return std::sscanf(text, "%4x:%4x.%4x%c", &address.bus, &address.device, &function, &rest) == 3;
}

CUresult Profiler() {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  return CurrentContext() == nullptr ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

constexpr int kHighestExecAffinity = 1;  // CU_EXEC_AFFINITY_TYPE_MAX, which driver 580 answers too

// What cuDeviceGetProperties fills, CUdevprop of cuda.h.
struct DeviceProperties {
  int max_threads_per_block;
  int max_threads_dim[3];
  int max_grid_size[3];
  int shared_bytes_per_block;
  int total_constant_bytes;
  int warp_size;
  int max_pitch;
  int registers_per_block;
  int clock_rate_khz;
  int texture_alignment;
};

}  // namespace

int DriverVersion() {
  return Initialized() == CUDA_SUCCESS ? std::min(kApiVersion, Device().driver_version) : kApiVersion;
}

MIG_EXPORT CUresult cuInit(unsigned flags) {
  return flags != 0 ? CUDA_ERROR_INVALID_VALUE : Attach();
}

MIG_EXPORT CUresult cuDriverGetVersion(int* version) {
  if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *version = DriverVersion();
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuDeviceGetCount(int* count) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *count = 1;
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  if (const CUresult result = Check(ordinal); result != CUDA_SUCCESS) return result;
  if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *device = ordinal;
  return CUDA_SUCCESS;
}

// Cut to fit, always terminated.
MIG_EXPORT CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
  if (const CUresult result = Check(device); result != CUDA_SUCCESS) return result;
  if (name == nullptr || length <= 0) return CUDA_ERROR_INVALID_VALUE;
  std::snprintf(name, static_cast<size_t>(length), "%.*s", static_cast<int>(sizeof Device().name), Device().name);
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) {
  return Uuid(uuid, device);
}
MIG_EXPORT CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device) {
  return Uuid(uuid, device);
}

// Only Windows has them.
MIG_EXPORT CUresult cuDeviceGetLuid(char* luid, unsigned* mask, CUdevice device) {
  if (const CUresult result = Check(device); result != CUDA_SUCCESS) return result;
  return luid == nullptr || mask == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_NOT_SUPPORTED;
}

MIG_EXPORT CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice device) {
  if (const CUresult result = Check(device); result != CUDA_SUCCESS) return result;
  if (bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *bytes = Device().total_bytes;
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuDeviceTotalMem(unsigned* bytes, CUdevice device) {
  if (const CUresult result = Check(device); result != CUDA_SUCCESS) return result;
  if (bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *bytes = static_cast<unsigned>(std::min<uint64_t>(Device().total_bytes, UINT_MAX));
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuDeviceGetAttribute(int* value, int attribute, CUdevice device) {
  if (const CUresult result = Check(device); result != CUDA_SUCCESS) return result;
  if (value == nullptr || attribute <= 0 || attribute > kLastAttribute) return CUDA_ERROR_INVALID_VALUE;
  *value = kWithheld[attribute] ? 0 : Device().attributes[attribute];
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice device) {
  if (const CUresult result = Check(device); result != CUDA_SUCCESS) return result;
  if (major == nullptr || minor == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *major = Attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  *minor = Attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuDeviceGetProperties(DeviceProperties* properties, CUdevice device) {
  if (const CUresult result = Check(device); result != CUDA_SUCCESS) return result;
  if (properties == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *properties = {
      .max_threads_per_block = Attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK),
      .max_threads_dim = {Attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X),
                          Attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y),
                          Attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z)},
      .max_grid_size = {Attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X), Attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y),
                        Attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z)},
      .shared_bytes_per_block = Attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK),
      .total_constant_bytes = Attribute(CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY),
      .warp_size = Attribute(CU_DEVICE_ATTRIBUTE_WARP_SIZE),
      .max_pitch = Attribute(CU_DEVICE_ATTRIBUTE_MAX_PITCH),
      .registers_per_block = Attribute(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK),
      .clock_rate_khz = Attribute(CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
      .texture_alignment = Attribute(CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT),
  };
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuDeviceGetPCIBusId(char* text, int length, CUdevice device) {
  if (const CUresult result = Check(device); result != CUDA_SUCCESS) return result;
  if (text == nullptr || length <= 0) return CUDA_ERROR_INVALID_VALUE;
  const PciAddress address = ThePciAddress();
  const int written =
      std::snprintf(text, static_cast<size_t>(length), "%04x:%02x:%02x.0", address.domain, address.bus, address.device);
  return written < length ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

MIG_EXPORT CUresult cuDeviceGetByPCIBusId(CUdevice* device, const char* text) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  PciAddress wanted;
  if (device == nullptr || text == nullptr || !ParsePciAddress(text, wanted)) return CUDA_ERROR_INVALID_VALUE;
  const PciAddress ours = ThePciAddress();
  if (wanted.domain != ours.domain || wanted.bus != ours.bus || wanted.device != ours.device)
    return CUDA_ERROR_INVALID_DEVICE;
  *device = 0;
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuDeviceGetExecAffinitySupport(int* supported, int type, CUdevice device) {
  if (const CUresult result = Check(device); result != CUDA_SUCCESS) return result;
  if (supported == nullptr || type < 0 || type > kHighestExecAffinity) return CUDA_ERROR_INVALID_VALUE;
  *supported = 0;
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuDeviceCanAccessPeer(int* can, CUdevice device, CUdevice peer) {
  if (const CUresult result = Check(device); result != CUDA_SUCCESS) return result;
  if (can == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (peer != 0) return CUDA_ERROR_INVALID_DEVICE;
  *can = 0;  // a device is no peer of its own
  return CUDA_SUCCESS;
}

// Needs two different devices.
MIG_EXPORT CUresult cuDeviceGetP2PAttribute(int* value, int, CUdevice, CUdevice) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  return value == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_DEVICE;
}

MIG_EXPORT CUresult cuModuleGetLoadingMode(int* mode) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (mode == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *mode = CU_MODULE_LAZY_LOADING;
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuProfilerStart() {
  return Profiler();
}
MIG_EXPORT CUresult cuProfilerStop() {
  return Profiler();
}

}  // namespace mignificient::client
