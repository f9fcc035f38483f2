// Breadth-first search over a random graph in compressed rows, one kernel per level.
//
// Payload: "vertices" (default 16384), "degree" (edges that leave each vertex, default 4), "seed" (default 1).
#include <algorithm>
#include <string>
#include <vector>

#include "cuda_check.h"

namespace {

constexpr int kThreads = 128;
constexpr int kUnreached = -1;
constexpr long long kMaxVertices = 1LL << 24;
constexpr long long kMaxDegree = 64;

// Edges of vertex v: targets[offsets[v]] to targets[offsets[v + 1] - 1].
struct Graph {
  std::vector<int> offsets, targets;
  int vertices() const { return static_cast<int>(offsets.size()) - 1; }
};

__global__ void Expand(const int* offsets, const int* targets, int* levels, int vertices, int level, int* reached) {
  const int vertex = blockIdx.x * blockDim.x + threadIdx.x;
  if (vertex >= vertices || levels[vertex] != level) return;
  for (int edge = offsets[vertex]; edge < offsets[vertex + 1]; ++edge)
    if (atomicCAS(&levels[targets[edge]], kUnreached, level + 1) == kUnreached) atomicAdd(reached, 1);
}

Graph RandomGraph(int vertices, int degree, unsigned seed) {
  Graph graph;
  example::Sequence sequence(seed);
  graph.offsets.push_back(0);
  for (int vertex = 0; vertex < vertices; ++vertex) {
    // Between none and 2 x degree edges: rows of uneven length, so that the lanes of a warp diverge.
    const int edges = static_cast<int>(sequence.Next() % (2 * degree + 1));
    for (int edge = 0; edge < edges; ++edge)
      graph.targets.push_back(static_cast<int>(sequence.Next() % static_cast<unsigned>(vertices)));
    graph.offsets.push_back(static_cast<int>(graph.targets.size()));
  }
  if (graph.targets.empty()) graph.targets.push_back(0);  // an allocation needs at least one element
  return graph;
}

int SearchOnDevice(const Graph& graph, std::vector<int>& levels) {
  example::DeviceArray<int> offsets(graph.offsets.size()), targets(graph.targets.size());
  example::DeviceArray<int> device_levels(levels.size()), reached(1);
  EXAMPLE_CUDA(offsets.Status());
  EXAMPLE_CUDA(targets.Status());
  EXAMPLE_CUDA(device_levels.Status());
  EXAMPLE_CUDA(reached.Status());
  EXAMPLE_CUDA(offsets.Upload(graph.offsets));
  EXAMPLE_CUDA(targets.Upload(graph.targets));
  EXAMPLE_CUDA(device_levels.Upload(levels));
  const int blocks = (graph.vertices() + kThreads - 1) / kThreads;
  int found = 1;
  for (int level = 0; found != 0; ++level) {
    EXAMPLE_CUDA(cudaMemset(reached.data(), 0, sizeof(int)));
    Expand<<<blocks, kThreads>>>(offsets.data(), targets.data(), device_levels.data(), graph.vertices(), level,
                                 reached.data());
    EXAMPLE_CUDA(cudaGetLastError());
    EXAMPLE_CUDA(cudaMemcpy(&found, reached.data(), sizeof found, cudaMemcpyDeviceToHost));
  }
  EXAMPLE_CUDA(device_levels.Download(levels));
  return 0;
}

void SearchOnHost(const Graph& graph, std::vector<int>& levels) {
  std::vector<int> queue{0};
  for (size_t next = 0; next < queue.size(); ++next) {
    const int vertex = queue[next];
    for (int edge = graph.offsets[vertex]; edge < graph.offsets[vertex + 1]; ++edge) {
      const int target = graph.targets[edge];
      if (levels[target] != kUnreached) continue;
      levels[target] = levels[vertex] + 1;
      queue.push_back(target);
    }
  }
}

}  // namespace

int example::Run(std::string_view text, std::string& result) {
  const auto payload = Payload::Parse(text);
  if (!payload) return Fail("The payload is not a JSON object of numbers.");
  const long long vertices = payload->Number("vertices", 16384);
  const long long degree = payload->Number("degree", 4);
  if (vertices < 1 || vertices > kMaxVertices)
    return Fail("vertices is %lld (allowed: 1 to %lld).", vertices, kMaxVertices);
  if (degree < 0 || degree > kMaxDegree) return Fail("degree is %lld (allowed: 0 to %lld).", degree, kMaxDegree);

  const Graph graph = RandomGraph(static_cast<int>(vertices), static_cast<int>(degree),
                                  static_cast<unsigned>(payload->Number("seed", 1)));
  std::vector<int> levels(vertices, kUnreached);
  levels[0] = 0;
  std::vector<int> expected = levels;
  if (const int status = SearchOnDevice(graph, levels); status != 0) return status;
  SearchOnHost(graph, expected);
  for (long long vertex = 0; vertex < vertices; ++vertex)
    if (levels[vertex] != expected[vertex])
      return Fail("Vertex %lld is at level %d (expected %d).", vertex, levels[vertex], expected[vertex]);
  const auto reached = vertices - std::count(levels.begin(), levels.end(), kUnreached);
  result = "{\"result\":\"ok\",\"vertices\":" + std::to_string(vertices) + ",\"reached\":" + std::to_string(reached) +
           ",\"depth\":" + std::to_string(*std::max_element(levels.begin(), levels.end())) + "}";
  return 0;
}
