// `mignificient serve`: the orchestrator, until it is told to stop.
#include "http/serve.h"

#include <fmt/format.h>

#include <memory>

#include "base/log.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/settings.h"

namespace mignificient::cli {
namespace {

struct Options {
  Settings settings;
  std::string devices, address, unix_socket, driver;
  std::string port, trace;
};

// A configuration that cannot be used is a usage error, whatever its code.
int Refuse(const Error& error) {
  Complain("serve", error);
  return kExitUsage;
}

std::vector<node::Override> Overrides(const Options& options) {
  std::vector<node::Override> overrides;
  const auto add = [&overrides](const char* key, const std::string& value) {
    if (!value.empty()) overrides.push_back({key, value});
  };
  add("devices", options.devices);
  add("http.address", options.address);
  add("http.port", options.port);
  add("http.unix-socket", options.unix_socket);
  add("gpu-server.driver", options.driver);
  add("trace.file", options.trace);
  return overrides;
}

int Serve(const Options& options) {
  const auto loaded = LoadSettings(options.settings, Overrides(options));
  if (!loaded) return Refuse(loaded.error());
  for (const std::string& warning : loaded->warnings) log::Warning("configuration", {{"text", warning}});
  const auto served = http::Serve(loaded->config);
  return served ? kExitOk : Refuse(served.error());
}

}  // namespace

Command AddServe(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("serve", "Run the node: listen for invocations until told to stop");
  const auto options = std::make_shared<Options>();
  AddSettings(*app, options->settings);
  app->add_option("--devices", options->devices, "A devices.json (default: discover the devices)");
  app->add_option("--address", options->address, "Address to listen on (default: 127.0.0.1)");
  app->add_option("--port", options->port, "Port to listen on; 0: any free one (default: 10000)");
  app->add_option("--unix-socket", options->unix_socket, "Listen on this Unix socket as well");
  app->add_option("--driver", options->driver, "cuda, cpu (the software GPU) or auto (default: auto)");
  app->add_option("--trace", options->trace, "Write the timeline of everything that happens to this file");
  return {app, [options] { return Serve(*options); }};
}

}  // namespace mignificient::cli
