#include "driver/cpu/jit_options.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace mignificient::cpu {
namespace {

// CUjit_option
constexpr int kJitInfoLogBytes = 4;
constexpr int kJitErrorLog = 5;
constexpr int kJitErrorLogBytes = 6;
constexpr int kJitKnownOptions = 64;

}  // namespace

bool JitOptions::Valid() const {
  if (count != 0 && (options == nullptr || values == nullptr)) return false;
  return std::all_of(options, options + count, [](int option) { return option >= 0 && option < kJitKnownOptions; });
}

void** JitOptions::Find(int option) const {
  const auto* const found = std::find(options, options + count, option);
  return found == options + count ? nullptr : &values[found - options];
}

void JitOptions::WriteErrorLog(std::string_view message) const {
  if (void** const info_bytes = Find(kJitInfoLogBytes); info_bytes != nullptr) *info_bytes = nullptr;
  void** const buffer = Find(kJitErrorLog);
  void** const bytes = Find(kJitErrorLogBytes);
  if (buffer == nullptr || bytes == nullptr) return;
  const auto capacity = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(*bytes));  // an unsigned int for CUDA
  size_t written = 0;
  if (*buffer != nullptr && capacity > 0) {
    written = std::min<size_t>(message.size(), capacity - 1);
    std::memcpy(*buffer, message.data(), written);
    static_cast<char*>(*buffer)[written] = '\0';
  }
  *bytes = reinterpret_cast<void*>(written);
}

}  // namespace mignificient::cpu
