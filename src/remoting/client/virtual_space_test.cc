#include "remoting/client/virtual_space.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mignificient::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;
using testing::Pair;

constexpr uint64_t kGranule = 1 << 21;
constexpr uint64_t kBase = uint64_t{1} << 44;
constexpr CUmemGenericAllocationHandle kHandle = 77;

// A reservation of eight granules and memory of four.
class VirtualSpaceTest : public testing::Test {
 protected:
  VirtualSpaceTest() {
    space_.Reserved({kBase, 8 * kGranule}, 8 * kGranule - 4096);
    space_.Created(kHandle, 4 * kGranule, {});
  }
  CUresult Map(uint64_t at, uint64_t count, uint64_t offset = 0) {
    const uint64_t address = kBase + at * kGranule, bytes = count * kGranule;
    const CUresult result = space_.MayMap(address, bytes, offset * kGranule, kHandle);
    if (result == CUDA_SUCCESS) space_.Mapped(address, bytes, kHandle);
    return result;
  }
  bool Whole(uint64_t at, uint64_t count) const {
    return space_.WholeMappings(kBase + at * kGranule, count * kGranule);
  }

  VirtualSpace space_{kGranule};
};

TEST_F(VirtualSpaceTest, RangesAreFreedWithTheSizeThatWasGivenAndWithoutMappings) {
  Extent range;
  EXPECT_EQ(space_.Unreserve(kBase, 8 * kGranule, range), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(space_.Unreserve(kBase + kGranule, 8 * kGranule - 4096, range), CUDA_ERROR_INVALID_VALUE);
  ASSERT_EQ(Map(7, 1), CUDA_SUCCESS);
  EXPECT_EQ(space_.Unreserve(kBase, 8 * kGranule - 4096, range), CUDA_ERROR_INVALID_VALUE);
  space_.Unmapped(kBase + 7 * kGranule);
  EXPECT_EQ(space_.Unreserve(kBase, 8 * kGranule - 4096, range), CUDA_SUCCESS);
  EXPECT_EQ(range, (Extent{kBase, 8 * kGranule}));
  EXPECT_EQ(Map(0, 1), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(VirtualSpaceTest, MappingsAreAlignedInsideTheReservationAndTheMemoryAndDoNotOverlap) {
  EXPECT_EQ(space_.MayMap(kBase + 4096, kGranule, 0, kHandle), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(space_.MayMap(kBase, 4096, 0, kHandle), CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(space_.MayMap(kBase, 0, 0, kHandle), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(space_.MayMap(kBase, kGranule, 4096, kHandle), CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(space_.MayMap(kBase + 4096, 4096, 0, kHandle), CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(space_.MayMap(kBase, kGranule, 0, kHandle + 1), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(Map(0, 5), CUDA_ERROR_NOT_SUPPORTED) << "More than there is.";
  EXPECT_EQ(Map(0, 2, 3), CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(Map(6, 4), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(space_.MayMap(~uint64_t{0} - kGranule + 1, kGranule, 0, kHandle), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(Map(2, 2), CUDA_SUCCESS);
  EXPECT_EQ(Map(1, 2), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(Map(3, 1), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(Map(4, 4), CUDA_SUCCESS) << "The same memory may be mapped twice.";
}

TEST_F(VirtualSpaceTest, OnlyWholeMappingsSideBySideCount) {
  ASSERT_EQ(Map(0, 2), CUDA_SUCCESS);
  ASSERT_EQ(Map(2, 1), CUDA_SUCCESS);
  ASSERT_EQ(Map(4, 1), CUDA_SUCCESS);
  EXPECT_TRUE(Whole(0, 2));
  EXPECT_TRUE(Whole(0, 3));
  EXPECT_FALSE(Whole(0, 1));
  EXPECT_FALSE(Whole(1, 1));
  EXPECT_FALSE(Whole(2, 3)) << "There is a gap.";
  EXPECT_FALSE(Whole(0, 0));
}

TEST_F(VirtualSpaceTest, RangesAreUnmappedWithTheirGapsButNeverPartOfAMapping) {
  ASSERT_EQ(Map(1, 2), CUDA_SUCCESS);
  ASSERT_EQ(Map(5, 1), CUDA_SUCCESS);
  const auto in = [&](uint64_t at, uint64_t count) { return space_.MayUnmap(kBase + at * kGranule, count * kGranule); };
  EXPECT_THAT(in(0, 8),
              Optional(ElementsAre(Extent{kBase + kGranule, 2 * kGranule}, Extent{kBase + 5 * kGranule, kGranule})));
  EXPECT_THAT(in(3, 2), Optional(IsEmpty()));
  EXPECT_FALSE(in(0, 2));
  EXPECT_FALSE(in(2, 2));
  EXPECT_FALSE(in(7, 2)) << "Beyond the reservation.";
  EXPECT_FALSE(in(0, 0));
  EXPECT_FALSE(space_.MayUnmap(kBase + 4096, kGranule));
  EXPECT_FALSE(space_.MayUnmap(kBase, kGranule + 4096));
}

TEST_F(VirtualSpaceTest, MemoryIsGoneWithItsLastReferenceOrMapping) {
  std::optional<uint64_t> gone;
  ASSERT_EQ(Map(0, 1), CUDA_SUCCESS);
  ASSERT_EQ(Map(1, 1), CUDA_SUCCESS);
  EXPECT_EQ(space_.Release(kHandle, gone), CUDA_SUCCESS);
  EXPECT_FALSE(gone);
  EXPECT_EQ(space_.Release(kHandle, gone), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(space_.Properties(kHandle), nullptr);
  EXPECT_FALSE(space_.Unmapped(kBase));
  EXPECT_THAT(space_.Unmapped(kBase + kGranule), Optional(Pair(kHandle, 4 * kGranule)));
}

TEST_F(VirtualSpaceTest, RetainedHandleIsTheOneThatWasMapped) {
  std::optional<uint64_t> gone;
  CUmemGenericAllocationHandle handle = 0;
  EXPECT_EQ(space_.Retain(kBase, handle), CUDA_ERROR_INVALID_VALUE);
  ASSERT_EQ(Map(0, 1), CUDA_SUCCESS);
  space_.Release(kHandle, gone);
  EXPECT_EQ(space_.Retain(kBase + 100, handle), CUDA_SUCCESS);
  EXPECT_EQ(handle, kHandle);
  EXPECT_FALSE(space_.Unmapped(kBase));
  EXPECT_EQ(Map(3, 1), CUDA_SUCCESS);
  space_.Unmapped(kBase + 3 * kGranule);
  EXPECT_EQ(space_.Release(kHandle, gone), CUDA_SUCCESS);
  EXPECT_EQ(gone, 4 * kGranule);
}

TEST_F(VirtualSpaceTest, AccessStartsAsNoneAndIsKeptPerMapping) {
  ASSERT_EQ(Map(0, 2), CUDA_SUCCESS);
  ASSERT_EQ(Map(2, 1), CUDA_SUCCESS);
  EXPECT_EQ(space_.FindMapping(kBase + kGranule)->access, CU_MEM_ACCESS_FLAGS_PROT_NONE);
  space_.SetAccess(kBase, 2 * kGranule, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
  EXPECT_EQ(space_.FindMapping(kBase + kGranule)->access, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
  EXPECT_EQ(space_.FindMapping(kBase + kGranule)->extent, (Extent{kBase, 2 * kGranule}));
  EXPECT_EQ(space_.FindMapping(kBase + 2 * kGranule)->access, CU_MEM_ACCESS_FLAGS_PROT_NONE);
  EXPECT_FALSE(space_.FindMapping(kBase + 3 * kGranule));
  EXPECT_TRUE(space_.FindReservation(kBase + 3 * kGranule));
  EXPECT_FALSE(space_.FindReservation(kBase + 8 * kGranule));
}

}  // namespace
}  // namespace mignificient::client
