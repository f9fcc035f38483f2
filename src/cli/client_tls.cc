#include "cli/client_tls.h"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>

namespace mignificient::cli {
namespace asio = boost::asio;

Result<std::shared_ptr<asio::ssl::context>> ClientTls(const Address& address, const Trust& trust) {
  boost::system::error_code error;
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  if (!trust.ca.empty())
    context->load_verify_file(trust.ca, error);
  else
    context->set_default_verify_paths(error);
  if (error && !trust.insecure)
    return Fail(Code::kInvalidArgument, "The certificates of [{}] cannot be used: {}.",
                trust.ca.empty() ? "the system" : trust.ca, error.message());
  context->set_verify_mode(trust.insecure ? asio::ssl::verify_none : asio::ssl::verify_peer);
  context->set_verify_callback(asio::ssl::host_name_verification(address.host));
  return context;
}

void NameNode(SSL* connection, const Address& address) {
  boost::system::error_code error;
  asio::ip::make_address(address.host, error);
  if (error) ::SSL_set_tlsext_host_name(connection, address.host.c_str());
}

std::unexpected<Error> FailHandshake(std::string_view node, const boost::system::error_code& error) {
  return Fail(Code::kUnavailable,
              "The node at {} does not prove who it is: {}. --ca FILE names whom to trust; --insecure trusts anybody.",
              node, error.message());
}

}  // namespace mignificient::cli
