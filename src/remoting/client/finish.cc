// For the executor, when a handler has returned: whether all that this process has issued is over.

#include "remoting/client/call.h"
#include "remoting/client/channel.h"
#include "remoting/wire/commands.h"

namespace mignificient::client {
namespace {

// As executor::GpuWork, which executors in any language know by number.
enum Work : int { kUnknown = 0, kNone = 1, kCarriedOut = 2 };

}  // namespace

// One round trip through the ring, behind all commands written so far. It waits until they are carried out, not for the
// work itself: a device that is still busy makes it kUnknown. Errors stay for the call that they belong to.
MIG_EXPORT int mignificient_finish() {
  const Channel* const channel = TheChannel();
  if (channel == nullptr) return kNone;
  if (Initialized() != CUDA_SUCCESS || channel->broken()) return kUnknown;  // a forked child's is its parent's
  const wire::FenceBody now{.epoch = 0, .now = 1};
  const auto body = std::as_bytes(std::span(&now, 1));
  return Call(static_cast<uint16_t>(wire::Command::kFence), body, {}) == CUDA_SUCCESS ? kCarriedOut : kUnknown;
}

}  // namespace mignificient::client
