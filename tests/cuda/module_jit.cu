// JIT options: logs of what is wrong and of what was done, register limits, and images that are none.
#include <cstring>

#include "check.h"
#include "ptx.h"

int main() {
  NEED(cudaFree(nullptr));
  char info[4096] = {}, errors[4096] = {};
  float wall = -1;
  CUjit_option options[] = {CU_JIT_INFO_LOG_BUFFER,  CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES,
                            CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
                            CU_JIT_LOG_VERBOSE,      CU_JIT_MAX_REGISTERS,
                            CU_JIT_WALL_TIME};
  void* values[] = {info,
                    reinterpret_cast<void*>(sizeof info),
                    errors,
                    reinterpret_cast<void*>(sizeof errors),
                    reinterpret_cast<void*>(1),
                    reinterpret_cast<void*>(32),
                    nullptr};
  CUmodule module;
  SHOW(cuModuleLoadDataEx(&module, kAddPtx, 7, options, values));
  std::memcpy(&wall, &values[6], sizeof wall);
  Print("took time", wall >= 0);
  Print("no errors", errors[0] == 0);
  Print("log length is given", reinterpret_cast<size_t>(values[1]) <= sizeof info);
  SHOW(cuModuleUnload(module));

  char broken[8192];
  std::strcpy(broken, kAddPtx);
  std::memcpy(std::strstr(broken, "mad.lo.u32"), "bad.lo.u32", 10);
  values[1] = reinterpret_cast<void*>(sizeof info);
  values[3] = reinterpret_cast<void*>(sizeof errors);
  SHOW(cuModuleLoadDataEx(&module, broken, 7, options, values));
  Print("there are errors", errors[0] != 0);
  Print("they name the line's instruction", std::strstr(errors, "bad") != nullptr);
  SHOW(cuModuleLoadData(&module, broken));
  SHOW(cuModuleLoadData(&module, "this is no PTX"));
  std::memcpy(std::strstr(broken, ".version 7.0"), ".version 99.", 12);
  SHOW(cuModuleLoadData(&module, broken));
  std::strcpy(broken, kAddPtx);
  std::memcpy(std::strstr(broken, "sm_50"), "sm_99", 5);
  SHOW(cuModuleLoadData(&module, broken));
  const unsigned char noise[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
  SHOW(cuModuleLoadData(&module, noise));
}
