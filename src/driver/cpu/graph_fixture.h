// Graphs over one word of device memory: kernels of the test module that change it in ways that do not commute.
#pragma once

#include "abi/graph.h"
#include "driver/cpu/driver_fixture.h"

namespace mignificient::cpu {

class GraphTest : public GateTest {
 protected:
  void SetUp() override {
    GateTest::SetUp();
    word = Alloc(kPage);
    EXPECT_OK(cu->cuMemsetD32Async(word, 0, kPage / 4, nullptr));
    EXPECT_OK(cu->cuCtxSynchronize());
  }

  CUgraph NewGraph() {
    CUgraph graph = nullptr;
    EXPECT_OK(cu->cuGraphCreate(&graph, 0));
    return graph;
  }

  // *word = *word * factor + term
  CUgraphNodeParams Affine(unsigned factor, unsigned term) {
    affine_ = {word, factor, term};
    CUgraphNodeParams params{};
    params.type = CU_GRAPH_NODE_TYPE_KERNEL;
    pointers_[0] = &affine_.word;
    pointers_[1] = &affine_.factor;
    pointers_[2] = &affine_.term;
    params.kernel = {.function = Kernel("affine"), .grid = {1, 1, 1}, .block = {1, 1, 1}, .params = pointers_};
    return params;
  }

  CUgraphNodeParams Of(CUgraphNodeType type) {
    CUgraphNodeParams params{};
    params.type = type;
    return params;
  }
  CUgraphNodeParams Event(CUgraphNodeType type, CUevent event) {
    CUgraphNodeParams params = Of(type);
    params.event.event = event;
    return params;
  }
  CUgraphNodeParams Memset(unsigned value) {
    CUgraphNodeParams params = Of(CU_GRAPH_NODE_TYPE_MEMSET);
    params.memset = {.dst = word, .value = value, .element_bytes = 4, .width = 1, .height = 1};
    return params;
  }

  CUgraphNode Add(CUgraph graph, CUgraphNodeParams params, std::vector<CUgraphNode> after = {}) {
    CUgraphNode node = nullptr;
    EXPECT_OK(cu->cuGraphAddNode_v2(&node, graph, after.data(), nullptr, after.size(), &params));
    return node;
  }
  CUresult AddResult(CUgraph graph, CUgraphNodeParams params, std::vector<CUgraphNode> after = {}) {
    CUgraphNode node = nullptr;
    return cu->cuGraphAddNode_v2(&node, graph, after.data(), nullptr, after.size(), &params);
  }

  CUgraphExec Instantiate(CUgraph graph, unsigned long long flags = 0) {
    CUDA_GRAPH_INSTANTIATE_PARAMS params{.flags = flags};
    CUgraphExec exec = nullptr;
    EXPECT_OK(cu->cuGraphInstantiateWithParams(&exec, graph, &params));
    return exec;
  }

  unsigned Word() {
    unsigned value = 0;
    EXPECT_OK(cu->cuMemcpyDtoHAsync_v2(&value, word, sizeof value, nullptr));
    return value;
  }
  unsigned RunAndRead(CUgraphExec exec) {
    EXPECT_OK(cu->cuGraphLaunch(exec, nullptr));
    return Word();
  }

  size_t NodeCount(CUgraph graph) {
    size_t count = 0;
    EXPECT_OK(cu->cuGraphGetNodes(graph, nullptr, &count));
    return count;
  }
  std::vector<CUgraphNode> Nodes(CUgraph graph) {
    std::vector<CUgraphNode> nodes(NodeCount(graph));
    size_t count = nodes.size();
    EXPECT_OK(cu->cuGraphGetNodes(graph, nodes.data(), &count));
    return nodes;
  }
  size_t EdgeCount(CUgraph graph) {
    size_t count = 0;
    EXPECT_OK(cu->cuGraphGetEdges_v2(graph, nullptr, nullptr, nullptr, &count));
    return count;
  }
  int Type(CUgraphNode node) {
    int type = -1;
    EXPECT_OK(cu->cuGraphNodeGetType(node, &type));
    return type;
  }
  CUevent NewEvent() {
    CUevent event = nullptr;
    EXPECT_OK(cu->cuEventCreate(&event, 0));
    return event;
  }

  CUdeviceptr word = 0;

 private:
  struct {
    CUdeviceptr word;
    unsigned factor, term;
  } affine_{};
  void* pointers_[3];
};

}  // namespace mignificient::cpu
