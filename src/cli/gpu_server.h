// A GPU server that this process starts and owns by itself, without a node: what `mignificient run` needs. One session.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "os/child.h"
#include "os/unique_fd.h"
#include "remoting/wire/control.h"

namespace mignificient::cli {

struct GpuServerOptions {
  std::string program;                          // mignificient-gpu-server
  std::string driver = "cpu";                   // cuda or cpu
  std::string device;                           // ordinal or UUID
  std::optional<uint64_t> device_memory_bytes;  // what a software partition has
  std::optional<uint64_t> budget_bytes;         // of the session; default: all that the device has free
};

class GpuServer {
 public:
  // Starts the server, waits until its context exists and opens the session, with the gate open. kUnavailable, with the
  // server's own sentence, when it cannot; kExhausted when the device has less free memory than the budget.
  static Result<GpuServer> Start(const GpuServerOptions& options);

  // The address of the session's door: the value of wire::kDoorVariable for the program.
  const std::string& door() const { return door_; }

  int control() const { return control_.get(); }  // readable when the server has something to say
  // Takes one message. The session's end where it is one; nullopt where it is something else; kUnavailable, with how
  // the server ended, when it is gone.
  Result<std::optional<wire::ControlMessage>> ReceiveEnd();

  // Ends the session and the server, and waits for both. What the server said of the session's end.
  Result<wire::ControlMessage> Close();

 private:
  GpuServer(os::Child process, os::UniqueFd control, wire::Gate gate)
      : process_(std::move(process)), control_(std::move(control)), gate_(std::move(gate)) {}
  Result<wire::ControlMessage> Receive();
  std::string WaitForEnd();
  Result<> OpenSession(const GpuServerOptions& options);

  os::Child process_;
  os::UniqueFd control_;
  wire::Gate gate_;
  std::string door_;
};

}  // namespace mignificient::cli
