// What the names of a client mean: driver objects of this connection, and which streams may have work.
#include <algorithm>

#include "remoting/server/connection.h"

namespace mignificient::server {

bool Connection::ResolveStream(uint64_t name, CUstream& out) {
  if (IsLegacyStream(name)) {
    out = legacy_;
    return true;
  }
  const CUstream* stream = streams_.Find(name);
  if (stream != nullptr) out = *stream;
  return stream != nullptr;
}

bool Connection::ResolveEvent(uint64_t name, CUevent& out) {
  const CUevent* event = events_.Find(name);
  if (event != nullptr) out = *event;
  return event != nullptr;
}

bool Connection::ResolveModule(uint64_t name, CUmodule& out) {
  wire::Handle parts = wire::UnpackHandle(name);
  if (parts.kind == wire::HandleKind::kModule && (parts.slot & kLibraryModuleBit) != 0) {
    parts.kind = wire::HandleKind::kLibrary;
    parts.slot &= ~kLibraryModuleBit;
    const Library* library = libraries_.Find(wire::PackHandle(parts));
    return library != nullptr && driver().cuLibraryGetModule(&out, library->library) == CUDA_SUCCESS;
  }
  const CUmodule* module = modules_.Find(name);
  if (module != nullptr) out = *module;
  return module != nullptr;
}

bool Connection::ResolveLibrary(uint64_t name, CUlibrary& out) {
  const Library* library = libraries_.Find(name);
  if (library != nullptr) out = library->library;
  return library != nullptr;
}

// A CUkernel and the CUfunction of the same kernel are one entry.
uint64_t Connection::KernelSlot(uint64_t name) {
  wire::Handle handle = wire::UnpackHandle(name);
  if (handle.kind == wire::HandleKind::kKernel) handle.kind = wire::HandleKind::kFunction;
  return wire::PackHandle(handle);
}

Connection::Kernel* Connection::FindKernel(uint64_t name) {
  Kernel* kernel = kernels_.Find(KernelSlot(name));
  if (kernel != nullptr && !kernel->described && Describe(*kernel) != CUDA_SUCCESS) [[unlikely]]
    return nullptr;
  return kernel;
}

bool Connection::ResolveKernel(uint64_t name, CUkernel& out) {
  const Kernel* kernel = FindKernel(name);
  if (kernel == nullptr || kernel->kernel == nullptr) return false;
  out = kernel->kernel;
  return true;
}

bool Connection::ResolveFunction(uint64_t name, CUfunction& out) {
  Kernel* kernel = FindKernel(name);
  if (kernel == nullptr) return false;
  if (kernel->function == nullptr && driver().cuKernelGetFunction(&kernel->function, kernel->kernel) != CUDA_SUCCESS)
    return false;
  out = kernel->function;
  return true;
}

void Connection::Touched(uint64_t stream_name) {
  CUstream stream = nullptr;
  if (ResolveStream(stream_name, stream)) TouchedStream(stream);
}

bool Connection::ResolveGraph(uint64_t name, CUgraph& out) {
  const GraphNames::Graph* graph = graphs_.FindGraph(name);
  if (graph != nullptr) out = graph->graph;
  return graph != nullptr;
}

bool Connection::ResolveGraphNode(uint64_t name, CUgraphNode& out) {
  const GraphNames::Node* node = graphs_.FindNode(name);
  if (node != nullptr) out = node->node;
  return node != nullptr;
}

void Connection::TouchedStream(CUstream stream) {
  if (!capturing_.empty() && Captures(stream)) return;  // nothing runs, and asking after it would end the capture
  if (std::find(busy_.begin(), busy_.end(), stream) == busy_.end()) busy_.push_back(stream);
  waits_.NoteIssued(stream);
  if (!capturing_.empty())
    waits_.NoteTimePassed();  // a capture may take the stream in, and who is marked is asked after
}

std::vector<CUstream> Connection::BusyStreams() {
  std::erase_if(busy_, [this](CUstream stream) {
    if (!capturing_.empty() && Captures(stream)) return true;
    const CUresult result = driver().cuStreamQuery(stream);
    NoteDeviceError(result);
    return result != CUDA_ERROR_NOT_READY;
  });
  return busy_;
}

}  // namespace mignificient::server
