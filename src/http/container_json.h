// A container as routes show it.
#pragma once

#include <boost/json/object.hpp>

#include "node/request.h"

namespace mignificient::http {

inline boost::json::object ContainerJson(const node::ContainerInfo& info) {
  return {{"id", info.id},
          {"user", info.user},
          {"function", info.function},
          {"status", info.status},
          {"partition", info.partition},
          {"instance", info.instance_size},
          {"gpu-memory", info.gpu_memory_mib},
          {"invocations", info.invocations},
          {"executor-pid", info.executor_pid},
          {"gpu-server-pid", info.gpu_server_pid},
          {"log", info.log}};
}

}  // namespace mignificient::http
