// Attributes of launches, streams and kernel nodes (CUlaunchAttributeID): which of them may travel. The driver takes
// whatever lies in a value for what its id says, so an id that is not known here goes nowhere.
#pragma once

#include <cstdint>

namespace mignificient::wire {

inline constexpr int32_t kCooperativeAttribute = 2;
inline constexpr int32_t kPreferredClusterAttribute = 11;
inline constexpr int32_t kDeviceUpdatableNode = 13;  // its handle is for device code

enum class AttributeKind {
  kValue,    // plain numbers and device addresses
  kEvent,    // begins with a CUevent, which travels by name
  kRefused,  // carries a handle that only means something in the process that owns the device, or is unknown
};

constexpr AttributeKind KindOfAttribute(int32_t id) {
  switch (id) {
    case 0:   // ignore
    case 1:   // access policy window
    case 2:   // cooperative
    case 3:   // synchronization policy
    case 4:   // cluster dimension
    case 5:   // cluster scheduling policy
    case 6:   // programmatic stream serialization
    case 8:   // priority
    case 9:   // memory synchronization domain map
    case 10:  // memory synchronization domain
    case 11:  // preferred cluster dimension
    case 14:  // preferred shared memory carveout
    case 16:  // NVLink-centric scheduling
      return AttributeKind::kValue;
    case 7:   // programmatic event
    case 12:  // launch completion event
      return AttributeKind::kEvent;
    default:
      return AttributeKind::kRefused;
  }
}

}  // namespace mignificient::wire
