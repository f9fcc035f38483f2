#include "executor/protocol.h"

#include <span>

#include "os/socket.h"

namespace mignificient::executor {

Result<> SendMessage(int socket, Message message, std::string_view text) {
  Incoming packet;
  message.text_size = static_cast<uint32_t>(text.copy(packet.text, kTextBytes));
  packet.message = message;
  return os::SendPacket(socket, std::as_bytes(std::span(&packet, 1)).first(sizeof message + message.text_size));
}

Result<std::optional<Received>> ParseMessage(const Incoming& bytes, size_t size, bool cut) {
  const Message& message = bytes.message;
  if (size == 0) return std::optional<Received>{};
  if (cut) return Fail(Code::kPeer, "A packet of more than {} bytes is no message.", sizeof bytes);
  if (size < sizeof message)
    return Fail(Code::kPeer, "A packet of {} bytes is no message (at least {} bytes).", size, sizeof message);
  if (message.version != kProtocolVersion)
    return Fail(Code::kPeer, "The peer speaks version {} of the invocation protocol ({} expected).", message.version,
                kProtocolVersion);
  if (size - sizeof message != message.text_size)
    return Fail(Code::kPeer, "A packet of {} bytes is no message of {} bytes with a text of {}.", size, sizeof message,
                message.text_size);
  return std::optional(Received{message, {bytes.text, message.text_size}});
}

Result<std::optional<Received>> ReceiveMessage(int socket, Incoming& into) {
  MIG_ASSIGN(const os::Packet packet, os::ReceivePacket(socket, std::as_writable_bytes(std::span(&into, 1))));
  return ParseMessage(into, packet.size);
}

}  // namespace mignificient::executor
