// The bytes of one connection, plain or through TLS, as one AsyncStream, so that there is one code for both.
#pragma once

#include <memory>
#include <utility>
#include <variant>

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace mignificient::http {

class Stream {
 public:
  using Plain = boost::asio::generic::stream_protocol::socket;
  using Tls = boost::asio::ssl::stream<Plain>;
  using executor_type = Plain::executor_type;
  using Error = boost::system::error_code;
  using Signature = void(Error, size_t);
  template <typename Token>
  using ResultOf = typename boost::asio::async_result<std::decay_t<Token>, Signature>::return_type;

  // `tls`: empty for a plain connection.
  Stream(boost::asio::generic::stream_protocol::socket socket, std::shared_ptr<boost::asio::ssl::context> tls)
      : context_(std::move(tls)) {
    Error ignored;
    socket.non_blocking(true, ignored);  // for WriteNow
    if (context_)
      layers_.emplace<Tls>(std::move(socket), *context_);
    else
      layers_.emplace<Plain>(std::move(socket));
  }

  executor_type get_executor() { return Bare().get_executor(); }
  // The socket. Its bytes are TLS's where there is TLS.
  Plain& Bare() {
    Tls* tls = std::get_if<Tls>(&layers_);
    return tls != nullptr ? tls->next_layer() : std::get<Plain>(layers_);
  }

  // As much of `buffers` as can be written without waiting; nothing through TLS. 0 where that fails: async_write_some
  // tells why.
  template <typename Buffers>
  size_t WriteNow(const Buffers& buffers) {
    Error ignored;
    Plain* plain = std::get_if<Plain>(&layers_);
    return plain == nullptr ? 0 : plain->write_some(buffers, ignored);
  }

  // TLS's greeting and its farewell, which says that nothing was cut off. Nothing on a plain connection.
  boost::asio::awaitable<void> Greet(Error& error) {
    if (Tls* tls = std::get_if<Tls>(&layers_))
      co_await tls->async_handshake(boost::asio::ssl::stream_base::server,
                                    boost::asio::redirect_error(boost::asio::use_awaitable, error));
  }
  boost::asio::awaitable<void> Part(Error& error) {
    if (Tls* tls = std::get_if<Tls>(&layers_))
      co_await tls->async_shutdown(boost::asio::redirect_error(boost::asio::use_awaitable, error));
  }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) -> ResultOf<Token> {
    return boost::asio::async_initiate<Token, Signature>(
        [this](auto&& handler, const auto& into) {
          if (Tls* tls = std::get_if<Tls>(&layers_))
            tls->async_read_some(into, std::forward<decltype(handler)>(handler));
          else
            std::get<Plain>(layers_).async_read_some(into, std::forward<decltype(handler)>(handler));
        },
        token, buffers);
  }

  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) -> ResultOf<Token> {
    return boost::asio::async_initiate<Token, Signature>(
        [this](auto&& handler, const auto& from) {
          if (Tls* tls = std::get_if<Tls>(&layers_))
            tls->async_write_some(from, std::forward<decltype(handler)>(handler));
          else
            std::get<Plain>(layers_).async_write_some(from, std::forward<decltype(handler)>(handler));
        },
        token, buffers);
  }

 private:
  std::shared_ptr<boost::asio::ssl::context> context_;
  std::variant<std::monostate, Plain, Tls> layers_;
};

}  // namespace mignificient::http
