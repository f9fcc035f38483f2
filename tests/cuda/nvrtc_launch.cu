// CUDA C++ compiled by the program itself and launched, with a mangled name and a log.
#include <nvrtc.h>

#include <string>

#include "check.h"

const char* kSource = R"(
template <typename T> __global__ void Scale(T* values, T by) { values[threadIdx.x] *= by; }
__constant__ float offset = 0.5f;
extern "C" __global__ void Shift(float* values) { values[threadIdx.x] += offset; }
)";

std::string Compile(const char* source, const char* name, std::string* lowered) {
  nvrtcProgram program;
  nvrtcCreateProgram(&program, source, "source.cu", 0, nullptr, nullptr);
  if (name != nullptr) nvrtcAddNameExpression(program, name);
  const char* options[] = {"--gpu-architecture=compute_75", "--std=c++17"};
  const nvrtcResult result = nvrtcCompileProgram(program, 2, options);
  std::printf("compiled: %s\n", nvrtcGetErrorString(result));
  size_t bytes = 0;
  if (result != NVRTC_SUCCESS) {
    nvrtcGetProgramLogSize(program, &bytes);
    std::string log(bytes, ' ');
    nvrtcGetProgramLog(program, log.data());
    std::printf("%s\n", log.c_str());
    return {};
  }
  const char* mangled = nullptr;
  nvrtcGetLoweredName(program, name, &mangled);
  *lowered = mangled;
  nvrtcGetPTXSize(program, &bytes);
  std::string ptx(bytes, ' ');
  nvrtcGetPTX(program, ptx.data());
  nvrtcDestroyProgram(&program);
  return ptx;
}

int main() {
  float* memory = Device(std::vector<float>{1, 2, 3, 4});
  std::string name;
  const std::string ptx = Compile(kSource, "Scale<float>", &name);
  std::printf("%s\n", name.c_str());
  CUmodule module;
  CUfunction scale, shift;
  SHOW(cuModuleLoadData(&module, ptx.c_str()));
  SHOW(cuModuleGetFunction(&scale, module, name.c_str()));
  SHOW(cuModuleGetFunction(&shift, module, "Shift"));
  float by = 2.5f;
  void* arguments[] = {&memory, &by};
  SHOW(cuLaunchKernel(scale, 1, 1, 1, 4, 1, 1, 0, nullptr, arguments, nullptr));
  SHOW(cuLaunchKernel(shift, 1, 1, 1, 4, 1, 1, 0, nullptr, arguments, nullptr));
  Print("memory", Host(memory, 4));
  Compile("__global__ void Broken() { undeclared = 1; }", nullptr, &name);
}
