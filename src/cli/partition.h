// Which part of a GPU `run` uses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "device/inventory.h"

namespace mignificient::cli {

// What a GPU server is told of its device.
struct DeviceChoice {
  std::string driver;                  // cuda or cpu
  std::string device;                  // an ordinal, or a UUID
  std::string visible;                 // for cuda: CUDA_VISIBLE_DEVICES of the server
  std::optional<uint64_t> memory_mib;  // of a software partition
};

// The first partition that `instance` fits: `any`, a UUID, a size such as 3g, or a profile such as 3g.40gb. kNotFound,
// naming what there is.
Result<DeviceChoice> ChooseFrom(const device::Inventory& inventory, std::string_view instance);

// Of those in a devices.json, or discovered where `devices_file` is empty.
//
// `any` of what is discovered is the device that a program has natively: the first one of CUDA_VISIBLE_DEVICES, in
// CUDA's own order. NVML, which takes 10 ms and more for each GPU, is not asked then; nor are other GPUs initialised.
Result<DeviceChoice> ChooseDevice(std::string_view instance, const std::string& devices_file);

// The first of a list such as CUDA_VISIBLE_DEVICES has; "0" where there is no list (nullptr), empty where it is empty.
std::string FirstVisible(const char* list);

}  // namespace mignificient::cli
