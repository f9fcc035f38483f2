// A cubin, made by the linker of the driver from PTX, loaded as a module and as a library.
#include <cstring>
#include <string>

#include "check.h"
#include "ptx.h"

int main() {
  int* memory = Device<int>(4);
  CUlinkState link;
  NEED(cuLinkCreate(0, nullptr, nullptr, &link));
  SHOW(cuLinkAddData(link, CU_JIT_INPUT_PTX, const_cast<char*>(kAddPtx), std::strlen(kAddPtx) + 1, "add.ptx", 0,
                     nullptr, nullptr));
  void* cubin;
  size_t bytes;
  NEED(cuLinkComplete(link, &cubin, &bytes));
  Print("is an ELF file", std::memcmp(cubin, "\177ELF", 4) == 0);
  const std::string copy(static_cast<char*>(cubin), bytes);
  SHOW(cuLinkDestroy(link));

  CUmodule module;
  CUfunction add;
  SHOW(cuModuleLoadData(&module, copy.data()));
  SHOW(cuModuleGetFunction(&add, module, "add"));
  int count = 4, value = 3;
  void* arguments[] = {&memory, &count, &value};
  SHOW(cuLaunchKernel(add, 1, 1, 1, 32, 1, 1, 0, nullptr, arguments, nullptr));
  Print("module", Host(memory, 4));
  CUlibrary library;
  CUkernel kernel;
  SHOW(cuLibraryLoadData(&library, copy.data(), nullptr, nullptr, 0, nullptr, nullptr, 0));
  SHOW(cuLibraryGetKernel(&kernel, library, "add"));
  SHOW(cuLaunchKernel(reinterpret_cast<CUfunction>(kernel), 1, 1, 1, 32, 1, 1, 0, nullptr, arguments, nullptr));
  Print("library", Host(memory, 4));
  SHOW(cuLibraryUnload(library));
  SHOW(cuModuleUnload(module));
}
