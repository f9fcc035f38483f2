// The function behind each line of the table in routes.cc; each family has its file.
#pragma once

#include "http/routes.h"

namespace mignificient::http {

#define MIG_ROUTE(name) \
  boost::asio::awaitable<Reply> name(const Services& services, RouteRequest& request, node::Caller& caller)

// invoke_routes.cc
MIG_ROUTE(Invoke);

// function_routes.cc
MIG_ROUTE(PutFunction);
MIG_ROUTE(GetFunction);
MIG_ROUTE(ListFunctions);
MIG_ROUTE(DeleteFunction);
MIG_ROUTE(CallFunction);
MIG_ROUTE(CallFunctionLater);

// call_routes.cc
MIG_ROUTE(ListCalls);
MIG_ROUTE(GetCall);
MIG_ROUTE(GetCallResult);
MIG_ROUTE(CancelCall);

// container_routes.cc
MIG_ROUTE(ListContainers);
MIG_ROUTE(KillContainer);

// log_routes.cc
MIG_ROUTE(ContainerLogs);

// status_routes.cc
MIG_ROUTE(ShowStatus);
MIG_ROUTE(ShowMetrics);

// node_routes.cc
MIG_ROUTE(Health);
MIG_ROUTE(Ready);
MIG_ROUTE(Devices);
MIG_ROUTE(Rescan);
MIG_ROUTE(OpenApi);

#undef MIG_ROUTE

}  // namespace mignificient::http
