// Machine code for one architecture as nvcc and the libraries of the CUDA toolkit have it: an ELF64 executable of
// machine 190, whose kernels are its function symbols with bit 4 of st_other set. Its flags tell the architecture: with
// OS ABI 0x41 and ABI version 8 (what nvcc 13.0 writes) in bits 8 to 15, with 0x33 and 7 (most of cuBLAS 13.0) in bits
// 0 to 7. Seen with `readelf`; nothing of it is published.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace mignificient::abi {

struct Cubin {
  uint32_t sm = 0;                        // 90 for compute capability 9.0
  std::vector<std::string_view> kernels;  // their names, which lie in the image
};

// nullopt for what is not such an executable, or not whole. Nothing outside `image` is read.
std::optional<Cubin> ReadCubin(std::span<const std::byte> image);

// Code runs on the devices of its own major version whose minor version is not lower.
constexpr bool RunsOn(const Cubin& cubin, uint32_t major, uint32_t minor) {
  return cubin.sm / 10 == major && cubin.sm % 10 <= minor;
}

}  // namespace mignificient::abi
