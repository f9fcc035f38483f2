#include "driver/cpu/module.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "abi/image.h"
#include "driver/cpu/fatbin.h"

namespace mignificient::cpu {
namespace {

constexpr uint64_t kVariableAlign = 256;  // as cudaMalloc: variables are often accessed as wide vectors

uint64_t RoundUp(uint64_t value, uint64_t align) {
  return (value + align - 1) / align * align;
}

std::unexpected<LoadFailure> Failed(CUresult code, const Error& error) {
  return std::unexpected(LoadFailure{code, error.message()});
}

bool LooksLikePtx(std::string_view text) {
  return text.find(".version") != std::string_view::npos;
}

}  // namespace

std::expected<std::shared_ptr<Module>, LoadFailure> Module::Load(const void* image, uint32_t sm, DeviceMemory& memory) {
  const auto found = abi::FindImage(image);
  if (!found) return Failed(CUDA_ERROR_INVALID_IMAGE, found.error());
  const auto ptx = ExtractPtx(*found, sm);
  if (!ptx) {
    const bool malformed = ptx.error().code() == Code::kInvalidArgument;
    return Failed(malformed ? CUDA_ERROR_INVALID_IMAGE : CUDA_ERROR_NO_BINARY_FOR_GPU, ptx.error());
  }
  if (!LooksLikePtx(*ptx)) {
    return std::unexpected(LoadFailure{CUDA_ERROR_INVALID_IMAGE, "Image is no PTX: it has no .version directive."});
  }
  auto program = Program::Compile(*ptx);
  if (!program) return Failed(CUDA_ERROR_INVALID_PTX, program.error());
  std::shared_ptr<Module> module(new Module(std::move(*program)));
  if (const auto placed = module->PlaceGlobals(memory); !placed) {
    const bool full = placed.error().code() == Code::kExhausted;
    module->FreeGlobals(memory, [] {});
    return Failed(full ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_PTX, placed.error());
  }
  return module;
}

// All variables lie in one allocation. Addresses are bound first: an initialiser may name another variable.
Result<void> Module::PlaceGlobals(DeviceMemory& memory) {
  const auto globals = program_->globals();
  if (globals.empty()) return {};
  std::vector<uint64_t> offsets;
  uint64_t end = 0;
  for (const auto& global : globals) {
    const uint64_t begin = RoundUp(end, std::max<uint64_t>(kVariableAlign, global.align));
    if (global.size > memory.total_bytes() || begin > memory.total_bytes()) {
      return Fail(Code::kExhausted, "Variable [{}] has ({}) bytes, the device ({}).", global.name, global.size,
                  memory.total_bytes());
    }
    offsets.push_back(begin);
    end = begin + std::max<uint64_t>(global.size, 1);
  }
  if (memory.Allocate(&globals_, end) != CUDA_SUCCESS) {
    return Fail(Code::kExhausted, "Device memory has no ({}) bytes for the module's variables.", end);
  }
  for (size_t i = 0; i < globals.size(); ++i) {
    MIG_TRY(program_->Bind(i, globals_ + offsets[i]));
    variables_[globals[i].name] = {globals_ + offsets[i], globals[i].size};
  }
  for (size_t i = 0; i < globals.size(); ++i) {
    MIG_ASSIGN(const auto image, program_->InitialImage(i));
    std::memcpy(reinterpret_cast<void*>(globals_ + offsets[i]), image.data(),
                std::min<uint64_t>(image.size(), globals[i].size));
  }
  return {};
}

const Module::Variable* Module::FindVariable(std::string_view name) const {
  const auto found = variables_.find(name);
  return found == variables_.end() ? nullptr : &found->second;
}

void Module::FreeGlobals(DeviceMemory& memory, const DeviceMemory::Drain& drain) {
  if (const CUdeviceptr globals = std::exchange(globals_, 0); globals != 0) memory.Free(globals, drain);
}

}  // namespace mignificient::cpu
