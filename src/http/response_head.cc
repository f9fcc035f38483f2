#include "http/response_head.h"

#include <string_view>

#include <boost/beast/http/status.hpp>

namespace mignificient::http {
namespace {

void AppendField(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

std::string ResponseHead(const Reply& reply, unsigned version, bool keep_alive) {
  namespace wire = boost::beast::http;
  const auto reason = wire::obsolete_reason(static_cast<wire::status>(reply.status));
  std::string head;
  head.reserve(768);
  head.append(version >= 11 ? "HTTP/1.1 " : "HTTP/1.0 ").append(std::to_string(reply.status)).append(" ");
  head.append(std::string_view(reason.data(), reason.size())).append("\r\n");
  AppendField(head, "Server", "mignificient");
  AppendField(head, "Content-Type", reply.content_type);
  for (const auto& [name, value] : reply.headers) AppendField(head, name, value);
  if (keep_alive != (version >= 11)) AppendField(head, "Connection", keep_alive ? "keep-alive" : "close");
  AppendField(head, "Content-Length", std::to_string(reply.body.size()));
  return head.append("\r\n");
}

}  // namespace mignificient::http
