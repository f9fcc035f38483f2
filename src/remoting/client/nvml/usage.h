// Which of the container's processes use the device, and how much memory.
#pragma once

#include <vector>

#include "remoting/client/nvml/session.h"

namespace mignificient::nvml {

// One process has all that is used; of several it is not known who has what.
std::vector<Process2> ProcessesOf(const wire::View& view);

}  // namespace mignificient::nvml
