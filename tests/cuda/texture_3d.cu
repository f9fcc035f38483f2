// Three-dimensional, layered and cube textures.
#include "texture.h"

__global__ void Read3D(cudaTextureObject_t texture, int* out) {
  out[(threadIdx.z * 2 + threadIdx.y) * 2 + threadIdx.x] =
      tex3D<int>(texture, threadIdx.x + 0.5f, threadIdx.y + 0.5f, threadIdx.z + 0.5f);
}
__global__ void ReadLayer(cudaTextureObject_t texture, int* out) {
  out[(threadIdx.z * 2 + threadIdx.y) * 2 + threadIdx.x] =
      tex2DLayered<int>(texture, threadIdx.x + 0.5f, threadIdx.y + 0.5f, threadIdx.z);
}
__global__ void ReadLine(cudaTextureObject_t texture, int* out) {
  out[threadIdx.y * 2 + threadIdx.x] = tex1DLayered<int>(texture, threadIdx.x + 0.5f, threadIdx.y);
}
__global__ void ReadCube(cudaTextureObject_t texture, int* out) {
  const float directions[6][3] = {{1, 0, 0}, {-1, 0, 0}, {0, 1, 0}, {0, -1, 0}, {0, 0, 1}, {0, 0, -1}};
  const float* d = directions[threadIdx.x];
  out[threadIdx.x] = texCubemap<int>(texture, d[0], d[1], d[2]);
}

int main() {
  std::vector<int> values(8);
  for (int i = 0; i < 8; ++i) values[i] = 100 + i;
  int* out = Device<int>(8);
  Read3D<<<1, dim3(2, 2, 2)>>>(Texture(OfArray(ArrayOf(values, 2, 2, 2))), out);
  Print("3D", Host(out, 8));
  NEED(cudaMemset(out, 0, 32));
  ReadLayer<<<1, dim3(2, 2, 2)>>>(Texture(OfArray(ArrayOf(values, 2, 2, 2, cudaArrayLayered))), out);
  Print("2D layers", Host(out, 8));
  NEED(cudaMemset(out, 0, 32));
  ReadLine<<<1, dim3(2, 4)>>>(Texture(OfArray(ArrayOf(values, 2, 0, 4, cudaArrayLayered))), out);
  Print("1D layers", Host(out, 8));
  const std::vector<int> faces = {1, 2, 3, 4, 5, 6};
  ReadCube<<<1, 6>>>(
      Texture(OfArray(ArrayOf(faces, 1, 1, 6, cudaArrayCubemap)), cudaAddressModeClamp, cudaFilterModePoint, true),
      out);
  Print("cube", Host(out, 6));
}
