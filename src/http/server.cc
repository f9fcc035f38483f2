#include "http/server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"
#include "http/connection.h"

namespace mignificient::http {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using Socket = asio::generic::stream_protocol::socket;
using Error = boost::system::error_code;

asio::redirect_error_t<asio::use_awaitable_t<>> Into(Error& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

// The certificate of new connections; empty where the TCP listener is plain.
struct Certificate {
  std::shared_ptr<asio::ssl::context> context;
};

Result<> CheckKeyFile(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0)
    return FailErrno(fmt::format("opening the key [{}] (key http.tls.key)", path), errno);
  if ((status.st_mode & S_IRWXO) != 0)
    return Fail(Code::kForbidden,
                "Key file [{}] has mode {:04o}: others may read or change it; at most 0770 is allowed.", path,
                status.st_mode & 07777);
  return {};
}

Result<std::shared_ptr<asio::ssl::context>> LoadCertificate(const node::Config::Http::Tls& tls) {
  MIG_TRY(CheckKeyFile(tls.key));
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  ::SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  Error error;
  if (context->use_certificate_chain_file(tls.certificate, error))
    return Fail(Code::kInvalidArgument, "Certificate [{}] (key http.tls.certificate) cannot be used: {}.",
                tls.certificate, error.message());
  if (context->use_private_key_file(tls.key, asio::ssl::context::pem, error))
    return Fail(Code::kInvalidArgument, "Key [{}] (key http.tls.key) cannot be used, or is not the certificate's: {}.",
                tls.key, error.message());
  return context;
}

template <typename Protocol>
Peer PeerOf(const Socket& accepted) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if constexpr (!std::is_same_v<Protocol, asio::local::stream_protocol>) return {};
  if (::getsockopt(const_cast<Socket&>(accepted).native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return {};
  return {.uid = credentials.uid};
}

template <typename Protocol>
asio::awaitable<void> Accept(std::shared_ptr<asio::basic_socket_acceptor<Protocol>> acceptor,
                             std::shared_ptr<const Certificate> certificate, std::shared_ptr<Shared> shared) {
  while (acceptor->is_open()) {
    Socket socket(acceptor->get_executor());
    Error error;
    co_await acceptor->async_accept(socket, Into(error));
    if (error == asio::error::operation_aborted || shared->stopping) co_return;
    if (error) {
      // Out of descriptors or memory: a moment, so that the loop does not spin.
      asio::steady_timer moment(acceptor->get_executor(), std::chrono::milliseconds(50));
      Error ignored;
      co_await moment.async_wait(Into(ignored));
      continue;
    }
    Traffic& traffic = shared->services.traffic;
    if (shared->connections.size() >= shared->config.http.connections) {
      ++traffic.refused_connections;
      continue;  // closed at once
    }
    ++traffic.accepted_connections;
    Error ignored;
    if constexpr (std::is_same_v<Protocol, asio::ip::tcp>) socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    const Peer peer = PeerOf<Protocol>(socket);
    Serve(std::move(socket), peer, certificate->context, shared);
  }
}

using TcpAcceptor = asio::ip::tcp::acceptor;
using UnixAcceptor = asio::local::stream_protocol::acceptor;

std::unexpected<mignificient::Error> FailListen(const std::string& where, const Error& error) {
  return Fail(Code::kUnavailable, "Listening on [{}] fails: {}.", where, error.message());
}

Result<std::shared_ptr<TcpAcceptor>> ListenTcp(asio::any_io_executor executor, const node::Config& config) {
  const std::string where = fmt::format("{}:{}", config.http.address, config.http.port);
  Error error;
  const auto address = asio::ip::make_address(config.http.address, error);
  if (error)
    return Fail(Code::kInvalidArgument, "Key [http.address]: \"{}\" is given; an IP address is allowed.",
                config.http.address);
  const asio::ip::tcp::endpoint endpoint(address, config.http.port);
  auto acceptor = std::make_shared<TcpAcceptor>(executor);
  if (acceptor->open(endpoint.protocol(), error)) return FailListen(where, error);
  acceptor->set_option(asio::socket_base::reuse_address(true), error);
  if (acceptor->bind(endpoint, error)) return FailListen(where, error);
  if (acceptor->listen(asio::socket_base::max_listen_connections, error)) return FailListen(where, error);
  return acceptor;
}

// A socket file that a dead node left is in the way; one that a living node serves is not ours.
void RemoveStale(asio::any_io_executor executor, const std::string& path) {
  asio::local::stream_protocol::socket probe(executor);
  Error error;
  probe.connect(asio::local::stream_protocol::endpoint(path), error);
  struct stat status{};
  if (error == asio::error::connection_refused && ::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode))
    ::unlink(path.c_str());
}

Result<std::shared_ptr<UnixAcceptor>> ListenUnix(asio::any_io_executor executor, const node::Config::Http& config) {
  const std::string& path = config.unix_socket;
  if (path.size() >= sizeof(sockaddr_un::sun_path))
    return Fail(Code::kInvalidArgument, "Key [http.unix-socket]: a path of {} bytes is given; at most {} are allowed.",
                path.size(), sizeof(sockaddr_un::sun_path) - 1);
  RemoveStale(executor, path);
  Error error;
  auto acceptor = std::make_shared<UnixAcceptor>(executor);
  if (acceptor->open(asio::local::stream_protocol(), error)) return FailListen(path, error);
  if (acceptor->bind(asio::local::stream_protocol::endpoint(path), error)) return FailListen(path, error);
  // Nobody can connect before it listens.
  if (::chmod(path.c_str(), static_cast<mode_t>(std::stoi(config.unix_socket_mode, nullptr, 8))) != 0)
    return FailErrno(fmt::format("setting the mode of [{}]", path), errno);
  if (acceptor->listen(asio::socket_base::max_listen_connections, error)) return FailListen(path, error);
  return acceptor;
}

class RealServer : public Server {
 public:
  RealServer(std::shared_ptr<TcpAcceptor> tcp, std::shared_ptr<UnixAcceptor> local,
             std::shared_ptr<Certificate> certificate, std::shared_ptr<Shared> shared)
      : tcp_(std::move(tcp)),
        unix_(std::move(local)),
        certificate_(std::move(certificate)),
        shared_(std::move(shared)) {
    asio::co_spawn(tcp_->get_executor(), Accept(tcp_, certificate_, shared_), asio::detached);
    if (unix_)
      asio::co_spawn(unix_->get_executor(), Accept(unix_, std::make_shared<Certificate>(), shared_), asio::detached);
  }

  void StopAccepting() override {
    if (shared_->stopping) return;
    shared_->stopping = true;
    Error ignored;
    tcp_->close(ignored);
    if (unix_) {
      unix_->close(ignored);
      ::unlink(shared_->config.http.unix_socket.c_str());
    }
    for (AnyConnection* connection : shared_->connections) connection->CloseIfIdle();
  }

  void RereadCertificate() override {
    if (!certificate_->context) return;
    const node::Config::Http::Tls& files = shared_->config.http.tls;
    auto context = LoadCertificate(files);
    if (!context) return log::Error("certificate_kept", {{"error", context.error().message()}});
    certificate_->context = std::move(*context);
    log::Info("certificate_read", {{"file", files.certificate}});
  }

  asio::awaitable<void> Finish(std::chrono::nanoseconds limit) override {
    const auto deadline = Clock::now() + limit;
    while (!shared_->connections.empty())
      if (!co_await shared_->finished.Next(deadline)) break;
  }

 private:
  std::shared_ptr<TcpAcceptor> tcp_;
  std::shared_ptr<UnixAcceptor> unix_;
  std::shared_ptr<Certificate> certificate_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::Listen(asio::any_io_executor executor, const Services& services,
                                               const Authenticator& auth) {
  const node::Config& config = services.config;
  const auto certificate = std::make_shared<Certificate>();
  if (!config.http.tls.certificate.empty()) {
    MIG_ASSIGN(certificate->context, LoadCertificate(config.http.tls));
  }
  MIG_ASSIGN(auto tcp, ListenTcp(executor, config));
  std::shared_ptr<UnixAcceptor> local;
  if (!config.http.unix_socket.empty()) {
    MIG_ASSIGN(local, ListenUnix(executor, config.http));
  }
  Error ignored;
  const asio::ip::tcp::endpoint endpoint = tcp->local_endpoint(ignored);
  if (!certificate->context && !endpoint.address().is_loopback())
    log::Warning("configuration",
                 {{"text", "Tokens cross the network in clear text: http.tls.certificate is not set."}});
  log::Info("listening", {{"address", config.http.address},
                          {"port", endpoint.port()},
                          {"tls", certificate->context ? "yes" : "no"},
                          {"unix_socket", config.http.unix_socket.empty() ? "-" : config.http.unix_socket}});
  return std::make_unique<RealServer>(std::move(tcp), std::move(local), certificate,
                                      std::make_shared<Shared>(executor, services, auth));
}

}  // namespace mignificient::http
