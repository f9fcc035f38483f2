// Stream capture: while graphs are refused no stream ever captures, and that is the answer. cuStreamIsCapturing is in
// stream.cc.

#include "remoting/client/call.h"

namespace mignificient::client {
namespace {

constexpr int kCaptureStatusNone = 0;
constexpr int kHighestCaptureMode = 2;

CUresult NotCapturing(int* status) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (status == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *status = kCaptureStatusNone;  // CUDA leaves the other outputs alone then
  return CUDA_SUCCESS;
}

// Kept because it is what the next exchange of the thread answers: global 0, thread-local 1, relaxed 2.
constinit thread_local int capture_mode = 0;

}  // namespace

MIG_EXPORT CUresult cuStreamGetCaptureInfo_v2(CUstream, int* status, void*, void*, void*, void*) {
  return NotCapturing(status);
}
MIG_EXPORT CUresult cuStreamGetCaptureInfo_v2_ptsz(CUstream, int* status, void*, void*, void*, void*) {
  return NotCapturing(status);
}
MIG_EXPORT CUresult cuStreamGetCaptureInfo_v3(CUstream, int* status, void*, void*, void*, void*, void*) {
  return NotCapturing(status);
}
MIG_EXPORT CUresult cuStreamGetCaptureInfo_v3_ptsz(CUstream, int* status, void*, void*, void*, void*, void*) {
  return NotCapturing(status);
}

bool IsCapturing(CUstream) {
  return false;
}

MIG_EXPORT CUresult cuStreamIsCapturing(CUstream, int* status) {
  return NotCapturing(status);
}
MIG_EXPORT CUresult cuStreamIsCapturing_ptsz(CUstream, int* status) {
  return NotCapturing(status);
}

MIG_EXPORT CUresult cuThreadExchangeStreamCaptureMode(int* mode) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (mode == nullptr || *mode < 0 || *mode > kHighestCaptureMode) return CUDA_ERROR_INVALID_VALUE;
  const int before = capture_mode;
  capture_mode = *mode;
  *mode = before;
  return CUDA_SUCCESS;
}

}  // namespace mignificient::client
