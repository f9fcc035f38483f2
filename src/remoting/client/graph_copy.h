// Copies between the device and pageable memory inside a graph. Such a copy reads or writes the program's memory
// whenever the graph runs, and the server cannot: so the graph copies to or from pinned memory of ours, and a host
// function before or after carries the bytes to where the program wants them.
#pragma once

#include "abi/graph.h"
#include "remoting/client/call.h"

namespace mignificient::client {

// The pageable side of a copy and its pinned stand-in. Lives until the process ends, as the graph may.
struct StagedCopy {
  std::byte* host;
  std::byte* pinned;
  size_t row_bytes, rows, slices;
  size_t pitch, slice_pitch;  // of both
  bool to_device;

  // Carries the bytes: the host function's body. `user_data` is the StagedCopy.
  static void Carry(void* user_data);
};

// The stand-in for `bytes` of linear memory at `host`.
CUresult StageLinear(const void* host, size_t bytes, bool to_device, StagedCopy*& staged);
// Replaces the pageable side of `copy`, if it has one, by its stand-in; else `staged` stays null.
CUresult StageSide(CUDA_MEMCPY3D& copy, StagedCopy*& staged);

}  // namespace mignificient::client
