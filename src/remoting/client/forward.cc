// The entry points that only carry their arguments to the server: generated from api/.

#include <cstring>
#include <type_traits>

#include "remoting/client/answer_cache.h"
#include "remoting/client/call.h"
#include "remoting/client/globals.h"

#include "gen/commands.h"

namespace mignificient::client {
namespace {

using wire::HandleKind;

constexpr size_t kMaxStringBytes = 32 * 1024;  // names of kernels and variables; the longest mangled ones are some KiB
static_assert(kMaxStringBytes + 1024 <= wire::kMaxCommandBytes);

template <typename Handle>
uint64_t Name(Handle* handle) {
  return reinterpret_cast<uint64_t>(handle);
}

uint64_t Name(CUstream stream) {
  return StreamName(stream);
}
constexpr int32_t Name(int attribute) {
  return attribute;
}
constexpr uint64_t Name(unsigned long long handle) {
  return handle;
}

// What a handle that names no object of its kind is answered with. One that names a destroyed object is the server's to
// find.
CUresult CheckName(CUstream stream) {
  const bool is_default = stream == nullptr || stream == CuStreamLegacy() || stream == CuStreamPerThread();
  return is_default || IsA(HandleKind::kStream, stream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}
template <typename Handle>
CUresult CheckName(HandleKind kind, Handle* handle, CUresult otherwise = CUDA_ERROR_INVALID_HANDLE) {
  return IsA(kind, handle) ? CUDA_SUCCESS : otherwise;
}
CUresult CheckName(CUevent event) {
  return CheckName(HandleKind::kEvent, event);
}
CUresult CheckName(CUmodule module) {
  return CheckName(HandleKind::kModule, module);
}
CUresult CheckName(CUlibrary library) {
  return CheckName(HandleKind::kLibrary, library);
}
CUresult CheckName(CUfunction function) {
  return IsA(HandleKind::kKernel, function) ? CUDA_SUCCESS : CheckName(HandleKind::kFunction, function);
}
CUresult CheckName(CUarray array) {
  return CheckName(HandleKind::kArray, array);
}
CUresult CheckName(CUmipmappedArray array) {
  return CheckName(HandleKind::kMipmappedArray, array);
}
// Of graphs CUDA calls every wrong handle an invalid value.
CUresult CheckName(CUgraph graph) {
  return CheckName(HandleKind::kGraph, graph, CUDA_ERROR_INVALID_VALUE);
}
CUresult CheckName(CUgraphNode node) {
  return CheckName(HandleKind::kGraphNode, node, CUDA_ERROR_INVALID_VALUE);
}
CUresult CheckName(CUgraphExec exec) {
  return CheckName(HandleKind::kGraphExec, exec, CUDA_ERROR_INVALID_VALUE);
}
// Whatever else there is, the server looks at.
template <typename Handle>
CUresult CheckName(Handle) {
  return CUDA_SUCCESS;
}

// What the client keeps of an answer: variables, since it tells the program what their addresses are.
void Note(const wire::api::cuModuleGetGlobal_v2::Body& asked, const wire::api::cuModuleGetGlobal_v2::Reply& found) {
  TheGlobals().Insert(asked.module, {found.ptr, found.bytes});
}
void Note(const wire::api::cuLibraryGetGlobal::Body& asked, const wire::api::cuLibraryGetGlobal::Reply& found) {
  TheGlobals().Insert(asked.library, {found.ptr, found.bytes});
}

// The program's handle for what the server has named.
template <typename Handle>
Handle As(uint64_t name) {
  if constexpr (std::is_pointer_v<Handle>)
    return reinterpret_cast<Handle>(name);
  else
    return name;
}

template <typename Body>
std::span<const std::byte, sizeof(Body)> Bytes(const Body& body) {
  return std::as_bytes(std::span<const Body, 1>(&body, 1));
}

template <typename Reply>
std::span<std::byte, sizeof(Reply)> WritableBytes(Reply& reply) {
  return std::as_writable_bytes(std::span<Reply, 1>(&reply, 1));
}

}  // namespace

#include "gen/client_forward.inc"

}  // namespace mignificient::client
