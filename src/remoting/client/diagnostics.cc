// The driver's logs, core dumps and notifications as this process has them: it runs no kernels, so there is nothing to
// log or to dump, and nothing that would be notified. Registrations are kept and given back; settings are remembered.

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <mutex>
#include <set>
#include <string>

#include "remoting/client/call.h"

namespace mignificient::client {
namespace {

// Callbacks that were registered and will not be called. Handles are not used again.
class Registrations {
 public:
  void* Add() {
    const std::lock_guard lock(lock_);
    ++last_;
    living_.insert(last_);
    return reinterpret_cast<void*>(last_ << 4);
  }
  bool Remove(const void* handle) {
    const std::lock_guard lock(lock_);
    return living_.erase(reinterpret_cast<uint64_t>(handle) >> 4) > 0;
  }

 private:
  std::mutex lock_;
  uint64_t last_ = 0;
  std::set<uint64_t> living_;
};

Registrations& LogCallbacks() {
  static auto& registrations = *new Registrations;
  return registrations;
}
Registrations& Notifications() {
  static auto& registrations = *new Registrations;
  return registrations;
}

// --- Core dumps -----------------------------------------------------------------------------------------------------

enum Setting : int { kOnException = 1, kTriggerHost, kLightweight, kUserTrigger, kFile, kPipe, kFlags, kSettingsEnd };
constexpr size_t kMaxPathBytes = 1024;

bool IsText(int setting) {
  return setting == kFile || setting == kPipe;
}
size_t BytesOf(int setting) {
  return setting == kFlags ? sizeof(unsigned) : sizeof(bool);
}

struct CoreDumps {
  std::mutex lock;
  std::string text[kSettingsEnd];
  unsigned number[kSettingsEnd] = {};
};
CoreDumps& TheCoreDumps() {
  static auto& dumps = *[] {
    auto* made = new CoreDumps;
    char host[256] = {};
    ::gethostname(host, sizeof host - 1);
    const std::string place = std::string(".cuda.") + host + "." + std::to_string(::getpid());
    made->number[kTriggerHost] = 1;  // the defaults of CUDA
    made->text[kFile] = "core" + place;
    made->text[kPipe] = "corepipe" + place;
    return made;
  }();
  return dumps;
}

CUresult GetSetting(int setting, void* value, size_t* bytes) {
  if (setting < kOnException || setting >= kSettingsEnd || bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
  CoreDumps& dumps = TheCoreDumps();
  const std::lock_guard lock(dumps.lock);
  const size_t needed = IsText(setting) ? dumps.text[setting].size() + 1 : BytesOf(setting);
  const size_t room = *bytes;
  *bytes = needed;
  if (value == nullptr) return CUDA_SUCCESS;
  if (room < needed) return CUDA_ERROR_INVALID_VALUE;
  if (IsText(setting))
    std::memcpy(value, dumps.text[setting].c_str(), needed);
  else
    std::memcpy(value, &dumps.number[setting], needed);  // little-endian: a bool is the first byte
  return CUDA_SUCCESS;
}

CUresult SetSetting(int setting, const void* value, const size_t* bytes) {
  if (setting < kOnException || setting >= kSettingsEnd || value == nullptr || bytes == nullptr)
    return CUDA_ERROR_INVALID_VALUE;
  CoreDumps& dumps = TheCoreDumps();
  const std::lock_guard lock(dumps.lock);
  if (IsText(setting)) {
    if (*bytes > kMaxPathBytes) return CUDA_ERROR_INVALID_VALUE;
    const auto* text = static_cast<const char*>(value);
    dumps.text[setting].assign(text, ::strnlen(text, *bytes));
    return CUDA_SUCCESS;
  }
  if (*bytes < BytesOf(setting)) return CUDA_ERROR_INVALID_VALUE;
  unsigned number = 0;
  std::memcpy(&number, value, BytesOf(setting));
  if ((setting == kOnException || setting == kUserTrigger) && number != 0)
    return Refused("Core dumps of the GPU: the GPU server has the context, and ends with it");
  dumps.number[setting] = number;
  return CUDA_SUCCESS;
}

CUresult GetOfContext(int setting, void* value, size_t* bytes) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  return GetSetting(setting, value, bytes);
}
CUresult SetOfContext(int setting, const void* value, const size_t* bytes) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  return SetSetting(setting, value, bytes);
}

}  // namespace

MIG_EXPORT CUresult cuCoredumpGetAttribute(int setting, void* value, size_t* bytes) {
  return GetOfContext(setting, value, bytes);
}
MIG_EXPORT CUresult cuCoredumpSetAttribute(int setting, void* value, size_t* bytes) {
  return SetOfContext(setting, value, bytes);
}
MIG_EXPORT CUresult cuCoredumpGetAttributeGlobal(int setting, void* value, size_t* bytes) {
  return GetSetting(setting, value, bytes);
}
MIG_EXPORT CUresult cuCoredumpSetAttributeGlobal(int setting, void* value, size_t* bytes) {
  return SetSetting(setting, value, bytes);
}

// --- Logs -----------------------------------------------------------------------------------------------------------

MIG_EXPORT CUresult cuLogsRegisterCallback(void (*callback)(void*, int, char*, size_t), void*, void** handle) {
  if (callback == nullptr) return CUDA_ERROR_INVALID_VALUE;
  void* const made = LogCallbacks().Add();
  if (handle != nullptr) *handle = made;
  return CUDA_SUCCESS;
}
MIG_EXPORT CUresult cuLogsUnregisterCallback(void* handle) {
  return LogCallbacks().Remove(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
MIG_EXPORT CUresult cuLogsCurrent(unsigned* iterator, unsigned) {
  if (iterator == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *iterator = 0;
  return CUDA_SUCCESS;
}
MIG_EXPORT CUresult cuLogsDumpToFile(unsigned*, const char* path, unsigned flags) {
  if (path == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  std::FILE* const file = std::fopen(path, "we");
  if (file == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return std::fclose(file) == 0 ? CUDA_SUCCESS : CUDA_ERROR_OPERATING_SYSTEM;
}
MIG_EXPORT CUresult cuLogsDumpToMemory(unsigned*, char* buffer, size_t* bytes, unsigned flags) {
  if (buffer == nullptr || bytes == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if (*bytes > 0) buffer[0] = '\0';
  *bytes = 0;
  return CUDA_SUCCESS;
}

// --- Notifications of a device that is over its budget of memory: the budget is the container's, and is never
// exceeded.

MIG_EXPORT CUresult cuDeviceRegisterAsyncNotification(CUdevice device, void (*callback)(void*, void*, void*), void*,
                                                      void** handle) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  if (callback == nullptr || handle == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *handle = Notifications().Add();
  return CUDA_SUCCESS;
}
MIG_EXPORT CUresult cuDeviceUnregisterAsyncNotification(CUdevice device, void* handle) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  return Notifications().Remove(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace mignificient::client
