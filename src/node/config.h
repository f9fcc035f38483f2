// The configuration of the orchestrator: what orchestrator.json may hold, with a default for everything.
// Precedence: command line (Override), environment (MIGNIFICIENT_HTTP_PORT for `http.port`), file, default.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mignificient::node {

struct Config {
  std::string name = "mignificient-orchestrator";
  std::string sharing_model = "sequential";           // sched::Name of a SharingModel
  std::map<std::string, std::string> sharing_models;  // of partitions, by uuid, mig size or instance size
  double quantum_ms = 0;         // an owner gives the GPU up after so long if others need it; 0: when it ends or yields
  double idle_release_us = 200;  // an owner without GPU work gives way after so long under overlap_*; 0: never
  bool compatible_status = false;  // timeout and GPU out-of-memory answer 200, as the original did
  std::string devices;             // path of devices.json; empty: discover
  std::string nvml;                // "fake:FILE": a fake NVML (docs/devices.md); empty: the driver's
  std::string software_gpus;       // "3g,4g;7g" (docs/devices.md); empty: one with 3g and 4g

  // Idle GPUs in MIG mode are partitioned anew for invocations that no partition could hold.
  struct Mig {
    bool automatic = false;         // mig.auto
    double after_ms = 1000;         // how long an invocation must have waited, and the GPU been idle
    double retry_after_s = 10;      // after a failure; doubles with each that follows, up to 32 times as long
    std::vector<std::string> gpus;  // UUIDs or indices; empty: all
  } mig;

  struct Http {
    std::string address = "127.0.0.1";
    uint16_t port = 10000;                  // 0: any free port; the log line `listening` names it
    std::string unix_socket;                // path; empty: none
    std::string unix_socket_mode = "0600";  // octal: who may connect to it
    double header_timeout_s = 10;           // a client that has not sent its request by then is disconnected
    double body_timeout_s = 60;
    double idle_timeout_s = 120;  // of a kept-alive connection between requests
    uint32_t connections = 4096;
    struct Tls {                // of the TCP listener; PEM files; both or none
      std::string certificate;  // with the certificates that lead to its root, its own first
      std::string key;
    } tls;
  } http;

  struct Auth {
    std::string tokens;               // path of the token file; empty: whoever can connect is the administrator
    bool trust_socket_owner = false;  // on the Unix socket a process of our own user id or root needs no token
  } auth;

  struct Limits {
    uint64_t payload_bytes = 64u << 20;
    uint64_t result_bytes = 64u << 20;
    uint32_t queue = 1000;           // invocations of one user that wait or run at once
    uint32_t function_queue = 1000;  // of one function
    uint32_t running = 16;           // that run at once on one partition where the sharing model lets them
    double timeout_s = 60;           // of a request that names none
    double timeout_max_s = 3600;
    uint64_t log_bytes = 16u << 20;  // of one container
    uint32_t ended_logs = 200;       // of so many ended containers the logs are kept; those of older ones are removed
  } limits;

  std::map<std::string, double> weights;  // of users, for their turns: 1 for those that are not named

  struct Containers {
    double remove_after_s = 600;  // idle for so long; 0: kept until their memory is needed
  } containers;

  struct Functions {
    std::vector<std::string> allowed_paths;  // a function's file must lie below one of them; empty: none may run
    bool allow_ld_preload = false;
    uint32_t per_user = 1000;  // registered functions of one user
  } functions;

  // Asynchronous calls. Limits are for one user each.
  struct Calls {
    uint32_t queue = 1000;               // that are accepted and not over
    uint64_t queue_bytes = 1ull << 30;   // their payloads
    uint32_t parallel = 16;              // that wait for a turn or run; the rest wait in the database
    double max_wait_s = 86400;           // until one begins; then it has failed
    double keep_s = 3600;                // after its end
    uint32_t kept = 1000;                // that are over; the oldest go first
    uint64_t kept_bytes = 256ull << 20;  // their results
  } calls;

  struct Executor {
    // The interpreter of Python functions: the path of a python3, a virtual environment's too, or a name that is looked
    // up in the PATH; empty: python3.
    std::string python;
  } executor;

  struct GpuServer {
    std::string driver = "auto";  // auto | cuda | cpu
    double start_timeout_s = 60;  // of GPU server and executor together
    std::string share = "none";   // none | user: containers of one user on one partition share a server
    double close_timeout_s = 10;  // a session of a shared server whose GPU work goes on longer ends them all
    std::string context_memory_mib = "auto";  // kept free per container for its context; auto: 512 on cuda, 0 on cpu
  } gpu_server;

  // Where our own files are; empty: beside the running program (bin/ and ../lib/).
  struct Paths {
    std::string executor;    // mignificient-executor
    std::string keeper;      // mignificient-keeper, the executor's parent
    std::string gpu_server;  // mignificient-gpu-server
    std::string library;     // the folder with our libcuda.so.1
    std::string logs;        // of containers; empty: a fresh folder under the system's temporary folder
    std::string state;       // functions and asynchronous calls; empty: in memory, gone with the node
  } paths;

  struct Trace {
    std::string file;                   // the timeline (docs/timeline.md); empty: none
    uint64_t limit_bytes = 256u << 20;  // of the file
  } trace;

  struct Times {
    bool gpu = false;  // measure copies and kernels on the device for Server-Timing; a trace does so anyway
  } timing;

  std::string log_level = "info";
  double shutdown_grace_s = 5;  // what runs at SIGTERM may go on for so long
};

struct LoadedConfig {
  Config config;
  std::vector<std::string> warnings;  // one sentence each: keys of the original system that have no effect here
};

// A key and its value as text, from the command line: {"http.port", "10001"}. Lists are separated by ':'.
struct Override {
  std::string key;
  std::string value;
};

// Reads `path` (none: only defaults), then `environment` (entries "NAME=value"), then `overrides`; checks everything.
// Errors name the key, what was given and what is allowed; an unknown key names the nearest known one.
Result<LoadedConfig> LoadConfig(const std::optional<std::string>& path, std::span<const std::string> environment,
                                std::span<const Override> overrides);

// The same from JSON text (comments and trailing commas allowed).
Result<LoadedConfig> ParseConfig(std::string_view json, std::span<const std::string> environment = {},
                                 std::span<const Override> overrides = {});

// This process's environment in the form LoadConfig wants.
std::vector<std::string> ProcessEnvironment();

// The effective configuration as indented JSON; parses back to the same.
std::string ConfigJson(const Config& config);

}  // namespace mignificient::node
