// Speckle-reducing anisotropic diffusion of an image. Each iteration: the sums of the image come back to the host,
// which computes how strong its speckle is, and two kernels smooth it where it is no edge.
#include "program.h"

namespace {

constexpr int kThreads = 256, kTile = 16;
constexpr float kLambda = 0.5f;

// Adds up the image and its squares, block by block.
__global__ void Sums(const float* image, int pixels, float* sums) {
  __shared__ float shared[2][kThreads];
  float sum = 0, squares = 0;
  for (int i = blockIdx.x * kThreads + threadIdx.x; i < pixels; i += gridDim.x * kThreads) {
    sum += image[i];
    squares += image[i] * image[i];
  }
  shared[0][threadIdx.x] = sum;
  shared[1][threadIdx.x] = squares;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x >= static_cast<unsigned>(half)) continue;
    shared[0][threadIdx.x] += shared[0][threadIdx.x + half];
    shared[1][threadIdx.x] += shared[1][threadIdx.x + half];
  }
  if (threadIdx.x == 0) {
    sums[2 * blockIdx.x] = shared[0][0];
    sums[2 * blockIdx.x + 1] = shared[1][0];
  }
}

struct Around {
  float north, south, west, east;
};

__host__ __device__ Around Differences(const float* image, int side, int row, int column) {
  const float here = image[row * side + column];
  return {image[(row > 0 ? row - 1 : row) * side + column] - here,
          image[(row + 1 < side ? row + 1 : row) * side + column] - here,
          image[row * side + (column > 0 ? column - 1 : column)] - here,
          image[row * side + (column + 1 < side ? column + 1 : column)] - here};
}

// How much a pixel may spread: 0 at edges, 1 where there is only speckle.
__host__ __device__ float Coefficient(const float* image, int side, int row, int column, float speckle) {
  const float here = image[row * side + column];
  const Around around = Differences(image, side, row, column);
  const float gradient = (around.north * around.north + around.south * around.south + around.west * around.west +
                          around.east * around.east) /
                         (here * here);
  const float laplacian = (around.north + around.south + around.west + around.east) / here;
  const float denominator = 1 + 0.25f * laplacian;
  const float variation = (0.5f * gradient - laplacian * laplacian / 16) / (denominator * denominator);
  const float coefficient = 1 / (1 + (variation - speckle) / (speckle * (1 + speckle)));
  return coefficient < 0 ? 0 : coefficient > 1 ? 1 : coefficient;
}

__host__ __device__ float Smoothed(const float* image, const float* spread, int side, int row, int column) {
  const Around around = Differences(image, side, row, column);
  const int pixel = row * side + column;
  const float south = spread[(row + 1 < side ? row + 1 : row) * side + column];
  const float east = spread[row * side + (column + 1 < side ? column + 1 : column)];
  return image[pixel] +
         0.25f * kLambda * (spread[pixel] * (around.north + around.west) + south * around.south + east * around.east);
}

__global__ void FindSpread(const float* image, float* spread, int side, float speckle) {
  const int column = blockIdx.x * kTile + threadIdx.x, row = blockIdx.y * kTile + threadIdx.y;
  if (row < side && column < side) spread[row * side + column] = Coefficient(image, side, row, column, speckle);
}

__global__ void Smooth(const float* image, const float* spread, float* next, int side) {
  const int column = blockIdx.x * kTile + threadIdx.x, row = blockIdx.y * kTile + threadIdx.y;
  if (row < side && column < side) next[row * side + column] = Smoothed(image, spread, side, row, column);
}

// Variance over the squared mean, of sums of blocks.
float Speckle(const std::vector<float>& sums, size_t pixels) {
  double sum = 0, squares = 0;
  for (size_t block = 0; block < sums.size(); block += 2) sum += sums[block], squares += sums[block + 1];
  const double mean = sum / static_cast<double>(pixels);
  return static_cast<float>((squares / static_cast<double>(pixels) - mean * mean) / (mean * mean));
}

std::vector<float> RandomImage(int side) {
  std::vector<float> image(static_cast<size_t>(side) * side);
  bench::Sequence sequence(5);
  for (int pixel = 0; pixel < side * side; ++pixel)
    image[pixel] = std::exp((pixel / side / 16 + pixel % side / 16) % 2 * 0.5f + sequence.Unit());
  return image;
}

std::vector<float> Diffuse(const std::vector<float>& start, int side, int iterations) {
  const size_t pixels = start.size();
  const unsigned blocks = std::min(bench::Blocks(pixels, kThreads), 64u);
  bench::DeviceArray<float> image(start), next(pixels), spread(pixels), sums(2 * blocks);
  const dim3 grid(bench::Blocks(side, kTile), bench::Blocks(side, kTile)), block(kTile, kTile);
  for (int iteration = 0; iteration < iterations; ++iteration) {
    float* from = (iteration % 2 == 0 ? image : next).data();
    float* to = (iteration % 2 == 0 ? next : image).data();
    Sums<<<blocks, kThreads>>>(from, static_cast<int>(pixels), sums.data());
    const float speckle = Speckle(sums.Download(), pixels);
    FindSpread<<<grid, block>>>(from, spread.data(), side, speckle);
    Smooth<<<grid, block>>>(from, spread.data(), to, side);
    CHECK(cudaGetLastError());
  }
  return (iterations % 2 == 0 ? image : next).Download();
}

void CheckSmall() {
  constexpr int kSide = 48;
  std::vector<float> image = RandomImage(kSide);
  const auto result = Diffuse(image, kSide, 3);
  for (int iteration = 0; iteration < 3; ++iteration) {
    std::vector<float> sums(2), spread(image.size()), next(image.size());
    for (const float pixel : image) sums[0] += pixel, sums[1] += pixel * pixel;
    const float speckle = Speckle(sums, image.size());
    for (int pixel = 0; pixel < kSide * kSide; ++pixel)
      spread[pixel] = Coefficient(image.data(), kSide, pixel / kSide, pixel % kSide, speckle);
    for (int pixel = 0; pixel < kSide * kSide; ++pixel)
      next[pixel] = Smoothed(image.data(), spread.data(), kSide, pixel / kSide, pixel % kSide);
    image = next;
  }
  for (size_t pixel = 0; pixel < image.size(); ++pixel)
    bench::Expect(std::fabs(result[pixel] - image[pixel]) < 0.005f, "the image is not that of a diffusion on the host");
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report(bench::ParseEffort(argc, argv));
  const bool smoke = report.effort() == bench::Effort::kSmoke;
  const int side = smoke ? 32 : 1024;
  const std::vector<float> image = RandomImage(side);
  bench::MeasureComputation<float>(report, "srad", [&] { return Diffuse(image, side, smoke ? 3 : 200); });
  CheckSmall();
  return 0;
}
