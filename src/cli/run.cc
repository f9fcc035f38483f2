// `mignificient run -- PROGRAM`: any CUDA program on a GPU server of its own, without a node.
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/gpu_server.h"
#include "cli/install.h"
#include "cli/partition.h"
#include "cli/process.h"
#include "remoting/wire/door.h"

namespace mignificient::cli {
namespace {

constexpr int kExitCannotExecute = 126;  // as shells and env(1) do
constexpr int kExitNoProgram = 127;

struct Options {
  std::optional<uint64_t> gpu_memory_mib;
  std::string instance = "any";
  std::string devices_file;
  std::vector<std::string> program;  // what follows `--`
  std::vector<std::string> stray;    // words before it
};

// Signals that a person or a supervisor sends to us and means for the program.
constexpr std::array kForwarded = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT, SIGWINCH};

// Blocks the signals, so that they arrive through the descriptor instead.
Result<os::UniqueFd> TakeSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kForwarded) sigaddset(&set, signal);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return FailErrno("sigprocmask", errno);
  os::UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return FailErrno("signalfd", errno);
  return fd;
}

// The program while it runs, and what is said about it.
class Run {
 public:
  Run(GpuServer server, Process program, os::UniqueFd signals)
      : server_(std::move(server)), program_(std::move(program)), signals_(std::move(signals)) {}

  int ToTheEnd() {
    bool running = true;
    while (running) {
      std::array<pollfd, 3> events = {pollfd{program_.pidfd(), POLLIN, 0}, pollfd{signals_.get(), POLLIN, 0},
                                      pollfd{server_alive_ ? server_.control() : -1, POLLIN, 0}};
      if (::poll(events.data(), events.size(), -1) < 0 && errno != EINTR)
        return Complain("run", FailErrno("poll", errno).error());
      if (events[2].revents != 0) HearServer();
      if (events[1].revents != 0) ForwardSignal();
      running = events[0].revents == 0;
    }
    return Conclude();
  }

 private:
  void ForwardSignal() {
    signalfd_siginfo signal{};
    if (::read(signals_.get(), &signal, sizeof signal) != sizeof signal) return;
    // A key pressed on the terminal reaches the program by itself: it is in our process group.
    if (signal.ssi_code == SI_KERNEL) return;
    program_.Signal(static_cast<int>(signal.ssi_signo));
  }

  void HearServer() {
    const auto end = server_.Hear();
    if (!end) {
      server_alive_ = false;
      status_without_server_ = server_.has_session() ? kExitFunctionError : ExitOfError(end.error());
      trouble_ = end.error().message();
      program_.Signal(SIGKILL);
    } else if (*end) {
      Judge(**end);
    }
  }

  void Judge(const wire::ControlMessage& end) {
    switch (end.end) {
      case wire::SessionEnd::kClosed:
      case wire::SessionEnd::kClientGone:
        return;
      case wire::SessionEnd::kOutOfMemory:
        out_of_memory_ = true;
        trouble_ = fmt::format("The program is out of GPU memory: {}", end.text);
        program_.Signal(SIGKILL);
        return;
      case wire::SessionEnd::kMisuse:
        trouble_ = fmt::format("The GPU server ended the session, because the protocol was broken: {}", end.text);
        return;
      case wire::SessionEnd::kDeviceError:
        trouble_ = fmt::format("The GPU context is broken: {}", end.text);
        return;
    }
  }

  int Conclude() {
    const int status = program_.Wait();
    if (server_alive_) {
      if (const auto closed = server_.Close(); closed && *closed && trouble_.empty()) Judge(**closed);
    }
    if (!trouble_.empty()) fmt::print(stderr, "mignificient run: {}\n", trouble_);
    if (out_of_memory_) return kExitOutOfMemory;
    // Killed by us because its server is gone: not the program's own end.
    if (!server_alive_ && status == 128 + SIGKILL) return status_without_server_;
    return status;
  }

  GpuServer server_;
  Process program_;
  os::UniqueFd signals_;
  bool server_alive_ = true;
  int status_without_server_ = kExitFunctionError;
  bool out_of_memory_ = false;
  std::string trouble_;  // a sentence; empty: none
};

// What the program is told besides what we were told.
std::vector<std::pair<std::string, std::string>> ProgramEnvironment(const std::string& library_folder,
                                                                    const std::string& door) {
  const auto inherited = [](const char* name) {
    const char* value = ::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
    return value != nullptr && *value != '\0' ? std::string(value) : std::string();
  };
  const std::string path = inherited("LD_LIBRARY_PATH");
  std::vector<std::pair<std::string, std::string>> environment = {
      {"LD_LIBRARY_PATH", path.empty() ? library_folder : library_folder + ":" + path}, {wire::kDoorVariable, door}};
  // Our choice among several GPUs is made: of those that the program sees it is the first and only one.
  if (!inherited("CUDA_VISIBLE_DEVICES").empty()) environment.emplace_back("CUDA_VISIBLE_DEVICES", "0");
  return environment;
}

ProcessOptions ProgramProcess(const Options& options, const std::string& library_folder, const std::string& door) {
  return {.program = options.program.front(),
          .arguments = {options.program.begin() + 1, options.program.end()},
          .environment = ProgramEnvironment(library_folder, door)};
}

Result<GpuServer> StartServer(const Options& options, const Install& install) {
  MIG_ASSIGN(DeviceChoice device, ChooseDevice(options.instance, options.devices_file));
  GpuServerOptions server{.program = install.gpu_server, .device = std::move(device)};
  if (options.gpu_memory_mib) server.budget_bytes = *options.gpu_memory_mib << 20;
  return GpuServer::Start(server);
}

int StartAndRun(const Options& options) {
  if (options.program.empty() || options.program.front().empty() || !options.stray.empty())
    return Complain("run", Error(Code::kInvalidArgument,
                                 "Write `--` before the program: mignificient run [OPTIONS] -- PROGRAM [ARGUMENTS]."));
  const auto install = FindInstall();
  if (!install) return Complain("run", install.error());
  auto signals = TakeSignals();
  if (!signals) return Complain("run", signals.error());
  auto server = StartServer(options, *install);
  if (!server) return Complain("run", server.error());
  auto program = Process::Start(ProgramProcess(options, install->library_folder, server->door()));
  if (!program) {
    Complain("run", program.error());
    return program.error().code() == Code::kNotFound ? kExitNoProgram : kExitCannotExecute;
  }
  return Run(std::move(*server), std::move(*program), std::move(*signals)).ToTheEnd();
}

}  // namespace

Command AddRun(CLI::App& parent, std::span<const std::string> program) {
  CLI::App* app =
      parent.add_subcommand("run", "Run any CUDA program: mignificient run [OPTIONS] -- PROGRAM [ARGUMENTS]");
  const auto options = std::make_shared<Options>();
  options->program.assign(program.begin(), program.end());
  app->add_option("--gpu-memory", options->gpu_memory_mib, "GPU memory it may use, in MiB (default: all that is free)")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 40));
  app->add_option("--instance", options->instance, "Which partition: a UUID, a size such as 3g, a profile, or any")
      ->capture_default_str();
  app->add_option("--devices", options->devices_file, "A devices.json (default: discover the devices)")
      ->envname("MIGNIFICIENT_DEVICES");
  app->add_option("program", options->stray, "What to run and its arguments, after `--`");
  return {app, [options] { return StartAndRun(*options); }};
}

}  // namespace mignificient::cli
