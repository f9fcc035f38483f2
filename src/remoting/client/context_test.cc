#include "remoting/client/context.h"

#include <gtest/gtest.h>

#include <thread>

#include "remoting/client/context_storage.h"
#include "remoting/client/fake_call.h"

extern "C" {
CUresult cuCtxCreate_v2(CUcontext*, unsigned, CUdevice);
CUresult cuCtxCreate_v4(CUcontext*, const void*, unsigned, CUdevice);
CUresult cuCtxDestroy_v2(CUcontext);
CUresult cuCtxGetCurrent(CUcontext*);
CUresult cuCtxSetCurrent(CUcontext);
CUresult cuCtxPushCurrent_v2(CUcontext);
CUresult cuCtxPopCurrent_v2(CUcontext*);
CUresult cuCtxGetDevice(CUdevice*);
CUresult cuCtxGetDevice_v2(CUdevice*, CUcontext);
CUresult cuCtxGetFlags(unsigned*);
CUresult cuCtxGetId(CUcontext, unsigned long long*);
CUresult cuDevicePrimaryCtxRetain(CUcontext*, CUdevice);
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice);
CUresult cuDevicePrimaryCtxReset_v2(CUdevice);
CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice, unsigned);
CUresult cuDevicePrimaryCtxGetState(CUdevice, unsigned*, int*);
}

namespace mignificient::client {
namespace {

class ContextTest : public testing::Test {
 protected:
  void SetUp() override { fake::Reset(); }

  CUcontext Primary() {
    CUcontext context = nullptr;
    EXPECT_EQ(cuDevicePrimaryCtxRetain(&context, 0), CUDA_SUCCESS);
    return context;
  }
  int Active() {
    unsigned flags = 0;
    int active = -1;
    EXPECT_EQ(cuDevicePrimaryCtxGetState(0, &flags, &active), CUDA_SUCCESS);
    return active;
  }
};

TEST_F(ContextTest, PrimaryIsActiveFromFirstRetainToLastRelease) {
  EXPECT_EQ(Active(), 0);
  const CUcontext first = Primary();
  EXPECT_EQ(Primary(), first);
  EXPECT_EQ(cuDevicePrimaryCtxRelease_v2(0), CUDA_SUCCESS);
  EXPECT_EQ(Active(), 1);
  EXPECT_EQ(cuDevicePrimaryCtxRelease_v2(0), CUDA_SUCCESS);
  EXPECT_EQ(Active(), 0);
  EXPECT_EQ(cuDevicePrimaryCtxRelease_v2(0), CUDA_ERROR_INVALID_CONTEXT);
  EXPECT_EQ(cuDevicePrimaryCtxReset_v2(0), CUDA_SUCCESS);
}

TEST_F(ContextTest, PrimaryKeepsItsHandleAcrossAReset) {
  const CUcontext before = Primary();
  EXPECT_EQ(cuDevicePrimaryCtxReset_v2(0), CUDA_SUCCESS);
  EXPECT_EQ(Primary(), before);
}

TEST_F(ContextTest, ResetCallsTheDestructorsOfStoredValues) {
  const CUcontext context = Primary();
  static void* destroyed = nullptr;
  int value = 0;
  PutStorage(context, &value, &value, [](CUcontext, void*, void* stored) { destroyed = stored; });
  cuDevicePrimaryCtxReset_v2(0);
  EXPECT_EQ(destroyed, &value);
  void* found = nullptr;
  EXPECT_EQ(GetStorage(&found, context, &value), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(ContextTest, PrimaryCannotBeDestroyed) {
  EXPECT_EQ(cuCtxDestroy_v2(Primary()), CUDA_ERROR_INVALID_CONTEXT);
}

TEST_F(ContextTest, FlagsAreCheckedAndReported) {
  EXPECT_EQ(cuDevicePrimaryCtxSetFlags_v2(0, 5), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuDevicePrimaryCtxSetFlags_v2(0, 0x4000), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuDevicePrimaryCtxSetFlags_v2(0, 2), CUDA_SUCCESS);
  cuCtxSetCurrent(Primary());
  unsigned flags = 0;
  EXPECT_EQ(cuCtxGetFlags(&flags), CUDA_SUCCESS);
  EXPECT_EQ(flags, 10u);  // host memory can always be mapped
}

TEST_F(ContextTest, CreatedContextIsCurrentAndDestroyingItUncoversTheOneBelow) {
  const CUcontext primary = Primary();
  cuCtxSetCurrent(primary);
  CUcontext created = nullptr;
  EXPECT_EQ(cuCtxCreate_v2(&created, 0, 0), CUDA_SUCCESS);
  EXPECT_EQ(CurrentContext(), created);
  EXPECT_NE(created, primary);
  EXPECT_EQ(cuCtxDestroy_v2(created), CUDA_SUCCESS);
  EXPECT_EQ(CurrentContext(), primary);
  EXPECT_EQ(cuCtxDestroy_v2(created), CUDA_ERROR_INVALID_CONTEXT);
  EXPECT_EQ(cuCtxPushCurrent_v2(created), CUDA_ERROR_INVALID_CONTEXT);
}

TEST_F(ContextTest, DestroyedContextStaysCurrentWhereItIsNotInnermost) {
  CUcontext created = nullptr;
  cuCtxCreate_v2(&created, 0, 0);
  cuCtxPushCurrent_v2(Primary());
  EXPECT_EQ(cuCtxDestroy_v2(created), CUDA_SUCCESS);
  cuCtxPopCurrent_v2(nullptr);
  EXPECT_EQ(CurrentContext(), created);
  unsigned flags = 0;
  EXPECT_EQ(cuCtxGetFlags(&flags), CUDA_ERROR_CONTEXT_IS_DESTROYED);
  CUdevice device = -1;
  EXPECT_EQ(cuCtxGetDevice(&device), CUDA_SUCCESS);
}

TEST_F(ContextTest, SettingNullRemovesTheInnermost) {
  const CUcontext primary = Primary();
  EXPECT_EQ(cuCtxSetCurrent(primary), CUDA_SUCCESS);
  EXPECT_EQ(cuCtxSetCurrent(nullptr), CUDA_SUCCESS);
  EXPECT_EQ(cuCtxPopCurrent_v2(nullptr), CUDA_ERROR_INVALID_CONTEXT);
  EXPECT_EQ(cuCtxPushCurrent_v2(nullptr), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(ContextTest, CurrentContextBelongsToTheThread) {
  cuCtxSetCurrent(Primary());
  std::thread([] {
    CUcontext current = reinterpret_cast<CUcontext>(1);
    EXPECT_EQ(cuCtxGetCurrent(&current), CUDA_SUCCESS);
    EXPECT_EQ(current, nullptr);
    CUdevice device = -1;
    EXPECT_EQ(cuCtxGetDevice(&device), CUDA_ERROR_INVALID_CONTEXT);
  }).join();
}

TEST_F(ContextTest, IdentitiesAreNotUsedTwice) {
  CUcontext first = nullptr, second = nullptr;
  unsigned long long first_id = 0, second_id = 0;
  cuCtxCreate_v2(&first, 0, 0);
  cuCtxGetId(nullptr, &first_id);
  cuCtxDestroy_v2(first);
  cuCtxCreate_v2(&second, 0, 0);
  cuCtxGetId(second, &second_id);
  EXPECT_NE(first_id, second_id);
  EXPECT_NE(first, second);
}

TEST_F(ContextTest, StackHasABottomAndATop) {
  const CUcontext primary = Primary();
  CUresult result = CUDA_SUCCESS;
  for (int i = 0; i < 1000 && result == CUDA_SUCCESS; ++i) result = cuCtxPushCurrent_v2(primary);
  EXPECT_EQ(result, CUDA_ERROR_OUT_OF_MEMORY);
}

TEST_F(ContextTest, NothingWorksBeforeInitialisation) {
  attached = Attached::kNo;
  CUcontext context = nullptr;
  EXPECT_EQ(cuDevicePrimaryCtxRetain(&context, 0), CUDA_ERROR_NOT_INITIALIZED);
  EXPECT_EQ(cuCtxCreate_v4(&context, nullptr, 0, 0), CUDA_ERROR_NOT_INITIALIZED);
  EXPECT_EQ(cuCtxGetCurrent(&context), CUDA_ERROR_NOT_INITIALIZED);
}

TEST_F(ContextTest, OnlyOneDeviceHasContexts) {
  CUcontext context = nullptr;
  EXPECT_EQ(cuDevicePrimaryCtxRetain(&context, 1), CUDA_ERROR_INVALID_DEVICE);
  EXPECT_EQ(cuCtxCreate_v2(&context, 0, 1), CUDA_ERROR_INVALID_DEVICE);
  EXPECT_EQ(cuCtxCreate_v2(&context, 0x8000, 0), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(ContextTest, StackComesBackInOrderFromItsFullDepth) {
  CUcontext contexts[ContextStack::kMaxDepth];
  for (CUcontext& context : contexts) ASSERT_EQ(cuCtxCreate_v2(&context, 0, 0), CUDA_SUCCESS);
  EXPECT_EQ(cuCtxPushCurrent_v2(contexts[0]), CUDA_ERROR_OUT_OF_MEMORY);
  for (int i = ContextStack::kMaxDepth - 1; i >= 0; --i) {
    EXPECT_EQ(CurrentContext(), contexts[i]);
    CUcontext popped = nullptr;
    EXPECT_EQ(cuCtxPopCurrent_v2(&popped), CUDA_SUCCESS);
    EXPECT_EQ(popped, contexts[i]);
  }
  EXPECT_EQ(CurrentContext(), nullptr);
  EXPECT_EQ(cuCtxPopCurrent_v2(nullptr), CUDA_ERROR_INVALID_CONTEXT);
}

}  // namespace
}  // namespace mignificient::client
