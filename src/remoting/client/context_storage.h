// Context-local storage: what a CUDA runtime keeps per context, by a key of its own. Read on nearly every runtime call,
// so reading takes no lock. Nothing here is ever destroyed: exit handlers of the libraries still read it.
#pragma once

#include "abi/cuda.h"

namespace mignificient::client {

using StorageDestructor = void (*)(CUcontext context, void* key, void* value);

// `context` is a real one, not null. CUDA_ERROR_OUT_OF_MEMORY when kStorageSlots entries exist.
CUresult PutStorage(CUcontext context, void* key, void* value, StorageDestructor destructor);

// CUDA_ERROR_INVALID_HANDLE when there is no such entry.
CUresult GetStorage(void** value, CUcontext context, void* key);
CUresult DeleteStorage(CUcontext context, void* key);  // without calling the destructor

// Removes the entries of a context that ends and calls their destructors.
void DestroyStorage(CUcontext context);

inline constexpr int kStorageSlots = 1024;

}  // namespace mignificient::client
