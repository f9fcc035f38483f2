#include <thread>

#include "driver/cpu/graph_fixture.h"

namespace mignificient::cpu {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

using DriverGraphTest = GraphTest;

TEST_F(DriverGraphTest, NodesRunInTheOrderOfTheirEdges) {
  const CUgraph graph = NewGraph();
  const auto add = Add(graph, Affine(1, 5));  // the order of adding is not the order of running
  const auto triple = Add(graph, Affine(3, 0));
  const auto set = Add(graph, Memset(2));
  const CUgraphNode from[] = {set, triple}, to[] = {triple, add};
  EXPECT_OK(cu->cuGraphAddDependencies_v2(graph, from, to, nullptr, 2));
  const CUgraphExec exec = Instantiate(graph);
  EXPECT_EQ(RunAndRead(exec), 11u);
  EXPECT_EQ(RunAndRead(exec), 11u);
  EXPECT_OK(cu->cuGraphExecDestroy(exec));
  EXPECT_CUDA(cu->cuGraphLaunch(exec, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(cu->cuGraphDestroy(graph));
  EXPECT_CUDA(cu->cuGraphDestroy(graph), CUDA_ERROR_INVALID_VALUE);
  int type = 0;
  EXPECT_CUDA(cu->cuGraphNodeGetType(add, &type), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(DriverGraphTest, AnExecutableOutlivesItsGraph) {
  const CUgraph graph = NewGraph();
  Add(graph, Affine(1, 5));
  const CUgraphExec exec = Instantiate(graph);
  EXPECT_OK(cu->cuGraphDestroy(graph));
  EXPECT_EQ(RunAndRead(exec), 5u);
}

TEST_F(DriverGraphTest, LaunchesKeepTheOrderOfTheirStream) {
  const CUgraph graph = NewGraph();
  Add(graph, Affine(3, 0));
  const CUgraphExec exec = Instantiate(graph);
  const CUstream stream = NewStream(1);
  EXPECT_OK(Await(stream));
  EXPECT_OK(cu->cuMemsetD32Async(word, 2, 1, stream));
  EXPECT_OK(cu->cuGraphLaunch(exec, stream));
  EXPECT_OK(cu->cuGraphLaunch(exec, stream));
  EXPECT_OK(Launch("affine", {.stream = stream}, word, 1u, 1u));
  EXPECT_CUDA(cu->cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
  EXPECT_EQ(Word(), 0u);
  Open();
  EXPECT_OK(cu->cuStreamSynchronize(stream));
  EXPECT_EQ(Word(), 19u);
}

TEST_F(DriverGraphTest, LaunchesOfOneExecutableNeverOverlap) {
  const CUgraph graph = NewGraph();
  CUgraphNodeParams params = Of(CU_GRAPH_NODE_TYPE_KERNEL);
  CUdeviceptr out = WrittenAddress();
  CUdeviceptr in = WrittenAddress() - sizeof(uint32_t);  // the gate
  unsigned value = 6;
  void* pointers[] = {&in, &out, &value};
  params.kernel = {.function = Kernel("await"), .grid = {1, 1, 1}, .block = {1, 1, 1}, .params = pointers};
  Add(graph, params);
  const CUgraphExec exec = Instantiate(graph);
  const CUstream one = NewStream(1), two = NewStream(1);
  EXPECT_OK(cu->cuGraphLaunch(exec, one));
  EXPECT_OK(cu->cuGraphLaunch(exec, two));
  EXPECT_CUDA(cu->cuStreamQuery(two), CUDA_ERROR_NOT_READY);
  Open();
  EXPECT_OK(cu->cuStreamSynchronize(two));
  EXPECT_OK(cu->cuStreamQuery(one));
  EXPECT_EQ(Written(), 6u);
}

TEST_F(DriverGraphTest, BranchesRunWithoutEachOther) {
  const CUgraph graph = NewGraph();
  static std::atomic<int> arrived;
  arrived = 0;
  CUgraphNodeParams meet = Of(CU_GRAPH_NODE_TYPE_HOST);
  meet.host.function = [](void*) {  // each waits for the other
    arrived.fetch_add(1);
    while (arrived.load() < 2) std::this_thread::yield();
  };
  Add(graph, meet);
  Add(graph, meet);
  EXPECT_OK(cu->cuGraphLaunch(Instantiate(graph), nullptr));
  EXPECT_OK(cu->cuCtxSynchronize());
  EXPECT_EQ(arrived.load(), 2);
}

TEST_F(DriverGraphTest, CopiesMoveBytesBothWays) {
  const CUgraph graph = NewGraph();
  unsigned source[2] = {7, 9}, target[2] = {0, 0};
  CUgraphNodeParams up = Of(CU_GRAPH_NODE_TYPE_MEMCPY);
  CUDA_MEMCPY3D& copy = up.memcpy.copy;
  copy.src_memory_type = static_cast<int>(CU_MEMORYTYPE_HOST);
  copy.src_host = source;
  copy.dst_memory_type = static_cast<int>(CU_MEMORYTYPE_DEVICE);
  copy.dst_device = word;
  copy.width_bytes = sizeof source;
  copy.height = copy.depth = 1;
  CUgraphNodeParams down = Of(CU_GRAPH_NODE_TYPE_MEMCPY);
  CUDA_MEMCPY3D& back = down.memcpy.copy;
  back.src_memory_type = static_cast<int>(CU_MEMORYTYPE_DEVICE);
  back.src_device = word;
  back.dst_memory_type = static_cast<int>(CU_MEMORYTYPE_HOST);
  back.dst_host = target;
  back.width_bytes = sizeof source;
  back.height = back.depth = 1;
  const auto first = Add(graph, up);
  const auto second = Add(graph, Affine(2, 0), {first});
  const auto third = Add(graph, down, {second});
  const CUgraphExec exec = Instantiate(graph);
  EXPECT_OK(cu->cuGraphLaunch(exec, nullptr));
  EXPECT_OK(cu->cuCtxSynchronize());
  EXPECT_THAT(target, ElementsAre(14u, 9u));
  source[0] = 100;  // read when the graph runs
  EXPECT_OK(cu->cuGraphLaunch(exec, nullptr));
  EXPECT_OK(cu->cuCtxSynchronize());
  EXPECT_THAT(target, ElementsAre(200u, 9u));
  CUDA_MEMCPY3D asked{};
  EXPECT_OK(cu->cuGraphMemcpyNodeGetParams(third, &asked));
  EXPECT_EQ(asked.dst_host, target);
  EXPECT_EQ(asked.src_device, word);
  copy.dst_device = word + kPage;  // where nothing is
  EXPECT_CUDA(AddResult(graph, up), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(DriverGraphTest, ListsTellNodesAndEdges) {
  const CUgraph graph = NewGraph();
  const auto a = Add(graph, Affine(1, 1)), b = Add(graph, Memset(0), {a});
  const auto c = Add(graph, Of(CU_GRAPH_NODE_TYPE_EMPTY), {a, b});
  EXPECT_THAT(Nodes(graph), ElementsAre(a, b, c));
  EXPECT_EQ(EdgeCount(graph), 3u);
  EXPECT_EQ(Type(a), CU_GRAPH_NODE_TYPE_KERNEL);
  EXPECT_EQ(Type(b), CU_GRAPH_NODE_TYPE_MEMSET);
  EXPECT_EQ(Type(c), CU_GRAPH_NODE_TYPE_EMPTY);
  CUgraphNode found[4] = {a, a, a, a};
  size_t count = 4;
  EXPECT_OK(cu->cuGraphGetRootNodes(graph, found, &count));
  EXPECT_EQ(count, 1u);
  EXPECT_THAT(found, ElementsAre(a, nullptr, nullptr, nullptr));
  count = 4;
  EXPECT_OK(cu->cuGraphNodeGetDependencies_v2(c, found, nullptr, &count));
  EXPECT_THAT(std::vector(found, found + count), UnorderedElementsAre(a, b));
  count = 4;
  EXPECT_OK(cu->cuGraphNodeGetDependentNodes_v2(a, found, nullptr, &count));
  EXPECT_THAT(std::vector(found, found + count), UnorderedElementsAre(b, c));
  EXPECT_OK(cu->cuGraphDestroyNode(a));
  EXPECT_THAT(Nodes(graph), ElementsAre(b, c));
  EXPECT_EQ(EdgeCount(graph), 1u);
}

TEST_F(DriverGraphTest, EdgesThatCannotBeAreRefused) {
  const CUgraph graph = NewGraph(), other = NewGraph();
  const auto a = Add(graph, Memset(1)), b = Add(graph, Memset(2), {a}), stranger = Add(other, Memset(3));
  const auto add = [&](CUgraphNode from, CUgraphNode to) {
    return cu->cuGraphAddDependencies_v2(graph, &from, &to, nullptr, 1);
  };
  const auto remove = [&](CUgraphNode from, CUgraphNode to) {
    return cu->cuGraphRemoveDependencies_v2(graph, &from, &to, nullptr, 1);
  };
  EXPECT_CUDA(add(a, a), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(add(a, b), CUDA_ERROR_INVALID_VALUE);  // there already
  EXPECT_CUDA(add(a, stranger), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(remove(b, a), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(AddResult(graph, Memset(0), {a, a}), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(AddResult(graph, Memset(0), {stranger}), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(add(b, a));  // a circle: found when it is instantiated
  CUDA_GRAPH_INSTANTIATE_PARAMS params{};
  CUgraphExec exec = nullptr;
  EXPECT_CUDA(cu->cuGraphInstantiateWithParams(&exec, graph, &params), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(params.result, 2);
  EXPECT_OK(remove(b, a));
  EXPECT_OK(remove(a, b));
  EXPECT_EQ(EdgeCount(graph), 0u);
  EXPECT_OK(cu->cuGraphInstantiateWithParams(&exec, graph, &params));
}

TEST_F(DriverGraphTest, ClonesAreGraphsOfTheirOwn) {
  const CUgraph graph = NewGraph();
  const auto node = Add(graph, Affine(1, 4));
  CUgraph clone = nullptr;
  EXPECT_OK(cu->cuGraphClone(&clone, graph));
  CUgraphNode copy = nullptr;
  EXPECT_OK(cu->cuGraphNodeFindInClone(&copy, node, clone));
  EXPECT_NE(copy, node);
  EXPECT_CUDA(cu->cuGraphNodeFindInClone(&copy, copy, graph), CUDA_ERROR_INVALID_VALUE);
  auto changed = Affine(1, 40);
  EXPECT_OK(cu->cuGraphNodeSetParams(copy, &changed));
  EXPECT_EQ(RunAndRead(Instantiate(graph)), 4u);
  EXPECT_OK(cu->cuGraphDestroy(graph));
  EXPECT_EQ(RunAndRead(Instantiate(clone)), 44u);
}

TEST_F(DriverGraphTest, ChildGraphsAreCopiesThatRunInPlace) {
  const CUgraph inner = NewGraph(), outer = NewGraph();
  const auto inner_node = Add(inner, Affine(3, 0));
  const auto set = Add(outer, Memset(2));
  CUgraphNodeParams params = Of(CU_GRAPH_NODE_TYPE_GRAPH);
  params.graph.graph = inner;
  const auto child = Add(outer, params, {set});
  Add(outer, Affine(1, 1), {child});
  auto later = Affine(100, 0);
  EXPECT_OK(cu->cuGraphNodeSetParams(inner_node, &later));  // the copy stays as it was
  const CUgraphExec exec = Instantiate(outer);
  EXPECT_EQ(RunAndRead(exec), 7u);
  CUgraph copy = nullptr;
  EXPECT_OK(cu->cuGraphChildGraphNodeGetGraph(child, &copy));
  EXPECT_NE(copy, inner);
  EXPECT_CUDA(cu->cuGraphDestroy(copy), CUDA_ERROR_INVALID_VALUE);  // it is the node's
  const auto copied = Nodes(copy);
  ASSERT_EQ(copied.size(), 1u);
  auto fives = Affine(5, 0);
  EXPECT_OK(cu->cuGraphExecNodeSetParams(exec, copied[0], &fives));
  EXPECT_EQ(RunAndRead(exec), 11u);
  params.graph.graph = inner;
  EXPECT_OK(cu->cuGraphExecNodeSetParams(exec, child, &params));
  EXPECT_EQ(RunAndRead(exec), 201u);
  EXPECT_OK(cu->cuGraphDestroyNode(child));
  EXPECT_CUDA(cu->cuGraphDestroyNode(copied[0]), CUDA_ERROR_INVALID_VALUE);  // gone with it
}

TEST_F(DriverGraphTest, ParametersAreAskedAndSet) {
  const CUgraph graph = NewGraph();
  const auto kernel = Add(graph, Affine(3, 8)), set = Add(graph, Memset(2));
  CUDA_KERNEL_NODE_PARAMS got{};
  EXPECT_OK(cu->cuGraphKernelNodeGetParams_v2(kernel, &got));
  EXPECT_EQ(got.function, Kernel("affine"));
  EXPECT_EQ(*static_cast<CUdeviceptr*>(got.params[0]), word);
  EXPECT_EQ(*static_cast<unsigned*>(got.params[1]), 3u);
  EXPECT_EQ(*static_cast<unsigned*>(got.params[2]), 8u);
  CUDA_MEMSET_NODE_PARAMS memset{};
  EXPECT_OK(cu->cuGraphMemsetNodeGetParams(set, &memset));
  EXPECT_EQ(memset.value, 2u);
  EXPECT_CUDA(cu->cuGraphMemsetNodeGetParams(kernel, &memset), CUDA_ERROR_INVALID_VALUE);
  auto of_other_type = Memset(1);
  EXPECT_CUDA(cu->cuGraphNodeSetParams(kernel, &of_other_type), CUDA_ERROR_INVALID_VALUE);
  auto bad = Affine(1, 1);
  bad.kernel.grid[0] = 0;
  EXPECT_CUDA(cu->cuGraphNodeSetParams(kernel, &bad), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(AddResult(graph, bad), CUDA_ERROR_INVALID_VALUE);
  const CUgraphExec exec = Instantiate(graph);
  auto zero = Memset(0), one = Affine(1, 1);
  EXPECT_OK(cu->cuGraphExecNodeSetParams(exec, set, &zero));
  EXPECT_OK(cu->cuGraphExecNodeSetParams(exec, kernel, &one));
  EXPECT_OK(cu->cuGraphKernelNodeGetParams_v2(kernel, &got));
  EXPECT_EQ(*static_cast<unsigned*>(got.params[2]), 8u);  // the graph itself stays
}

TEST_F(DriverGraphTest, UpdatesTakeWhatHasTheSameShape) {
  const CUgraph graph = NewGraph(), other = NewGraph(), longer = NewGraph(), unlike = NewGraph();
  Add(graph, Affine(3, 0), {Add(graph, Memset(2))});
  Add(other, Affine(5, 0), {Add(other, Memset(2))});
  Add(longer, Affine(5, 0), {Add(longer, Memset(2))});
  const auto extra = Add(longer, Memset(1));
  Add(unlike, Memset(2));
  const auto second = Add(unlike, Memset(2));
  const CUgraphExec exec = Instantiate(graph);
  EXPECT_EQ(RunAndRead(exec), 6u);
  CUgraphExecUpdateResultInfo info{};
  EXPECT_OK(cu->cuGraphExecUpdate_v2(exec, other, &info));
  EXPECT_EQ(info.result, 0);
  EXPECT_EQ(RunAndRead(exec), 10u);
  EXPECT_CUDA(cu->cuGraphExecUpdate_v2(exec, longer, &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
  EXPECT_EQ(info.result, 2);
  EXPECT_EQ(info.error_node, extra);
  EXPECT_CUDA(cu->cuGraphExecUpdate_v2(exec, unlike, &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
  EXPECT_EQ(info.result, 3);
  EXPECT_EQ(info.error_node, second);
  EXPECT_EQ(RunAndRead(exec), 10u);
}

TEST_F(DriverGraphTest, DisabledNodesKeepTheirPlace) {
  const CUgraph graph = NewGraph();
  const auto set = Add(graph, Memset(2)), triple = Add(graph, Affine(3, 0), {set});
  const auto empty = Add(graph, Of(CU_GRAPH_NODE_TYPE_EMPTY), {triple});
  Add(graph, Affine(1, 1), {empty});
  const CUgraphExec exec = Instantiate(graph);
  EXPECT_OK(cu->cuGraphNodeSetEnabled(exec, triple, 0));
  unsigned enabled = 1;
  EXPECT_OK(cu->cuGraphNodeGetEnabled(exec, triple, &enabled));
  EXPECT_EQ(enabled, 0u);
  EXPECT_EQ(RunAndRead(exec), 3u);
  EXPECT_OK(cu->cuGraphNodeSetEnabled(exec, triple, 1));
  EXPECT_EQ(RunAndRead(exec), 7u);
  EXPECT_CUDA(cu->cuGraphNodeSetEnabled(exec, empty, 0), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(DriverGraphTest, EventsInGraphsOrderWorkOutside) {
  const CUevent event = NewEvent(), awaited = NewEvent();
  const CUstream stream = NewStream(1), other = NewStream(1), third = NewStream(1);
  const CUgraph graph = NewGraph();
  const auto wait = Add(graph, Event(CU_GRAPH_NODE_TYPE_WAIT_EVENT, awaited));
  const auto set = Add(graph, Memset(3), {wait});
  const auto record = Add(graph, Event(CU_GRAPH_NODE_TYPE_EVENT_RECORD, event), {set});
  CUevent got = nullptr;
  EXPECT_OK(cu->cuGraphEventRecordNodeGetEvent(record, &got));
  EXPECT_EQ(got, event);
  EXPECT_OK(Await(third));
  EXPECT_OK(cu->cuEventRecord(awaited, third));
  EXPECT_OK(cu->cuGraphLaunch(Instantiate(graph), stream));
  EXPECT_OK(cu->cuStreamWaitEvent(other, event, 0));
  EXPECT_OK(Launch("affine", {.stream = other}, word, 2u, 0u));
  EXPECT_CUDA(cu->cuEventQuery(event), CUDA_ERROR_NOT_READY);
  Open();
  EXPECT_OK(cu->cuStreamSynchronize(other));
  EXPECT_EQ(Word(), 6u);
}

TEST_F(DriverGraphTest, MemoryComesWithALaunchAndGoesWithAFree) {
  const auto used = [&] {
    uint64_t value = 0;
    EXPECT_OK(cu->cuDeviceGetGraphMemAttribute(0, 0, &value));
    return value;
  };
  const auto reserved = [&] {
    uint64_t value = 0;
    EXPECT_OK(cu->cuDeviceGetGraphMemAttribute(0, 2, &value));
    return value;
  };
  const CUgraph graph = NewGraph();
  CUgraphNodeParams params = Of(CU_GRAPH_NODE_TYPE_MEM_ALLOC);
  params.alloc.pool.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  params.alloc.pool.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  params.alloc.bytes = 100;
  CUgraphNode alloc = nullptr;
  EXPECT_OK(cu->cuGraphAddNode_v2(&alloc, graph, nullptr, nullptr, 0, &params));
  const CUdeviceptr address = params.alloc.address;
  ASSERT_NE(address, 0u);
  EXPECT_EQ(used(), 0u);
  EXPECT_CUDA(cu->cuMemsetD32Async(address, 1, 1, nullptr), CUDA_ERROR_INVALID_VALUE);
  CUgraphNodeParams fill = Memset(9);
  fill.memset.dst = address;
  const auto filled = Add(graph, fill, {alloc});
  CUgraph clone = nullptr;
  EXPECT_CUDA(cu->cuGraphClone(&clone, graph), CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_CUDA(cu->cuGraphDestroyNode(filled), CUDA_ERROR_NOT_SUPPORTED);

  const CUgraphExec exec = Instantiate(graph);
  EXPECT_OK(cu->cuGraphLaunch(exec, nullptr));
  EXPECT_OK(cu->cuMemcpyDtoDAsync_v2(word, address, 4, nullptr));
  EXPECT_EQ(Word(), 9u);
  EXPECT_EQ(used(), 100u);
  EXPECT_CUDA(cu->cuGraphLaunch(exec, nullptr), CUDA_ERROR_INVALID_VALUE);  // not freed yet

  const CUgraph freeing = NewGraph();
  CUgraphNodeParams free = Of(CU_GRAPH_NODE_TYPE_MEM_FREE);
  free.free.address = address;
  Add(freeing, free);
  EXPECT_OK(cu->cuGraphLaunch(Instantiate(freeing), nullptr));
  EXPECT_EQ(used(), 0u);
  EXPECT_EQ(reserved(), kPage);
  EXPECT_OK(cu->cuDeviceGraphMemTrim(0));
  EXPECT_EQ(reserved(), 0u);
  EXPECT_OK(cu->cuGraphLaunch(exec, nullptr));
  EXPECT_EQ(used(), 100u);
  EXPECT_OK(cu->cuMemFreeAsync(address, nullptr));
  EXPECT_EQ(used(), 0u);
  EXPECT_CUDA(cu->cuMemFreeAsync(address, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuMemFreeAsync(word, nullptr), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(DriverGraphTest, DestroyedGraphsGiveTheirMemoryBack) {
  size_t before = 0, after = 0, total = 0;
  EXPECT_OK(cu->cuMemGetInfo_v2(&before, &total));
  const CUgraph graph = NewGraph();
  CUgraphNodeParams params = Of(CU_GRAPH_NODE_TYPE_MEM_ALLOC);
  params.alloc.pool.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  params.alloc.pool.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  params.alloc.bytes = 3 * kPage;
  CUgraphNode alloc = nullptr;
  EXPECT_OK(cu->cuGraphAddNode_v2(&alloc, graph, nullptr, nullptr, 0, &params));
  CUgraphNodeParams free = Of(CU_GRAPH_NODE_TYPE_MEM_FREE);
  free.free.address = params.alloc.address;
  Add(graph, free, {alloc});
  const CUgraphExec exec = Instantiate(graph);
  for (int i = 0; i < 3; ++i) EXPECT_OK(cu->cuGraphLaunch(exec, nullptr));
  EXPECT_OK(cu->cuGraphDestroy(graph));
  EXPECT_OK(cu->cuGraphLaunch(exec, nullptr));
  EXPECT_OK(cu->cuCtxSynchronize());
  EXPECT_OK(cu->cuMemGetInfo_v2(&after, &total));
  EXPECT_EQ(before - after, 3 * kPage);
  EXPECT_OK(cu->cuGraphExecDestroy(exec));
  EXPECT_OK(cu->cuMemGetInfo_v2(&after, &total));
  EXPECT_EQ(before, after);
}

TEST_F(DriverGraphTest, AFaultInsideIsStickyAndEndsTheRest) {
  const CUgraph graph = NewGraph();
  auto bad = Affine(1, 1);
  CUdeviceptr nowhere = word + kPage;
  bad.kernel.params[0] = &nowhere;
  const auto first = Add(graph, bad);
  static std::atomic<int> ran;
  ran = 0;
  CUgraphNodeParams host = Of(CU_GRAPH_NODE_TYPE_HOST);
  host.host.function = [](void*) { ran.fetch_add(1); };
  Add(graph, host, {first});
  EXPECT_OK(cu->cuGraphLaunch(Instantiate(graph), nullptr));
  EXPECT_CUDA(cu->cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_EQ(ran.load(), 0);
}

TEST_F(DriverGraphTest, AnExecutableKeepsItsKindsOfMemoryAndOneDimension) {
  const CUgraph graph = NewGraph();
  unsigned value = 3, other = 5;
  CUgraphNodeParams copy = Of(CU_GRAPH_NODE_TYPE_MEMCPY);
  copy.memcpy.copy.src_memory_type = static_cast<int>(CU_MEMORYTYPE_HOST);
  copy.memcpy.copy.src_host = &value;
  copy.memcpy.copy.dst_memory_type = static_cast<int>(CU_MEMORYTYPE_DEVICE);
  copy.memcpy.copy.dst_device = word;
  copy.memcpy.copy.width_bytes = sizeof value;
  copy.memcpy.copy.height = copy.memcpy.copy.depth = 1;
  const CUgraphNode first = Add(graph, copy), set = Add(graph, Memset(9));
  const CUgraphExec exec = Instantiate(graph);
  CUgraphNodeParams changed = copy;
  changed.memcpy.copy.src_host = &other;
  EXPECT_OK(cu->cuGraphExecNodeSetParams(exec, first, &changed));
  changed.memcpy.copy.width_bytes = 0;
  EXPECT_CUDA(cu->cuGraphExecNodeSetParams(exec, first, &changed), CUDA_ERROR_INVALID_VALUE);
  changed = copy;
  changed.memcpy.copy.width_bytes = changed.memcpy.copy.height = 2;
  EXPECT_CUDA(cu->cuGraphExecNodeSetParams(exec, first, &changed), CUDA_ERROR_INVALID_VALUE);
  changed = copy;
  std::swap(changed.memcpy.copy.src_memory_type, changed.memcpy.copy.dst_memory_type);
  changed.memcpy.copy.src_device = word;
  changed.memcpy.copy.dst_host = &other;
  EXPECT_CUDA(cu->cuGraphExecNodeSetParams(exec, first, &changed), CUDA_ERROR_INVALID_VALUE);
  CUgraphNodeParams rows = Memset(1);
  rows.memset.height = 2;
  rows.memset.pitch = 8;
  EXPECT_CUDA(cu->cuGraphExecNodeSetParams(exec, set, &rows), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(DriverGraphTest, HandlesOfNothingAreRefused) {
  const auto graph = reinterpret_cast<CUgraph>(0x1230);
  const auto node = reinterpret_cast<CUgraphNode>(NewStream(0));
  const auto exec = reinterpret_cast<CUgraphExec>(0x1230);
  size_t count = 0;
  unsigned enabled = 0;
  CUgraph out = nullptr;
  CUgraphExecUpdateResultInfo info{};
  auto params = Memset(1);
  for (const CUresult answer :
       {cu->cuGraphDestroy(graph), cu->cuGraphClone(&out, graph), cu->cuGraphGetNodes(graph, nullptr, &count),
        cu->cuGraphDestroyNode(node), cu->cuGraphNodeSetParams(node, &params), cu->cuGraphExecDestroy(exec),
        cu->cuGraphExecUpdate_v2(exec, NewGraph(), &info), cu->cuGraphNodeGetEnabled(exec, node, &enabled),
        cu->cuGraphLaunch(exec, nullptr), cu->cuGraphUpload(exec, nullptr), AddResult(graph, Memset(1)),
        cu->cuGraphChildGraphNodeGetGraph(node, &out), cu->cuGraphCreate(nullptr, 0), cu->cuGraphCreate(&out, 1)}) {
    EXPECT_CUDA(answer, CUDA_ERROR_INVALID_VALUE);
  }
}

}  // namespace
}  // namespace mignificient::cpu
