// What the entry points of graphs share. Graphs, nodes and executables are named by the server; their handles are those
// names. Internal to the client.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "abi/graph.h"
#include "remoting/client/call.h"
#include "remoting/wire/commands.h"
#include "remoting/wire/graph.h"

namespace mignificient::client {

template <typename Handle>
uint64_t NameOf(Handle handle) {
  return reinterpret_cast<uint64_t>(handle);
}
template <typename Handle>
Handle HandleOf(uint64_t name) {
  return reinterpret_cast<Handle>(name);
}

// Dependencies as a command's tail carries them: names, then edge data.
class LinkTail {
 public:
  LinkTail(const CUgraphNode* nodes, const CUgraphEdgeData* edges, size_t count);
  // CUDA_ERROR_INVALID_VALUE: a count without nodes, or more than a command holds.
  CUresult status() const { return status_; }
  uint32_t count() const { return count_; }
  // Appended to by callers that have a payload.
  std::vector<std::byte>& bytes() { return bytes_; }

 private:
  CUresult status_ = CUDA_SUCCESS;
  uint32_t count_ = 0;
  std::vector<std::byte> bytes_;
};

template <typename Body>
CUresult CallWith(wire::Command command, const Body& body, std::span<std::byte> reply,
                  std::span<const std::byte> tail = {}) {
  return Call(static_cast<uint16_t>(command), std::as_bytes(std::span(&body, 1)), reply, tail);
}
template <typename Body, typename Reply>
CUresult CallFor(wire::Command command, const Body& body, Reply& reply, std::span<const std::byte> tail = {}) {
  return CallWith(command, body, std::as_writable_bytes(std::span(&reply, 1)), tail);
}
inline CUresult CallHandle(wire::Command command, uint64_t handle) {
  return CallWith(command, wire::HandleBody{handle}, {});
}

// A kernel node's grid, parameters and so on as the wire has them. Defined in graph_nodes.cc.
CUresult AddNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies, const CUgraphEdgeData* edges,
                 size_t count, CUgraphNodeParams& params);

// Memory of an allocation node that no graph frees; CUDA_ERROR_INVALID_VALUE for anything else. In stream_ordered.cc.
CUresult FreeGraphMemory(CUdeviceptr ptr, CUstream stream);

// User objects that a graph keeps alive; defined in user_object.cc.
void InheritUserObjects(uint64_t from, uint64_t to);
void ReleaseUserObjectsOf(uint64_t graph);

}  // namespace mignificient::client
