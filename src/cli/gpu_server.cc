#include "cli/gpu_server.h"

#include <poll.h>
#include <signal.h>

#include <array>
#include <string_view>

namespace mignificient::cli {
namespace {

constexpr uint32_t kSession = 1;

// How long the server may take to end the session of a program that has ended: work still on the device is waited for.
// The driver ends the work of a process that exits, so a kernel that never ends may not keep us.
constexpr int kCloseGraceMs = 2000;

// The number of the control socket in the server.
constexpr int kControlFd = 3;

constexpr std::string_view kVisibleDevices = "CUDA_VISIBLE_DEVICES=";

// Whether the descriptor becomes readable within the grace.
bool Happens(int fd) {
  pollfd event{fd, POLLIN, 0};
  return ::poll(&event, 1, kCloseGraceMs) != 0;
}

// Ours, but for the devices.
std::vector<std::string> Environment(const std::string& visible) {
  std::vector<std::string> environment = {std::string(kVisibleDevices) + visible};
  for (char** entry = ::environ; *entry != nullptr; ++entry)
    if (!std::string_view(*entry).starts_with(kVisibleDevices)) environment.emplace_back(*entry);
  return environment;
}

os::ChildOptions ServerProcess(const GpuServerOptions& options, int control) {
  const DeviceChoice& device = options.device;
  os::ChildOptions process{.argv = {options.program, "--control-fd", std::to_string(kControlFd), "--driver",
                                    device.driver, "--device", device.device},
                           .environment = Environment(device.visible),
                           .fds = {{control, kControlFd}}};
  if (device.memory_mib) {
    process.argv.emplace_back("--memory");
    process.argv.push_back(std::to_string(*device.memory_mib << 20));
  }
  return process;
}

}  // namespace

Result<GpuServer> GpuServer::Start(const GpuServerOptions& options) {
  MIG_ASSIGN(auto control, os::SocketPair());
  MIG_ASSIGN(wire::Gate gate, wire::Gate::Create(wire::GateState::kFull));
  MIG_ASSIGN(wire::Door door, wire::MakeDoor());
  MIG_ASSIGN(os::Child process, os::Child::Spawn(ServerProcess(options, control.second.get())));
  return GpuServer(std::move(process), std::move(control.first), std::move(gate), std::move(door),
                   options.budget_bytes);
}

Result<> GpuServer::OpenSession(const wire::ControlMessage& ready) {
  const uint64_t budget = budget_bytes_.value_or(ready.free_bytes);
  if (budget > ready.free_bytes)
    return Fail(Code::kExhausted, "The program asks for {} MiB of GPU memory, but {} has {} MiB free (of {} MiB).",
                budget >> 20, ready.text, ready.free_bytes >> 20, ready.total_bytes >> 20);
  wire::ControlMessage open{.kind = wire::ControlKind::kOpenSession, .session = kSession, .budget_bytes = budget};
  wire::SetText(open, door_.key);
  const std::array<int, 2> fds = {door_.listener.get(), gate_.fd()};
  MIG_TRY(wire::SendControl(control_.get(), open, fds));
  door_.listener.Reset();  // the server's now: who waits at it is turned away when the server ends
  has_session_ = true;
  return {};
}

Result<wire::ControlMessage> GpuServer::Receive() {
  MIG_ASSIGN(auto received, wire::ReceiveControl(control_.get()));
  if (received) return received->message;
  return Fail(Code::kUnavailable, "The GPU server {}.", WaitForEnd());
}

// How the server ended: "exited with status 0". It has hung up or is about to.
std::string GpuServer::WaitForEnd() {
  pollfd event{process_.pidfd(), POLLIN, 0};
  while (event.fd >= 0 && ::poll(&event, 1, -1) < 0) {
  }
  const auto status = process_.TryReap();
  return status && *status ? (*status)->Sentence() : "is gone";
}

Result<std::optional<wire::ControlMessage>> GpuServer::Hear() {
  MIG_ASSIGN(const wire::ControlMessage message, Receive());
  switch (message.kind) {
    case wire::ControlKind::kFailed:
      return Fail(Code::kUnavailable, "The GPU server cannot use its device: {}", message.text);
    case wire::ControlKind::kReady:
      MIG_TRY(OpenSession(message));
      return std::nullopt;
    case wire::ControlKind::kSessionEnded:
      return message;
    default:
      return std::nullopt;
  }
}

Result<std::optional<wire::ControlMessage>> GpuServer::Close() {
  std::optional<wire::ControlMessage> end;
  if (has_session_) {
    MIG_TRY(wire::SendControl(control_.get(), {.kind = wire::ControlKind::kCloseSession, .session = kSession}));
    while (!end) {
      if (!Happens(control_.get())) {
        end = wire::ControlMessage{.kind = wire::ControlKind::kSessionEnded, .end = wire::SessionEnd::kClosed};
        break;
      }
      MIG_ASSIGN(end, Hear());
    }
  }
  control_.Reset();  // the server exits when its owner hangs up, unless it is still making its context
  if (!has_session_ || !Happens(process_.pidfd())) MIG_TRY(process_.Signal(SIGKILL));
  WaitForEnd();
  return end;
}

}  // namespace mignificient::cli
