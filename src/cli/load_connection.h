// One keep-alive connection of a load, on the load's loop. http_client.h is the blocking one of the other commands.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "base/result.h"
#include "cli/http_client.h"

namespace mignificient::cli {

// Nothing here is type-erased, because it is on the path of each request.
using LoadExecutor = boost::asio::io_context::executor_type;
template <typename T>
using LoadTask = boost::asio::awaitable<T, LoadExecutor>;
using LoadClock = std::chrono::steady_clock;
using LoadTimer = boost::asio::basic_waitable_timer<LoadClock, boost::asio::wait_traits<LoadClock>, LoadExecutor>;
using LoadEndpoint = boost::asio::generic::stream_protocol::endpoint;

// Where a load goes: what all its connections share.
struct LoadTarget {
  Address address;
  std::string name;                                // of the node, for a person
  std::vector<LoadEndpoint> endpoints;             // where the address leads
  std::shared_ptr<boost::asio::ssl::context> tls;  // empty: plain

  // Blocks for the name service. kUnavailable where the name is unknown; kInvalidArgument where a path, or the
  // certificates to trust, cannot be used.
  static Result<LoadTarget> Resolve(const Address& address, const Trust& trust);
};

class LoadConnection {
 public:
  // `target` outlives the connection.
  LoadConnection(LoadExecutor executor, const LoadTarget& target) : target_(target), socket_(executor) {}

  // Connects where there is no open connection. kUnavailable when nobody listens, descriptors are used up, or the node
  // does not prove who it is.
  LoadTask<Result<>> Open();

  // What an answer is, valid until the next Exchange.
  struct Answer {
    unsigned status = 0;
    std::string_view start_type, error_type, server_timing, body;
    LoadClock::time_point sent;                   // when its first byte was
    uint64_t bytes_sent = 0, bytes_received = 0;  // of HTTP: what TLS adds is not seen
  };

  // Sends both parts as one request and reads the answer to its end. One at a time. kUnavailable when the node cannot
  // be reached or hangs up; the next call connects anew. A request is never sent twice.
  LoadTask<Result<Answer>> Exchange(std::string_view head, std::string_view tail);

 private:
  using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol, LoadExecutor>;
  using Parser = boost::beast::http::response_parser<boost::beast::http::string_body>;

  bool ClosedMeanwhile();
  LoadTask<boost::system::error_code> Greet();
  LoadTask<boost::system::error_code> Send(std::string_view head, std::string_view tail);
  LoadTask<boost::system::error_code> Read(uint64_t& received);
  void Drop();

  const LoadTarget& target_;
  Socket socket_;
  std::optional<boost::asio::ssl::stream<Socket&>> tls_;  // over socket_
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  LoadClock::time_point used_{};  // last
};

}  // namespace mignificient::cli
