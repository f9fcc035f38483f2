#include "http/connection.h"

#include <poll.h>

#include <array>
#include <cstring>
#include <functional>
#include <optional>
#include <utility>

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
#include "http/deadline.h"
#include "http/response_head.h"
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
constexpr size_t kReadBytes = 4096;
constexpr uint64_t kLeastLinger = 16 << 20;  // of a body that is not wanted, so that its sender comes to read why

asio::redirect_error_t<asio::use_awaitable_t<>> Into(Error& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

// The next bytes are asked for as soon as a request has been read, and that request for bytes is kept while it is
// answered: it sees a caller who leaves, and is the first of the next request.
class Connection : public AnyConnection, public std::enable_shared_from_this<Connection> {
 public:
  Connection(Stream stream, Peer peer, std::shared_ptr<Shared> shared)
      : stream_(std::move(stream)),
        peer_(peer),
        shared_(std::move(shared)),
        traffic_(shared_->services.traffic),
        deadline_(stream_.get_executor(), [this] { CloseSocket(); }) {
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
    deadline_.In(shared_->config.http.header_timeout_s);
    co_await stream_.Greet(error);
    if (error) {
      ++traffic_.failed_handshakes;
      co_return log::Debug("handshake_failed", {{"error", error.message()}});
    }
    co_await AnswerRequests();
    if (reading_) Bare().cancel(ignored);
    co_await ReadingOver();
    deadline_.In(1);
    co_await stream_.Part(ignored);
    Bare().shutdown(asio::socket_base::shutdown_send, ignored);
    if (linger_) co_await Linger();
    CloseSocket();  // a watch may keep this for a moment
  }

  void CloseIfIdle() override {
    Error ignored;
    if (!answering_) Bare().cancel(ignored);
  }

 private:
  Stream::Plain& Bare() { return stream_.Bare(); }
  void CloseSocket() {
    Error ignored;
    Bare().close(ignored);
  }

  // Its body is read apart from it, where it will stay.
  using Parser = wire::request_parser<wire::empty_body>;
  using Request = wire::request<wire::empty_body>;

  // One after the other, until the connection is over.
  asio::awaitable<void> AnswerRequests() {
    bool more = true;
    while (more && !shared_->stopping) {
      Parser parser;
      parser.header_limit(kHeaderBytes);
      parser.body_limit(shared_->config.limits.payload_bytes + kFieldsBytes);
      if (!HasNextByte() && !co_await AwaitFirstByte()) co_return;
      Error error = ParseHeader(parser);
      if (error == wire::error::need_more) error = co_await ReadHeader(parser);
      if (error)
        more = co_await Refuse(error, RouteOf(parser.get()));
      else
        more = co_await AnswerOne(parser);
    }
  }

  // The request whose header is read. False when the connection is over.
  asio::awaitable<bool> AnswerOne(Parser& parser) {
    const auto accepted = Clock::now();
    const Admission admission = Admit(parser.get());
    if (!admission) co_return co_await TurnAway(admission.error(), parser);
    Request request;
    std::string body;
    if (parser.is_done()) {
      request = parser.release();
    } else if (!TakeBody(parser, request, body)) {
      deadline_.In(shared_->config.http.body_timeout_s);
      if (parser.get()[wire::field::expect] == "100-continue") co_await SendContinue();
      const Error error = co_await ReadBody(parser, request, body);
      if (error) co_return co_await Refuse(error, RouteOf(request));
    }
    co_return co_await Answer(request, std::move(body), *admission, accepted);
  }

  // Where it is there, nothing has to be waited for.
  bool HasNextByte() const { return buffer_.size() > 0 && !reading_ && !shared_->stopping; }

  asio::awaitable<bool> AwaitFirstByte() {
    deadline_.In(shared_->config.http.idle_timeout_s);
    if (buffer_.size() == 0 && !reading_) ReadAhead();
    co_await ReadingOver();
    co_return buffer_.size() > 0 && !shared_->stopping;
  }

  void ReadAhead() {
    reading_ = true;
    stream_.async_read_some(buffer_.prepare(kReadBytes),
                            [self = shared_from_this()](Error error, size_t size) { self->OnReadAhead(error, size); });
  }

  void OnReadAhead(Error error, size_t size) {
    reading_ = false;
    Received(size);
    if (auto waiting = std::exchange(waiting_, nullptr)) return waiting();
    if (caller_ == nullptr) return;
    if (error && CallerHasGone()) return caller_->Leave();
    asio::co_spawn(stream_.get_executor(), WatchLeave(shared_from_this(), answers_), asio::detached);
  }

  void Received(size_t size) {
    buffer_.commit(size);
    traffic_.received_bytes += size;
  }

  asio::awaitable<void> ReadingOver() {
    if (!reading_) co_return;
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(
        [this](auto handler) { waiting_ = [kept = std::move(handler)]() mutable { std::move(kept)(); }; },
        asio::use_awaitable);
  }

  // What is there of it: nearly always all. need_more where it is not.
  Error ParseHeader(Parser& parser) {
    Error error;
    buffer_.consume(parser.put(buffer_.data(), error));
    return error;
  }

  // The rest.
  asio::awaitable<Error> ReadHeader(Parser& parser) {
    deadline_.In(shared_->config.http.header_timeout_s);
    Error error;
    do {
      Received(co_await stream_.async_read_some(buffer_.prepare(kReadBytes), Into(error)));
      if (error == asio::error::eof) co_return wire::error::partial_message;
      if (error) co_return error;
      error = ParseHeader(parser);
    } while (error == wire::error::need_more);
    co_return error;
  }

  // The rest of a request whose header is read, where all of it is there.
  bool TakeBody(Parser& parser, Request& request, std::string& body) {
    if (!parser.content_length() || *parser.content_length() > buffer_.size()) return false;
    const size_t size = static_cast<size_t>(*parser.content_length());
    request = parser.release();
    body = shared_->bodies.Take(size);
    body.assign(static_cast<const char*>(buffer_.data().data()), size);
    buffer_.consume(size);
    return true;
  }

  // The rest of a request whose header is read.
  asio::awaitable<Error> ReadBody(Parser& parser, Request& request, std::string& body) {
    Error error;
    if (!parser.content_length()) {
      wire::request_parser<wire::string_body> whole(std::move(parser));
      traffic_.received_bytes += co_await wire::async_read(stream_, buffer_, whole, Into(error));
      request.base() = std::move(whole.get().base());
      body = std::move(whole.get().body());
      co_return error;
    }
    request = parser.release();
    const size_t size = static_cast<size_t>(*parser.content_length());  // at most the parser's limit
    size_t have = std::min(size, buffer_.size());
    body = shared_->bodies.Take(size);
    // The bytes that are still to come are not filled first: nobody sees them before they are there.
    body.resize_and_overwrite(size, [&](char* bytes, size_t) {
      std::memcpy(bytes, buffer_.data().data(), have);
      return size;
    });
    buffer_.consume(have);
    const size_t had = have;
    while (have < size && !error)
      have += co_await stream_.async_read_some(asio::buffer(body.data() + have, size - have), Into(error));
    traffic_.received_bytes += have - had;
    if (error == asio::error::eof) error = wire::error::partial_message;
    co_return error;
  }

  asio::awaitable<void> SendContinue() {
    wire::response<wire::empty_body> go_on(wire::status::continue_, 11);
    Error ignored;
    co_await wire::async_write(stream_, go_on, Into(ignored));
  }

  Admission Admit(const Request& request) const {
    if (!shared_->auth.asks()) return Identity{};
    return shared_->auth.Admit(request.target(), request[wire::field::authorization], peer_);
  }

  // Who may not come in is told so before its body is read; where there is one, the connection ends.
  asio::awaitable<bool> TurnAway(Reply reply, const Parser& parser) {
    log::Info("turned_away", {{"status", reply.status}, {"target", parser.get().target().substr(0, 256)}});
    traffic_.Answered(RouteOf(parser.get()), reply.status);
    reply.headers.emplace_back("X-Call-Id", MakeCallId());
    const bool keep = parser.is_done() && parser.get().keep_alive();
    const bool alive = co_await Write(reply, parser.get().version(), keep, parser.get().method() == wire::verb::head);
    linger_ = alive && !keep;
    co_return alive&& keep;
  }

  asio::awaitable<bool> Answer(const Request& request, std::string body, Identity identity,
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
    route.body = std::move(body);
    deadline_.Never();
    node::Caller caller;
    caller_ = &caller;
    ++answers_;
    if (buffer_.size() == 0)
      ReadAhead();
    else  // the next request, or its beginning
      asio::co_spawn(stream_.get_executor(), WatchLeave(shared_from_this(), answers_), asio::detached);
    Reply reply = co_await AnswerRoute(shared_->services, std::move(route), caller);
    caller_ = nullptr;
    const bool head_only = request.method() == wire::verb::head;
    bool alive = true;
    if (reply.more)
      alive = co_await WriteParts(reply, request.version(), request.keep_alive(), head_only);
    else if (!WriteNow(reply, request.version(), request.keep_alive(), head_only))
      alive = co_await WriteRest(reply, head_only);
    answering_ = false;
    shared_->bodies.Give(std::move(reply.body));
    co_return alive&& request.keep_alive();
  }

  // The end of the stream is a caller who has gone. Bytes that came meanwhile, the next request or TLS's own, may hide
  // it: it is looked for again until the answer, the `answer`th, is there.
  static asio::awaitable<void> WatchLeave(std::shared_ptr<Connection> self, uint64_t answer) {
    Error error;
    while (!error && self->caller_ != nullptr && self->answers_ == answer) {
      if (self->CallerHasGone()) co_return self->caller_->Leave();
      asio::steady_timer pause(self->stream_.get_executor(), std::chrono::milliseconds(100));
      co_await pause.async_wait(Into(error));
    }
  }

  bool CallerHasGone() {
    pollfd socket{.fd = Bare().native_handle(), .events = POLLRDHUP, .revents = 0};
    return ::poll(&socket, 1, 0) > 0 && (socket.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  }

  // Of a request that cannot be read there is what came before the error.
  static size_t RouteOf(const Request& request) {
    const std::string_view method(request.method_string().data(), request.method_string().size());
    return FindRoute(method, {request.target().data(), request.target().size()});
  }

  // A request that cannot be read: answered, then the connection ends, because where the next one would begin is
  // unknown.
  asio::awaitable<bool> Refuse(Error error, size_t route) {
    const bool closed = error == asio::error::operation_aborted || error == asio::error::bad_descriptor;
    if (closed || error == asio::error::connection_reset) co_return false;
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
    traffic_.Answered(route, reply.status);
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

  asio::awaitable<bool> Write(const Reply& reply, unsigned version, bool keep_alive, bool head_only) {
    if (reply.more) co_return co_await WriteParts(reply, version, keep_alive, head_only);
    if (WriteNow(reply, version, keep_alive, head_only)) co_return true;
    co_return co_await WriteRest(reply, head_only);
  }

  static std::string_view BodyOf(const Reply& reply, bool head_only) {
    return head_only ? std::string_view() : std::string_view(reply.body);
  }

  // Nearly always the socket takes all of it at once, and nothing has to be waited for. False: WriteRest must follow.
  bool WriteNow(const Reply& reply, unsigned version, bool keep_alive, bool head_only) {
    head_ = ResponseHead(reply, version, keep_alive && !shared_->stopping);
    const std::string_view body = BodyOf(reply, head_only);
    written_ = stream_.WriteNow(std::array{asio::buffer(std::as_const(head_)), asio::buffer(body)});
    traffic_.sent_bytes += written_;
    return written_ == head_.size() + body.size();
  }

  asio::awaitable<bool> WriteRest(const Reply& reply, bool head_only) {
    const std::string_view body = BodyOf(reply, head_only);
    Error error;
    deadline_.In(shared_->config.http.body_timeout_s);
    while (written_ < head_.size() + body.size() && !error) {
      const std::array rest = {asio::buffer(std::as_const(head_)) + written_,
                               asio::buffer(body) + (written_ - std::min(written_, head_.size()))};
      const size_t more = co_await stream_.async_write_some(rest, Into(error));
      written_ += more;
      traffic_.sent_bytes += more;
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
    deadline_.In(shared_->config.http.body_timeout_s);
    traffic_.sent_bytes += co_await wire::async_write_header(stream_, serializer, Into(error));
    while (!error && !head) {
      deadline_.Never();
      const std::optional<std::string> part = co_await reply.more();
      deadline_.In(shared_->config.http.body_timeout_s);
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
    uint64_t left = std::max<uint64_t>(shared_->config.limits.payload_bytes, kLeastLinger);
    deadline_.In(5);
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
  Deadline deadline_;
  beast::flat_buffer buffer_;
  bool reading_ = false;                     // ReadAhead is under way: the buffer is its own
  std::move_only_function<void()> waiting_;  // for its end
  node::Caller* caller_ = nullptr;           // of the request that is being answered
  uint64_t answers_ = 0;
  std::string head_;    // of the answer that is being written
  size_t written_ = 0;  // of its head and body
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
