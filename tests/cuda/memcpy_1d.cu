// Copies of one dimension in every direction, whole and in part, also of nothing.
#include "check.h"

int main() {
  std::vector<int> host = {1, 2, 3, 4, 5, 6, 7, 8};
  int* a = Device(host);
  int* b = Device<int>(8);
  SHOW(cudaMemcpy(b, a, 8 * sizeof(int), cudaMemcpyDeviceToDevice));
  Print("whole", Host(b, 8));
  SHOW(cudaMemcpy(b + 1, a + 4, 3 * sizeof(int), cudaMemcpyDeviceToDevice));
  Print("part", Host(b, 8));
  SHOW(cudaMemcpy(reinterpret_cast<char*>(b) + 1, host.data(), 2, cudaMemcpyHostToDevice));
  Print("odd address", Host(b, 8));
  SHOW(cudaMemcpy(b, a, 0, cudaMemcpyDeviceToDevice));
  SHOW(cudaMemcpy(nullptr, nullptr, 0, cudaMemcpyDeviceToHost));
  int other[2] = {};
  SHOW(cudaMemcpy(other, host.data() + 2, sizeof other, cudaMemcpyHostToHost));
  Print("host to host", other, 2);
  SHOW(cudaFree(a));
  SHOW(cudaFree(b));
  SHOW(cudaFree(nullptr));
}
