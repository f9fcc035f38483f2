// Host functions and stream callbacks run in the program, in the order of their stream.
#include <string>

#include "gate.h"

__global__ void Write(int* to, int value) {
  *to = value;
}

std::string happened;

void CUDART_CB HostFunction(void* argument) {
  happened += static_cast<const char*>(argument);
}

void CUDART_CB Callback(cudaStream_t, cudaError_t status, void* argument) {
  happened += std::string(static_cast<const char*>(argument)) + ":" + Name(status) + " ";
}

int* host;
void CUDART_CB ReadCopied(void*) {
  happened += "copied:" + std::to_string(*host) + " ";
}

int main() {
  PRELOAD(Write);
  int* memory = Device<int>(1);
  NEED(cudaMallocHost(&host, sizeof *host));
  *host = 0;
  cudaStream_t stream;
  NEED(cudaStreamCreate(&stream));
  Gate gate;
  gate.CloseOn(stream);
  SHOW(cudaLaunchHostFunc(stream, HostFunction, const_cast<char*>("first ")));
  Write<<<1, 1, 0, stream>>>(memory, 42);
  SHOW(cudaMemcpyAsync(host, memory, sizeof *host, cudaMemcpyDeviceToHost, stream));
  SHOW(cudaLaunchHostFunc(stream, ReadCopied, nullptr));
  SHOW(cudaStreamAddCallback(stream, Callback, const_cast<char*>("callback"), 0));
  SHOW(cudaLaunchHostFunc(stream, HostFunction, const_cast<char*>("last ")));
  SHOW(cudaStreamQuery(stream));
  std::printf("before the gate opens: [%s]\n", happened.c_str());
  gate.Open();
  SHOW(cudaStreamSynchronize(stream));
  std::printf("after: [%s]\n", happened.c_str());

  happened.clear();
  SHOW(cudaLaunchHostFunc(nullptr, HostFunction, const_cast<char*>("default stream ")));
  SHOW(cudaDeviceSynchronize());
  std::printf("after: [%s]\n", happened.c_str());
  SHOW(cudaLaunchHostFunc(stream, nullptr, nullptr));
  SHOW(cudaStreamAddCallback(stream, Callback, nullptr, 1));
}
