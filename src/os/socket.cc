#include "os/socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace mignificient::os {

Result<std::pair<UniqueFd, UniqueFd>> SocketPair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return FailErrno("socketpair", errno);
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

namespace {

struct AbstractName {
  sockaddr_un address{};
  socklen_t bytes = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

Result<AbstractName> Abstract(std::string_view name) {
  AbstractName abstract;
  if (name.empty() || name.size() >= sizeof abstract.address.sun_path)
    return Fail(Code::kInvalidArgument, "Socket name has {} bytes (limit {}).", name.size(),
                sizeof abstract.address.sun_path - 1);
  abstract.address.sun_family = AF_UNIX;
  std::memcpy(abstract.address.sun_path + 1, name.data(), name.size());  // after the zero that makes it abstract
  abstract.bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return abstract;
}

Result<UniqueFd> NewSocket() {
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket) return FailErrno("socket", errno);
  return socket;
}

}  // namespace

Result<UniqueFd> Listen(std::string_view name) {
  MIG_ASSIGN(const AbstractName address, Abstract(name));
  MIG_ASSIGN(UniqueFd listener, NewSocket());
  if (::bind(listener.get(), address.get(), address.bytes) != 0) {
    if (errno == EADDRINUSE) return Fail(Code::kExists, "Socket name ({}) is taken.", name);
    return FailErrno("bind", errno);
  }
  if (::listen(listener.get(), SOMAXCONN) != 0) return FailErrno("listen", errno);
  return listener;
}

Result<UniqueFd> Accept(int listener) {
  int caller;
  do caller = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  while (caller < 0 && errno == EINTR);
  if (caller >= 0) return UniqueFd(caller);
  if (errno == EAGAIN) return Fail(Code::kTimeout, "Nobody waits to be accepted.");
  return FailErrno("accept4", errno);
}

Result<UniqueFd> Connect(std::string_view name) {
  MIG_ASSIGN(const AbstractName address, Abstract(name));
  MIG_ASSIGN(UniqueFd socket, NewSocket());
  int result;
  do result = ::connect(socket.get(), address.get(), address.bytes);
  while (result != 0 && errno == EINTR);
  if (result == 0) return socket;
  if (errno == ECONNREFUSED) return Fail(Code::kUnavailable, "Nobody listens under the socket name ({}).", name);
  return FailErrno("connect", errno);
}

Result<> SendPacket(int socket, std::span<const std::byte> bytes, std::span<const int> fds) {
  if (fds.size() > kMaxPacketFds)
    return Fail(Code::kInvalidArgument, "Packet carries {} descriptors (limit {}).", fds.size(), kMaxPacketFds);
  iovec vector{const_cast<std::byte*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxPacketFds)] = {};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  for (;;) {
    if (::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0) return {};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return Fail(Code::kExhausted, "The peer's queue is full.");
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
      return Fail(Code::kUnavailable, "The peer closed its end of the socket.");
    return FailErrno("sendmsg", errno);
  }
}

namespace {

// Takes ownership of every descriptor of the message, however many groups they came in.
std::vector<UniqueFd> TakeFds(msghdr& message) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return fds;
}

}  // namespace

Result<Packet> ReceivePacket(int socket, std::span<std::byte> buffer) {
  iovec vector{buffer.data(), buffer.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxPacketFds)];
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t received;
  do {
    received = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received < 0) {
    if (errno == EAGAIN) return Fail(Code::kTimeout, "No packet is waiting.");
    if (errno == ECONNRESET) return Packet{};
    return FailErrno("recvmsg", errno);
  }
  Packet packet{static_cast<size_t>(received), TakeFds(message)};
  if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
    return Fail(Code::kPeer, "Packet exceeds {} bytes or {} descriptors.", buffer.size(), kMaxPacketFds);
  return packet;
}

Result<> SetNonBlocking(int fd, bool non_blocking) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, non_blocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0)
    return FailErrno("fcntl", errno);
  return {};
}

bool HasHungUp(int socket) {
  pollfd wanted{socket, POLLRDHUP, 0};
  return ::poll(&wanted, 1, 0) > 0 && (wanted.revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL)) != 0;
}

}  // namespace mignificient::os
