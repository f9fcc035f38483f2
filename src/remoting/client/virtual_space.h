// What the program has reserved, created and mapped by CUDA's virtual memory management, and what of that CUDA allows.
// Pure bookkeeping: no commands, no locks. Results are CUDA's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "abi/cuda.h"
#include "remoting/client/address_space.h"

namespace mignificient::client {

class VirtualSpace {
 public:
  using Handle = CUmemGenericAllocationHandle;

  explicit VirtualSpace(uint64_t granule) : granule_(granule) {}

  // `given`: bytes as the program asked for, and must name again to free the range.
  void Reserved(Extent range, uint64_t given);
  // The whole range, when nothing is mapped in it.
  CUresult Unreserve(uint64_t address, uint64_t given, Extent& range);

  void Created(Handle handle, uint64_t bytes, const CUmemAllocationProp& prop);
  const CUmemAllocationProp* Properties(Handle handle) const;
  // The program's reference ends. Memory without references and mappings is gone: `gone` says how many bytes.
  CUresult Release(Handle handle, std::optional<uint64_t>& gone);
  // One more reference to what is mapped at `address`.
  CUresult Retain(uint64_t address, Handle& handle);

  CUresult MayMap(uint64_t address, uint64_t bytes, uint64_t offset, Handle handle) const;
  void Mapped(uint64_t address, uint64_t bytes, Handle handle);
  // What is mapped in [address, address + bytes), which may be nothing. nullopt: the range is not granules of one
  // reservation, or part of a mapping lies outside.
  std::optional<std::vector<Extent>> MayUnmap(uint64_t address, uint64_t bytes) const;
  // Returns the memory that is gone with the mapping at `address`.
  std::optional<std::pair<Handle, uint64_t>> Unmapped(uint64_t address);
  // [address, address + bytes) is made of whole mappings, side by side.
  bool WholeMappings(uint64_t address, uint64_t bytes) const;
  void SetAccess(uint64_t address, uint64_t bytes, int flags);

  struct Mapping {
    Extent extent;
    Handle handle;
    int access;  // CUmemAccess_flags
  };
  std::optional<Mapping> FindMapping(uint64_t address) const;
  std::optional<Extent> FindReservation(uint64_t address) const;
  // Mappings side by side around `address` that work may use.
  std::optional<Extent> FindAccessible(uint64_t address) const;

 private:
  struct Reservation {
    uint64_t bytes;
    uint64_t given;
  };
  struct Memory {
    uint64_t bytes;
    CUmemAllocationProp prop;
    unsigned references;
    unsigned mappings;
  };
  bool InReservation(uint64_t address, uint64_t bytes) const;
  std::optional<uint64_t> DropIfGone(Handle handle);

  uint64_t granule_;
  std::map<uint64_t, Reservation> reservations_;
  std::map<uint64_t, Mapping> mappings_;
  std::map<Handle, Memory> memory_;
};

}  // namespace mignificient::client
