// HTTP/1.1 connections and routes. On the node's loop; knows the node through its request and answer types.
#pragma once

#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "node/config.h"
#include "node/node.h"

namespace mignificient::http {

class Server {
 public:
  virtual ~Server() = default;

  // Listens on http.address:http.port and, where configured, http.unix-socket (a socket file that nobody listens on is
  // replaced). kUnavailable where the address is in use. Writes the log line `listening`.
  static Result<std::unique_ptr<Server>> Listen(boost::asio::any_io_executor executor, const node::Config& config,
                                                node::Node& node);

  // Accepts no more and closes connections that wait for a request.
  virtual void StopAccepting() = 0;
  // Returns when every answer is written, or after `limit`.
  virtual boost::asio::awaitable<void> Finish(std::chrono::nanoseconds limit) = 0;
};

}  // namespace mignificient::http
