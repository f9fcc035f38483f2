// The legacy default stream where containers share a context. The driver has one per context: their work would run one
// after the other in it, and wait for the blocking streams of all. So a connection has a stream of its own for it, as
// long as the program cannot tell: until it makes a blocking stream, with which the legacy stream must be in order.
// From then on it is the driver's.

#include "remoting/server/connection.h"

namespace mignificient::server {

// Where that fails, programs are slower and not wrong.
void Connection::MakeOwnLegacyStream() {
  if (driver().cuStreamCreateWithPriority(&legacy_, CU_STREAM_NON_BLOCKING, 0) != CUDA_SUCCESS) legacy_ = nullptr;
}

CUresult Connection::UseLegacyStreamOfContext() {
  if (legacy_ == nullptr) return CUDA_SUCCESS;
  waits_.Pin();
  CUevent reached = nullptr;
  CUresult result = driver().cuEventCreate(&reached, CU_EVENT_DISABLE_TIMING);
  if (result != CUDA_SUCCESS) return result;
  result = driver().cuEventRecord(reached, legacy_);
  if (result == CUDA_SUCCESS) result = driver().cuStreamWaitEvent(nullptr, reached, 0);
  driver().cuEventDestroy_v2(reached);  // what waits for it still does
  if (result != CUDA_SUCCESS) return result;
  TouchedStream(nullptr);
  RetireStream(std::exchange(legacy_, nullptr));
  return CUDA_SUCCESS;
}

}  // namespace mignificient::server
