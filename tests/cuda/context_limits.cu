// Limits and settings of a context, by the driver API.
#include "check.h"

int main() {
  NEED(cudaFree(nullptr));
  for (const CUlimit limit : {CU_LIMIT_STACK_SIZE, CU_LIMIT_PRINTF_FIFO_SIZE, CU_LIMIT_MALLOC_HEAP_SIZE,
                              CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT, CU_LIMIT_MAX_L2_FETCH_GRANULARITY,
                              CU_LIMIT_PERSISTING_L2_CACHE_SIZE}) {
    size_t value = 0;
    std::printf("limit %d: ", limit);
    SHOW(cuCtxGetLimit(&value, limit));
  }
  size_t value;
  SHOW(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 2048));
  SHOW(cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE));
  Print("stack", value);
  SHOW(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, size_t{1} << 40));
  SHOW(cuCtxGetLimit(&value, static_cast<CUlimit>(99)));
  SHOW(cuCtxSetLimit(static_cast<CUlimit>(99), 1));
  SHOW(cuCtxGetLimit(nullptr, CU_LIMIT_STACK_SIZE));
  CUfunc_cache cache;
  SHOW(cuCtxGetCacheConfig(&cache));
  SHOW(cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_L1));
  int least, greatest;
  SHOW(cuCtxGetStreamPriorityRange(&least, &greatest));
  Print("least", least);
}
