// The program's own fat binary, found in its file and loaded a second time as a module.
#include <elf.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "check.h"

extern "C" __global__ void Fill(int* to, int value) {
  to[threadIdx.x] = value + threadIdx.x;
}

// The section of this name in the file of the program.
std::string Section(const char* wanted) {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(bytes.data());
  const auto* sections = reinterpret_cast<const Elf64_Shdr*>(bytes.data() + header->e_shoff);
  const char* names = bytes.data() + sections[header->e_shstrndx].sh_offset;
  for (int i = 0; i < header->e_shnum; ++i)
    if (std::strcmp(names + sections[i].sh_name, wanted) == 0)
      return bytes.substr(sections[i].sh_offset, sections[i].sh_size);
  return {};
}

// The largest fat binary of the section; a smaller one is nvcc's, of the device link.
std::string Largest(const std::string& section) {
  std::string largest;
  for (size_t at = 0; at + 16 <= section.size();) {
    unsigned long long bytes;
    std::memcpy(&bytes, section.data() + at + 8, sizeof bytes);
    if (16 + bytes > largest.size()) largest = section.substr(at, 16 + bytes);
    at += (16 + bytes + 7) / 8 * 8;
  }
  return largest;
}

int main() {
  int* memory = Device<int>(4);
  Fill<<<1, 4>>>(memory, 1);
  Print("by the runtime", Host(memory, 4));
  const std::string fatbin = Largest(Section(".nv_fatbin"));
  Print("found", !fatbin.empty());
  CUmodule module;
  CUfunction function;
  int value = 10;
  void* arguments[] = {&memory, &value};
  SHOW(cuModuleLoadFatBinary(&module, fatbin.data()));
  SHOW(cuModuleGetFunction(&function, module, "Fill"));
  SHOW(cuLaunchKernel(function, 1, 1, 1, 4, 1, 1, 0, nullptr, arguments, nullptr));
  Print("by the module", Host(memory, 4));
  SHOW(cuModuleUnload(module));
  SHOW(cuModuleLoadData(&module, fatbin.data()));
  SHOW(cuModuleGetFunction(&function, module, "Fill"));
  value = 20;
  SHOW(cuLaunchKernel(function, 1, 1, 1, 4, 1, 1, 0, nullptr, arguments, nullptr));
  Print("by the module", Host(memory, 4));
  SHOW(cuModuleUnload(module));
}
