#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "driver/cpu/driver_fixture.h"

namespace mignificient::cpu {
namespace {

using testing::Each;
using testing::ElementsAre;

class DriverMemoryTest : public GateTest {
 protected:
  CUdeviceptr Reserve(uint64_t bytes) {
    CUdeviceptr ptr = 0;
    EXPECT_OK(cu->cuMemAddressReserve(&ptr, bytes, 0, 0, 0));
    return ptr;
  }
  size_t FreeBytes() {
    size_t free_bytes = 0, total_bytes = 0;
    EXPECT_OK(cu->cuMemGetInfo_v2(&free_bytes, &total_bytes));
    EXPECT_EQ(total_bytes, kMemoryBytes);
    return free_bytes;
  }
  // Bytes of pages that the device's memory file holds.
  static uint64_t ResidentBytes() {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code ignored;
      const auto target = std::filesystem::read_symlink(entry.path(), ignored).string();
      struct stat status{};
      if (target.find("mignificient-device-memory") == std::string::npos || stat(entry.path().c_str(), &status) != 0) {
        continue;
      }
      return static_cast<uint64_t>(status.st_blocks) * 512;
    }
    ADD_FAILURE() << "The device has no memory file.";
    return 0;
  }
};

TEST_F(DriverMemoryTest, FreshMemoryIsZeroAndReleasedMemoryGoesBack) {
  const uint64_t bytes = 16 * kPage;
  for (int round = 0; round < 3; ++round) {
    const CUdeviceptr ptr = Alloc(bytes);
    EXPECT_EQ(FreeBytes(), kMemoryBytes - bytes);
    EXPECT_THAT(Download<uint8_t>(ptr, bytes), Each(0));
    EXPECT_OK(cu->cuMemsetD8Async(ptr, 0xab, bytes, nullptr));
    EXPECT_OK(cu->cuCtxSynchronize());
    EXPECT_EQ(ResidentBytes(), bytes);
    EXPECT_OK(cu->cuMemUnmap(ptr, bytes));
    EXPECT_OK(cu->cuMemAddressFree(ptr, bytes + kPage));
    EXPECT_EQ(FreeBytes(), kMemoryBytes);
    EXPECT_EQ(ResidentBytes(), 0u);
  }
}

TEST_F(DriverMemoryTest, MemoryBeyondThePartitionIsRefused) {
  const auto prop = OnDevice();
  CUmemGenericAllocationHandle handle = 0, more = 0;
  EXPECT_OK(cu->cuMemCreate(&handle, kMemoryBytes, &prop, 0));
  EXPECT_CUDA(cu->cuMemCreate(&more, kPage, &prop, 0), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_OK(cu->cuMemRelease(handle));
  EXPECT_OK(cu->cuMemCreate(&more, kPage, &prop, 0));
}

TEST_F(DriverMemoryTest, ContentsFollowTheHandleToAnotherAddress) {
  const auto handle = Create(kPage);
  const CUdeviceptr here = Reserve(kPage), there = Reserve(kPage);
  EXPECT_OK(cu->cuMemMap(here, kPage, 0, handle, 0));
  EXPECT_OK(Allow(here, kPage));
  EXPECT_OK(cu->cuMemsetD32Async(here, 42, 4, nullptr));
  EXPECT_OK(cu->cuCtxSynchronize());
  EXPECT_OK(cu->cuMemUnmap(here, kPage));
  EXPECT_OK(cu->cuMemMap(there, kPage, 0, handle, 0));
  EXPECT_OK(Allow(there, kPage));
  EXPECT_THAT(Download<uint32_t>(there, 4), Each(42u));
}

TEST_F(DriverMemoryTest, MappingsAreAllOrNothing) {
  const CUdeviceptr ptr = Reserve(4 * kPage);
  const auto handle = Create(2 * kPage);
  EXPECT_CUDA(cu->cuMemMap(ptr, 3 * kPage, 0, handle, 0), CUDA_ERROR_INVALID_VALUE);  // longer than the allocation
  EXPECT_CUDA(cu->cuMemMap(ptr + 3 * kPage, 2 * kPage, 0, handle, 0), CUDA_ERROR_INVALID_VALUE);  // leaves the window
  EXPECT_OK(cu->cuMemMap(ptr, 2 * kPage, 0, handle, 0));
  EXPECT_CUDA(cu->cuMemMap(ptr + kPage, 2 * kPage, 0, handle, 0), CUDA_ERROR_INVALID_VALUE);  // overlaps
  EXPECT_CUDA(cu->cuMemsetD8Async(ptr, 1, 1, nullptr), CUDA_ERROR_INVALID_VALUE);             // no access yet
  EXPECT_CUDA(Allow(ptr, kPage), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(Allow(ptr, 4 * kPage), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(Allow(ptr, 2 * kPage));
  EXPECT_CUDA(cu->cuMemUnmap(ptr, kPage), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuMemAddressFree(ptr, 4 * kPage), CUDA_ERROR_INVALID_VALUE);  // still mapped
  EXPECT_OK(cu->cuMemUnmap(ptr, 2 * kPage));
  EXPECT_CUDA(cu->cuMemAddressFree(ptr, kPage), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(cu->cuMemAddressFree(ptr, 4 * kPage));
  EXPECT_OK(cu->cuMemRelease(handle));
  EXPECT_CUDA(cu->cuMemRelease(handle), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(DriverMemoryTest, ReservationsHaveTheAlignmentAndThePlaceAskedFor) {
  CUdeviceptr aligned = 0, again = 0;
  EXPECT_OK(cu->cuMemAddressReserve(&aligned, kPage, 1 << 21, 0, 0));
  EXPECT_EQ(aligned % (1 << 21), 0u);
  EXPECT_OK(cu->cuMemAddressFree(aligned, kPage));
  EXPECT_OK(cu->cuMemAddressReserve(&again, kPage, 0, aligned, 0));
  EXPECT_EQ(again, aligned);
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{1000}, ~uint64_t{0}, uint64_t{1} << 62}) {
    EXPECT_CUDA(cu->cuMemAddressReserve(&again, bytes, 0, 0, 0), CUDA_ERROR_INVALID_VALUE);
  }
  EXPECT_CUDA(cu->cuMemAddressReserve(&again, kPage, 3, 0, 0), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(DriverMemoryTest, MemsetsOfEveryWidthWriteTheirElements) {
  const CUdeviceptr ptr = Alloc(kPage);
  EXPECT_OK(cu->cuMemsetD8Async(ptr, 0x11, 3, nullptr));
  EXPECT_OK(cu->cuMemsetD16Async(ptr + 4, 0x2222, 1, nullptr));
  EXPECT_OK(cu->cuMemsetD32Async(ptr + 8, 0x33333333, 1, nullptr));
  EXPECT_THAT(Download<uint32_t>(ptr, 4), ElementsAre(0x111111u, 0x2222u, 0x33333333u, 0u));
  EXPECT_OK(cu->cuMemsetD2D32Async(ptr, 16, 9, 2, 2, nullptr));
  EXPECT_THAT(Download<uint32_t>(ptr, 7), ElementsAre(9u, 9u, 0x33333333u, 0u, 9u, 9u, 0u));
  EXPECT_OK(cu->cuMemsetD2D16Async(ptr, 8, 0, 2, 2, nullptr));
  EXPECT_OK(cu->cuMemsetD2D8Async(ptr, 1, 0, 1, 16, nullptr));
  EXPECT_THAT(Download<uint32_t>(ptr, 4), Each(0u));
}

TEST_F(DriverMemoryTest, MemsetsThatDoNotFitAreRefused) {
  const CUdeviceptr ptr = Alloc(kPage);
  EXPECT_CUDA(cu->cuMemsetD32Async(ptr + 2, 1, 1, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuMemsetD16Async(ptr + 1, 1, 1, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuMemsetD2D32Async(ptr, 8, 1, 4, 4, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuMemsetD8Async(ptr, 1, kPage + 1, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuMemsetD2D8Async(ptr, kPage, 1, 1, 2, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuMemsetD32Async(ptr, 1, ~size_t{0} / 2, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuMemsetD2D32Async(ptr, ~size_t{0} / 4 * 4, 1, 1, 5, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(cu->cuMemsetD8Async(0, 1, 0, nullptr));
  EXPECT_OK(cu->cuCtxSynchronize());
}

TEST_F(DriverMemoryTest, CopiesOutsideDeviceMemoryAreRefused) {
  const CUdeviceptr ptr = Alloc(kPage);
  char host[16] = {};
  EXPECT_CUDA(cu->cuMemcpyHtoDAsync_v2(0x1000, host, 8, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuMemcpyHtoDAsync_v2(ptr, nullptr, 8, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuMemcpyHtoDAsync_v2(ptr + kPage - 4, host, 8, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuMemcpyDtoHAsync_v2(host, ptr + kPage, 8, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuMemcpyDtoDAsync_v2(ptr, ptr, ~size_t{0}, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(cu->cuMemcpyDtoHAsync_v2(nullptr, 0, 0, nullptr));
}

TEST_F(DriverMemoryTest, PageableMemoryMayBeReusedAsSoonAsTheCopyReturns) {
  const CUstream stream = NewStream(1);
  const CUdeviceptr ptr = Alloc(kPage);
  EXPECT_OK(Await(stream));
  uint32_t source = 5;
  EXPECT_OK(cu->cuMemcpyHtoDAsync_v2(ptr, &source, sizeof(source), stream));
  source = 6;
  Open();
  EXPECT_OK(cu->cuStreamSynchronize(stream));
  EXPECT_THAT(Download<uint32_t>(ptr, 1), ElementsAre(5u));
}

TEST_F(DriverMemoryTest, RegisteredMemoryIsReadWhenTheCopyRuns) {
  const CUstream stream = NewStream(1);
  const CUdeviceptr ptr = Alloc(kPage);
  std::vector<uint32_t> source(1000, 5), target(1000, 0);
  EXPECT_OK(cu->cuMemHostRegister_v2(source.data(), 4000, 0));
  EXPECT_OK(cu->cuMemHostRegister_v2(target.data(), 4000, 0));
  EXPECT_OK(Await(stream));
  EXPECT_OK(cu->cuMemcpyHtoDAsync_v2(ptr, source.data(), 4000, stream));
  EXPECT_OK(cu->cuMemcpyDtoHAsync_v2(target.data(), ptr, 4000, stream));
  EXPECT_CUDA(cu->cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
  source.assign(1000, 6);
  Open();
  EXPECT_OK(cu->cuStreamSynchronize(stream));
  EXPECT_THAT(target, Each(6u));
  EXPECT_OK(cu->cuMemHostUnregister(source.data()));
  EXPECT_OK(cu->cuMemHostUnregister(target.data()));
}

TEST_F(DriverMemoryTest, LargeCopiesArriveWhole) {
  std::vector<uint32_t> numbers(3'000'000);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<uint32_t>(i * 2654435761u);
  const CUdeviceptr one = Upload(numbers), two = Alloc(numbers.size() * 4);
  EXPECT_OK(cu->cuMemcpyDtoDAsync_v2(two, one, numbers.size() * 4, nullptr));
  EXPECT_EQ(Download<uint32_t>(two, numbers.size()), numbers);
}

TEST_F(DriverMemoryTest, HostRangesAreRegisteredOnceAndMustExist) {
  alignas(64) static char buffer[8192];
  EXPECT_OK(cu->cuMemHostRegister_v2(buffer, sizeof(buffer), 0));
  EXPECT_CUDA(cu->cuMemHostRegister_v2(buffer + 4096, 100, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
  EXPECT_OK(cu->cuMemHostUnregister(buffer));
  EXPECT_CUDA(cu->cuMemHostUnregister(buffer), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
  EXPECT_CUDA(cu->cuMemHostRegister_v2(reinterpret_cast<void*>(0x1000), 4096, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuMemHostRegister_v2(nullptr, 4096, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuMemHostRegister_v2(buffer, 0, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuMemHostRegister_v2(buffer, ~size_t{0}, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuMemHostRegister_v2(const_cast<char*>("read only"), 4, 0), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace mignificient::cpu
