// Modules, libraries, kernels and functions. What of an image the device can run is copied into a memfd and the
// descriptor sent to the server; it never travels through the ring.

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "abi/cubin.h"
#include "abi/fatbin.h"
#include "remoting/client/call.h"
#include "remoting/client/channel.h"
#include "remoting/client/function.h"
#include "remoting/client/globals.h"
#include "remoting/client/jit.h"
#include "remoting/client/library.h"
#include "remoting/client/managed_variables.h"
#include "remoting/wire/commands.h"

namespace mignificient::client {
namespace {

using wire::Command;
using wire::HandleKind;

template <typename T>
uint64_t Name(T handle) {
  return reinterpret_cast<uint64_t>(handle);
}

template <typename T>
T As(uint64_t handle) {
  return reinterpret_cast<T>(handle);
}

// What is known of an executable of machine code that this device runs: nothing can be wrong with it that a program
// would look for, so it need not wait until the driver has read it. Programs unpack the next image meanwhile.
Library KnownOf(const abi::Image& image, const JitRequest& jit) {
  const wire::DeviceInfo& device = Device();
  if (device.runs_machine_code == 0 || image.kind != abi::ImageKind::kElf || !jit.IsEmpty()) return {};
  const auto major = static_cast<uint32_t>(device.attributes[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR]);
  const auto minor = static_cast<uint32_t>(device.attributes[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR]);
  const auto cubin = abi::ReadCubin(image.bytes);
  if (!cubin || !abi::RunsOn(*cubin, major, minor)) return {};
  return {.kernels{{cubin->kernels.begin(), cubin->kernels.end()}}};
}

// `handle`: of a library its name, which the client gives; of a module the answer's.
CUresult LoadImage(Command command, const abi::Image& image, JitRequest& jit, uint64_t& handle) {
  const abi::DevicePieces code(
      image, static_cast<uint32_t>(Device().attributes[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR]));
  const auto fd = Seal(code.pieces());
  if (!fd) return CUDA_ERROR_OUT_OF_MEMORY;
  const auto tag = TheChannel()->SendDescriptor(fd->get(), code.bytes());
  if (!tag) return CUDA_ERROR_DEVICE_UNAVAILABLE;
  const wire::LoadBody body{
      *tag, code.bytes(), static_cast<uint32_t>(jit.options.size()), jit.log_bytes[0], jit.log_bytes[1], 0, handle};
  if (const Library* library = Libraries().Find(handle); library != nullptr && library->kernels)
    return PostBody(static_cast<uint16_t>(command), body);
  const auto reply = std::make_unique<wire::LoadReply>();
  const CUresult called =
      Call(static_cast<uint16_t>(command), std::as_bytes(std::span(&body, 1)),
           std::as_writable_bytes(std::span(reply.get(), 1)), std::as_bytes(std::span(jit.options)));
  if (called != CUDA_SUCCESS) return called;
  jit.Deliver(*reply);
  if (command == Command::kLoadModule) handle = reply->handle;
  return static_cast<CUresult>(reply->result);
}

// A module belongs to the current context. A library belongs to none: the runtime loads it, and finds its kernels, on
// threads that have no context yet.
CUresult ReadyFor(HandleKind kind) {
  return kind == HandleKind::kLibrary ? ReadyAnywhere() : Ready();
}
HandleKind KindOf(Command load) {
  return load == Command::kLoadLibrary ? HandleKind::kLibrary : HandleKind::kModule;
}

// Loads a module or library from memory; `loaded` is the program's CUmodule or CUlibrary.
template <typename T>
CUresult Load(Command command, const void* image, JitRequest jit, T* loaded) {
  if (const CUresult ready = ReadyFor(KindOf(command)); ready != CUDA_SUCCESS) return ready;
  if (loaded == nullptr || image == nullptr || !jit.complete) return CUDA_ERROR_INVALID_VALUE;
  const auto found = abi::FindImage(image);
  if (!found) return CUDA_ERROR_INVALID_IMAGE;
  const bool library = command == Command::kLoadLibrary;
  uint64_t handle = library ? Libraries().Create(KnownOf(*found, jit)) : 0;
  const CUresult result = LoadImage(command, *found, jit, handle);
  if (result == CUDA_SUCCESS)
    *loaded = As<T>(handle);
  else if (library)
    Libraries().Destroy(handle);
  return result;
}

template <typename T>
CUresult LoadFile(Command command, const char* path, JitRequest jit, T* loaded) {
  if (const CUresult ready = ReadyFor(KindOf(command)); ready != CUDA_SUCCESS) return ready;
  if (loaded == nullptr || path == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const auto bytes = ReadFile(path);
  if (!bytes) return CUDA_ERROR_FILE_NOT_FOUND;
  return Load(command, bytes->data(), std::move(jit), loaded);
}

CUresult Unload(Command command, HandleKind kind, uint64_t handle) {
  if (const CUresult ready = ReadyFor(kind); ready != CUDA_SUCCESS) return ready;
  if (wire::UnpackHandle(handle).kind != kind) return CUDA_ERROR_INVALID_HANDLE;
  const CUresult posted = PostBody(static_cast<uint16_t>(command), wire::HandleBody{handle});
  ForgetFunctionsOf(handle);  // after the server is told: another thread may take the names at once
  TheGlobals().ForgetOf(handle);
  return posted;
}

// Finds a kernel by name; `found` is the program's CUfunction or CUkernel.
template <typename T>
CUresult Lookup(Command command, HandleKind kind, uint64_t owner, const char* name, T* found) {
  if (const CUresult ready = ReadyFor(kind); ready != CUDA_SUCCESS) return ready;
  if (found == nullptr || name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (wire::UnpackHandle(owner).kind != kind) return CUDA_ERROR_INVALID_HANDLE;
  const Function* function = nullptr;
  const CUresult result = GetFunction(command, owner, name, function);
  if (result == CUDA_SUCCESS) *found = As<T>(function->handle);
  return result;
}

CUresult ParamInfo(const Function* function, size_t index, size_t* offset, size_t* size) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (const CUresult described = Described(function); described != CUDA_SUCCESS) return described;
  if (offset == nullptr || index >= function->params.size()) return CUDA_ERROR_INVALID_VALUE;
  *offset = function->params[index].offset;
  if (size != nullptr) *size = function->params[index].size;
  return CUDA_SUCCESS;
}

CUresult FunctionName(const Function* function, const char** name) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  *name = function->name.c_str();
  return CUDA_SUCCESS;
}

// The names of all kernels of a module or library.
CUresult Names(uint64_t owner, std::vector<std::string>& names) {
  const auto reply = std::make_unique<wire::ListFunctionsReply>();
  do {
    const wire::ListFunctionsBody body{owner, names.size()};
    const CUresult result = CallBody(static_cast<uint16_t>(Command::kListFunctions), body, *reply);
    if (result != CUDA_SUCCESS) return result;
    const char* name = reply->names;
    for (uint32_t i = 0; i < reply->count; ++i) {
      const size_t room = static_cast<size_t>(std::end(reply->names) - name);
      names.emplace_back(name, ::strnlen(name, room));
      name += std::min(names.back().size() + 1, room);
    }
  } while (reply->count > 0 && names.size() < reply->total);
  return CUDA_SUCCESS;
}

template <typename T>
CUresult Enumerate(Command command, HandleKind kind, uint64_t owner, T* found, unsigned count) {
  if (const CUresult ready = ReadyFor(kind); ready != CUDA_SUCCESS) return ready;
  if (found == nullptr || count == 0) return CUDA_ERROR_INVALID_VALUE;
  if (wire::UnpackHandle(owner).kind != kind) return CUDA_ERROR_INVALID_HANDLE;
  std::vector<std::string> names;
  if (const CUresult result = Names(owner, names); result != CUDA_SUCCESS) return result;
  for (unsigned i = 0; i < count && i < names.size(); ++i) {
    const Function* function = nullptr;
    const CUresult result = GetFunction(command, owner, names[i].c_str(), function);
    if (result != CUDA_SUCCESS) return result;
    found[i] = As<T>(function->handle);
  }
  return CUDA_SUCCESS;
}

}  // namespace

MIG_EXPORT CUresult cuModuleEnumerateFunctions(CUfunction* functions, unsigned count, CUmodule module) {
  return Enumerate(Command::kGetFunction, HandleKind::kModule, Name(module), functions, count);
}

MIG_EXPORT CUresult cuLibraryEnumerateKernels(CUkernel* kernels, unsigned count, CUlibrary library) {
  return Enumerate(Command::kGetKernel, HandleKind::kLibrary, Name(library), kernels, count);
}

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
  ForgetManagedVariablesOf(library);
  const CUresult result = Unload(Command::kUnloadLibrary, HandleKind::kLibrary, Name(library));
  if (result == CUDA_SUCCESS) Libraries().Destroy(Name(library));
  return result;
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
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (library == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Function* found = FindFunction(kernel);
  if (found == nullptr || wire::UnpackHandle(found->owner).kind != HandleKind::kLibrary)
    return CUDA_ERROR_INVALID_HANDLE;
  *library = As<CUlibrary>(found->owner);
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuFuncGetModule(CUmodule* module, CUfunction function) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (module == nullptr || function == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Function* found = FindFunction(function);
  if (found == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (wire::UnpackHandle(found->owner).kind == HandleKind::kLibrary)
    return cuLibraryGetModule(module, As<CUlibrary>(found->owner));
  *module = As<CUmodule>(found->owner);
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuFuncGetName(const char** name, CUfunction function) {
  return function == nullptr ? InvalidValue() : FunctionName(FindFunction(function), name);
}
MIG_EXPORT CUresult cuKernelGetName(const char** name, CUkernel kernel) {
  return kernel == nullptr ? InvalidValue() : FunctionName(FindFunction(kernel), name);
}
MIG_EXPORT CUresult cuFuncGetParamInfo(CUfunction function, size_t index, size_t* offset, size_t* size) {
  return function == nullptr ? InvalidValue() : ParamInfo(FindFunction(function), index, offset, size);
}
MIG_EXPORT CUresult cuKernelGetParamInfo(CUkernel kernel, size_t index, size_t* offset, size_t* size) {
  return kernel == nullptr ? InvalidValue() : ParamInfo(FindFunction(kernel), index, offset, size);
}

MIG_EXPORT CUresult cuFuncIsLoaded(int* state, CUfunction function) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (state == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (FindFunction(function) == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  *state = 1;  // CU_FUNCTION_LOADING_STATE_LOADED
  return CUDA_SUCCESS;
}
MIG_EXPORT CUresult cuFuncLoad(CUfunction function) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  return FindFunction(function) == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
}

// Texture and surface references left the language with CUDA 12: no module has any.
MIG_EXPORT CUresult cuModuleGetTexRef(void** reference, CUmodule module, const char* name) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (!IsA(HandleKind::kModule, module)) return CUDA_ERROR_INVALID_HANDLE;
  return reference == nullptr || name == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_NOT_FOUND;
}
MIG_EXPORT CUresult cuModuleGetSurfRef(void** reference, CUmodule module, const char* name) {
  return cuModuleGetTexRef(reference, module, name);
}

// Needs CU_DEVICE_ATTRIBUTE_UNIFIED_FUNCTION_POINTERS.
MIG_EXPORT CUresult cuLibraryGetUnifiedFunction(void** pointer, CUlibrary library, const char* name) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (pointer == nullptr || name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return library == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_NOT_FOUND;
}

MIG_EXPORT CUresult cuLibraryGetManaged(CUdeviceptr* ptr, size_t* bytes, CUlibrary library, const char* name) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  if (name == nullptr || (ptr == nullptr && bytes == nullptr)) return CUDA_ERROR_INVALID_VALUE;
  CUdeviceptr address = 0;
  size_t size = 0;
  if (const CUresult got = GetManagedVariable(library, name, address, size); got != CUDA_SUCCESS) return got;
  if (ptr != nullptr) *ptr = address;
  if (bytes != nullptr) *bytes = size;
  return CUDA_SUCCESS;
}

}  // namespace mignificient::client
