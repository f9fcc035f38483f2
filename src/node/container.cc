#include "node/container.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "node/function_log.h"
#include "os/child.h"
#include "os/mapping.h"
#include "os/socket.h"
#include "remoting/wire/control.h"
#include "remoting/wire/door.h"

namespace mignificient::node {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr int kChannelFd = 3, kMemoryFd = 4;  // in the executor
constexpr int kControlFd = 3;                 // in the GPU server
constexpr uint32_t kSession = 1;
constexpr int kMessagesAtOnce = 16;

double Milliseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

Result<std::pair<os::UniqueFd, os::UniqueFd>> Pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return FailErrno("pipe2", errno);
  auto pipe = std::pair{os::UniqueFd{ends[0]}, os::UniqueFd{ends[1]}};
  MIG_TRY(os::SetNonBlocking(pipe.first.get(), true));
  return pipe;
}

// The orchestrator's own variables are no tenant's business.
std::vector<std::string> ExecutorEnvironment(const ContainerSetup& setup, const ContainerSpec& spec,
                                             const std::string& door) {
  std::vector<std::string> environment;
  for (const char* name : {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"})
    if (const char* value = ::getenv(name)) environment.push_back(fmt::format("{}={}", name, value));
  const char* inherited = ::getenv("LD_LIBRARY_PATH");
  environment.push_back(
      fmt::format("LD_LIBRARY_PATH={}{}{}", setup.library_folder, inherited ? ":" : "", inherited ? inherited : ""));
  environment.push_back(fmt::format("{}={}", wire::kDoorVariable, door));
  if (!spec.ld_preload.empty()) environment.push_back("LD_PRELOAD=" + spec.ld_preload);
  if (spec.language == Language::kPython) {
    environment.emplace_back("PYTHONUNBUFFERED=1");         // a crash loses no output
    environment.emplace_back("PYTHONDONTWRITEBYTECODE=1");  // nothing is left beside the user's files
    environment.emplace_back("PYTHONIOENCODING=utf-8:backslashreplace");
  }
  return environment;
}

std::vector<std::string> GpuServerEnvironment(const device::Partition& partition) {
  std::vector<std::string> environment;
  for (char** entry = ::environ; *entry != nullptr; ++entry)
    if (!std::string_view(*entry).starts_with("CUDA_VISIBLE_DEVICES=")) environment.emplace_back(*entry);
  if (partition.driver == device::Driver::kCuda) environment.push_back("CUDA_VISIBLE_DEVICES=" + partition.uuid);
  return environment;
}

class RealContainer : public Container, public std::enable_shared_from_this<RealContainer> {
 public:
  RealContainer(asio::any_io_executor executor, ContainerSpec spec, std::shared_ptr<const ContainerSetup> setup,
                Listener listener)
      : executor_(executor),
        spec_(std::move(spec)),
        setup_(std::move(setup)),
        listener_(std::move(listener)),
        start_deadline_(executor),
        control_(executor),
        channel_(executor),
        log_pipe_(executor) {}

  void Begin() {
    begun_ = Clock::now();
    if (auto result = Spawn(); !result) return Fail(result.error().message());
    timing_.spawn = Milliseconds(Clock::now() - begun_);
    spawned_ = Clock::now();
    const auto self = shared_from_this();
    const auto run = [&](auto coroutine) { asio::co_spawn(executor_, std::move(coroutine), asio::detached); };
    run([self]() { return self->WatchControl(); });
    run([self]() { return self->WatchChannel(); });
    run([self]() { return self->WatchLog(); });
    run([self]() { return self->WatchStart(); });
    run([self]() { return self->AwaitDeath(self->gpu_server_, EndReason::Kind::kGpuServerDied); });
    run([self]() { return self->AwaitDeath(self->function_, EndReason::Kind::kExecutorDied); });
  }

  void Run(uint64_t invocation, const std::string& payload) override {
    invocation_ = invocation;
    function_state_ = FunctionState::kRunning;
    if (log_) {
      log_->Pump();
      log_->Mark();
    }
    std::memcpy(memory_.data(), payload.data(), payload.size());
    memory_.data()[payload.size()] = std::byte{0};
    gate_->Set(wire::GateState::kFull);
    const auto sent = executor::SendMessage(
        channel_.native_handle(),
        {.kind = executor::MessageKind::kInvoke, .invocation = invocation, .payload_size = payload.size()});
    if (!sent) End({EndReason::Kind::kMisuse, "The executor does not read its channel: " + sent.error().message()});
  }

  uint64_t Drain() override {
    wire::ControlMessage message;
    message.kind = wire::ControlKind::kDrain;
    message.session = kSession;
    message.drain_tag = ++drain_tag_;
    SendToServer(message);
    return drain_tag_;
  }

  void CloseGate() override { gate_->Set(wire::GateState::kLocked); }

  std::string ReadResult(uint64_t size) const override {
    return {reinterpret_cast<const char*>(memory_.data() + setup_->layout.result_offset()), size};
  }

  void End(EndReason reason) override {
    if (ending_) return;
    ending_ = true;
    reason.log_tail = LogTail();
    start_deadline_.cancel();
    // Not under the feet of whoever found the reason.
    asio::post(executor_, [self = shared_from_this(), reason = std::move(reason)] {
      self->listener_.ending(reason);
      self->KillBoth();
    });
  }

  const ContainerSpec& spec() const override { return spec_; }
  bool started() const override { return started_; }
  const std::string& unusable() const override { return unusable_; }
  Timing start_timing() const override { return timing_; }
  std::string LogTail() override {
    if (!log_) return {};
    log_->Pump();
    return log_->Tail();
  }
  std::string log_path() const override { return log_ ? log_->path() : std::string(); }
  int executor_pid() const override { return function_.pid(); }
  int gpu_server_pid() const override { return gpu_server_.pid(); }

 private:
  Result<> Spawn() {
    MIG_ASSIGN(auto control, os::SocketPair());
    MIG_ASSIGN(door_, wire::MakeDoor());
    MIG_ASSIGN(auto channel, os::SocketPair());
    MIG_ASSIGN(auto output, Pipe());
    MIG_ASSIGN(auto memory, os::CreateSealedMemory("mignificient-invocation", setup_->layout.total()));
    MIG_ASSIGN(memory_, os::Mapping::Create(memory.get(), setup_->layout.total()));
    MIG_ASSIGN(gate_, wire::Gate::Create(wire::GateState::kLocked));
    MIG_ASSIGN(log_, FunctionLog::Create(fmt::format("{}/{}.log", setup_->log_folder, spec_.id), setup_->log_bytes,
                                         std::move(output.first)));
    MIG_ASSIGN(gpu_server_, SpawnGpuServer(control.second.get()));
    MIG_ASSIGN(function_, SpawnExecutor(channel.second.get(), memory.get(), output.second.get()));
    MIG_TRY(os::SetNonBlocking(control.first.get(), true));
    MIG_TRY(os::SetNonBlocking(channel.first.get(), true));
    control_.assign(control.first.Release());
    channel_.assign(channel.first.Release());
    log_pipe_.assign(::fcntl(log_->pipe(), F_DUPFD_CLOEXEC, 3));
    return {};
  }

  Result<os::Child> SpawnGpuServer(int control) {
    const device::Partition& partition = spec_.partition;
    os::ChildOptions options;
    options.argv = {setup_->gpu_server_program,
                    "--control-fd",
                    std::to_string(kControlFd),
                    "--driver",
                    std::string(device::DriverName(partition.driver)),
                    "--device",
                    partition.uuid};
    if (partition.driver == device::Driver::kCpu) {
      options.argv.insert(options.argv.end(), {"--memory", std::to_string(partition.memory_mib << 20)});
      if (partition.compute_units != 0)
        options.argv.insert(options.argv.end(), {"--sms", std::to_string(partition.compute_units)});
    }
    options.environment = GpuServerEnvironment(partition);
    options.fds = {{control, kControlFd}};
    return os::Child::Spawn(options);
  }

  Result<os::Child> SpawnExecutor(int channel, int memory, int output) {
    os::ChildOptions options;
    MIG_ASSIGN(options.argv, ExecutorProgram());
    options.argv.insert(
        options.argv.end(),
        {"--channel-fd", std::to_string(kChannelFd), "--memory-fd", std::to_string(kMemoryFd), "--payload-capacity",
         std::to_string(setup_->layout.payload_capacity), "--result-capacity",
         std::to_string(setup_->layout.result_capacity), "--function", spec_.path, "--handler", spec_.handler});
    for (const std::string& module : spec_.modules)
      if (IsPython()) options.argv.insert(options.argv.end(), {"--module", module});
    options.environment = ExecutorEnvironment(*setup_, spec_, door_.address);
    options.fds = {{channel, kChannelFd}, {memory, kMemoryFd}, {output, 1}, {output, 2}};
    return os::Child::Spawn(options);
  }

  bool IsPython() const { return spec_.language == Language::kPython; }

  Result<std::vector<std::string>> ExecutorProgram() const {
    if (!IsPython()) return std::vector{setup_->executor_program};
    if (setup_->python.empty())
      return mignificient::Fail(Code::kNotFound, "There is no python3 in the PATH, nor does executor.python name one.");
    return std::vector{setup_->python, setup_->library_folder + "/python/mignificient_executor.py"};
  }

  // Where only one process could be spawned, it is killed and reaped here, before anybody was told of it.
  void Fail(std::string sentence) {
    function_ = {};
    gpu_server_ = {};
    End({EndReason::Kind::kStart, std::move(sentence)});
  }

  asio::awaitable<bool> Readable(asio::posix::stream_descriptor& descriptor) {
    boost::system::error_code error;
    co_await descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                   asio::redirect_error(asio::use_awaitable, error));
    co_return !error;
  }

  asio::awaitable<void> WatchControl() {
    const auto self = shared_from_this();
    while (co_await Readable(control_))
      if (!ReadControl()) break;
  }

  // False when the socket is of no use any more. Its end means the server's end: AwaitDeath tells how.
  bool ReadControl() {
    while (control_.is_open()) {
      auto received = wire::ReceiveControl(control_.native_handle());
      if (!received && received.error().code() == Code::kTimeout) return true;
      if (!received || !*received) {
        (void)gpu_server_.KillGroup();
        return false;
      }
      OnControl((*received)->message);
    }
    return false;
  }

  void OnControl(const wire::ControlMessage& message) {
    const std::string text(message.text, ::strnlen(message.text, sizeof message.text));
    switch (message.kind) {
      case wire::ControlKind::kReady:
        return OnServerReady();
      case wire::ControlKind::kFailed:
        return End({EndReason::Kind::kStart, "The GPU server cannot start: " + text});
      case wire::ControlKind::kSessionOpened:
        session_open_ = true;
        return CheckStarted();
      case wire::ControlKind::kDrained:
        return listener_.event(WorkDrained{message.drain_tag});
      case wire::ControlKind::kSessionEnded:
        return OnSessionEnded(message.end, text);
      default:
        return;
    }
  }

  void OnServerReady() {
    timing_.context = Milliseconds(Clock::now() - spawned_);
    server_ready_ = Clock::now();
    wire::ControlMessage open;
    open.kind = wire::ControlKind::kOpenSession;
    open.session = kSession;
    open.budget_bytes = spec_.gpu_memory_mib << 20;
    wire::SetText(open, door_.key);
    const int fds[] = {door_.listener.get(), gate_->fd()};
    SendToServer(open, fds);
    door_.listener.Reset();
  }

  void OnSessionEnded(wire::SessionEnd end, const std::string& text) {
    switch (end) {
      case wire::SessionEnd::kOutOfMemory:
        return End({EndReason::Kind::kOutOfMemory,
                    fmt::format("The function needs more GPU memory than gpu-memory [{}] MiB: {}", spec_.gpu_memory_mib,
                                text)});
      case wire::SessionEnd::kMisuse:
        return End({EndReason::Kind::kMisuse, "The GPU server ended the function's session: " + text});
      case wire::SessionEnd::kDeviceError:
        unusable_ = "Its GPU context is broken: " + text;
        return;
      case wire::SessionEnd::kClosed:
      case wire::SessionEnd::kClientGone:
        unusable_ = "Its GPU session is over.";
        return;
    }
  }

  void SendToServer(const wire::ControlMessage& message, std::span<const int> fds = {}) {
    const auto sent = wire::SendControl(control_.native_handle(), message, fds);
    if (!sent && sent.error().code() != Code::kUnavailable)  // gone: AwaitDeath tells
      End({EndReason::Kind::kGpuServerDied, "The GPU server does not answer: " + sent.error().message()});
  }

  asio::awaitable<void> WatchChannel() {
    const auto self = shared_from_this();
    while (co_await Readable(channel_))
      if (!ReadChannel()) break;
  }

  // False when the channel is of no use any more. True after some messages, so that one executor that sends without end
  // does not hold up the others.
  bool ReadChannel() {
    for (int i = 0; i < kMessagesAtOnce; ++i) {
      if (ending_ || !channel_.is_open()) return false;
      auto received = executor::ReceiveMessage(channel_.native_handle());
      if (!received && received.error().code() == Code::kTimeout) return true;
      if (!received && received.error().code() == Code::kPeer) {
        End({EndReason::Kind::kMisuse, "The executor broke its protocol: " + received.error().message()});
        return false;
      }
      if (!received || !*received) {
        (void)function_.KillGroup();
        return false;
      }
      OnMessage(**received);
    }
    return true;
  }

  void OnMessage(const executor::Message& message) {
    using executor::MessageKind;
    using enum FunctionState;
    const FunctionState before = function_state_;
    const bool answers = (before == kRunning || before == kYielded) && message.invocation == invocation_;
    switch (message.kind) {
      case MessageKind::kReady:
        if (before != kLoading) break;
        function_state_ = kIdle;
        return CheckStarted();
      case MessageKind::kFailed:
        if (before == kIdle) break;
        return OnLoadFailed(message);
      case MessageKind::kYielded:
        if (!answers || before == kYielded) break;
        function_state_ = kYielded;
        return listener_.event(YieldAsked{});
      case MessageKind::kReturned:
        if (!answers) break;
        function_state_ = kIdle;
        return listener_.event(Returned{message.value});
      case MessageKind::kThrew:
        if (!answers) break;
        function_state_ = kIdle;
        return listener_.event(Threw{std::string(executor::Text(message))});
      default:
        break;
    }
    End({EndReason::Kind::kMisuse,
         fmt::format("The executor broke its protocol: its message {} (invocation {}) is out of turn.",
                     static_cast<uint32_t>(message.kind), message.invocation)});
  }

  void OnLoadFailed(const executor::Message& message) {
    const std::string text(executor::Text(message));
    if (message.failure == executor::LoadFailure::kHandler)
      return End({EndReason::Kind::kHandler,
                  fmt::format("Field [function-handler]: {} [{}] {} no function [{}].", IsPython() ? "file" : "library",
                              spec_.path, IsPython() ? "defines" : "exports", text)});
    End({EndReason::Kind::kLibrary,
         fmt::format("{} [{}] cannot be loaded: {}", IsPython() ? "File" : "Library", spec_.path, text)});
  }

  void CheckStarted() {
    if (started_ || ending_ || !session_open_ || function_state_ == FunctionState::kLoading) return;
    started_ = true;
    start_deadline_.cancel();
    timing_.attach = Milliseconds(Clock::now() - server_ready_);
    listener_.started();
  }

  asio::awaitable<void> WatchStart() {
    const auto self = shared_from_this();
    boost::system::error_code cancelled;
    start_deadline_.expires_at(begun_ + setup_->start_timeout);
    co_await start_deadline_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    if (!started_ && !ending_)
      End({EndReason::Kind::kStart, fmt::format("The container is not ready after gpu-server.start-timeout [{} s].",
                                                std::chrono::duration<double>(setup_->start_timeout).count())});
  }

  asio::awaitable<void> WatchLog() {
    const auto self = shared_from_this();
    while (co_await Readable(log_pipe_))
      if (!log_->Pump()) break;
  }

  asio::awaitable<void> AwaitDeath(os::Child& child, EndReason::Kind kind) {
    const auto self = shared_from_this();
    asio::posix::stream_descriptor pidfd(executor_, ::fcntl(child.pidfd(), F_DUPFD_CLOEXEC, 3));
    const int pid = child.pid();
    for (;;) {
      co_await Readable(pidfd);
      const auto status = child.TryReap();
      if (status && !*status) continue;
      OnDeath(kind, status ? fmt::format("(pid {}) {}", pid, (*status)->Sentence()) : status.error().message());
      co_return;
    }
  }

  // What the dying said before is heard first: it may tell why.
  void OnDeath(EndReason::Kind kind, const std::string& how) {
    if (!ending_) {
      ReadControl();
      ReadChannel();
    }
    if (kind == EndReason::Kind::kExecutorDied)
      End({kind, fmt::format("The function's process {}{}.", how, started_ ? "" : " before it was ready")});
    else
      End({kind, fmt::format("The GPU server {} while the function's container was alive.", how)});
    CheckGone();
  }

  void KillBoth() {
    (void)function_.KillGroup();
    (void)gpu_server_.KillGroup();
    killed_ = true;
    CheckGone();
  }

  void CheckGone() {
    if (gone_ || !killed_ || function_ || gpu_server_) return;
    gone_ = true;
    if (log_) log_->Pump();
    boost::system::error_code ignored;
    control_.close(ignored);
    channel_.close(ignored);
    log_pipe_.close(ignored);
    listener_.gone();
  }

  asio::any_io_executor executor_;
  ContainerSpec spec_;
  std::shared_ptr<const ContainerSetup> setup_;
  Listener listener_;

  os::Child gpu_server_, function_;
  os::Mapping memory_;
  std::optional<wire::Gate> gate_;
  wire::Door door_;  // its listener until the GPU server has it
  std::optional<FunctionLog> log_;

  asio::steady_timer start_deadline_;
  asio::posix::stream_descriptor control_, channel_, log_pipe_;

  Clock::time_point begun_, spawned_, server_ready_;
  Timing timing_;
  bool session_open_ = false, started_ = false;
  bool ending_ = false, killed_ = false, gone_ = false;
  std::string unusable_;
  // What the executor may say follows from it: kReady or kFailed; nothing; one yield, then one answer; one answer.
  enum class FunctionState { kLoading, kIdle, kRunning, kYielded } function_state_ = FunctionState::kLoading;
  uint64_t invocation_ = 0;
  uint64_t drain_tag_ = 0;
};

}  // namespace

std::shared_ptr<Container> Container::Start(asio::any_io_executor executor, ContainerSpec spec,
                                            std::shared_ptr<const ContainerSetup> setup, Listener listener) {
  auto container = std::make_shared<RealContainer>(executor, std::move(spec), std::move(setup), std::move(listener));
  container->Begin();
  return container;
}

}  // namespace mignificient::node
