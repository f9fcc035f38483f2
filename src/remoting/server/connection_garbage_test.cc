// Commands and ring contents that no client of ours would write.
#include <gtest/gtest.h>

#include <random>

#include "remoting/server/connection_fixture.h"

#include "gen/commands.h"

namespace mignificient::server {
namespace {

constexpr auto kLastCommand = static_cast<uint16_t>(Command::kTensorMap);

TEST_F(ConnectionTest, EveryOpcodeSurvivesEveryTruncation) {
  std::vector<uint16_t> opcodes;
  for (uint16_t i = 1; i <= kLastCommand; ++i) opcodes.push_back(i);
  for (uint16_t i = 0; i < wire::api::kOpcodeCount; ++i) opcodes.push_back(wire::kFirstGeneratedOpcode + i);
  for (const uint16_t opcode : opcodes)
    for (const uint16_t slot : {uint16_t{0}, wire::kNoReply}) {
      for (size_t bytes = 0; bytes <= 128; bytes += 8) {
        Client client(device_);
        client.Send(opcode, std::vector<std::byte>(bytes), slot);
        client.connection().Stop();
        client.WaitForEnd();
      }
    }
}

TEST_F(ConnectionTest, RandomCommandsNeverCrashTheServer) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 300; ++round) {
    Client client(device_);
    for (int i = 0; i < 200 && !client.connection().ended(); ++i) {
      std::vector<uint64_t> body(random() % 24);
      for (uint64_t& word : body) {
        constexpr uint64_t kKinds[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0a};
        switch (random() % 4) {
          case 0:
            word = random();
            break;
          case 1:
            word = random() % 64;
            break;
          case 2:
            word = client.welcome().window_base + random() % 64 * 4096;
            break;
          default:
            word = kKinds[random() % 7] << 56 | (random() % 3) << 32 | random() % 4;
        }
      }
      const uint16_t opcode =
          random() % 2 ? 1 + random() % kLastCommand : wire::kFirstGeneratedOpcode + random() % wire::api::kOpcodeCount;
      const uint16_t slot = random() % 3 ? random() % wire::kSlots : wire::kNoReply;
      if (!client.Send(opcode, std::as_bytes(std::span(body)), slot)) break;
    }
    client.connection().Stop();
    client.WaitForEnd();
  }
}

TEST_F(ConnectionTest, RandomRingContentsNeverCrashTheServer) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 300; ++round) {
    Client client(device_);
    for (size_t i = 0; i < 65536; i += 8) {
      const uint64_t word = round % 2 ? random() : random() & 0x0000ffff003f00f8ull;
      std::memcpy(client.ring() + i, &word, sizeof word);
    }
    client.header().ring.tail.store(round % 3 ? random() % 65536 / 8 * 8 : random());
    client.connection().Stop();
    client.WaitForEnd();
  }
}

}  // namespace
}  // namespace mignificient::server
