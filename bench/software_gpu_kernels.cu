// The kernels of software_gpu.cc. After a change: nvcc -ptx -arch=compute_75 software_gpu_kernels.cu, and its output
// between the first .visible and the end replaces the text of software_gpu_kernels.h.
constexpr int kTile = 16;

extern "C" __global__ void matrix_product(const float* a, const float* b, float* c, int size) {
  __shared__ float tile_a[kTile][kTile];
  __shared__ float tile_b[kTile][kTile];
  const int row = blockIdx.y * kTile + threadIdx.y;
  const int column = blockIdx.x * kTile + threadIdx.x;
  float sum = 0;
  for (int start = 0; start < size; start += kTile) {
    tile_a[threadIdx.y][threadIdx.x] = a[row * size + start + threadIdx.x];
    tile_b[threadIdx.y][threadIdx.x] = b[(start + threadIdx.y) * size + column];
    __syncthreads();
    for (int k = 0; k < kTile; ++k) sum += tile_a[threadIdx.y][k] * tile_b[k][threadIdx.x];
    __syncthreads();
  }
  c[row * size + column] = sum;
}

extern "C" __global__ void reduction(const unsigned* values, unsigned long long* total, int count) {
  __shared__ unsigned long long warp_sums[8];
  unsigned long long sum = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) sum += values[i];
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_down_sync(0xffffffffu, sum, offset);
  if (threadIdx.x % 32 == 0) warp_sums[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int i = 1; i < 8; ++i) sum += warp_sums[i];
  atomicAdd(total, sum);
}

extern "C" __global__ void saxpy(const float* x, float* y, float factor, int count) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x)
    y[i] = factor * x[i] + y[i];
}

extern "C" __global__ void histogram(const unsigned char* values, unsigned* bins, int count) {
  __shared__ unsigned block_bins[256];
  block_bins[threadIdx.x] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x)
    atomicAdd(&block_bins[values[i]], 1u);
  __syncthreads();
  if (block_bins[threadIdx.x] != 0) atomicAdd(&bins[threadIdx.x], block_bins[threadIdx.x]);
}

// Steps of the Collatz sequence: every lane branches and ends on its own.
extern "C" __global__ void collatz(unsigned* steps, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  unsigned value = i + 1, n = 0;
  while (value != 1) {
    if (value % 2 != 0) {
      value = 3 * value + 1;
      ++n;
    }
    while (value % 2 == 0) {
      value /= 2;
      ++n;
    }
  }
  steps[i] = n;
}
