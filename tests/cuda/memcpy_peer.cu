// Peer copies on one device, and what peers a device alone has.
#include "check.h"

int main() {
  int* a = Device(std::vector<int>{1, 2, 3, 4});
  int* b = Device<int>(4);
  SHOW(cudaMemcpyPeer(b, 0, a, 0, 16));
  Print("b", Host(b, 4));
  SHOW(cudaMemcpyPeerAsync(b + 1, 0, a, 0, 8, nullptr));
  SHOW(cudaDeviceSynchronize());
  Print("b", Host(b, 4));
  int can = -1;
  SHOW(cudaDeviceCanAccessPeer(&can, 0, 0));
  Print("itself as a peer", can);
  SHOW(cudaDeviceEnablePeerAccess(0, 0));
  SHOW(cudaGetLastError());
  SHOW(cudaMemcpyPeer(b, 0, a, 99, 16));
  SHOW(cudaGetLastError());
  CUcontext context;
  NEED(cuCtxGetCurrent(&context));
  SHOW(cuMemcpyPeer(reinterpret_cast<CUdeviceptr>(b), context, reinterpret_cast<CUdeviceptr>(a + 2), context, 8));
  Print("b", Host(b, 4));
}
