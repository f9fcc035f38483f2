// Stream capture. The driver captures at the server; here is kept whether any capture is active, so that nothing is
// asked while none is, and what captures forbid to which thread.

#include "remoting/client/capture.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "remoting/client/graph.h"
#include "remoting/client/thread_owned.h"

namespace mignificient::client {

constinit std::atomic<int> active_captures{0};

namespace {

using wire::Command;

constexpr int kModeThreadLocal = 1;

struct Begun {
  int mode;
  std::thread::id thread;
};

struct Captures {
  std::mutex lock;
  std::map<uint64_t, Begun> begun;  // by stream; not ended yet
};

Captures& All() {
  static Captures& captures = *new Captures;
  return captures;
}

constinit std::atomic<int> active_global{0};  // active captures of mode global
constinit thread_local int active_of_thread = 0;
constinit thread_local int thread_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;

void Began(uint64_t stream, int mode) {
  const std::lock_guard lock(All().lock);
  All().begun[stream] = {mode, std::this_thread::get_id()};
  active_captures.fetch_add(1, std::memory_order_relaxed);
  if (mode == CU_STREAM_CAPTURE_MODE_GLOBAL) active_global.fetch_add(1, std::memory_order_relaxed);
  if (mode == kModeThreadLocal) ++active_of_thread;
}

void Ended(uint64_t stream) {
  const std::lock_guard lock(All().lock);
  const auto capture = All().begun.extract(stream);
  if (capture.empty()) return;
  const int mode = capture.mapped().mode;
  active_captures.fetch_sub(1, std::memory_order_relaxed);
  if (mode == CU_STREAM_CAPTURE_MODE_GLOBAL) active_global.fetch_sub(1, std::memory_order_relaxed);
  if (mode == kModeThreadLocal && capture.mapped().thread == std::this_thread::get_id()) --active_of_thread;
}

// All captures but relaxed ones end in the thread that began them.
bool OfAnotherThread(uint64_t stream) {
  const std::lock_guard lock(All().lock);
  const auto capture = All().begun.find(stream);
  return capture != All().begun.end() && capture->second.mode != CU_STREAM_CAPTURE_MODE_RELAXED &&
         capture->second.thread != std::this_thread::get_id();
}

// Ends captures: the driver drops one whose stream is asked whether it is idle.
template <typename Concerned>
void Invalidate(Concerned concerned) {
  const std::lock_guard lock(All().lock);
  for (const auto& [stream, capture] : All().begun)
    if (concerned(capture.mode)) CallHandle(Command::kStreamQuery, stream);
}

CUresult Begin(CUstream stream, CUgraph graph, const LinkTail& links, int mode) {
  if (const CUresult ready = ReadyOn(stream); ready != CUDA_SUCCESS) return ready;
  if (links.status() != CUDA_SUCCESS) return links.status();
  if (mode < CU_STREAM_CAPTURE_MODE_GLOBAL || mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
  if (StreamName(stream) <= 1) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;  // the legacy stream cannot capture
  const wire::CaptureBeginBody body{StreamName(stream), NameOf(graph), mode, links.count()};
  LinkTail tail = links;
  const CUresult result = CallWith(Command::kCaptureBegin, body, {}, tail.bytes());
  if (result == CUDA_SUCCESS) Began(StreamName(stream), mode);
  return result;
}

CUresult Begin(CUstream stream, int mode) {
  return Begin(stream, nullptr, LinkTail(nullptr, nullptr, 0), mode);
}

CUresult BeginToGraph(CUstream stream, CUgraph graph, const CUgraphNode* nodes, const CUgraphEdgeData* edges,
                      size_t count, int mode) {
  if (graph == nullptr) return InvalidValue();
  return Begin(stream, graph, LinkTail(nodes, edges, count), mode);
}

CUresult End(CUstream stream, CUgraph* graph) {
  if (const CUresult ready = ReadyOn(stream); ready != CUDA_SUCCESS) return ready;
  if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *graph = nullptr;
  const bool wrong_thread = OfAnotherThread(StreamName(stream));
  wire::HandleBody reply{};
  const CUresult result = CallFor(Command::kCaptureEnd, wire::HandleBody{StreamName(stream)}, reply);
  // Whatever the outcome, this stream captures no longer, except where another one has to end first.
  if (result != CUDA_ERROR_STREAM_CAPTURE_UNMATCHED) Ended(StreamName(stream));
  if (wrong_thread) {  // which ends the capture for its own thread as well
    if (result == CUDA_SUCCESS) CallHandle(Command::kGraphDestroy, reply.handle);
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  }
  if (result == CUDA_SUCCESS) *graph = HandleOf<CUgraph>(reply.handle);
  return result;
}

struct InfoOut {
  int* status;
  unsigned long long* id = nullptr;
  CUgraph* graph = nullptr;
  const CUgraphNode** dependencies = nullptr;
  const CUgraphEdgeData** edges = nullptr;
  size_t* count = nullptr;
  bool knows_edges = false;
};

// What was answered last on this thread: CUDA lends the arrays out until the stream's next call.
struct Lent {
  std::vector<CUgraphNode> nodes;
  std::vector<CUgraphEdgeData> edges;
};

CUresult InfoOfCapture(CUstream stream, const InfoOut& out) {
  const auto reply = std::make_unique<wire::CaptureInfoReply>();
  const CUresult result = CallFor(Command::kCaptureInfo, wire::HandleBody{StreamName(stream)}, *reply);
  if (result != CUDA_SUCCESS) return result;
  *out.status = reply->status;
  if (reply->status == CU_STREAM_CAPTURE_STATUS_NONE) return CUDA_SUCCESS;
  Lent& lent = ThreadOwned<Lent>::Get();
  lent.nodes.clear();
  lent.edges.clear();
  bool plain = true;
  for (uint32_t i = 0; i < std::min<size_t>(reply->dependency_count, std::size(reply->dependencies)); ++i) {
    lent.nodes.push_back(HandleOf<CUgraphNode>(reply->dependencies[i].from));
    lent.edges.push_back(reply->dependencies[i].data);
    plain = plain && lent.edges.back().type == 0 && lent.edges.back().from_port == 0;
  }
  if (!plain && out.dependencies != nullptr && (!out.knows_edges || out.edges == nullptr))
    return CUDA_ERROR_LOSSY_QUERY;
  if (out.id != nullptr) *out.id = reply->id;
  if (out.graph != nullptr) *out.graph = HandleOf<CUgraph>(reply->graph);
  if (out.dependencies != nullptr) *out.dependencies = lent.nodes.data();
  if (out.edges != nullptr) *out.edges = plain ? nullptr : lent.edges.data();
  if (out.count != nullptr) *out.count = lent.nodes.size();
  return CUDA_SUCCESS;
}

// The cheap part: frameworks ask before nearly everything they do.
inline CUresult Info(CUstream stream, const InfoOut& out) {
  if (const CUresult ready = ReadyOn(stream); ready != CUDA_SUCCESS) return ready;
  if (out.status == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *out.status = CU_STREAM_CAPTURE_STATUS_NONE;  // CUDA leaves the other outputs alone then
  if (!AnyCapture()) [[likely]]
    return CUDA_SUCCESS;
  return InfoOfCapture(stream, out);
}

CUresult UpdateDependencies(CUstream stream, const CUgraphNode* nodes, const CUgraphEdgeData* edges, size_t count,
                            unsigned flags) {
  if (const CUresult ready = ReadyOn(stream); ready != CUDA_SUCCESS) return ready;
  LinkTail links(nodes, edges, count);
  if (links.status() != CUDA_SUCCESS) return links.status();
  const wire::CaptureUpdateBody body{StreamName(stream), flags, links.count()};
  return CallWith(Command::kCaptureUpdate, body, {}, links.bytes());
}

}  // namespace

bool IsAmongCaptures(CUstream stream) {
  int status = CU_STREAM_CAPTURE_STATUS_NONE;
  return Info(stream, {.status = &status}) == CUDA_SUCCESS && status != CU_STREAM_CAPTURE_STATUS_NONE;
}

CUresult CheckPermitsOfCaptures() {
  if (thread_mode == CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_SUCCESS;
  const bool forbidden = active_of_thread > 0 || (thread_mode == CU_STREAM_CAPTURE_MODE_GLOBAL &&
                                                  active_global.load(std::memory_order_relaxed) > 0);
  if (!forbidden) return CUDA_SUCCESS;
  Invalidate([](int mode) { return mode != CU_STREAM_CAPTURE_MODE_RELAXED; });
  return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult CheckNoCapture() {
  if (!AnyCapture()) [[likely]]
    return CUDA_SUCCESS;
  Invalidate([](int) { return true; });
  return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

void ForgetCapture(CUstream stream) {
  if (AnyCapture()) Ended(StreamName(stream));
}

MIG_EXPORT CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
  return Begin(stream, mode);
}
MIG_EXPORT CUresult cuStreamBeginCapture_v2_ptsz(CUstream stream, int mode) {
  return Begin(PerThread(stream), mode);
}
MIG_EXPORT CUresult cuStreamBeginCapture(CUstream stream) {
  return Begin(stream, CU_STREAM_CAPTURE_MODE_GLOBAL);
}
MIG_EXPORT CUresult cuStreamBeginCapture_ptsz(CUstream stream) {
  return Begin(PerThread(stream), CU_STREAM_CAPTURE_MODE_GLOBAL);
}
MIG_EXPORT CUresult cuStreamBeginCaptureToGraph(CUstream stream, CUgraph graph, const CUgraphNode* nodes,
                                                const CUgraphEdgeData* edges, size_t count, int mode) {
  return BeginToGraph(stream, graph, nodes, edges, count, mode);
}
MIG_EXPORT CUresult cuStreamBeginCaptureToGraph_ptsz(CUstream stream, CUgraph graph, const CUgraphNode* nodes,
                                                     const CUgraphEdgeData* edges, size_t count, int mode) {
  return BeginToGraph(PerThread(stream), graph, nodes, edges, count, mode);
}
MIG_EXPORT CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph) {
  return End(stream, graph);
}
MIG_EXPORT CUresult cuStreamEndCapture_ptsz(CUstream stream, CUgraph* graph) {
  return End(PerThread(stream), graph);
}

MIG_EXPORT CUresult cuStreamIsCapturing(CUstream stream, int* status) {
  return Info(stream, {.status = status});
}
MIG_EXPORT CUresult cuStreamIsCapturing_ptsz(CUstream stream, int* status) {
  return Info(PerThread(stream), {.status = status});
}
MIG_EXPORT CUresult cuStreamGetCaptureInfo(CUstream stream, int* status, unsigned long long* id) {
  return Info(stream, {.status = status, .id = id});
}
MIG_EXPORT CUresult cuStreamGetCaptureInfo_ptsz(CUstream stream, int* status, unsigned long long* id) {
  return Info(PerThread(stream), {.status = status, .id = id});
}
MIG_EXPORT CUresult cuStreamGetCaptureInfo_v2(CUstream stream, int* status, unsigned long long* id, CUgraph* graph,
                                              const CUgraphNode** nodes, size_t* count) {
  return Info(stream, {.status = status, .id = id, .graph = graph, .dependencies = nodes, .count = count});
}
MIG_EXPORT CUresult cuStreamGetCaptureInfo_v2_ptsz(CUstream stream, int* status, unsigned long long* id, CUgraph* graph,
                                                   const CUgraphNode** nodes, size_t* count) {
  return cuStreamGetCaptureInfo_v2(PerThread(stream), status, id, graph, nodes, count);
}
MIG_EXPORT CUresult cuStreamGetCaptureInfo_v3(CUstream stream, int* status, unsigned long long* id, CUgraph* graph,
                                              const CUgraphNode** nodes, const CUgraphEdgeData** edges, size_t* count) {
  return Info(stream, {status, id, graph, nodes, edges, count, true});
}
MIG_EXPORT CUresult cuStreamGetCaptureInfo_v3_ptsz(CUstream stream, int* status, unsigned long long* id, CUgraph* graph,
                                                   const CUgraphNode** nodes, const CUgraphEdgeData** edges,
                                                   size_t* count) {
  return Info(PerThread(stream), {status, id, graph, nodes, edges, count, true});
}
MIG_EXPORT CUresult cuStreamUpdateCaptureDependencies(CUstream stream, CUgraphNode* nodes, size_t count,
                                                      unsigned flags) {
  return UpdateDependencies(stream, nodes, nullptr, count, flags);
}
MIG_EXPORT CUresult cuStreamUpdateCaptureDependencies_ptsz(CUstream stream, CUgraphNode* nodes, size_t count,
                                                           unsigned flags) {
  return UpdateDependencies(PerThread(stream), nodes, nullptr, count, flags);
}
MIG_EXPORT CUresult cuStreamUpdateCaptureDependencies_v2(CUstream stream, CUgraphNode* nodes,
                                                         const CUgraphEdgeData* edges, size_t count, unsigned flags) {
  return UpdateDependencies(stream, nodes, edges, count, flags);
}
MIG_EXPORT CUresult cuStreamUpdateCaptureDependencies_v2_ptsz(CUstream stream, CUgraphNode* nodes,
                                                              const CUgraphEdgeData* edges, size_t count,
                                                              unsigned flags) {
  return UpdateDependencies(PerThread(stream), nodes, edges, count, flags);
}

MIG_EXPORT CUresult cuThreadExchangeStreamCaptureMode(int* mode) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (mode == nullptr || *mode < CU_STREAM_CAPTURE_MODE_GLOBAL || *mode > CU_STREAM_CAPTURE_MODE_RELAXED)
    return CUDA_ERROR_INVALID_VALUE;
  std::swap(*mode, thread_mode);
  return CUDA_SUCCESS;
}

}  // namespace mignificient::client
