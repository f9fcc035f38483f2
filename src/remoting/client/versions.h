// The CUDA version that this driver presents.
#pragma once

namespace mignificient::client {

inline constexpr int kApiVersion = 13000;  // what api/ describes

// The lower of kApiVersion and the version of the server's driver; kApiVersion as long as the process has not attached.
int DriverVersion();

}  // namespace mignificient::client
