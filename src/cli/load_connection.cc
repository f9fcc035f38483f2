#include "cli/load_connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/write.hpp>

#include "cli/client_tls.h"

namespace mignificient::cli {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using SystemError = boost::system::error_code;

// The node may close a connection that was idle for some seconds; one that was used just now need not be looked at.
constexpr auto kTrusted = std::chrono::seconds(1);
constexpr size_t kReadBytes = 16 << 10;

auto Into(SystemError& error) {
  return asio::redirect_error(asio::use_awaitable_t<LoadExecutor>(), error);
}

std::string_view View(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

Result<std::vector<LoadEndpoint>> EndpointsOf(const Address& address) {
  std::vector<LoadEndpoint> endpoints;
  if (!address.socket_path.empty()) {
    try {  // a path longer than sun_path throws
      endpoints.emplace_back(asio::local::stream_protocol::endpoint(address.socket_path));
    } catch (const boost::system::system_error& error) {
      return Fail(Code::kInvalidArgument, "Address ({}) cannot be used: {}.", address.Text(), error.code().message());
    }
    return endpoints;
  }
  asio::io_context context;
  asio::ip::tcp::resolver resolver(context);
  SystemError error;
  for (const auto& entry : resolver.resolve(address.host, address.port, error))
    endpoints.emplace_back(entry.endpoint());
  if (error) return Fail(Code::kUnavailable, "Host ({}) cannot be resolved: {}.", address.host, error.message());
  return endpoints;
}

}  // namespace

Result<LoadTarget> LoadTarget::Resolve(const Address& address, const Trust& trust) {
  LoadTarget target{.address = address, .name = address.Text(), .endpoints = {}, .tls = {}};
  if (address.tls) {
    MIG_ASSIGN(target.tls, ClientTls(address, trust));
  }
  MIG_ASSIGN(target.endpoints, EndpointsOf(address));
  return target;
}

LoadTask<Result<>> LoadConnection::Open() {
  if (socket_.is_open() && !ClosedMeanwhile()) co_return Result<>();
  SystemError error = asio::error::host_not_found;
  for (const LoadEndpoint& endpoint : target_.endpoints) {
    Drop();
    co_await socket_.async_connect(endpoint, Into(error));
    if (error) continue;
    SystemError ignored;
    if (endpoint.protocol().family() != AF_UNIX) socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    socket_.non_blocking(true, ignored);
    if (target_.tls) error = co_await Greet();
    if (error) {
      Drop();
      co_return FailHandshake(target_.name, error);
    }
    used_ = LoadClock::now();
    co_return Result<>();
  }
  Drop();
  co_return Fail(Code::kUnavailable, "No node answers at {}: {}. Start one with `mignificient serve`.", target_.name,
                 error.message());
}

LoadTask<SystemError> LoadConnection::Greet() {
  SystemError error;
  tls_.emplace(socket_, *target_.tls);
  NameNode(tls_->native_handle(), target_.address);
  co_await tls_->async_handshake(asio::ssl::stream_base::client, Into(error));
  co_return error;
}

LoadTask<Result<LoadConnection::Answer>> LoadConnection::Exchange(std::string_view head, std::string_view tail) {
  Result<> open = co_await Open();
  if (!open) co_return std::unexpected(open.error());
  Answer answer;
  answer.sent = LoadClock::now();
  answer.bytes_sent = head.size() + tail.size();
  const SystemError write_error = co_await Send(head, tail);
  // A node that refuses a payload answers before it has read all of it: look for an answer even if the write failed.
  const SystemError read_error = co_await Read(answer.bytes_received);
  if (read_error) {
    Drop();
    co_return Fail(Code::kUnavailable, "The node at {} hung up before it answered: {}.", target_.name,
                   (write_error ? write_error : read_error).message());
  }
  const auto& message = parser_->get();
  answer.status = message.result_int();
  answer.start_type = View(message["X-Start-Type"]);
  answer.error_type = View(message["X-Function-Error"]);
  answer.server_timing = View(message["Server-Timing"]);
  answer.body = message.body();
  if (write_error || !parser_->keep_alive() || buffer_.size() > 0) Drop();
  used_ = LoadClock::now();
  co_return answer;
}

LoadTask<SystemError> LoadConnection::Send(std::string_view head, std::string_view tail) {
  std::array<asio::const_buffer, 2> parts = {asio::buffer(head.data(), head.size()),
                                             asio::buffer(tail.data(), tail.size())};
  SystemError error;
  if (tls_) {
    co_await asio::async_write(*tls_, parts, Into(error));
    co_return error;
  }
  // Nearly always the kernel takes it all at once.
  size_t sent = socket_.write_some(parts, error);
  if (error == asio::error::would_block) error = {};
  if (error || sent == head.size() + tail.size()) co_return error;
  for (asio::const_buffer& part : parts) {
    const size_t skipped = std::min(sent, part.size());
    part += skipped;
    sent -= skipped;
  }
  co_await asio::async_write(socket_, parts, Into(error));
  co_return error;
}

LoadTask<SystemError> LoadConnection::Read(uint64_t& received) {
  parser_.emplace();
  parser_->body_limit(boost::none);
  parser_->eager(true);
  SystemError error;
  while (!parser_->is_done()) {
    const auto space = buffer_.prepare(kReadBytes);
    size_t size = 0;
    if (tls_)
      size = co_await tls_->async_read_some(space, Into(error));
    else
      size = co_await socket_.async_read_some(space, Into(error));
    if (error == asio::error::eof && parser_->got_some()) {  // an answer may end with the connection
      error = {};
      parser_->put_eof(error);
      co_return error;
    }
    if (error) co_return error;
    received += size;
    buffer_.commit(size);
    buffer_.consume(parser_->put(buffer_.data(), error));
    if (error == http::error::need_more) error = {};
    if (error) co_return error;
  }
  co_return error;
}

// A readable socket that is owed nothing: closed by the node, or bytes that nobody asked for.
bool LoadConnection::ClosedMeanwhile() {
  if (LoadClock::now() - used_ < kTrusted) return false;
  if (tls_) {  // what can be read may be TLS's own
    pollfd end{.fd = socket_.native_handle(), .events = POLLRDHUP, .revents = 0};
    return ::poll(&end, 1, 0) != 0;
  }
  char byte;
  const ssize_t got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

void LoadConnection::Drop() {
  SystemError ignored;
  tls_.reset();
  socket_.close(ignored);
  buffer_.clear();
}

}  // namespace mignificient::cli
