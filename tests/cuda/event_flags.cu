// Events: their flags, queries before and after, and time that is refused where it is not kept.
#include "gate.h"

int main() {
  cudaStream_t stream;
  NEED(cudaStreamCreate(&stream));
  cudaEvent_t timed, blocking, untimed;
  SHOW(cudaEventCreate(&timed));
  SHOW(cudaEventCreateWithFlags(&blocking, cudaEventBlockingSync));
  SHOW(cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming));
  cudaEvent_t none = nullptr;
  SHOW(cudaEventCreateWithFlags(&none, 0x100));
  SHOW(cudaEventCreateWithFlags(&none, cudaEventInterprocess));  // only with cudaEventDisableTiming
  SHOW(cudaGetLastError());

  SHOW(cudaEventQuery(timed));  // never recorded: complete
  SHOW(cudaEventSynchronize(timed));
  float milliseconds;
  SHOW(cudaEventElapsedTime(&milliseconds, timed, blocking));

  Gate gate;
  SHOW(cudaEventRecord(timed, stream));
  gate.CloseOn(stream);
  SHOW(cudaEventRecord(blocking, stream));
  SHOW(cudaEventRecordWithFlags(untimed, stream, cudaEventRecordDefault));
  SHOW(cudaEventSynchronize(timed));
  SHOW(cudaEventQuery(timed));
  SHOW(cudaEventQuery(blocking));
  SHOW(cudaEventElapsedTime(&milliseconds, timed, blocking));
  gate.Open();
  SHOW(cudaEventSynchronize(blocking));
  SHOW(cudaEventQuery(blocking));
  SHOW(cudaEventElapsedTime(&milliseconds, timed, blocking));
  Print("time passed", milliseconds > 0);
  SHOW(cudaEventElapsedTime(&milliseconds, timed, untimed));
  SHOW(cudaEventElapsedTime(&milliseconds, nullptr, timed));
  SHOW(cudaEventRecord(nullptr, stream));
  SHOW(cudaEventDestroy(timed));
  SHOW(cudaEventDestroy(blocking));
  SHOW(cudaEventDestroy(untimed));
  SHOW(cudaEventDestroy(nullptr));
}
