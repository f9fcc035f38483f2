#include "driver/cpu/capture.h"

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "driver/cpu/device.h"
#include "driver/cpu/graphs.h"

namespace mignificient::cpu {
namespace {

bool IsPlain(const CUgraphEdgeData& data) {
  constexpr CUgraphEdgeData kPlain{};
  return std::memcmp(&data, &kPlain, sizeof data) == 0;
}

// Where an event was recorded; nullptr once its capture is over.
Capture* ActiveCapture(const Event& event) {
  const auto& record = event.captured;
  return record == nullptr || record->capture->status == kCaptureNone ? nullptr : record->capture.get();
}

}  // namespace

Captures::Member* Captures::Find(const Stream& stream) {
  const auto found = members_.find(&stream);
  return found == members_.end() ? nullptr : &found->second;
}

// Whether the legacy stream would order itself behind what is being captured.
bool Captures::AnyBlocking() const {
  return std::ranges::any_of(members_, [](const auto& each) { return each.first->kind() == StreamKind::kBlocking; });
}

std::optional<CUresult> Captures::Refuses(Stream& stream) {
  const std::lock_guard lock(context_.graphs().mutex);
  if (stream.kind() == StreamKind::kLegacy && AnyBlocking()) {
    for (auto& [other, member] : members_)
      if (other->kind() == StreamKind::kBlocking) member.capture->status = kCaptureInvalidated;
    return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
  }
  const Member* member = Find(stream);
  const bool invalidated = member != nullptr && member->capture->status == kCaptureInvalidated;
  return invalidated ? std::optional(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED) : std::nullopt;
}

bool Captures::IsCapturing(Stream& stream) {
  const std::lock_guard lock(context_.graphs().mutex);
  return Find(stream) != nullptr;
}

std::vector<GraphNode::Edge> Captures::Resolve(const Member& member) const {
  std::vector<GraphNode::Edge> edges;
  for (const auto& link : member.after)
    if (GraphNode* node = context_.graphs().Find(link.node)) edges.push_back({node, link.data});
  return edges;
}

CUresult Captures::Add(Stream& stream, NodeWork work) {
  auto& graphs = context_.graphs();
  const std::lock_guard lock(graphs.mutex);
  Member* member = Find(stream);
  if (member == nullptr || member->capture->status != kCaptureActive) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  GraphNode& node = member->capture->graph->Add(std::move(work), Resolve(*member));
  member->after = {{graphs.Name(node), {}}};
  return CUDA_SUCCESS;
}

// --- What captures do not permit ------------------------------------------------------------------------------------

CUresult Captures::Forbid(Stream& stream) {
  if (count_.load(std::memory_order_acquire) == 0) return CUDA_SUCCESS;
  if (const auto refused = Refuses(stream)) return *refused;
  const std::lock_guard lock(context_.graphs().mutex);
  Member* member = Find(stream);
  if (member == nullptr) return CUDA_SUCCESS;
  member->capture->status = kCaptureInvalidated;
  return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult Captures::ForbidAll() {
  if (count_.load(std::memory_order_acquire) == 0) return CUDA_SUCCESS;
  const std::lock_guard lock(context_.graphs().mutex);
  for (auto& [stream, member] : members_) member.capture->status = kCaptureInvalidated;
  return members_.empty() ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult Captures::ForbidEvent(const Event& event) {
  const std::lock_guard lock(context_.graphs().mutex);
  if (event.captured == nullptr) return CUDA_SUCCESS;
  if (Capture* capture = ActiveCapture(event)) capture->status = kCaptureInvalidated;
  return CUDA_ERROR_CAPTURED_EVENT;
}

// --- The life of a capture ------------------------------------------------------------------------------------------

CUresult Captures::Begin(Stream& stream, std::shared_ptr<Graph> graph, std::span<const CaptureLink> after, int mode) {
  if (stream.kind() == StreamKind::kLegacy) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  auto& graphs = context_.graphs();
  if (Find(stream) != nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  auto capture = std::make_shared<Capture>();
  capture->id = ++last_id_;
  capture->graph_is_given = graph != nullptr;
  capture->graph = graph != nullptr ? std::move(graph) : std::make_shared<Graph>();
  capture->origin = &stream;
  capture->thread = std::this_thread::get_id();
  capture->mode = mode;
  graphs.Name(capture->graph);
  members_.emplace(&stream, Member{std::move(capture), {after.begin(), after.end()}, {}, {}});
  count_.store(members_.size(), std::memory_order_release);
  return CUDA_SUCCESS;
}

// Whether the origin comes after everything that the other streams have brought in.
bool Captures::Joined(const Capture& capture, const Member& origin) {
  std::unordered_set<const GraphNode*> reached;
  std::vector<const GraphNode*> next;
  for (const auto& edge : Resolve(origin)) next.push_back(edge.from);
  while (!next.empty()) {
    const GraphNode* node = next.back();
    next.pop_back();
    if (!reached.insert(node).second) continue;
    for (const auto& edge : node->after) next.push_back(edge.from);
  }
  return std::ranges::all_of(members_, [&](const auto& each) {
    if (each.second.capture.get() != &capture) return true;
    return std::ranges::all_of(Resolve(each.second), [&](const auto& edge) { return reached.contains(edge.from); });
  });
}

void Captures::Finish(Capture& capture) {
  const bool failed = capture.status == kCaptureInvalidated;
  capture.status = kCaptureNone;
  if (failed && !capture.graph_is_given) context_.graphs().Forget(*capture.graph);
  std::erase_if(members_, [&](const auto& each) { return each.second.capture.get() == &capture; });
  count_.store(members_.size(), std::memory_order_release);
}

CUresult Captures::End(Stream& stream, CUgraph* graph) {
  *graph = nullptr;
  const std::lock_guard lock(context_.graphs().mutex);
  const Member* member = Find(stream);
  if (member == nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  const auto capture = member->capture;
  if (capture->origin != &stream) return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
  constexpr int kRelaxed = CU_STREAM_CAPTURE_MODE_RELAXED;
  if (capture->mode != kRelaxed && capture->thread != std::this_thread::get_id())
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  CUresult result = CUDA_SUCCESS;
  if (capture->status == kCaptureInvalidated)
    result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  else if (!Joined(*capture, *member))
    result = CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
  if (result != CUDA_SUCCESS) capture->status = kCaptureInvalidated;
  Finish(*capture);
  if (result == CUDA_SUCCESS) *graph = capture->graph->handle;
  return result;
}

void Captures::Drop(Stream& stream) {
  if (count_.load(std::memory_order_acquire) == 0) return;
  const std::lock_guard lock(context_.graphs().mutex);
  const Member* member = Find(stream);
  if (member == nullptr) return;
  const auto capture = member->capture;
  capture->status = kCaptureInvalidated;
  if (capture->origin == &stream)
    Finish(*capture);
  else
    members_.erase(&stream);
  count_.store(members_.size(), std::memory_order_release);
}

bool Captures::IsGraphInUse(const Graph& graph) const {
  return std::ranges::any_of(members_, [&](const auto& each) { return each.second.capture->graph.get() == &graph; });
}

// --- Events: how a capture reaches other streams --------------------------------------------------------------------

std::optional<CUresult> Captures::Record(Stream& stream, CUevent handle, const std::shared_ptr<Event>& event,
                                         bool external) {
  if (external) {
    if (const auto taken = Take(stream, [&] { return EventRecordNode{handle, event}; })) return taken;
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (count_.load(std::memory_order_acquire) != 0) {
    if (const auto refused = Refuses(stream)) return refused;
  }
  const std::lock_guard lock(context_.graphs().mutex);
  event->captured = nullptr;
  const Member* member = Find(stream);
  if (member == nullptr) return std::nullopt;
  event->captured = std::make_shared<CapturedRecord>(CapturedRecord{member->capture, member->after});
  return CUDA_SUCCESS;
}

void Captures::Join(Member& member, std::span<const CaptureLink> links) {
  for (const auto& link : links) {
    const bool known = std::ranges::any_of(member.after, [&](const auto& each) { return each.node == link.node; });
    if (!known) member.after.push_back(link);
  }
}

std::optional<CUresult> Captures::Wait(Stream& stream, CUevent handle, const std::shared_ptr<Event>& event,
                                       bool external) {
  if (external) {
    if (const auto taken = Take(stream, [&] { return EventWaitNode{handle, event}; })) return taken;
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (count_.load(std::memory_order_acquire) != 0) {
    if (const auto refused = Refuses(stream)) return refused;
  }
  const std::lock_guard lock(context_.graphs().mutex);
  Member* member = Find(stream);
  Capture* theirs = ActiveCapture(*event);
  if (theirs == nullptr) {
    if (member == nullptr) return event->captured != nullptr ? std::optional(CUDA_ERROR_CAPTURED_EVENT) : std::nullopt;
    member->capture->status = kCaptureInvalidated;
    return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
  }
  if (theirs->status == kCaptureInvalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (member == nullptr) {
    if (stream.kind() == StreamKind::kLegacy) {
      theirs->status = kCaptureInvalidated;
      return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
    members_.emplace(&stream, Member{event->captured->capture, event->captured->after, {}, {}});
    count_.store(members_.size(), std::memory_order_release);
    return CUDA_SUCCESS;
  }
  if (member->capture.get() != theirs) {
    member->capture->status = theirs->status = kCaptureInvalidated;
    return CUDA_ERROR_STREAM_CAPTURE_MERGE;
  }
  Join(*member, event->captured->after);
  return CUDA_SUCCESS;
}

// --- What programs ask and change -----------------------------------------------------------------------------------

CUresult Captures::Ask(Stream& stream, Info* info) {
  *info = {};
  if (count_.load(std::memory_order_acquire) == 0) return CUDA_SUCCESS;
  const std::lock_guard lock(context_.graphs().mutex);
  if (stream.kind() == StreamKind::kLegacy) return AnyBlocking() ? CUDA_ERROR_STREAM_CAPTURE_IMPLICIT : CUDA_SUCCESS;
  Member* member = Find(stream);
  if (member == nullptr) return CUDA_SUCCESS;
  info->status = member->capture->status;
  info->id = member->capture->id;
  if (info->status != kCaptureActive) return CUDA_SUCCESS;
  info->graph = member->capture->graph->handle;
  member->lent_nodes.clear();
  member->lent_edges.clear();
  for (const auto& edge : Resolve(*member)) {
    member->lent_nodes.push_back(edge.from->handle);
    member->lent_edges.push_back(edge.data);
  }
  info->nodes = member->lent_nodes.data();
  info->count = member->lent_nodes.size();
  if (!std::ranges::all_of(member->lent_edges, IsPlain)) info->edges = member->lent_edges.data();
  return CUDA_SUCCESS;
}

CUresult Captures::UpdateLinks(Stream& stream, std::span<const CaptureLink> links, bool replace) {
  const std::lock_guard lock(context_.graphs().mutex);
  Member* member = Find(stream);
  if (member == nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  if (member->capture->status == kCaptureInvalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  for (const auto& link : links) {
    const GraphNode* node = context_.graphs().Find(link.node);
    if (node == nullptr || node->graph != member->capture->graph.get()) return CUDA_ERROR_INVALID_VALUE;
  }
  if (replace) member->after.clear();
  Join(*member, links);
  return CUDA_SUCCESS;
}

}  // namespace mignificient::cpu
