// Sets of events. Tools make one before they look at anything, nvidia-smi among them; but events of the hardware are
// the host's matter, so none can be registered and a wait for one ends with its timeout.

#include <poll.h>

#include <algorithm>
#include <climits>

#include "remoting/client/nvml/session.h"

namespace mignificient::nvml {
namespace {

struct EventSet {};
EventSet the_set;  // all are empty, so one serves for all

Return CheckSet(const EventSet* set) {
  if (const Return result = Initialized(); result != kSuccess) return result;
  return set == &the_set ? kSuccess : kInvalidArgument;
}

Return Wait(const EventSet* set, const void* event, unsigned timeout_ms) {
  if (const Return result = CheckSet(set); result != kSuccess) return result;
  if (event == nullptr) return kInvalidArgument;
  ::poll(nullptr, 0, static_cast<int>(std::min<unsigned>(timeout_ms, INT_MAX)));
  return kTimeout;
}

}  // namespace

MIG_EXPORT int nvmlEventSetCreate(EventSet** set) {
  if (const Return result = Initialized(); result != kSuccess) return result;
  if (set == nullptr) return kInvalidArgument;
  *set = &the_set;
  return kSuccess;
}
MIG_EXPORT int nvmlEventSetFree(EventSet* set) {
  return CheckSet(set);
}
MIG_EXPORT int nvmlEventSetWait(EventSet* set, void* event, unsigned timeout_ms) {
  return Wait(set, event, timeout_ms);
}
MIG_EXPORT int nvmlEventSetWait_v2(EventSet* set, void* event, unsigned timeout_ms) {
  return Wait(set, event, timeout_ms);
}

}  // namespace mignificient::nvml
