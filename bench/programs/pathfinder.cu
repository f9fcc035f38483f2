// The cheapest ways through a grid, from row to row to one of three neighbours: one kernel per row, waited for once.
#include "program.h"

namespace {

constexpr int kThreads = 256;

__global__ void NextRow(const int* costs, const int* from, int* to, int columns) {
  const int column = blockIdx.x * blockDim.x + threadIdx.x;
  if (column >= columns) return;
  int least = from[column];
  if (column > 0) least = min(least, from[column - 1]);
  if (column + 1 < columns) least = min(least, from[column + 1]);
  to[column] = costs[column] + least;
}

struct Grid {
  int columns, rows;
  std::vector<int> costs;
  Grid(int columns, int rows) : columns(columns), rows(rows), costs(static_cast<size_t>(columns) * rows) {
    bench::Sequence sequence(4);
    for (int& cost : costs) cost = static_cast<int>(sequence.Word() >> 16) % 10;
  }
};

std::vector<int> CheapestWays(const Grid& grid) {
  bench::DeviceArray<int> costs(grid.costs), even(grid.columns), odd(grid.columns);
  CHECK(cudaMemcpy(even.data(), costs.data(), grid.columns * sizeof(int), cudaMemcpyDeviceToDevice));
  for (int row = 1; row < grid.rows; ++row) {
    const bool to_odd = row % 2 == 1;
    NextRow<<<bench::Blocks(grid.columns, kThreads), kThreads>>>(costs.data() + static_cast<size_t>(row) * grid.columns,
                                                                 (to_odd ? even : odd).data(),
                                                                 (to_odd ? odd : even).data(), grid.columns);
    CHECK(cudaGetLastError());
  }
  CHECK(cudaDeviceSynchronize());
  return (grid.rows % 2 == 0 ? odd : even).Download();
}

std::vector<int> CheapestWaysOnHost(const Grid& grid) {
  std::vector<int> from(grid.costs.begin(), grid.costs.begin() + grid.columns), to(grid.columns);
  for (int row = 1; row < grid.rows; ++row, from.swap(to))
    for (int column = 0; column < grid.columns; ++column) {
      const int west = from[std::max(column - 1, 0)], east = from[std::min(column + 1, grid.columns - 1)];
      to[column] = grid.costs[static_cast<size_t>(row) * grid.columns + column] + std::min({west, from[column], east});
    }
  return from;
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report(bench::ParseEffort(argc, argv));
  const bool smoke = report.effort() == bench::Effort::kSmoke;
  const Grid grid(smoke ? 500 : 100000, smoke ? 6 : 500);
  const auto ways = bench::MeasureComputation<int>(report, "pathfinder", [&] { return CheapestWays(grid); });
  bench::Expect(ways == CheapestWaysOnHost(grid), "the ways are not those found on the host");
  return 0;
}
