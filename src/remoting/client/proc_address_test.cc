// Expected answers are those of driver 580.

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstring>

#include "remoting/client/fake_call.h"
#include "remoting/client/proc_table.h"

extern "C" {
CUresult cuGetProcAddress(const char*, void**, int, uint64_t);
CUresult cuGetProcAddress_v2(const char*, void**, int, uint64_t, int*);
unsigned cuMemAlloc();
unsigned cuMemAlloc_v2();
unsigned cuMemcpyHtoD_v2();
unsigned cuMemcpyHtoD_v2_ptds();
unsigned cuStreamBeginCapture_ptsz();
unsigned cuStreamBeginCapture_v2_ptsz();
unsigned cuCtxCreate_v4();
}

namespace mignificient::client {
namespace {

struct Answer {
  CUresult result;
  void* function;
  int status;
  bool operator==(const Answer&) const = default;
};

Answer Ask(const char* name, int version, uint64_t flags = 0) {
  Answer answer{CUDA_ERROR_UNKNOWN, reinterpret_cast<void*>(1), -1};
  answer.result = cuGetProcAddress_v2(name, &answer.function, version, flags, &answer.status);
  return answer;
}

Answer Found(unsigned (*function)()) {
  return {CUDA_SUCCESS, reinterpret_cast<void*>(function), 0};
}

class ProcAddressTest : public testing::Test {
 protected:
  void SetUp() override { fake::Reset(); }
};

TEST_F(ProcAddressTest, VersionChoosesTheSymbol) {
  EXPECT_EQ(Ask("cuMemAlloc", 2000), Found(cuMemAlloc));
  EXPECT_EQ(Ask("cuMemAlloc", 3010), Found(cuMemAlloc));
  EXPECT_EQ(Ask("cuMemAlloc", 3020), Found(cuMemAlloc_v2));
  EXPECT_EQ(Ask("cuMemAlloc", 13000), Found(cuMemAlloc_v2));
  EXPECT_EQ(Ask("cuCtxCreate", 13000), Found(cuCtxCreate_v4));
}

TEST_F(ProcAddressTest, FlagsChooseTheDefaultStream) {
  EXPECT_EQ(Ask("cuMemcpyHtoD", 12000, 0), Found(cuMemcpyHtoD_v2));
  EXPECT_EQ(Ask("cuMemcpyHtoD", 12000, 1), Found(cuMemcpyHtoD_v2));
  EXPECT_EQ(Ask("cuMemcpyHtoD", 12000, 2), Found(cuMemcpyHtoD_v2_ptds));
  EXPECT_EQ(Ask("cuStreamBeginCapture", 10000, 2), Found(cuStreamBeginCapture_ptsz));
  EXPECT_EQ(Ask("cuStreamBeginCapture", 10010, 2), Found(cuStreamBeginCapture_v2_ptsz));
  EXPECT_EQ(Ask("cuMemAlloc", 12000, 2), Found(cuMemAlloc_v2));  // has no such form
}

TEST_F(ProcAddressTest, UnknownNameIsASuccessThatFoundNothing) {
  EXPECT_EQ(Ask("cuNoSuchThing", 12000), (Answer{CUDA_SUCCESS, nullptr, 1}));
  EXPECT_EQ(Ask("cuMemAlloc_v2", 12000), (Answer{CUDA_SUCCESS, nullptr, 1}));
}

TEST_F(ProcAddressTest, TooLowAVersionSaysSo) {
  EXPECT_EQ(Ask("cuGraphCreate", 9000), (Answer{CUDA_SUCCESS, nullptr, 2}));
  EXPECT_EQ(Ask("cuMemcpyHtoD", 6050, 2), (Answer{CUDA_SUCCESS, nullptr, 2}));
}

TEST_F(ProcAddressTest, WithoutAStatusNothingFoundIsAnError) {
  void* function = nullptr;
  EXPECT_EQ(cuGetProcAddress("cuNo", &function, 12000, 0), CUDA_ERROR_NOT_FOUND);
  EXPECT_EQ(cuGetProcAddress("cuInit", &function, 12000, 0), CUDA_SUCCESS);
}

TEST_F(ProcAddressTest, WrongArgumentsAreRefused) {
  EXPECT_EQ(Ask("cuInit", 13090).result, CUDA_ERROR_INVALID_VALUE);  // newer than the driver
  EXPECT_EQ(Ask("cuInit", 12000, 4).result, CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(Ask("cuInit", 12000, 3).result, CUDA_SUCCESS);
  EXPECT_EQ(Ask(nullptr, 12000).result, CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuGetProcAddress_v2("cuInit", nullptr, 12000, 0, nullptr), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(ProcAddressTest, TableIsSortedAsTheSearchNeeds) {
  for (size_t i = 1; i < mig_proc_count; ++i) {
    const MigProc &a = mig_procs[i - 1], &b = mig_procs[i];
    const int order = std::strcmp(a.name, b.name);
    ASSERT_LE(order, 0);
    if (order == 0) {
      ASSERT_LT(a.per_thread * 100000 + a.version, b.per_thread * 100000 + b.version) << a.name;
    }
  }
}

}  // namespace
}  // namespace mignificient::client
