#include "remoting/client/context_storage.h"

#include <cstdint>
#include <mutex>
#include <optional>

#include "remoting/client/seq_slot.h"

namespace mignificient::client {
namespace {

struct Entry {
  uint64_t context = 0;
  uint64_t key = 0;
  uint64_t value = 0;
  uint64_t destructor = 0;
};

// A slot is empty (never used: a search ends there), a tombstone (free, a search goes on), or live.
enum State : uint64_t { kEmpty = 0, kTombstone = 1, kLive = 2 };

using Slot = SeqSlot<5>;  // state, then the Entry

constinit Slot slots[kStorageSlots];
constinit std::mutex write_lock;

template <typename T>
uint64_t Word(T pointer) {
  return reinterpret_cast<uint64_t>(pointer);
}

size_t Home(uint64_t context, uint64_t key) {
  return ((context ^ key) * 0x9e3779b97f4a7c15 >> 32) % kStorageSlots;
}

Slot::Words ReadSlot(size_t index) {
  Slot::Words words;
  while (!slots[index].Read(words)) {
  }
  return words;
}

template <size_t kWords>
bool Holds(const std::array<uint64_t, kWords>& words, uint64_t context, uint64_t key) {
  return words[0] == kLive && words[1] == context && words[2] == key;
}

// The slot of (context, key); `free` becomes a slot where it could be put.
std::optional<size_t> Find(uint64_t context, uint64_t key, Slot::Words& words, std::optional<size_t>* free = nullptr) {
  const size_t home = Home(context, key);
  for (size_t i = 0; i < kStorageSlots; ++i) {
    const size_t index = (home + i) % kStorageSlots;
    words = ReadSlot(index);
    if (Holds(words, context, key)) return index;
    if (words[0] != kLive && free != nullptr && !*free) *free = index;
    if (words[0] == kEmpty) break;
  }
  return std::nullopt;
}

}  // namespace

CUresult PutStorage(CUcontext context, void* key, void* value, StorageDestructor destructor) {
  const std::lock_guard lock(write_lock);
  Slot::Words words;
  std::optional<size_t> free;
  std::optional<size_t> index = Find(Word(context), Word(key), words, &free);
  if (!index) index = free;
  if (!index) return CUDA_ERROR_OUT_OF_MEMORY;
  slots[*index].Write({kLive, Word(context), Word(key), Word(value), Word(destructor)});
  return CUDA_SUCCESS;
}

namespace {

[[gnu::noinline, gnu::cold]] CUresult GetElsewhere(void** value, CUcontext context, void* key) {
  Slot::Words words;
  if (!Find(Word(context), Word(key), words)) return CUDA_ERROR_INVALID_HANDLE;
  *value = reinterpret_cast<void*>(words[3]);
  return CUDA_SUCCESS;
}

}  // namespace

// Called before each launch. Nearly always it is the first slot that is looked at.
CUresult GetStorage(void** value, CUcontext context, void* key) {
  std::array<uint64_t, 4> words;
  if (slots[Home(Word(context), Word(key))].Read(words) && Holds(words, Word(context), Word(key))) [[likely]] {
    *value = reinterpret_cast<void*>(words[3]);
    return CUDA_SUCCESS;
  }
  return GetElsewhere(value, context, key);
}

CUresult DeleteStorage(CUcontext context, void* key) {
  const std::lock_guard lock(write_lock);
  Slot::Words words;
  const std::optional<size_t> index = Find(Word(context), Word(key), words);
  if (!index) return CUDA_ERROR_INVALID_HANDLE;
  slots[*index].Write({kTombstone});
  return CUDA_SUCCESS;
}

void DestroyStorage(CUcontext context) {
  for (size_t index = 0; index < kStorageSlots; ++index) {
    Slot::Words words;
    {
      const std::lock_guard lock(write_lock);
      words = ReadSlot(index);
      if (words[0] != kLive || words[1] != Word(context)) continue;
      slots[index].Write({kTombstone});
    }
    // Outside the lock: a destructor may use the storage.
    if (auto* destructor = reinterpret_cast<StorageDestructor>(words[4]))
      destructor(context, reinterpret_cast<void*>(words[2]), reinterpret_cast<void*>(words[3]));
  }
}

}  // namespace mignificient::client
