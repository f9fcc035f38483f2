// Replaying a CUDA graph: a chain of kernels, captured once.
#include "measure.h"

namespace {

__global__ void Count(uint64_t* count) {
  *count += 1;
}

cudaGraphExec_t Chain(int kernels, uint64_t* count, cudaStream_t stream) {
  cudaGraph_t graph;
  CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  for (int i = 0; i < kernels; ++i) Count<<<1, 1, 0, stream>>>(count);
  CHECK(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t executable;
  CHECK(cudaGraphInstantiate(&executable, graph, 0));
  CHECK(cudaGraphDestroy(graph));
  return executable;
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report(bench::ParseEffort(argc, argv));
  uint64_t* count = bench::Zeroed<uint64_t>(1);
  cudaStream_t stream;
  CHECK(cudaStreamCreate(&stream));
  for (const int kernels : {10, 1000}) {
    const cudaGraphExec_t graph = Chain(kernels, count, stream);
    const std::string name = "graph of " + std::to_string(kernels) + " kernels, ";
    report.Measure(report.Times(kernels == 10 ? 2000 : 200),
                   std::array{name + "returns", name + "replay + synchronize"}, [&] {
                     const bench::Stopwatch watch;
                     CHECK(cudaGraphLaunch(graph, stream));
                     const double returned = watch.Microseconds();
                     CHECK(cudaStreamSynchronize(stream));
                     return std::array{returned, watch.Microseconds()};
                   });
    CHECK(cudaGraphExecDestroy(graph));
  }
  report.Answer("kernels carried out", bench::Read(count));
  return 0;
}
