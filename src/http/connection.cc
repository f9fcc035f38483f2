#include "http/connection.h"

#include <poll.h>

#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "base/log.h"
#include "http/call_id.h"
#include "http/stream.h"

namespace mignificient::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace wire = boost::beast::http;
using Clock = std::chrono::steady_clock;
using Error = boost::system::error_code;

constexpr uint64_t kFieldsBytes = 64 << 10;  // a request's JSON besides its payload
constexpr uint32_t kHeaderBytes = 16 << 10;

Clock::duration Seconds(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

asio::redirect_error_t<asio::use_awaitable_t<>> Into(Error& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

class Connection : public AnyConnection, public std::enable_shared_from_this<Connection> {
 public:
  Connection(Stream stream, Peer peer, std::shared_ptr<Shared> shared)
      : stream_(std::move(stream)), peer_(peer), shared_(std::move(shared)), traffic_(shared_->services.traffic) {
    place_ = shared_->connections.insert(shared_->connections.end(), this);
    ++traffic_.open_connections;
  }
  ~Connection() override {
    shared_->connections.erase(place_);
    --traffic_.open_connections;
    if (shared_->stopping) shared_->finished.Post(0);
  }

  asio::awaitable<void> Live() {
    const auto self = shared_from_this();
    Error error, ignored;
    Bare().expires_after(Seconds(shared_->config.http.header_timeout_s));
    co_await stream_.Greet(error);
    if (error) {
      ++traffic_.failed_handshakes;
      co_return log::Debug("handshake_failed", {{"error", error.message()}});
    }
    while (!shared_->stopping && co_await ReadAndAnswer()) {
    }
    Bare().expires_after(std::chrono::seconds(1));
    co_await stream_.Part(ignored);
    Bare().socket().shutdown(asio::socket_base::shutdown_send, ignored);
    if (linger_) co_await Linger();
  }

  void CloseIfIdle() override {
    if (!answering_) Bare().cancel();
  }

 private:
  Stream::Plain& Bare() { return stream_.Bare(); }

  using Parser = wire::request_parser<wire::string_body>;

  // One request. False when the connection is over.
  asio::awaitable<bool> ReadAndAnswer() {
    Parser parser;
    parser.header_limit(kHeaderBytes);
    parser.body_limit(shared_->config.limits.payload_bytes + kFieldsBytes);
    Error error;
    if (!co_await AwaitFirstByte()) co_return false;
    Bare().expires_after(Seconds(shared_->config.http.header_timeout_s));
    traffic_.received_bytes += co_await wire::async_read_header(stream_, buffer_, parser, Into(error));
    if (error) co_return co_await Refuse(error, parser.get());
    const auto accepted = Clock::now();
    const Admission admission = Admit(parser.get());
    if (!admission) co_return co_await TurnAway(admission.error(), parser);
    if (!parser.is_done()) {  // there is a body
      Bare().expires_after(Seconds(shared_->config.http.body_timeout_s));
      if (parser.get()[wire::field::expect] == "100-continue") co_await SendContinue();
      traffic_.received_bytes += co_await wire::async_read(stream_, buffer_, parser, Into(error));
      if (error) co_return co_await Refuse(error, parser.get());
    }
    co_return co_await Answer(parser.release(), *admission, accepted);
  }

  asio::awaitable<bool> AwaitFirstByte() {
    if (buffer_.size() > 0) co_return true;
    Error error;
    const size_t space = 4096;
    Bare().expires_after(Seconds(shared_->config.http.idle_timeout_s));
    const size_t size = co_await stream_.async_read_some(buffer_.prepare(space), Into(error));
    buffer_.commit(size);
    co_return !error && !shared_->stopping;
  }

  asio::awaitable<void> SendContinue() {
    wire::response<wire::empty_body> go_on(wire::status::continue_, 11);
    Error ignored;
    co_await wire::async_write(stream_, go_on, Into(ignored));
  }

  Admission Admit(const wire::request<wire::string_body>& request) const {
    if (!shared_->auth.asks()) return Identity{};
    return shared_->auth.Admit(request.target(), request[wire::field::authorization], peer_);
  }

  // Who may not come in is told so before its body is read; where there is one, the connection ends.
  asio::awaitable<bool> TurnAway(Reply reply, const Parser& parser) {
    log::Info("turned_away", {{"status", reply.status}, {"target", parser.get().target().substr(0, 256)}});
    CountUnrouted(parser.get(), reply.status);
    reply.headers.emplace_back("X-Call-Id", MakeCallId());
    const bool keep = parser.is_done() && parser.get().keep_alive();
    const bool alive = co_await Write(reply, parser.get().version(), keep, parser.get().method() == wire::verb::head);
    linger_ = alive && !keep;
    co_return alive&& keep;
  }

  asio::awaitable<bool> Answer(wire::request<wire::string_body> request, Identity identity,
                               Clock::time_point accepted) {
    answering_ = true;
    RouteRequest route;
    route.method = std::string(request.method_string());
    route.target = std::string(request.target());
    route.content_type = std::string(request[wire::field::content_type]).substr(0, 256);
    route.traceparent = std::string(request["traceparent"]).substr(0, 256);
    route.timeout = std::string(request["X-MIGnificient-Timeout"]).substr(0, 64);
    route.identity = std::move(identity);
    route.accepted = accepted;
    route.body = std::move(request.body());
    Bare().expires_never();
    node::Caller caller;
    const auto watched = std::make_shared<node::Caller*>(&caller);
    asio::co_spawn(stream_.get_executor(), WatchLeave(shared_from_this(), watched), asio::detached);
    const Reply reply = co_await AnswerRoute(shared_->services, std::move(route), caller);
    *watched = nullptr;
    Bare().socket().cancel();  // the watch: nothing else is under way
    const bool alive =
        co_await Write(reply, request.version(), request.keep_alive(), request.method() == wire::verb::head);
    answering_ = false;
    co_return alive&& request.keep_alive();
  }

  // The end of the stream is a caller who has gone. Bytes that arrive meanwhile are the next request, or TLS's own:
  // they may hide the end behind them, so it is looked for again until the answer is there.
  static asio::awaitable<void> WatchLeave(std::shared_ptr<Connection> self, std::shared_ptr<node::Caller*> caller) {
    Error error;
    co_await self->Bare().socket().async_wait(asio::socket_base::wait_read, Into(error));
    while (!error && *caller != nullptr) {
      if (self->CallerHasGone()) co_return (*caller)->Leave();
      asio::steady_timer pause(self->stream_.get_executor(), std::chrono::milliseconds(100));
      co_await pause.async_wait(Into(error));
    }
  }

  bool CallerHasGone() {
    pollfd socket{.fd = Bare().socket().native_handle(), .events = POLLRDHUP, .revents = 0};
    return ::poll(&socket, 1, 0) > 0 && (socket.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  }

  // What was answered without http/routes.h. Of a request that cannot be read there is what came before the error.
  void CountUnrouted(const wire::request<wire::string_body>& request, unsigned status) {
    const std::string_view method(request.method_string().data(), request.method_string().size());
    traffic_.Answered(FindRoute(method, {request.target().data(), request.target().size()}), status);
  }

  // A request that cannot be read: answered, then the connection ends, because where the next one would begin is
  // unknown.
  asio::awaitable<bool> Refuse(Error error, const wire::request<wire::string_body>& request) {
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
    CountUnrouted(request, reply.status);
    reply.headers.emplace_back("X-Call-Id", MakeCallId());
    linger_ = co_await Write(reply, 11, false, false);
    co_return false;
  }

  template <typename Body>
  wire::response<Body> Head(const Reply& reply, unsigned version, bool keep_alive) const {
    wire::response<Body> response(static_cast<wire::status>(reply.status), version);
    response.set(wire::field::server, "mignificient");
    response.set(wire::field::content_type, reply.content_type);
    for (const auto& [name, value] : reply.headers) response.set(name, value);
    response.keep_alive(keep_alive && !shared_->stopping);
    return response;
  }

  asio::awaitable<bool> Write(const Reply& reply, unsigned version, bool keep_alive, bool head) {
    if (reply.more) co_return co_await WriteParts(reply, version, keep_alive, head);
    auto response = Head<wire::string_body>(reply, version, keep_alive);
    response.body() = reply.body;
    response.prepare_payload();
    Error error;
    Bare().expires_after(Seconds(shared_->config.http.body_timeout_s));
    if (head) {
      wire::response_serializer<wire::string_body> serializer(response);
      traffic_.sent_bytes += co_await wire::async_write_header(stream_, serializer, Into(error));
    } else {
      traffic_.sent_bytes += co_await wire::async_write(stream_, response, Into(error));
    }
    co_return !error;
  }

  // An HTTP/1.0 caller, who knows no chunks, sees the end of the body in the end of the connection.
  asio::awaitable<bool> WriteParts(const Reply& reply, unsigned version, bool keep_alive, bool head) {
    const bool chunked = version >= 11;
    auto response = Head<wire::empty_body>(reply, version, keep_alive && chunked);
    response.chunked(chunked);
    wire::response_serializer<wire::empty_body> serializer(response);
    Error error;
    Bare().expires_after(Seconds(shared_->config.http.body_timeout_s));
    traffic_.sent_bytes += co_await wire::async_write_header(stream_, serializer, Into(error));
    while (!error && !head) {
      Bare().expires_never();
      const std::optional<std::string> part = co_await reply.more();
      Bare().expires_after(Seconds(shared_->config.http.body_timeout_s));
      if (!part) break;
      if (part->empty() && CallerHasGone()) co_return false;
      if (part->empty()) continue;
      if (chunked)
        traffic_.sent_bytes += co_await asio::async_write(stream_, wire::make_chunk(asio::buffer(*part)), Into(error));
      else
        traffic_.sent_bytes += co_await asio::async_write(stream_, asio::buffer(*part), Into(error));
    }
    if (!error && !head && chunked)
      traffic_.sent_bytes += co_await asio::async_write(stream_, wire::make_chunk_last(), Into(error));
    co_return !error && chunked;
  }

  // A caller that still sends would lose the answer to a reset: read what comes until it has seen the answer.
  asio::awaitable<void> Linger() {
    Error error;
    uint64_t left = shared_->config.limits.payload_bytes;
    Bare().expires_after(std::chrono::seconds(5));
    while (!error && left > 0) {
      buffer_.clear();
      const size_t size = co_await stream_.async_read_some(buffer_.prepare(64 << 10), Into(error));
      left -= std::min<uint64_t>(left, size);
    }
  }

  Stream stream_;
  Peer peer_;
  std::shared_ptr<Shared> shared_;
  Traffic& traffic_;
  std::list<AnyConnection*>::iterator place_;
  beast::flat_buffer buffer_;
  bool answering_ = false;
  bool linger_ = false;
};

}  // namespace

void Serve(asio::generic::stream_protocol::socket socket, Peer peer, std::shared_ptr<asio::ssl::context> tls,
           std::shared_ptr<Shared> shared) {
  const auto executor = socket.get_executor();
  const auto connection =
      std::make_shared<Connection>(Stream(std::move(socket), std::move(tls)), peer, std::move(shared));
  asio::co_spawn(executor, [connection] { return connection->Live(); }, asio::detached);
}

}  // namespace mignificient::http
