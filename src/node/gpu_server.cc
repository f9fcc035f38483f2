#include "node/gpu_server.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "os/socket.h"
#include "remoting/wire/attach.h"

namespace mignificient::node {
namespace {

namespace asio = boost::asio;

constexpr int kControlFd = 3;  // in the GPU server

std::vector<std::string> Arguments(const GpuServerSetup& setup, const device::Partition& partition) {
  std::vector<std::string> arguments = {setup.program,
                                        "--control-fd",
                                        std::to_string(kControlFd),
                                        "--driver",
                                        std::string(device::DriverName(partition.driver)),
                                        "--device",
                                        partition.uuid};
  if (partition.driver == device::Driver::kCpu) {
    arguments.insert(arguments.end(), {"--memory", std::to_string(partition.memory_mib << 20)});
    if (partition.compute_units != 0)
      arguments.insert(arguments.end(), {"--sms", std::to_string(partition.compute_units)});
  }
  if (setup.share_by_user) arguments.push_back("--shared");
  return arguments;
}

std::vector<std::string> Environment(const device::Partition& partition) {
  std::vector<std::string> environment;
  for (char** entry = ::environ; *entry != nullptr; ++entry)
    if (!std::string_view(*entry).starts_with("CUDA_VISIBLE_DEVICES=")) environment.emplace_back(*entry);
  if (partition.driver == device::Driver::kCuda) environment.push_back("CUDA_VISIBLE_DEVICES=" + partition.uuid);
  return environment;
}

asio::awaitable<bool> Readable(asio::posix::stream_descriptor& descriptor) {
  boost::system::error_code error;
  co_await descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                 asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

}  // namespace

std::string SharedFaults(const std::string& user, const std::vector<std::string>& containers) {
  if (containers.size() < 2) return {};
  return fmt::format(" Containers [{}] of user [{}] shared it, and share its faults (gpu-server.share is user).",
                     fmt::join(containers, ", "), user);
}

Result<std::shared_ptr<GpuServer>> GpuServers::For(const std::string& user, const device::Partition& partition) {
  if (!setup_.share_by_user) return GpuServer::Start(executor_, setup_, user, partition);
  std::erase_if(shared_, [](const auto& entry) { return entry.second.expired(); });
  auto& place = shared_[{user, partition.uuid}];
  if (auto living = place.lock(); living && living->takes_sessions()) return living;
  MIG_ASSIGN(auto started, GpuServer::Start(executor_, setup_, user, partition));
  place = started;
  return started;
}

Result<std::shared_ptr<GpuServer>> GpuServer::Start(asio::any_io_executor executor, const GpuServerSetup& setup,
                                                    const std::string& user, const device::Partition& partition) {
  std::shared_ptr<GpuServer> server(new GpuServer(executor, setup, user));
  MIG_TRY(server->Spawn(partition));
  asio::co_spawn(executor, [server] { return server->WatchControl(); }, asio::detached);
  asio::co_spawn(executor, [server] { return server->AwaitDeath(); }, asio::detached);
  return server;
}

Result<> GpuServer::Spawn(const device::Partition& partition) {
  MIG_ASSIGN(auto control, os::SocketPair());
  MIG_TRY(os::SetNonBlocking(control.first.get(), true));
  os::ChildOptions options;
  options.argv = Arguments(setup_, partition);
  options.environment = Environment(partition);
  options.fds = {{control.second.get(), kControlFd}};
  MIG_ASSIGN(process_, os::Child::Spawn(options));
  control_.assign(control.first.Release());
  return {};
}

// Its end may be there to be seen while what waits for it has not been called yet.
bool GpuServer::listens() {
  return control() >= 0 && !os::HasHungUp(control());
}

bool GpuServer::takes_sessions() {
  return listens() && !killed_ && !broken_ && sessions_.size() < wire::kMostChannels;
}

// The server reads it when it is ready.
Result<uint32_t> GpuServer::OpenSession(SessionOptions options) {
  wire::ControlMessage open;
  open.kind = wire::ControlKind::kOpenSession;
  open.session = last_session_ + 1;
  open.budget_bytes = options.budget_bytes;
  wire::SetText(open, options.key);
  const int fds[] = {options.door, options.gate, options.activity};
  const auto sent = wire::SendControl(control_.native_handle(), open, std::span(fds, options.activity >= 0 ? 3 : 2));
  if (!sent) {
    listens_ = false;
    return std::unexpected(sent.error());
  }
  sessions_.emplace(++last_session_, Session{std::move(options.container), std::move(options.listener)});
  return last_session_;
}

uint64_t GpuServer::Drain(uint32_t session, wire::Hold hold, std::chrono::microseconds idle) {
  wire::ControlMessage message;
  message.kind = wire::ControlKind::kDrain;
  message.hold = hold;
  message.idle_us = static_cast<uint32_t>(idle.count());
  message.session = session;
  message.drain_tag = ++last_drain_;
  Send(message);
  return last_drain_;
}

void GpuServer::CloseSession(uint32_t id) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end() || found->second.closing) return;
  found->second.closing = true;
  if (killed_) return;
  if (std::ranges::all_of(sessions_, [](const auto& entry) { return entry.second.closing; })) return Kill();
  wire::ControlMessage message;
  message.kind = wire::ControlKind::kCloseSession;
  message.session = id;
  Send(message);
  if (ready_at_ && !killed_) asio::co_spawn(executor_, WatchClose(id), asio::detached);
}

asio::awaitable<void> GpuServer::WatchClose(uint32_t id) {
  const auto self = shared_from_this();
  Session& session = sessions_.at(id);
  const std::string container = session.container;
  boost::system::error_code closed;
  co_await session.close_deadline.emplace(executor_, setup_.close_timeout)
      .async_wait(asio::redirect_error(asio::use_awaitable, closed));
  if (closed || !sessions_.contains(id)) co_return;
  Lose(false, fmt::format("The GPU server (pid {}) was killed, because container [{}] had ended and its GPU work had "
                          "not within gpu-server.close-timeout [{} s].",
                          pid(), container, std::chrono::duration<double>(setup_.close_timeout).count()));
}

asio::awaitable<void> GpuServer::WatchControl() {
  const auto self = shared_from_this();
  while (co_await Readable(control_))
    if (!ReadControl()) break;
}

void GpuServer::Hear() {
  if (!killed_) ReadControl();
}

// False when the socket is of no use any more. Its end means the server's end: AwaitDeath tells how.
bool GpuServer::ReadControl() {
  while (control_.is_open()) {
    auto received = wire::ReceiveControl(control_.native_handle());
    if (!received && received.error().code() == Code::kTimeout) return true;
    if (!received || !*received) {
      listens_ = false;
      (void)process_.KillGroup();
      return false;
    }
    On((*received)->message);
  }
  return false;
}

void GpuServer::On(const wire::ControlMessage& message) {
  const std::string text(message.text, ::strnlen(message.text, sizeof message.text));
  switch (message.kind) {
    case wire::ControlKind::kReady:
      return OnReady();
    case wire::ControlKind::kFailed:
      return Lose(true, "The GPU server cannot start: " + text);
    case wire::ControlKind::kSessionOpened:
      return Tell(message.session, SessionOpened{});
    case wire::ControlKind::kDrained:
      return Tell(message.session, SessionDrained{message.drain_tag});
    case wire::ControlKind::kWaiting:
      return Tell(message.session, SessionWaits{message.gate_word});
    case wire::ControlKind::kSessionEnded:
      return OnSessionEnded(message.session, message.end, text);
    default:
      return;
  }
}

void GpuServer::OnReady() {
  ready_at_ = Clock::now();
  for (const auto& [id, session] : sessions_)
    if (session.closing) asio::co_spawn(executor_, WatchClose(id), asio::detached);
}

void GpuServer::OnSessionEnded(uint32_t id, wire::SessionEnd end, const std::string& text) {
  if (end == wire::SessionEnd::kDeviceError) return OnContextBroken(id, text);
  const auto found = sessions_.find(id);
  if (end != wire::SessionEnd::kClosed || found == sessions_.end() || !found->second.closing)
    return Tell(id, SessionFailed{end, text});
  const auto listener = std::move(found->second.listener);
  sessions_.erase(found);
  listener(SessionClosed{});
}

// Each session that notices says it; the first is taken for the one that did it.
void GpuServer::OnContextBroken(uint32_t id, const std::string& text) {
  if (std::exchange(broken_, true)) return;
  const auto culprit = sessions_.find(id);
  const std::string name = culprit == sessions_.end() ? "that has ended" : culprit->second.container;
  const std::string sentence =
      fmt::format("The GPU context was broken by container [{}]: {}.{}", name, text, SharedFaults(user_, Containers()));
  for (const auto& [other, session] : sessions_)
    if (other != id) Tell(other, ContextBroken{sentence});
  Tell(id, SessionFailed{wire::SessionEnd::kDeviceError, text});
}

void GpuServer::Tell(uint32_t id, SessionEvent event) {
  const auto found = sessions_.find(id);
  if (found != sessions_.end() && !found->second.closing) found->second.listener(std::move(event));
}

asio::awaitable<void> GpuServer::AwaitDeath() {
  const auto self = shared_from_this();
  asio::posix::stream_descriptor pidfd(executor_, ::fcntl(process_.pidfd(), F_DUPFD_CLOEXEC, 3));
  const pid_t pid = process_.pid();
  for (;;) {
    co_await Readable(pidfd);
    const auto status = process_.TryReap();
    if (status && !*status) continue;
    OnDeath(status ? fmt::format("(pid {}) {}", pid, (*status)->Sentence()) : status.error().message());
    co_return;
  }
}

// What it said before is heard first: it may tell why.
void GpuServer::OnDeath(const std::string& how) {
  Hear();
  Lose(false, fmt::format("The GPU server {} while the function's container was alive.", how));
  boost::system::error_code ignored;
  control_.close(ignored);
  for (auto& [id, session] : std::exchange(sessions_, {})) session.listener(SessionClosed{});
}

void GpuServer::Lose(bool cannot_start, std::string sentence) {
  if (killed_) return;
  sentence += SharedFaults(user_, Containers());
  Kill();
  for (const auto& [id, session] : sessions_) Tell(id, ServerLost{cannot_start, sentence});
}

void GpuServer::Kill() {
  killed_ = true;
  (void)process_.KillGroup();
}

void GpuServer::Send(const wire::ControlMessage& message) {
  if (!control_.is_open()) return;
  const auto sent = wire::SendControl(control_.native_handle(), message);
  if (!sent && sent.error().code() != Code::kUnavailable)  // gone: AwaitDeath tells
    Lose(false, "The GPU server does not answer: " + sent.error().message());
}

std::vector<std::string> GpuServer::Containers() const {
  std::vector<std::string> containers;
  for (const auto& [id, session] : sessions_) containers.push_back(session.container);
  return containers;
}

}  // namespace mignificient::node
