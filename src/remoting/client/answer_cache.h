// Answers that do not change until the program changes what they describe: function attributes, occupancy. Asked tens
// of thousands of times by frameworks, so the second time they are answered here, in nanoseconds and without a lock.
// The table is of fixed size and forgets; a forgotten answer is asked for again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "abi/cuda.h"

namespace mignificient::client {

inline constexpr size_t kMaxCachedBody = 64;   // as in codegen/model.py
inline constexpr size_t kMaxCachedReply = 16;  // as in codegen/model.py

// As Call() of call.h, for a body and a reply of at most these sizes, both multiples of 8. Remembers successes and
// CUDA_ERROR_INVALID_VALUE (the end of a list).
CUresult CallCached(uint16_t opcode, std::span<const std::byte> body, std::span<std::byte> reply);

// Every answer given so far may be wrong from now on.
void ForgetAnswers();

}  // namespace mignificient::client
