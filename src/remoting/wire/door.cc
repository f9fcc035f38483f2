#include "remoting/wire/door.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "os/socket.h"

namespace mignificient::wire {
namespace {

// 128 random bits as kDoorKeyBytes digits.
Result<std::string> RandomDigits() {
  std::array<unsigned char, kDoorKeyBytes / 2> bytes;
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return FailErrno("getrandom", errno);
  std::string digits;
  for (const unsigned char byte : bytes) digits += fmt::format("{:02x}", byte);
  return digits;
}

}  // namespace

Result<Door> MakeDoor() {
  MIG_ASSIGN(const std::string digits, RandomDigits());
  const std::string name = "mignificient-" + digits;
  MIG_ASSIGN(std::string key, RandomDigits());
  MIG_ASSIGN(os::UniqueFd listener, os::Listen(name));
  std::string address = name + ":" + key;
  return Door{std::move(listener), std::move(key), std::move(address)};
}

Result<os::UniqueFd> GoThroughDoor(AttachRequest request) {
  const char* variable = std::getenv(kDoorVariable);
  if (variable == nullptr) return Fail(Code::kNotFound, "Environment variable {} is not set.", kDoorVariable);
  const std::string_view address(variable);
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || address.size() - colon - 1 != sizeof request.key)
    return Fail(Code::kInvalidArgument, "{} is not of the form NAME:KEY with a key of {} digits.", kDoorVariable,
                sizeof request.key);
  std::memcpy(request.key, address.data() + colon + 1, sizeof request.key);
  request.pid = static_cast<uint32_t>(::getpid());
  MIG_ASSIGN(os::UniqueFd connection, os::Connect(address.substr(0, colon)));
  MIG_TRY(os::SendPacket(connection.get(), std::as_bytes(std::span(&request, 1))));
  return connection;
}

Result<View> LookThroughDoor() {
  AttachRequest request;
  request.purpose = AttachPurpose::kLook;
  MIG_ASSIGN(const os::UniqueFd connection, GoThroughDoor(request));
  View view;
  MIG_ASSIGN(const os::Packet packet, os::ReceivePacket(connection.get(), std::as_writable_bytes(std::span(&view, 1))));
  if (packet.size == 0) return Fail(Code::kUnavailable, "The GPU server closed the connection.");
  if (packet.size != sizeof view || view.magic != kAttachMagic || view.version != kProtocolVersion)
    return Fail(Code::kPeer, "The GPU server does not speak protocol version {}.", kProtocolVersion);
  return view;
}

}  // namespace mignificient::wire
