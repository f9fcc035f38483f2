// Gaussian elimination of a dense system: two kernels for each column, waited for once; substitution on the host.
#include "program.h"

namespace {

constexpr int kThreads = 256, kTile = 16;

// Rows of side + 1 numbers: the matrix and the right side.
struct System {
  int side;
  std::vector<float> rows;
  explicit System(int side) : side(side), rows(static_cast<size_t>(side) * (side + 1)) {
    bench::Sequence sequence(3);
    for (int row = 0; row < side; ++row) {
      for (int column = 0; column <= side; ++column) at(row, column) = sequence.Unit() - 0.5f;
      at(row, row) += static_cast<float>(side);  // no pivoting is needed
    }
  }
  float& at(int row, int column) { return rows[static_cast<size_t>(row) * (side + 1) + column]; }
  float at(int row, int column) const { return rows[static_cast<size_t>(row) * (side + 1) + column]; }
};

__global__ void Factors(const float* rows, float* factors, int side, int pivot) {
  const int row = pivot + 1 + blockIdx.x * blockDim.x + threadIdx.x;
  const int width = side + 1;
  if (row < side) factors[row] = rows[row * width + pivot] / rows[pivot * width + pivot];
}

__global__ void Eliminate(float* rows, const float* factors, int side, int pivot) {
  const int column = pivot + blockIdx.x * kTile + threadIdx.x, row = pivot + 1 + blockIdx.y * kTile + threadIdx.y;
  const int width = side + 1;
  if (row < side && column < width) rows[row * width + column] -= factors[row] * rows[pivot * width + column];
}

std::vector<float> Solve(const System& system) {
  const int side = system.side;
  bench::DeviceArray<float> rows(system.rows), factors(side);
  for (int pivot = 0; pivot + 1 < side; ++pivot) {
    const int below = side - pivot - 1;
    Factors<<<bench::Blocks(below, kThreads), kThreads>>>(rows.data(), factors.data(), side, pivot);
    const dim3 grid(bench::Blocks(side + 1 - pivot, kTile), bench::Blocks(below, kTile));
    Eliminate<<<grid, dim3(kTile, kTile)>>>(rows.data(), factors.data(), side, pivot);
    CHECK(cudaGetLastError());
  }
  const std::vector<float> triangle = rows.Download();
  std::vector<float> solution(side);
  for (int row = side - 1; row >= 0; --row) {
    const float* numbers = &triangle[static_cast<size_t>(row) * (side + 1)];
    float rest = numbers[side];
    for (int column = row + 1; column < side; ++column) rest -= numbers[column] * solution[column];
    solution[row] = rest / numbers[row];
  }
  return solution;
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report(bench::ParseEffort(argc, argv));
  const System system(report.effort() == bench::Effort::kSmoke ? 24 : 1024);
  const auto solution = bench::MeasureComputation<float>(report, "gaussian", [&] { return Solve(system); });
  for (int row = 0; row < system.side; ++row) {
    double sum = -system.at(row, system.side);
    for (int column = 0; column < system.side; ++column)
      sum += static_cast<double>(system.at(row, column)) * solution[column];
    bench::Expect(std::fabs(sum) < 1e-3, "the solution does not solve the system");
  }
  return 0;
}
