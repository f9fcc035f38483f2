// mignificient-gpu-server: owns the CUDA context of one partition and carries out what its sessions' clients ask for.
// Started by the node or by `mignificient run`, which speak wire/control.h with it; exits when they hang up.

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "driver/cpu/cpu_driver.h"
#include "driver/cuda/cuda_driver.h"
#include "os/barrier.h"
#include "os/cpus.h"
#include "remoting/server/server.h"

namespace mignificient {
namespace {

struct Options {
  int control_fd = -1;
  std::string driver;
  std::string device = "0";   // ordinal; for cuda also a UUID, for cpu also a partition's name
  uint64_t memory_bytes = 0;  // of the software GPU
  unsigned sms = 0;           // of the software GPU
  unsigned threads = 0;       // of the software GPU
  bool shared = false;
};

bool IsOrdinal(const std::string& device) {
  return !device.empty() && device.find_first_not_of("0123456789") == std::string::npos;
}

Result<DriverTable> LoadCpu(const Options& options) {
  cpu::CpuDriverOptions cpu;
  if (!IsOrdinal(options.device)) cpu.name += " " + options.device;
  if (options.memory_bytes != 0) cpu.memory_bytes = options.memory_bytes;
  if (options.sms != 0) cpu.sms = options.sms;
  cpu.threads = options.threads;
  MIG_ASSIGN(const DriverTable* table, cpu::CreateCpuDevice(cpu));
  return *table;
}

Result<DriverTable> LoadCuda(const Options& options) {
  // The driver reads this once, at cuInit. A MIG instance has no other address than its UUID.
  if (!IsOrdinal(options.device)) ::setenv("CUDA_VISIBLE_DEVICES", options.device.c_str(), 1);
  return cuda::LoadDriver();
}

// Every client may have descriptors under way here; what they add up to is bounded by the server, not by the default
// limit.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

Result<> Serve(const Options& options, const server::Device& device, uint64_t context_us) {
  wire::ControlMessage ready;
  ready.kind = wire::ControlKind::kReady;
  ready.context_us = context_us;
  ready.total_bytes = device.info.total_bytes;
  size_t free_bytes = 0, total_bytes = 0;
  if (device.driver->cuMemGetInfo_v2(&free_bytes, &total_bytes) == CUDA_SUCCESS) ready.free_bytes = free_bytes;
  wire::SetText(ready, device.info.name);
  MIG_TRY(wire::SendControl(options.control_fd, ready));
  MIG_ASSIGN(auto server, server::Server::Create(device, os::UniqueFd(options.control_fd)));
  // Not unwound at the end: a tenant's kernel may never end, and the kernel driver ends it with this process.
  return server.release()->Run();
}

Result<> Run(const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  MIG_ASSIGN(const DriverTable table, options.driver == "cpu" ? LoadCpu(options) : LoadCuda(options));
  const bool by_ordinal = options.driver == "cuda" && IsOrdinal(options.device);
  MIG_ASSIGN(server::Device device, server::OpenDevice(table, by_ordinal ? std::stoi(options.device) : 0));
  device.driver_text = options.driver == "cpu" ? MIGNIFICIENT_VERSION : cuda::DriverVersionText();
  device.info.runs_machine_code = options.driver == "cuda" ? 1 : 0;
  device.shared = options.shared;
  device.launch_lanes = os::CpusToSpare();
  const auto elapsed = std::chrono::steady_clock::now() - start;
  return Serve(options, device, std::chrono::duration_cast<std::chrono::microseconds>(elapsed).count());
}

}  // namespace
}  // namespace mignificient

int main(int argc, char** argv) {
  using namespace mignificient;
  Options options;
  CLI::App app{"The GPU server of one partition. Started by mignificient; see `mignificient run --help`."};
  app.add_option("--control-fd", options.control_fd, "descriptor of the owner's control socket")->required();
  app.add_option("--driver", options.driver, "cuda (the NVIDIA driver) or cpu (the software GPU)")
      ->required()
      ->check(CLI::IsMember({"cuda", "cpu"}));
  app.add_option("--device", options.device, "ordinal or UUID; for cpu the partition's name");
  app.add_option("--memory", options.memory_bytes, "device memory of the software GPU, in bytes");
  app.add_option("--sms", options.sms, "multiprocessors that the software GPU reports");
  app.add_option("--threads", options.threads, "threads that run the software GPU's blocks; 0: one per CPU");
  app.add_flag("--shared", options.shared, "several containers use it at the same time");
  CLI11_PARSE(app, argc, argv);

  // The owner decides when this process ends, not the terminal it was started from.
  std::signal(SIGINT, SIG_IGN);
  os::RegisterForBarrier();  // before there are threads; whether it can is asked again where it matters
  RaiseDescriptorLimit();
  // What kernels print is written out at synchronisation points (server/waits.cc), not byte by byte.
  std::setvbuf(stdout, nullptr, _IOFBF, 1 << 16);
  if (const auto result = Run(options); !result) {
    wire::ControlMessage failed;
    failed.kind = wire::ControlKind::kFailed;
    wire::SetText(failed, result.error().message());
    if (!wire::SendControl(options.control_fd, failed))
      log::Error("gpu_server_failed", {{"error", result.error().message()}});
    return 1;
  }
  // Tenants' work may still be running, and nothing here outlives the process: leave without unwinding it.
  std::fflush(stdout);
  ::_exit(0);
}
