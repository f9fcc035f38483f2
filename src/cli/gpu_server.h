// A GPU server that this process starts and owns by itself, without a node: what `mignificient run` needs. One session.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "cli/partition.h"
#include "os/child.h"
#include "os/unique_fd.h"
#include "remoting/wire/control.h"
#include "remoting/wire/door.h"

namespace mignificient::cli {

struct GpuServerOptions {
  std::string program;  // mignificient-gpu-server
  DeviceChoice device;
  std::optional<uint64_t> budget_bytes;  // of the session; default: all that the device has free
};

class GpuServer {
 public:
  // Starts the server. Its door is there at once, and whoever comes to it waits until the context exists and the
  // session is open: both happen as messages are heard, while the program already loads what it needs.
  static Result<GpuServer> Start(const GpuServerOptions& options);

  // The address of the session's door: the value of wire::kDoorVariable for the program.
  const std::string& door() const { return door_.address; }

  bool has_session() const { return has_session_; }
  int control() const { return control_.get(); }  // readable when the server has something to say
  // Takes one message and acts on it. The session's end where it is one; nullopt where it is something else;
  // kUnavailable, with the server's own sentence or how it ended, when it cannot serve or is gone; kExhausted when the
  // device has less free memory than the budget.
  Result<std::optional<wire::ControlMessage>> Hear();

  // Ends the session and the server, and waits for both. What the server said of the session's end; nullopt where there
  // was no session yet.
  Result<std::optional<wire::ControlMessage>> Close();

 private:
  GpuServer(os::Child process, os::UniqueFd control, wire::Gate gate, wire::Door door,
            std::optional<uint64_t> budget_bytes)
      : process_(std::move(process)),
        control_(std::move(control)),
        gate_(std::move(gate)),
        door_(std::move(door)),
        budget_bytes_(budget_bytes) {}
  Result<wire::ControlMessage> Receive();
  Result<> OpenSession(const wire::ControlMessage& ready);
  std::string WaitForEnd();

  os::Child process_;
  os::UniqueFd control_;
  wire::Gate gate_;
  wire::Door door_;
  std::optional<uint64_t> budget_bytes_;
  bool has_session_ = false;
};

}  // namespace mignificient::cli
