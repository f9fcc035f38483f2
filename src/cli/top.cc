// `mignificient top`: what a node is doing, refreshed each second.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/screen.h"
#include "cli/table.h"

namespace mignificient::cli {
namespace {

namespace json = boost::json;

struct Options {
  NodeOptions node;
  bool once = false, as_json = false;
  double interval_s = 1;
};

int64_t Number(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  boost::system::error_code error;
  return value != nullptr && value->is_number() ? value->to_number<int64_t>(error) : 0;
}

const json::array& List(const json::object& object, std::string_view key) {
  static const json::array kNone;
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_array() ? value->as_array() : kNone;
}

std::string Bar(int64_t used, int64_t total) {
  constexpr int64_t kWidth = 20;
  const int64_t filled = total > 0 ? std::clamp<int64_t>((used * kWidth + total - 1) / total, 0, kWidth) : 0;
  return std::string(static_cast<size_t>(filled), '#') + std::string(static_cast<size_t>(kWidth - filled), '.');
}

// Who has the partition's GPU.
std::string OwnerText(const json::object& partition) {
  const json::value* owner = partition.if_contains("owner");
  if (owner != nullptr && owner->is_object()) {
    const json::object& of = owner->as_object();
    const auto text = [&](std::string_view key) {
      const json::value* value = of.if_contains(key);
      return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string("?");
    };
    return fmt::format("{} {}/{}", text("container"), text("user"), text("function"));
  }
  const json::value* busy = partition.if_contains("busy");
  return busy != nullptr && busy->is_bool() && busy->as_bool() ? "another user" : "-";
}

json::array PartitionRows(const json::object& status) {
  json::array rows;
  for (const json::value& entry : List(status, "partitions")) {
    if (!entry.is_object()) continue;
    const json::object& partition = entry.as_object();
    const int64_t total = Number(partition, "memory"), used = total - Number(partition, "memory-free");
    json::object row;
    for (const char* key : {"uuid", "instance"})
      if (const json::value* value = partition.if_contains(key)) row[key] = *value;
    row["memory"] = Bar(used, total);
    row["used/total MiB"] = fmt::format("{}/{}", used, total);
    for (const char* key : {"containers", "running"}) row[key] = Number(partition, key);
    row["owner"] = OwnerText(partition);
    rows.push_back(std::move(row));
  }
  return rows;
}

// The GPU that is partitioned anew; empty where none is.
std::string Repartitioned(const json::object& status) {
  const json::value* mig = status.if_contains("mig");
  const json::value* gpu =
      mig != nullptr && mig->is_object() ? mig->as_object().if_contains("repartitioning") : nullptr;
  return gpu != nullptr && gpu->is_string() ? std::string(gpu->as_string()) : std::string();
}

std::string Picture(const json::object& status, const std::string& address) {
  const json::value* name = status.if_contains("name");
  const json::value* stopping = status.if_contains("stopping");
  const bool stops = stopping != nullptr && stopping->is_bool() && stopping->as_bool();
  std::string text =
      fmt::format("{} at {}: {} running, {} waiting{}\n\n",
                  name != nullptr && name->is_string() ? std::string(name->as_string()) : "node", address,
                  Number(status, "running"), Number(status, "waiting"), stops ? ", stopping" : "");
  if (const std::string gpu = Repartitioned(status); !gpu.empty())
    text += fmt::format("{} is partitioned anew.\n\n", gpu);
  const json::array partitions = PartitionRows(status);
  text += TableText(partitions, ColumnsOf(partitions)) + '\n';
  json::array containers;
  for (const json::value& entry : List(status, "containers"))
    if (entry.is_object()) containers.push_back(entry);
  if (containers.empty()) return text + "No containers.\n";
  return text + TableText(containers, {"id", "user", "function", "status", "partition", "gpu-memory", "invocations",
                                       "executor-pid"});
}

Result<json::object> Parsed(const std::string& body) {
  boost::system::error_code error;
  json::value status = json::parse(json::string_view(body.data(), body.size()), error);
  if (error || !status.is_object()) return Fail(Code::kPeer, "The node's answer is no status.");
  return std::move(status.as_object());
}

int Top(const Options& options) {
  auto client = ClientOf(options.node);
  if (!client) return Complain("top", client.error());
  int exit_status = kExitOk;
  // The next picture; empty: the reason was told, or is in `failure`.
  std::optional<Error> failure;
  std::optional<Answer> refusal;
  const auto next = [&]() -> std::optional<std::string> {
    auto answer = client->Get("/v1/status");
    if (!answer) {
      failure = answer.error();
    } else if (answer->status != 200) {
      refusal = std::move(*answer);
    } else if (auto status = Parsed(answer->body); !status) {
      failure = status.error();
    } else {
      return options.as_json ? json::serialize(*status) + "\n" : Picture(*status, options.node.address);
    }
    return std::nullopt;
  };
  std::optional<std::string> picture = next();
  if (picture && (options.once || options.as_json)) {
    fmt::print("{}", *picture);
  } else if (picture) {
    auto screen = Screen::Open();
    if (!screen) return Complain("top", screen.error());
    const auto period = std::chrono::milliseconds(static_cast<int64_t>(options.interval_s * 1000));
    do screen->Draw(*picture);
    while (screen->Wait(period) && (picture = next()));
  }  // the terminal is as it was before anything is said
  if (failure) exit_status = Complain("top", *failure);
  if (refusal) exit_status = ComplainOfAnswer("top", *refusal);
  return exit_status;
}

}  // namespace

Command AddTop(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("top", "Show what a node is doing, refreshed each second; q ends it");
  const auto options = std::make_shared<Options>();
  AddNodeOptions(*app, options->node);
  app->add_flag("--once", options->once, "Print one picture and end");
  app->add_flag("--json", options->as_json, "Print the node's status once, as JSON");
  app->add_option("--interval", options->interval_s, "Seconds between pictures")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  return {app, [options] { return Top(*options); }};
}

}  // namespace mignificient::cli
