#include "remoting/client/graph_node_params.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "remoting/client/events.h"
#include "remoting/client/function.h"
#include "remoting/client/graph_copy.h"
#include "remoting/client/memory.h"
#include "remoting/client/stream_memory.h"

namespace mignificient::client {
namespace {

using wire::Command;

template <typename T>
void Append(std::vector<std::byte>& bytes, const T& value) {
  const auto* from = reinterpret_cast<const std::byte*>(&value);
  bytes.insert(bytes.end(), from, from + sizeof value);
}

CUresult PutKernel(const CUDA_KERNEL_NODE_PARAMS& params, std::vector<std::byte>& payload) {
  const void* handle = params.function != nullptr ? static_cast<const void*>(params.function) : params.kernel;
  const Function* function = FindFunction(handle);
  if (function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (const CUresult described = Described(function); described != CUDA_SUCCESS) return described;
  ParamSource source;
  if (const CUresult found = FindParams(*function, params.params, params.extra, source); found != CUDA_SUCCESS)
    return found;
  wire::KernelNode node{function->handle, {}, {}, params.shared_bytes, function->param_bytes};
  std::copy_n(params.grid, 3, node.grid);
  std::copy_n(params.block, 3, node.block);
  Append(payload, node);
  payload.resize(payload.size() + (function->param_bytes + 7) / 8 * 8);
  PackParams(*function, source, payload.data() + payload.size() - (function->param_bytes + 7) / 8 * 8);
  return CUDA_SUCCESS;
}

bool IsAllocated(CUdeviceptr address) {
  return IsDeviceMemory(address) || ThePinnedMemory().Find(address);
}

// `kept` names the host function that the node has; 0: none.
CUresult PutHost(const CUDA_HOST_NODE_PARAMS& params, std::vector<std::byte>& payload, uint64_t& kept) {
  if (params.function == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const HostFunction function{.function = params.function, .user_data = params.user_data, .repeats = true};
  if (const CUresult result = KeepHostFunction(function, kept); result != CUDA_SUCCESS) return result;
  Append(payload, wire::HostNode{kept});
  return CUDA_SUCCESS;
}

CUresult PutMemcpy(CUDA_MEMCPY3D copy, std::vector<std::byte>& payload, uint64_t& kept) {
  if (const CUresult result = StageNode(copy, kept); result != CUDA_SUCCESS) return result;
  Append(payload, wire::MemcpyNode{copy, kept});
  return CUDA_SUCCESS;
}

CUresult PutMemoryOps(const CUDA_BATCH_MEM_OP_NODE_PARAMS& params, std::vector<std::byte>& payload) {
  if (params.count == 0) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult checked = CheckMemoryOps(params.count, params.operations, params.flags); checked != CUDA_SUCCESS)
    return checked;
  Append(payload, wire::MemoryOpsNode{params.count, params.flags});
  for (unsigned i = 0; i < params.count; ++i) Append(payload, params.operations[i]);
  return CUDA_SUCCESS;
}

// The arrays that cuGraphKernelNodeGetParams, cuGraphBatchMemOpNodeGetParams and a conditional node's parameters point
// to: CUDA lends them out until the node is changed or gone. By slot, which another node gets when this one is gone.
struct LentArrays {
  std::vector<std::byte> bytes;
  std::vector<void*> params;
  std::vector<CUstreamBatchMemOpParams> operations;
  std::vector<CUgraph> graphs;
};

LentArrays& ArraysOf(CUgraphNode node) {
  static std::mutex& lock = *new std::mutex;
  static auto& all = *new std::map<uint32_t, LentArrays>;
  const std::lock_guard guard(lock);
  return all[wire::UnpackHandle(NameOf(node)).slot];
}

}  // namespace

CUresult PutNode(const CUgraphNodeParams& params, std::vector<std::byte>& payload, uint64_t& kept) {
  switch (params.type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
      return PutKernel(params.kernel, payload);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
      return PutMemcpy(params.memcpy.copy, payload, kept);
    case CU_GRAPH_NODE_TYPE_MEMSET: {
      // A graph's own memory tells CUDA no context, so the node has to.
      if (params.memset.context == nullptr && !IsAllocated(params.memset.dst)) return CUDA_ERROR_INVALID_VALUE;
      wire::MemsetNode node{params.memset};
      node.memset.context = nullptr;
      Append(payload, node);
      return CUDA_SUCCESS;
    }
    case CU_GRAPH_NODE_TYPE_HOST:
      return PutHost(params.host, payload, kept);
    case CU_GRAPH_NODE_TYPE_GRAPH:
      Append(payload, wire::ChildNode{NameOf(params.graph.graph), params.graph.ownership, 0});
      return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_EMPTY:
      return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
      NoteRecordedElsewhere(params.event.event);
      Append(payload, wire::EventNode{NameOf(params.event.event)});
      return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
      if (params.alloc.pool.handle_types != 0) return CUDA_ERROR_NOT_SUPPORTED;  // nothing leaves the session
      Append(payload, wire::AllocNode{params.alloc.bytes, 0});
      return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
      Append(payload, wire::FreeNode{params.free.address});
      return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
      return PutMemoryOps(params.memory_operations, payload);
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
      Append(payload,
             wire::ConditionalNode{params.conditional.handle, params.conditional.type, params.conditional.size});
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}

CUresult FetchNode(CUgraphNode node, int type, wire::NodeReply& reply) {
  if (const CUresult ready = ReadyAnywhere(); ready != CUDA_SUCCESS) return ready;
  const CUresult result = CallFor(Command::kGraphGetNode, wire::HandleBody{NameOf(node)}, reply);
  if (result != CUDA_SUCCESS) return result;
  return reply.type == type && reply.bytes <= sizeof reply.payload ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult FetchKernel(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS& params) {
  const auto reply = std::make_unique<wire::NodeReply>();
  if (const CUresult result = FetchNode(node, CU_GRAPH_NODE_TYPE_KERNEL, *reply); result != CUDA_SUCCESS) return result;
  wire::KernelNode payload;
  std::memcpy(&payload, reply->payload, sizeof payload);
  const Function* function = FindFunction(HandleOf<CUfunction>(payload.function));
  if (function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (const CUresult described = Described(function); described != CUDA_SUCCESS) return described;
  LentArrays& arrays = ArraysOf(node);
  arrays.bytes.assign(reply->payload + sizeof payload, reply->payload + reply->bytes);
  arrays.params.clear();
  for (const auto& param : function->params) arrays.params.push_back(arrays.bytes.data() + param.offset);
  // A library's kernel is given as such: that is how the runtime knows it.
  if (wire::UnpackHandle(function->owner).kind == wire::HandleKind::kLibrary)
    params.kernel = HandleOf<CUkernel>(function->handle);
  else
    params.function = HandleOf<CUfunction>(function->handle);
  std::copy_n(payload.grid, 3, params.grid);
  std::copy_n(payload.block, 3, params.block);
  params.shared_bytes = payload.shared_bytes;
  params.params = arrays.params.data();
  params.extra = nullptr;
  return CUDA_SUCCESS;
}

CUresult FetchMemoryOps(CUgraphNode node, CUDA_BATCH_MEM_OP_NODE_PARAMS& params) {
  const auto reply = std::make_unique<wire::NodeReply>();
  if (const CUresult result = FetchNode(node, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, *reply); result != CUDA_SUCCESS)
    return result;
  wire::MemoryOpsNode payload;
  std::memcpy(&payload, reply->payload, sizeof payload);
  if (payload.count > wire::kMaxMemoryOps) return CUDA_ERROR_INVALID_VALUE;
  LentArrays& arrays = ArraysOf(node);
  arrays.operations.resize(payload.count);
  std::memcpy(arrays.operations.data(), reply->payload + sizeof payload,
              payload.count * sizeof(CUstreamBatchMemOpParams));
  params = {CurrentContext(), payload.count, arrays.operations.data(), payload.flags};
  return CUDA_SUCCESS;
}

CUgraph* LendGraphs(CUgraphNode node, const uint64_t* names, unsigned count) {
  std::vector<CUgraph>& graphs = ArraysOf(node).graphs;
  graphs.clear();
  for (unsigned i = 0; i < count; ++i) graphs.push_back(HandleOf<CUgraph>(names[i]));
  return graphs.data();
}

}  // namespace mignificient::client
