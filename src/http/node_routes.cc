// The node itself: whether it lives, what it has.
#include "http/openapi.h"
#include "http/route_handlers.h"
#include "node/device_watch.h"
#include "node/node.h"

namespace mignificient::http {

boost::asio::awaitable<Reply> Health(const Services&, RouteRequest&, node::Caller&) {
  co_return JsonReply("{\"status\": \"ok\"}\n");
}

boost::asio::awaitable<Reply> Ready(const Services& services, RouteRequest&, node::Caller&) {
  co_return services.node.stopping() ? ErrorReply(node::Outcome::kNoCapacity, "The node is stopping.")
                                     : JsonReply("{\"status\": \"ready\"}\n");
}

boost::asio::awaitable<Reply> Devices(const Services& services, RouteRequest&, node::Caller&) {
  co_return JsonReply(device::InventoryJson(services.node.inventory()));
}

boost::asio::awaitable<Reply> Rescan(const Services& services, RouteRequest& request, node::Caller&) {
  if (!request.identity.administrator)
    co_return ErrorReply(node::Outcome::kForbidden, "Only the administrator may have the devices looked for again.");
  if (const auto looked = services.devices.Look(); !looked) co_return ErrorReply(looked.error());
  co_return JsonReply(device::InventoryJson(services.node.inventory()));
}

boost::asio::awaitable<Reply> OpenApi(const Services&, RouteRequest&, node::Caller&) {
  co_return JsonReply(std::string(OpenApiJson()));
}

}  // namespace mignificient::http
