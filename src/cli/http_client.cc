#include "cli/http_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <optional>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http.hpp>

#include "cli/client_tls.h"

namespace mignificient::cli {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

constexpr std::string_view kDefaultPort = "10000";

Result<Address> Malformed(std::string_view text, std::string_view why) {
  return Fail(Code::kInvalidArgument, "Address ({}) {}: write http://HOST:PORT, https://HOST:PORT or unix:/PATH.", text,
              why);
}

bool IsPort(std::string_view text) {
  if (text.empty() || text.size() > 5 || text.find_first_not_of("0123456789") != text.npos) return false;
  const int port = std::stoi(std::string(text));
  return port >= 1 && port <= 65535;
}

}  // namespace

Result<Address> Address::Parse(std::string_view text) {
  constexpr std::string_view kScheme = "http://", kTlsScheme = "https://", kUnix = "unix:";
  std::string_view rest = text;
  if (rest.starts_with(kUnix)) {
    rest.remove_prefix(kUnix.size());
    if (rest.empty()) return Malformed(text, "names no socket");
    return Address{.socket_path = std::string(rest)};
  }
  const bool tls = rest.starts_with(kTlsScheme);
  if (tls) rest.remove_prefix(kTlsScheme.size());
  if (!tls && rest.starts_with(kScheme)) rest.remove_prefix(kScheme.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  std::string_view host = rest, port = kDefaultPort;
  if (rest.starts_with('[')) {
    const size_t end = rest.find(']');
    if (end == rest.npos) return Malformed(text, "has no closing bracket");
    host = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    if (!rest.empty() && rest.front() != ':') return Malformed(text, "has text after the bracket");
    if (!rest.empty()) port = rest.substr(1);
  } else if (const size_t colon = rest.find(':'); colon != rest.npos) {
    host = rest.substr(0, colon);
    port = rest.substr(colon + 1);
  }
  if (host.empty()) return Malformed(text, "names no host");
  if (host.find('/') != host.npos) return Malformed(text, "has a path");
  if (!IsPort(port)) return Malformed(text, "has no port from 1 to 65535");
  return Address{.host = std::string(host), .port = std::string(port), .tls = tls};
}

std::string Address::Text() const {
  if (!socket_path.empty()) return fmt::format("unix:{}", socket_path);
  const bool v6 = host.find(':') != host.npos;
  return fmt::format("{}://{}{}{}:{}", tls ? "https" : "http", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

std::string_view Answer::Header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (beast::iequals(key, name)) return value;
  return {};
}

class HttpClient::Connection {
 public:
  Connection(Address address, const std::string& token, Trust trust)
      : address_(std::move(address)),
        trust_(std::move(trust)),
        authorization_(token.empty() ? "" : "Bearer " + token),
        socket_(context_) {}

  Result<> Open() {
    if (StillOpen()) return {};
    boost::system::error_code error;
    Drop();
    buffer_.clear();
    if (!address_.socket_path.empty()) return OpenUnix();
    asio::ip::tcp::resolver resolver(context_);
    const auto endpoints = resolver.resolve(address_.host, address_.port, error);
    if (error) return Fail(Code::kUnavailable, "Host ({}) cannot be resolved: {}.", address_.host, error.message());
    for (const auto& entry : endpoints) {
      socket_.close(error);
      const asio::ip::tcp::endpoint endpoint = entry.endpoint();
      socket_.connect(endpoint, error);
      if (error) continue;
      boost::system::error_code ignored;
      socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
      return address_.tls ? Greet() : Result<>();
    }
    return Refused(error);
  }

  Result<Answer> Exchange(http::request<http::string_body>& request, const Sink& sink = {}) {
    MIG_TRY(Open());
    request.version(11);
    request.keep_alive(true);
    request.set(http::field::host, address_.host.empty() ? "localhost" : address_.host + ":" + address_.port);
    request.set(http::field::user_agent, "mignificient");
    if (!authorization_.empty()) request.set(http::field::authorization, authorization_);
    request.prepare_payload();
    return tls_ ? Exchange(*tls_, request, sink) : Exchange(socket_, request, sink);
  }

 private:
  using Socket = asio::generic::stream_protocol::socket;

  template <typename Stream>
  Result<Answer> Exchange(Stream& stream, http::request<http::string_body>& request, const Sink& sink) {
    boost::system::error_code write_error, error;
    http::write(stream, request, write_error);
    // A node that refuses a payload answers before it has read all of it: look for an answer even if the write failed.
    http::response_parser<http::string_body> parser;
    parser.body_limit(boost::none);
    bool given_up = false;
    auto on_chunk = [&](uint64_t, beast::string_view bytes, boost::system::error_code& stop) {
      given_up = !sink(std::string_view(bytes.data(), bytes.size()));
      if (given_up) stop = asio::error::operation_aborted;
      return bytes.size();
    };
    if (sink) parser.on_chunk_body(on_chunk);
    http::read(stream, buffer_, parser, error);
    if (given_up) error = {};
    if (error) {
      const auto& cause = write_error ? write_error : error;
      Drop();
      return Fail(Code::kUnavailable, "The node at {} hung up before it answered: {}.", address_.Text(),
                  cause.message());
    }
    if (write_error || given_up || !parser.keep_alive()) Drop();
    return Convert(parser.release());
  }

  Result<> Greet() {
    boost::system::error_code error;
    MIG_ASSIGN(const auto context, ClientTls(address_, trust_));
    tls_.emplace(socket_, *context);
    NameNode(tls_->native_handle(), address_);
    tls_->handshake(asio::ssl::stream_base::client, error);
    if (!error) return {};
    Drop();
    return FailHandshake(address_.Text(), error);
  }

  Result<> OpenUnix() {
    boost::system::error_code error;
    // An endpoint longer than sun_path throws.
    try {
      socket_.connect(asio::local::stream_protocol::endpoint(address_.socket_path), error);
    } catch (const boost::system::system_error& thrown) {
      error = thrown.code();
    }
    if (error) return Refused(error);
    return {};
  }

  std::unexpected<Error> Refused(const boost::system::error_code& error) {
    Drop();
    return Fail(Code::kUnavailable, "No node answers at {}: {}. Start one with `mignificient serve`.", address_.Text(),
                error.message());
  }

  // False once the peer has closed its end (a readable socket without data), or before the first connection.
  bool StillOpen() {
    if (!socket_.is_open()) return false;
    if (tls_) {  // what can be read may be TLS's own
      pollfd end{.fd = socket_.native_handle(), .events = POLLRDHUP, .revents = 0};
      return ::poll(&end, 1, 0) == 0;
    }
    char byte;
    const ssize_t got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }

  void Drop() {
    tls_.reset();
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

  static Answer Convert(http::response<http::string_body> response) {
    Answer answer{.status = response.result_int(), .headers = {}, .body = {}};
    for (const auto& field : response)
      answer.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    answer.body = std::move(response.body());
    return answer;
  }

  Address address_;
  Trust trust_;
  std::string authorization_;  // the header's value; empty: none
  asio::io_context context_;
  Socket socket_;
  std::optional<asio::ssl::stream<Socket&>> tls_;  // over socket_
  beast::flat_buffer buffer_;
};

HttpClient::HttpClient(Address address, std::string token, Trust trust)
    : connection_(std::make_unique<Connection>(std::move(address), token, std::move(trust))) {}
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;
HttpClient::~HttpClient() = default;

Result<> HttpClient::Connect() {
  return connection_->Open();
}

Result<Answer> HttpClient::Get(std::string_view target) {
  return Send("GET", target, "", "");
}

Result<Answer> HttpClient::Get(std::string_view target, const Sink& sink) {
  http::request<http::string_body> request(http::verb::get, beast::string_view(target.data(), target.size()), 11);
  return connection_->Exchange(request, sink);
}

Result<Answer> HttpClient::Post(std::string_view target, std::string body) {
  return Send("POST", target, std::move(body), "application/json");
}

Result<Answer> HttpClient::Send(std::string_view method, std::string_view target, std::string body,
                                std::string_view content_type,
                                const std::vector<std::pair<std::string, std::string>>& headers) {
  const auto text = [](std::string_view view) { return beast::string_view(view.data(), view.size()); };
  http::request<http::string_body> request(http::string_to_verb(text(method)), text(target), 11);
  if (!content_type.empty()) request.set(http::field::content_type, text(content_type));
  for (const auto& [name, value] : headers) request.set(name, value);
  request.body() = std::move(body);
  return connection_->Exchange(request);
}

}  // namespace mignificient::cli
