// How a client process attaches to a GPU server, and what the two then share.
//
//   client                                       GPU server
//     connects at the door (wire/door.h)
//     AttachRequest, kChannel               ->   creates a sealed region, a ring consumer, a memory window
//                                           <-   Welcome + {region}
//
// From then on that connection only carries descriptors (pinned memory, module images); its hang-up is how each side
// notices that the other has died. Everything else goes through the region:
//
//   [ RegionHeader | reply slots | staging chunks | command ring ]
//
// Who only wants to know about the session asks with kLook, gets a View, and is hung up on.
//
// All numbers are little-endian; both ends are built from one source tree, and refuse another kProtocolVersion.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "abi/cuda.h"
#include "ring/completion.h"
#include "ring/ring.h"

namespace mignificient::wire {

inline constexpr uint32_t kAttachMagic = 0x4147494d;  // "MIGA"
inline constexpr uint32_t kProtocolVersion = 8;
// Client processes of one GPU server that have a channel at the same time; each has address windows of its own.
inline constexpr uint32_t kMostChannels = 32;
inline constexpr int kDoorKeyBytes = 32;  // hexadecimal digits

enum class AttachPurpose : uint32_t { kChannel = 0, kLook = 1 };

struct AttachRequest {
  uint32_t magic = kAttachMagic;
  uint32_t version = kProtocolVersion;
  uint32_t pid = 0;
  uint32_t can_barrier = 0;  // 1: the client has succeeded in os::RegisterForBarrier
  AttachPurpose purpose = AttachPurpose::kChannel;
  char key[kDoorKeyBytes] = {};  // of the door
};

inline constexpr int kAttributeCount = 160;  // CUdeviceAttribute values below this are known to the client

// What a client may know about its device without asking: answered in the client from here on.
struct DeviceInfo {
  int driver_version = 0;
  unsigned context_api_version = 0;
  char name[256] = {};
  CUuuid uuid{};
  uint64_t total_bytes = 0;  // the container's budget
  int attributes[kAttributeCount] = {};
  uint64_t limits[CU_LIMIT_COUNT] = {};
  int least_priority = 0;
  int greatest_priority = 0;
  uint32_t runs_machine_code = 0;  // 0: the software GPU, which runs PTX
};

// kExhausted: kMostChannels are open, or the GPU server has no memory for one more.
enum class AttachStatus : uint32_t { kOk = 0, kVersionMismatch = 1, kExhausted = 2 };

struct Welcome {
  uint32_t magic = kAttachMagic;
  uint32_t version = kProtocolVersion;
  AttachStatus status = AttachStatus::kOk;
  uint32_t asymmetric_barrier = 0;  // 1: both ends of the ring use ring::Barrier::kAsymmetric
  uint64_t region_bytes = 0;
  // Device addresses [window_base, window_base + window_bytes) are the client's to allocate from, in granules.
  uint64_t window_base = 0;
  uint64_t window_bytes = 0;
  uint64_t granule_bytes = 0;
  uint64_t budget_bytes = 0;
  // Host addresses that the server keeps free, for memory mapped at one address on both sides.
  uint64_t host_window_base = 0;
  uint64_t host_window_bytes = 0;
  DeviceInfo device;
};

// What a session is like at the moment.
struct View {
  uint32_t magic = kAttachMagic;
  uint32_t version = kProtocolVersion;
  uint64_t budget_bytes = 0;
  uint64_t used_bytes = 0;
  char driver_text[80] = {};  // "580.159.04"
  uint32_t channels = 0;
  uint32_t pids[kMostChannels] = {};  // of the processes that have one, as each named itself
  DeviceInfo device;
};

// A descriptor sent ahead of the command that uses it.
struct DescriptorPacket {
  uint64_t tag = 0;    // chosen by the client, named again in the command
  uint64_t bytes = 0;  // how much of it is meant
};

// --- The region ---------------------------------------------------------------------------------------------------

// A command that is answered names a slot: one of the first kReplySlots where the answer has bytes, one of the many
// others where it only ends, so that threads that wait for the device never keep others from asking.
inline constexpr uint32_t kReplySlots = 64;
inline constexpr uint32_t kReplyBytes = 16 * 1024;
inline constexpr uint32_t kWaitSlots = 1024;
inline constexpr uint32_t kSlots = kReplySlots + kWaitSlots;
inline constexpr uint32_t kStagingChunks = 32;
inline constexpr uint32_t kChunkBytes = 512 * 1024;
// How far a client may run ahead of the device. A power of two, large enough that a burst of 10000 launches (112 bytes
// with eight parameters, 384 with forty) costs its caller no wait; small enough that what was issued is over a tenth of
// a second later, when launches take the driver 3 us: that is how long a drain, a yield or a kill of the context can
// find itself behind. Where the ring is full, the caller waits for the device, as in CUDA.
inline constexpr uint64_t kRingBytes = 4 * 1024 * 1024;
inline constexpr uint32_t kMaxCommandBytes = 64 * 1024;

// From server to client: a host function whose turn in its stream or graph has come. One at a time.
struct HostCallBox {
  alignas(64) std::atomic<uint32_t> asked;  // server: bumped once `id` and `status` are valid; the client sleeps on it
  std::atomic<uint32_t> status;             // CUresult that a stream callback is told
  std::atomic<uint64_t> id;                 // as the client named the function
  alignas(64) std::atomic<uint32_t> ended;  // client: = `asked` once the function has returned; the server sleeps on it
};

struct RegionHeader {
  ring::RingControl ring;
  // Written by the server: the error of an asynchronous call. Low 16 bits CUresult; kDeferredSticky. 0: none.
  alignas(64) std::atomic<uint32_t> deferred_error;
  // Written by the server: 1 while the session has other channels. What maps memory then waits for the answer.
  std::atomic<uint32_t> shared;
  // Written by the server: the epoch of the last fence whose work is complete. Released to the client, which then uses
  // memory again that was freed before.
  alignas(64) std::atomic<uint64_t> fence_passed;
  ring::Completion replies[kSlots];
  ring::Completion chunks[kStagingChunks];
  HostCallBox host_calls;
};

inline constexpr uint32_t kDeferredSticky = 1u << 31;

inline constexpr uint64_t kReplyOffset = 128 * 1024;
inline constexpr uint64_t kChunkOffset = kReplyOffset + uint64_t{kReplySlots} * kReplyBytes;
inline constexpr uint64_t kRingOffset = kChunkOffset + uint64_t{kStagingChunks} * kChunkBytes;
inline constexpr uint64_t kRegionBytes = kRingOffset + kRingBytes;
static_assert(sizeof(RegionHeader) <= kReplyOffset);

// --- Commands -----------------------------------------------------------------------------------------------------

inline constexpr uint16_t kNoReply = 0xffff;

// A command is a record of the ring; its RecordHeader names the opcode and the reply slot that ends with the command,
// or kNoReply. Hand-written commands (wire/commands.h) are 1 to 255; generated ones (gen/commands.h) follow.
inline constexpr uint16_t kFirstGeneratedOpcode = 256;

// --- Handles ------------------------------------------------------------------------------------------------------

// Objects are named by (kind, generation, slot) in one 64-bit word, which is also what the program sees as CUstream,
// CUevent and so on. Never 0, 1 or 2, which CUDA gives a meaning to.
enum class HandleKind : uint8_t {
  kStream = 1,
  kEvent,
  kModule,
  kLibrary,
  kFunction,
  kKernel,
  kContext,
  kArray,
  kMipmappedArray,
  kAllocation,
  kMemoryPool,
  kGraph,
  kGraphNode,
  kGraphExec,
  kLink,
  kUserObject,
};

struct Handle {
  HandleKind kind;
  uint32_t generation;  // 24 bits
  uint32_t slot;
};

constexpr uint64_t PackHandle(Handle handle) {
  return uint64_t{static_cast<uint8_t>(handle.kind)} << 56 | uint64_t{handle.generation & 0xffffff} << 32 | handle.slot;
}
constexpr Handle UnpackHandle(uint64_t name) {
  return {static_cast<HandleKind>(name >> 56), static_cast<uint32_t>(name >> 32) & 0xffffff,
          static_cast<uint32_t>(name)};
}

}  // namespace mignificient::wire
