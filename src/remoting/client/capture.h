// Stream capture as this process sees it. Nothing is asked of the server while no capture has been begun.
#pragma once

#include "abi/cuda.h"

namespace mignificient::client {

// Whether work issued to the stream now becomes part of a graph. Costs a round trip while some capture is active.
bool IsCapturing(CUstream stream);

}  // namespace mignificient::client
