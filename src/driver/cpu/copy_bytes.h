#pragma once

#include <cstddef>
#include <cstdint>

#include "driver/cpu/exec/worker_pool.h"

namespace mignificient::cpu {

// memmove, by several threads where that pays.
void CopyBytes(uint64_t dst, uint64_t src, size_t bytes, WorkerPool& pool);

}  // namespace mignificient::cpu
