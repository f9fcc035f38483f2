// A view of an array that reads its words as another format.
#include "texture.h"

__global__ void Read(cudaTextureObject_t texture, unsigned* out) {
  const uint2 value = tex2D<uint2>(texture, threadIdx.x + 0.5f, 0.5f);
  out[2 * threadIdx.x] = value.x;
  out[2 * threadIdx.x + 1] = value.y;
}

int main() {
  const std::vector<float2> values = {{1.0f, 2.0f}, {-1.0f, 0.5f}};
  const cudaResourceDesc resource = OfArray(ArrayOf(values, 2, 1));
  cudaTextureDesc description = {};
  description.readMode = cudaReadModeElementType;
  cudaResourceViewDesc view = {};
  view.format = cudaResViewFormatUnsignedInt2;
  view.width = 2;
  view.height = 1;
  cudaTextureObject_t texture;
  SHOW(cudaCreateTextureObject(&texture, &resource, &description, &view));
  unsigned* out = Device<unsigned>(4);
  Read<<<1, 2>>>(texture, out);
  Print("bits", Host(out, 4));
  view.format = cudaResViewFormatUnsignedChar1;  // of another size
  SHOW(cudaCreateTextureObject(&texture, &resource, &description, &view));
}
