// Which part of a GPU `run` uses.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "device/inventory.h"

namespace mignificient::cli {

// The first partition that `instance` fits: `any`, a UUID, a size such as 3g, or a profile such as 3g.40gb. kNotFound,
// naming what there is.
Result<device::Partition> FindPartition(const device::Inventory& inventory, std::string_view instance);

// From a devices.json, or discovered where `devices_file` is empty.
Result<device::Inventory> ReadOrDiscover(const std::string& devices_file);

// How a GPU server is told which device to use: a UUID, or the position of a software partition.
std::string DeviceArgument(const device::Partition& partition);

}  // namespace mignificient::cli
