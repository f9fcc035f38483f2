// Modules, libraries and kernels. An image arrives as a memfd that nobody can write to any more, and is checked to lie
// within its own length before the driver parses it.

#include <algorithm>
#include <cstring>
#include <memory>

#include "abi/image.h"
#include "remoting/server/connection.h"
#include "remoting/server/jit.h"

namespace mignificient::server {
namespace {

bool LoadAllowed(const wire::LoadBody& load, std::span<const std::byte> options) {
  return load.option_count <= wire::kMaxJitOptions && options.size() >= load.option_count * sizeof(wire::JitOption) &&
         load.info_log_bytes <= wire::kMaxJitLog && load.error_log_bytes <= wire::kMaxJitLog;
}

bool MayGoUnanswered(wire::Command command) {
  return command == wire::Command::kUnloadModule || command == wire::Command::kUnloadLibrary ||
         command == wire::Command::kLoadLibrary || command == wire::Command::kGetKernel;
}

}  // namespace

bool Connection::DispatchCode(wire::Command command, uint16_t slot, std::span<const std::byte> body) {
  if (slot == wire::kNoReply && !MayGoUnanswered(command)) return Misuse("Code command asks for no reply.");
  switch (command) {
    case wire::Command::kListFunctions:
      if (const auto* list = Body<wire::ListFunctionsBody>(body)) return ListFunctions(slot, *list);
      return Misuse("Code command is too short.");
    case wire::Command::kLinkCreate:
    case wire::Command::kLinkAdd:
    case wire::Command::kLinkComplete:
    case wire::Command::kLinkRead:
    case wire::Command::kLinkDestroy:
      return Link(command, slot, body);
    case wire::Command::kLoadModule:
    case wire::Command::kLoadLibrary:
      return Load(command, slot, body);
    case wire::Command::kGetFunction:
    case wire::Command::kGetKernel:
      return GetKernel(command, slot, body);
    default:
      break;
  }
  const auto* handle = Body<wire::HandleBody>(body);
  if (handle == nullptr) return Misuse("Code command is too short.");
  if (command == wire::Command::kLibraryModule) return LibraryModule(slot, handle->handle);
  if (command == wire::Command::kDescribe) return DescribeTo(slot, handle->handle);
  return Unload(command, slot, handle->handle);
}

bool Connection::Load(wire::Command command, uint16_t slot, std::span<const std::byte> body) {
  const auto* load = Body<wire::LoadBody>(body);
  if (load == nullptr || !LoadAllowed(*load, body)) return Misuse("Load command is malformed.");
  const os::UniqueFd fd = TakeDescriptor(load->tag);
  if (!fd) return Misuse("Load command names a descriptor that was not sent.");
  if (command == wire::Command::kLoadLibrary && !libraries_.Takes(load->library))
    return Misuse("Library is loaded under a name that is none, or in use.");
  auto mapping = ImageMapping::Create(fd.get(), load->bytes);
  if (!mapping) return Misuse(mapping.error().message());
  const auto image = abi::FindImage(mapping->bytes());
  if (!image) {
    Answer(slot, CUDA_ERROR_INVALID_IMAGE);
    return true;
  }
  JitOptions jit;
  jit.Read(reinterpret_cast<const wire::JitOption*>(body.data()), *load);

  const auto reply = std::make_unique<wire::LoadReply>();
  const auto count = static_cast<unsigned>(jit.names.size());
  const void* code = image->bytes.data();
  CUresult result;
  std::optional<uint64_t> handle;
  if (command == wire::Command::kLoadModule) {
    CUmodule module = nullptr;
    result = driver().cuModuleLoadDataEx(&module, code, count, jit.names.data(), jit.values.data());
    if (result == CUDA_SUCCESS && !(handle = modules_.Add(module))) driver().cuModuleUnload(module);
  } else {
    // The image stays mapped as long as the library is loaded, so that the driver need not copy it.
    int preserved = CU_LIBRARY_BINARY_IS_PRESERVED;
    void* yes = reinterpret_cast<void*>(1);
    CUlibrary library = nullptr;
    result =
        driver().cuLibraryLoadData(&library, code, jit.names.data(), jit.values.data(), count, &preserved, &yes, 1);
    if (result == CUDA_SUCCESS) libraries_.Insert(load->library, {library, std::move(*mapping)});
    handle = load->library;
  }
  if (result == CUDA_SUCCESS && !handle) result = CUDA_ERROR_OUT_OF_MEMORY;
  NoteSticky(result);
  if (slot == wire::kNoReply) {
    Defer(result);
    return true;
  }
  reply->handle = handle.value_or(0);
  reply->result = result;
  jit.WriteLogs(*reply);
  Answer(slot, CUDA_SUCCESS, std::as_bytes(std::span(reply.get(), 1)));
  return true;
}

bool Connection::Unload(wire::Command command, uint16_t slot, uint64_t handle) {
  kernels_.RemoveIf([handle](const Kernel& kernel) { return kernel.owner == handle; });
  CUresult result = CUDA_ERROR_INVALID_HANDLE;
  if (command == wire::Command::kUnloadModule) {
    if (const auto module = modules_.Remove(handle)) result = driver().cuModuleUnload(*module);
  } else {
    if (const auto library = libraries_.Remove(handle)) result = driver().cuLibraryUnload(library->library);
  }
  Answer(slot, result);
  return true;
}

bool Connection::GetKernel(wire::Command command, uint16_t slot, std::span<const std::byte> body) {
  const auto* request = Body<wire::NameBody>(body);
  if (request == nullptr || request->name_bytes > body.size() || request->name_bytes > wire::kMaxNameBytes)
    return Misuse("Name is longer than its command.");
  if (!kernels_.Takes(KernelSlot(request->function))) return Misuse("Kernel is given a name that is none, or in use.");
  const std::string name(reinterpret_cast<const char*>(body.data()), request->name_bytes);
  Kernel kernel;
  kernel.owner = request->handle;
  CUresult result = CUDA_ERROR_INVALID_HANDLE;
  if (command == wire::Command::kGetFunction) {
    CUmodule module = nullptr;
    if (ResolveModule(request->handle, module))
      result = driver().cuModuleGetFunction(&kernel.function, module, name.c_str());
  } else {
    CUlibrary library = nullptr;
    if (ResolveLibrary(request->handle, library))
      result = driver().cuLibraryGetKernel(&kernel.kernel, library, name.c_str());
  }
  if (result == CUDA_SUCCESS && slot != wire::kNoReply) result = Describe(kernel);
  if (result == CUDA_SUCCESS) kernels_.Insert(KernelSlot(request->function), std::move(kernel));
  if (result == CUDA_SUCCESS && slot != wire::kNoReply) return DescribeTo(slot, request->function);
  Answer(slot, result);
  return true;
}

// What a kernel takes is looked for when somebody asks: the driver has to bring its code to the device for that.
bool Connection::DescribeTo(uint16_t slot, uint64_t name) {
  Kernel* kernel = kernels_.Find(KernelSlot(name));
  CUresult result = kernel == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
  if (result == CUDA_SUCCESS && !kernel->described) result = Describe(*kernel);
  if (result != CUDA_SUCCESS) {
    Answer(slot, result);
    return true;
  }
  const auto reply = std::make_unique<wire::FunctionReply>();
  reply->max_threads = kernel->max_threads;
  reply->static_shared_bytes = kernel->static_shared_bytes;
  reply->param_bytes = kernel->param_bytes;
  reply->param_count = static_cast<uint32_t>(kernel->params.size());
  std::ranges::copy(kernel->params, reply->params);
  Answer(slot, CUDA_SUCCESS, std::as_bytes(std::span(reply.get(), 1)));
  return true;
}

CUresult Connection::Describe(Kernel& kernel) {
  const auto attribute = [&](CUfunctionAttribute which, uint32_t& out) {
    int value = 0;
    const CUresult result = kernel.kernel != nullptr
                                ? driver().cuKernelGetAttribute(&value, which, kernel.kernel, device_.ordinal)
                                : driver().cuFuncGetAttribute(&value, which, kernel.function);
    out = static_cast<uint32_t>(value);
    return result;
  };
  CUresult result = attribute(CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, kernel.max_threads);
  if (result == CUDA_SUCCESS) result = attribute(CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, kernel.static_shared_bytes);
  if (result != CUDA_SUCCESS) return result;
  kernel.params.clear();
  kernel.param_bytes = 0;
  for (uint32_t i = 0; i < wire::kMaxKernelParams; ++i) {
    size_t offset = 0, size = 0;
    const CUresult found = kernel.kernel != nullptr ? driver().cuKernelGetParamInfo(kernel.kernel, i, &offset, &size)
                                                    : driver().cuFuncGetParamInfo(kernel.function, i, &offset, &size);
    if (found == CUDA_ERROR_INVALID_VALUE) break;  // there is no such parameter
    if (found != CUDA_SUCCESS) return found;
    kernel.params.push_back({static_cast<uint32_t>(offset), static_cast<uint32_t>(size)});
    kernel.param_bytes = static_cast<uint32_t>(offset + size);
  }
  if (kernel.param_bytes > wire::kMaxKernelParamBytes) return CUDA_ERROR_NOT_SUPPORTED;
  kernel.described = true;
  return CUDA_SUCCESS;
}

bool Connection::LibraryModule(uint16_t slot, uint64_t handle) {
  CUlibrary library = nullptr;
  CUmodule module = nullptr;
  if (!ResolveLibrary(handle, library)) {
    Answer(slot, CUDA_ERROR_INVALID_HANDLE);
    return true;
  }
  const CUresult result = driver().cuLibraryGetModule(&module, library);
  if (result != CUDA_SUCCESS) {
    Answer(slot, result);
    return true;
  }
  // The module belongs to its library: its name leads back there (ResolveModule), and it cannot be unloaded by itself.
  wire::Handle parts = wire::UnpackHandle(handle);
  parts.kind = wire::HandleKind::kModule;
  parts.slot |= kLibraryModuleBit;
  const wire::HandleBody reply{wire::PackHandle(parts)};
  Answer(slot, CUDA_SUCCESS, std::as_bytes(std::span(&reply, 1)));
  return true;
}

bool Connection::ListFunctions(uint16_t slot, const wire::ListFunctionsBody& body) {
  const auto reply = std::make_unique<wire::ListFunctionsReply>();
  std::vector<const char*> names;
  CUmodule module = nullptr;
  CUlibrary library = nullptr;
  unsigned count = 0;
  CUresult result = CUDA_ERROR_INVALID_HANDLE;
  if (ResolveLibrary(body.handle, library)) {
    result = driver().cuLibraryGetKernelCount(&count, library);
    std::vector<CUkernel> kernels(count);
    if (result == CUDA_SUCCESS) result = driver().cuLibraryEnumerateKernels(kernels.data(), count, library);
    names.resize(count);
    for (unsigned i = 0; i < count && result == CUDA_SUCCESS; ++i)
      result = driver().cuKernelGetName(&names[i], kernels[i]);
  } else if (ResolveModule(body.handle, module)) {
    result = driver().cuModuleGetFunctionCount(&count, module);
    std::vector<CUfunction> functions(count);
    if (result == CUDA_SUCCESS) result = driver().cuModuleEnumerateFunctions(functions.data(), count, module);
    names.resize(count);
    for (unsigned i = 0; i < count && result == CUDA_SUCCESS; ++i)
      result = driver().cuFuncGetName(&names[i], functions[i]);
  }
  reply->total = count;
  uint32_t used = 0;
  for (size_t i = body.first; i < names.size() && result == CUDA_SUCCESS; ++i) {
    const size_t bytes = std::strlen(names[i]) + 1;
    if (used + bytes > sizeof reply->names) break;
    std::memcpy(reply->names + used, names[i], bytes);
    used += static_cast<uint32_t>(bytes);
    ++reply->count;
  }
  Answer(slot, result, std::as_bytes(std::span(reply.get(), 1)));
  return true;
}

}  // namespace mignificient::server
