#include "remoting/client/answer_cache.h"

#include <cstring>

#include "remoting/client/call.h"

namespace mignificient::client {

constinit AnswerCache answer_cache;

CUresult AnswerCache::AskServer(Slot& slot, uint64_t asked, std::span<const std::byte> body,
                                std::span<std::byte> reply) {
  const CUresult result = client::Call(static_cast<uint16_t>(asked >> 32), body, reply);
  if (result != CUDA_SUCCESS && result != CUDA_ERROR_INVALID_VALUE) return result;
  Slot::Words words{};
  words[kAsked] = asked;
  words[kResult] = uint64_t{result} + 1;
  if (result == CUDA_SUCCESS) std::memcpy(&words[kReply], reply.data(), reply.size());
  std::memcpy(&words[kHeadWords], body.data(), body.size());
  slot.TryWrite(words);
  return result;
}

}  // namespace mignificient::client
