// The linker. Modules are PTX here, so what is linked is PTX too: the texts one after the other, as one module in which
// each declaration finds its definition. The result is that text.
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>

#include "driver/cpu/entries.h"
#include "driver/cpu/exec/program.h"
#include "driver/cpu/link.h"

namespace mignificient::cpu {
namespace {

constexpr int kInputPtx = 1;  // CUjitInputType

// The first text's .version, .target and .address_size stand for all.
std::string WithoutHeader(std::string_view ptx) {
  std::string rest(ptx);
  for (const std::string_view directive : {".version", ".target", ".address_size"}) {
    const size_t at = rest.find(directive);
    if (at == std::string::npos) continue;
    for (size_t i = at; i < rest.size() && rest[i] != '\n'; ++i) rest[i] = ' ';  // lines keep their numbers
  }
  return rest;
}

// Sentences that name what has no definition or cannot run; empty where everything is there.
std::string Unresolved(const Program& program) {
  std::string problems;
  for (const auto& global : program.globals())
    if (global.external) problems += "Variable [" + global.name + "] is not defined.\n";
  for (const auto& name : program.KernelNames())
    if (const auto kernel = program.FindKernel(name); !kernel) problems += kernel.error().message() + "\n";
  return problems;
}

template <typename Body>
CUresult WithLink(CUlinkState handle, Body&& body) {
  return InContext([&](Context& context) {
    const auto link = context.links.Find(handle);
    if (link == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    const std::lock_guard lock(link->mutex);
    return body(*link);
  });
}

CUresult LinkCreate(unsigned count, int* options, void** values, CUlinkState* handle) {
  return InContext([&](Context& context) {
    auto link = std::make_shared<Link>();
    link->jit = {count, options, values};
    if (handle == nullptr || !link->jit.Valid()) return CUDA_ERROR_INVALID_VALUE;
    *handle = context.links.Add(std::move(link));
    return CUDA_SUCCESS;
  });
}

CUresult LinkAddData(CUlinkState handle, int type, void* data, size_t bytes, const char*, unsigned count, int* options,
                     void** values) {
  return WithLink(handle, [&](Link& link) {
    if (data == nullptr || bytes == 0 || link.complete || !JitOptions{count, options, values}.Valid())
      return CUDA_ERROR_INVALID_VALUE;
    if (type != kInputPtx) return CUDA_ERROR_NOT_SUPPORTED;
    const auto* text = static_cast<const char*>(data);
    const std::string_view ptx(text, strnlen(text, bytes));
    if (const auto compiled = Program::Compile(ptx); !compiled) {
      link.jit.WriteErrorLog(compiled.error().message());
      return CUDA_ERROR_INVALID_PTX;
    }
    link.text += link.text.empty() ? std::string(ptx) : "\n" + WithoutHeader(ptx);
    return CUDA_SUCCESS;
  });
}

CUresult LinkComplete(CUlinkState handle, void** image, size_t* bytes) {
  return WithLink(handle, [&](Link& link) {
    if (image == nullptr || link.text.empty()) return CUDA_ERROR_INVALID_VALUE;
    const auto program = Program::Compile(link.text);
    const std::string problem = program ? Unresolved(**program) : program.error().message();
    if (!problem.empty()) {
      link.jit.WriteErrorLog(problem);
      return CUDA_ERROR_INVALID_PTX;
    }
    link.complete = true;
    *image = link.text.data();
    if (bytes != nullptr) *bytes = link.text.size() + 1;
    return CUDA_SUCCESS;
  });
}

CUresult LinkDestroy(CUlinkState handle) {
  return InContext([&](Context& context) {
    return context.links.Remove(handle) == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
  });
}

}  // namespace

void FillLinkEntries(DriverTable& table) {
  table.cuLinkCreate_v2 = LinkCreate;
  table.cuLinkAddData_v2 = LinkAddData;
  table.cuLinkComplete = LinkComplete;
  table.cuLinkDestroy = LinkDestroy;
}

}  // namespace mignificient::cpu
