// The real CUDA driver as a DriverTable. Loaded with dlopen, so that one binary runs with and without it.
#pragma once

#include <string>

#include "base/result.h"
#include "driver/driver_table.h"

namespace mignificient::cuda {

// Loads libcuda.so.1 (or the library that the environment variable MIGNIFICIENT_LIBCUDA names) and finds every entry
// point. kNotFound: there is no driver. Entry points that an older driver lacks answer CUDA_ERROR_NOT_SUPPORTED. The
// library stays loaded for the life of the process.
Result<DriverTable> LoadDriver();

// The version of the kernel's driver, such as "580.159.04"; empty where it does not say.
std::string DriverVersionText();

}  // namespace mignificient::cuda
