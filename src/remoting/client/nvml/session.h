// The one device that libnvidia-ml.so.1 shows: the container's session as it is at the moment of the question. Every
// question is a short visit through the door (wire/door.h): no channel is opened for it and nothing is kept, so a
// program may ask before cuInit, from any thread, and in a forked child.
#pragma once

#include "remoting/client/nvml/abi.h"
#include "remoting/wire/door.h"

namespace mignificient::nvml {

Device TheDevice();

// kUninitialized outside of nvmlInit and nvmlShutdown.
Return Initialized();
// As Initialized(), and kInvalidArgument unless `device` is the device.
Return Check(Device device);

// As Initialized(); kGpuIsLost when the GPU server has gone.
Return Look(wire::View& view);
// As Check(), then Look().
Return Look(Device device, wire::View& view);

inline int Attribute(const wire::View& view, int attribute) {
  return view.device.attributes[attribute];
}

// Copies a text with its end. kInsufficientSize when it does not fit.
Return CopyText(std::string_view text, char* out, unsigned bytes);

}  // namespace mignificient::nvml
