#include "remoting/client/context_storage.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace mignificient::client {
namespace {

CUcontext Context(uint64_t n) {
  return reinterpret_cast<CUcontext>(n);
}
void* Pointer(uint64_t n) {
  return reinterpret_cast<void*>(n);
}

TEST(ContextStorageTest, ValueIsFoundByContextAndKey) {
  void* value = nullptr;
  EXPECT_EQ(PutStorage(Context(1), Pointer(10), Pointer(100), nullptr), CUDA_SUCCESS);
  EXPECT_EQ(GetStorage(&value, Context(1), Pointer(10)), CUDA_SUCCESS);
  EXPECT_EQ(value, Pointer(100));
  EXPECT_EQ(GetStorage(&value, Context(2), Pointer(10)), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(GetStorage(&value, Context(1), Pointer(11)), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(PutStorage(Context(1), Pointer(10), Pointer(101), nullptr), CUDA_SUCCESS);
  EXPECT_EQ(GetStorage(&value, Context(1), Pointer(10)), CUDA_SUCCESS);
  EXPECT_EQ(value, Pointer(101));
  EXPECT_EQ(DeleteStorage(Context(1), Pointer(10)), CUDA_SUCCESS);
  EXPECT_EQ(DeleteStorage(Context(1), Pointer(10)), CUDA_ERROR_INVALID_HANDLE);
}

TEST(ContextStorageTest, FullTableRefusesAndSlotsAreUsedAgain) {
  for (uint64_t round = 0; round < 3; ++round) {
    for (uint64_t i = 0; i < kStorageSlots; ++i)
      ASSERT_EQ(PutStorage(Context(round + 5), Pointer(i + 1), Pointer(i), nullptr), CUDA_SUCCESS);
    EXPECT_EQ(PutStorage(Context(99), Pointer(1), Pointer(1), nullptr), CUDA_ERROR_OUT_OF_MEMORY);
    void* value = nullptr;
    EXPECT_EQ(GetStorage(&value, Context(round + 5), Pointer(700)), CUDA_SUCCESS);
    EXPECT_EQ(value, Pointer(699));
    DestroyStorage(Context(round + 5));
    EXPECT_EQ(GetStorage(&value, Context(round + 5), Pointer(700)), CUDA_ERROR_INVALID_HANDLE);
  }
}

TEST(ContextStorageTest, DestructorMayUseTheStorage) {
  static int calls = 0;
  PutStorage(Context(3), Pointer(1), Pointer(2), [](CUcontext context, void* key, void*) {
    ++calls;
    EXPECT_EQ(DeleteStorage(context, key), CUDA_ERROR_INVALID_HANDLE);
  });
  DestroyStorage(Context(3));
  DestroyStorage(Context(3));
  EXPECT_EQ(calls, 1);
}

// A value always belongs to its key, whatever happens to the slots meanwhile.
TEST(ContextStorageTest, ReadersNeverSeeTheValueOfAnotherKey) {
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < 2; ++t)
    readers.emplace_back([&] {
      for (uint64_t i = 0; !stop; ++i) {
        void* value = nullptr;
        const uint64_t key = i % 64 + 1;
        if (GetStorage(&value, Context(4), Pointer(key)) == CUDA_SUCCESS && value != Pointer(key * 1000)) ++wrong;
      }
    });
  for (int round = 0; round < 300; ++round)
    for (uint64_t key = 1; key <= 64; ++key) {
      PutStorage(Context(4), Pointer(key), Pointer(key * 1000), nullptr);
      if (round % 2 == 0) DeleteStorage(Context(4), Pointer(key));
    }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
  DestroyStorage(Context(4));
}

}  // namespace
}  // namespace mignificient::client
