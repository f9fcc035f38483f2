// Host functions in a captured graph run in the program, at each launch, in order.
#include <string>

#include "graph.h"

std::string happened;
int seen;
int* host;

void CUDART_CB Say(void* text) {
  happened += static_cast<const char*>(text);
}
void CUDART_CB See(void*) {
  seen = *host;
}

int main() {
  Order order;
  NEED(cudaMallocHost(&host, 4));
  *host = 0;
  cudaStream_t stream;
  NEED(cudaStreamCreate(&stream));
  cudaGraph_t graph;
  SHOW(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  SHOW(cudaLaunchHostFunc(stream, Say, const_cast<char*>("a ")));
  Append<<<1, 1, 0, stream>>>(order.list, 1);
  SHOW(cudaMemcpyAsync(host, order.list, 4, cudaMemcpyDeviceToHost, stream));
  SHOW(cudaLaunchHostFunc(stream, See, nullptr));
  SHOW(cudaLaunchHostFunc(stream, Say, const_cast<char*>("b ")));
  SHOW(cudaStreamEndCapture(stream, &graph));
  std::printf("[%s]\n", happened.c_str());
  const auto exec = Instantiate(graph);
  for (int i = 0; i < 3; ++i) {
    Launch(exec, stream);
    std::printf("[%s] %d\n", happened.c_str(), seen);
  }
}
