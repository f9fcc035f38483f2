// The profiler's start and stop.
#include <cudaProfiler.h>
#include <cuda_profiler_api.h>

#include "check.h"

int main() {
  SHOW(cudaProfilerStart());
  SHOW(cudaProfilerStart());
  SHOW(cudaProfilerStop());
  NEED(cudaFree(nullptr));
  SHOW(cuProfilerStart());
  SHOW(cuProfilerStop());
  SHOW(cuProfilerStop());
}
