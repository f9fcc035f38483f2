// What the tests of the engine share: memory a kernel may touch, and a launch in one call.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "driver/cpu/exec/launch.h"

namespace mignificient::cpu {

inline std::string Head(std::string_view version = "9.0") {
  return fmt::format(".version {}\n.target sm_90a\n.address_size 64\n", version);
}

// Packs kernel arguments as their parameters lie: naturally aligned.
class Params {
 public:
  template <typename T>
  Params& Add(T value) {
    bytes_.resize((bytes_.size() + alignof(T) - 1) / alignof(T) * alignof(T));
    const auto* at = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), at, at + sizeof value);
    return *this;
  }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

template <typename T>
uint64_t AddressOf(const std::vector<T>& v) {
  return reinterpret_cast<uint64_t>(v.data());
}
template <typename T>
MemoryMap::Extent ExtentOf(const std::vector<T>& v) {
  return {AddressOf(v), AddressOf(v) + v.size() * sizeof(T)};
}

struct Ran {
  LaunchResult result;
  std::string printed;
};

// A module with its globals in memory of the test.
class Module {
 public:
  explicit Module(std::string_view text, std::string_view version = "9.0") {
    auto program = Program::Compile(Head(version) + std::string(text));
    EXPECT_TRUE(program) << program.error().message();
    if (!program) return;
    program_ = std::move(*program);
    for (size_t i = 0; i < program_->globals().size(); ++i) {
      storage_.emplace_back(program_->globals()[i].size + 16);
      EXPECT_TRUE(program_->Bind(i, AddressOf(storage_.back())));
    }
    for (size_t i = 0; i < program_->globals().size(); ++i) {
      const auto image = program_->InitialImage(i);
      EXPECT_TRUE(image) << image.error().message();
      if (image && !image->empty()) std::memcpy(storage_[i].data(), image->data(), image->size());
    }
  }

  Ran Run(std::string_view name, Dim3 grid, Dim3 block, const Params& params, std::vector<MemoryMap::Extent> extents,
          uint32_t dynamic_shared = 0, const std::atomic<bool>* cancel = nullptr, bool cooperative = false) {
    Ran ran;
    const auto kernel = program_->FindKernel(name);
    EXPECT_TRUE(kernel) << kernel.error().message();
    if (!kernel) {
      ran.result.status = LaunchStatus::kInvalidLaunch;
      return ran;
    }
    for (const auto& s : storage_) extents.push_back(ExtentOf(s));
    Launch launch{.kernel = *kernel,
                  .grid = grid,
                  .block = block,
                  .dynamic_shared_bytes = dynamic_shared,
                  .params = params.bytes(),
                  .memory = MemoryMap::Of(extents),
                  .cancel = cancel,
                  .cooperative = cooperative,
                  .textures = textures,
                  .heap = heap};
    launch.printf = [&ran](std::string_view text) { ran.printed += text; };
    static WorkerPool pool(3);
    ran.result = cpu::Run(launch, pool);
    return ran;
  }

  const TextureTable* textures = nullptr;
  DeviceHeap* heap = nullptr;
  Program& program() { return *program_; }
  const std::vector<char>& storage(size_t index) const { return storage_[index]; }

 private:
  std::unique_ptr<Program> program_;
  std::vector<std::vector<char>> storage_;
};

}  // namespace mignificient::cpu
