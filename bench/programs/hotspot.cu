// Heat that spreads over a plate with sources of heat: one kernel per step, waited for once.
#include "program.h"

namespace {

constexpr int kTile = 16;
constexpr float kSpread = 0.1f, kCooling = 0.01f, kAmbient = 80.0f;

// Cells beyond the edge are as warm as the edge.
__host__ __device__ float Next(const float* heat, const float* power, int side, int row, int column) {
  const float here = heat[row * side + column];
  const float north = heat[(row > 0 ? row - 1 : row) * side + column];
  const float south = heat[(row + 1 < side ? row + 1 : row) * side + column];
  const float west = heat[row * side + (column > 0 ? column - 1 : column)];
  const float east = heat[row * side + (column + 1 < side ? column + 1 : column)];
  return here + kSpread * (north + south + west + east - 4 * here) + power[row * side + column] +
         kCooling * (kAmbient - here);
}

__global__ void Step(const float* heat, const float* power, float* next, int side) {
  const int column = blockIdx.x * kTile + threadIdx.x, row = blockIdx.y * kTile + threadIdx.y;
  if (row < side && column < side) next[row * side + column] = Next(heat, power, side, row, column);
}

struct Plate {
  int side;
  std::vector<float> heat, power;
  explicit Plate(int side) : side(side), heat(side * side), power(side * side) {
    bench::Sequence sequence(2);
    for (float& cell : heat) cell = 320 + 10 * sequence.Unit();
    for (float& cell : power) cell = sequence.Unit();
  }
};

std::vector<float> Simulate(const Plate& plate, int steps) {
  bench::DeviceArray<float> power(plate.power), heat(plate.heat), next(plate.heat.size());
  const dim3 grid(bench::Blocks(plate.side, kTile), bench::Blocks(plate.side, kTile));
  for (int step = 0; step < steps; ++step) {
    const bool even = step % 2 == 0;
    Step<<<grid, dim3(kTile, kTile)>>>((even ? heat : next).data(), power.data(), (even ? next : heat).data(),
                                       plate.side);
    CHECK(cudaGetLastError());
  }
  CHECK(cudaDeviceSynchronize());
  return (steps % 2 == 0 ? heat : next).Download();
}

void CheckSmall() {
  Plate plate(40);
  const auto result = Simulate(plate, 7);
  for (int step = 0; step < 7; ++step) {
    std::vector<float> next(plate.heat.size());
    for (int row = 0; row < plate.side; ++row)
      for (int column = 0; column < plate.side; ++column)
        next[row * plate.side + column] = Next(plate.heat.data(), plate.power.data(), plate.side, row, column);
    plate.heat = next;
  }
  for (size_t cell = 0; cell < result.size(); ++cell)
    bench::Expect(std::fabs(result[cell] - plate.heat[cell]) < 0.01f,
                  "the heat is not that of a simulation on the host");
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report(bench::ParseEffort(argc, argv));
  const bool smoke = report.effort() == bench::Effort::kSmoke;
  const Plate plate(smoke ? 32 : 2048);
  bench::MeasureComputation<float>(report, "hotspot", [&] { return Simulate(plate, smoke ? 4 : 500); });
  CheckSmall();
  return 0;
}
