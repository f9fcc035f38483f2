// `mignificient mig apply -f FILE -c NAME`: brings the GPUs into the state that a configuration describes.
#include <fmt/format.h>

#include <boost/json/parse.hpp>

#include "cli/description.h"
#include "cli/exit_status.h"
#include "cli/http_client.h"
#include "cli/mig.h"

namespace mignificient::cli {
namespace {

namespace json = boost::json;

struct Options {
  MigFile file;
  std::string address = LoadDescription{}.address;
  bool dry_run = false;
};

std::string TextOf(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : "?";
}

// The containers of the node at `address`; none where no node answers. An answer that tells nothing is an error: then
// nobody knows what runs.
Result<std::vector<device::Occupant>> Containers(const std::string& address_text) {
  MIG_ASSIGN(Address address, Address::Parse(address_text));
  HttpClient client(std::move(address));
  const auto connected = client.Connect();
  if (!connected && connected.error().code() == Code::kUnavailable) return std::vector<device::Occupant>{};
  MIG_TRY(connected);
  const auto answer = client.Get("/containers");
  if (!answer)
    return std::unexpected(answer.error().While(fmt::format("asking the node at {} what runs", address_text)));
  boost::system::error_code error;
  const json::value body = json::parse(json::string_view(answer->body.data(), answer->body.size()), error);
  const json::value* list = !error && body.is_object() ? body.as_object().if_contains("containers") : &body;
  if (answer->status != 200 || error || list == nullptr || !list->is_array())
    return Fail(Code::kForbidden, "The node at {} does not tell what runs (status {}): its containers must be known.",
                address_text, answer->status);
  std::vector<device::Occupant> occupants;
  for (const json::value& one : list->as_array()) {
    if (!one.is_object()) return Fail(Code::kPeer, "The node at {} does not list containers.", address_text);
    const json::object& container = one.as_object();
    occupants.push_back({fmt::format("Container {} of user {}", TextOf(container, "id"), TextOf(container, "user")),
                         TextOf(container, "partition")});
  }
  return occupants;
}

int Report(const device::ApplyReport& report) {
  for (const std::string& line : report.done) fmt::print("{}\n", line);
  for (const std::string& line : report.pending) fmt::print(stderr, "mignificient mig apply: {}\n", line);
  if (!report.failure) {
    if (!report.pending.empty()) return kExitRefused;
    fmt::print("The GPUs are as the configuration says.\n");
    return kExitOk;
  }
  Complain("mig apply", *report.failure);
  if (report.left.empty())
    fmt::print(stderr,
               "What was done before that is undone; instances that were created again may have other UUIDs.\n");
  else
    fmt::print(stderr, "Not everything could be undone. What is left:\n");
  for (const std::string& line : report.left) fmt::print(stderr, "  {}\n", line);
  return ExitOfError(*report.failure);
}

int Apply(const Options& options) {
  const auto config = ReadMigFile(options.file);
  if (!config) return Complain("mig apply", config.error());
  const auto nvml = OpenMigNvml();
  if (!nvml) return Complain("mig apply", nvml.error());
  const auto gpus = device::ReadAllMig(**nvml);
  if (!gpus) return Complain("mig apply", gpus.error());
  const auto plans = device::PlanMig(*gpus, *config);
  if (!plans) {
    Complain("mig apply", plans.error());
    fmt::print(stderr, "Nothing is changed.\n");
    return ExitOfError(plans.error());
  }
  if (plans->empty()) {
    fmt::print(stderr, "mignificient mig apply: The configuration names none of the {} GPUs here.\n", gpus->size());
    return kExitNotFound;
  }
  const auto lines = device::DescribePlans(*gpus, *plans);
  if (lines.empty()) {
    fmt::print("The GPUs are as the configuration says; nothing is changed.\n");
    return kExitOk;
  }
  const auto containers = Containers(options.address);
  if (!containers) return Complain("mig apply", containers.error());
  const auto obstacles = device::Obstacles(*gpus, *plans, *containers);
  for (const std::string& obstacle : obstacles) fmt::print(stderr, "mignificient mig apply: {}\n", obstacle);
  if (options.dry_run)
    for (const std::string& line : lines) fmt::print("{}\n", line);
  if (!obstacles.empty()) {
    fmt::print(stderr, "Nothing is changed.\n");
    return kExitRefused;
  }
  return options.dry_run ? kExitOk : Report(device::ApplyMig(**nvml, *gpus, *plans));
}

}  // namespace

Command AddMigApply(CLI::App& parent) {
  CLI::App* app =
      parent.add_subcommand("apply", "Bring the GPUs into the state of a configuration; never resets a GPU");
  const auto options = std::make_shared<Options>();
  AddMigFile(*app, options->file);
  AddAddress(*app, options->address)
      ->description("The node whose containers must not run: http://HOST:PORT or unix:/PATH");
  app->add_flag("--dry-run", options->dry_run, "Say what would be done; change nothing");
  return {app, [options] { return Apply(*options); }};
}

}  // namespace mignificient::cli
