// A node's parameters between the program's form (CUgraphNodeParams, whichever entry point they came by) and the
// wire's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "remoting/client/graph.h"
#include "remoting/client/host_function.h"

namespace mignificient::client {

// Appends what the wire says of `params`. `kept` names the host function that is kept for the node; 0: none.
CUresult PutNode(const CUgraphNodeParams& params, std::vector<std::byte>& payload, uint64_t& kept);

// Appends, then sends: `send()`, once more if the server keeps too many host functions and some have ended.
template <typename Send>
CUresult SendNode(const CUgraphNodeParams& params, std::vector<std::byte>& payload, Send send) {
  uint64_t kept = 0;
  if (const CUresult put = PutNode(params, payload, kept); put != CUDA_SUCCESS) return put;
  CUresult result = send();
  if (result == CUDA_ERROR_OUT_OF_MEMORY && kept != 0) {
    ForgetEndedHostFunctions();
    result = FindHostFunction(kept) ? send() : result;
  }
  if (result != CUDA_SUCCESS && kept != 0) ForgetHostFunction(kept);
  return result;
}

// What a node is. CUDA_ERROR_INVALID_VALUE where it is not of this type.
CUresult FetchNode(CUgraphNode node, int type, wire::NodeReply& reply);

// The payload of `node`, of the type `T` that its `type` has.
template <typename T>
CUresult FetchAs(CUgraphNode node, int type, T& payload) {
  const auto reply = std::make_unique<wire::NodeReply>();
  if (const CUresult result = FetchNode(node, type, *reply); result != CUDA_SUCCESS) return result;
  std::memcpy(&payload, reply->payload, sizeof payload);
  return CUDA_SUCCESS;
}
CUresult FetchKernel(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS& params);
CUresult FetchMemoryOps(CUgraphNode node, CUDA_BATCH_MEM_OP_NODE_PARAMS& params);

// The array of a conditional node's body graphs.
CUgraph* LendGraphs(CUgraphNode node, const uint64_t* names, unsigned count);

}  // namespace mignificient::client
