// `mignificient kill`: ends a container, whatever it is doing.
#include <fmt/format.h>

#include <memory>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "cli/command.h"
#include "cli/description.h"
#include "cli/exit_status.h"

namespace mignificient::cli {
namespace {

struct Options {
  std::string address = LoadDescription{}.address;
  std::string token;
  std::string user = "user";
  std::string container;
};

int Kill(const Options& options) {
  auto address = Address::Parse(options.address);
  if (!address) return Complain("kill", address.error());
  HttpClient client(std::move(*address), options.token);
  const boost::json::object request{{"user", options.user}, {"container", options.container}};
  const auto answer = client.Post("/kill", boost::json::serialize(request));
  if (!answer) return Complain("kill", answer.error());
  const ExitStatus status = ExitOfAnswer(answer->status, answer->Header("X-Function-Error"));
  if (status != kExitOk) return ComplainOfAnswer("kill", *answer);
  fmt::print(stderr, "Container {} of user {} is ended.\n", options.container, options.user);
  return kExitOk;
}

}  // namespace

Command AddKill(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("kill", "End a container, whatever it is doing");
  const auto options = std::make_shared<Options>();
  AddAddress(*app, options->address);
  AddToken(*app, options->token);
  app->add_option("container", options->container, "Its id, as `mignificient ps` prints it")->required();
  app->add_option("--user", options->user, "Whose container it is")->capture_default_str();
  return {app, [options] { return Kill(*options); }};
}

}  // namespace mignificient::cli
