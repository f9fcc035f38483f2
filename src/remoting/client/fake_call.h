// Stands in for the channel in unit tests of the entry points: records commands, answers what the test says. The
// functions of the hand-written entry points exist and answer CUDA_ERROR_NOT_SUPPORTED.
#pragma once

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "remoting/client/call.h"

namespace mignificient::client::fake {

struct Command {
  uint16_t opcode = 0;
  bool waits = false;
  std::vector<std::byte> body;
  std::string tail;

  template <typename Body>
  Body As() const {
    Body value;
    std::memcpy(&value, body.data(), sizeof value);
    return value;
  }
};

struct State {
  CUresult attach = CUDA_SUCCESS;
  CUresult ready = CUDA_SUCCESS;
  wire::DeviceInfo device;
  std::vector<Command> commands;
  std::function<CUresult(const Command&, std::span<std::byte> reply)> answer;
  std::vector<std::string> refused;
  uint64_t allocation_bytes = ~uint64_t{0};  // as many lie behind every address
};
State& Get();

// A fresh state: attached to a device of compute capability 9.0, the primary context released, nothing current.
void Reset();

}  // namespace mignificient::client::fake
