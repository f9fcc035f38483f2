// HTTP/1.1 connections. On the node's loop; what they are asked is answered by http/routes.h.
#pragma once

#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "http/auth.h"
#include "http/routes.h"

namespace mignificient::http {

class Server {
 public:
  virtual ~Server() = default;

  // Listens on http.address:http.port and, where configured, http.unix-socket (a socket file that nobody listens on is
  // replaced). kUnavailable where the address is in use. Writes the log line `listening`.
  static Result<std::unique_ptr<Server>> Listen(boost::asio::any_io_executor executor, const Services& services,
                                                const Authenticator& auth);

  // For new connections. A certificate or key that cannot be used is logged and changes nothing.
  virtual void RereadCertificate() = 0;
  // Accepts no more and closes connections that wait for a request.
  virtual void StopAccepting() = 0;
  // Returns when every answer is written, or after `limit`.
  virtual boost::asio::awaitable<void> Finish(std::chrono::nanoseconds limit) = 0;
};

}  // namespace mignificient::http
