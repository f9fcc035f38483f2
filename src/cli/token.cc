// `mignificient token new`: makes a bearer token and its line for the token file.
#include <fmt/format.h>

#include <memory>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "cli/command.h"
#include "cli/exit_status.h"
#include "http/tokens.h"

namespace mignificient::cli {
namespace {

struct Options {
  std::string user;
  bool administrator = false, as_json = false;
};

int TokenNew(const Options& options) {
  const auto made = http::MakeToken(options.user, options.administrator);
  if (!made) return Complain("token new", made.error());
  if (options.as_json) {
    const boost::json::object both{{"token", made->token}, {"line", made->line}};
    fmt::print("{}\n", boost::json::serialize(both));
    return kExitOk;
  }
  // The line alone can be appended to a file: `mignificient token new alice >>tokens`.
  fmt::print("{}\n", made->line);
  fmt::print(stderr, "token: {}\nIt is shown once; the line above belongs into the file that auth.tokens names.\n",
             made->token);
  return kExitOk;
}

}  // namespace

Command AddTokenNew(CLI::App& parent) {
  CLI::App* token = parent.add_subcommand("token", "Tokens of a node's users");
  CLI::App* app = token->add_subcommand("new", "Make a token: prints its line for the token file, and the token");
  const auto options = std::make_shared<Options>();
  app->add_option("user", options->user, "Whom it stands for")->required();
  app->add_flag("--admin", options->administrator, "It stands for the administrator, who may do everything");
  app->add_flag("--json", options->as_json, "Print {\"token\", \"line\"}");
  return {app, [options] { return TokenNew(*options); }};
}

}  // namespace mignificient::cli
