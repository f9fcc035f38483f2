// What the node is doing and has done: /v1/status for `top`, /metrics for Prometheus.
#include <algorithm>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "http/container_json.h"
#include "http/exposition.h"
#include "http/route_handlers.h"
#include "node/mig_auto.h"
#include "node/node.h"
#include "node/outcome.h"

namespace mignificient::http {
namespace {

namespace json = boost::json;

// Whose container it is stays hidden from other users.
json::object ToJson(const node::PartitionInfo& partition, const node::Status& status, const Identity& identity) {
  json::object owner;
  for (const node::ContainerInfo& container : status.containers)
    if (!partition.owner.empty() && container.id == partition.owner && identity.May(container.user))
      owner = {{"container", container.id}, {"user", container.user}, {"function", container.function}};
  return {{"uuid", partition.uuid},
          {"gpu", partition.gpu_uuid},
          {"instance", partition.instance_size},
          {"sharing-model", partition.sharing_model},
          {"open", partition.open},
          {"memory", partition.memory_mib},
          {"memory-free", partition.free_mib},
          {"busy", !partition.owner.empty()},
          {"owner", owner.empty() ? json::value(nullptr) : json::value(std::move(owner))},
          {"running", partition.running},
          {"waiting-for-gpu", partition.waiting_for_gpu},
          {"containers", std::ranges::count(status.containers, partition.uuid, &node::ContainerInfo::partition)}};
}

void AddHistogram(Exposition& page, std::string_view name, std::string_view help, const node::Histogram& histogram) {
  page.Metric(name, "histogram", help);
  for (size_t i = 0; i < node::Histogram::kBounds.size(); ++i)
    page.Part("_bucket", static_cast<double>(histogram.Within(i)),
              {{"le", fmt::format("{}", node::Histogram::kBounds[i])}});
  page.Part("_bucket", static_cast<double>(histogram.count()), {{"le", "+Inf"}});
  page.Part("_sum", histogram.sum());
  page.Part("_count", static_cast<double>(histogram.count()));
}

void AddCounts(Exposition& page, const node::Metrics& metrics) {
  page.Metric("mignificient_invocations_total", "counter", "Invocations answered, by outcome and start.");
  for (const auto& [kind, count] : metrics.invocations())
    page.Sample(static_cast<double>(count), {{"outcome", node::OutcomeName(kind.first)}, {"start", kind.second}});
  AddHistogram(page, "mignificient_invocation_duration_seconds", "From the request to the answer.", metrics.duration());
  AddHistogram(page, "mignificient_invocation_queue_seconds", "Before the turn, without the start of a container.",
               metrics.queue());
  AddHistogram(page, "mignificient_invocation_execution_seconds", "From the turn to the function's return.",
               metrics.execution());
  AddHistogram(page, "mignificient_container_start_seconds", "Start of containers that an invocation waited for.",
               metrics.start());
}

// Which of a route's answers were of which status; the last line is for what asks for no route, or cannot be read.
void AddTraffic(Exposition& page, const Traffic& traffic) {
  page.Metric("mignificient_http_requests_total", "counter", "Requests answered, by route and status.");
  const std::span<const Route> routes = AllRoutes();
  for (size_t i = 0; i <= routes.size(); ++i)
    for (const auto& [status, count] : traffic.Answers(i))
      page.Sample(static_cast<double>(count), {{"method", i < routes.size() ? routes[i].method : "none"},
                                               {"route", i < routes.size() ? routes[i].pattern : "none"},
                                               {"status", fmt::format("{}", status)}});
  const auto add = [&](std::string_view name, std::string_view type, std::string_view help, uint64_t value) {
    page.Metric(name, type, help);
    page.Sample(static_cast<double>(value));
  };
  add("mignificient_http_connections", "gauge", "Open connections.", traffic.open_connections);
  add("mignificient_http_connections_total", "counter", "Connections accepted.", traffic.accepted_connections);
  add("mignificient_http_connections_refused_total", "counter", "Connections closed at once (http.connections).",
      traffic.refused_connections);
  add("mignificient_http_handshakes_failed_total", "counter", "TLS handshakes that failed.", traffic.failed_handshakes);
  add("mignificient_http_received_bytes_total", "counter", "Bytes of requests.", traffic.received_bytes);
  add("mignificient_http_sent_bytes_total", "counter", "Bytes of answers.", traffic.sent_bytes);
}

void AddPartitions(Exposition& page, const node::Status& status) {
  const auto add = [&](std::string_view name, std::string_view help, const auto& value_of) {
    page.Metric(name, "gauge", help);
    for (const node::PartitionInfo& partition : status.partitions)
      page.Sample(value_of(partition), {{"partition", partition.uuid}, {"instance", partition.instance_size}});
  };
  constexpr double kMib = 1 << 20;
  add("mignificient_partition_memory_bytes", "Memory of the partition.",
      [](const auto& p) { return static_cast<double>(p.memory_mib) * kMib; });
  add("mignificient_partition_memory_free_bytes", "Memory of it that no container has reserved.",
      [](const auto& p) { return static_cast<double>(p.free_mib) * kMib; });
  add("mignificient_partition_busy", "1 while an invocation owns its GPU.",
      [](const auto& p) { return p.owner.empty() ? 0.0 : 1.0; });
  add("mignificient_partition_waiting_for_gpu", "Invocations on it whose GPU commands wait at the gate.",
      [](const auto& p) { return static_cast<double>(p.waiting_for_gpu); });
  add("mignificient_partition_running", "Invocations that run on it.",
      [](const auto& p) { return static_cast<double>(p.running); });
}

void AddMig(Exposition& page, const node::MigStatus& status) {
  page.Metric("mignificient_mig_repartitions_total", "counter", "GPUs that mig.auto has partitioned anew.");
  page.Sample(static_cast<double>(status.repartitions));
  page.Metric("mignificient_mig_repartition_failures_total", "counter", "Times that mig.auto could not.");
  page.Sample(static_cast<double>(status.failures));
}

// What failed may name processes of others.
json::object MigJson(const node::MigAuto* mig, bool administrator) {
  const node::MigStatus status = mig == nullptr ? node::MigStatus{} : mig->status();
  const auto text = [](const std::string& value) { return value.empty() ? json::value(nullptr) : json::value(value); };
  json::object object{{"auto", status.automatic},
                      {"repartitioning", text(status.repartitioning)},
                      {"repartitions", status.repartitions},
                      {"failures", status.failures}};
  if (administrator) object["last-failure"] = text(status.last_failure);
  return object;
}

void AddGauges(Exposition& page, const node::Status& status) {
  page.Metric("mignificient_containers", "gauge", "Containers by state.");
  for (const std::string_view state : {"starting", "idle", "running", "ending"})
    page.Sample(static_cast<double>(std::ranges::count(status.containers, state, &node::ContainerInfo::status)),
                {{"state", state}});
  page.Metric("mignificient_queue_length", "gauge", "Invocations that wait to run.");
  page.Sample(static_cast<double>(status.waiting));
  AddPartitions(page, status);
}

}  // namespace

boost::asio::awaitable<Reply> ShowStatus(const Services& services, RouteRequest& request, node::Caller&) {
  const node::Status status = services.node.GetStatus();
  json::array partitions, containers;
  for (const node::PartitionInfo& partition : status.partitions)
    partitions.push_back(ToJson(partition, status, request.identity));
  for (const node::ContainerInfo& container : status.containers)
    if (request.identity.May(container.user)) containers.push_back(ContainerJson(container));
  co_return JsonReply(json::serialize(json::object{{"name", services.config.name},
                                                   {"stopping", status.stopping},
                                                   {"waiting", status.waiting},
                                                   {"running", status.running},
                                                   {"mig", MigJson(services.mig, request.identity.administrator)},
                                                   {"partitions", std::move(partitions)},
                                                   {"containers", std::move(containers)}}) +
                      "\n");
}

boost::asio::awaitable<Reply> ShowMetrics(const Services& services, RouteRequest&, node::Caller&) {
  Exposition page;
  AddCounts(page, services.node.metrics());
  if (services.mig != nullptr) AddMig(page, services.mig->status());
  AddGauges(page, services.node.GetStatus());
  AddTraffic(page, services.traffic);
  Reply reply;
  reply.content_type = Exposition::kContentType;
  reply.body = page.text();
  co_return reply;
}

}  // namespace mignificient::http
