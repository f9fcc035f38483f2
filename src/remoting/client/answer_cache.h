// Answers that do not change until the program changes what they describe: function attributes, occupancy, limits.
// Asked tens of thousands of times by frameworks, so the second time they are answered here, in nanoseconds and without
// a lock. The table is of fixed size and forgets; a forgotten answer is asked for again.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "abi/cuda.h"
#include "remoting/client/seq_slot.h"

namespace mignificient::client {

inline constexpr size_t kMaxCachedBody = 64;   // as in codegen/model.py
inline constexpr size_t kMaxCachedReply = 16;  // as in codegen/model.py

class AnswerCache {
 public:
  // As CallBody() of call.h. Remembers successes and CUDA_ERROR_INVALID_VALUE (the end of a list).
  template <typename Body, typename Reply>
  CUresult Call(uint16_t opcode, const Body& body, Reply& reply) {
    static_assert(sizeof(Body) % 8 == 0 && sizeof(Body) <= kMaxCachedBody);
    static_assert(sizeof(Reply) % 8 == 0 && sizeof(Reply) <= kMaxCachedReply);
    constexpr size_t kBodyWords = sizeof(Body) / 8, kReplyWords = sizeof(Reply) / 8;
    const std::array<uint64_t, kBodyWords> question = WordsOf(body);
    const uint64_t asked = uint64_t{opcode} << 32 | epoch_.load(std::memory_order_acquire);
    Slot& slot = slots_[SlotOf(opcode, question)];
    std::array<uint64_t, kHeadWords + kBodyWords> known;
    if (slot.Read(known) && known[kAsked] == asked && known[kResult] != 0 && IsAbout(known, question)) [[likely]] {
      std::array<uint64_t, kReplyWords> words;
      for (size_t i = 0; i < kReplyWords; ++i) words[i] = known[kReply + i];
      reply = std::bit_cast<Reply>(words);
      return static_cast<CUresult>(known[kResult] - 1);
    }
    return Ask(slot, asked, question, reply);
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

  // Put together from halves, as the fields of a body are: what is written as two halves and read as one word has to
  // wait until both are in memory.
  template <typename Body>
  static auto WordsOf(const Body& body) {
    const auto halves = std::bit_cast<std::array<uint32_t, sizeof(Body) / 4>>(body);
    std::array<uint64_t, sizeof(Body) / 8> words;
    for (size_t i = 0; i < words.size(); ++i) words[i] = halves[2 * i] | uint64_t{halves[2 * i + 1]} << 32;
    return words;
  }

  template <size_t kKnown, size_t kWords>
  static bool IsAbout(const std::array<uint64_t, kKnown>& known, const std::array<uint64_t, kWords>& question) {
    uint64_t differs = 0;
    for (size_t i = 0; i < kWords; ++i) differs |= known[kHeadWords + i] ^ question[i];
    return differs == 0;
  }

  // By value, so that a question that is known needs no memory.
  template <size_t kWords, typename Reply>
  [[gnu::noinline, gnu::cold]] CUresult Ask(Slot& slot, uint64_t asked, std::array<uint64_t, kWords> question,
                                            Reply& reply) {
    return AskServer(slot, asked, std::as_bytes(std::span(question)), std::as_writable_bytes(std::span(&reply, 1)));
  }
  CUresult AskServer(Slot& slot, uint64_t asked, std::span<const std::byte> body, std::span<std::byte> reply);

  std::atomic<uint32_t> epoch_{0};
  Slot slots_[size_t{1} << kSlotBits];
};

// Constant-initialised: untouched pages of it cost nothing.
extern constinit AnswerCache answer_cache;

}  // namespace mignificient::client
