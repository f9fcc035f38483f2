// A GPU server process: one context on one partition, and the sessions its owner opens in it. Speaks the control
// protocol (wire/control.h) with the owner, and lets clients in through their session's door.
//
// Threads: Run owns everything here; each connection has a dispatcher thread of its own.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/unique_fd.h"
#include "remoting/server/connection.h"
#include "remoting/server/session.h"

namespace mignificient::server {

// Initialises the driver and the context on the device with this ordinal among the visible ones. The context stays
// current on the calling thread.
Result<Device> OpenDevice(const DriverTable& driver, int ordinal);

class Server {
 public:
  static Result<std::unique_ptr<Server>> Create(const Device& device, os::UniqueFd control);

  // Serves until the owner closes the control socket.
  Result<> Run();

 private:
  struct Client {
    uint32_t pid;      // as it says itself
    uint32_t ordinal;  // unique among the clients there are
    std::unique_ptr<Connection> connection;
  };
  struct Open {
    std::shared_ptr<Session> session;
    os::UniqueFd door;  // listens
    std::string key;
    std::deque<os::UniqueFd> callers;  // have come in and not spoken yet
    std::vector<Client> clients;
    std::optional<wire::ControlMessage> drain;  // asked for and not yet answered
    Connection::Drain asked;                    // of the connections
    uint32_t reported_word = 0;                 // of the gate, in the last kWaiting
    bool broken = false;                        // and its owner has been told
    bool closing = false;                       // until its connections have ended
  };

  Server(const Device& device, os::UniqueFd control, os::UniqueFd event, bool can_barrier)
      : device_(device), control_(std::move(control)), event_(std::move(event)), can_barrier_(can_barrier) {}

  // False: the owner has closed the socket.
  Result<bool> ServeControl();
  Result<> OpenSession(wire::ReceivedControl received);
  void CloseSession(uint32_t id);
  void AskDrain(const wire::ControlMessage& message);
  void AcceptCallers(Open& open);
  void HearCallers(Open& open);
  // One packet of a caller, who is shown the session, becomes a client, or is turned away by closing its socket.
  Result<> Admit(Open& open, os::UniqueFd caller, const wire::AttachRequest& request);
  Result<> Show(const Open& open, int caller) const;
  Result<> Attach(Open& open, os::UniqueFd caller, const wire::AttachRequest& request);
  std::optional<uint32_t> FreeOrdinal() const;
  void Sweep();
  void FinishDrain(Open& open);
  void ReportDeviceError(Open& open);
  void ReportWaiting(Open& open);
  void Report(const Session& session, wire::ControlKind kind, wire::ControlMessage message);

  const Device& device_;
  os::UniqueFd control_;
  os::UniqueFd event_;  // eventfd: a connection ended, is drained, or waits at the gate
  bool can_barrier_;
  std::map<uint32_t, Open> sessions_;
  uint32_t last_drain_ = 0;
};

}  // namespace mignificient::server
