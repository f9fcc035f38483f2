// GET /v1/containers/{container}/logs: what a container's processes printed, and with follow=true what they print next.
#include <charconv>

#include "base/utf8.h"
#include "http/acting_user.h"
#include "http/route_handlers.h"
#include "node/node.h"

namespace mignificient::http {
namespace {

constexpr size_t kPartBytes = 64 << 10;
constexpr uint64_t kTailBytes = 64 << 10;  // unless the request says otherwise
constexpr uint64_t kTailMost = 16u << 20;

struct LogQuery {
  std::string container;
  uint64_t tail = kTailBytes;
  bool follow = false;
};

Result<LogQuery> ParseQuery(const RouteRequest& request) {
  LogQuery query{.container = request.Parameter("container")};
  if (const auto tail = request.Query("tail")) {
    const auto [end, error] = std::from_chars(tail->data(), tail->data() + tail->size(), query.tail);
    if (error != std::errc() || end != tail->data() + tail->size() || query.tail > kTailMost)
      return Fail(Code::kInvalidArgument, "Query [tail]: \"{}\" is given; a number of bytes from 0 to {} is allowed.",
                  ValidUtf8(*tail), kTailMost);
  }
  if (const auto follow = request.Query("follow")) {
    if (*follow != "true" && *follow != "false")
      return Fail(Code::kInvalidArgument, "Query [follow]: \"{}\" is given; true or false is allowed.",
                  ValidUtf8(*follow));
    query.follow = *follow == "true";
  }
  return query;
}

// Reads a log from a byte on, part by part. Outlived by the node.
class Follower {
 public:
  Follower(const node::Logs& logs, LogQuery query)
      : logs_(logs),
        query_(std::move(query)),
        end_(logs.Total(query_.container)),
        next_(end_ - std::min(end_, query_.tail)) {}

  // Empty when a second has passed and nothing was printed; nullopt at the end.
  boost::asio::awaitable<std::optional<std::string>> More() {
    if (!Has()) {
      if (!query_.follow || logs_.Ended(query_.container)) co_return std::nullopt;
      co_await logs_.AwaitMore(query_.container, next_, std::chrono::steady_clock::now() + std::chrono::seconds(1));
      if (!Has()) co_return std::string();
    }
    const uint64_t end = query_.follow ? logs_.Total(query_.container) : end_;
    auto part = logs_.Read(query_.container, next_, std::min<uint64_t>(kPartBytes, end - next_));
    if (!part) co_return std::nullopt;  // removed meanwhile
    next_ = part->next;
    co_return std::move(part->bytes);
  }

 private:
  bool Has() const { return (query_.follow ? logs_.Total(query_.container) : end_) > next_; }

  const node::Logs& logs_;
  LogQuery query_;
  uint64_t end_, next_;
};

}  // namespace

boost::asio::awaitable<Reply> ContainerLogs(const Services& services, RouteRequest& request, node::Caller&) {
  auto query = ParseQuery(request);
  if (!query) co_return ErrorReply(query.error());
  const node::Logs& logs = services.node.logs();
  const auto user = logs.User(query->container);
  if (!user) co_return ErrorReply(user.error());
  if (const auto may = CheckMay(request.identity, *user); !may) co_return ErrorReply(may.error());
  Reply reply;
  reply.content_type = "text/plain; charset=utf-8";
  const auto follower = std::make_shared<Follower>(logs, std::move(*query));
  reply.more = [follower] { return follower->More(); };
  co_return reply;
}

}  // namespace mignificient::http
