// Memory operations of streams: waits for a value, writes of one. A wait looks again and again, as a GPU does, at
// moments that get further apart.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <type_traits>
#include <vector>

#include "driver/cpu/capture.h"
#include "driver/cpu/entries.h"

namespace mignificient::cpu {
namespace {

constexpr unsigned kMostOperations = 256;
constexpr unsigned kKnownWaitFlags = 3;
constexpr unsigned kKnownWriteFlags = 1;

bool IsWait(int operation) {
  return operation == CU_STREAM_MEM_OP_WAIT_VALUE_32 || operation == CU_STREAM_MEM_OP_WAIT_VALUE_64;
}
bool IsWide(int operation) {
  return operation == CU_STREAM_MEM_OP_WAIT_VALUE_64 || operation == CU_STREAM_MEM_OP_WRITE_VALUE_64;
}

CUresult Check(DeviceMemory& memory, const CUstreamBatchMemOpParams& each) {
  if (each.operation == CU_STREAM_MEM_OP_BARRIER)
    return each.barrier.flags <= 1 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  if (each.operation == CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES) return CUDA_ERROR_NOT_SUPPORTED;
  if (each.operation < CU_STREAM_MEM_OP_WAIT_VALUE_32 || each.operation > CU_STREAM_MEM_OP_BARRIER)
    return CUDA_ERROR_INVALID_VALUE;
  const unsigned bytes = IsWide(each.operation) ? 8 : 4;
  const unsigned known = IsWait(each.operation) ? kKnownWaitFlags : kKnownWriteFlags;
  const bool good = each.value.address % bytes == 0 && (each.value.flags & ~known) == 0;
  return good && memory.Reaches(each.value.address, bytes) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

template <typename T>
bool Holds(T found, T wanted, unsigned condition) {
  switch (condition & kKnownWaitFlags) {
    case CU_STREAM_WAIT_VALUE_GEQ:
      return static_cast<std::make_signed_t<T>>(found - wanted) >= 0;
    case CU_STREAM_WAIT_VALUE_EQ:
      return found == wanted;
    case CU_STREAM_WAIT_VALUE_AND:
      return (found & wanted) != 0;
    default:
      return static_cast<T>(~(found | wanted)) != 0;
  }
}

// One look or one write. False: what is waited for has not come yet.
template <typename T>
bool Try(const CUstreamBatchMemOpParams& each, T value) {
  std::atomic_ref<T> place(*reinterpret_cast<T*>(each.value.address));
  if (IsWait(each.operation)) return Holds(place.load(std::memory_order_acquire), value, each.value.flags);
  place.store(value, std::memory_order_release);
  return true;
}

// False: the context has ended, or the memory has gone.
bool Carry(Context& context, const CUstreamBatchMemOpParams& each) {
  using std::chrono::microseconds;
  constexpr microseconds kLongestPause{500};
  if (each.operation == CU_STREAM_MEM_OP_BARRIER) return true;  // every operation here is one
  std::optional<Scheduler::Blocked> blocked;
  for (microseconds pause{0}; !context.Stopped(); pause = std::min(pause * 2 + microseconds{1}, kLongestPause)) {
    if (!context.device().memory().Reaches(each.value.address, IsWide(each.operation) ? 8 : 4)) {
      context.device().SetFault(CUDA_ERROR_ILLEGAL_ADDRESS);
      return false;
    }
    const bool done =
        IsWide(each.operation) ? Try<uint64_t>(each, each.value.value64) : Try<uint32_t>(each, each.value.value);
    if (done) return true;
    if (!blocked) blocked.emplace(context.scheduler());
    std::this_thread::sleep_for(pause);
  }
  return false;
}

CUresult StreamBatchMemOp(CUstream handle, unsigned count, CUstreamBatchMemOpParams* operations, unsigned flags) {
  return OnStream(handle, [&](Context& context, Stream& stream) {
    if (count == 0 || count > kMostOperations || operations == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count; ++i)
      if (const CUresult checked = Check(context.device().memory(), operations[i]); checked != CUDA_SUCCESS)
        return checked;
    // Graphs of this GPU have no node for them.
    if (const CUresult forbidden = context.captures().Forbid(stream); forbidden != CUDA_SUCCESS) return forbidden;
    context.scheduler().Enqueue(stream, [&context, all = std::vector(operations, operations + count)] {
      for (const CUstreamBatchMemOpParams& each : all)
        if (!Carry(context, each)) return;
    });
    return CUDA_SUCCESS;
  });
}

}  // namespace

void FillStreamMemoryEntries(DriverTable& table) {
  table.cuStreamBatchMemOp_v2 = StreamBatchMemOp;
}

}  // namespace mignificient::cpu
