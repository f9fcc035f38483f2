#include "remoting/server/server.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "os/barrier.h"
#include "os/socket.h"

namespace mignificient::server {
namespace {

constexpr size_t kMostCallers = 16;  // of one session, that have not spoken yet

// In a time that says nothing about where they differ. `key` has kDoorKeyBytes digits.
bool SameKey(std::string_view key, const char (&given)[wire::kDoorKeyBytes]) {
  unsigned difference = 0;
  for (size_t i = 0; i < sizeof given; ++i) difference |= static_cast<unsigned char>(key[i] ^ given[i]);
  return difference == 0;
}

}  // namespace

Result<std::unique_ptr<Server>> Server::Create(const Device& device, os::UniqueFd control) {
  os::UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return FailErrno("eventfd", errno);
  return std::unique_ptr<Server>(new Server(device, std::move(control), std::move(event), os::RegisterForBarrier()));
}

Result<> Server::Run() {
  for (;;) {
    // Descriptors in the order control, event, then the connections, of which only the hang-up is heard here: what
    // arrives there is for the dispatcher. Doors and callers follow; all of them are looked at whichever woke us.
    std::vector<pollfd> polls{{control_.get(), POLLIN, 0}, {event_.get(), POLLIN, 0}};
    std::vector<Connection*> connections;
    for (const auto& [id, open] : sessions_)
      for (const Client& client : open.clients) {
        if (client.connection->ended()) continue;
        polls.push_back({client.connection->socket(), POLLRDHUP, 0});
        connections.push_back(client.connection.get());
      }
    for (const auto& [id, open] : sessions_) {
      polls.push_back({open.door.get(), POLLIN, 0});
      for (const os::UniqueFd& caller : open.callers) polls.push_back({caller.get(), POLLIN, 0});
    }
    if (::poll(polls.data(), polls.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return FailErrno("poll", errno);
    }
    for (size_t i = 0; i < connections.size(); ++i)
      if (polls[2 + i].revents != 0) connections[i]->Stop();
    if (polls[1].revents != 0) {
      uint64_t count;
      [[maybe_unused]] const ssize_t got = ::read(event_.get(), &count, sizeof count);
    }
    Sweep();
    for (auto& [id, open] : sessions_) {
      if (open.closing) continue;
      AcceptCallers(open);
      HearCallers(open);
    }
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
  if (received.fds.size() != 2 && received.fds.size() != 3)
    return Fail(Code::kPeer, "Session {} comes with {} descriptors (expected 2 or 3).", id, received.fds.size());
  if (::strnlen(received.message.text, sizeof received.message.text) != wire::kDoorKeyBytes)
    return Fail(Code::kPeer, "The key of session {} has not {} digits.", id, wire::kDoorKeyBytes);
  if (sessions_.contains(id)) return Fail(Code::kExists, "Session {} is open.", id);
  MIG_ASSIGN(auto gate, wire::Gate::FromFd(std::move(received.fds[1])));
  MIG_TRY(os::SetNonBlocking(received.fds[0].get(), true));
  const uint64_t budget =
      std::min(received.message.budget_bytes, device_.info.total_bytes) / device_.granule_bytes * device_.granule_bytes;
  Open open;
  open.session = std::make_shared<Session>(id, budget, std::move(gate));
  if (received.fds.size() == 3) {
    MIG_ASSIGN(auto ring, wire::ActivityRing::FromFd(std::move(received.fds[2])));
    open.session->activity = std::make_unique<ActivityLog>(std::move(ring));
  }
  open.door = std::move(received.fds[0]);
  open.key.assign(received.message.text, ::strnlen(received.message.text, sizeof received.message.text));
  Report(*open.session, wire::ControlKind::kSessionOpened, {});
  sessions_.emplace(id, std::move(open));
  return {};
}

// Nobody waits for its GPU work here: other sessions are served meanwhile.
void Server::CloseSession(uint32_t id) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return;
  Open& open = it->second;
  open.closing = true;
  open.door.Reset();
  open.callers.clear();
  for (const Client& client : open.clients) client.connection->Stop();
  if (!open.clients.empty()) return;  // Sweep goes on when they have ended
  wire::ControlMessage message;
  message.end = wire::SessionEnd::kClosed;
  Report(*open.session, wire::ControlKind::kSessionEnded, message);
  sessions_.erase(it);
}

void Server::AskDrain(const wire::ControlMessage& message) {
  const auto it = sessions_.find(message.session);
  if (it == sessions_.end()) return;
  Open& open = it->second;
  if (++last_drain_ == 0) ++last_drain_;
  open.drain = message;
  open.asked.tag = last_drain_;
  open.asked.hold = static_cast<uint32_t>(message.hold) & 3;
  open.asked.idle_us = message.idle_us & 0x3fffffff;
  for (const Client& client : open.clients) client.connection->RequestDrain(open.asked);
  FinishDrain(open);
}

void Server::FinishDrain(Open& open) {
  if (!open.drain) return;
  for (const Client& client : open.clients)
    if (!client.connection->ended() && client.connection->drained_tag() != open.asked.tag) return;
  Session& session = *open.session;
  session.held_turn.store(wire::GateTurnOf(session.gate.word().load(std::memory_order_acquire)),
                          std::memory_order_release);
  ReportDeviceError(open);  // what the drain has found, before its answer
  wire::ControlMessage message;
  message.drain_tag = open.drain->drain_tag;
  message.copies = session.copies.load();
  message.kernels = session.kernels.load();
  open.drain.reset();
  Report(session, wire::ControlKind::kDrained, message);
}

void Server::ReportWaiting(Open& open) {
  wire::ControlMessage message;
  message.gate_word = open.session->waiting_word.load(std::memory_order_acquire);
  if (std::exchange(open.reported_word, message.gate_word) == message.gate_word) return;
  Report(*open.session, wire::ControlKind::kWaiting, message);
}

// Who says nothing gives way to who comes later, so that nobody can keep others out by coming in.
void Server::AcceptCallers(Open& open) {
  for (;;) {
    auto caller = os::Accept(open.door.get());
    if (!caller) {
      if (caller.error().code() != Code::kTimeout)
        log::Warning("accept_failed", {{"session", open.session->id}, {"error", caller.error().message()}});
      return;
    }
    if (!os::SetNonBlocking(caller->get(), true)) continue;
    if (open.callers.size() == kMostCallers) open.callers.pop_front();
    open.callers.push_back(std::move(*caller));
  }
}

void Server::HearCallers(Open& open) {
  for (size_t i = 0; i < open.callers.size();) {
    wire::AttachRequest request;
    auto packet = os::ReceivePacket(open.callers[i].get(), std::as_writable_bytes(std::span(&request, 1)));
    if (!packet && packet.error().code() == Code::kTimeout) {
      ++i;
      continue;
    }
    os::UniqueFd caller = std::move(open.callers[i]);
    open.callers.erase(open.callers.begin() + static_cast<long>(i));
    if (packet && packet->size == 0) continue;  // has left again
    Result<> admitted =
        !packet ? std::unexpected(packet.error())
        : packet->size != sizeof request
            ? Fail(Code::kPeer, "Attach request has {} bytes (expected {}).", packet->size, sizeof request)
            : Admit(open, std::move(caller), request);
    if (!admitted)
      log::Warning("attach_refused", {{"session", open.session->id}, {"error", admitted.error().message()}});
  }
}

Result<> Server::Admit(Open& open, os::UniqueFd caller, const wire::AttachRequest& request) {
  if (request.magic != wire::kAttachMagic) return Fail(Code::kPeer, "Attach request is malformed.");
  if (request.version != wire::kProtocolVersion) {
    wire::Welcome refusal;
    refusal.status = wire::AttachStatus::kVersionMismatch;
    MIG_TRY(os::SendPacket(caller.get(), std::as_bytes(std::span(&refusal, 1))));
    return Fail(Code::kPeer, "Client speaks protocol version {} (expected {}).", request.version,
                wire::kProtocolVersion);
  }
  if (!SameKey(open.key, request.key)) return Fail(Code::kForbidden, "Caller does not know the door's key.");
  switch (request.purpose) {
    case wire::AttachPurpose::kLook:
      return Show(open, caller.get());
    case wire::AttachPurpose::kChannel:
      return Attach(open, std::move(caller), request);
  }
  return Fail(Code::kPeer, "Purpose ({}) of the attach request is unknown.", static_cast<uint32_t>(request.purpose));
}

Result<> Server::Show(const Open& open, int caller) const {
  wire::View view;
  view.budget_bytes = open.session->budget_bytes;
  view.used_bytes = open.session->mapped_bytes.load(std::memory_order_relaxed);
  view.device = device_.info;
  view.device.total_bytes = view.budget_bytes;
  device_.driver_text.copy(view.driver_text, sizeof view.driver_text - 1);
  for (const Client& client : open.clients)
    if (!client.connection->ended()) view.pids[view.channels++] = client.pid;
  return os::SendPacket(caller, std::as_bytes(std::span(&view, 1)));
}

std::optional<uint32_t> Server::FreeOrdinal() const {
  uint64_t taken = 0;
  for (const auto& [id, open] : sessions_)
    for (const Client& client : open.clients) taken |= uint64_t{1} << client.ordinal;
  const auto lowest = static_cast<uint32_t>(std::countr_one(taken));
  return lowest < wire::kMostChannels ? std::optional(lowest) : std::nullopt;
}

Result<> Server::Attach(Open& open, os::UniqueFd caller, const wire::AttachRequest& request) {
  const std::optional<uint32_t> ordinal = FreeOrdinal();
  if (!ordinal) {
    wire::Welcome refusal;
    refusal.status = wire::AttachStatus::kExhausted;
    MIG_TRY(os::SendPacket(caller.get(), std::as_bytes(std::span(&refusal, 1))));
    return Fail(Code::kExhausted, "{} client processes have a channel (limit {}).", wire::kMostChannels,
                wire::kMostChannels);
  }
  const auto notify = [event = event_.get()] {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(event, &one, sizeof one);
  };
  for (const Client& client : open.clients) client.connection->SetShared(true);
  const Connection::Options options{.ordinal = *ordinal,
                                    .asymmetric_barrier = can_barrier_ && request.can_barrier != 0,
                                    .shared = !open.clients.empty()};
  // Before its client can write a command: wire::GatePage.
  std::atomic<uint32_t>& in_flight = open.session->gate.in_flight();
  in_flight.fetch_add(wire::kOneConnection, std::memory_order_seq_cst);
  auto accepted = Connection::Accept(device_, open.session, std::move(caller), options, notify);
  if (!accepted) in_flight.fetch_sub(wire::kOneConnection, std::memory_order_release);
  MIG_ASSIGN(auto connection, std::move(accepted));
  if (open.drain) connection->RequestDrain(open.asked);
  open.clients.push_back({request.pid, *ordinal, std::move(connection)});
  wire::ControlMessage message;
  message.pid = request.pid;
  Report(*open.session, wire::ControlKind::kAttached, message);
  return {};
}

void Server::Sweep() {
  for (auto& [id, open] : sessions_) {
    std::erase_if(open.clients, [&](const Client& client) {
      if (!client.connection->ended()) return false;
      const ConnectionEnd& end = client.connection->end();
      if (end.reason != wire::SessionEnd::kClientGone) {
        wire::ControlMessage message;
        message.end = end.reason;
        wire::SetText(message, end.text);
        Report(*open.session, wire::ControlKind::kSessionEnded, message);
      }
      open.session->gate.in_flight().fetch_sub(wire::kOneConnection, std::memory_order_release);
      return true;
    });
    if (open.clients.size() == 1) open.clients.front().connection->SetShared(false);
    ReportDeviceError(open);
    FinishDrain(open);
    ReportWaiting(open);
  }
  std::vector<uint32_t> closed;
  for (const auto& [id, open] : sessions_)
    if (open.closing && open.clients.empty()) closed.push_back(id);
  for (const uint32_t id : closed) CloseSession(id);
}

// Once: the context stays broken.
void Server::ReportDeviceError(Open& open) {
  const uint32_t error = open.session->device_error.load();
  if (error == 0 || std::exchange(open.broken, true)) return;
  wire::ControlMessage message;
  message.end = wire::SessionEnd::kDeviceError;
  wire::SetText(message, fmt::format("the CUDA driver answered with error {}", error));
  Report(*open.session, wire::ControlKind::kSessionEnded, message);
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
