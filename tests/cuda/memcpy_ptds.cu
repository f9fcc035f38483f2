// Compiled with --default-stream per-thread: copies and sets without a stream go to the thread's own.
#include <thread>

#include "gate.h"

int main() {
  int* memory = Device<int>(4);
  Gate gate;
  gate.CloseOn(nullptr);  // this thread's stream
  std::thread([&] {
    const int values[4] = {1, 2, 3, 4};
    SHOW(cudaMemcpy(memory, values, sizeof values, cudaMemcpyHostToDevice));
    SHOW(cudaMemset(memory + 3, 0, 4));
    SHOW(cudaMemcpy2D(memory, 8, values + 1, 4, 4, 2, cudaMemcpyHostToDevice));
    Print("memory", Host(memory, 4));
    SHOW(cudaStreamQuery(nullptr));
  }).join();
  SHOW(cudaStreamQuery(nullptr));
  gate.Open();
  SHOW(cudaStreamSynchronize(nullptr));
  SHOW(cudaMemcpyAsync(memory, memory + 1, 4, cudaMemcpyDeviceToDevice));
  Print("memory", Host(memory, 4));
}
