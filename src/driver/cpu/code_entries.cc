// Modules, libraries, and what can be asked about their kernels. A library is a module whose handle is a CUlibrary, and
// a CUkernel is the CUfunction of the same kernel: with one context there is nothing to tell them apart.
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/log.h"
#include "driver/cpu/entries.h"
#include "driver/cpu/exec/launch.h"
#include "driver/cpu/jit_options.h"
#include "driver/cpu/occupancy.h"

namespace mignificient::cpu {
namespace {

constexpr int kMaxCarveoutPercent = 100;
constexpr int kLastCacheConfig = 3;

CUresult Load(Context& context, const void* image, const JitOptions& jit, std::shared_ptr<Module>* module) {
  if (image == nullptr || !jit.Valid()) return CUDA_ERROR_INVALID_VALUE;
  auto& device = context.device();
  auto loaded = Module::Load(image, device.options().compute_capability, device.memory());
  jit.WriteErrorLog(loaded ? std::string_view() : std::string_view(loaded.error().message));
  if (!loaded) {
    device.WarnOnce("module_not_loaded", loaded.error().message);
    return loaded.error().code;
  }
  *module = std::move(*loaded);
  return CUDA_SUCCESS;
}

CUresult ModuleLoadDataEx(CUmodule* handle, const void* image, unsigned count, int* options, void** values) {
  return InContext([&](Context& context) {
    if (handle == nullptr) return CUDA_ERROR_INVALID_VALUE;
    std::shared_ptr<Module> module;
    const CUresult loaded = Load(context, image, {count, options, values}, &module);
    if (loaded == CUDA_SUCCESS) *handle = context.modules.Add(std::move(module));
    return loaded;
  });
}

CUresult LibraryLoadData(CUlibrary* handle, const void* image, int* jit_options, void** jit_values, unsigned jit_count,
                         int*, void**, unsigned) {
  return InContext([&](Context& context) {
    if (handle == nullptr) return CUDA_ERROR_INVALID_VALUE;
    std::shared_ptr<Module> module;
    const CUresult loaded = Load(context, image, {jit_count, jit_options, jit_values}, &module);
    if (loaded != CUDA_SUCCESS) return loaded;
    module->of_library = true;
    module->module_handle = context.modules.Add(module);
    *handle = context.libraries.Add(std::move(module));
    return CUDA_SUCCESS;
  });
}

CUresult ModuleUnload(CUmodule handle) {
  return InContext([&](Context& context) {
    const auto module = context.modules.Find(handle);
    if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (module->of_library) return CUDA_ERROR_NOT_PERMITTED;
    if (context.modules.Remove(handle) == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    context.Unload(module);
    return CUDA_SUCCESS;
  });
}

CUresult LibraryUnload(CUlibrary handle) {
  return InContext([&](Context& context) {
    const auto module = context.libraries.Remove(handle);
    if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    context.modules.Remove(module->module_handle);
    context.Unload(module);
    return CUDA_SUCCESS;
  });
}

template <typename Body>
CUresult WithModule(CUmodule handle, Body&& body) {
  return InContext([&](Context& context) {
    const auto module = context.modules.Find(handle);
    return module == nullptr ? CUDA_ERROR_INVALID_HANDLE : body(context, module);
  });
}

template <typename Body>
CUresult WithLibrary(CUlibrary handle, Body&& body) {
  return InContext([&](Context& context) {
    const auto module = context.libraries.Find(handle);
    return module == nullptr ? CUDA_ERROR_INVALID_HANDLE : body(context, module);
  });
}

template <typename Body>
CUresult WithFunction(CUfunction handle, Body&& body) {
  return InContext([&](Context& context) { return context.WithFunction(handle, body); });
}

CUfunction AsFunction(CUkernel kernel) {
  return reinterpret_cast<CUfunction>(kernel);
}

CUresult ModuleGetFunction(CUfunction* function, CUmodule handle, const char* name) {
  return WithModule(handle, [&](Context& context, const std::shared_ptr<Module>& module) {
    return function == nullptr ? CUDA_ERROR_INVALID_VALUE : context.FindFunction(module, name, function);
  });
}

CUresult LibraryGetKernel(CUkernel* kernel, CUlibrary handle, const char* name) {
  return WithLibrary(handle, [&](Context& context, const std::shared_ptr<Module>& module) {
    if (kernel == nullptr) return CUDA_ERROR_INVALID_VALUE;
    CUfunction function = nullptr;
    const CUresult found = context.FindFunction(module, name, &function);
    if (found == CUDA_SUCCESS) *kernel = reinterpret_cast<CUkernel>(function);
    return found;
  });
}

CUresult FindVariable(const Module& module, const char* name, CUdeviceptr* ptr, size_t* bytes) {
  if (name == nullptr || (ptr == nullptr && bytes == nullptr)) return CUDA_ERROR_INVALID_VALUE;
  const auto* variable = module.FindVariable(name);
  if (variable == nullptr) return CUDA_ERROR_NOT_FOUND;
  if (ptr != nullptr) *ptr = variable->address;
  if (bytes != nullptr) *bytes = variable->bytes;
  return CUDA_SUCCESS;
}

CUresult ModuleGetGlobal(CUdeviceptr* ptr, size_t* bytes, CUmodule handle, const char* name) {
  return WithModule(
      handle, [&](Context&, const std::shared_ptr<Module>& module) { return FindVariable(*module, name, ptr, bytes); });
}

CUresult LibraryGetGlobal(CUdeviceptr* ptr, size_t* bytes, CUlibrary handle, const char* name) {
  return WithLibrary(
      handle, [&](Context&, const std::shared_ptr<Module>& module) { return FindVariable(*module, name, ptr, bytes); });
}

CUresult LibraryGetModule(CUmodule* out, CUlibrary handle) {
  return WithLibrary(handle, [&](Context&, const std::shared_ptr<Module>& module) {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = module->module_handle;
    return CUDA_SUCCESS;
  });
}

CUresult ModuleGetFunctionCount(unsigned* count, CUmodule handle) {
  return WithModule(handle, [&](Context&, const std::shared_ptr<Module>& module) {
    if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *count = static_cast<unsigned>(module->program().KernelNames().size());
    return CUDA_SUCCESS;
  });
}

// A kernel that the engine cannot run is listed too; what is asked about it answers CUDA_ERROR_NOT_SUPPORTED.
CUresult Enumerate(Context& context, const std::shared_ptr<Module>& module, CUfunction* functions, unsigned count) {
  if (functions == nullptr || count == 0) return CUDA_ERROR_INVALID_VALUE;
  const auto names = module->program().KernelNames();
  for (size_t i = 0; i < std::min<size_t>(count, names.size()); ++i) {
    const CUresult found = context.FindFunction(module, names[i].c_str(), &functions[i]);
    if (found != CUDA_SUCCESS && found != CUDA_ERROR_NOT_SUPPORTED) return found;
  }
  return CUDA_SUCCESS;
}

CUresult ModuleEnumerateFunctions(CUfunction* functions, unsigned count, CUmodule handle) {
  return WithModule(handle, [&](Context& context, const std::shared_ptr<Module>& module) {
    return Enumerate(context, module, functions, count);
  });
}

CUresult LibraryGetKernelCount(unsigned* count, CUlibrary handle) {
  return WithLibrary(handle, [&](Context&, const std::shared_ptr<Module>& module) {
    if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *count = static_cast<unsigned>(module->program().KernelNames().size());
    return CUDA_SUCCESS;
  });
}

CUresult LibraryEnumerateKernels(CUkernel* kernels, unsigned count, CUlibrary handle) {
  return WithLibrary(handle, [&](Context& context, const std::shared_ptr<Module>& module) {
    return Enumerate(context, module, reinterpret_cast<CUfunction*>(kernels), count);
  });
}

CUresult KernelGetFunction(CUfunction* function, CUkernel kernel) {
  return WithFunction(AsFunction(kernel), [&](Function&) {
    if (function == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *function = AsFunction(kernel);
    return CUDA_SUCCESS;
  });
}

int FunctionAttribute(const Function& function, int attribute, const CpuDriverOptions& options) {
  const Kernel& kernel = *function.kernel;
  switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
      return static_cast<int>(std::min(kernel.max_threads(), kMaxThreadsPerBlock));
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
      return static_cast<int>(kernel.static_shared_bytes());
    case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
      return static_cast<int>(kernel.local_bytes());
    case CU_FUNC_ATTRIBUTE_NUM_REGS:
      return ReportedRegisters(kernel);
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
      return static_cast<int>(options.compute_capability);
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
      return function.max_dynamic_shared;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
      return function.carveout;
  }
  return 0;  // constant bank, cache mode, clusters: none
}

CUresult FuncGetAttribute(int* value, int attribute, CUfunction handle) {
  return InContext([&](Context& context) {
    return context.WithFunction(handle, [&](Function& function) {
      if (value == nullptr || attribute < 0 || attribute >= CU_FUNC_ATTRIBUTE_COUNT) return CUDA_ERROR_INVALID_VALUE;
      *value = FunctionAttribute(function, attribute, context.device().options());
      return CUDA_SUCCESS;
    });
  });
}

CUresult FuncSetAttribute(CUfunction handle, int attribute, int value) {
  return WithFunction(handle, [&](Function& function) {
    switch (attribute) {
      case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: {
        const int most = static_cast<int>(kMaxSharedBytes) - static_cast<int>(function.kernel->static_shared_bytes());
        if (value < 0 || value > most) return CUDA_ERROR_INVALID_VALUE;
        function.max_dynamic_shared = value;
        return CUDA_SUCCESS;
      }
      case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        if (value < -1 || value > kMaxCarveoutPercent) return CUDA_ERROR_INVALID_VALUE;
        function.carveout = value;
        return CUDA_SUCCESS;
      case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
      case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
        return CUDA_SUCCESS;  // changes nothing without clusters
    }
    return CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult FuncSetCacheConfig(CUfunction handle, int config) {
  return WithFunction(handle, [&](Function&) {
    return config < 0 || config > kLastCacheConfig ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
  });
}

CUresult FuncGetName(const char** name, CUfunction handle) {
  return WithFunction(handle, [&](Function& function) {
    if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *name = function.kernel->name().c_str();
    return CUDA_SUCCESS;
  });
}

CUresult KernelGetName(const char** name, CUkernel kernel) {
  return FuncGetName(name, AsFunction(kernel));
}

CUresult FuncGetParamInfo(CUfunction handle, size_t index, size_t* offset, size_t* size) {
  return WithFunction(handle, [&](Function& function) {
    const auto& parameters = function.kernel->parameters();
    if (offset == nullptr || index >= parameters.size()) return CUDA_ERROR_INVALID_VALUE;
    *offset = parameters[index].offset;
    if (size != nullptr) *size = parameters[index].size;
    return CUDA_SUCCESS;
  });
}

CUresult KernelGetParamInfo(CUkernel kernel, size_t index, size_t* offset, size_t* size) {
  return FuncGetParamInfo(AsFunction(kernel), index, offset, size);
}

CUresult KernelGetAttribute(int* value, int attribute, CUkernel kernel, CUdevice device) {
  return device != 0 ? CUDA_ERROR_INVALID_DEVICE : FuncGetAttribute(value, attribute, AsFunction(kernel));
}

CUresult KernelSetAttribute(int attribute, int value, CUkernel kernel, CUdevice device) {
  return device != 0 ? CUDA_ERROR_INVALID_DEVICE : FuncSetAttribute(AsFunction(kernel), attribute, value);
}

}  // namespace

void FillCodeEntries(DriverTable& table) {
  table.cuModuleLoadDataEx = ModuleLoadDataEx;
  table.cuModuleUnload = ModuleUnload;
  table.cuModuleGetFunction = ModuleGetFunction;
  table.cuModuleGetGlobal_v2 = ModuleGetGlobal;
  table.cuModuleGetFunctionCount = ModuleGetFunctionCount;
  table.cuModuleEnumerateFunctions = ModuleEnumerateFunctions;
  table.cuLibraryLoadData = LibraryLoadData;
  table.cuLibraryUnload = LibraryUnload;
  table.cuLibraryGetKernel = LibraryGetKernel;
  table.cuLibraryGetModule = LibraryGetModule;
  table.cuLibraryGetGlobal = LibraryGetGlobal;
  table.cuLibraryGetKernelCount = LibraryGetKernelCount;
  table.cuLibraryEnumerateKernels = LibraryEnumerateKernels;
  table.cuKernelGetName = KernelGetName;
  table.cuKernelGetFunction = KernelGetFunction;
  table.cuKernelGetAttribute = KernelGetAttribute;
  table.cuKernelSetAttribute = KernelSetAttribute;
  table.cuKernelGetParamInfo = KernelGetParamInfo;
  table.cuFuncGetParamInfo = FuncGetParamInfo;
  table.cuFuncGetAttribute = FuncGetAttribute;
  table.cuFuncSetAttribute = FuncSetAttribute;
  table.cuFuncSetCacheConfig = FuncSetCacheConfig;
  table.cuFuncGetName = FuncGetName;
}

}  // namespace mignificient::cpu
