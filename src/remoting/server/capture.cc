// Stream capture. The driver captures; here is what the server must not do meanwhile: asking after a capturing stream
// would end its capture, so such streams are left out of drains and fences. Nothing runs in them.

#include <algorithm>
#include <cstring>

#include "remoting/server/connection.h"

#include "gen/commands.h"

namespace mignificient::server {

const CUgraphEdgeData* Connection::Links::EdgesOrNull() const {
  const auto plain = [](const CUgraphEdgeData& edge) {
    constexpr CUgraphEdgeData kPlain{};
    return std::memcmp(&edge, &kPlain, sizeof edge) == 0;
  };
  return std::all_of(edges.begin(), edges.end(), plain) ? nullptr : edges.data();
}

CUresult Connection::TakeLinks(std::span<const std::byte>& body, uint32_t count, Links& links) {
  constexpr size_t kBytes = sizeof(uint64_t) + sizeof(CUgraphEdgeData);
  if (count > wire::kMaxNodeDependencies || body.size() < count * kBytes) return CUDA_ERROR_INVALID_VALUE;
  links.nodes.resize(count);
  links.edges.resize(count);
  for (uint32_t i = 0; i < count; ++i) {
    uint64_t name;
    std::memcpy(&name, body.data() + i * sizeof name, sizeof name);
    if (!ResolveGraphNode(name, links.nodes[i])) return CUDA_ERROR_INVALID_VALUE;
  }
  if (count > 0)
    std::memcpy(links.edges.data(), body.data() + count * sizeof(uint64_t), count * sizeof(CUgraphEdgeData));
  body = body.subspan(count * kBytes);
  return CUDA_SUCCESS;
}

bool Connection::Captures(CUstream stream) const {
  int status = CU_STREAM_CAPTURE_STATUS_NONE;
  return driver().cuStreamIsCapturing(stream, &status) == CUDA_SUCCESS && status != CU_STREAM_CAPTURE_STATUS_NONE;
}

bool Connection::BeginCapture(uint16_t slot, std::span<const std::byte> body) {
  const auto* begin = Body<wire::CaptureBeginBody>(body);
  if (begin == nullptr) return Misuse("Capture command is too short.");
  CUstream stream = nullptr;
  CUgraph graph = nullptr;
  Links links;
  // The driver refuses its own.
  CUresult result =
      IsLegacyStream(begin->stream) || ResolveStream(begin->stream, stream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
  if (result == CUDA_SUCCESS && begin->graph != 0 && !ResolveGraph(begin->graph, graph))
    result = CUDA_ERROR_INVALID_VALUE;
  if (result == CUDA_SUCCESS) result = TakeLinks(body, begin->dependency_count, links);
  waits_.LetGoOfStreams();
  if (result == CUDA_SUCCESS && capturing_.empty()) result = KeepBusy();
  // Relaxed whatever the program asked for: the mode restricts threads, and the program's are not here.
  constexpr int kMode = CU_STREAM_CAPTURE_MODE_RELAXED;
  if (result == CUDA_SUCCESS)
    result = graph == nullptr ? driver().cuStreamBeginCapture_v2(stream, kMode)
                              : driver().cuStreamBeginCaptureToGraph(stream, graph, links.nodes.data(),
                                                                     links.EdgesOrNull(), links.nodes.size(), kMode);
  if (result == CUDA_SUCCESS) capturing_.push_back(stream);
  Answer(slot, result);
  return true;
}

// Streams that a capture takes in are not asked after again. What runs in them now is seen through a stream that never
// captures and waits for all of it.
CUresult Connection::KeepBusy() {
  const std::vector<CUstream> busy = BusyStreams();
  if (busy.empty()) return CUDA_SUCCESS;
  CUevent event = nullptr;
  CUresult result =
      keeper_ == nullptr ? driver().cuStreamCreateWithPriority(&keeper_, CU_STREAM_NON_BLOCKING, 0) : CUDA_SUCCESS;
  if (result == CUDA_SUCCESS) result = driver().cuEventCreate(&event, CU_EVENT_DISABLE_TIMING);
  if (result != CUDA_SUCCESS) return result;
  for (const CUstream stream : busy) {
    if (result == CUDA_SUCCESS && stream != keeper_) result = driver().cuEventRecord(event, stream);
    if (result == CUDA_SUCCESS) result = driver().cuStreamWaitEvent(keeper_, event, 0);
  }
  driver().cuEventDestroy_v2(event);
  if (result == CUDA_SUCCESS) busy_ = {keeper_};
  return result;
}

bool Connection::UpdateCapture(uint16_t slot, std::span<const std::byte> body) {
  const auto* update = Body<wire::CaptureUpdateBody>(body);
  if (update == nullptr) return Misuse("Capture command is too short.");
  CUstream stream = nullptr;
  Links links;
  CUresult result = CUDA_ERROR_INVALID_HANDLE;
  if (ResolveStream(update->stream, stream)) result = TakeLinks(body, update->dependency_count, links);
  if (result == CUDA_SUCCESS)
    result = driver().cuStreamUpdateCaptureDependencies_v2(stream, links.nodes.data(), links.EdgesOrNull(),
                                                           links.nodes.size(), update->flags);
  Answer(slot, result);
  return true;
}

Connection::CaptureState Connection::StateOf(CUstream stream) const {
  CaptureState state;
  unsigned long long id = 0;
  const CUgraphNode* nodes = nullptr;
  const CUgraphEdgeData* edges = nullptr;
  size_t count = 0;
  state.result = driver().cuStreamGetCaptureInfo_v3(stream, &state.status, &id, &state.graph, &nodes, &edges, &count);
  if (state.result != CUDA_SUCCESS || state.graph == nullptr) return state;
  state.id = id;
  state.links.nodes.assign(nodes, nodes + count);
  if (edges != nullptr)
    state.links.edges.assign(edges, edges + count);
  else
    state.links.edges.resize(count);
  return state;
}

bool Connection::CaptureInfo(uint16_t slot, uint64_t name) {
  CUstream stream = nullptr;
  if (!ResolveStream(name, stream)) {
    Answer(slot, CUDA_ERROR_INVALID_HANDLE);
    return true;
  }
  const auto reply = std::make_unique<wire::CaptureInfoReply>();
  const CaptureState state = StateOf(stream);
  reply->status = state.status;
  if (state.result == CUDA_SUCCESS && state.graph != nullptr) {
    reply->id = state.id;
    reply->graph = graphs_.NameGraph(state.graph, state.graph);
    reply->dependency_count = static_cast<uint32_t>(std::min(state.links.nodes.size(), std::size(reply->dependencies)));
    for (uint32_t i = 0; i < reply->dependency_count; ++i)
      reply->dependencies[i] = {graphs_.NameNode(state.links.nodes[i], state.graph), 0, state.links.edges[i]};
  }
  Answer(slot, state.result, std::as_bytes(std::span(reply.get(), 1)));
  return true;
}

// A launch that is captured becomes a child graph: it may run what the executable may.
void Connection::NoteCapturedLaunch(std::span<const std::byte> body) {
  const auto* launch = Body<wire::api::cuGraphLaunch::Body>(body);
  CUgraphExec exec = nullptr;
  CUstream stream = nullptr;
  if (launch == nullptr || !Resolve(graph_execs_, launch->exec, exec) || !ResolveStream(launch->stream, stream)) return;
  if (const CaptureState state = StateOf(stream); state.graph != nullptr)
    graph_calls_.Include(graphs_.RootOf(state.graph), exec);
}

bool Connection::EndCapture(uint16_t slot, uint64_t name) {
  CUstream stream = nullptr;
  if (!ResolveStream(name, stream)) {
    Answer(slot, CUDA_ERROR_INVALID_HANDLE);
    return true;
  }
  CUgraph graph = nullptr;
  const CUresult result = driver().cuStreamEndCapture(stream, &graph);
  if (!Captures(stream)) std::erase(capturing_, stream);
  // What was captured into graphs that were never given.
  if (result != CUDA_SUCCESS && capturing_.empty())
    graph_calls_.ForgetIf([this](CUgraph each) { return !graphs_.HasName(each); });
  return AnswerName(slot, result, graph != nullptr ? graphs_.NameGraph(graph, graph) : 0);
}

}  // namespace mignificient::server
