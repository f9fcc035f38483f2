// Stream capture as this process sees it. Nothing is asked of the server while no capture has been begun.
#pragma once

#include <atomic>

#include "abi/cuda.h"

namespace mignificient::client {

// Captures that this process has begun and not ended.
extern constinit std::atomic<int> active_captures;

// Whether any stream is captured, as far as this process began it.
inline bool AnyCapture() {
  return active_captures.load(std::memory_order_relaxed) != 0;
}

// Whether work issued to the stream now becomes part of a graph. Costs a round trip while some capture is active.
bool IsAmongCaptures(CUstream stream);
inline bool IsCapturing(CUstream stream) {
  return AnyCapture() && IsAmongCaptures(stream);
}

// CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED when a capture in progress forbids the calling thread what could make work wait
// for it unseen, such as allocating memory; else CUDA_SUCCESS.
CUresult CheckPermitsOfCaptures();
inline CUresult CheckCapturePermits() {
  return AnyCapture() ? CheckPermitsOfCaptures() : CUDA_SUCCESS;
}

// The same for what no capture permits: a question about the whole context. Every capture ends.
CUresult CheckNoCapture();

// The stream is destroyed, and a capture that began in it with it.
void ForgetCapture(CUstream stream);

}  // namespace mignificient::client
