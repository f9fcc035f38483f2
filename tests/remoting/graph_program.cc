// CUDA graphs and stream capture for remoting_test.py: driver API and PTX text, one case per argument. It prints every
// call with its answer, and what it then observes; nothing that differs between two right implementations.
// graph_expected.txt holds what the software GPU gives; natively on an H100 some answers differ, and
// docs/programs-that-do-not-pass.md says which.

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "driver_api.h"

namespace {

// affine(p, a, b): *p = *p * a + b. Two of them in the other order give another number.
constexpr const char* kPtx = R"(
.version 7.0
.target sm_50
.address_size 64
.visible .entry affine(.param .u64 p, .param .u32 a, .param .u32 b) {
  .reg .b32 %r<5>; .reg .b64 %d<2>;
  ld.param.u64 %d1, [p]; ld.param.u32 %r1, [a]; ld.param.u32 %r2, [b];
  ld.global.u32 %r3, [%d1];
  mad.lo.u32 %r4, %r3, %r1, %r2;
  st.global.u32 [%d1], %r4;
  ret;
}
)";

constexpr int kHost = static_cast<int>(CU_MEMORYTYPE_HOST), kDevice = static_cast<int>(CU_MEMORYTYPE_DEVICE);
constexpr unsigned kNonBlocking = 1, kExternal = 1;
constexpr int kGlobal = 0, kThreadLocal = 1, kRelaxed = 2;

CUresult Say(const char* call, CUresult result) {
  std::printf("%s: %d\n", call, static_cast<int>(result));
  return result;
}
// Prints the call as it is written, and its answer.
#define SAY(...) Say(#__VA_ARGS__, __VA_ARGS__)

// For what is not the matter of a case: prints nothing, ends the program if it fails.
void Must(CUresult result, const char* call, int line) {
  if (result == CUDA_SUCCESS) return;
  std::printf("line %d: %s answers %d\n", line, call, static_cast<int>(result));
  std::exit(1);
}
#define MUST(...) Must(__VA_ARGS__, #__VA_ARGS__, __LINE__)

CUfunction affine_kernel;
CUdeviceptr word;  // what kernels of all cases change
CUstream stream;   // non-blocking

struct Affine {
  CUdeviceptr p = word;
  unsigned a, b;
  void* params[3] = {&p, &a, &b};
  Affine(unsigned factor, unsigned term) : a(factor), b(term) {}
  Affine(const Affine&) = delete;

  CUgraphNodeParams Node() {
    CUgraphNodeParams node{};
    node.type = CU_GRAPH_NODE_TYPE_KERNEL;
    node.kernel = {affine_kernel, {1, 1, 1}, {1, 1, 1}, 0, params, nullptr, nullptr, nullptr};
    return node;
  }
  CUresult Launch(CUstream in) { return cuLaunchKernel(affine_kernel, 1, 1, 1, 1, 1, 1, 0, in, params, nullptr); }
};

CUgraphNodeParams Of(int type) {
  CUgraphNodeParams params{};
  params.type = type;
  return params;
}
CUgraphNodeParams Memset(unsigned value) {
  CUgraphNodeParams params = Of(CU_GRAPH_NODE_TYPE_MEMSET);
  params.memset = {word, 0, value, 4, 1, 1, nullptr};
  return params;
}
CUgraphNodeParams Alloc(size_t bytes) {
  CUgraphNodeParams params = Of(CU_GRAPH_NODE_TYPE_MEM_ALLOC);
  params.alloc.pool.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  params.alloc.pool.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  params.alloc.bytes = bytes;
  return params;
}
CUDA_MEMCPY3D ToDevice(const void* host, size_t bytes) {
  CUDA_MEMCPY3D copy{};
  copy.src_memory_type = kHost;
  copy.src_host = host;
  copy.dst_memory_type = kDevice;
  copy.dst_device = word;
  copy.width_bytes = bytes;
  copy.height = copy.depth = 1;
  return copy;
}
CUDA_MEMCPY3D ToHost(void* host, size_t bytes) {
  CUDA_MEMCPY3D copy{};
  copy.src_memory_type = kDevice;
  copy.src_device = word;
  copy.dst_memory_type = kHost;
  copy.dst_host = host;
  copy.width_bytes = bytes;
  copy.height = copy.depth = 1;
  return copy;
}

CUgraph NewGraph() {
  CUgraph graph = nullptr;
  MUST(cuGraphCreate(&graph, 0));
  return graph;
}
CUgraphNode Add(CUgraph graph, CUgraphNodeParams params, std::vector<CUgraphNode> after = {}) {
  CUgraphNode node = nullptr;
  MUST(cuGraphAddNode_v2(&node, graph, after.data(), nullptr, after.size(), &params));
  return node;
}
CUgraphNode AddAffine(CUgraph graph, unsigned a, unsigned b, std::vector<CUgraphNode> after = {}) {
  return Add(graph, Affine(a, b).Node(), std::move(after));
}
CUgraphExec Instantiate(CUgraph graph) {
  CUgraphExec exec = nullptr;
  MUST(cuGraphInstantiateWithFlags(&exec, graph, 0));
  return exec;
}
CUstream NewStream(unsigned flags = kNonBlocking) {
  CUstream made = nullptr;
  MUST(cuStreamCreate(&made, flags));
  return made;
}
CUevent NewEvent() {
  CUevent event = nullptr;
  MUST(cuEventCreate(&event, 2));
  return event;
}

unsigned Word() {
  unsigned value = 0;
  MUST(cuMemcpyDtoH_v2(&value, word, 4));
  return value;
}
void Run(CUgraphExec exec) {
  MUST(cuGraphLaunch(exec, stream));
  MUST(cuStreamSynchronize(stream));
  std::printf("word %u\n", Word());
}

const char* TypeName(CUgraphNode node) {
  static constexpr const char* kNames[] = {"kernel", "memcpy", "memset", "host",  "graph", "empty", "wait",
                                           "record", "signal", "await",  "alloc", "free",  "batch", "conditional"};
  int type = -1;
  MUST(cuGraphNodeGetType(node, &type));
  return kNames[type];
}

// Nodes by type and edges by number of the nodes, as they are listed.
void Describe(CUgraph graph) {
  size_t count = 0, edges = 0;
  MUST(cuGraphGetNodes(graph, nullptr, &count));
  std::vector<CUgraphNode> nodes(count);
  MUST(cuGraphGetNodes(graph, nodes.data(), &count));
  MUST(cuGraphGetEdges_v2(graph, nullptr, nullptr, nullptr, &edges));
  std::vector<CUgraphNode> from(edges), to(edges);
  std::vector<CUgraphEdgeData> data(edges);
  if (edges > 0) MUST(cuGraphGetEdges_v2(graph, from.data(), to.data(), data.data(), &edges));
  std::map<CUgraphNode, size_t> number;
  std::printf("nodes");
  for (size_t i = 0; i < count; ++i) {
    number[nodes[i]] = i;
    std::printf(" %s", TypeName(nodes[i]));
  }
  std::multimap<size_t, size_t> sorted;
  for (size_t i = 0; i < edges; ++i) sorted.emplace(number.at(from[i]), number.at(to[i]));
  std::printf("; %zu edges", edges);
  // Capture and explicit construction list parallel branches in no documented order: sort by both ends.
  std::map<std::pair<size_t, size_t>, int> both;
  for (const auto& [a, b] : sorted) both[{a, b}] = 1;
  for (const auto& [ends, unused] : both) std::printf(" %zu-%zu", ends.first, ends.second);
  std::printf("\n");
}

int Status(CUstream of) {
  int status = -1;
  MUST(cuStreamIsCapturing(of, &status));
  return status;
}

// --- Cases ----------------------------------------------------------------------------------------------------------

void Explicit() {
  CUgraph graph = nullptr;
  SAY(cuGraphCreate(&graph, 0));
  CUgraphNodeParams empty = Of(CU_GRAPH_NODE_TYPE_EMPTY);
  Affine plus(1, 5), times(3, 0);
  CUgraphNodeParams add = plus.Node(), triple = times.Node(), set = Memset(2);
  CUgraphNode nodes[4] = {};
  SAY(cuGraphAddNode_v2(&nodes[0], graph, nullptr, nullptr, 0, &set));
  SAY(cuGraphAddNode_v2(&nodes[1], graph, &nodes[0], nullptr, 1, &triple));
  SAY(cuGraphAddNode_v2(&nodes[2], graph, nodes, nullptr, 2, &empty));
  SAY(cuGraphAddNode_v2(&nodes[3], graph, &nodes[2], nullptr, 1, &add));
  Describe(graph);
  size_t count = 0;
  SAY(cuGraphGetRootNodes(graph, nullptr, &count));
  std::printf("%zu roots\n", count);
  CUgraphNode found[3] = {graph == nullptr ? nullptr : nodes[0], nodes[0], nodes[0]};
  count = 3;
  SAY(cuGraphNodeGetDependencies_v2(nodes[3], found, nullptr, &count));
  std::printf("%zu dependencies, the first is its predecessor: %d, the rest null: %d\n", count, found[0] == nodes[2],
              found[1] == nullptr && found[2] == nullptr);
  SAY(cuGraphNodeGetDependentNodes_v2(nodes[0], nullptr, nullptr, &count));
  std::printf("%zu dependents\n", count);
  CUgraphExec exec = nullptr;
  SAY(cuGraphInstantiateWithFlags(&exec, graph, 0));
  SAY(cuGraphUpload(exec, stream));
  Run(exec);
  Run(exec);
  SAY(cuGraphDestroy(graph));
  Run(exec);  // it outlives its graph
  SAY(cuGraphExecDestroy(exec));
}

void Edges() {
  const CUgraph graph = NewGraph(), other = NewGraph();
  const CUgraphNode a = Add(graph, Memset(1)), b = Add(graph, Memset(2)), c = Add(graph, Memset(3));
  const CUgraphNode stranger = Add(other, Memset(4));
  const CUgraphNode from[] = {a, b}, to[] = {b, c};
  SAY(cuGraphAddDependencies_v2(graph, from, to, nullptr, 2));
  SAY(cuGraphAddDependencies_v2(graph, from, to, nullptr, 1));  // there already
  SAY(cuGraphAddDependencies_v2(graph, &a, &a, nullptr, 1));
  SAY(cuGraphAddDependencies_v2(graph, &a, &stranger, nullptr, 1));
  SAY(cuGraphRemoveDependencies_v2(graph, &a, &c, nullptr, 1));  // not there
  SAY(cuGraphAddDependencies_v2(graph, &a, &b, nullptr, 0));
  CUgraphNode node = nullptr;
  CUgraphNodeParams set = Memset(0);
  const CUgraphNode twice[] = {a, a};
  SAY(cuGraphAddNode_v2(&node, graph, twice, nullptr, 2, &set));
  SAY(cuGraphAddNode_v2(&node, graph, &stranger, nullptr, 1, &set));
  SAY(cuGraphAddNode_v2(&node, graph, nullptr, nullptr, 1, &set));
  Describe(graph);
  SAY(cuGraphAddDependencies_v2(graph, &c, &a, nullptr, 1));  // a circle
  CUgraphExec exec = nullptr;
  CUDA_GRAPH_INSTANTIATE_PARAMS params{};
  SAY(cuGraphInstantiateWithParams(&exec, graph, &params));
  std::printf("reason %d\n", params.result);
  SAY(cuGraphRemoveDependencies_v2(graph, &c, &a, nullptr, 1));
  SAY(cuGraphDestroyNode(b));
  Describe(graph);
  SAY(cuGraphInstantiateWithParams(&exec, graph, &params));
  std::printf("reason %d\n", params.result);
  unsigned long long flags = 77;
  SAY(cuGraphExecGetFlags(exec, &flags));
  std::printf("flags %llu\n", flags);
  // More entries than one reply of the server holds.
  const CUgraph wide = NewGraph();
  std::vector<CUgraphNode> many;
  for (int i = 0; i < 700; ++i)
    many.push_back(
        Add(wide, Of(CU_GRAPH_NODE_TYPE_EMPTY), many.empty() ? std::vector<CUgraphNode>{} : std::vector{many[0]}));
  size_t count = many.size();
  std::vector<CUgraphNode> listed(count);
  SAY(cuGraphGetNodes(wide, listed.data(), &count));
  std::printf("%zu nodes, as they were added: %d\n", count, listed == many);
  SAY(cuGraphNodeGetDependentNodes_v2(many[0], nullptr, nullptr, &count));
  std::printf("%zu dependents\n", count);
  SAY(cuGraphAddNode_v2(&node, wide, many.data(), nullptr, many.size(), &set));
}

void Copies() {
  const CUgraph graph = NewGraph();
  static unsigned pageable[2] = {7, 0}, result[2] = {0, 0};
  void* pinned = nullptr;
  MUST(cuMemHostAlloc(&pinned, 4096, 0));
  CUcontext context = nullptr;
  MUST(cuDevicePrimaryCtxRetain(&context, 0));
  const CUDA_MEMCPY3D up = ToDevice(pageable, 4), down = ToHost(result, 4), to_pinned = ToHost(pinned, 4);
  CUgraphNode first = nullptr, second = nullptr, third = nullptr;
  SAY(cuGraphAddMemcpyNode(&first, graph, nullptr, 0, &up, context));
  const CUgraphNode twice = AddAffine(graph, 2, 0, {first});
  SAY(cuGraphAddMemcpyNode(&second, graph, &twice, 1, &down, context));
  SAY(cuGraphAddMemcpyNode(&third, graph, &twice, 1, &to_pinned, context));
  CUDA_MEMCPY3D got{};
  SAY(cuGraphMemcpyNodeGetParams(third, &got));
  std::printf("from the device: %d, to the address given: %d, %zu bytes\n", got.src_device == word,
              got.dst_host == pinned, got.width_bytes);
  const CUgraphExec exec = Instantiate(graph);
  Run(exec);
  std::printf("pageable %u, pinned %u\n", result[0], *static_cast<unsigned*>(pinned));
  pageable[0] = 50;  // host memory is read when the graph runs
  Run(exec);
  std::printf("pageable %u, pinned %u\n", result[0], *static_cast<unsigned*>(pinned));
}

void Params() {
  const CUgraph graph = NewGraph();
  const CUgraphNode set = Add(graph, Memset(2)), kernel = AddAffine(graph, 3, 8, {set});
  CUDA_KERNEL_NODE_PARAMS got{};
  SAY(cuGraphKernelNodeGetParams_v2(kernel, &got));
  std::printf("grid %u block %u, a %u, b %u\n", got.grid[0], got.block[0], *static_cast<unsigned*>(got.params[1]),
              *static_cast<unsigned*>(got.params[2]));
  CUDA_MEMSET_NODE_PARAMS memset{};
  SAY(cuGraphMemsetNodeGetParams(set, &memset));
  std::printf("value %u of %u bytes, %zu by %zu\n", memset.value, memset.element_bytes, memset.width, memset.height);
  SAY(cuGraphMemsetNodeGetParams(kernel, &memset));
  const CUgraphExec exec = Instantiate(graph);
  Run(exec);
  Affine other(5, 0);
  CUgraphNodeParams changed = other.Node(), value = Memset(3);
  SAY(cuGraphExecNodeSetParams(exec, kernel, &changed));
  SAY(cuGraphExecNodeSetParams(exec, set, &value));
  SAY(cuGraphExecNodeSetParams(exec, kernel, &value));  // of another type
  Run(exec);
  Run(Instantiate(graph));  // the graph is as it was
  SAY(cuGraphNodeSetParams(kernel, &changed));
  Run(Instantiate(graph));
  SAY(cuGraphNodeSetEnabled(exec, kernel, 0));
  unsigned enabled = 7;
  SAY(cuGraphNodeGetEnabled(exec, kernel, &enabled));
  std::printf("enabled %u\n", enabled);
  Run(exec);
  SAY(cuGraphNodeSetEnabled(exec, kernel, 1));
  Run(exec);
}

void Clone() {
  const CUgraph graph = NewGraph();
  const CUgraphNode node = AddAffine(graph, 1, 4, {Add(graph, Memset(1))});
  CUgraph clone = nullptr;
  SAY(cuGraphClone(&clone, graph));
  CUgraphNode copy = nullptr, none = nullptr;
  SAY(cuGraphNodeFindInClone(&copy, node, clone));
  SAY(cuGraphNodeFindInClone(&none, copy, graph));
  Affine other(1, 40);
  CUgraphNodeParams changed = other.Node();
  SAY(cuGraphNodeSetParams(copy, &changed));
  Run(Instantiate(graph));
  SAY(cuGraphDestroy(graph));
  Describe(clone);
  Run(Instantiate(clone));
}

void Child() {
  const CUgraph inner = NewGraph(), outer = NewGraph();
  const CUgraphNode inner_node = AddAffine(inner, 3, 0);
  const CUgraphNode set = Add(outer, Memset(2));
  CUgraphNode child = nullptr;
  SAY(cuGraphAddChildGraphNode(&child, outer, &set, 1, inner));
  AddAffine(outer, 1, 1, {child});
  Affine later(100, 0);
  CUgraphNodeParams changed = later.Node();
  SAY(cuGraphNodeSetParams(inner_node, &changed));  // the child is a copy
  Describe(outer);
  const CUgraphExec exec = Instantiate(outer);
  Run(exec);
  CUgraph inside = nullptr;
  SAY(cuGraphChildGraphNodeGetGraph(child, &inside));
  std::printf("another graph: %d\n", inside != inner);
  Describe(inside);
  SAY(cuGraphExecChildGraphNodeSetParams(exec, child, inner));
  Run(exec);
  SAY(cuGraphDestroy(outer));
}

void Update() {
  const CUgraph graph = NewGraph(), same = NewGraph(), longer = NewGraph(), unlike = NewGraph();
  AddAffine(graph, 3, 0, {Add(graph, Memset(2))});
  AddAffine(same, 5, 0, {Add(same, Memset(2))});
  AddAffine(longer, 5, 0, {Add(longer, Memset(2))});
  Add(longer, Memset(1));
  Add(unlike, Memset(7), {Add(unlike, Memset(2))});
  const CUgraphExec exec = Instantiate(graph);
  Run(exec);
  CUgraphExecUpdateResultInfo info{};
  SAY(cuGraphExecUpdate_v2(exec, same, &info));
  std::printf("reason %d\n", info.result);
  Run(exec);
  SAY(cuGraphExecUpdate_v2(exec, longer, &info));
  std::printf("reason %d\n", info.result);
  SAY(cuGraphExecUpdate_v2(exec, unlike, &info));
  std::printf("reason %d, at a node: %d\n", info.result, info.error_node != nullptr);
  Run(exec);
}

std::atomic<int> calls{0};

void Host() {
  const CUgraph graph = NewGraph();
  const auto count = [](void* by) { calls.fetch_add(*static_cast<int*>(by)); };
  static int one = 1, ten = 10, hundred = 100;
  const CUDA_HOST_NODE_PARAMS ones{count, &one}, tens{count, &ten}, hundreds{count, &hundred},
      nothing{nullptr, nullptr};
  CUgraphNode node = nullptr, none = nullptr;
  const CUgraphNode set = Add(graph, Memset(2));
  SAY(cuGraphAddHostNode(&node, graph, &set, 1, &ones));
  SAY(cuGraphAddHostNode(&none, graph, nullptr, 0, &nothing));
  AddAffine(graph, 3, 0, {node});
  CUDA_HOST_NODE_PARAMS got{};
  SAY(cuGraphHostNodeGetParams(node, &got));
  std::printf("as given: %d\n", got.function == ones.function && got.user_data == &one);
  const CUgraphExec exec = Instantiate(graph);
  Run(exec);
  Run(exec);
  std::printf("calls %d\n", calls.load());
  SAY(cuGraphExecHostNodeSetParams(exec, node, &tens));
  Run(exec);
  std::printf("calls %d\n", calls.load());
  SAY(cuGraphHostNodeSetParams(node, &hundreds));
  Run(Instantiate(graph));
  Run(exec);
  std::printf("calls %d\n", calls.load());
}

void Events() {
  const CUevent event = NewEvent(), other = NewEvent();
  const CUgraph graph = NewGraph();
  const CUgraphNode set = Add(graph, Memset(3));
  CUgraphNode record = nullptr, wait = nullptr;
  SAY(cuGraphAddEventRecordNode(&record, graph, &set, 1, event));
  SAY(cuGraphAddEventWaitNode(&wait, graph, nullptr, 0, other));
  CUevent got = nullptr;
  SAY(cuGraphEventRecordNodeGetEvent(record, &got));
  std::printf("as given: %d\n", got == event);
  const CUgraphExec exec = Instantiate(graph);
  MUST(cuEventRecord(other, stream));
  const CUstream second = NewStream();
  SAY(cuGraphLaunch(exec, stream));
  SAY(cuStreamWaitEvent(second, event, 0));
  Affine twice(2, 0);
  MUST(twice.Launch(second));
  SAY(cuStreamSynchronize(second));
  SAY(cuEventQuery(event));
  std::printf("word %u\n", Word());
  SAY(cuGraphEventRecordNodeSetEvent(record, other));
  SAY(cuGraphEventRecordNodeGetEvent(record, &got));
  std::printf("as set: %d\n", got == other);
}

void Memory() {
  const CUgraph graph = NewGraph();
  CUgraphNodeParams alloc = Alloc(1000);
  CUgraphNode node = nullptr;
  SAY(cuGraphAddNode_v2(&node, graph, nullptr, nullptr, 0, &alloc));
  const CUdeviceptr address = alloc.alloc.address;
  std::printf("an address: %d\n", address != 0);
  CUDA_MEM_ALLOC_NODE_PARAMS got{};
  SAY(cuGraphMemAllocNodeGetParams(node, &got));
  std::printf("%zu bytes at it: %d\n", got.bytes, got.address == address);
  CUgraphNodeParams set = Memset(9);
  set.memset.dst = address;
  CUgraphNode filled = nullptr, freed = nullptr;
  SAY(cuGraphAddNode_v2(&filled, graph, &node, nullptr, 1, &set));  // whose memory tells no context
  CUcontext context = nullptr;
  MUST(cuDevicePrimaryCtxRetain(&context, 0));
  SAY(cuGraphAddMemsetNode(&filled, graph, &node, 1, &set.memset, context));
  CUDA_MEMCPY3D copy = ToHost(nullptr, 4);
  copy.src_device = address;
  copy.dst_memory_type = kDevice;
  copy.dst_device = word;
  CUgraphNode copied = nullptr;
  SAY(cuGraphAddMemcpyNode(&copied, graph, &filled, 1, &copy, context));
  CUgraphNodeParams free = Of(CU_GRAPH_NODE_TYPE_MEM_FREE);
  free.free.address = address;
  SAY(cuGraphAddNode_v2(&freed, graph, &copied, nullptr, 1, &free));
  CUdeviceptr of_free = 0;
  SAY(cuGraphMemFreeNodeGetParams(freed, &of_free));
  std::printf("the same address: %d\n", of_free == address);
  Describe(graph);
  const CUgraphExec exec = Instantiate(graph);
  Run(exec);
  Run(exec);
  uint64_t used = 1;
  SAY(cuDeviceGetGraphMemAttribute(0, 0, &used));
  std::printf("used %llu\n", static_cast<unsigned long long>(used));
  SAY(cuGraphExecDestroy(exec));
  SAY(cuGraphDestroy(graph));
  SAY(cuDeviceGraphMemTrim(0));
}

void Capture() {
  static unsigned target = 0;
  static int by = 1;
  std::printf("status %d\n", Status(stream));
  SAY(cuStreamBeginCapture_v2(stream, kGlobal));
  std::printf("status %d\n", Status(stream));
  Affine plus(3, 1);
  static unsigned source = 2;
  SAY(cuMemcpyHtoDAsync_v2(word, &source, 4, stream));
  SAY(plus.Launch(stream));
  SAY(cuMemcpyDtoHAsync_v2(&target, word, 4, stream));
  SAY(cuLaunchHostFunc(stream, [](void* one) { calls.fetch_add(*static_cast<int*>(one)); }, &by));
  SAY(cuMemsetD32Async(word, 40, 1, stream));
  int status = 0;
  unsigned long long id = 0;
  CUgraph inside = nullptr;
  const CUgraphNode* nodes = nullptr;
  size_t count = 0;
  SAY(cuStreamGetCaptureInfo_v3(stream, &status, &id, &inside, &nodes, nullptr, &count));
  std::printf("status %d, an id: %d, %zu dependency, a %s\n", status, id != 0, count, TypeName(nodes[0]));
  CUgraph graph = nullptr;
  SAY(cuStreamEndCapture(stream, &graph));
  std::printf("the graph it told: %d, status %d\n", graph == inside, Status(stream));
  const CUgraphExec exec = Instantiate(graph);
  std::printf("nothing has run: %d\n", calls.load() == 0);
  Run(exec);
  std::printf("target %u, calls %d\n", target, calls.load());
  source = 5;  // read when the graph runs
  Run(exec);
  std::printf("target %u, calls %d\n", target, calls.load());
}

void Fork() {
  const CUstream other = NewStream();
  const CUevent fork = NewEvent(), join = NewEvent();
  Affine twice(2, 0), plus(1, 1), minus(1, ~0u);
  SAY(cuStreamBeginCapture_v2(stream, kThreadLocal));
  SAY(cuMemsetD32Async(word, 2, 2, stream));
  SAY(cuEventRecord(fork, stream));
  SAY(cuStreamWaitEvent(other, fork, 0));
  std::printf("status of the other stream %d\n", Status(other));
  SAY(twice.Launch(stream));
  SAY(cuMemsetD32Async(word + 4, 5, 1, other));
  SAY(cuEventRecord(join, other));
  SAY(cuStreamWaitEvent(stream, join, 0));
  SAY(plus.Launch(stream));
  CUgraph graph = nullptr;
  SAY(cuStreamEndCapture(stream, &graph));
  std::printf("status of the other stream %d\n", Status(other));
  Describe(graph);
  Run(Instantiate(graph));
  // Nodes of the program's own inside a capture.
  SAY(cuStreamBeginCapture_v2(stream, kRelaxed));
  SAY(plus.Launch(stream));
  int status = 0;
  CUgraph inside = nullptr;
  const CUgraphNode* nodes = nullptr;
  size_t count = 0;
  SAY(cuStreamGetCaptureInfo_v3(stream, &status, nullptr, &inside, &nodes, nullptr, &count));
  CUgraphNode own = AddAffine(inside, 10, 0, {nodes[0]});
  SAY(cuStreamUpdateCaptureDependencies_v2(stream, &own, nullptr, 1, 1));
  SAY(minus.Launch(stream));
  SAY(cuStreamEndCapture(stream, &graph));
  Describe(graph);
  Run(Instantiate(graph));
  // Into a graph that is there, and a graph launched while capturing.
  const CUgraph given = NewGraph();
  const CUgraphNode set = Add(given, Memset(6));
  SAY(cuStreamBeginCaptureToGraph(stream, given, &set, nullptr, 1, kRelaxed));
  SAY(twice.Launch(stream));
  SAY(cuStreamEndCapture(stream, &graph));
  std::printf("the graph given: %d\n", graph == given);
  const CUgraphExec exec = Instantiate(given);
  Run(exec);
  SAY(cuStreamBeginCapture_v2(stream, kRelaxed));
  SAY(cuGraphLaunch(exec, stream));
  SAY(plus.Launch(stream));
  SAY(cuStreamEndCapture(stream, &graph));
  Describe(graph);
  Run(Instantiate(graph));
}

// Ends a capture that should be invalid by now.
void ExpectInvalid() {
  CUgraph graph = reinterpret_cast<CUgraph>(1);
  Affine plus(1, 1);
  std::printf("status %d\n", Status(stream));
  SAY(plus.Launch(stream));
  SAY(cuStreamEndCapture(stream, &graph));
  std::printf("no graph: %d, status %d\n", graph == nullptr, Status(stream));
  MUST(cuStreamSynchronize(stream));
}

void Invalid() {
  const CUstream other = NewStream(), blocking = NewStream(0);
  const CUevent event = NewEvent();
  CUgraph graph = nullptr;
  Affine plus(1, 1);
  SAY(cuStreamEndCapture(stream, &graph));
  SAY(cuStreamBeginCapture_v2(nullptr, kRelaxed));
  SAY(cuStreamBeginCapture_v2(stream, 3));
  std::printf("# asking the stream\n");
  SAY(cuStreamBeginCapture_v2(stream, kRelaxed));
  SAY(cuStreamBeginCapture_v2(stream, kRelaxed));
  SAY(cuStreamQuery(stream));
  ExpectInvalid();
  SAY(cuStreamBeginCapture_v2(stream, kRelaxed));
  SAY(cuStreamSynchronize(stream));
  ExpectInvalid();
  std::printf("# asking a captured event\n");
  SAY(cuStreamBeginCapture_v2(stream, kRelaxed));
  SAY(cuEventRecord(event, stream));
  SAY(cuEventQuery(event));
  ExpectInvalid();
  SAY(cuEventSynchronize(event));
  SAY(cuEventRecord(event, stream));
  SAY(cuEventSynchronize(event));
  std::printf("# an event from outside\n");
  SAY(cuEventRecord(event, other));
  SAY(cuStreamBeginCapture_v2(stream, kRelaxed));
  SAY(cuStreamWaitEvent(stream, event, 0));
  ExpectInvalid();
  std::printf("# two captures\n");
  SAY(cuStreamBeginCapture_v2(stream, kRelaxed));
  SAY(cuStreamBeginCapture_v2(other, kRelaxed));
  SAY(cuEventRecord(event, other));
  SAY(cuStreamWaitEvent(stream, event, 0));
  ExpectInvalid();
  SAY(cuStreamEndCapture(other, &graph));
  std::printf("# a fork that is not joined\n");
  SAY(cuStreamBeginCapture_v2(stream, kRelaxed));
  SAY(plus.Launch(stream));
  SAY(cuEventRecord(event, stream));
  SAY(cuStreamWaitEvent(other, event, 0));
  SAY(plus.Launch(other));
  SAY(cuStreamEndCapture(other, &graph));
  SAY(cuStreamEndCapture(stream, &graph));
  std::printf("no graph: %d, status %d %d\n", graph == nullptr, Status(stream), Status(other));
  std::printf("# the legacy stream\n");
  SAY(cuStreamBeginCapture_v2(blocking, kRelaxed));
  int status = 0;
  SAY(cuStreamIsCapturing(nullptr, &status));
  SAY(cuMemsetD32Async(word, 1, 1, nullptr));
  SAY(cuStreamEndCapture(blocking, &graph));
  std::printf("# another thread\n");
  SAY(cuStreamBeginCapture_v2(stream, kThreadLocal));
  CUcontext context = nullptr;
  MUST(cuDevicePrimaryCtxRetain(&context, 0));
  std::thread([&] {
    MUST(cuCtxSetCurrent(context));
    SAY(cuStreamEndCapture(stream, &graph));
  }).join();
  SAY(cuStreamEndCapture(stream, &graph));
  std::printf("# external events\n");
  SAY(cuEventRecordWithFlags(event, stream, kExternal));
  MUST(cuEventRecord(event, other));
  SAY(cuStreamBeginCapture_v2(stream, kRelaxed));
  SAY(cuStreamWaitEvent(stream, event, kExternal));
  SAY(cuEventRecordWithFlags(event, stream, kExternal));
  SAY(cuStreamEndCapture(stream, &graph));
  Describe(graph);
}

void Unsafe() {
  CUdeviceptr memory = 0;
  CUgraph graph = nullptr;
  std::printf("# global\n");
  SAY(cuStreamBeginCapture_v2(stream, kGlobal));
  SAY(cuMemAlloc_v2(&memory, 64));
  ExpectInvalid();
  const CUevent event = NewEvent();
  const CUstream other = NewStream();
  void* pinned = nullptr;
  SAY(cuStreamBeginCapture_v2(stream, kGlobal));
  SAY(cuEventQuery(event));
  ExpectInvalid();
  SAY(cuStreamBeginCapture_v2(stream, kGlobal));
  SAY(cuMemHostAlloc(&pinned, 64, 0));
  ExpectInvalid();
  MUST(cuMemAlloc_v2(&memory, 64));
  SAY(cuStreamBeginCapture_v2(stream, kGlobal));
  SAY(cuMemFree_v2(memory));
  ExpectInvalid();
  SAY(cuStreamBeginCapture_v2(stream, kThreadLocal));
  SAY(cuMemAlloc_v2(&memory, 64));
  ExpectInvalid();
  SAY(cuStreamBeginCapture_v2(stream, kGlobal));
  SAY(cuMemsetD32Async(word, 1, 1, other));  // another stream works as ever
  SAY(cuStreamSynchronize(other));
  std::printf("status %d\n", Status(stream));
  cuStreamEndCapture(stream, &graph);
  SAY(cuStreamBeginCapture_v2(stream, kGlobal));
  SAY(cuStreamQuery(other));
  std::printf("status %d\n", Status(stream));
  cuStreamEndCapture(stream, &graph);
  std::printf("# relaxed\n");
  SAY(cuStreamBeginCapture_v2(stream, kRelaxed));
  SAY(cuMemAlloc_v2(&memory, 64));
  SAY(cuStreamEndCapture(stream, &graph));
  SAY(cuMemFree_v2(memory));
  std::printf("# global, in a relaxed thread\n");
  SAY(cuStreamBeginCapture_v2(stream, kGlobal));
  int mode = kRelaxed;
  SAY(cuThreadExchangeStreamCaptureMode(&mode));
  std::printf("mode before %d\n", mode);
  SAY(cuMemAlloc_v2(&memory, 64));
  SAY(cuThreadExchangeStreamCaptureMode(&mode));
  SAY(cuStreamEndCapture(stream, &graph));
  SAY(cuMemFree_v2(memory));
  std::printf("# the whole context\n");
  SAY(cuStreamBeginCapture_v2(stream, kRelaxed));
  SAY(cuCtxSynchronize());
  ExpectInvalid();
}

void Nothing() {
  CUgraph graph = nullptr;
  CUgraphExec exec = nullptr;
  CUgraphNode node = nullptr;
  CUgraphNodeParams empty = Of(CU_GRAPH_NODE_TYPE_EMPTY);
  size_t count = 0;
  int type = 0;
  SAY(cuGraphCreate(nullptr, 0));
  SAY(cuGraphCreate(&graph, 1));
  SAY(cuGraphDestroy(nullptr));
  SAY(cuGraphClone(&graph, nullptr));
  SAY(cuGraphAddNode_v2(&node, nullptr, nullptr, nullptr, 0, &empty));
  SAY(cuGraphGetNodes(nullptr, nullptr, &count));
  SAY(cuGraphNodeGetType(nullptr, &type));
  SAY(cuGraphDestroyNode(nullptr));
  SAY(cuGraphInstantiateWithFlags(&exec, nullptr, 0));
  SAY(cuGraphLaunch(nullptr, stream));
  SAY(cuGraphExecDestroy(nullptr));
  SAY(cuGraphUpload(nullptr, stream));
  const CUgraph there = NewGraph();
  SAY(cuGraphAddNode_v2(nullptr, there, nullptr, nullptr, 0, &empty));
  SAY(cuGraphAddNode_v2(&node, there, nullptr, nullptr, 0, nullptr));
  SAY(cuGraphInstantiateWithFlags(&exec, there, 1 << 10));
  SAY(cuGraphInstantiateWithFlags(nullptr, there, 0));
  Affine bad(1, 1);
  CUgraphNodeParams kernel = bad.Node();
  kernel.kernel.grid[0] = 0;
  SAY(cuGraphAddNode_v2(&node, there, nullptr, nullptr, 0, &kernel));
  kernel.kernel.grid[0] = 1;
  kernel.kernel.block[0] = 4096;
  SAY(cuGraphAddNode_v2(&node, there, nullptr, nullptr, 0, &kernel));
  SAY(cuGraphInstantiateWithFlags(&exec, there, 0));  // of an empty graph
  SAY(cuGraphLaunch(exec, stream));
  SAY(cuStreamSynchronize(stream));
}

// Many graphs made, run and dropped: for a look at what is left behind.
void Many() {
  static int by = 1;
  for (int i = 0; i < 200; ++i) {
    Affine plus(1, 1);
    CUgraph graph = nullptr;
    MUST(cuStreamBeginCapture_v2(stream, kRelaxed));
    MUST(plus.Launch(stream));
    MUST(cuLaunchHostFunc(stream, [](void* one) { calls.fetch_add(*static_cast<int*>(one)); }, &by));
    MUST(cuStreamEndCapture(stream, &graph));
    const CUgraphExec exec = Instantiate(graph);
    MUST(cuGraphDestroy(graph));
    for (int k = 0; k < 5; ++k) MUST(cuGraphLaunch(exec, stream));
    MUST(cuGraphExecDestroy(exec));
  }
  MUST(cuStreamSynchronize(stream));
  std::printf("word %u, calls %d\n", Word(), calls.load());
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, void (*)()> cases = {
      {"explicit", Explicit}, {"edges", Edges},   {"copies", Copies},   {"params", Params},
      {"clone", Clone},       {"child", Child},   {"update", Update},   {"host", Host},
      {"events", Events},     {"memory", Memory}, {"capture", Capture}, {"fork", Fork},
      {"invalid", Invalid},   {"unsafe", Unsafe}, {"nothing", Nothing}, {"many", Many}};
  const auto found = cases.find(argc == 2 ? argv[1] : "");
  if (found == cases.end()) {
    std::fprintf(stderr, "usage: %s CASE\n", argv[0]);
    for (const auto& [name, run] : cases) std::fprintf(stderr, "  %s\n", name.c_str());
    return 2;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  CUdevice device = 0;
  CUcontext context = nullptr;
  CUmodule module = nullptr;
  MUST(cuInit(0));
  MUST(cuDeviceGet(&device, 0));
  MUST(cuDevicePrimaryCtxRetain(&context, device));
  MUST(cuCtxSetCurrent(context));
  MUST(cuModuleLoadData(&module, kPtx));
  MUST(cuModuleGetFunction(&affine_kernel, module, "affine"));
  MUST(cuMemAlloc_v2(&word, 4096));
  MUST(cuMemsetD32_v2(word, 0, 1024));
  MUST(cuCtxSynchronize());  // what does not block waits for no memset of the legacy stream
  stream = NewStream();
  std::printf("== %s\n", found->first.c_str());
  found->second();
  return 0;
}
