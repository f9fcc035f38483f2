#include "remoting/server/server.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "os/barrier.h"
#include "os/socket.h"

namespace mignificient::server {

Result<std::unique_ptr<Server>> Server::Create(const Device& device, os::UniqueFd control) {
  os::UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return FailErrno("eventfd", errno);
  return std::unique_ptr<Server>(new Server(device, std::move(control), std::move(event), os::RegisterForBarrier()));
}

Result<> Server::Run() {
  for (;;) {
    // Descriptors in the order control, event, then door and connections of each session.
    std::vector<pollfd> polls{{control_.get(), POLLIN, 0}, {event_.get(), POLLIN, 0}};
    std::vector<Open*> doors;
    std::vector<Connection*> connections;
    for (auto& [id, open] : sessions_) {
      if (open.gone) continue;
      polls.push_back({open.door.get(), POLLIN, 0});
      doors.push_back(&open);
    }
    for (auto& [id, open] : sessions_)
      for (const auto& connection : open.connections) {
        if (connection->ended()) continue;
        // Only the hang-up: what arrives here is for the dispatcher.
        polls.push_back({connection->socket(), POLLRDHUP, 0});
        connections.push_back(connection.get());
      }
    if (::poll(polls.data(), polls.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return FailErrno("poll", errno);
    }
    for (size_t i = 0; i < doors.size(); ++i)
      if (polls[2 + i].revents != 0) Admit(*doors[i]);
    for (size_t i = 0; i < connections.size(); ++i)
      if (polls[2 + doors.size() + i].revents != 0) connections[i]->Stop();
    if (polls[1].revents != 0) {
      uint64_t count;
      [[maybe_unused]] const ssize_t got = ::read(event_.get(), &count, sizeof count);
    }
    Sweep();
    if (polls[0].revents != 0) {
      MIG_ASSIGN(const bool open, ServeControl());
      if (!open) return {};
    }
  }
}

Result<bool> Server::ServeControl() {
  MIG_ASSIGN(auto received, wire::ReceiveControl(control_.get()));
  if (!received) return false;
  switch (received->message.kind) {
    case wire::ControlKind::kOpenSession:
      MIG_TRY(OpenSession(std::move(*received)));
      break;
    case wire::ControlKind::kCloseSession:
      CloseSession(received->message.session);
      break;
    case wire::ControlKind::kDrain:
      AskDrain(received->message);
      break;
    default:
      return Fail(Code::kPeer, "Control message ({}) is not for a GPU server.",
                  static_cast<uint32_t>(received->message.kind));
  }
  return true;
}

Result<> Server::OpenSession(wire::ReceivedControl received) {
  const uint32_t id = received.message.session;
  if (received.fds.size() != 2)
    return Fail(Code::kPeer, "Session {} comes with {} descriptors (expected 2).", id, received.fds.size());
  if (sessions_.contains(id)) return Fail(Code::kExists, "Session {} is open.", id);
  MIG_ASSIGN(auto gate, wire::Gate::FromFd(std::move(received.fds[1])));
  MIG_TRY(os::SetNonBlocking(received.fds[0].get(), true));
  const uint64_t budget =
      std::min(received.message.budget_bytes, device_.info.total_bytes) / device_.granule_bytes * device_.granule_bytes;
  Open open;
  open.session = std::make_shared<Session>(id, budget, std::move(gate));
  open.door = std::move(received.fds[0]);
  Report(*open.session, wire::ControlKind::kSessionOpened, {});
  sessions_.emplace(id, std::move(open));
  return {};
}

void Server::CloseSession(uint32_t id) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return;
  const auto session = it->second.session;
  sessions_.erase(it);  // stops and joins its connections
  wire::ControlMessage message;
  message.end = wire::SessionEnd::kClosed;
  Report(*session, wire::ControlKind::kSessionEnded, message);
}

void Server::AskDrain(const wire::ControlMessage& message) {
  const auto it = sessions_.find(message.session);
  if (it == sessions_.end()) return;
  it->second.drain = message;
  ++next_drain_;
  for (const auto& connection : it->second.connections) connection->RequestDrain(next_drain_);
  FinishDrain(it->second);
}

void Server::FinishDrain(Open& open) {
  if (!open.drain) return;
  for (const auto& connection : open.connections)
    if (!connection->ended() && connection->drained_tag() != next_drain_) return;
  wire::ControlMessage message;
  message.drain_tag = open.drain->drain_tag;
  message.copies = open.session->copies.load();
  message.kernels = open.session->kernels.load();
  open.drain.reset();
  Report(*open.session, wire::ControlKind::kDrained, message);
}

void Server::Admit(Open& open) {
  if (const auto admitted = AdmitOne(open); !admitted)
    log::Warning("attach_refused", {{"session", open.session->id}, {"error", admitted.error().message()}});
}

Result<> Server::AdmitOne(Open& open) {
  wire::AttachRequest request;
  auto packet = os::ReceivePacket(open.door.get(), std::as_writable_bytes(std::span(&request, 1)));
  if (!packet) {
    if (packet.error().code() == Code::kTimeout) return {};
    return std::unexpected(packet.error());
  }
  if (packet->size == 0) {  // every process that could have used the door is gone
    open.gone = true;
    wire::ControlMessage message;
    message.end = wire::SessionEnd::kClientGone;
    Report(*open.session, wire::ControlKind::kSessionEnded, message);
    return {};
  }
  if (packet->size != sizeof request || request.magic != wire::kAttachMagic || packet->fds.size() != 1)
    return Fail(Code::kPeer, "Attach request is malformed.");
  os::UniqueFd socket = std::move(packet->fds[0]);
  if (request.version != wire::kProtocolVersion) {
    wire::Welcome refusal;
    refusal.status = wire::AttachStatus::kVersionMismatch;
    MIG_TRY(os::SendPacket(socket.get(), std::as_bytes(std::span(&refusal, 1))));
    return Fail(Code::kPeer, "Client speaks protocol version {} (expected {}).", request.version,
                wire::kProtocolVersion);
  }
  const auto notify = [event = event_.get()] {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(event, &one, sizeof one);
  };
  MIG_ASSIGN(auto connection, Connection::Accept(device_, open.session, std::move(socket),
                                                 {next_ordinal_++, can_barrier_ && request.can_barrier != 0}, notify));
  open.connections.push_back(std::move(connection));
  wire::ControlMessage message;
  message.pid = request.pid;
  Report(*open.session, wire::ControlKind::kAttached, message);
  return {};
}

void Server::Sweep() {
  for (auto& [id, open] : sessions_) {
    std::erase_if(open.connections, [&](const std::unique_ptr<Connection>& connection) {
      if (!connection->ended()) return false;
      if (connection->end().reason != wire::SessionEnd::kClientGone) {
        wire::ControlMessage message;
        message.end = connection->end().reason;
        wire::SetText(message, connection->end().text);
        Report(*open.session, wire::ControlKind::kSessionEnded, message);
      }
      return true;
    });
    FinishDrain(open);
  }
}

void Server::Report(const Session& session, wire::ControlKind kind, wire::ControlMessage message) {
  message.kind = kind;
  message.session = session.id;
  message.used_bytes = session.mapped_bytes.load();
  // An owner that has gone is noticed by Run.
  if (const auto sent = wire::SendControl(control_.get(), message); !sent)
    log::Debug("control_send_failed", {{"error", sent.error().message()}});
}

}  // namespace mignificient::server
