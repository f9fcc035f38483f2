// The four addressing modes beyond both ends, and a border colour.
#include "texture.h"

__global__ void Read(cudaTextureObject_t texture, float scale, float* out) {
  out[threadIdx.x] = tex1D<float>(texture, (static_cast<int>(threadIdx.x) - 4 + 0.5f) * scale);
}

int main() {
  float* out = Device<float>(12);
  const cudaResourceDesc line = OfArray(ArrayOf(std::vector<float>{1, 2, 3, 4}, 4));
  Read<<<1, 12>>>(Texture(line, cudaAddressModeClamp), 1, out);
  Print("clamp", Host(out, 12));
  Read<<<1, 12>>>(Texture(line, cudaAddressModeBorder), 1, out);
  Print("border", Host(out, 12));
  Read<<<1, 12>>>(Texture(line, cudaAddressModeWrap, cudaFilterModePoint, true), 0.25f, out);
  Print("wrap", Host(out, 12));
  Read<<<1, 12>>>(Texture(line, cudaAddressModeMirror, cudaFilterModePoint, true), 0.25f, out);
  Print("mirror", Host(out, 12));

  cudaTextureDesc description = {};
  description.addressMode[0] = cudaAddressModeBorder;
  description.readMode = cudaReadModeElementType;
  description.borderColor[0] = 9.5f;
  cudaTextureObject_t texture;
  SHOW(cudaCreateTextureObject(&texture, &line, &description, nullptr));
  Read<<<1, 12>>>(texture, 1, out);
  Print("border colour", Host(out, 12));
  cudaTextureDesc back;
  SHOW(cudaGetTextureObjectTextureDesc(&back, texture));
  Print("mode", back.addressMode[0]);
}
