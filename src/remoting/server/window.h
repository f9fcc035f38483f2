// The device addresses of one connection, and the physical memory behind them. Reserved once; extents are mapped and
// unmapped on request, each checked for alignment, range, overlap and the session's budget. On the dispatcher thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "base/result.h"
#include "remoting/server/session.h"

namespace mignificient::server {

// Physical memory of the device, charged to the session's budget as long as a handle or a mapping refers to it.
class Physical {
 public:
  // CUDA_ERROR_INVALID_VALUE: not whole granules. CUDA_ERROR_OUT_OF_MEMORY: beyond the budget, or the device has no
  // more.
  static CUresult Create(const Device& device, Session& session, uint64_t bytes, std::shared_ptr<Physical>& out);
  ~Physical();
  Physical(const Physical&) = delete;
  Physical& operator=(const Physical&) = delete;

  uint64_t bytes() const { return bytes_; }
  CUmemGenericAllocationHandle handle() const { return handle_; }

 private:
  Physical(const Device& device, Session& session, uint64_t bytes, CUmemGenericAllocationHandle handle)
      : device_(device), session_(session), bytes_(bytes), handle_(handle) {}

  const Device& device_;
  Session& session_;
  const uint64_t bytes_;
  const CUmemGenericAllocationHandle handle_;
};

class Window {
 public:
  // Reserves `bytes` of addresses, near `hint` if possible.
  static Result<std::unique_ptr<Window>> Reserve(const Device& device, Session& session, uint64_t bytes, uint64_t hint);
  ~Window();  // unmaps everything; no work may be running
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  uint64_t base() const { return base_; }
  uint64_t bytes() const { return bytes_; }

  // Memory of its own, readable and writable.
  // CUDA_ERROR_INVALID_VALUE: not whole granules inside the window, or overlapping what is mapped.
  // CUDA_ERROR_OUT_OF_MEMORY: as of Physical.
  CUresult Map(uint64_t address, uint64_t bytes);
  // Map has mapped exactly this.
  bool IsExtent(uint64_t address, uint64_t bytes) const;
  // [offset, offset + bytes) of `memory`, without access. CUDA_ERROR_INVALID_VALUE: as above, or not inside `memory`.
  CUresult Map(uint64_t address, uint64_t bytes, uint64_t offset, std::shared_ptr<Physical> memory);
  // Of whole extents that lie side by side; CUDA_ERROR_INVALID_VALUE for anything else.
  CUresult SetAccess(uint64_t address, uint64_t bytes, int flags);
  // Likewise. Work that still uses them faults.
  CUresult Unmap(uint64_t address, uint64_t bytes);

 private:
  struct Extent {
    uint64_t bytes;
    std::shared_ptr<Physical> memory;
  };
  Window(const Device& device, Session& session, uint64_t base, uint64_t bytes)
      : device_(device), session_(session), base_(base), bytes_(bytes) {}
  bool Allowed(uint64_t address, uint64_t bytes) const;
  bool WholeExtents(uint64_t address, uint64_t bytes) const;

  const Device& device_;
  Session& session_;
  uint64_t base_;
  uint64_t bytes_;
  std::map<uint64_t, Extent> extents_;  // address -> extent
};

}  // namespace mignificient::server
