#include "remoting/server/staging_pins.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "remoting/server/fake_driver.h"

namespace mignificient::server {
namespace {

// What is registered: address -> bytes. Drivers are plain functions, so there is one.
std::map<void*, size_t>& Registered() {
  static std::map<void*, size_t> registered;
  return registered;
}

class StagingPinsTest : public testing::Test {
 protected:
  StagingPinsTest() {
    Registered().clear();
    driver_.cuMemHostRegister_v2 = [](void* address, size_t bytes, unsigned) {
      return Registered().emplace(address, bytes).second ? CUDA_SUCCESS : CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
    };
    driver_.cuMemHostUnregister = [](void* address) {
      return Registered().erase(address) == 1 ? CUDA_SUCCESS : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    };
  }
  bool IsRegistered(uint32_t chunk) const {
    const std::byte* address = memory_.data() + size_t{chunk} * wire::kChunkBytes;
    for (const auto& [begin, bytes] : Registered())
      if (address >= begin && address + wire::kChunkBytes <= static_cast<std::byte*>(begin) + bytes) return true;
    return false;
  }

  std::vector<std::byte> memory_{size_t{wire::kStagingChunks} * wire::kChunkBytes};
  DriverTable driver_ = FakeDriver();
  StagingPins pins_{driver_, memory_.data()};
};

TEST_F(StagingPinsTest, AChunkIsRegisteredWhenItIsFirstUsed) {
  EXPECT_TRUE(Registered().empty());
  for (const uint32_t chunk : {0u, 0u, wire::kStagingChunks - 1, 0u}) {
    EXPECT_EQ(pins_.Pin(chunk), CUDA_SUCCESS);
    EXPECT_TRUE(IsRegistered(chunk));
  }
  EXPECT_FALSE(IsRegistered(wire::kStagingChunks / 2));
}

TEST_F(StagingPinsTest, EveryChunkCanBeRegisteredAndNothingStaysSo) {
  for (uint32_t chunk = 0; chunk < wire::kStagingChunks; ++chunk) EXPECT_EQ(pins_.Pin(chunk), CUDA_SUCCESS);
  for (uint32_t chunk = 0; chunk < wire::kStagingChunks; ++chunk) EXPECT_TRUE(IsRegistered(chunk));
  pins_.UnpinAll();
  EXPECT_TRUE(Registered().empty());
}

TEST_F(StagingPinsTest, WhatCouldNotBeRegisteredIsTriedAgain) {
  const auto works = driver_.cuMemHostRegister_v2;
  driver_.cuMemHostRegister_v2 = [](void*, size_t, unsigned) { return CUDA_ERROR_OUT_OF_MEMORY; };
  EXPECT_EQ(pins_.Pin(3), CUDA_ERROR_OUT_OF_MEMORY);
  driver_.cuMemHostRegister_v2 = works;
  EXPECT_EQ(pins_.Pin(3), CUDA_SUCCESS);
  EXPECT_TRUE(IsRegistered(3));
}

}  // namespace
}  // namespace mignificient::server
