#include "remoting/client/nvml/session.h"

#include <atomic>
#include <cstring>

namespace mignificient::nvml {
namespace {

// nvmlInit counts: as many nvmlShutdown end it. Without a lock, so that a fork at any moment is harmless.
constinit std::atomic<uint32_t> users{0};

Return Initialize() {
  if (!wire::LookThroughDoor()) return kDriverNotLoaded;
  users.fetch_add(1, std::memory_order_relaxed);
  return kSuccess;
}

}  // namespace

Device TheDevice() {
  static constexpr char kDevice = 0;
  return reinterpret_cast<Device>(&kDevice);
}

Return Initialized() {
  return users.load(std::memory_order_relaxed) > 0 ? kSuccess : kUninitialized;
}

Return Check(Device device) {
  if (const Return result = Initialized(); result != kSuccess) return result;
  return device == TheDevice() ? kSuccess : kInvalidArgument;
}

Return Look(wire::View& view) {
  if (const Return result = Initialized(); result != kSuccess) return result;
  auto look = wire::LookThroughDoor();
  if (!look) return kGpuIsLost;
  view = *look;
  return kSuccess;
}

Return Look(Device device, wire::View& view) {
  const Return result = Check(device);
  return result == kSuccess ? Look(view) : result;
}

Return CopyText(std::string_view text, char* out, unsigned bytes) {
  if (out == nullptr) return kInvalidArgument;
  if (bytes <= text.size()) return kInsufficientSize;
  std::memcpy(out, text.data(), text.size());
  out[text.size()] = '\0';
  return kSuccess;
}

MIG_EXPORT int nvmlInit() {
  return Initialize();
}
MIG_EXPORT int nvmlInit_v2() {
  return Initialize();
}
// The flags say which GPUs may be missing or need not be attached: ours is there or not.
MIG_EXPORT int nvmlInitWithFlags(unsigned) {
  return Initialize();
}

MIG_EXPORT int nvmlShutdown() {
  uint32_t count = users.load(std::memory_order_relaxed);
  while (count > 0)
    if (users.compare_exchange_weak(count, count - 1, std::memory_order_relaxed)) return kSuccess;
  return kUninitialized;
}

}  // namespace mignificient::nvml
