// Plays a GPU server's part of wire/control.h without a GPU, for any number of sessions. A function tells it what to do
// wrong by one byte through its door:
//   o  end its session: out of memory      m  misuse      d  device error (the process lives on)
//   x  exit with status 9                  h  its work never ends: answer no drain, and do not close
//   g  answer one byte: the gate's state as a digit
//   q  say that nobody is connected (wire::GatePage), and answer one byte; until then somebody is, so each end of an
//      invocation is asked for
//   i, b  say that there is one connection, which is idle, or busy; and answer one byte
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string_view>
#include <vector>

#include "remoting/wire/control.h"

namespace {

using namespace mignificient;

struct Session {
  os::UniqueFd door;
  wire::Gate gate;
  bool hung = false;
};

struct Fake {
  int control;
  std::map<uint32_t, Session> sessions;

  void Send(wire::ControlMessage message) { (void)wire::SendControl(control, message); }

  void Open(wire::ReceivedControl received) {
    os::UniqueFd door = std::move(received.fds.at(0));
    (void)os::SetNonBlocking(door.get(), true);
    auto gate = wire::Gate::FromFd(std::move(received.fds.at(1)));
    if (gate) gate->in_flight() = wire::kOneConnection;
    sessions.emplace(received.message.session, Session{std::move(door), std::move(*gate)});
    received.message.kind = wire::ControlKind::kSessionOpened;
    Send(received.message);
  }

  // False when the owner has closed the socket.
  bool OnControl() {
    auto received = wire::ReceiveControl(control);
    if (!received || !*received) return false;
    wire::ControlMessage message = (*received)->message;
    if (message.kind == wire::ControlKind::kOpenSession) {
      Open(std::move(**received));
      return true;
    }
    const auto session = sessions.find(message.session);
    if (session == sessions.end() || session->second.hung) return true;
    if (message.kind == wire::ControlKind::kDrain) {
      message.kind = wire::ControlKind::kDrained;
      Send(message);
    } else if (message.kind == wire::ControlKind::kCloseSession) {
      sessions.erase(session);
      End(message.session, wire::SessionEnd::kClosed, "");
    }
    return true;
  }

  void End(uint32_t session, wire::SessionEnd end, std::string_view text) {
    wire::ControlMessage message;
    message.kind = wire::ControlKind::kSessionEnded;
    message.session = session;
    message.end = end;
    wire::SetText(message, text);
    Send(message);
  }

  void OnDoor(uint32_t id) {
    Session& session = sessions.at(id);
    std::array<std::byte, 16> bytes{};
    const auto caller = os::Accept(session.door.get());
    if (!caller) return;
    const auto packet = os::ReceivePacket(caller->get(), bytes);
    if (!packet || packet->size == 0) return;
    switch (static_cast<char>(bytes[0])) {
      case 'o':
        return End(id, wire::SessionEnd::kOutOfMemory, "the budget is used up");
      case 'm':
        return End(id, wire::SessionEnd::kMisuse, "garbage in the ring");
      case 'd':
        return End(id, wire::SessionEnd::kDeviceError, "illegal address");
      case 'x':
        ::_exit(9);
      case 'h':
        session.hung = true;
        return;
      case 'g': {
        const std::byte state{static_cast<unsigned char>('0' + static_cast<uint32_t>(session.gate.Get()))};
        (void)os::SendPacket(caller->get(), std::span(&state, 1));
        return;
      }
      case 'q':
        return Say(session, caller->get(), 0);
      case 'i':
        return Say(session, caller->get(), wire::kOneConnection);
      case 'b':
        return Say(session, caller->get(), wire::kOneConnection + wire::kOneBusy);
    }
  }

  static void Say(Session& session, int caller, uint32_t in_flight) {
    session.gate.in_flight() = in_flight;
    const std::byte done{'!'};
    (void)os::SendPacket(caller, std::span(&done, 1));
  }

  // False when the owner has closed the socket. The doors first: a function speaks before it returns, and a drain
  // follows its return.
  bool Serve() {
    std::vector<pollfd> events = {{control, POLLIN, 0}};
    std::vector<uint32_t> ids;
    for (const auto& [id, session] : sessions) {
      events.push_back({session.door.get(), POLLIN, 0});
      ids.push_back(id);
    }
    if (::poll(events.data(), events.size(), -1) < 0) return false;
    for (size_t i = 0; i < ids.size(); ++i)
      if (events[1 + i].revents != 0) OnDoor(ids[i]);
    return events[0].revents == 0 || OnControl();
  }
};

}  // namespace

int main(int argc, char** argv) {
  Fake fake{};
  for (int i = 1; i + 1 < argc; ++i)
    if (std::string_view(argv[i]) == "--control-fd") fake.control = std::atoi(argv[i + 1]);
  wire::ControlMessage ready;
  ready.kind = wire::ControlKind::kReady;
  fake.Send(ready);
  while (fake.Serve()) {
  }
  return 0;
}
