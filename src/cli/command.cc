#include "cli/command.h"

#include <fmt/format.h>

#include <algorithm>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "cli/exit_status.h"

namespace mignificient::cli {

CLI::Option* AddAddress(CLI::App& app, std::string& address) {
  return app
      .add_option("--address", address, "Where the node listens: http://HOST:PORT, https://HOST:PORT or unix:/PATH")
      ->envname("MIGNIFICIENT_ADDRESS")
      ->capture_default_str();
}

CLI::Option* AddToken(CLI::App& app, std::string& token) {
  const auto printable = [](const std::string& given) {
    const bool good = std::all_of(given.begin(), given.end(), [](char c) { return c > ' ' && c < 127; });
    return std::string(good ? "" : "The token has characters that a token cannot have (allowed: visible ASCII).");
  };
  return app.add_option("--token", token, "Bearer token for a node that asks for one")
      ->envname("MIGNIFICIENT_TOKEN")
      ->check(CLI::Validator(printable, ""));
}

void AddTrust(CLI::App& app, Trust& trust) {
  app.add_option("--ca", trust.ca, "PEM file of the certificates to trust (default: the system's)")
      ->envname("MIGNIFICIENT_CA");
  app.add_flag("--insecure", trust.insecure, "Do not check the node's certificate");
}

void AddNodeOptions(CLI::App& app, NodeOptions& options) {
  AddAddress(app, options.address);
  AddToken(app, options.token);
  AddTrust(app, options.trust);
}

Result<HttpClient> ClientOf(const NodeOptions& options) {
  MIG_ASSIGN(Address address, Address::Parse(options.address));
  return HttpClient(std::move(address), options.token, options.trust);
}

int Complain(std::string_view command, const Error& error) {
  fmt::print(stderr, "mignificient {}: {}\n", command, error.message());
  return ExitOfError(error);
}

int ComplainOfAnswer(std::string_view command, const Answer& answer) {
  const std::string_view type = answer.Header("X-Function-Error");
  std::string sentence;
  boost::system::error_code error;
  const auto body = boost::json::parse(boost::json::string_view(answer.body.data(), answer.body.size()), error);
  if (!error && body.is_object())
    if (const auto* text = body.as_object().if_contains("error"); text != nullptr && text->is_string())
      sentence = std::string(text->as_string());
  if (sentence.empty()) sentence = fmt::format("The node answers with status {} and no reason.", answer.status);
  fmt::print(stderr, "mignificient {}: {} [{}{}{}]\n", command, sentence, answer.status, type.empty() ? "" : " ", type);
  return ExitOfAnswer(answer.status, type);
}

}  // namespace mignificient::cli
