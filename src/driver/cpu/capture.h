// Stream capture: work issued to a capturing stream becomes nodes of a graph instead of running. Answers and
// invalidation are those of the CUDA C++ Programming Guide, "Creating a Graph Using Stream Capture".
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "driver/cpu/graph.h"

namespace mignificient::cpu {

class Context;

// A node that what comes next in a capture depends on. By handle: programs may destroy nodes meanwhile.
struct CaptureLink {
  CUgraphNode node;
  CUgraphEdgeData data;
};

inline constexpr int kCaptureNone = 0, kCaptureActive = 1, kCaptureInvalidated = 2;  // CUstreamCaptureStatus

// One capture, in as many streams as have joined it.
struct Capture {
  unsigned long long id = 0;
  std::shared_ptr<Graph> graph;
  bool graph_is_given = false;  // the program's own: stays when the capture fails
  const Stream* origin = nullptr;
  std::thread::id thread;
  int mode = 0;
  int status = kCaptureActive;  // kCaptureNone once ended
};

// What an event recorded in a capturing stream stands for.
struct CapturedRecord {
  std::shared_ptr<Capture> capture;
  std::vector<CaptureLink> after;
};

// Of one context. Locks the mutex of Graphs itself where nothing else is said.
class Captures {
 public:
  explicit Captures(Context& context) : context_(context) {}

  // For an entry point that is about to issue work: `make()` gives what it would do. Nullopt where the stream does not
  // capture; else the work is a node now, or cannot be one, and this is the answer.
  template <typename Make>
  std::optional<CUresult> Take(Stream& stream, Make&& make) {
    if (count_.load(std::memory_order_acquire) == 0) return std::nullopt;
    if (const auto answer = Refuses(stream)) return answer;
    return IsCapturing(stream) ? std::optional(Add(stream, NodeWork(make()))) : std::nullopt;
  }

  // For entry points that a capture does not permit: they ask whether work is done, or wait for it. CUDA_SUCCESS, or
  // the answer; then the captures concerned are invalidated.
  CUresult Forbid(Stream& stream);
  CUresult ForbidAll();
  CUresult ForbidEvent(const Event& event);

  CUresult Begin(Stream& stream, std::shared_ptr<Graph> graph, std::span<const CaptureLink> after, int mode);
  CUresult End(Stream& stream, CUgraph* graph);
  // A stream ends; its capture cannot be completed any more.
  void Drop(Stream& stream);
  bool IsGraphInUse(const Graph& graph) const;  // with the mutex held

  // Nullopt where no capture is concerned and the call has its ordinary meaning.
  std::optional<CUresult> Record(Stream& stream, CUevent handle, const std::shared_ptr<Event>& event, bool external);
  std::optional<CUresult> Wait(Stream& stream, CUevent handle, const std::shared_ptr<Event>& event, bool external);

  struct Info {
    int status = kCaptureNone;
    unsigned long long id = 0;
    CUgraph graph = nullptr;
    const CUgraphNode* nodes = nullptr;  // until the next call on the stream
    const CUgraphEdgeData* edges = nullptr;
    size_t count = 0;
  };
  CUresult Ask(Stream& stream, Info* info);
  CUresult UpdateLinks(Stream& stream, std::span<const CaptureLink> links, bool replace);

 private:
  struct Member {
    std::shared_ptr<Capture> capture;
    std::vector<CaptureLink> after;
    std::vector<CUgraphNode> lent_nodes;
    std::vector<CUgraphEdgeData> lent_edges;
  };

  std::optional<CUresult> Refuses(Stream& stream);
  bool IsCapturing(Stream& stream);
  CUresult Add(Stream& stream, NodeWork work);
  Member* Find(const Stream& stream);
  bool AnyBlocking() const;
  void Finish(Capture& capture);
  bool Joined(const Capture& capture, const Member& origin);
  void Join(Member& member, std::span<const CaptureLink> links);
  std::vector<GraphNode::Edge> Resolve(const Member& member) const;

  Context& context_;
  std::atomic<size_t> count_{0};  // of members_; read without the mutex by those that find it 0
  std::unordered_map<const Stream*, Member> members_;
  unsigned long long last_id_ = 0;
};

}  // namespace mignificient::cpu
