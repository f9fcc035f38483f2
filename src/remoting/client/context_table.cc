#include "remoting/client/context_table.h"

#include "remoting/client/call.h"
#include "remoting/client/context.h"
#include "remoting/client/thread_owned.h"

namespace mignificient::client {
namespace {

// What lies below the top of a thread's stack, outermost first.
struct Below {
  CUcontext entries[ContextStack::kMaxDepth] = {};
};

}  // namespace

constinit ContextTable context_table;
constinit thread_local ContextStack current_stack;  // trivial: works in exit handlers too

bool ContextStack::Push(CUcontext context) {
  if (depth == kMaxDepth) return false;
  if (depth > 0) ThreadOwned<Below>::Get().entries[depth - 1] = top;
  top = context;
  ++depth;
  return true;
}

void ContextStack::Pop() {
  --depth;
  top = depth == 0 ? nullptr : ThreadOwned<Below>::Get().entries[depth - 1];
}

CUcontext ContextTable::CreateLocked(uint32_t slot, unsigned flags) {
  ContextRecord& record = records[slot];
  // The primary context keeps its handle, as programs hold on to it across a reset.
  const uint32_t generation =
      slot == kPrimarySlot ? 1 : (record.generation.load(std::memory_order_relaxed) + 1) & 0xffffff;
  record.generation.store(generation, std::memory_order_relaxed);
  record.flags.store(flags, std::memory_order_relaxed);
  record.cache_config.store(0, std::memory_order_relaxed);
  record.shared_config.store(1, std::memory_order_relaxed);
  record.id.store(next_id.fetch_add(1, std::memory_order_relaxed), std::memory_order_relaxed);
  const CUcontext handle = Handle(slot, generation);
  record.living.store(~reinterpret_cast<uint64_t>(handle), std::memory_order_release);
  return handle;
}

CUcontext ContextTable::CreateLocked(unsigned flags) {
  for (uint32_t slot = kPrimarySlot + 1; slot < records.size(); ++slot)
    if (!records[slot].alive()) return CreateLocked(slot, flags);
  return nullptr;
}

CUresult ResolveContext(CUcontext& context) {
  if (context == nullptr) context = CurrentContext();
  return Contexts().Find(context) == nullptr ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

CUresult ContextId(CUcontext context, uint64_t& id) {
  const ContextRecord* record = Contexts().Find(context);
  if (record == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  id = record->id.load(std::memory_order_relaxed);
  return CUDA_SUCCESS;
}

}  // namespace mignificient::client
