// Streams that wait for events of other streams, and an event recorded anew after somebody waits for it.
#include "gate.h"

__global__ void Append(int* list, int value) {
  list[1 + list[0]] = value;
  ++list[0];
}

int main() {
  PRELOAD(Append);
  int* list = Device<int>(8);
  cudaStream_t a, b;
  NEED(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking));
  NEED(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
  cudaEvent_t first, second;
  NEED(cudaEventCreateWithFlags(&first, cudaEventDisableTiming));
  NEED(cudaEventCreateWithFlags(&second, cudaEventDisableTiming));

  SHOW(cudaStreamWaitEvent(b, first));  // never recorded: no wait
  SHOW(cudaStreamSynchronize(b));

  Gate gate;
  gate.CloseOn(a);
  Append<<<1, 1, 0, a>>>(list, 1);
  SHOW(cudaEventRecord(first, a));
  SHOW(cudaStreamWaitEvent(b, first, cudaEventWaitDefault));
  Append<<<1, 1, 0, b>>>(list, 2);
  SHOW(cudaEventRecord(second, b));
  SHOW(cudaEventRecord(first, b));  // b's wait is for what was recorded before
  SHOW(cudaStreamWaitEvent(a, second));
  Append<<<1, 1, 0, a>>>(list, 3);
  SHOW(cudaStreamQuery(b));
  SHOW(cudaEventQuery(first));
  gate.Open();
  SHOW(cudaStreamSynchronize(a));
  SHOW(cudaEventQuery(second));
  Print("list", Host(list, 4));
  SHOW(cudaStreamWaitEvent(a, nullptr));
}
