#include "http/serve.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <sstream>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"
#include "base/seconds.h"
#include "http/auth.h"
#include "http/server.h"
#include "node/calls.h"
#include "node/device_watch.h"
#include "node/mig_auto.h"
#include "node/node.h"
#include "node/registry.h"
#include "node/trace.h"
#include "os/child.h"

namespace mignificient::http {
namespace {

namespace asio = boost::asio;
namespace filesystem = std::filesystem;

// Beside the running program unless configured: bin/ and ../lib/ of a build tree or a package.
Result<std::string> Program(const std::string& configured, const filesystem::path& folder, const char* name,
                            const char* key) {
  const std::string path = configured.empty() ? (folder / name).string() : configured;
  if (::access(path.c_str(), X_OK) == 0) return path;
  return Fail(Code::kNotFound, "Program [{}] is not there (key {}).", path, key);
}

bool IsProgram(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

std::string FindInPath(const std::string& name) {
  const char* path = ::getenv("PATH");
  std::stringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (folder.starts_with('/') && IsProgram(folder + "/" + name)) return folder + "/" + name;
  return {};
}

// The interpreter of Python functions, by the path it is called by: a link in a virtual environment must not be
// followed. Empty where none is configured and none is there: the node is of use without it.
Result<std::string> Python(const std::string& configured) {
  if (configured.empty()) {
    const std::string found = FindInPath("python3");
    return found.empty() && IsProgram("/usr/bin/python3") ? "/usr/bin/python3" : found;
  }
  const std::string path = configured.starts_with('/') ? configured : FindInPath(configured);
  if (!path.empty() && IsProgram(path)) return path;
  return Fail(Code::kNotFound, "Interpreter [{}] is no program {}(key executor.python).", configured,
              configured.starts_with('/') ? "" : "in the PATH ");
}

Result<std::string> LogFolder(const std::string& configured) {
  std::error_code error;
  if (!configured.empty()) {
    filesystem::create_directories(configured, error);
    if (error) return Fail(Code::kOs, "Folder [{}] (key paths.logs) cannot be made: {}.", configured, error.message());
    return configured;
  }
  std::string pattern = (filesystem::temp_directory_path(error) / "mignificient-logs-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) return FailErrno("mkdtemp", errno);
  return pattern;
}

Result<std::shared_ptr<const node::ContainerSetup>> Setup(const node::Config& config) {
  const filesystem::path folder = filesystem::read_symlink("/proc/self/exe").parent_path();
  auto setup = std::make_shared<node::ContainerSetup>();
  MIG_ASSIGN(setup->executor_program,
             Program(config.paths.executor, folder, "mignificient-executor", "paths.executor"));
  MIG_ASSIGN(setup->keeper_program, Program(config.paths.keeper, folder, "mignificient-keeper", "paths.keeper"));
  MIG_ASSIGN(setup->gpu_server.program,
             Program(config.paths.gpu_server, folder, "mignificient-gpu-server", "paths.gpu-server"));
  MIG_ASSIGN(setup->python, Python(config.executor.python));
  setup->library_folder = config.paths.library.empty() ? (folder.parent_path() / "lib").string() : config.paths.library;
  MIG_ASSIGN(setup->log_folder, LogFolder(config.paths.logs));
  setup->layout = {.payload_capacity = config.limits.payload_bytes, .result_capacity = config.limits.result_bytes};
  setup->log_bytes = config.limits.log_bytes;
  setup->measure_gpu = config.timing.gpu || !config.trace.file.empty();
  setup->start_timeout = FromSeconds(config.gpu_server.start_timeout_s);
  setup->gpu_server.share_by_user = config.gpu_server.share == "user";
  setup->gpu_server.close_timeout = FromSeconds(config.gpu_server.close_timeout_s);
  return setup;
}

Result<device::Inventory> Devices(const node::Config& config) {
  if (!config.devices.empty()) return device::ReadInventory(config.devices);
  using device::Preference;
  const std::string& driver = config.gpu_server.driver;
  return device::Discover({.preference = driver == "cuda"  ? Preference::kCuda
                                         : driver == "cpu" ? Preference::kCpu
                                                           : Preference::kAutomatic,
                           .nvml = config.nvml,
                           .software_gpus = config.software_gpus});
}

// Without NVML, or where it has no events, nobody can tell.
void WatchHealth(node::DeviceWatch& devices, const node::Config& config, const device::Inventory& inventory) {
  auto nvml = device::OpenNvml(config.nvml);
  if (!nvml) return;
  auto health = device::HealthWatch::Start(std::move(*nvml), inventory);
  if (health)
    devices.Watch(std::move(*health));
  else
    log::Info("health_not_watched", {{"why", health.error().message()}});
}

// Null where it is not wanted, or no NVML is there: then no GPU is, that could be partitioned.
std::unique_ptr<node::MigAuto> PartitionGpus(asio::any_io_executor executor, const node::Config& config,
                                             node::Node& node, node::DeviceWatch& devices, node::Trace* trace) {
  if (!config.mig.automatic) return nullptr;
  auto nvml = device::OpenNvml(config.nvml);
  if (nvml) return std::make_unique<node::MigAuto>(executor, config.mig, node, devices, std::move(*nvml), trace);
  log::Warning("mig_auto", {{"note", nvml.error().message()}});
  return nullptr;
}

void SetLogLevel(const std::string& name) {
  using log::Level;
  log::SetLevel(name == "debug"     ? Level::kDebug
                : name == "info"    ? Level::kInfo
                : name == "warning" ? Level::kWarning
                                    : Level::kError);
}

// Each container takes about ten descriptors, each connection one.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// What the database held when this process began, and the database itself.
struct State {
  std::unique_ptr<node::Store> store;
  std::vector<node::StoredFunction> functions;
  std::vector<node::StoredCall> queued;
};

Result<State> OpenState(const node::Config& config) {
  State state;
  MIG_ASSIGN(state.store, node::Store::Open(config.paths.state));
  MIG_ASSIGN(const int lost, state.store->LoseRunningCalls("The node died while this call was running."));
  MIG_ASSIGN(state.functions, state.store->Functions());
  MIG_ASSIGN(state.queued, state.store->QueuedCalls());
  if (config.paths.state.empty())
    log::Info("state", {{"folder", "-"}, {"note", "Functions and calls end with the node: paths.state is empty."}});
  else
    log::Info("state", {{"folder", config.paths.state},
                        {"functions", state.functions.size()},
                        {"queued", state.queued.size()},
                        {"lost", lost}});
  return state;
}

node::Registry::Hooks RegistryHooks(node::Node& node) {
  node::Registry::Hooks hooks;
  hooks.containers = [&node] { return node.Containers(); };
  // One that has ended meanwhile is what was wanted.
  hooks.kill = [&node](const std::string& user, const std::string& container) { (void)node.Kill(user, container); };
  hooks.maintain = [&node](const std::vector<node::Request>& templates) { node.Maintain(templates); };
  return hooks;
}

node::Calls::Hooks CallsHooks(node::Node& node, node::Registry& registry) {
  node::Calls::Hooks hooks;
  hooks.invoke = [&node](node::Request request, node::Caller& caller) {
    return node.Invoke(std::move(request), caller);
  };
  hooks.kill = [&node](const std::string& user, const std::string& container) { (void)node.Kill(user, container); };
  hooks.request = [&registry](const std::string& user, const std::string& name) {
    return registry.RequestFor(user, name);
  };
  hooks.content_type = [&registry](const std::string& user, const std::string& name) {
    return registry.ContentType(user, name);
  };
  hooks.settle = [&registry](const std::string& container) { registry.Settle(container); };
  return hooks;
}

asio::awaitable<void> StopOnSignal(asio::signal_set& signals, Server& server, Services services,
                                   asio::io_context& loop) {
  const int signal = co_await signals.async_wait(asio::use_awaitable);
  log::Info("stopping", {{"signal", signal}});
  server.StopAccepting();
  services.calls.Stop();
  co_await services.node.Stop(FromSeconds(services.config.shutdown_grace_s));
  co_await services.calls.Finished();
  co_await server.Finish(std::chrono::seconds(5));
  log::Info("stopped");
  loop.stop();
}

// Each SIGHUP takes all actions, in order.
asio::awaitable<void> ActOnHangup(asio::signal_set& signals, std::vector<std::function<void()>> actions) {
  for (;;) {
    co_await signals.async_wait(asio::use_awaitable);
    log::Info("rereading");
    for (const auto& action : actions) action();
  }
}

// A file's name can come to mean another file in ways that no notification tells of (links, mounts): look each second.
asio::awaitable<void> WatchTokens(Authenticator& auth) {
  asio::steady_timer second(co_await asio::this_coro::executor);
  for (;;) {
    second.expires_after(std::chrono::seconds(1));
    co_await second.async_wait(asio::use_awaitable);
    auth.RereadIfChanged();
  }
}

}  // namespace

Result<> Serve(const node::Config& config) {
  SetLogLevel(config.log_level);
  RaiseDescriptorLimit();
  ::signal(SIGPIPE, SIG_IGN);
  MIG_TRY(os::BecomeSubreaper());
  MIG_ASSIGN(const auto setup, Setup(config));
  MIG_ASSIGN(State state, OpenState(config));
  MIG_ASSIGN(device::Inventory inventory, Devices(config));
  for (const std::string& trouble : inventory.troubles) log::Warning("gpu_left_out", {{"text", trouble}});
  for (const device::Partition& partition : device::Partitions(inventory))
    log::Info("partition", {{"uuid", partition.uuid},
                            {"instance", partition.instance_size},
                            {"memory_mib", partition.memory_mib},
                            {"driver", device::DriverName(partition.driver)}});

  std::unique_ptr<node::Trace> trace;
  if (!config.trace.file.empty()) {
    MIG_ASSIGN(trace, node::Trace::Open(config.trace.file, config.trace.limit_bytes));
  }
  asio::io_context loop(1);
  log::Gather lines([&] { asio::post(loop, [&] { lines.Write(); }); });   // those of one turn of the loop
  asio::signal_set signals(loop, SIGTERM, SIGINT), hangup(loop, SIGHUP);  // before anybody is told that we listen
  node::Node node(loop.get_executor(), config, std::move(inventory), setup, trace.get());
  node::StoreThread store(loop.get_executor(), std::move(state.store));
  node::Registry registry(config, store, RegistryHooks(node), state.functions);
  node::Calls calls(loop.get_executor(), config, store, CallsHooks(node, registry), std::move(state.queued));
  node::DeviceWatch devices(loop.get_executor(), node, [&config] { return Devices(config); });
  WatchHealth(devices, config, node.inventory());
  const auto mig = PartitionGpus(loop.get_executor(), config, node, devices, trace.get());
  Traffic traffic(AllRoutes().size());
  const Services services{config, node, registry, calls, devices, traffic, mig.get()};
  MIG_ASSIGN(Authenticator auth, Authenticator::Create(config));
  MIG_ASSIGN(const std::unique_ptr<Server> server, Server::Listen(loop.get_executor(), services, auth));
  asio::co_spawn(loop, StopOnSignal(signals, *server, services, loop), asio::detached);
  asio::co_spawn(loop,
                 ActOnHangup(hangup, {[&] { auth.Reread(); }, [&] { server->RereadCertificate(); },
                                      [&] { (void)devices.Look(); }}),  // which logs what fails
                 asio::detached);
  if (!config.auth.tokens.empty()) asio::co_spawn(loop, WatchTokens(auth), asio::detached);
  loop.run();
  return {};
}

}  // namespace mignificient::http
