#include "remoting/client/integrity.h"

#include <cstring>
#include <vector>

namespace mignificient::client {
namespace {

constexpr size_t kBlock = 16;

// RFC 1319: a permutation made from the digits of pi.
constexpr uint8_t kPi[256] = {
    41,  46,  67,  201, 162, 216, 124, 1,   61,  54,  84,  161, 236, 240, 6,   19,  98,  167, 5,   243, 192, 199,
    115, 140, 152, 147, 43,  217, 188, 76,  130, 202, 30,  155, 87,  60,  253, 212, 224, 22,  103, 66,  111, 24,
    138, 23,  229, 18,  190, 78,  196, 214, 218, 158, 222, 73,  160, 251, 245, 142, 187, 47,  238, 122, 169, 104,
    121, 145, 21,  178, 7,   63,  148, 194, 16,  137, 11,  34,  95,  33,  128, 127, 93,  154, 90,  144, 50,  39,
    53,  62,  204, 231, 191, 247, 151, 3,   255, 25,  48,  179, 72,  165, 181, 209, 215, 94,  146, 42,  172, 86,
    170, 198, 79,  184, 56,  210, 150, 164, 125, 182, 118, 252, 107, 226, 156, 116, 4,   241, 69,  157, 112, 89,
    100, 113, 135, 32,  134, 91,  207, 101, 230, 45,  168, 2,   27,  96,  37,  173, 174, 176, 185, 246, 28,  70,
    97,  105, 52,  64,  126, 15,  85,  71,  163, 35,  221, 81,  175, 58,  195, 92,  249, 206, 186, 197, 234, 38,
    44,  83,  13,  110, 133, 40,  132, 9,   211, 223, 205, 244, 65,  129, 77,  82,  106, 220, 55,  200, 108, 193,
    171, 250, 36,  225, 123, 8,   12,  189, 177, 74,  120, 136, 149, 139, 227, 99,  232, 109, 233, 203, 213, 254,
    59,  0,   29,  57,  242, 239, 183, 14,  102, 88,  208, 228, 166, 119, 114, 248, 235, 117, 75,  10,  49,  68,
    80,  180, 143, 237, 31,  26,  219, 153, 141, 51,  159, 17,  131, 20};

class Md2State {
 public:
  void Absorb(const uint8_t* block) {
    for (size_t i = 0; i < kBlock; ++i) {
      state_[kBlock + i] = block[i];
      state_[2 * kBlock + i] = state_[i] ^ block[i];
    }
    uint8_t t = 0;
    for (int round = 0; round < 18; ++round) {
      for (uint8_t& byte : state_) t = byte ^= kPi[t];
      t = static_cast<uint8_t>(t + round);
    }
    for (size_t i = 0; i < kBlock; ++i) last_ = checksum_[i] ^= kPi[block[i] ^ last_];
  }

  Digest Finish() {
    const auto checksum = checksum_;
    Absorb(checksum.data());
    Digest digest;
    std::memcpy(digest.data(), state_.data(), kBlock);
    return digest;
  }

 private:
  std::array<uint8_t, 3 * kBlock> state_{};
  std::array<uint8_t, kBlock> checksum_{};
  uint8_t last_ = 0;
};

constexpr std::array<uint8_t, 16> kKey = {0x14, 0x6a, 0xdd, 0xae, 0x53, 0xa9, 0xa7, 0x52,
                                          0xaa, 0x08, 0x41, 0x36, 0x0b, 0xf5, 0x5a, 0x9f};
constexpr uint64_t kAnswerLow[2] = {0x3341181c03cb675c, 0x1841181c03cb675c};
constexpr uint64_t kAnswerHigh = 0x8ed383aa1f4cd1e8;

template <typename T>
void Append(std::vector<uint8_t>& message, const T& value) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
  message.insert(message.end(), bytes, bytes + sizeof value);
}

static_assert(sizeof(IntegrityFacts) == 48);
static_assert(sizeof(IntegrityDevice) == 28);

}  // namespace

Digest Md2(std::span<const uint8_t> message) {
  Md2State state;
  while (message.size() >= kBlock) {
    state.Absorb(message.data());
    message = message.subspan(kBlock);
  }
  uint8_t last[kBlock];
  std::memset(last, static_cast<int>(kBlock - message.size()), kBlock);
  if (!message.empty()) std::memcpy(last, message.data(), message.size());
  state.Absorb(last);
  return state.Finish();
}

Digest HmacMd2(std::span<const uint8_t, 16> key, std::span<const uint8_t> message) {
  std::vector<uint8_t> inner, outer;
  for (const uint8_t byte : key) {
    inner.push_back(byte ^ 0x36);
    outer.push_back(byte ^ 0x5c);
  }
  inner.insert(inner.end(), message.begin(), message.end());
  const Digest inner_digest = Md2(inner);
  outer.insert(outer.end(), inner_digest.begin(), inner_digest.end());
  return Md2(outer);
}

std::array<uint64_t, 2> IntegrityAnswer(const IntegrityFacts& facts, std::span<const IntegrityDevice> devices) {
  const uint32_t kind = facts.version % 10;
  if (kind <= 1) return {kAnswerLow[kind], kAnswerHigh};
  std::vector<uint8_t> message;
  Append(message, facts);  // without padding, in the order of the check
  for (const IntegrityDevice& device : devices) Append(message, device);
  const Digest digest = HmacMd2(kKey, message);
  std::array<uint64_t, 2> answer;
  std::memcpy(answer.data(), digest.data(), sizeof answer);
  return answer;
}

}  // namespace mignificient::client
