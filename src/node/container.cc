#include "node/container.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <iterator>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/generic/seq_packet_protocol.hpp>
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
constexpr int kMessagesAtOnce = 16;
constexpr std::chrono::milliseconds kActivityPeriod{20};
constexpr uint32_t kMostYields = 100'000;  // of one invocation

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

class RealContainer : public Container, public std::enable_shared_from_this<RealContainer> {
 public:
  RealContainer(asio::any_io_executor executor, ContainerSpec spec, std::shared_ptr<const ContainerSetup> setup,
                Listener listener)
      : executor_(executor),
        spec_(std::move(spec)),
        setup_(std::move(setup)),
        listener_(std::move(listener)),
        start_deadline_(executor),
        activity_timer_(executor),
        channel_(executor),
        log_pipe_(executor) {}

  void Begin(GpuServers& servers) {
    begun_ = Clock::now();
    if (auto result = Spawn(servers); !result)
      return End({.kind = EndReason::Kind::kStart,
                  .sentence = result.error().message(),
                  .others_fault = joined_ && !server_->listens()});
    timing_.spawn = Milliseconds(Clock::now() - begun_);
    spawned_ = Clock::now();
    const auto self = shared_from_this();
    const auto run = [&](auto coroutine) { asio::co_spawn(executor_, std::move(coroutine), asio::detached); };
    run([self]() { return self->WatchChannel(); });
    run([self]() { return self->WatchLog(); });
    run([self]() { return self->WatchStart(); });
    if (activity_) run([self]() { return self->WatchActivity(); });
    run([self]() { return self->AwaitDeath(); });
  }

  // All that one call of the kernel can tell.
  bool Prepare() override {
    if (ending_ || hung_up_ || !unusable_.empty() || server_->control() < 0) return false;
    const short end = POLLRDHUP;
    pollfd seen[] = {{channel_.native_handle(), end, 0}, {server_->control(), end, 0}, {log_->pipe(), POLLIN, 0}};
    (void)::poll(seen, std::size(seen), 0);
    if (seen[2].revents != 0) PumpLog();
    log_->Mark();
    return ((seen[0].revents | seen[1].revents) & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL)) == 0;
  }

  void Run(uint64_t invocation, const std::string& payload) override {
    invocation_ = invocation;
    yields_ = 0;
    function_state_ = FunctionState::kRunning;
    std::memcpy(memory_.data(), payload.data(), payload.size());
    memory_.data()[payload.size()] = std::byte{0};
    const auto sent = executor::SendMessage(
        channel_.native_handle(),
        {.kind = executor::MessageKind::kInvoke, .invocation = invocation, .payload_size = payload.size()});
    if (!sent) End({EndReason::Kind::kMisuse, "The executor does not read its channel: " + sent.error().message()});
  }

  uint64_t Drain(wire::Hold hold, std::chrono::microseconds idle) override {
    return server_->Drain(session_, hold, idle);
  }

  void SetGate(wire::GateState state) override { gate_->Set(state); }

  bool LockQuiet() override {
    if (ending_ || !unusable_.empty()) return false;
    const bool said = gpu_work_ == executor::GpuWork::kNone || gpu_work_ == executor::GpuWork::kCarriedOut;
    const uint32_t connections = gpu_work_ == executor::GpuWork::kNone ? 0 : 1;  // a tenant's process may say anything
    if (!said || !gate_->CloseQuiet(connections)) return false;
    ReadActivity();  // all of what is over is there
    return true;
  }

  std::string ReadResult(uint64_t size, std::string into) const override {
    into.assign(reinterpret_cast<const char*>(memory_.data() + setup_->layout.result_offset()), size);
    return into;
  }

  std::optional<GpuTime> TakeGpuTime() override {
    if (!activity_) return std::nullopt;
    return std::exchange(gpu_time_, {});
  }

  void End(EndReason reason) override {
    if (ending_) return;
    ending_ = true;
    reason.log_tail = LogTail();
    start_deadline_.cancel();
    activity_timer_.cancel();
    // Not under the feet of whoever found the reason.
    asio::post(executor_, [self = shared_from_this(), reason = std::move(reason)] {
      self->listener_.ending(reason);
      self->Stop();
    });
  }

  const ContainerSpec& spec() const override { return spec_; }
  bool started() const override { return started_; }
  const std::string& unusable() const override { return unusable_; }
  Timing start_timing() const override { return timing_; }
  std::string LogTail() override {
    if (!log_) return {};
    PumpLog();
    return log_->Tail();
  }
  std::string log_path() const override { return log_ ? log_->path() : std::string(); }
  int keeper_pid() const override { return function_.pid(); }
  // The keeper's first child: what a function leaves behind becomes its child later.
  int executor_pid() override {
    if (function_.pid() == 0) return 0;
    if (executor_pid_ != 0) return executor_pid_;
    const std::vector<pid_t> children = os::ChildrenOf(function_.pid());
    return executor_pid_ = children.empty() ? 0 : children.front();
  }
  int gpu_server_pid() const override { return server_ ? server_->pid() : 0; }

 private:
  Result<> Spawn(GpuServers& servers) {
    MIG_ASSIGN(const wire::Door door, wire::MakeDoor());
    MIG_ASSIGN(auto channel, os::SocketPair());
    MIG_ASSIGN(auto output, Pipe());
    MIG_ASSIGN(auto memory, os::CreateSealedMemory("mignificient-invocation", setup_->layout.total()));
    MIG_ASSIGN(memory_, os::Mapping::Create(memory.get(), setup_->layout.total()));
    MIG_ASSIGN(gate_, wire::Gate::Create(wire::GateState::kLocked));
    if (setup_->measure_gpu) {
      MIG_ASSIGN(activity_, wire::ActivityRing::Create());
    }
    MIG_ASSIGN(log_, FunctionLog::Create(fmt::format("{}/{}.log", setup_->log_folder, spec_.id), setup_->log_bytes,
                                         std::move(output.first)));
    MIG_TRY(os::SetNonBlocking(channel.first.get(), true));
    MIG_ASSIGN(server_, servers.For(spec_.user, spec_.partition));
    joined_ = !server_->is_new();
    MIG_TRY(OpenSession(door));
    MIG_ASSIGN(function_, SpawnExecutor(channel.second.get(), memory.get(), output.second.get(), door.address));
    channel_.assign(asio::generic::seq_packet_protocol(AF_UNIX, 0), channel.first.Release());
    log_pipe_.assign(::fcntl(log_->pipe(), F_DUPFD_CLOEXEC, 3));
    return {};
  }

  // The listener keeps this container until the session is closed.
  Result<> OpenSession(const wire::Door& door) {
    MIG_ASSIGN(session_, server_->OpenSession({.container = spec_.id,
                                               .budget_bytes = spec_.gpu_memory_mib << 20,
                                               .door = door.listener.get(),
                                               .gate = gate_->fd(),
                                               .activity = activity_ ? activity_->fd() : -1,
                                               .key = door.key,
                                               .listener = [self = shared_from_this()](const SessionEvent& event) {
                                                 std::visit([&](const auto& of_a_kind) { self->On(of_a_kind); }, event);
                                               }}));
    session_closed_ = false;
    return {};
  }

  Result<os::Child> SpawnExecutor(int channel, int memory, int output, const std::string& door) {
    os::ChildOptions options;
    MIG_ASSIGN(options.argv, ExecutorProgram());
    options.argv.insert(
        options.argv.end(),
        {"--channel-fd", std::to_string(kChannelFd), "--memory-fd", std::to_string(kMemoryFd), "--payload-capacity",
         std::to_string(setup_->layout.payload_capacity), "--result-capacity",
         std::to_string(setup_->layout.result_capacity), "--function", spec_.path, "--handler", spec_.handler});
    for (const std::string& module : spec_.modules)
      if (IsPython()) options.argv.insert(options.argv.end(), {"--module", module});
    options.environment = ExecutorEnvironment(*setup_, spec_, door);
    options.fds = {{channel, kChannelFd}, {memory, kMemoryFd}, {output, 1}, {output, 2}};
    return os::Child::Spawn(options);
  }

  bool IsPython() const { return spec_.language == Language::kPython; }

  Result<std::vector<std::string>> ExecutorProgram() const {
    if (!IsPython()) return std::vector{setup_->keeper_program, setup_->executor_program};
    if (setup_->python.empty())
      return Fail(Code::kNotFound, "There is no python3 in the PATH, nor does executor.python name one.");
    return std::vector{setup_->keeper_program, setup_->python,
                       setup_->library_folder + "/python/mignificient_executor.py"};
  }

  asio::awaitable<bool> Readable(asio::posix::stream_descriptor& descriptor) {
    boost::system::error_code error;
    co_await descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                   asio::redirect_error(asio::use_awaitable, error));
    co_return !error;
  }

  void On(const SessionOpened&) {
    session_open_ = true;
    CheckStarted();
  }

  void On(const SessionDrained& drained) {
    ReadActivity();  // all of what is drained is there
    listener_.event(WorkDrained{drained.tag});
  }

  // What came to the gate before it was set last has been answered by that.
  void On(const SessionWaits& waits) {
    if (waits.gate_word == gate_->word().load(std::memory_order_relaxed)) listener_.event(WaitsAtGate{});
  }

  void On(const SessionFailed& failed) {
    switch (failed.end) {
      case wire::SessionEnd::kOutOfMemory:
        return End({EndReason::Kind::kOutOfMemory,
                    fmt::format("The function needs more GPU memory than gpu-memory [{}] MiB: {}", spec_.gpu_memory_mib,
                                failed.text)});
      case wire::SessionEnd::kMisuse:
        return End({EndReason::Kind::kMisuse, "The GPU server ended the function's session: " + failed.text});
      case wire::SessionEnd::kDeviceError:
        return BecomeUnusable("Its GPU context is broken: " + failed.text);
      case wire::SessionEnd::kClosed:
      case wire::SessionEnd::kClientGone:
        return BecomeUnusable("Its GPU session is over.");
    }
  }

  void BecomeUnusable(std::string why) {
    unusable_ = std::move(why);
    listener_.event(BecameUnusable{});
  }

  // What the function would compute from now on is nobody's fault here, and wrong.
  void On(const ContextBroken& broken) {
    End({.kind = EndReason::Kind::kUnusable, .sentence = broken.sentence, .others_fault = !started_});
  }

  void On(const ServerLost& lost) {
    End({.kind = lost.cannot_start ? EndReason::Kind::kStart : EndReason::Kind::kGpuServerDied,
         .sentence = lost.sentence,
         .others_fault = joined_ && !started_ && !lost.cannot_start});
  }

  void On(const SessionClosed&) {
    session_closed_ = true;
    CheckGone();
  }

  // One message at a time, so that an executor that sends without end does not hold up the others. To receive at once
  // and to wait only where nothing is there takes fewer calls of the kernel than to wait first. Descriptors that come
  // with a message are not taken.
  asio::awaitable<void> WatchChannel() {
    const auto self = shared_from_this();
    for (;;) {
      boost::system::error_code error;
      asio::socket_base::message_flags flags = 0;
      const size_t size = co_await channel_.async_receive(asio::buffer(&incoming_, sizeof incoming_), 0, flags,
                                                          asio::redirect_error(asio::use_awaitable, error));
      if (error == asio::error::operation_aborted) co_return;
      if (!OnReceived(executor::ParseMessage(incoming_, error ? 0 : size, (flags & MSG_TRUNC) != 0))) co_return;
    }
  }

  // What is there.
  void ReadChannel() {
    for (int i = 0; i < kMessagesAtOnce && !ending_ && channel_.is_open(); ++i) {
      auto received = executor::ReceiveMessage(channel_.native_handle(), incoming_);
      if (!received && received.error().code() == Code::kTimeout) return;
      if (!OnReceived(received)) return;
    }
  }

  // False when the channel is of no use any more.
  bool OnReceived(const Result<std::optional<executor::Received>>& received) {
    if (ending_) return false;
    if (!received && received.error().code() == Code::kPeer) {
      End({EndReason::Kind::kMisuse, "The executor broke its protocol: " + received.error().message()});
      return false;
    }
    if (!received || !*received) {
      hung_up_ = true;
      (void)function_.Signal(SIGTERM);  // its keeper kills what is left, and tells how the executor ended
      return false;
    }
    OnMessage(**received);
    return true;
  }

  void OnMessage(const executor::Received& received) {
    const executor::Message& message = received.message;
    using executor::MessageKind;
    using enum FunctionState;
    const FunctionState before = function_state_;
    const bool answers = before == kRunning && message.invocation == invocation_;
    gpu_work_ = message.gpu_work;
    switch (message.kind) {
      case MessageKind::kReady:
        if (before != kLoading) break;
        function_state_ = kIdle;
        return CheckStarted();
      case MessageKind::kFailed:
        if (before == kIdle) break;
        return OnLoadFailed(message.failure, std::string(received.text));
      case MessageKind::kYielded:
        if (!answers) break;
        if (++yields_ > kMostYields)
          return End({EndReason::Kind::kMisuse, fmt::format("The function has yielded {} times.", kMostYields)});
        return listener_.event(YieldAsked{});
      case MessageKind::kReturned:
        if (!answers) break;
        function_state_ = kIdle;
        return listener_.event(Returned{message.value});
      case MessageKind::kThrew:
        if (!answers) break;
        function_state_ = kIdle;
        return listener_.event(Threw{std::string(received.text)});
      default:
        break;
    }
    End({EndReason::Kind::kMisuse,
         fmt::format("The executor broke its protocol: its message {} (invocation {}) is out of turn.",
                     static_cast<uint32_t>(message.kind), message.invocation)});
  }

  void OnLoadFailed(executor::LoadFailure failure, const std::string& text) {
    if (failure == executor::LoadFailure::kHandler)
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
    const auto ready = std::max(spawned_, server_->ready_at().value_or(spawned_));
    timing_.context = Milliseconds(ready - spawned_);
    timing_.attach = Milliseconds(Clock::now() - ready);
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

  // The ring is long enough for what a GPU server records meanwhile, unless it does nothing but switch streams.
  asio::awaitable<void> WatchActivity() {
    const auto self = shared_from_this();
    while (!ending_) {
      boost::system::error_code cancelled;
      activity_timer_.expires_after(kActivityPeriod);
      co_await activity_timer_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
      ReadActivity();
    }
  }

  void ReadActivity() {
    if (!activity_ || gone_) return;
    const uint64_t lost = activity_->Read([this](const wire::ActivityRecord& record) {
      const double milliseconds = static_cast<double>(record.end_ns - record.start_ns) * 1e-6;
      (wire::IsCopy(record.kind) ? gpu_time_.copy_ms : gpu_time_.kernel_ms) += milliseconds;
      listener_.activity(record);
    });
    if (lost != 0) listener_.activity_lost(lost);
  }

  asio::awaitable<void> WatchLog() {
    const auto self = shared_from_this();
    while (co_await Readable(log_pipe_))
      if (!PumpLog()) break;
  }

  bool PumpLog() {
    const uint64_t before = log_->extent().total;
    const bool open = log_->Pump();
    if (log_->extent().total != before) listener_.logged(log_->extent());
    return open;
  }

  asio::awaitable<void> AwaitDeath() {
    const auto self = shared_from_this();
    asio::posix::stream_descriptor pidfd(executor_, ::fcntl(function_.pidfd(), F_DUPFD_CLOEXEC, 3));
    const int pid = function_.pid();
    for (;;) {
      co_await Readable(pidfd);
      const auto status = function_.TryReap();
      if (status && !*status) continue;
      OnDeath(status ? fmt::format("(pid {}) {}", pid, (*status)->Sentence()) : status.error().message());
      co_return;
    }
  }

  // What the dying and the GPU server said before is heard first: it may tell why.
  void OnDeath(const std::string& how) {
    if (!ending_) {
      server_->Hear();
      ReadChannel();
    }
    End({EndReason::Kind::kExecutorDied,
         fmt::format("The function's process {}{}.", how, started_ ? "" : " before it was ready")});
    CheckGone();
  }

  // The executor first: it issues no more work.
  void Stop() {
    (void)function_.KillGroup();
    if (!session_closed_) server_->CloseSession(session_);
    stopped_ = true;
    CheckGone();
  }

  void CheckGone() {
    if (gone_ || !stopped_ || function_ || !session_closed_) return;
    gone_ = true;
    if (log_) PumpLog();
    boost::system::error_code ignored;
    channel_.close(ignored);
    log_pipe_.close(ignored);
    listener_.gone();
  }

  asio::any_io_executor executor_;
  ContainerSpec spec_;
  std::shared_ptr<const ContainerSetup> setup_;
  Listener listener_;

  std::shared_ptr<GpuServer> server_;  // null until it is found
  uint32_t session_ = 0;               // in it
  bool joined_ = false;                // the server had others, or had had, before
  os::Child function_;                 // the keeper
  pid_t executor_pid_ = 0;             // once it was looked for and there
  os::Mapping memory_;
  std::optional<wire::Gate> gate_;
  std::optional<wire::ActivityRing> activity_;  // where it is measured
  GpuTime gpu_time_;
  std::optional<FunctionLog> log_;

  asio::steady_timer start_deadline_, activity_timer_;
  asio::generic::seq_packet_protocol::socket channel_;
  executor::Incoming incoming_;  // of the channel
  asio::posix::stream_descriptor log_pipe_;

  Clock::time_point begun_, spawned_;
  Timing timing_;
  bool session_open_ = false, session_closed_ = true, started_ = false;
  bool hung_up_ = false, ending_ = false, stopped_ = false, gone_ = false;
  std::string unusable_;
  // What the executor may say follows from it: kReady or kFailed; nothing; yields, then one answer.
  enum class FunctionState { kLoading, kIdle, kRunning } function_state_ = FunctionState::kLoading;
  uint64_t invocation_ = 0;
  uint32_t yields_ = 0;
  executor::GpuWork gpu_work_{};  // in its last message
};

}  // namespace

std::shared_ptr<Container> Container::Start(asio::any_io_executor executor, GpuServers& servers, ContainerSpec spec,
                                            std::shared_ptr<const ContainerSetup> setup, Listener listener) {
  auto container = std::make_shared<RealContainer>(executor, std::move(spec), std::move(setup), std::move(listener));
  container->Begin(servers);
  return container;
}

}  // namespace mignificient::node
