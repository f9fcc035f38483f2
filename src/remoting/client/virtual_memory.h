// The program's own virtual memory management, carried out by the server. Thread-safe.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>

#include "remoting/client/virtual_space.h"

namespace mignificient::client {

class VirtualMemory {
 public:
  using Handle = VirtualSpace::Handle;

  explicit VirtualMemory(uint64_t granule) : granule_(granule), space_(granule) {}

  uint64_t granule() const { return granule_; }
  CUresult Reserve(uint64_t bytes, uint64_t align, uint64_t hint, CUdeviceptr& address);
  CUresult FreeAddresses(CUdeviceptr address, uint64_t bytes);
  CUresult Create(uint64_t bytes, const CUmemAllocationProp& prop, Handle& handle);
  CUresult Release(Handle handle);
  CUresult Retain(CUdeviceptr address, Handle& handle);
  std::optional<CUmemAllocationProp> Properties(Handle handle);
  CUresult Map(CUdeviceptr address, uint64_t bytes, uint64_t offset, Handle handle);
  // Waits for the work issued so far, which may use what is unmapped.
  CUresult Unmap(CUdeviceptr address, uint64_t bytes);
  CUresult SetAccess(CUdeviceptr address, uint64_t bytes, int flags);

  std::optional<VirtualSpace::Mapping> FindMapping(CUdeviceptr address);
  std::optional<Extent> FindReservation(CUdeviceptr address);
  // Mappings side by side around `address` that work may use.
  std::optional<Extent> Accessible(CUdeviceptr address);
  // Reserved, and nothing is mapped there.
  bool IsHole(CUdeviceptr address);

 private:
  void Gone(Handle handle, uint64_t bytes);

  const uint64_t granule_;
  std::atomic<bool> reserves_{false};  // the program has reserved addresses
  std::mutex lock_;  // also while the server answers, so that what is known here agrees with what is so there
  VirtualSpace space_;
};

// Valid once Attach() has succeeded; leaked on purpose.
VirtualMemory& TheVirtualMemory();

}  // namespace mignificient::client
