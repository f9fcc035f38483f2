#include "remoting/client/function.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include "remoting/client/fake_call.h"
#include "remoting/client/library.h"

namespace mignificient::client {
namespace {

using wire::Command;
using wire::HandleKind;

// A server that has every kernel, with four parameters.
class FunctionTest : public testing::Test {
 protected:
  void SetUp() override {
    fake::Reset();
    fake::Get().answer = [](const fake::Command&, std::span<std::byte> bytes) {
      wire::FunctionReply reply{};
      reply.max_threads = 1024;
      reply.param_count = 4;
      std::memcpy(bytes.data(), &reply, sizeof reply);
      return CUDA_SUCCESS;
    };
  }

  uint64_t NewModule() { return wire::PackHandle({HandleKind::kModule, ++modules_, 5}); }

  // A module is loaded, has a kernel, and goes.
  const Function* LoadAndUnload() {
    const uint64_t owner = NewModule();
    const Function* function = nullptr;
    EXPECT_EQ(GetFunction(Command::kGetFunction, owner, "kernel", function), CUDA_SUCCESS);
    fake::Get().commands.clear();
    ForgetFunctionsOf(owner);
    return function;
  }

  static const void* HandleOf(const Function* function) { return reinterpret_cast<const void*>(function->handle); }

  uint32_t modules_ = 0;
};

TEST_F(FunctionTest, AnEntryIsFoundByItsHandleUntilItsSlotNamesAnother) {
  const Function* first = LoadAndUnload();
  const void* handle = HandleOf(first);
  EXPECT_EQ(FindFunction(handle), first);
  const Function* second = LoadAndUnload();
  EXPECT_EQ(FindFunction(handle), nullptr);
  EXPECT_EQ(FindFunction(HandleOf(second)), second);
  EXPECT_EQ(first->name, "kernel") << "whoever found it may still read it";
}

TEST_F(FunctionTest, KernelsThatAreThereHaveNamesOfTheirOwnAndAreAskedForOnce) {
  const uint64_t one = NewModule(), other = NewModule();
  const Function *a = nullptr, *b = nullptr, *again = nullptr;
  ASSERT_EQ(GetFunction(Command::kGetFunction, one, "kernel", a), CUDA_SUCCESS);
  ASSERT_EQ(GetFunction(Command::kGetFunction, other, "kernel", b), CUDA_SUCCESS);
  ASSERT_EQ(GetFunction(Command::kGetFunction, one, "kernel", again), CUDA_SUCCESS);
  EXPECT_NE(a->handle, b->handle);
  EXPECT_EQ(a, again);
  EXPECT_EQ(fake::Get().commands.size(), 2u);
  ForgetFunctionsOf(one);
  ForgetFunctionsOf(other);
}

TEST_F(FunctionTest, AKernelThatIsNotThereLeavesItsNameToTheNext) {
  const auto answers = fake::Get().answer;
  const uint64_t owner = NewModule();
  const Function *first = nullptr, *none = nullptr, *second = nullptr;
  ASSERT_EQ(GetFunction(Command::kGetFunction, owner, "first", first), CUDA_SUCCESS);
  fake::Get().answer = [](const fake::Command&, std::span<std::byte>) { return CUDA_ERROR_NOT_FOUND; };
  for (int i = 0; i < 10; ++i) EXPECT_EQ(GetFunction(Command::kGetFunction, owner, "none", none), CUDA_ERROR_NOT_FOUND);
  fake::Get().answer = answers;
  ASSERT_EQ(GetFunction(Command::kGetFunction, owner, "second", second), CUDA_SUCCESS);
  EXPECT_NE(wire::UnpackHandle(first->handle).slot, wire::UnpackHandle(second->handle).slot);
  EXPECT_LE(wire::UnpackHandle(second->handle).slot, wire::UnpackHandle(first->handle).slot + 1);
  ForgetFunctionsOf(owner);
}

TEST_F(FunctionTest, AKernelOfAKnownLibraryIsAskedForWithoutWaitingAndDescribedWhenItMatters) {
  const uint64_t library = Libraries().Create(Library{.kernels{{"kernel"}}});
  const Function *function = nullptr, *none = nullptr;
  ASSERT_EQ(GetFunction(Command::kGetKernel, library, "kernel", function), CUDA_SUCCESS);
  EXPECT_EQ(GetFunction(Command::kGetKernel, library, "another", none), CUDA_ERROR_NOT_FOUND);
  ASSERT_EQ(fake::Get().commands.size(), 1u);
  EXPECT_FALSE(fake::Get().commands[0].waits);
  EXPECT_FALSE(function->described);
  EXPECT_EQ(function->max_threads, 0u) << "so that a launch looks at it";
  const Function* described = function;
  ASSERT_EQ(Described(described), CUDA_SUCCESS);
  EXPECT_EQ(described->handle, function->handle);
  EXPECT_EQ(described->params.size(), 4u);
  EXPECT_EQ(FindFunction(HandleOf(function)), described);
  ASSERT_EQ(Described(function), CUDA_SUCCESS) << "who had found it before";
  EXPECT_EQ(function, described);
  ASSERT_EQ(GetFunction(Command::kGetKernel, library, "kernel", function), CUDA_SUCCESS);
  EXPECT_EQ(function, described);
  EXPECT_EQ(fake::Get().commands.size(), 2u);
  ForgetFunctionsOf(library);
  Libraries().Destroy(library);
}

TEST_F(FunctionTest, WhatCannotBeDescribedIsTheErrorOfWhoAsks) {
  const uint64_t library = Libraries().Create(Library{.kernels{{"kernel"}}});
  const Function* function = nullptr;
  ASSERT_EQ(GetFunction(Command::kGetKernel, library, "kernel", function), CUDA_SUCCESS);
  fake::Get().answer = [](const fake::Command&, std::span<std::byte>) { return CUDA_ERROR_INVALID_HANDLE; };
  EXPECT_EQ(Described(function), CUDA_ERROR_INVALID_HANDLE) << "it was not loaded";
  ForgetFunctionsOf(library);
  Libraries().Destroy(library);
}

// Was 160 bytes for each module that a function loaded and unloaded: without end in a container that lives on.
TEST_F(FunctionTest, ModulesThatComeAndGoLeaveNothing) {
  for (int i = 0; i < 2000; ++i) LoadAndUnload();
  const size_t before = ::mallinfo2().uordblks;
  for (int i = 0; i < 5000; ++i) LoadAndUnload();
  EXPECT_LE(::mallinfo2().uordblks, before + 10'000);
}

}  // namespace
}  // namespace mignificient::client
