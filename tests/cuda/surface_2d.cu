// Surfaces: kernels write an array and read it, in bytes of x, with the three ways to treat what lies outside.
#include "texture.h"

__global__ void Write(cudaSurfaceObject_t surface) {
  surf2Dwrite<int>(10 * threadIdx.y + threadIdx.x, surface, threadIdx.x * 4, threadIdx.y);
}
__global__ void Read(cudaSurfaceObject_t surface, int* out) {
  const int x = (static_cast<int>(threadIdx.x) - 1) * 4;
  out[threadIdx.x] = surf2Dread<int>(surface, x, 1, cudaBoundaryModeClamp);
  out[6 + threadIdx.x] = surf2Dread<int>(surface, x, 1, cudaBoundaryModeZero);
}
__global__ void WriteVector(cudaSurfaceObject_t surface) {
  surf3Dwrite(make_float2(threadIdx.x, threadIdx.z), surface, threadIdx.x * 8, threadIdx.y, threadIdx.z);
}

int main() {
  const cudaArray_t plane = ArrayOf(std::vector<int>(12), 4, 3, 0, cudaArraySurfaceLoadStore);
  cudaSurfaceObject_t surface;
  const cudaResourceDesc resource = OfArray(plane);
  SHOW(cudaCreateSurfaceObject(&surface, &resource));
  Write<<<1, dim3(4, 3)>>>(surface);
  int back[12];
  SHOW(cudaMemcpy2DFromArray(back, 16, plane, 0, 0, 16, 3, cudaMemcpyDeviceToHost));
  Print("plane", back, 12);
  int* out = Device<int>(12);
  Read<<<1, 6>>>(surface, out);
  Print("clamped, zeroed", Host(out, 12));

  const cudaArray_t volume = ArrayOf(std::vector<float2>(8), 2, 2, 2, cudaArraySurfaceLoadStore);
  const cudaResourceDesc of_volume = OfArray(volume);
  cudaSurfaceObject_t deep;
  SHOW(cudaCreateSurfaceObject(&deep, &of_volume));
  WriteVector<<<1, dim3(2, 2, 2)>>>(deep);
  float vectors[16];
  cudaMemcpy3DParms copy = {};
  copy.srcArray = volume;
  copy.dstPtr = make_cudaPitchedPtr(vectors, 16, 2, 2);
  copy.extent = make_cudaExtent(2, 2, 2);
  copy.kind = cudaMemcpyDeviceToHost;
  SHOW(cudaMemcpy3D(&copy));
  Print("volume", vectors, 16);
  cudaResourceDesc given;
  SHOW(cudaGetSurfaceObjectResourceDesc(&given, surface));
  Print("is of the array", given.res.array.array == plane);
  SHOW(cudaDestroySurfaceObject(surface));
  const cudaResourceDesc plain = OfArray(ArrayOf(std::vector<int>(4), 2, 2));
  SHOW(cudaCreateSurfaceObject(&surface, &plain));  // not made for surfaces
}
