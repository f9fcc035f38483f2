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

Result<std::optional<Message>> ParseMessage(const Message& bytes, size_t size, bool cut) {
  if (size == 0) return std::optional<Message>{};
  if (cut) return Fail(Code::kPeer, "A packet of more than {} bytes is no message.", sizeof bytes);
  if (size != sizeof bytes)
    return Fail(Code::kPeer, "A packet of {} bytes is no message ({} bytes).", size, sizeof bytes);
  if (bytes.version != kProtocolVersion)
    return Fail(Code::kPeer, "The peer speaks version {} of the invocation protocol ({} expected).", bytes.version,
                kProtocolVersion);
  return std::optional(bytes);
}

Result<std::optional<Message>> ReceiveMessage(int socket) {
  Message message;
  MIG_ASSIGN(const os::Packet packet, os::ReceivePacket(socket, std::as_writable_bytes(std::span(&message, 1))));
  return ParseMessage(message, packet.size);
}

}  // namespace mignificient::executor
