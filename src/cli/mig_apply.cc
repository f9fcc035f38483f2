// `mignificient mig apply -f FILE -c NAME`: brings the GPUs into the state that a configuration describes.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "cli/exit_status.h"
#include "cli/mig.h"
#include "cli/node_call.h"
#include "device/mig_lock.h"

namespace mignificient::cli {
namespace {

namespace json = boost::json;

struct Options {
  MigFile file;
  NodeOptions node;
  bool dry_run = false;
};

std::string TextOf(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : "?";
}

// The objects in the list `key`; nullopt where there is none.
std::optional<std::vector<const json::object*>> Objects(const json::value& body, std::string_view key) {
  const json::value* list = body.is_object() ? body.as_object().if_contains(key) : nullptr;
  if (list == nullptr || !list->is_array()) return std::nullopt;
  std::vector<const json::object*> objects;
  for (const json::value& one : list->as_array()) {
    if (!one.is_object()) return std::nullopt;
    objects.push_back(&one.as_object());
  }
  return objects;
}

// What a node says of itself, as occupants: its containers, those of others that it only counts, too.
std::optional<std::vector<device::Occupant>> OccupantsIn(const json::value& status) {
  const auto containers = Objects(status, "containers"), partitions = Objects(status, "partitions");
  if (!containers || !partitions) return std::nullopt;
  std::vector<device::Occupant> occupants;
  const json::value* mig = status.as_object().if_contains("mig");  // which an older node does not have
  if (mig != nullptr && mig->is_object())
    if (const json::value* gpu = mig->as_object().if_contains("repartitioning"); gpu != nullptr && gpu->is_string())
      occupants.push_back({"A repartition of the node's own", std::string(gpu->as_string())});
  for (const json::object* container : *containers)
    occupants.push_back({fmt::format("Container {} of user {}", TextOf(*container, "id"), TextOf(*container, "user")),
                         TextOf(*container, "partition")});
  for (const json::object* partition : *partitions) {
    const std::string uuid = TextOf(*partition, "uuid");
    const json::value* all = partition->if_contains("containers");
    if (all == nullptr || !all->is_int64()) return std::nullopt;
    for (int64_t i = std::ranges::count(occupants, uuid, &device::Occupant::partition); i < all->as_int64(); ++i)
      occupants.push_back({"A container of another user", uuid});
  }
  return occupants;
}

// What runs on the node's partitions; nothing where no node answers. An answer that does not tell is an error: then
// nobody knows.
Result<std::vector<device::Occupant>> Occupants(const NodeOptions& node) {
  MIG_ASSIGN(HttpClient client, ClientOf(node));
  const auto connected = client.Connect();
  if (!connected && connected.error().code() == Code::kUnavailable) return std::vector<device::Occupant>{};
  MIG_TRY(connected);
  const auto asked = AskNode(node, "GET", "/v1/status");
  if (!asked) return std::unexpected(asked.error().While(fmt::format("asking the node at {} what runs", node.address)));
  auto occupants = asked->ok() ? OccupantsIn(asked->body) : std::nullopt;
  if (!occupants)
    return Fail(Code::kForbidden,
                "The node at {} does not tell what runs (status {}), and that must be known. A node that has a token "
                "file wants one (--token).",
                node.address, asked->answer.status);
  return std::move(*occupants);
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
  // Without the right to it there is nothing to lock: NVML refuses the changes, if there are any.
  const auto lock = options.dry_run ? os::UniqueFd() : device::LockMig(**nvml);
  if (!lock && lock.error().code() != Code::kForbidden) return Complain("mig apply", lock.error());
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
  const auto occupants = Occupants(options.node);
  if (!occupants) return Complain("mig apply", occupants.error());
  const auto obstacles = device::Obstacles(*gpus, *plans, *occupants);
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
  AddNodeOptions(*app, options->node);  // the node whose containers must not run
  app->add_flag("--dry-run", options->dry_run, "Say what would be done; change nothing");
  return {app, [options] { return Apply(*options); }};
}

}  // namespace mignificient::cli
