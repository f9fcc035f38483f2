#include "remoting/wire/control.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace mignificient::wire {
namespace {
constexpr uint64_t kGateBytes = 4096;
}

Result<> SendControl(int socket, const ControlMessage& message, std::span<const int> fds) {
  return os::SendPacket(socket, std::as_bytes(std::span(&message, 1)), fds);
}

Result<std::optional<ReceivedControl>> ReceiveControl(int socket) {
  ReceivedControl received;
  MIG_ASSIGN(os::Packet packet, os::ReceivePacket(socket, std::as_writable_bytes(std::span(&received.message, 1))));
  if (packet.size == 0) return std::nullopt;
  if (packet.size != sizeof(ControlMessage))
    return Fail(Code::kPeer, "Control packet has {} bytes (expected {}).", packet.size, sizeof(ControlMessage));
  received.message.text[sizeof received.message.text - 1] = '\0';
  received.fds = std::move(packet.fds);
  return received;
}

void SetText(ControlMessage& message, std::string_view text) {
  const size_t length = std::min(text.size(), sizeof message.text - 1);
  std::memcpy(message.text, text.data(), length);
  message.text[length] = '\0';
}

Result<Gate> Gate::Create(GateState initial) {
  MIG_ASSIGN(os::UniqueFd fd, os::CreateSealedMemory("mignificient-gate", kGateBytes));
  MIG_ASSIGN(Gate gate, FromFd(std::move(fd)));
  gate.Set(initial);
  return gate;
}

Result<Gate> Gate::FromFd(os::UniqueFd fd) {
  MIG_ASSIGN(const uint64_t size, os::SealedSize(fd.get()));
  if (size != kGateBytes) return Fail(Code::kPeer, "Gate page has {} bytes (expected {}).", size, kGateBytes);
  MIG_ASSIGN(os::Mapping mapping, os::Mapping::Create(fd.get(), size));
  return Gate(std::move(fd), std::move(mapping));
}

}  // namespace mignificient::wire
