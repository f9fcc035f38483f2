// Modules, libraries and kernels. An image arrives as a memfd that nobody can write to any more, and is checked to lie
// within its own length before the driver parses it.

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "abi/image.h"
#include "remoting/server/connection.h"

namespace mignificient::server {
namespace {

constexpr uint64_t kImageLimit = uint64_t{2} << 30;

// A read-only mapping of a sealed image.
class ImageMapping {
 public:
  static Result<ImageMapping> Create(int fd, uint64_t bytes) {
    MIG_ASSIGN(const uint64_t size, os::SealedSize(fd));
    if ((::fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE) == 0)
      return Fail(Code::kPeer, "Image is not sealed against writing.");
    if (bytes == 0 || bytes > size || bytes > kImageLimit)
      return Fail(Code::kPeer, "Image has {} bytes (descriptor {}, limit {}).", bytes, size, kImageLimit);
    void* data = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) return FailErrno("mmap", errno);
    return ImageMapping({static_cast<std::byte*>(data), bytes});
  }
  ImageMapping(ImageMapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  ImageMapping& operator=(ImageMapping&&) = delete;
  ~ImageMapping() {
    if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit ImageMapping(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

// CUjit_option values that carry a number, not a pointer of the client's.
bool IsNumber(int option) {
  constexpr int kNumbers[] = {0, 1, 7, 8, 9, 10, 11, 12, 13, 14, 20, 21, 22, 23, 24, 30, 31, 32, 33};
  return std::find(std::begin(kNumbers), std::end(kNumbers), option) != std::end(kNumbers);
}

// The options as the driver takes them, with log buffers of our own.
struct JitOptions {
  std::vector<int> names;
  std::vector<void*> values;
  std::unique_ptr<char[]> logs[2];
  int size_index[2] = {-1, -1};

  void Add(int name, uint64_t value) {
    names.push_back(name);
    values.push_back(reinterpret_cast<void*>(value));
  }
  void AddLog(int which, uint32_t bytes) {
    constexpr int kBuffer[2] = {3, 5}, kBytes[2] = {4, 6};  // CU_JIT_INFO_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER
    if (bytes == 0) return;
    logs[which] = std::make_unique<char[]>(bytes);
    Add(kBuffer[which], reinterpret_cast<uint64_t>(logs[which].get()));
    size_index[which] = static_cast<int>(names.size());
    Add(kBytes[which], bytes);
  }
  // How much the driver wrote, at most what it was given.
  uint32_t LogBytes(int which, uint32_t limit) const {
    if (size_index[which] < 0) return 0;
    return std::min(static_cast<uint32_t>(reinterpret_cast<uintptr_t>(values[size_index[which]])), limit);
  }
};

}  // namespace

bool Connection::DispatchCode(wire::Command command, uint16_t slot, std::span<const std::byte> body) {
  if (slot == wire::kNoReply && command != wire::Command::kUnloadModule && command != wire::Command::kUnloadLibrary)
    return Misuse("Code command asks for no reply.");
  switch (command) {
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
  return Unload(command, slot, handle->handle);
}

bool Connection::Load(wire::Command command, uint16_t slot, std::span<const std::byte> body) {
  const auto* load = Body<wire::LoadBody>(body);
  if (load == nullptr || load->option_count > wire::kMaxJitOptions ||
      body.size() < load->option_count * sizeof(wire::JitOption) || load->info_log_bytes > wire::kMaxJitLog ||
      load->error_log_bytes > wire::kMaxJitLog)
    return Misuse("Load command is malformed.");
  const os::UniqueFd fd = TakeDescriptor(load->tag);
  if (!fd) return Misuse("Load command names a descriptor that was not sent.");
  const auto mapping = ImageMapping::Create(fd.get(), load->bytes);
  if (!mapping) return Misuse(mapping.error().message());
  const auto image = abi::FindImage(mapping->bytes());
  if (!image) {
    Answer(slot, CUDA_ERROR_INVALID_IMAGE);
    return true;
  }
  JitOptions jit;
  const auto* options = reinterpret_cast<const wire::JitOption*>(body.data());
  for (uint32_t i = 0; i < load->option_count; ++i)
    if (IsNumber(options[i].option)) jit.Add(options[i].option, options[i].value);
  jit.AddLog(0, load->info_log_bytes);
  jit.AddLog(1, load->error_log_bytes);

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
    CUlibrary library = nullptr;
    result =
        driver().cuLibraryLoadData(&library, code, jit.names.data(), jit.values.data(), count, nullptr, nullptr, 0);
    if (result == CUDA_SUCCESS && !(handle = libraries_.Add(library))) driver().cuLibraryUnload(library);
  }
  if (result == CUDA_SUCCESS && !handle) result = CUDA_ERROR_OUT_OF_MEMORY;
  NoteSticky(result);
  reply->handle = handle.value_or(0);
  reply->result = result;
  reply->info_log_bytes = jit.LogBytes(0, load->info_log_bytes);
  reply->error_log_bytes = jit.LogBytes(1, load->error_log_bytes);
  if (reply->info_log_bytes > 0) std::memcpy(reply->logs, jit.logs[0].get(), reply->info_log_bytes);
  if (reply->error_log_bytes > 0)
    std::memcpy(reply->logs + reply->info_log_bytes, jit.logs[1].get(), reply->error_log_bytes);
  Answer(slot, CUDA_SUCCESS, std::as_bytes(std::span(reply.get(), 1)));
  return true;
}

bool Connection::Unload(wire::Command command, uint16_t slot, uint64_t handle) {
  kernels_.RemoveIf([handle](const Kernel& kernel) { return kernel.owner == handle; });
  CUresult result = CUDA_ERROR_INVALID_HANDLE;
  if (command == wire::Command::kUnloadModule) {
    if (const auto module = modules_.Remove(handle)) result = driver().cuModuleUnload(*module);
  } else {
    if (const auto library = libraries_.Remove(handle)) result = driver().cuLibraryUnload(*library);
  }
  Answer(slot, result);
  return true;
}

bool Connection::GetKernel(wire::Command command, uint16_t slot, std::span<const std::byte> body) {
  const auto* request = Body<wire::NameBody>(body);
  if (request == nullptr || request->name_bytes > body.size() || request->name_bytes > wire::kMaxNameBytes)
    return Misuse("Name is longer than its command.");
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
  const auto reply = std::make_unique<wire::FunctionReply>();
  if (result == CUDA_SUCCESS) result = Describe(kernel, *reply);
  if (result == CUDA_SUCCESS) {
    const bool library_kernel = kernel.kernel != nullptr;
    const auto handle = kernels_.Add(std::move(kernel));
    if (!handle) result = CUDA_ERROR_OUT_OF_MEMORY;
    wire::Handle parts = wire::UnpackHandle(handle.value_or(0));
    if (library_kernel) parts.kind = wire::HandleKind::kKernel;
    reply->handle = wire::PackHandle(parts);
  }
  Answer(slot, result, std::as_bytes(std::span(reply.get(), 1)));
  return true;
}

CUresult Connection::Describe(Kernel& kernel, wire::FunctionReply& reply) {
  const auto attribute = [&](CUfunctionAttribute which, uint32_t& out) {
    int value = 0;
    const CUresult result = kernel.kernel != nullptr
                                ? driver().cuKernelGetAttribute(&value, which, kernel.kernel, device_.ordinal)
                                : driver().cuFuncGetAttribute(&value, which, kernel.function);
    out = static_cast<uint32_t>(value);
    return result;
  };
  CUresult result = attribute(CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, reply.max_threads);
  if (result == CUDA_SUCCESS) result = attribute(CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, reply.static_shared_bytes);
  if (result != CUDA_SUCCESS) return result;
  for (uint32_t i = 0; i < wire::kMaxKernelParams; ++i) {
    size_t offset = 0, size = 0;
    const CUresult found = kernel.kernel != nullptr ? driver().cuKernelGetParamInfo(kernel.kernel, i, &offset, &size)
                                                    : driver().cuFuncGetParamInfo(kernel.function, i, &offset, &size);
    if (found == CUDA_ERROR_INVALID_VALUE) break;  // there is no such parameter
    if (found != CUDA_SUCCESS) return found;
    reply.params[reply.param_count++] = {static_cast<uint32_t>(offset), static_cast<uint32_t>(size)};
    reply.param_bytes = static_cast<uint32_t>(offset + size);
  }
  if (reply.param_bytes > wire::kMaxKernelParamBytes) return CUDA_ERROR_NOT_SUPPORTED;
  kernel.param_bytes = reply.param_bytes;
  kernel.params.assign(reply.params, reply.params + reply.param_count);
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

}  // namespace mignificient::server
