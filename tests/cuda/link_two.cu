// Two PTX texts, one calling the other, linked by the driver; and links that cannot succeed.
#include <cstring>

#include "check.h"

constexpr const char* kCaller = R"(
.version 7.0
.target sm_50
.address_size 64
.extern .func (.param .b32 result) twice(.param .b32 x);
.extern .global .align 4 .u32 offset;
.visible .entry apply(.param .u64 p) {
  .reg .b32 %r<5>; .reg .b64 %d<2>;
  ld.param.u64 %d1, [p];
  cvta.to.global.u64 %d1, %d1;
  ld.global.u32 %r1, [%d1];
  {
    .param .b32 x; .param .b32 result;
    st.param.b32 [x], %r1;
    call.uni (result), twice, (x);
    ld.param.b32 %r2, [result];
  }
  ld.global.u32 %r3, [offset];
  add.u32 %r4, %r2, %r3;
  st.global.u32 [%d1], %r4;
  ret;
}
)";
constexpr const char* kCallee = R"(
.version 7.0
.target sm_50
.address_size 64
.visible .global .align 4 .u32 offset = 1000;
.visible .func (.param .b32 result) twice(.param .b32 x) {
  .reg .b32 %r<3>;
  ld.param.b32 %r1, [x];
  add.u32 %r2, %r1, %r1;
  st.param.b32 [result], %r2;
  ret;
}
)";

CUresult Add(CUlinkState link, const char* text, const char* name) {
  return cuLinkAddData(link, CU_JIT_INPUT_PTX, const_cast<char*>(text), std::strlen(text) + 1, name, 0, nullptr,
                       nullptr);
}

int main() {
  int* memory = Device(std::vector<int>{21});
  CUlinkState link;
  void* cubin;
  size_t bytes;
  NEED(cuLinkCreate(0, nullptr, nullptr, &link));
  SHOW(Add(link, kCaller, "caller"));
  SHOW(Add(link, kCallee, "callee"));
  NEED(cuLinkComplete(link, &cubin, &bytes));
  CUmodule module;
  CUfunction apply;
  SHOW(cuModuleLoadData(&module, cubin));
  SHOW(cuLinkDestroy(link));
  SHOW(cuModuleGetFunction(&apply, module, "apply"));
  void* arguments[] = {&memory};
  SHOW(cuLaunchKernel(apply, 1, 1, 1, 1, 1, 1, 0, nullptr, arguments, nullptr));
  Print("memory", Host(memory, 1));

  char errors[2048] = {};
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void* values[] = {errors, reinterpret_cast<void*>(sizeof errors)};
  SHOW(cuLinkCreate(2, options, values, &link));
  SHOW(Add(link, kCaller, "caller"));
  Print("fails without the callee", cuLinkComplete(link, &cubin, &bytes) != CUDA_SUCCESS);
  Print("the log names it", std::strstr(errors, "twice") != nullptr);
  SHOW(cuLinkDestroy(link));
  SHOW(cuLinkCreate(0, nullptr, nullptr, &link));
  SHOW(Add(link, ".version 7.0\n.target sm_50\nnonsense", "nonsense"));
  SHOW(cuLinkDestroy(link));
}
