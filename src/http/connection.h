// One HTTP/1.1 connection, plain or TLS: reads requests, has them answered, writes the answers. On the node's loop.
#pragma once

#include <list>
#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>

#include "http/auth.h"
#include "http/routes.h"
#include "http/spare_buffers.h"
#include "node/config.h"
#include "node/mailbox.h"

namespace mignificient::http {

class AnyConnection {
 public:
  virtual ~AnyConnection() = default;
  // Ends it where no answer is owed.
  virtual void CloseIfIdle() = 0;
};

// Outlives server and connections: what they share.
struct Shared {
  Shared(boost::asio::any_io_executor executor, const Services& server_services, const Authenticator& authenticator)
      : services(server_services), config(services.config), auth(authenticator), finished(executor) {}
  const Services services;
  const node::Config& config;
  const Authenticator& auth;
  SpareBuffers bodies;
  bool stopping = false;
  std::list<AnyConnection*> connections;
  node::Mailbox<int> finished;  // while stopping: told when a connection has ended
};

// Serves `socket` until it ends. `tls`: empty for a plain connection.
void Serve(boost::asio::generic::stream_protocol::socket socket, Peer peer,
           std::shared_ptr<boost::asio::ssl::context> tls, std::shared_ptr<Shared> shared);

}  // namespace mignificient::http
