// cudaMemcpyDefault finds the direction by the addresses; a wrong direction is refused or finds it too.
#include "check.h"

int main() {
  int* device = Device<int>(4);
  int* pinned;
  NEED(cudaMallocHost(&pinned, 16));
  int pageable[4] = {1, 2, 3, 4};
  SHOW(cudaMemcpy(device, pageable, 16, cudaMemcpyDefault));
  SHOW(cudaMemcpy(pinned, device, 16, cudaMemcpyDefault));
  Print("pinned", pinned, 4);
  pinned[0] = 9;
  SHOW(cudaMemcpy(device, pinned, 16, cudaMemcpyDefault));
  int back[4] = {};
  SHOW(cudaMemcpy(back, device, 16, cudaMemcpyDefault));
  Print("back", back, 4);
  SHOW(cudaMemcpy(back, pageable, 16, cudaMemcpyDefault));
  Print("host to host", back, 4);
  SHOW(cudaMemcpyAsync(device + 1, device, 4, cudaMemcpyDefault, nullptr));
  Print("device to device", Host(device, 4));
  SHOW(cudaMemcpy(back, device, 16, static_cast<cudaMemcpyKind>(7)));
  SHOW(cudaGetLastError());
  SHOW(cuMemcpy(reinterpret_cast<CUdeviceptr>(device), reinterpret_cast<CUdeviceptr>(pageable), 16));
  Print("cuMemcpy", Host(device, 4));
}
