// The driver API alone: streams and events that order copies and sets.
#include "driver.h"

int main() {
  UseDevice();
  CUstream a, b;
  CUevent event, timed;
  NEED(cuStreamCreate(&a, 1));
  NEED(cuStreamCreate(&b, 1));
  NEED(cuEventCreate(&event, 2));
  NEED(cuEventCreate(&timed, 0));
  CUdeviceptr first, second;
  NEED(cuMemAlloc_v2(&first, 1 << 20));
  NEED(cuMemAlloc_v2(&second, 1 << 20));
  int* pinned;
  NEED(cuMemHostAlloc(reinterpret_cast<void**>(&pinned), 1 << 20, 0));
  for (int round = 1; round <= 20; ++round) {
    NEED(cuMemsetD32Async(first, round, 1 << 18, a));
    NEED(cuEventRecord(event, a));
    NEED(cuStreamWaitEvent(b, event, 0));
    NEED(cuMemcpyDtoDAsync_v2(second, first, 1 << 20, b));
    NEED(cuMemcpyDtoHAsync_v2(pinned, second, 1 << 20, b));
    NEED(cuEventRecord(timed, b));
    NEED(cuStreamWaitEvent(a, timed, 0));  // before `first` is written again
    NEED(cuEventSynchronize(timed));
    const int ends[] = {pinned[0], pinned[(1 << 18) - 1]};
    if (round % 10 == 0) Print("ends", ends, 2);
  }
  SHOW(cuStreamSynchronize(a));
  SHOW(cuStreamQuery(b));
  SHOW(cuEventQuery(event));
  float milliseconds;
  SHOW(cuEventElapsedTime_v2(&milliseconds, event, timed));
  SHOW(cuEventElapsedTime_v2(&milliseconds, timed, timed));
  SHOW(cuStreamCreate(&a, 55));
  SHOW(cuEventCreate(&event, 0x80));
  SHOW(cuStreamDestroy_v2(b));
  SHOW(cuEventDestroy_v2(timed));
  SHOW(cuMemFreeHost(pinned));
  SHOW(cuMemFreeHost(pinned));
}
