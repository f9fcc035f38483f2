// One keep-alive HTTP connection to a node. Blocking; for one thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace mignificient::cli {

// Where a node listens: a host and port, or a Unix socket.
struct Address {
  std::string host;
  std::string port;
  std::string socket_path;  // not empty: a Unix socket; host and port do not count
  bool tls = false;

  // `http://HOST:PORT`, `https://HOST:PORT`, `HOST:PORT`, `HOST` (port 10000), `[::1]:10000` or `unix:/PATH`.
  static Result<Address> Parse(std::string_view text);
  std::string Text() const;  // in the form that Parse reads
};

struct Answer {
  unsigned status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  // Names are compared without case; an empty view where there is no such header.
  std::string_view Header(std::string_view name) const;
};

// Whom a client believes to be the node, where it speaks TLS.
struct Trust {
  std::string ca;         // PEM file of certificates; empty: the system's
  bool insecure = false;  // anybody
};

class HttpClient {
 public:
  // Does not connect yet. `token`, where not empty, goes with each request as a bearer token (RFC 6750).
  explicit HttpClient(Address address, std::string token = {}, Trust trust = {});
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;
  ~HttpClient();

  // Connects where there is no open connection. kUnavailable when nobody listens.
  Result<> Connect();

  // Sends one request and waits for its whole answer, whatever its status. A connection that the node has closed since
  // the last answer is opened again first; a request that was sent is never sent twice. kUnavailable when the node
  // cannot be reached or hangs up before it answers.
  Result<Answer> Get(std::string_view target);
  // The same for an answer that comes in chunks, handed over as they come; the Answer's body is empty then. False from
  // `sink` gives up the rest, and the connection.
  using Sink = std::function<bool(std::string_view)>;
  Result<Answer> Get(std::string_view target, const Sink& sink);
  Result<Answer> Post(std::string_view target, std::string body);  // of JSON
  // `method`: "PUT". Further headers are pairs of name and value.
  Result<Answer> Send(std::string_view method, std::string_view target, std::string body, std::string_view content_type,
                      const std::vector<std::pair<std::string, std::string>>& headers = {});

 private:
  class Connection;
  std::unique_ptr<Connection> connection_;
};

}  // namespace mignificient::cli
