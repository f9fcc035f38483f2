// `mignificient kill`: ends a container, whatever it is doing.
#include <fmt/format.h>

#include <memory>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "cli/command.h"
#include "cli/exit_status.h"

namespace mignificient::cli {
namespace {

struct Options {
  NodeOptions node;
  std::string user;
  std::string container;
};

int Kill(const Options& options) {
  auto client = ClientOf(options.node);
  if (!client) return Complain("kill", client.error());
  boost::json::object request{{"container", options.container}};
  if (!options.user.empty())
    request["user"] = options.user;
  else if (options.node.token.empty())
    request["user"] = "user";
  const auto answer = client->Post("/kill", boost::json::serialize(request));
  if (!answer) return Complain("kill", answer.error());
  const ExitStatus status = ExitOfAnswer(answer->status, answer->Header("X-Function-Error"));
  if (status != kExitOk) return ComplainOfAnswer("kill", *answer);
  fmt::print(stderr, "Container {} is ended.\n", options.container);
  return kExitOk;
}

}  // namespace

Command AddKill(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("kill", "End a container, whatever it is doing");
  const auto options = std::make_shared<Options>();
  AddNodeOptions(*app, options->node);
  app->add_option("container", options->container, "Its id, as `mignificient ps` prints it")->required();
  app->add_option("--user", options->user, "Whose container it is (default: whose token is given; without one `user`)");
  return {app, [options] { return Kill(*options); }};
}

}  // namespace mignificient::cli
