#include "driver.h"

#include <dlfcn.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>

namespace sweep {
namespace {

constexpr Result kSuccess = 0, kNotInitialized = 3, kDeviceUnavailable = 46, kInvalidContext = 201, kUnknown = 999;

void Need(Result result, const char* what) {
  if (result == kSuccess) return;
  std::fprintf(stderr, "sweep: %s answers %u.\n", what, result);
  std::exit(3);
}

}  // namespace

Scratch::Scratch() {
  constexpr size_t kBytes = kPieceBytes * kPieces, kGuard = 1 << 20;
  void* memory = ::mmap(nullptr, kBytes + kGuard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || ::mprotect(memory, kBytes, PROT_READ | PROT_WRITE) != 0) std::abort();
  base_ = static_cast<std::byte*>(memory);
}

Driver::Driver(const char* library, State state, Values& values)
    : library_(::dlopen(library, RTLD_NOW | RTLD_GLOBAL)), state_(state) {
  if (library_ == nullptr) {
    std::fprintf(stderr, "sweep: %s\n", ::dlerror());
    std::exit(3);
  }
  if (state != State::kBefore) Need(Call("cuInit", 0u), "cuInit");
  if (state == State::kContext) MakeContext(values);
}

void Driver::MakeContext(Values& values) {
  Need(Call("cuDevicePrimaryCtxRetain", &context_, 0), "cuDevicePrimaryCtxRetain");
  Need(Call("cuCtxSetCurrent", context_), "cuCtxSetCurrent");
  Need(Call("cuMemAlloc_v2", &memory_, size_t{8}), "cuMemAlloc");
  Need(Call("cuEventCreate", &values.event, 0u), "cuEventCreate");
  Need(Call("cuStreamCreate", &values.stream, 1u), "cuStreamCreate");
  Need(RoundTrip(), "a copy there and back");
}

void* Driver::Find(const char* symbol) const {
  return ::dlsym(library_, symbol);
}

template <typename... Arguments>
Result Driver::Call(const char* symbol, Arguments... arguments) const {
  void* function = Find(symbol);
  return function == nullptr ? kUnknown : reinterpret_cast<Result (*)(Arguments...)>(function)(arguments...);
}

Result Driver::RoundTrip() const {
  const uint64_t sent = 0x0123456789abcdef;
  uint64_t received = 0;
  const Result there = Call("cuMemcpyHtoD_v2", memory_, static_cast<const void*>(&sent), sizeof sent);
  const Result back = Call("cuMemcpyDtoH_v2", static_cast<void*>(&received), memory_, sizeof received);
  if (there != kSuccess || back != kSuccess) return there != kSuccess ? there : back;
  return received == sent ? Call("cuCtxSynchronize") : kUnknown;
}

After Driver::LookAtContext() const {
  After after;
  void* current = nullptr;
  after.deferred = Call("cuCtxSynchronize");
  after.stays = RoundTrip();
  if (Call("cuCtxGetCurrent", &current) != kSuccess || current != context_) after = {.changes = true};
  return after;
}

After Driver::Look() const {
  if (state_ == State::kContext) return LookAtContext();
  if (state_ == State::kBefore) return {.changes = Call("cuCtxSynchronize") != kNotInitialized};
  // What needs no context and reaches the GPU server: whether it still listens.
  void* graph = nullptr;
  const Result created = Call("cuGraphCreate", &graph, 0u);
  if (created == kSuccess) Call("cuGraphDestroy", graph);
  if (created == kDeviceUnavailable) return {.stays = created};
  return {.changes = Call("cuCtxSynchronize") != kInvalidContext};
}

std::string Driver::Name(Result result) const {
  const char* name = nullptr;
  if (Call("cuGetErrorName", result, &name) != kSuccess || name == nullptr) return std::to_string(result);
  const std::string text = name;
  for (const std::string prefix : {"CUDA_ERROR_", "CUDA_"})
    if (text.starts_with(prefix)) return text.substr(prefix.size());
  return text;
}

}  // namespace sweep
