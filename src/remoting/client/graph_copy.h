// Copies between the device and pageable memory inside a graph. Such a copy reads or writes the program's memory
// whenever the graph runs, and the server cannot: so the graph copies to or from pinned memory of ours, and a host
// function before or after carries the bytes to where the program wants them. The server keeps both together as what
// the program sees: one node.
#pragma once

#include <memory>

#include "abi/graph.h"
#include "remoting/client/call.h"

namespace mignificient::client {

// Pinned memory that stands beside pageable memory. What is let go of is kept for the next that needs as much: giving
// it back would wait for work that runs.
class StandIn {
 public:
  static CUresult Take(size_t bytes, std::unique_ptr<StandIn>& stand_in);
  ~StandIn();
  StandIn(const StandIn&) = delete;
  StandIn& operator=(const StandIn&) = delete;

  std::byte* data() const { return data_; }

 private:
  StandIn(std::byte* data, size_t bytes) : data_(data), bytes_(bytes) {}
  std::byte* const data_;
  const size_t bytes_;  // a power of two
};

// The pageable side of a copy and what stands beside it.
struct StagedCopy {
  std::unique_ptr<StandIn> stand_in;
  std::byte* host;  // the first byte on either side
  std::byte* pinned;
  size_t row_bytes, rows, slices;
  size_t pitch, slice_pitch;  // of both
  bool to_device;
  CUDA_MEMCPY3D given{};  // as the program stated it

  // Carries the bytes: the host function's body. `user_data` is the StagedCopy.
  static void Carry(void* user_data);
};

// Replaces the pageable side of `copy`, if it has one, by what stands beside it; else `staged` stays null.
CUresult StageSide(CUDA_MEMCPY3D& copy, std::shared_ptr<StagedCopy>& staged);

// As StageSide, and names the host function that carries the bytes, until ForgetHostFunction or the server lets go of
// it; 0: none.
CUresult StageNode(CUDA_MEMCPY3D& copy, uint64_t& carry);

// Adds the copy to the graph that the stream captures.
CUresult CaptureCopy(CUDA_MEMCPY3D copy, CUstream stream);

}  // namespace mignificient::client
