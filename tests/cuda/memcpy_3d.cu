// cudaMalloc3D and copies of three dimensions between host, device and a part of a volume.
#include "check.h"

int main() {
  constexpr int kX = 4, kY = 3, kZ = 2;
  int host[kZ][kY][kX];
  for (int i = 0; i < kX * kY * kZ; ++i) (&host[0][0][0])[i] = i;

  cudaPitchedPtr volume;
  SHOW(cudaMalloc3D(&volume, make_cudaExtent(kX * sizeof(int), kY, kZ)));
  Print("xsize", volume.xsize / sizeof(int));
  Print("ysize", volume.ysize);
  SHOW(cudaMemset3D(volume, 0xff, make_cudaExtent(kX * sizeof(int), kY, kZ)));

  cudaMemcpy3DParms up = {};
  up.srcPtr = make_cudaPitchedPtr(host, kX * sizeof(int), kX, kY);
  up.dstPtr = volume;
  up.extent = make_cudaExtent(kX * sizeof(int), kY, kZ);
  up.kind = cudaMemcpyHostToDevice;
  SHOW(cudaMemcpy3D(&up));

  int back[kZ][kY][kX] = {};
  cudaMemcpy3DParms down = {};
  down.srcPtr = volume;
  down.dstPtr = make_cudaPitchedPtr(back, kX * sizeof(int), kX, kY);
  down.extent = up.extent;
  down.kind = cudaMemcpyDeviceToHost;
  SHOW(cudaMemcpy3DAsync(&down, nullptr));
  SHOW(cudaStreamSynchronize(nullptr));
  Print("back", &back[0][0][0], kX * kY * kZ);

  // x from 1, y from 1, z from 1, of extent 2 x 2 x 1, to the origin of the host volume.
  down.srcPos = make_cudaPos(1 * sizeof(int), 1, 1);
  down.extent = make_cudaExtent(2 * sizeof(int), 2, 1);
  SHOW(cudaMemcpy3D(&down));
  Print("part", &back[0][0][0], kX * kY * kZ);

  cudaMemcpy3DPeerParms peer = {};
  peer.srcPtr = volume;
  peer.dstPtr = volume;
  peer.dstPos = make_cudaPos(0, 0, 1);
  peer.extent = make_cudaExtent(kX * sizeof(int), kY, 1);
  SHOW(cudaMemcpy3DPeer(&peer));
  down.srcPos = make_cudaPos(0, 0, 0);
  down.extent = up.extent;
  SHOW(cudaMemcpy3D(&down));
  Print("second layer from the first", &back[0][0][0], kX * kY * kZ);
}
