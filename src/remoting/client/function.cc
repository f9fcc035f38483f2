#include "remoting/client/function.h"

#include <array>
#include <atomic>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "remoting/client/call.h"
#include "remoting/client/library.h"

namespace mignificient::client {

// Read without a lock by every launch; pages are added under the registry's.
constinit std::array<std::atomic<FunctionPage*>, kFunctionPages> function_pages{};

namespace {

using wire::HandleKind;

constexpr size_t kRetired = 1024;  // so many replaced entries are kept for those who found them before

struct Registry {
  std::mutex lock;
  std::map<std::pair<uint64_t, std::string>, const Function*> by_name;
  std::vector<uint32_t> generations;  // by slot: of what it named last
  std::vector<uint32_t> free_slots;
  std::deque<std::unique_ptr<const Function>> retired;  // oldest first
};

Registry& TheRegistry() {
  static Registry& registry = *new Registry;
  return registry;
}

// A name for a kernel; 0: there are too many.
uint64_t TakeName(Registry& registry, HandleKind kind) {
  uint32_t slot = static_cast<uint32_t>(registry.generations.size());
  if (!registry.free_slots.empty()) {
    slot = registry.free_slots.back();
    registry.free_slots.pop_back();
  } else if (slot == kFunctionPages * kFunctionPageEntries) {
    return 0;
  } else {
    registry.generations.push_back(0);
  }
  uint32_t& generation = registry.generations[slot];
  generation = (generation + 1) & 0xffffff;
  return wire::PackHandle({kind, generation, slot});
}

// A slot is used again once what it named is unloaded, or is described.
void Retire(Registry& registry, const Function* function) {
  if (function == nullptr) return;
  const auto known = registry.by_name.find({function->owner, function->name});
  if (known != registry.by_name.end() && known->second == function) registry.by_name.erase(known);
  registry.retired.emplace_back(function);
  if (registry.retired.size() > kRetired) registry.retired.pop_front();
}

const Function* Publish(Registry& registry, std::unique_ptr<const Function> function) {
  const uint32_t slot = wire::UnpackHandle(function->handle).slot;
  std::atomic<FunctionPage*>& page = function_pages[slot / kFunctionPageEntries];
  if (page.load(std::memory_order_relaxed) == nullptr) page.store(new FunctionPage{}, std::memory_order_release);
  std::atomic<const Function*>& entry = (*page.load(std::memory_order_relaxed))[slot % kFunctionPageEntries];
  Retire(registry, entry.exchange(function.get(), std::memory_order_acq_rel));
  registry.by_name.insert_or_assign({function->owner, function->name}, function.get());
  return function.release();  // the slot's
}

// Sets `runs` and `has_gaps` from `params`.
void LayOut(Function& function) {
  uint32_t end = 0;
  for (const auto& [offset, size] : function.params) {
    function.has_gaps |= offset > end;
    const bool joins = !function.runs.empty() && function.runs.back().size == size && offset == end;
    if (joins)
      ++function.runs.back().count;
    else
      function.runs.push_back({offset, size, 1});
    end = offset + size;
  }
}

CUresult Fill(Function& function, const wire::FunctionReply& reply) {
  if (reply.param_count > wire::kMaxKernelParams) return CUDA_ERROR_UNKNOWN;
  function.described = true;
  function.max_threads = reply.max_threads;
  function.static_shared_bytes = reply.static_shared_bytes;
  function.param_bytes = reply.param_bytes;
  function.params.assign(reply.params, reply.params + reply.param_count);
  LayOut(function);
  return CUDA_SUCCESS;
}

// Has the server find the kernel under function.handle; where it is promised, without waiting for it.
CUresult Ask(wire::Command command, bool promised, Function& function) {
  const wire::NameBody request{function.owner, function.name.size(), function.handle};
  const auto opcode = static_cast<uint16_t>(command);
  const auto body = std::as_bytes(std::span(&request, 1)), name = std::as_bytes(std::span(function.name));
  if (promised) return Post(opcode, body, name);
  const auto reply = std::make_unique<wire::FunctionReply>();
  const CUresult result = Call(opcode, body, std::as_writable_bytes(std::span(reply.get(), 1)), name);
  return result == CUDA_SUCCESS ? Fill(function, *reply) : result;
}

// The parameter block as one buffer, from `extra` of cuLaunchKernel: null when it is not complete.
bool BufferOf(void** extra, const void*& buffer, size_t& bytes) {
  const size_t* size = nullptr;
  for (int i = 0; reinterpret_cast<uintptr_t>(extra[i]) != kLaunchParamEnd; i += 2) {
    switch (reinterpret_cast<uintptr_t>(extra[i])) {
      case kLaunchParamBufferPointer:
        buffer = extra[i + 1];
        break;
      case kLaunchParamBufferSize:
        size = static_cast<const size_t*>(extra[i + 1]);
        break;
      default:
        return false;
    }
  }
  bytes = size == nullptr ? 0 : *size;
  return bytes == 0 || buffer != nullptr;
}

// Copies whose size is known to the compiler, for what nearly all parameters are: pointers and numbers. Returns the
// first value that it has not copied.
template <size_t kBytes>
void* const* CopyRun(std::byte* to, void* const* values, uint32_t count) {
#pragma GCC unroll 4
  for (uint32_t i = 0; i < count; ++i) std::memcpy(to + i * kBytes, values[i], kBytes);
  return values + count;
}

}  // namespace

HandleNames<Library>& Libraries() {
  static auto& names = *new HandleNames<Library>(HandleKind::kLibrary);
  return names;
}

CUresult FindPackedParams(const Function& function, void** params, void** extra, ParamSource& source) {
  source = {};
  size_t bytes = 0;
  if (params != nullptr || !BufferOf(extra, source.packed, bytes)) return CUDA_ERROR_INVALID_VALUE;
  return bytes < function.param_bytes ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

void PackParams(const Function& function, const ParamSource& source, std::byte* space) {
  if (source.packed != nullptr) {
    std::memcpy(space, source.packed, function.param_bytes);
    return;
  }
  if (function.has_gaps) std::memset(space, 0, function.param_bytes);
  void* const* values = source.params;
  for (const auto& [offset, size, count] : function.runs) {
    std::byte* to = space + offset;
    if (size == 8) {
      values = CopyRun<8>(to, values, count);
    } else if (size == 4) {
      values = CopyRun<4>(to, values, count);
    } else {
      for (uint32_t i = 0; i < count; ++i, to += size) std::memcpy(to, *values++, size);
    }
  }
}

CUresult GetFunction(wire::Command command, uint64_t owner, const char* name, const Function*& function) {
  const size_t name_bytes = std::strlen(name);
  if (name_bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  if (name_bytes > wire::kMaxNameBytes) return CUDA_ERROR_NOT_FOUND;
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.lock);
  if (const auto known = registry.by_name.find({owner, name}); known != registry.by_name.end()) {
    function = known->second;
    return CUDA_SUCCESS;
  }
  // Where it is known which kernels the library has, nobody need wait for one.
  const Library* library = command == wire::Command::kGetKernel ? Libraries().Find(owner) : nullptr;
  const bool promised = library != nullptr && library->kernels;
  if (promised && !library->kernels->contains(name)) return CUDA_ERROR_NOT_FOUND;
  auto asked = std::make_unique<Function>();
  asked->owner = owner;
  asked->name = name;
  asked->handle =
      TakeName(registry, command == wire::Command::kGetKernel ? HandleKind::kKernel : HandleKind::kFunction);
  if (asked->handle == 0) return CUDA_ERROR_OUT_OF_MEMORY;
  if (const CUresult result = Ask(command, promised, *asked); result != CUDA_SUCCESS) {
    registry.free_slots.push_back(wire::UnpackHandle(asked->handle).slot);
    return result;
  }
  function = Publish(registry, std::move(asked));
  return CUDA_SUCCESS;
}

CUresult Described(const Function*& function) {
  if (function->described) return CUDA_SUCCESS;
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.lock);
  const Function* known = FindFunction(reinterpret_cast<const void*>(function->handle));
  if (known == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (!known->described) {
    auto fresh = std::make_unique<Function>();
    fresh->handle = known->handle;
    fresh->owner = known->owner;
    fresh->name = known->name;
    const auto reply = std::make_unique<wire::FunctionReply>();
    CUresult result =
        CallBody(static_cast<uint16_t>(wire::Command::kDescribe), wire::HandleBody{known->handle}, *reply);
    if (result == CUDA_SUCCESS) result = Fill(*fresh, *reply);
    if (result != CUDA_SUCCESS) return result;
    known = Publish(registry, std::move(fresh));
  }
  function = known;
  return CUDA_SUCCESS;
}

void ForgetFunctionsOf(uint64_t owner) {
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.lock);
  const auto first = registry.by_name.lower_bound({owner, ""});
  auto last = first;
  for (; last != registry.by_name.end() && last->first.first == owner; ++last)
    registry.free_slots.push_back(wire::UnpackHandle(last->second->handle).slot);
  registry.by_name.erase(first, last);
}

}  // namespace mignificient::client
