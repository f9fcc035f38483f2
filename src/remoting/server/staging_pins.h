// The staging chunks of one connection, each registered with the device when it is first used: a connection opens
// sooner, and a program that copies little pins little memory of the host.
#pragma once

#include <bitset>
#include <cstddef>

#include "driver/driver_table.h"
#include "remoting/wire/attach.h"

namespace mignificient::server {

class StagingPins {
 public:
  // `chunks`: kStagingChunks of them, one behind the other, which live until UnpinAll.
  StagingPins(const DriverTable& driver, std::byte* chunks) : driver_(driver), chunks_(chunks) {}

  // `chunk` is below kStagingChunks. What the driver says; a chunk that is registered already is a success.
  CUresult Pin(uint32_t chunk) {
    const uint32_t group = chunk / kGroup;
    if (pinned_[group]) return CUDA_SUCCESS;
    const CUresult result = driver_.cuMemHostRegister_v2(Address(group), kGroupBytes, 0);
    pinned_[group] = result == CUDA_SUCCESS;
    return result;
  }

  void UnpinAll() {
    for (uint32_t group = 0; group < kGroups; ++group)
      if (pinned_[group]) driver_.cuMemHostUnregister(Address(group));
    pinned_.reset();
  }

 private:
  // Registered together: to register takes the driver 0.1 ms and more, whatever the size.
  static constexpr uint32_t kGroup = 4, kGroups = wire::kStagingChunks / kGroup;
  static constexpr size_t kGroupBytes = size_t{kGroup} * wire::kChunkBytes;
  static_assert(wire::kStagingChunks % kGroup == 0);

  std::byte* Address(uint32_t group) const { return chunks_ + group * kGroupBytes; }

  const DriverTable& driver_;
  std::byte* const chunks_;
  std::bitset<kGroups> pinned_;
};

}  // namespace mignificient::server
