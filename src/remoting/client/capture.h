// Stream capture as this process sees it. Nothing is asked of the server while no capture has been begun.
#pragma once

#include "abi/cuda.h"

namespace mignificient::client {

// Whether any stream is captured, as far as this process began it. A load.
bool AnyCapture();

// Whether work issued to the stream now becomes part of a graph. Costs a round trip while some capture is active.
bool IsCapturing(CUstream stream);

// CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED when a capture in progress forbids the calling thread what could make work wait
// for it unseen, such as allocating memory; else CUDA_SUCCESS.
CUresult CheckCapturePermits();

// The same for what no capture permits: a question about the whole context. Every capture ends.
CUresult CheckNoCapture();

// The stream is destroyed, and a capture that began in it with it.
void ForgetCapture(CUstream stream);

}  // namespace mignificient::client
