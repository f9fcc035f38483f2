#include "driver/cuda/cuda_driver.h"

#include <dlfcn.h>

#include <cstdlib>
#include <fstream>

#include "os/library.h"

namespace mignificient::cuda {
namespace {

CUresult Missing(...) {
  return CUDA_ERROR_NOT_SUPPORTED;
}

// A C-variadic function ignores what it is called with, so it can stand in for any entry point.
template <typename Entry>
Entry Find(void* library, const char* symbol) {
  void* found = ::dlsym(library, symbol);
  return found != nullptr ? reinterpret_cast<Entry>(found) : reinterpret_cast<Entry>(&Missing);
}

}  // namespace

Result<DriverTable> LoadDriver() {
  const char* named = std::getenv("MIGNIFICIENT_LIBCUDA");
  const char* path = named != nullptr ? named : "libcuda.so.1";
  MIG_ASSIGN(void* library, os::OpenHostLibrary(path));
  if (::dlsym(library, "cuInit") == nullptr) return Fail(Code::kNotFound, "Library {} is not a CUDA driver.", path);
  DriverTable table;
#define MIG_FIND(symbol, ...) table.symbol = Find<decltype(table.symbol)>(library, #symbol);
  MIG_DRIVER_FUNCTIONS(MIG_FIND)
#undef MIG_FIND
  return table;
}

std::string DriverVersionText() {
  std::string text;
  std::ifstream("/sys/module/nvidia/version") >> text;
  return text;
}

}  // namespace mignificient::cuda
