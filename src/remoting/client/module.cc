// Modules, libraries, kernels and functions. An image is copied into a memfd and the descriptor sent to the server; it
// never travels through the ring.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "abi/image.h"
#include "os/unique_fd.h"
#include "remoting/client/call.h"
#include "remoting/client/channel.h"
#include "remoting/client/function.h"
#include "remoting/wire/commands.h"

namespace mignificient::client {
namespace {

using wire::Command;
using wire::HandleKind;

// CUjit_option values that are not plain numbers for the compiler.
enum : int { kJitInfoLog = 3, kJitInfoLogBytes = 4, kJitErrorLog = 5, kJitErrorLogBytes = 6, kJitWallTime = 2 };

template <typename T>
uint64_t Name(T handle) {
  return reinterpret_cast<uint64_t>(handle);
}

template <typename T>
T As(uint64_t handle) {
  return reinterpret_cast<T>(handle);
}

// An image in a memfd that nobody can write to any more.
Result<os::UniqueFd> Seal(std::span<const std::byte> image) {
  os::UniqueFd fd(::memfd_create("mignificient-image", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return FailErrno("memfd_create", errno);
  for (size_t done = 0; done < image.size();) {
    const ssize_t written = ::write(fd.get(), image.data() + done, image.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return FailErrno("write", errno);
    done += static_cast<size_t>(written);
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
    return FailErrno("fcntl(F_ADD_SEALS)", errno);
  return fd;
}

// The JIT options of one load: numbers for the server, and where the program wants its logs.
struct JitRequest {
  std::vector<wire::JitOption> options;
  char* logs[2] = {};  // info, error
  uint32_t log_bytes[2] = {};
  void** log_size_values[2] = {};  // where CUDA reports how much was written

  JitRequest(unsigned count, const int* names, void** values) {
    for (unsigned i = 0; i < count && names != nullptr && values != nullptr; ++i) {
      const auto number = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(values[i]));
      switch (names[i]) {
        case kJitInfoLog:
          logs[0] = static_cast<char*>(values[i]);
          break;
        case kJitErrorLog:
          logs[1] = static_cast<char*>(values[i]);
          break;
        case kJitInfoLogBytes:
          log_bytes[0] = number, log_size_values[0] = &values[i];
          break;
        case kJitErrorLogBytes:
          log_bytes[1] = number, log_size_values[1] = &values[i];
          break;
        case kJitWallTime:
          break;  // an output that we leave as it is
        default:
          options.push_back({names[i], 0, reinterpret_cast<uint64_t>(values[i])});
      }
    }
    for (int i = 0; i < 2; ++i) log_bytes[i] = logs[i] == nullptr ? 0 : std::min(log_bytes[i], wire::kMaxJitLog);
  }

  void Deliver(const wire::LoadReply& reply) {
    const uint32_t sizes[2] = {reply.info_log_bytes, reply.error_log_bytes};
    const char* from = reply.logs;
    for (int i = 0; i < 2; ++i) {
      const uint32_t bytes = std::min(sizes[i], log_bytes[i]);
      if (bytes > 0) std::memcpy(logs[i], from, bytes);
      if (log_bytes[i] > 0) logs[i][std::min(bytes, log_bytes[i] - 1)] = '\0';
      if (log_size_values[i] != nullptr) *log_size_values[i] = reinterpret_cast<void*>(uintptr_t{bytes});
      from += std::min(sizes[i], wire::kMaxJitLog);
    }
  }
};

CUresult LoadBytes(Command command, std::span<const std::byte> image, JitRequest& jit, uint64_t& handle) {
  if (jit.options.size() > wire::kMaxJitOptions) return CUDA_ERROR_INVALID_VALUE;
  const auto fd = Seal(image);
  if (!fd) return CUDA_ERROR_OUT_OF_MEMORY;
  const auto tag = TheChannel()->SendDescriptor(fd->get(), image.size());
  if (!tag) return CUDA_ERROR_DEVICE_UNAVAILABLE;
  const wire::LoadBody body{
      *tag, image.size(), static_cast<uint32_t>(jit.options.size()), jit.log_bytes[0], jit.log_bytes[1], 0};
  const auto reply = std::make_unique<wire::LoadReply>();
  const CUresult called =
      Call(static_cast<uint16_t>(command), std::as_bytes(std::span(&body, 1)),
           std::as_writable_bytes(std::span(reply.get(), 1)), std::as_bytes(std::span(jit.options)));
  if (called != CUDA_SUCCESS) return called;
  jit.Deliver(*reply);
  handle = reply->handle;
  return static_cast<CUresult>(reply->result);
}

// Loads a module or library from memory; `loaded` is the program's CUmodule or CUlibrary.
template <typename T>
CUresult Load(Command command, const void* image, JitRequest jit, T* loaded) {
  if (loaded == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (image == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const auto found = abi::FindImage(image);
  if (!found) return CUDA_ERROR_INVALID_IMAGE;
  uint64_t handle = 0;
  const CUresult result = LoadBytes(command, found->bytes, jit, handle);
  if (result == CUDA_SUCCESS) *loaded = As<T>(handle);
  return result;
}

Result<std::vector<std::byte>> ReadFile(const char* path) {
  os::UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return FailErrno("open", errno);
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return FailErrno("fstat", errno);
  std::vector<std::byte> bytes(static_cast<size_t>(status.st_size) + 1);  // PTX files have no zero byte of their own
  for (size_t done = 0; done + 1 < bytes.size();) {
    const ssize_t got = ::read(fd.get(), bytes.data() + done, bytes.size() - 1 - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return FailErrno("read", got < 0 ? errno : EIO);
    done += static_cast<size_t>(got);
  }
  return bytes;
}

template <typename T>
CUresult LoadFile(Command command, const char* path, JitRequest jit, T* loaded) {
  if (loaded == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (path == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const auto bytes = ReadFile(path);
  if (!bytes) return CUDA_ERROR_FILE_NOT_FOUND;
  return Load(command, bytes->data(), std::move(jit), loaded);
}

CUresult Unload(Command command, HandleKind kind, uint64_t handle) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (wire::UnpackHandle(handle).kind != kind) return CUDA_ERROR_INVALID_HANDLE;
  ForgetFunctionsOf(handle);
  return PostBody(static_cast<uint16_t>(command), wire::HandleBody{handle});
}

// Finds a kernel by name; `found` is the program's CUfunction or CUkernel.
template <typename T>
CUresult Lookup(Command command, HandleKind kind, uint64_t owner, const char* name, T* found) {
  if (found == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (wire::UnpackHandle(owner).kind != kind) return CUDA_ERROR_INVALID_HANDLE;
  const Function* function = nullptr;
  const CUresult result = GetFunction(command, owner, name, function);
  if (result == CUDA_SUCCESS) *found = As<T>(function->handle);
  return result;
}

CUresult ParamInfo(const Function* function, size_t index, size_t* offset, size_t* size) {
  if (function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (offset == nullptr || index >= function->params.size()) return CUDA_ERROR_INVALID_VALUE;
  *offset = function->params[index].offset;
  if (size != nullptr) *size = function->params[index].size;
  return CUDA_SUCCESS;
}

CUresult FunctionName(const Function* function, const char** name) {
  if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  *name = function->name.c_str();
  return CUDA_SUCCESS;
}

}  // namespace

MIG_EXPORT CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned count, int* options,
                                       void** values) {
  return Load(Command::kLoadModule, image, JitRequest(count, options, values), module);
}

MIG_EXPORT CUresult cuModuleLoadData(CUmodule* module, const void* image) {
  return cuModuleLoadDataEx(module, image, 0, nullptr, nullptr);
}

MIG_EXPORT CUresult cuModuleLoadFatBinary(CUmodule* module, const void* image) {
  return cuModuleLoadDataEx(module, image, 0, nullptr, nullptr);
}

MIG_EXPORT CUresult cuModuleLoad(CUmodule* module, const char* path) {
  return LoadFile(Command::kLoadModule, path, JitRequest(0, nullptr, nullptr), module);
}

MIG_EXPORT CUresult cuModuleUnload(CUmodule module) {
  return Unload(Command::kUnloadModule, HandleKind::kModule, Name(module));
}

MIG_EXPORT CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
  return Lookup(Command::kGetFunction, HandleKind::kModule, Name(module), name, function);
}

MIG_EXPORT CUresult cuLibraryLoadData(CUlibrary* library, const void* code, int* jit_options, void** jit_values,
                                      unsigned jit_count, int*, void**, unsigned) {
  // The library options only say who keeps the image; the server always has its own.
  return Load(Command::kLoadLibrary, code, JitRequest(jit_count, jit_options, jit_values), library);
}

MIG_EXPORT CUresult cuLibraryLoadFromFile(CUlibrary* library, const char* path, int* jit_options, void** jit_values,
                                          unsigned jit_count, int*, void**, unsigned) {
  return LoadFile(Command::kLoadLibrary, path, JitRequest(jit_count, jit_options, jit_values), library);
}

MIG_EXPORT CUresult cuLibraryUnload(CUlibrary library) {
  return Unload(Command::kUnloadLibrary, HandleKind::kLibrary, Name(library));
}

MIG_EXPORT CUresult cuLibraryGetKernel(CUkernel* kernel, CUlibrary library, const char* name) {
  return Lookup(Command::kGetKernel, HandleKind::kLibrary, Name(library), name, kernel);
}

MIG_EXPORT CUresult cuLibraryGetModule(CUmodule* module, CUlibrary library) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (module == nullptr) return CUDA_ERROR_INVALID_VALUE;
  wire::HandleBody reply{};
  const wire::HandleBody body{Name(library)};
  const CUresult result = CallBody(static_cast<uint16_t>(Command::kLibraryModule), body, reply);
  if (result == CUDA_SUCCESS) *module = As<CUmodule>(reply.handle);
  return result;
}

MIG_EXPORT CUresult cuKernelGetFunction(CUfunction* function, CUkernel kernel) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (function == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Function* found = FindFunction(kernel);
  if (found == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  *function = As<CUfunction>(WithKind(found->handle, HandleKind::kFunction));
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuKernelGetLibrary(CUlibrary* library, CUkernel kernel) {
  if (library == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Function* found = FindFunction(kernel);
  if (found == nullptr || wire::UnpackHandle(found->owner).kind != HandleKind::kLibrary)
    return CUDA_ERROR_INVALID_HANDLE;
  *library = As<CUlibrary>(found->owner);
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuFuncGetModule(CUmodule* module, CUfunction function) {
  if (module == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Function* found = FindFunction(function);
  if (found == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (wire::UnpackHandle(found->owner).kind == HandleKind::kLibrary)
    return cuLibraryGetModule(module, As<CUlibrary>(found->owner));
  *module = As<CUmodule>(found->owner);
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuFuncGetName(const char** name, CUfunction function) {
  return FunctionName(FindFunction(function), name);
}
MIG_EXPORT CUresult cuKernelGetName(const char** name, CUkernel kernel) {
  return FunctionName(FindFunction(kernel), name);
}
MIG_EXPORT CUresult cuFuncGetParamInfo(CUfunction function, size_t index, size_t* offset, size_t* size) {
  return ParamInfo(FindFunction(function), index, offset, size);
}
MIG_EXPORT CUresult cuKernelGetParamInfo(CUkernel kernel, size_t index, size_t* offset, size_t* size) {
  return ParamInfo(FindFunction(kernel), index, offset, size);
}

MIG_EXPORT CUresult cuFuncIsLoaded(int* state, CUfunction function) {
  if (state == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (FindFunction(function) == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  *state = 1;  // CU_FUNCTION_LOADING_STATE_LOADED
  return CUDA_SUCCESS;
}
MIG_EXPORT CUresult cuFuncLoad(CUfunction function) {
  return FindFunction(function) == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
}

}  // namespace mignificient::client
