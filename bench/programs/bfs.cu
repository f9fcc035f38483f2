// Breadth-first search from vertex 0 over a random graph in compressed rows: one kernel per level, and a copy of four
// bytes that says whether there is another.
#include "program.h"

namespace {

constexpr int kThreads = 256;
constexpr int kUnreached = -1;

// Edges of vertex v: targets[offsets[v]] to targets[offsets[v + 1] - 1].
struct Graph {
  std::vector<int> offsets{0}, targets;
  size_t vertices() const { return offsets.size() - 1; }
};

__global__ void Expand(const int* offsets, const int* targets, int* levels, int vertices, int level, int* found) {
  const int vertex = blockIdx.x * blockDim.x + threadIdx.x;
  if (vertex >= vertices || levels[vertex] != level) return;
  for (int edge = offsets[vertex]; edge < offsets[vertex + 1]; ++edge) {
    int& target = levels[targets[edge]];
    if (target != kUnreached) continue;
    target = level + 1;  // whoever else writes, writes the same
    *found = 1;
  }
}

Graph RandomGraph(size_t vertices) {
  Graph graph;
  bench::Sequence sequence(1);
  for (size_t vertex = 0; vertex < vertices; ++vertex) {
    for (uint32_t edges = (sequence.Word() >> 16) % 12; edges > 0; --edges)
      graph.targets.push_back(static_cast<int>((sequence.Word() >> 8) % vertices));
    graph.offsets.push_back(static_cast<int>(graph.targets.size()));
  }
  graph.targets[0] = static_cast<int>(vertices / 2);
  return graph;
}

std::vector<int> Search(const Graph& graph) {
  std::vector<int> start(graph.vertices(), kUnreached);
  start[0] = 0;
  bench::DeviceArray<int> offsets(graph.offsets), targets(graph.targets), levels(start), found(1);
  std::vector<int> more{1};
  for (int level = 0; more[0] != 0; ++level) {
    found.Upload({0});
    Expand<<<bench::Blocks(graph.vertices(), kThreads), kThreads>>>(
        offsets.data(), targets.data(), levels.data(), static_cast<int>(graph.vertices()), level, found.data());
    CHECK(cudaGetLastError());
    more = found.Download();
  }
  return levels.Download();
}

std::vector<int> SearchOnHost(const Graph& graph) {
  std::vector<int> levels(graph.vertices(), kUnreached), queue{0};
  levels[0] = 0;
  for (size_t next = 0; next < queue.size(); ++next)
    for (int edge = graph.offsets[queue[next]]; edge < graph.offsets[queue[next] + 1]; ++edge) {
      const int target = graph.targets[edge];
      if (levels[target] != kUnreached) continue;
      levels[target] = levels[queue[next]] + 1;
      queue.push_back(target);
    }
  return levels;
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report(bench::ParseEffort(argc, argv));
  const Graph graph = RandomGraph(report.effort() == bench::Effort::kSmoke ? 1 << 10 : 1 << 20);
  const auto levels = bench::MeasureComputation<int>(report, "bfs", [&] { return Search(graph); });
  bench::Expect(levels == SearchOnHost(graph), "the levels are not those of a search on the host");
  report.Answer("levels", *std::max_element(levels.begin(), levels.end()));
  return 0;
}
