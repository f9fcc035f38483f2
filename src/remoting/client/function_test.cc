#include "remoting/client/function.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include "remoting/client/fake_call.h"

namespace mignificient::client {
namespace {

using wire::Command;
using wire::HandleKind;

// A server that names each kernel it is asked for by the same few slots, as one does whose modules come and go.
class FunctionTest : public testing::Test {
 protected:
  void SetUp() override {
    fake::Reset();
    fake::Get().answer = [this](const fake::Command&, std::span<std::byte> bytes) {
      wire::FunctionReply reply{};
      reply.handle = wire::PackHandle({HandleKind::kFunction, ++generation_, kSlot});
      reply.param_count = 4;
      std::memcpy(bytes.data(), &reply, sizeof reply);
      return CUDA_SUCCESS;
    };
  }

  // A module is loaded, has a kernel, and goes.
  const Function* LoadAndUnload() {
    const uint64_t owner = wire::PackHandle({HandleKind::kModule, ++modules_, kSlot});
    const Function* function = nullptr;
    EXPECT_EQ(GetFunction(Command::kGetFunction, owner, "kernel", function), CUDA_SUCCESS);
    fake::Get().commands.clear();
    ForgetFunctionsOf(owner);
    return function;
  }

  static constexpr uint32_t kSlot = 5;
  uint32_t generation_ = 0, modules_ = 0;
};

TEST_F(FunctionTest, AnEntryIsFoundByItsHandleUntilItsSlotNamesAnother) {
  const Function* first = LoadAndUnload();
  const void* handle = reinterpret_cast<const void*>(first->handle);
  EXPECT_EQ(FindFunction(handle), first);
  const Function* second = LoadAndUnload();
  EXPECT_EQ(FindFunction(handle), nullptr);
  EXPECT_EQ(FindFunction(reinterpret_cast<const void*>(second->handle)), second);
  EXPECT_EQ(first->name, "kernel") << "whoever found it may still read it";
}

TEST_F(FunctionTest, AModuleWhoseHandleComesAgainIsAskedForAnew) {
  const uint64_t owner = wire::PackHandle({HandleKind::kModule, 1000, kSlot});
  const Function *first = nullptr, *second = nullptr;
  ASSERT_EQ(GetFunction(Command::kGetFunction, owner, "kernel", first), CUDA_SUCCESS);
  LoadAndUnload();  // the slot is another's although nobody has forgotten the first
  ASSERT_EQ(GetFunction(Command::kGetFunction, owner, "kernel", second), CUDA_SUCCESS);
  EXPECT_NE(first, second);
  ForgetFunctionsOf(owner);
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
