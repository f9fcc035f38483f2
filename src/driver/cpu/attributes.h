// What cuDeviceGetAttribute answers: the values of an H100, less what the software GPU cannot do.
#pragma once

#include <optional>

#include "driver/cpu/cpu_driver.h"

namespace mignificient::cpu {

// Empty for a number that is no attribute.
std::optional<int> DeviceAttribute(int attribute, const CpuDriverOptions& options);

}  // namespace mignificient::cpu
