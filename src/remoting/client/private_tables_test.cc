#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <cstring>

#include "remoting/client/context.h"
#include "remoting/client/fake_call.h"
#include "remoting/client/integrity.h"

extern "C" {
CUresult cuCtxSetCurrent(CUcontext);
CUresult cuGetExportTable(const void**, const CUuuid*);
}

namespace mignificient::client {
namespace {

class PrivateTablesTest : public testing::Test {
 protected:
  void SetUp() override { fake::Reset(); }

  static CUresult Look(const char* hex, const void*& table) {
    CUuuid uuid;
    for (int i = 0; i < 16; ++i) {
      unsigned byte = 0;
      std::sscanf(hex + 2 * i, "%2x", &byte);
      uuid.bytes[i] = static_cast<unsigned char>(byte);
    }
    return cuGetExportTable(&table, &uuid);
  }
  static void* const* Table(const char* hex) {
    const void* table = nullptr;
    EXPECT_EQ(Look(hex, table), CUDA_SUCCESS) << hex;
    return static_cast<void* const*>(table);
  }
  template <typename... Arguments>
  static CUresult Call(void* entry, Arguments... arguments) {
    return reinterpret_cast<CUresult (*)(Arguments...)>(entry)(arguments...);
  }
};

constexpr const char* kRuntime = "6bd5fb6c5bf4e74a8987d93912fd9df9";
constexpr const char* kTools = "a094798c2e742e7493f20800200c0a66";
constexpr const char* kStorage = "c693336e1121df11a8c368f355d89593";
constexpr const char* kIdentity = "21318c60971432488ca641ff7324c8f2";

TEST_F(PrivateTablesTest, TablesBeginWithTheirSize) {
  EXPECT_EQ(reinterpret_cast<size_t>(Table(kRuntime)[0]), 13u * 8);
  EXPECT_EQ(reinterpret_cast<size_t>(Table(kTools)[0]), 7u * 8);
  EXPECT_EQ(reinterpret_cast<size_t>(Table("263e88607cd2614392f6bbd5006dfa7e")[0]), 15u * 8);
  EXPECT_EQ(reinterpret_cast<size_t>(Table("42d85a8123f6cb478298f6e78a3aecdc")[0]), 3u * 8);
  EXPECT_EQ(reinterpret_cast<size_t>(Table(kIdentity)[0]), 93u * 8);
  EXPECT_EQ(reinterpret_cast<size_t>(Table("1734dc26800d47458726c0f1e7dd8bca")[0]), 17u * 8);
  EXPECT_EQ(reinterpret_cast<size_t>(Table("6e163fbeb958444d835ce182aff1991e")[0]), 99u * 8);
}

TEST_F(PrivateTablesTest, OtherTablesAreUnknown) {
  const void* table = &table;
  EXPECT_EQ(Look("f8cff95121468b4eb9e2fb469e7c0dd9", table), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(table, nullptr);
}

TEST_F(PrivateTablesTest, UnknownEntryRefusesAndNamesItself) {
  EXPECT_EQ(Call(Table(kIdentity)[90]), CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(fake::Get().refused, std::vector<std::string>{"entry 90 of private table 21318c60"});
}

TEST_F(PrivateTablesTest, RuntimeTableRetainsThePrimaryContext) {
  CUcontext context = nullptr, again = nullptr;
  EXPECT_EQ(Call(Table(kRuntime)[2], &context, CUdevice{0}), CUDA_SUCCESS);
  RetainPrimary(&again, 0);
  EXPECT_EQ(context, again);
}

TEST_F(PrivateTablesTest, ToolsBuffersAreZeroed) {
  char* buffer = nullptr;
  size_t bytes = 0;
  Call(Table(kTools)[2], &buffer, &bytes);
  ASSERT_EQ(bytes, 0x400u);
  for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(buffer[i], 0);
  Call(Table(kTools)[6], &buffer, &bytes);
  EXPECT_EQ(bytes, 14u);
}

TEST_F(PrivateTablesTest, StorageNeedsAContextAndDefaultsToTheCurrentOne) {
  void* const* table = Table(kStorage);
  int key = 0, value = 0;
  void* found = nullptr;
  EXPECT_EQ(Call(table[2], &found, CUcontext{}, &key), CUDA_ERROR_INVALID_CONTEXT);
  CUcontext context = nullptr;
  RetainPrimary(&context, 0);
  cuCtxSetCurrent(context);
  EXPECT_EQ(Call(table[2], &found, CUcontext{}, &key), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(Call(table[0], CUcontext{}, &key, &value, static_cast<void*>(nullptr)), CUDA_SUCCESS);
  EXPECT_EQ(Call(table[2], &found, context, &key), CUDA_SUCCESS);
  EXPECT_EQ(found, &value);
  EXPECT_EQ(Call(table[1], context, &key), CUDA_SUCCESS);
}

TEST_F(PrivateTablesTest, IntegrityCheckDescribesThisProcess) {
  void* const* table = Table("d4082055bde6704b8d34ba123c66e1f2");
  EXPECT_EQ(table[2], nullptr);
  uint64_t result[2] = {};
  EXPECT_EQ(Call(table[1], uint32_t{13002}, uint64_t{1700000000}, result), CUDA_SUCCESS);
  const IntegrityFacts facts{
      .driver_version = 13000,
      .version = 13002,
      .process = static_cast<uint32_t>(::getpid()),
      .thread = static_cast<uint32_t>(::pthread_self()),
      .runtime_table = reinterpret_cast<uint64_t>(Table(kRuntime)),
      .integrity_table = reinterpret_cast<uint64_t>(table),
      .check = reinterpret_cast<uint64_t>(table[1]),
      .unix_seconds = 1700000000,
  };
  const IntegrityDevice device{fake::Get().device.uuid, 0, 0x1b, 6};
  const auto expected = IntegrityAnswer(facts, {&device, 1});
  EXPECT_EQ(result[0], expected[0]);
  EXPECT_EQ(result[1], expected[1]);
}

TEST_F(PrivateTablesTest, StreamObjectIsTheHandleAndNullIsTheLegacyStream) {
  void* object = nullptr;
  EXPECT_EQ(Call(Table(kIdentity)[51], CUcontext{}, CUstream{}, &object), CUDA_SUCCESS);
  EXPECT_EQ(object, CuStreamLegacy());
}

}  // namespace
}  // namespace mignificient::client
