#include <numeric>

#include "abi/array.h"
#include "driver/cpu/driver_fixture.h"

namespace mignificient::cpu {
namespace {

using testing::ElementsAre;

constexpr int kHost = static_cast<int>(CU_MEMORYTYPE_HOST), kDevice = static_cast<int>(CU_MEMORYTYPE_DEVICE);
constexpr int kUint32 = 3, kFloat = 0x20;
constexpr unsigned kLayered = 1, kSurface = 2;

class DriverArrayTest : public DriverTest {
 protected:
  CUarray NewArray(CUDA_ARRAY3D_DESCRIPTOR description) {
    CUarray array = nullptr;
    EXPECT_OK(cu->cuArray3DCreate_v2(&array, &description));
    return array;
  }
  CUresult Copy(const CUDA_MEMCPY3D& copy) { return cu->cuMemcpy3DAsync_v2(&copy, nullptr); }

  // All of an array of 4-byte elements, to or from the host.
  CUDA_MEMCPY3D ToArray(CUarray array, const void* host, size_t width, size_t height, size_t depth) {
    CUDA_MEMCPY3D copy{};
    copy.src_memory_type = kHost, copy.src_host = host, copy.src_pitch = width * 4, copy.src_height = height;
    copy.dst_memory_type = CU_MEMORYTYPE_ARRAY, copy.dst_array = array;
    copy.width_bytes = width * 4, copy.height = height, copy.depth = depth;
    return copy;
  }
  CUDA_MEMCPY3D FromArray(CUarray array, void* host, size_t width, size_t height, size_t depth) {
    CUDA_MEMCPY3D copy{};
    copy.dst_memory_type = kHost, copy.dst_host = host, copy.dst_pitch = width * 4, copy.dst_height = height;
    copy.src_memory_type = CU_MEMORYTYPE_ARRAY, copy.src_array = array;
    copy.width_bytes = width * 4, copy.height = height, copy.depth = depth;
    return copy;
  }
};

TEST_F(DriverArrayTest, CopiesPartsOfThreeDimensions) {
  const CUarray array = NewArray({.width = 4, .height = 3, .depth = 2, .format = kUint32, .channels = 1});
  std::vector<uint32_t> numbers(24);
  std::iota(numbers.begin(), numbers.end(), 0);
  EXPECT_OK(Copy(ToArray(array, numbers.data(), 4, 3, 2)));
  // Columns 1 and 2 of rows 1 and 2 of the second slice, into device memory of another pitch.
  const CUdeviceptr device = Alloc(kPage);
  EXPECT_OK(cu->cuMemsetD32Async(device, 99, 32, nullptr));
  CUDA_MEMCPY3D part{};
  part.src_memory_type = CU_MEMORYTYPE_ARRAY, part.src_array = array;
  part.src_x_bytes = 4, part.src_y = 1, part.src_z = 1;
  part.dst_memory_type = kDevice, part.dst_device = device, part.dst_pitch = 12, part.dst_x_bytes = 4;
  part.width_bytes = 8, part.height = 2, part.depth = 1;
  EXPECT_OK(Copy(part));
  EXPECT_THAT(Download<uint32_t>(device, 7), ElementsAre(99, 17, 18, 99, 21, 22, 99));
  std::vector<uint32_t> back(24);
  EXPECT_OK(Copy(FromArray(array, back.data(), 4, 3, 2)));
  EXPECT_EQ(back, numbers);
  EXPECT_OK(cu->cuArrayDestroy(array));
  EXPECT_CUDA(Copy(part), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(DriverArrayTest, CopiesBetweenPitchedMemoryInBothDirections) {
  const auto numbers = Upload<uint32_t>({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  uint32_t out[6] = {};
  CUDA_MEMCPY3D copy{};
  copy.src_memory_type = CU_MEMORYTYPE_UNIFIED, copy.src_device = numbers, copy.src_pitch = 16, copy.src_x_bytes = 4;
  copy.dst_memory_type = kHost, copy.dst_host = out, copy.dst_pitch = 8;
  copy.width_bytes = 8, copy.height = 3, copy.depth = 1;
  EXPECT_OK(Copy(copy));
  EXPECT_THAT(out, ElementsAre(1, 2, 5, 6, 9, 10));
}

TEST_F(DriverArrayTest, WhatDoesNotFitIsRefused) {
  const CUarray array = NewArray({.width = 4, .height = 3, .format = kUint32, .channels = 1});
  std::vector<uint32_t> numbers(64);
  auto copy = ToArray(array, numbers.data(), 4, 3, 1);
  copy.dst_x_bytes = 4;  // one column too many
  EXPECT_CUDA(Copy(copy), CUDA_ERROR_INVALID_VALUE);
  copy = ToArray(array, numbers.data(), 4, 4, 1);
  EXPECT_CUDA(Copy(copy), CUDA_ERROR_INVALID_VALUE);
  copy = ToArray(array, numbers.data(), 4, 3, 2);
  EXPECT_CUDA(Copy(copy), CUDA_ERROR_INVALID_VALUE);
  copy = ToArray(array, numbers.data(), 4, 3, 1);
  copy.width_bytes = 6;  // half an element
  EXPECT_CUDA(Copy(copy), CUDA_ERROR_INVALID_VALUE);
  copy = ToArray(array, numbers.data(), 4, 3, 1);
  copy.src_pitch = 8;
  EXPECT_CUDA(Copy(copy), CUDA_ERROR_INVALID_VALUE);
  copy.src_pitch = ~size_t{0} / 2;
  EXPECT_CUDA(Copy(copy), CUDA_ERROR_INVALID_VALUE);
  copy = ToArray(array, nullptr, 4, 3, 1);
  EXPECT_CUDA(Copy(copy), CUDA_ERROR_INVALID_VALUE);
  copy.width_bytes = 0;
  EXPECT_OK(Copy(copy));
  CUarray none = nullptr;
  for (const CUDA_ARRAY3D_DESCRIPTOR bad :
       {CUDA_ARRAY3D_DESCRIPTOR{.width = 0, .height = 1, .format = kUint32, .channels = 1},
        CUDA_ARRAY3D_DESCRIPTOR{.width = 1, .height = 0, .depth = 2, .format = kUint32, .channels = 1},
        CUDA_ARRAY3D_DESCRIPTOR{.width = 1, .format = 99, .channels = 1},
        CUDA_ARRAY3D_DESCRIPTOR{.width = 1, .format = kUint32, .channels = 3},
        CUDA_ARRAY3D_DESCRIPTOR{.width = 1, .format = kUint32, .channels = 1, .flags = kLayered},
        CUDA_ARRAY3D_DESCRIPTOR{.width = 1 << 20, .format = kUint32, .channels = 1}}) {
    EXPECT_CUDA(cu->cuArray3DCreate_v2(&none, &bad), CUDA_ERROR_INVALID_VALUE);
  }
}

TEST_F(DriverArrayTest, ArraysTakeDeviceMemoryAndGiveItBack) {
  size_t before = 0, with = 0, after = 0, total = 0;
  EXPECT_OK(cu->cuMemGetInfo_v2(&before, &total));
  const CUarray array = NewArray({.width = 1024, .height = 64, .format = kFloat, .channels = 4});
  EXPECT_OK(cu->cuMemGetInfo_v2(&with, &total));
  EXPECT_EQ(before - with, 1024 * 64 * 16u);
  EXPECT_OK(cu->cuArrayDestroy(array));
  EXPECT_OK(cu->cuMemGetInfo_v2(&after, &total));
  EXPECT_EQ(before, after);
  CUarray none = nullptr;
  const CUDA_ARRAY3D_DESCRIPTOR huge{.width = 16384, .height = 16384, .format = kFloat, .channels = 4};
  EXPECT_CUDA(cu->cuArray3DCreate_v2(&none, &huge), CUDA_ERROR_OUT_OF_MEMORY);
}

TEST_F(DriverArrayTest, MipmappedArraysHalveEachLevel) {
  const CUDA_ARRAY3D_DESCRIPTOR description{.width = 8, .height = 3, .format = kUint32, .channels = 1};
  CUmipmappedArray pyramid = nullptr;
  EXPECT_OK(cu->cuMipmappedArrayCreate(&pyramid, &description, 9));
  CUarray level = nullptr, again = nullptr;
  EXPECT_OK(cu->cuMipmappedArrayGetLevel(&level, pyramid, 2));
  EXPECT_OK(cu->cuMipmappedArrayGetLevel(&again, pyramid, 2));
  EXPECT_EQ(level, again);
  CUDA_ARRAY3D_DESCRIPTOR of_level{};
  EXPECT_OK(cu->cuArray3DGetDescriptor_v2(&of_level, level));
  EXPECT_EQ(of_level.width, 2u);
  EXPECT_EQ(of_level.height, 1u);
  EXPECT_CUDA(cu->cuMipmappedArrayGetLevel(&again, pyramid, 4), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuArrayDestroy(level), CUDA_ERROR_INVALID_HANDLE);  // it is a part
  EXPECT_OK(cu->cuMipmappedArrayDestroy(pyramid));
  EXPECT_CUDA(cu->cuArray3DGetDescriptor_v2(&of_level, level), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(DriverArrayTest, TexturesAndSurfacesNameArrays) {
  const CUarray array = NewArray({.width = 4, .height = 2, .format = kFloat, .channels = 1, .flags = kSurface});
  const CUarray plain = NewArray({.width = 4, .height = 2, .format = kUint32, .channels = 1});
  CUDA_RESOURCE_DESC resource{};
  resource.resource.array = array;
  CUDA_TEXTURE_DESC description{};
  CUtexObject texture = 0;
  CUsurfObject surface = 0;
  EXPECT_OK(cu->cuTexObjectCreate(&texture, &resource, &description, nullptr));
  EXPECT_OK(cu->cuSurfObjectCreate(&surface, &resource));
  EXPECT_NE(texture, surface);
  resource.resource.array = plain;
  EXPECT_CUDA(cu->cuSurfObjectCreate(&surface, &resource), CUDA_ERROR_INVALID_VALUE);  // not made for it
  description.filter_mode = 1;
  EXPECT_CUDA(cu->cuTexObjectCreate(&texture, &resource, &description, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(cu->cuTexObjectDestroy(texture));
  EXPECT_CUDA(cu->cuTexObjectDestroy(texture), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace mignificient::cpu
