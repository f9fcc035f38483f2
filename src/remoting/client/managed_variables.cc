#include "remoting/client/managed_variables.h"

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "remoting/client/call.h"
#include "remoting/client/capture.h"
#include "remoting/client/memory.h"

extern "C" {
CUresult cuLibraryGetModule(CUmodule* module, CUlibrary library);
CUresult cuModuleGetGlobal_v2(CUdeviceptr* address, size_t* bytes, CUmodule module, const char* name);
CUresult cuLibraryGetGlobal(CUdeviceptr* address, size_t* bytes, CUlibrary library, const char* name);
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dst, const void* src, size_t bytes, CUstream stream);
CUresult cuMemcpyDtoHAsync_v2(void* dst, CUdeviceptr src, size_t bytes, CUstream stream);
CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device);
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device);
CUresult cuCtxPushCurrent_v2(CUcontext context);
CUresult cuCtxPopCurrent_v2(CUcontext* context);
CUresult cuStreamCreate(CUstream* stream, unsigned flags);
}

namespace mignificient::client {
namespace {

struct Variable {
  CUlibrary library;
  std::string name;
  CUdeviceptr on_device;
  std::byte* program;           // managed memory of ours, so that a pointer to it serves kernels, too
  std::vector<std::byte> both;  // what program and device had when they were last brought together
};

struct Variables {
  std::mutex lock;
  std::vector<Variable> all;
  std::vector<std::byte> fetched;
  CUstream stream = nullptr;  // waits for nobody's work: what is fetched is complete
};
Variables& TheVariables() {
  static auto& variables = *new Variables;
  return variables;
}

CUresult FetchLocked(Variables& variables, CUdeviceptr from, void* to, size_t bytes) {
  if (variables.stream == nullptr)
    if (const CUresult made = cuStreamCreate(&variables.stream, CU_STREAM_NON_BLOCKING); made != CUDA_SUCCESS)
      return made;
  return cuMemcpyDtoHAsync_v2(to, from, bytes, variables.stream);
}

// The runtime asks before it has made a context current.
class SomeContext {
 public:
  SomeContext() : needed_(CurrentContext() == nullptr) {
    if (needed_ && cuDevicePrimaryCtxRetain(&context_, 0) == CUDA_SUCCESS) cuCtxPushCurrent_v2(context_);
  }
  ~SomeContext() {
    if (context_ == nullptr) return;
    cuCtxPopCurrent_v2(&context_);
    cuDevicePrimaryCtxRelease_v2(0);
  }
  SomeContext(const SomeContext&) = delete;
  SomeContext& operator=(const SomeContext&) = delete;

 private:
  const bool needed_;
  CUcontext context_ = nullptr;
};

CUresult Add(CUlibrary library, const char* name, Variable& variable) {
  const SomeContext context;
  CUmodule module = nullptr;
  size_t bytes = 0;
  CUresult result = cuLibraryGetModule(&module, library);
  if (result == CUDA_SUCCESS) result = cuModuleGetGlobal_v2(&variable.on_device, &bytes, module, name);
  if (result == CUDA_ERROR_NOT_FOUND) result = cuLibraryGetGlobal(&variable.on_device, &bytes, library, name);
  if (result != CUDA_SUCCESS) return result;
  if (bytes == 0) return CUDA_ERROR_NOT_FOUND;
  void* memory = nullptr;
  variable.library = library;
  variable.name = name;
  variable.both.resize(bytes);
  result = FetchLocked(TheVariables(), variable.on_device, variable.both.data(), bytes);
  if (result == CUDA_SUCCESS) result = ThePinnedMemory().Allocate(bytes, 1, PinnedMemory::Kind::kManaged, memory);
  if (result != CUDA_SUCCESS) return result;
  variable.program = static_cast<std::byte*>(memory);
  std::copy(variable.both.begin(), variable.both.end(), variable.program);
  return CUDA_SUCCESS;
}

}  // namespace

constinit std::atomic<bool> managed_variables_exist{false};

CUresult GetManagedVariable(CUlibrary library, const char* name, CUdeviceptr& address, size_t& bytes) {
  Variables& variables = TheVariables();
  const std::lock_guard lock(variables.lock);
  auto found = std::find_if(variables.all.begin(), variables.all.end(),
                            [&](const Variable& each) { return each.library == library && each.name == name; });
  if (found == variables.all.end()) {
    Variable made;
    if (const CUresult added = Add(library, name, made); added != CUDA_SUCCESS) return added;
    variables.all.push_back(std::move(made));
    found = variables.all.end() - 1;
    managed_variables_exist.store(true, std::memory_order_relaxed);
  }
  address = reinterpret_cast<CUdeviceptr>(found->program);
  bytes = found->both.size();
  return CUDA_SUCCESS;
}

void ForgetManagedVariablesOf(CUlibrary library) {
  if (!managed_variables_exist.load(std::memory_order_relaxed)) return;
  Variables& variables = TheVariables();
  const std::lock_guard lock(variables.lock);
  std::erase_if(variables.all, [&](const Variable& each) {
    if (each.library != library) return false;
    ThePinnedMemory().Free(each.program, PinnedMemory::Kind::kManaged);
    return true;
  });
}

void SendManagedVariables(CUstream stream) {
  if (IsCapturing(stream)) return;
  Variables& variables = TheVariables();
  const std::lock_guard lock(variables.lock);
  for (Variable& each : variables.all)
    for (size_t begin = 0; begin < each.both.size();) {
      if (each.program[begin] == each.both[begin]) {
        ++begin;
        continue;
      }
      size_t end = begin;  // of a run of bytes that the program has changed
      for (; end < each.both.size() && each.program[end] != each.both[end]; ++end) each.both[end] = each.program[end];
      cuMemcpyHtoDAsync_v2(each.on_device + begin, each.both.data() + begin, end - begin, stream);
      begin = end;
    }
}

void FetchManagedVariables() {
  Variables& variables = TheVariables();
  const std::lock_guard lock(variables.lock);
  for (Variable& each : variables.all) {
    variables.fetched.resize(each.both.size());
    if (FetchLocked(variables, each.on_device, variables.fetched.data(), each.both.size()) != CUDA_SUCCESS) return;
    for (size_t i = 0; i < each.both.size(); ++i) {
      const bool only_device = each.program[i] == each.both[i] && variables.fetched[i] != each.both[i];
      if (only_device) each.program[i] = variables.fetched[i];
      each.both[i] = variables.fetched[i];
    }
  }
}

}  // namespace mignificient::client
