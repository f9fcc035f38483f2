// Surfaces of layered and of one-dimensional arrays.
#include "texture.h"

__global__ void Write(cudaSurfaceObject_t surface) {
  surf2DLayeredwrite<short>(100 * threadIdx.z + 10 * threadIdx.y + threadIdx.x, surface, threadIdx.x * 2, threadIdx.y,
                            threadIdx.z);
}
__global__ void Reverse(cudaSurfaceObject_t surface) {
  const int value = surf1Dread<int>(surface, threadIdx.x * 4);
  __syncthreads();
  surf1Dwrite(value, surface, (blockDim.x - 1 - threadIdx.x) * 4);
}

int main() {
  const cudaArray_t layers = ArrayOf(std::vector<short>(12), 2, 3, 2, cudaArrayLayered | cudaArraySurfaceLoadStore);
  cudaResourceDesc resource = OfArray(layers);
  cudaSurfaceObject_t surface;
  SHOW(cudaCreateSurfaceObject(&surface, &resource));
  Write<<<1, dim3(2, 3, 2)>>>(surface);
  short back[12];
  cudaMemcpy3DParms copy = {};
  copy.srcArray = layers;
  copy.dstPtr = make_cudaPitchedPtr(back, 4, 2, 3);
  copy.extent = make_cudaExtent(2, 3, 2);
  copy.kind = cudaMemcpyDeviceToHost;
  SHOW(cudaMemcpy3D(&copy));
  Print("layers", back, 12);

  const cudaArray_t line = ArrayOf(std::vector<int>{1, 2, 3, 4, 5}, 5, 0, 0, cudaArraySurfaceLoadStore);
  resource = OfArray(line);
  SHOW(cudaCreateSurfaceObject(&surface, &resource));
  Reverse<<<1, 5>>>(surface);
  int reversed[5];
  SHOW(cudaMemcpy2DFromArray(reversed, 20, line, 0, 0, 20, 1, cudaMemcpyDeviceToHost));
  Print("reversed", reversed, 5);
}
