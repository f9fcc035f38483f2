#include "executor/protocol.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "os/socket.h"

namespace mignificient::executor {

void SetText(Message& message, std::string_view text) {
  message.text_size = static_cast<uint32_t>(std::min(text.size(), sizeof message.text));
  std::memcpy(message.text, text.data(), message.text_size);
}

std::string_view Text(const Message& message) {
  return {message.text, std::min<size_t>(message.text_size, sizeof message.text)};
}

Result<> SendMessage(int socket, const Message& message) {
  return os::SendPacket(socket, std::as_bytes(std::span(&message, 1)));
}

Result<std::optional<Message>> ReceiveMessage(int socket) {
  Message message;
  MIG_ASSIGN(const os::Packet packet, os::ReceivePacket(socket, std::as_writable_bytes(std::span(&message, 1))));
  if (packet.size == 0) return std::optional<Message>{};
  if (packet.size != sizeof message)
    return Fail(Code::kPeer, "A packet of {} bytes is no message ({} bytes).", packet.size, sizeof message);
  if (message.version != kProtocolVersion)
    return Fail(Code::kPeer, "The peer speaks version {} of the invocation protocol ({} expected).", message.version,
                kProtocolVersion);
  return std::optional(message);
}

}  // namespace mignificient::executor
