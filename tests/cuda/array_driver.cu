// Arrays of the driver API: one to three dimensions, layers, and what they say of themselves.
#include "check.h"

void Describe(CUarray array) {
  CUDA_ARRAY3D_DESCRIPTOR description = {};
  SHOW(cuArray3DGetDescriptor(&description, array));
  std::printf("%zu x %zu x %zu, format %#x, %u channels, flags %u\n", description.Width, description.Height,
              description.Depth, description.Format, description.NumChannels, description.Flags);
}

int main() {
  NEED(cudaFree(nullptr));
  CUarray line, volume, layered;
  CUDA_ARRAY_DESCRIPTOR flat = {16, 0, CU_AD_FORMAT_FLOAT, 1};
  SHOW(cuArrayCreate(&line, &flat));
  Describe(line);
  CUDA_ARRAY3D_DESCRIPTOR description = {4, 2, 3, CU_AD_FORMAT_UNSIGNED_INT8, 4, 0};
  SHOW(cuArray3DCreate(&volume, &description));
  Describe(volume);
  description.Flags = CUDA_ARRAY3D_LAYERED;
  SHOW(cuArray3DCreate(&layered, &description));
  Describe(layered);

  float host[16], back[16] = {};
  for (int i = 0; i < 16; ++i) host[i] = 0.5f * i;
  SHOW(cuMemcpyHtoA(line, 0, host, sizeof host));
  SHOW(cuMemcpyAtoH(back, line, 16, 32));
  Print("part", back, 16);
  float* device = Device<float>(16);
  SHOW(cuMemcpyAtoD(reinterpret_cast<CUdeviceptr>(device), line, 0, 64));
  Print("device", Host(device, 16));
  SHOW(cuMemcpyDtoA(line, 0, reinterpret_cast<CUdeviceptr>(device + 8), 16));
  SHOW(cuMemcpyAtoH(back, line, 0, 64));
  Print("line", back, 16);

  unsigned char bytes[3][2][16], read[3][2][16] = {};
  for (unsigned i = 0; i < sizeof bytes; ++i) (&bytes[0][0][0])[i] = static_cast<unsigned char>(i);
  CUDA_MEMCPY3D copy = {};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST;
  copy.srcHost = bytes;
  copy.srcPitch = 16;
  copy.srcHeight = 2;
  copy.dstMemoryType = CU_MEMORYTYPE_ARRAY;
  copy.dstArray = volume;
  copy.WidthInBytes = 16;
  copy.Height = 2;
  copy.Depth = 3;
  SHOW(cuMemcpy3D(&copy));
  copy.srcMemoryType = CU_MEMORYTYPE_ARRAY;
  copy.srcArray = volume;
  copy.dstArray = layered;
  SHOW(cuMemcpy3D(&copy));
  copy.srcArray = layered;
  copy.dstMemoryType = CU_MEMORYTYPE_HOST;
  copy.dstHost = read;
  copy.dstPitch = 16;
  copy.dstHeight = 2;
  SHOW(cuMemcpy3D(&copy));
  Print("checksum", Checksum(read, sizeof read));
  Print("checksum of the source", Checksum(bytes, sizeof bytes));
  flat.NumChannels = 3;
  SHOW(cuArrayCreate(&line, &flat));
  SHOW(cuArrayDestroy(volume));
  SHOW(cuArrayDestroy(layered));
}
