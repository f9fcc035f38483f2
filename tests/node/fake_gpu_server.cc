// Plays a GPU server's part of wire/control.h without a GPU. A function tells it what to do wrong by one byte through
// its door:
//   o  end the session: out of memory      m  misuse      d  device error (the process lives on)
//   x  exit with status 9                  h  never answer a drain again
//   g  answer one byte: the gate's state as a digit
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "remoting/wire/control.h"

namespace {

using namespace mignificient;

struct Fake {
  int control;
  os::UniqueFd door;
  std::optional<wire::Gate> gate;
  bool hung = false;

  void Send(wire::ControlMessage message) { (void)wire::SendControl(control, message); }

  // False when the owner has closed the socket.
  bool OnControl() {
    auto received = wire::ReceiveControl(control);
    if (!received || !*received) return false;
    wire::ControlMessage message = (*received)->message;
    if (message.kind == wire::ControlKind::kOpenSession) {
      door = std::move((*received)->fds.at(0));
      (void)os::SetNonBlocking(door.get(), true);
      gate = std::move(*wire::Gate::FromFd(std::move((*received)->fds.at(1))));
      message.kind = wire::ControlKind::kSessionOpened;
      Send(message);
    } else if (message.kind == wire::ControlKind::kDrain && !hung) {
      message.kind = wire::ControlKind::kDrained;
      Send(message);
    }
    return true;
  }

  void End(wire::SessionEnd end, std::string_view text) {
    wire::ControlMessage message;
    message.kind = wire::ControlKind::kSessionEnded;
    message.session = 1;
    message.end = end;
    wire::SetText(message, text);
    Send(message);
  }

  void OnDoor() {
    std::array<std::byte, 16> bytes{};
    const auto caller = os::Accept(door.get());
    if (!caller) return;
    const auto packet = os::ReceivePacket(caller->get(), bytes);
    if (!packet || packet->size == 0) return;
    switch (static_cast<char>(bytes[0])) {
      case 'o':
        return End(wire::SessionEnd::kOutOfMemory, "the budget is used up");
      case 'm':
        return End(wire::SessionEnd::kMisuse, "garbage in the ring");
      case 'd':
        return End(wire::SessionEnd::kDeviceError, "illegal address");
      case 'x':
        ::_exit(9);
      case 'h':
        hung = true;
        return;
      case 'g': {
        const std::byte state{static_cast<unsigned char>('0' + static_cast<uint32_t>(gate->Get()))};
        (void)os::SendPacket(caller->get(), std::span(&state, 1));
      }
    }
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
  for (;;) {
    std::array<pollfd, 2> events = {{{fake.control, POLLIN, 0}, {fake.door.get(), POLLIN, 0}}};
    if (::poll(events.data(), events.size(), -1) < 0) return 1;
    // The door first: a function speaks before it returns, and a drain follows its return.
    if (events[1].revents != 0 && events[1].fd >= 0) fake.OnDoor();
    if (events[0].revents != 0 && !fake.OnControl()) return 0;
  }
}
