// Unix sockets of type SOCK_SEQPACKET: connected, one send is one packet, descriptors travel with packets. Used for
// everything that is not hot: attaching, control, invocations. Calls are not retried behind the caller's back, except
// for EINTR. All descriptors made or received are close-on-exec.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "os/unique_fd.h"

namespace mignificient::os {

// At most this many descriptors travel with one packet.
inline constexpr size_t kMaxPacketFds = 4;

// Two connected ends. Both are close-on-exec; a child that shall inherit one gets it by os::Child (dup2).
Result<std::pair<UniqueFd, UniqueFd>> SocketPair();

// A socket that listens under a name of the abstract namespace: it has no file and goes with its last descriptor.
// Everybody in this network namespace can see the name and connect. kExists when it is taken.
Result<UniqueFd> Listen(std::string_view name);
// The next caller. kTimeout when none waits at a non-blocking listener.
Result<UniqueFd> Accept(int listener);
// Connects to a listener; waits while too many others do. kUnavailable when nobody listens under this name.
Result<UniqueFd> Connect(std::string_view name);

// Sends one packet with descriptors (which stay the caller's). Blocks while the peer's queue is full unless the socket
// is non-blocking (then kExhausted). kUnavailable when the peer is gone. Never raises SIGPIPE.
Result<> SendPacket(int socket, std::span<const std::byte> bytes, std::span<const int> fds = {});

struct Packet {
  size_t size = 0;  // bytes written to the caller's buffer; 0: the peer closed its end
  std::vector<UniqueFd> fds;
};

// Receives one packet into `buffer`. A packet larger than the buffer, or with more descriptors than kMaxPacketFds, is
// kPeer. A non-blocking socket without a packet is kTimeout.
Result<Packet> ReceivePacket(int socket, std::span<std::byte> buffer);

// Whether the other end has closed its socket, or its process has ended: at once, and nothing is read. False for an
// error.
bool HasHungUp(int socket);

Result<> SetNonBlocking(int fd, bool non_blocking);

}  // namespace mignificient::os
