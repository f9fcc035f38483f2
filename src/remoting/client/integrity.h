// The integrity check of the CUDA runtime: cudart asks the driver for a keyed digest of what it knows itself, and
// starts only with a driver that computes it. HMAC (RFC 2104) over MD2 (RFC 1319); it protects nothing, it is a
// handshake.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "abi/cuda.h"

namespace mignificient::client {

using Digest = std::array<uint8_t, 16>;

Digest Md2(std::span<const uint8_t> message);
Digest HmacMd2(std::span<const uint8_t, 16> key, std::span<const uint8_t> message);  // a key of MD2's block size

struct IntegrityDevice {
  CUuuid uuid;
  int32_t pci_domain;
  int32_t pci_bus;
  int32_t pci_device;
};

// What the digest covers, as the caller sees it through the API.
struct IntegrityFacts {
  uint32_t driver_version;
  uint32_t version;  // of the check, as asked
  uint32_t process;
  uint32_t thread;         // low half of pthread_self()
  uint64_t runtime_table;  // addresses of our tables and of the check itself
  uint64_t integrity_table;
  uint64_t check;
  uint64_t unix_seconds;
};

// The answer to the check: fixed for versions that end in 0 and 1.
std::array<uint64_t, 2> IntegrityAnswer(const IntegrityFacts& facts, std::span<const IntegrityDevice> devices);

}  // namespace mignificient::client
