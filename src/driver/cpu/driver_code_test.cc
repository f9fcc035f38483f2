#include <array>
#include <cstring>
#include <random>

#include "driver/cpu/driver_fixture.h"

namespace mignificient::cpu {
namespace {

using testing::Contains;

class DriverCodeTest : public DriverTest {
 protected:
  CUresult Load(const void* image) {
    CUmodule loaded = nullptr;
    return cu->cuModuleLoadDataEx(&loaded, image, 0, nullptr, nullptr);
  }
};

// A fat binary of one uncompressed entry.
std::vector<std::byte> Fatbin(uint16_t kind, std::string payload) {
  payload.resize((payload.size() + 8) / 8 * 8);
  std::vector<std::byte> fatbin(16 + 64 + payload.size());
  const auto put = [&](size_t offset, auto value) { std::memcpy(fatbin.data() + offset, &value, sizeof(value)); };
  put(0, uint32_t{0xba55ed50});
  put(4, uint16_t{1});
  put(6, uint16_t{16});
  put(8, uint64_t{fatbin.size() - 16});
  put(16, kind);
  put(20, uint32_t{64});
  put(24, uint64_t{payload.size()});
  put(44, uint32_t{80});
  std::memcpy(fatbin.data() + 80, payload.data(), payload.size());
  return fatbin;
}

TEST_F(DriverCodeTest, ImagesThatCannotRunSaySo) {
  EXPECT_CUDA(Load(nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(Load(""), CUDA_ERROR_INVALID_IMAGE);
  EXPECT_CUDA(Load("garbage"), CUDA_ERROR_INVALID_IMAGE);
  EXPECT_CUDA(Load("  no ptx either"), CUDA_ERROR_INVALID_IMAGE);
  EXPECT_CUDA(Load(Fatbin(2, "machine code").data()), CUDA_ERROR_NO_BINARY_FOR_GPU);
  EXPECT_CUDA(Load(".version 8.0\n.target sm_80\n.visible .entry k( { ret; }"), CUDA_ERROR_INVALID_PTX);
  EXPECT_OK(Load(".version 8.0\n.target sm_80\n.address_size 64\n"));
  EXPECT_OK(Load(".version 99.0\n.target sm_990\n.address_size 64\n.visible .entry k() { ret; }"));
}

TEST_F(DriverCodeTest, TheErrorLogTellsWhatIsWrongWithPtx) {
  std::array<char, 400> log{};
  int options[] = {5, 6};
  void* values[] = {log.data(), reinterpret_cast<void*>(log.size())};
  CUmodule loaded = nullptr;
  const char* const bad = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k( { ret; }\n";
  EXPECT_CUDA(cu->cuModuleLoadDataEx(&loaded, bad, 2, options, values), CUDA_ERROR_INVALID_PTX);
  EXPECT_GT(std::strlen(log.data()), 0u);
  EXPECT_EQ(reinterpret_cast<size_t>(values[1]), std::strlen(log.data()));
  char tiny[4] = "xyz";
  void* tiny_values[] = {tiny, reinterpret_cast<void*>(2)};
  EXPECT_CUDA(cu->cuModuleLoadDataEx(&loaded, bad, 2, options, tiny_values), CUDA_ERROR_INVALID_PTX);
  EXPECT_EQ(tiny[1], '\0');
  EXPECT_EQ(tiny[2], 'z');
}

TEST_F(DriverCodeTest, AnUnknownInstructionFailsItsKernelAlone) {
  const std::string text = std::string(kTestPtx) + ".visible .entry odd() { frobnicate.u32 %r1; ret; }\n";
  const auto fatbin = Fatbin(1, text);
  EXPECT_OK(cu->cuModuleLoadDataEx(&module, fatbin.data(), 0, nullptr, nullptr));
  CUfunction function = nullptr;
  EXPECT_CUDA(cu->cuModuleGetFunction(&function, module, "odd"), CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_CUDA(cu->cuModuleGetFunction(&function, module, "odd"), CUDA_ERROR_NOT_SUPPORTED);
  unsigned count = 0;
  EXPECT_OK(cu->cuModuleGetFunctionCount(&count, module));
  std::vector<CUfunction> functions(count);
  EXPECT_OK(cu->cuModuleEnumerateFunctions(functions.data(), count, module));  // "odd" is the last
  int value = 0;
  EXPECT_CUDA(cu->cuFuncGetAttribute(&value, 0, functions.back()), CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_CUDA(cu->cuLaunchKernel(functions.back(), 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr),
              CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_OK(cu->cuModuleGetFunction(&function, module, "store"));
}

TEST_F(DriverCodeTest, FunctionsAreFoundByName) {
  const CUfunction store = Kernel("store");
  EXPECT_EQ(Kernel("store"), store);
  CUfunction function = nullptr;
  EXPECT_CUDA(cu->cuModuleGetFunction(&function, module, "nope"), CUDA_ERROR_NOT_FOUND);
  EXPECT_CUDA(cu->cuModuleGetFunction(&function, module, ""), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuModuleGetFunction(&function, module, nullptr), CUDA_ERROR_INVALID_VALUE);
  unsigned count = 0;
  EXPECT_OK(cu->cuModuleGetFunctionCount(&count, module));
  std::vector<CUfunction> functions(count);
  EXPECT_OK(cu->cuModuleEnumerateFunctions(functions.data(), count, module));
  EXPECT_THAT(functions, Contains(store));
  const char* name = nullptr;
  EXPECT_OK(cu->cuFuncGetName(&name, store));
  EXPECT_STREQ(name, "store");
}

TEST_F(DriverCodeTest, ParametersHaveOffsetsAndSizes) {
  const CUfunction shapes = Kernel("shapes");
  const std::vector<std::pair<size_t, size_t>> expected = {{0, 4}, {8, 8}, {16, 24}};
  size_t offset = 0, size = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_OK(cu->cuFuncGetParamInfo(shapes, i, &offset, &size));
    EXPECT_EQ(std::pair(offset, size), expected[i]);
    EXPECT_OK(cu->cuKernelGetParamInfo(reinterpret_cast<CUkernel>(shapes), i, &offset, &size));
    EXPECT_EQ(std::pair(offset, size), expected[i]);
  }
  EXPECT_CUDA(cu->cuFuncGetParamInfo(shapes, 3, &offset, &size), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(DriverCodeTest, FunctionAttributesDescribeTheKernel) {
  const CUfunction shared = Kernel("shared_4096");
  const auto get = [&](CUfunction function, int attribute) {
    int value = -7;
    EXPECT_OK(cu->cuFuncGetAttribute(&value, attribute, function));
    return value;
  };
  EXPECT_EQ(get(shared, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES), 4096);
  EXPECT_EQ(get(shared, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK), 1024);
  EXPECT_EQ(get(Kernel("at_most_128"), CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK), 128);
  EXPECT_EQ(get(shared, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES), 45056);
  EXPECT_EQ(get(shared, CU_FUNC_ATTRIBUTE_BINARY_VERSION), 90);
  EXPECT_OK(cu->cuFuncSetAttribute(shared, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 228352));
  EXPECT_EQ(get(shared, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES), 228352);
  EXPECT_CUDA(cu->cuFuncSetAttribute(shared, 8, 228353), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuFuncSetAttribute(shared, 8, -1), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuFuncSetAttribute(shared, 0, 5), CUDA_ERROR_INVALID_VALUE);
  int value = 0;
  EXPECT_CUDA(cu->cuFuncGetAttribute(&value, 16, shared), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(DriverCodeTest, VariablesAreInitialisedAndMayPointAtEachOther) {
  Kernel("store");
  CUdeviceptr counter = 0, pointer = 0, factors = 0;
  size_t bytes = 0;
  EXPECT_OK(cu->cuModuleGetGlobal_v2(&counter, &bytes, module, "counter"));
  EXPECT_EQ(bytes, 4u);
  EXPECT_EQ(Download<uint32_t>(counter, 1)[0], 7u);
  EXPECT_OK(cu->cuModuleGetGlobal_v2(&pointer, nullptr, module, "pointer_to_counter"));
  EXPECT_EQ(Download<CUdeviceptr>(pointer, 1)[0], counter);
  EXPECT_OK(cu->cuModuleGetGlobal_v2(&factors, &bytes, module, "factors"));
  EXPECT_EQ(bytes, 16u);
  EXPECT_EQ(Download<float>(factors, 4)[3], 4.0f);
  EXPECT_CUDA(cu->cuModuleGetGlobal_v2(&counter, &bytes, module, "nope"), CUDA_ERROR_NOT_FOUND);
  EXPECT_CUDA(cu->cuModuleGetGlobal_v2(nullptr, nullptr, module, "counter"), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(DriverCodeTest, UnloadingGivesMemoryAndHandlesBack) {
  size_t before = 0, after = 0, total = 0;
  EXPECT_OK(cu->cuMemGetInfo_v2(&before, &total));
  const CUfunction store = Kernel("store");
  EXPECT_OK(cu->cuModuleUnload(module));
  EXPECT_OK(cu->cuMemGetInfo_v2(&after, &total));
  EXPECT_EQ(before, after);
  const char* name = nullptr;
  EXPECT_CUDA(cu->cuFuncGetName(&name, store), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_CUDA(cu->cuModuleUnload(module), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(DriverCodeTest, ALibraryOwnsItsModule) {
  CUlibrary library = nullptr;
  CUmodule its_module = nullptr;
  CUkernel kernel = nullptr;
  CUfunction function = nullptr;
  EXPECT_OK(cu->cuLibraryLoadData(&library, kTestPtx, nullptr, nullptr, 0, nullptr, nullptr, 0));
  EXPECT_OK(cu->cuLibraryGetModule(&its_module, library));
  EXPECT_CUDA(cu->cuModuleUnload(its_module), CUDA_ERROR_NOT_PERMITTED);
  EXPECT_OK(cu->cuLibraryGetKernel(&kernel, library, "store"));
  EXPECT_CUDA(cu->cuLibraryGetKernel(&kernel, library, "nope"), CUDA_ERROR_NOT_FOUND);
  EXPECT_OK(cu->cuKernelGetFunction(&function, kernel));
  CUdeviceptr out = Alloc(kPage);
  uint32_t value = 5;
  void* params[] = {&out, &value};
  // cudart launches the kernel's handle itself
  EXPECT_OK(cu->cuLaunchKernel(reinterpret_cast<CUfunction>(kernel), 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr));
  EXPECT_EQ(Download<uint32_t>(out, 1)[0], 5u);
  EXPECT_OK(cu->cuLibraryUnload(library));
  EXPECT_CUDA(cu->cuKernelGetFunction(&function, kernel), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_CUDA(cu->cuLibraryUnload(library), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(DriverCodeTest, DamagedPtxNeverCrashes) {
  std::mt19937 random(11);
  for (int round = 0; round < 300; ++round) {
    std::string text = kTestPtx;
    for (int i = 0; i <= round % 3; ++i) text[random() % text.size()] = static_cast<char>(1 + random() % 127);
    if (round % 5 == 0) text.resize(random() % text.size());
    CUmodule loaded = nullptr;
    if (cu->cuModuleLoadDataEx(&loaded, text.c_str(), 0, nullptr, nullptr) != CUDA_SUCCESS) continue;
    CUfunction function = nullptr;
    for (const char* name : {"store", "block_sum", "print"}) (void)cu->cuModuleGetFunction(&function, loaded, name);
    EXPECT_OK(cu->cuModuleUnload(loaded));
  }
}

TEST_F(DriverCodeTest, EveryErrorHasANameAndAText) {
  const char* text = nullptr;
  EXPECT_OK(cu->cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
  EXPECT_STREQ(text, "CUDA_ERROR_ILLEGAL_ADDRESS");
  EXPECT_OK(cu->cuGetErrorString(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
  EXPECT_STREQ(text, "an illegal memory access was encountered");
  EXPECT_CUDA(cu->cuGetErrorName(static_cast<CUresult>(5555), &text), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(text, nullptr);
}

// --- The linker

constexpr const char* kCaller = R"(
.version 8.0
.target sm_80
.address_size 64
.extern .func (.param .b32 result) twice(.param .b32 x);
.extern .global .align 4 .u32 offset;
.visible .entry apply(.param .u64 p) {
  .reg .b32 %r<5>; .reg .b64 %d<2>;
  ld.param.u64 %d1, [p]; ld.global.u32 %r1, [%d1];
  { .param .b32 x; .param .b32 result; st.param.b32 [x], %r1; call.uni (result), twice, (x); ld.param.b32 %r2, [result]; }
  ld.global.u32 %r3, [offset]; add.u32 %r4, %r2, %r3; st.global.u32 [%d1], %r4; ret;
})";
constexpr const char* kCallee = R"(
.version 8.0
.target sm_80
.address_size 64
.visible .global .align 4 .u32 offset = 1000;
.visible .func (.param .b32 result) twice(.param .b32 x) {
  .reg .b32 %r<3>; ld.param.b32 %r1, [x]; add.u32 %r2, %r1, %r1; st.param.b32 [result], %r2; ret;
})";

class DriverLinkTest : public DriverTest {
 protected:
  CUresult Add(const char* text, int type = 1) {
    return cu->cuLinkAddData_v2(link, type, const_cast<char*>(text), std::strlen(text) + 1, "name", 0, nullptr,
                                nullptr);
  }
  CUlinkState link = nullptr;
  void* image = nullptr;
  size_t bytes = 0;
};

TEST_F(DriverLinkTest, DeclarationsFindTheirDefinitions) {
  EXPECT_OK(cu->cuLinkCreate_v2(0, nullptr, nullptr, &link));
  EXPECT_OK(Add(kCaller));
  EXPECT_OK(Add(kCallee));
  EXPECT_OK(cu->cuLinkComplete(link, &image, &bytes));
  EXPECT_CUDA(Add(kCallee), CUDA_ERROR_INVALID_VALUE);  // it is complete
  EXPECT_OK(cu->cuModuleLoadDataEx(&module, image, 0, nullptr, nullptr));
  EXPECT_OK(cu->cuLinkDestroy(link));
  EXPECT_CUDA(cu->cuLinkDestroy(link), CUDA_ERROR_INVALID_HANDLE);
  const CUdeviceptr number = Upload<uint32_t>({21});
  EXPECT_OK(Launch("apply", {}, number));
  EXPECT_THAT(Download<uint32_t>(number, 1), testing::ElementsAre(1042u));
}

TEST_F(DriverLinkTest, WhatIsMissingIsNamedInTheLog) {
  char log[1024] = {};
  int options[] = {5, 6};  // error log, its size
  void* values[] = {log, reinterpret_cast<void*>(sizeof log)};
  EXPECT_OK(cu->cuLinkCreate_v2(2, options, values, &link));
  EXPECT_OK(Add(kCaller));
  EXPECT_CUDA(cu->cuLinkComplete(link, &image, &bytes), CUDA_ERROR_INVALID_PTX);
  EXPECT_THAT(log, testing::AllOf(testing::HasSubstr("[offset]"), testing::HasSubstr("[twice]")));
  EXPECT_CUDA(Add("nonsense"), CUDA_ERROR_INVALID_PTX);
  EXPECT_CUDA(Add(kCallee, 0), CUDA_ERROR_NOT_SUPPORTED);  // machine code
}

TEST_F(DriverLinkTest, LibrariesListTheirKernels) {
  CUlibrary library = nullptr;
  EXPECT_OK(cu->cuLibraryLoadData(&library, kTestPtx, nullptr, nullptr, 0, nullptr, nullptr, 0));
  unsigned count = 0;
  EXPECT_OK(cu->cuLibraryGetKernelCount(&count, library));
  std::vector<CUkernel> kernels(count);
  EXPECT_OK(cu->cuLibraryEnumerateKernels(kernels.data(), count, library));
  const char* name = nullptr;
  EXPECT_OK(cu->cuKernelGetName(&name, kernels[0]));
  EXPECT_STREQ(name, "vector_add");
}

}  // namespace
}  // namespace mignificient::cpu
