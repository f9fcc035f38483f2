// `mignificient logs`: what a container's processes printed; with -f what they print next.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/percent_encode.h"

namespace mignificient::cli {
namespace {

struct Options {
  NodeOptions node;
  std::string container;
  uint64_t tail_bytes = 64 << 10;
  bool follow = false;
};

int Logs(const Options& options) {
  auto client = ClientOf(options.node);
  if (!client) return Complain("logs", client.error());
  const std::string target = fmt::format("/v1/containers/{}/logs?tail={}&follow={}", PercentEncode(options.container),
                                         options.tail_bytes, options.follow);
  const auto answer = client->Get(target, [](std::string_view bytes) {
    return std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size() && std::fflush(stdout) == 0;
  });
  if (!answer) return Complain("logs", answer.error());
  return answer->status == 200 ? kExitOk : ComplainOfAnswer("logs", *answer);
}

}  // namespace

Command AddLogs(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("logs", "Print what a container's processes printed");
  const auto options = std::make_shared<Options>();
  AddNodeOptions(*app, options->node);
  app->add_option("container", options->container, "Its id, as `mignificient ps` prints it; it may have ended")
      ->required();
  app->add_option("--tail", options->tail_bytes, "At most so many bytes of what is there")->capture_default_str();
  app->add_flag("-f,--follow", options->follow, "Go on until the container ends");
  return {app, [options] { return Logs(*options); }};
}

}  // namespace mignificient::cli
