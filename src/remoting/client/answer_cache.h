// Answers that do not change until the program changes what they describe: function attributes, occupancy, limits.
// Asked tens of thousands of times by frameworks, so the second time they are answered here, in nanoseconds and without
// a lock. The table is of fixed size and forgets; a forgotten answer is asked for again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "abi/cuda.h"
#include "remoting/client/seq_slot.h"

namespace mignificient::client {

inline constexpr size_t kMaxCachedBody = 64;   // as in codegen/model.py
inline constexpr size_t kMaxCachedReply = 16;  // as in codegen/model.py

class AnswerCache {
 public:
  // As Call() of call.h. Remembers successes and CUDA_ERROR_INVALID_VALUE (the end of a list).
  template <size_t kBodyBytes, size_t kReplyBytes>
  CUresult Call(uint16_t opcode, std::span<const std::byte, kBodyBytes> body, std::span<std::byte, kReplyBytes> reply) {
    static_assert(kBodyBytes % 8 == 0 && kBodyBytes <= kMaxCachedBody && kReplyBytes <= kMaxCachedReply);
    constexpr size_t kBodyWords = kBodyBytes / 8;
    std::array<uint64_t, kBodyWords> question;
    std::memcpy(question.data(), body.data(), kBodyBytes);
    const uint64_t asked = uint64_t{opcode} << 32 | epoch_.load(std::memory_order_acquire);
    Slot& slot = slots_[SlotOf(opcode, question)];
    std::array<uint64_t, kHeadWords + kBodyWords> known;
    if (slot.Read(known) && known[kAsked] == asked && known[kResult] != 0 &&
        std::memcmp(&known[kHeadWords], question.data(), kBodyBytes) == 0) [[likely]] {
      std::memcpy(reply.data(), &known[kReply], kReplyBytes);
      return static_cast<CUresult>(known[kResult] - 1);
    }
    return AskServer(slot, asked, body, reply);
  }

  // Every answer given so far may be wrong from now on. One that is on its way is remembered under the epoch in which
  // it was asked for.
  void Forget() { epoch_.fetch_add(1, std::memory_order_release); }

 private:
  // What was asked (opcode and epoch), the result + 1 (0: empty), the reply; then the body.
  static constexpr size_t kAsked = 0, kResult = 1, kReply = 2, kHeadWords = kReply + kMaxCachedReply / 8;
  static constexpr int kSlotBits = 12;
  using Slot = SeqSlot<kHeadWords + kMaxCachedBody / 8>;

  // One odd factor per word, so that words that differ a little go far apart.
  static constexpr auto kFactors = [] {
    std::array<uint64_t, kMaxCachedBody / 8 + 1> factors{};
    uint64_t state = 0;
    for (uint64_t& factor : factors) {
      state += 0x9e3779b97f4a7c15;  // SplitMix64
      uint64_t mixed = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
      factor = (mixed ^ (mixed >> 31)) | 1;
    }
    return factors;
  }();

  template <size_t kWords>
  static size_t SlotOf(uint16_t opcode, const std::array<uint64_t, kWords>& question) {
    uint64_t hash = opcode * kFactors[kWords];
    for (size_t i = 0; i < kWords; ++i) hash += question[i] * kFactors[i];
    return hash >> (64 - kSlotBits);
  }

  CUresult AskServer(Slot& slot, uint64_t asked, std::span<const std::byte> body, std::span<std::byte> reply);

  std::atomic<uint32_t> epoch_{0};
  Slot slots_[size_t{1} << kSlotBits];
};

// Constant-initialised: untouched pages of it cost nothing.
extern constinit AnswerCache answer_cache;

}  // namespace mignificient::client
