// The device addresses of one connection, and the physical memory behind them. Reserved once; extents are mapped and
// unmapped on request, each checked for alignment, range, overlap and the session's budget. On the dispatcher thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "base/result.h"
#include "remoting/server/session.h"

namespace mignificient::server {

class Window {
 public:
  // Reserves `bytes` of addresses, near `hint` if possible.
  static Result<std::unique_ptr<Window>> Reserve(const Device& device, Session& session, uint64_t bytes, uint64_t hint);
  ~Window();  // unmaps everything; no work may be running
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  uint64_t base() const { return base_; }
  uint64_t bytes() const { return bytes_; }

  // CUDA_ERROR_INVALID_VALUE: not whole granules inside the window, or overlapping what is mapped.
  // CUDA_ERROR_OUT_OF_MEMORY: beyond the budget, or the device has no more.
  CUresult Map(uint64_t address, uint64_t bytes);
  // Exactly an extent that was mapped. No work that uses it may be running.
  CUresult Unmap(uint64_t address, uint64_t bytes);

 private:
  struct Extent {
    uint64_t bytes;
    CUmemGenericAllocationHandle memory;
  };
  Window(const Device& device, Session& session, uint64_t base, uint64_t bytes)
      : device_(device), session_(session), base_(base), bytes_(bytes) {}
  bool Allowed(uint64_t address, uint64_t bytes) const;
  CUresult Back(uint64_t address, uint64_t bytes);
  void Drop(uint64_t address, const Extent& extent);

  const Device& device_;
  Session& session_;
  uint64_t base_;
  uint64_t bytes_;
  std::map<uint64_t, Extent> extents_;
};

}  // namespace mignificient::server
