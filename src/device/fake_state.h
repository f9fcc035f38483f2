// All that a fake NVML knows, and the file that describes it (docs/devices.md).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "device/fake_gpu.h"
#include "device/nvml_status.h"

namespace mignificient::device {

// The call of `function` after `after` more of them fails once with `status`.
struct FakeFailure {
  std::string function;  // of NVML: "nvmlGpuInstanceDestroy"
  NvmlStatus status = NvmlStatus::kUnknown;
  uint32_t after = 0;
};

struct FakeState {
  std::string driver_version = "580.159.04";
  bool root = true;  // false: what needs root is answered with NVML_ERROR_NO_PERMISSION
  std::vector<FakeGpu> gpus;
  std::vector<XidEvent> xids;  // all that ever happened
  std::vector<FakeFailure> failures;

  // So many H100s, without MIG mode or in it.
  static FakeState H100s(uint32_t count, bool mig);
};

// `{}` is no GPU, `{"gpus": [{}]}` one H100. Errors name the field.
Result<FakeState> ParseFakeState(std::string_view json);
std::string FakeStateJson(const FakeState& state);  // parses back to the same

}  // namespace mignificient::device
