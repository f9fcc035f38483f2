#include "http/server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <list>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "base/log.h"
#include "http/call_id.h"
#include "http/routes.h"

namespace mignificient::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace wire = boost::beast::http;
using Clock = std::chrono::steady_clock;
using Socket = asio::generic::stream_protocol::socket;
using Stream = beast::basic_stream<asio::generic::stream_protocol>;
using Error = boost::system::error_code;

constexpr uint64_t kFieldsBytes = 64 << 10;  // a request's JSON besides its payload
constexpr uint32_t kHeaderBytes = 16 << 10;

Clock::duration Seconds(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

asio::redirect_error_t<asio::use_awaitable_t<>> Into(Error& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

// Outlives server and connections: what they share.
struct Shared {
  Shared(asio::any_io_executor executor, const Services& server_services)
      : services(server_services), config(services.config), finished(executor) {}
  const Services services;
  const node::Config& config;
  bool stopping = false;
  std::list<class Connection*> connections;
  node::Mailbox<int> finished;  // while stopping: told when a connection has ended
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Socket socket, std::shared_ptr<Shared> shared) : stream_(std::move(socket)), shared_(std::move(shared)) {
    place_ = shared_->connections.insert(shared_->connections.end(), this);
  }
  ~Connection() {
    shared_->connections.erase(place_);
    if (shared_->stopping) shared_->finished.Post(0);
  }

  asio::awaitable<void> Live() {
    while (!shared_->stopping && co_await ReadAndAnswer()) {
    }
    Error ignored;
    stream_.socket().shutdown(asio::socket_base::shutdown_send, ignored);
    if (linger_) co_await Linger();
  }

  // Ends it where no answer is owed.
  void CloseIfIdle() {
    if (!answering_) stream_.cancel();
  }

 private:
  using Parser = wire::request_parser<wire::string_body>;

  // One request. False when the connection is over.
  asio::awaitable<bool> ReadAndAnswer() {
    Parser parser;
    parser.header_limit(kHeaderBytes);
    parser.body_limit(shared_->config.limits.payload_bytes + kFieldsBytes);
    Error error;
    if (!co_await AwaitFirstByte()) co_return false;
    stream_.expires_after(Seconds(shared_->config.http.header_timeout_s));
    co_await wire::async_read_header(stream_, buffer_, parser, Into(error));
    if (error) co_return co_await Refuse(error);
    const auto accepted = Clock::now();
    stream_.expires_after(Seconds(shared_->config.http.body_timeout_s));
    if (parser.get()[wire::field::expect] == "100-continue") co_await SendContinue();
    co_await wire::async_read(stream_, buffer_, parser, Into(error));
    if (error) co_return co_await Refuse(error);
    co_return co_await Answer(parser.release(), accepted);
  }

  asio::awaitable<bool> AwaitFirstByte() {
    if (buffer_.size() > 0) co_return true;
    Error error;
    const size_t space = 4096;
    stream_.expires_after(Seconds(shared_->config.http.idle_timeout_s));
    const size_t size = co_await stream_.async_read_some(buffer_.prepare(space), Into(error));
    buffer_.commit(size);
    co_return !error && !shared_->stopping;
  }

  asio::awaitable<void> SendContinue() {
    wire::response<wire::empty_body> go_on(wire::status::continue_, 11);
    Error ignored;
    co_await wire::async_write(stream_, go_on, Into(ignored));
  }

  asio::awaitable<bool> Answer(wire::request<wire::string_body> request, Clock::time_point accepted) {
    answering_ = true;
    RouteRequest route;
    route.method = std::string(request.method_string());
    route.target = std::string(request.target());
    route.content_type = std::string(request[wire::field::content_type]).substr(0, 256);
    route.traceparent = std::string(request["traceparent"]).substr(0, 256);
    route.timeout = std::string(request["X-MIGnificient-Timeout"]).substr(0, 64);
    route.accepted = accepted;
    route.body = std::move(request.body());
    stream_.expires_never();
    node::Node::Caller caller;
    const auto watched = std::make_shared<node::Node::Caller*>(&caller);
    asio::co_spawn(stream_.get_executor(), WatchLeave(shared_from_this(), watched), asio::detached);
    const Reply reply = co_await AnswerRoute(shared_->services, std::move(route), caller);
    *watched = nullptr;
    stream_.socket().cancel();  // the watch: nothing else is under way
    const bool alive =
        co_await Write(reply, request.version(), request.keep_alive(), request.method() == wire::verb::head);
    answering_ = false;
    co_return alive&& request.keep_alive();
  }

  // Bytes that arrive meanwhile are the next request; the end of the stream is a caller who has gone.
  static asio::awaitable<void> WatchLeave(std::shared_ptr<Connection> self,
                                          std::shared_ptr<node::Node::Caller*> caller) {
    Error error;
    co_await self->stream_.socket().async_wait(asio::socket_base::wait_read, Into(error));
    if (error || *caller == nullptr) co_return;
    char byte;
    if (::recv(self->stream_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) (*caller)->Leave();
  }

  // A request that cannot be read: answered, then the connection ends, because where the next one would begin is
  // unknown.
  asio::awaitable<bool> Refuse(Error error) {
    const bool silent = error == beast::error::timeout;  // the stream is closed already
    if (silent || error == wire::error::end_of_stream || error == asio::error::operation_aborted ||
        error == asio::error::connection_reset)
      co_return false;
    Reply reply = ErrorReply(node::Outcome::kBadRequest, "The request is no HTTP/1.1: " + error.message() + ".");
    if (error == wire::error::body_limit) {
      reply = ErrorReply(node::Outcome::kPayloadTooLarge,
                         fmt::format("The request's body is larger than limits.payload ({} bytes) allows.",
                                     shared_->config.limits.payload_bytes));
    } else if (error == wire::error::header_limit) {
      reply = ErrorReply(node::Outcome::kBadRequest,
                         fmt::format("The request's header is larger than {} bytes.", kHeaderBytes));
      reply.status = 431;
    }
    reply.headers.emplace_back("X-Call-Id", MakeCallId());
    linger_ = co_await Write(reply, 11, false, false);
    co_return false;
  }

  asio::awaitable<bool> Write(const Reply& reply, unsigned version, bool keep_alive, bool head) {
    wire::response<wire::string_body> response(static_cast<wire::status>(reply.status), version);
    response.set(wire::field::server, "mignificient");
    response.set(wire::field::content_type, reply.content_type);
    for (const auto& [name, value] : reply.headers) response.set(name, value);
    response.keep_alive(keep_alive && !shared_->stopping);
    response.body() = reply.body;
    response.prepare_payload();
    Error error;
    stream_.expires_after(Seconds(shared_->config.http.body_timeout_s));
    if (head) {
      wire::response_serializer<wire::string_body> serializer(response);
      co_await wire::async_write_header(stream_, serializer, Into(error));
    } else {
      co_await wire::async_write(stream_, response, Into(error));
    }
    co_return !error;
  }

  // A caller that still sends would lose the answer to a reset: read what comes until it has seen the answer.
  asio::awaitable<void> Linger() {
    Error error;
    uint64_t left = shared_->config.limits.payload_bytes;
    stream_.expires_after(std::chrono::seconds(5));
    while (!error && left > 0) {
      buffer_.clear();
      const size_t size = co_await stream_.async_read_some(buffer_.prepare(64 << 10), Into(error));
      left -= std::min<uint64_t>(left, size);
    }
  }

  Stream stream_;
  std::shared_ptr<Shared> shared_;
  std::list<Connection*>::iterator place_;
  beast::flat_buffer buffer_;
  bool answering_ = false;
  bool linger_ = false;
};

asio::awaitable<void> LiveOf(std::shared_ptr<Connection> connection) {
  co_await connection->Live();
}

template <typename Protocol>
asio::awaitable<void> Accept(std::shared_ptr<asio::basic_socket_acceptor<Protocol>> acceptor,
                             std::shared_ptr<Shared> shared) {
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
    if (shared->connections.size() >= shared->config.http.connections) continue;  // closed at once
    Error ignored;
    if constexpr (std::is_same_v<Protocol, asio::ip::tcp>) socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    asio::co_spawn(acceptor->get_executor(), LiveOf(std::make_shared<Connection>(std::move(socket), shared)),
                   asio::detached);
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

Result<std::shared_ptr<UnixAcceptor>> ListenUnix(asio::any_io_executor executor, const std::string& path) {
  if (path.size() >= sizeof(sockaddr_un::sun_path))
    return Fail(Code::kInvalidArgument, "Key [http.unix-socket]: a path of {} bytes is given; at most {} are allowed.",
                path.size(), sizeof(sockaddr_un::sun_path) - 1);
  RemoveStale(executor, path);
  Error error;
  auto acceptor = std::make_shared<UnixAcceptor>(executor);
  if (acceptor->open(asio::local::stream_protocol(), error)) return FailListen(path, error);
  if (acceptor->bind(asio::local::stream_protocol::endpoint(path), error)) return FailListen(path, error);
  if (acceptor->listen(asio::socket_base::max_listen_connections, error)) return FailListen(path, error);
  return acceptor;
}

class RealServer : public Server {
 public:
  RealServer(std::shared_ptr<TcpAcceptor> tcp, std::shared_ptr<UnixAcceptor> local, std::shared_ptr<Shared> shared)
      : tcp_(std::move(tcp)), unix_(std::move(local)), shared_(std::move(shared)) {
    asio::co_spawn(tcp_->get_executor(), Accept(tcp_, shared_), asio::detached);
    if (unix_) asio::co_spawn(unix_->get_executor(), Accept(unix_, shared_), asio::detached);
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
    for (Connection* connection : shared_->connections) connection->CloseIfIdle();
  }

  asio::awaitable<void> Finish(std::chrono::nanoseconds limit) override {
    const auto deadline = Clock::now() + limit;
    while (!shared_->connections.empty())
      if (!co_await shared_->finished.Next(deadline)) break;
  }

 private:
  std::shared_ptr<TcpAcceptor> tcp_;
  std::shared_ptr<UnixAcceptor> unix_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::Listen(asio::any_io_executor executor, const Services& services) {
  const node::Config& config = services.config;
  MIG_ASSIGN(auto tcp, ListenTcp(executor, config));
  std::shared_ptr<UnixAcceptor> local;
  if (!config.http.unix_socket.empty()) {
    MIG_ASSIGN(local, ListenUnix(executor, config.http.unix_socket));
  }
  Error ignored;
  log::Info("listening", {{"address", config.http.address},
                          {"port", tcp->local_endpoint(ignored).port()},
                          {"unix_socket", config.http.unix_socket.empty() ? "-" : config.http.unix_socket}});
  return std::make_unique<RealServer>(std::move(tcp), std::move(local), std::make_shared<Shared>(executor, services));
}

}  // namespace mignificient::http
