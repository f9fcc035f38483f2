// How a client greets a node that speaks TLS: whom it believes, and what it says when it does not.
#pragma once

#include <memory>

#include <boost/asio/ssl/context.hpp>

#include "base/result.h"
#include "cli/http_client.h"

namespace mignificient::cli {

// For connections to `address` alone: they must show a certificate of its name. kInvalidArgument where the certificates
// that `trust` names cannot be read.
Result<std::shared_ptr<boost::asio::ssl::context>> ClientTls(const Address& address, const Trust& trust);

// Tells the node by which name it was called, before the handshake. Nothing where it was called by an address.
void NameNode(SSL* connection, const Address& address);

// kUnavailable, for a handshake that failed.
std::unexpected<Error> FailHandshake(std::string_view node, const boost::system::error_code& error);

}  // namespace mignificient::cli
