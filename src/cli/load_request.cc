#include "cli/load_request.h"

#include <fmt/format.h>

#include <iterator>

#include <boost/json/serialize.hpp>

#include "cli/percent_encode.h"

namespace mignificient::cli {
namespace {

namespace json = boost::json;

std::string Fields(const Address& address, std::string_view token, std::string_view target, std::string_view type) {
  const bool v6 = address.host.find(':') != std::string::npos;
  const std::string host = address.host.empty() ? "localhost"
                           : v6                 ? fmt::format("[{}]:{}", address.host, address.port)
                                                : fmt::format("{}:{}", address.host, address.port);
  std::string fields = fmt::format("POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: mignificient\r\nContent-Type: {}\r\n",
                                   target, host, type);
  if (!token.empty()) fields += fmt::format("Authorization: Bearer {}\r\n", token);
  return fields;
}

}  // namespace

LoadRequest LoadRequest::Invoke(const Address& address, std::string_view token, json::object input) {
  LoadRequest request;
  if (const json::value* name = input.if_contains("function"); name != nullptr && name->is_string())
    request.function_ = std::string(name->as_string());
  input.erase("uuid");
  input.erase("user");
  request.json_body_ = true;
  request.fields_ = Fields(address, token, "/invoke", "application/json");
  // The rest of an object that begins with two members.
  request.tail_ = input.empty() ? "}" : "," + json::serialize(input).substr(1);
  return request;
}

LoadRequest LoadRequest::Registered(const Address& address, std::string_view token, std::string_view function,
                                    std::string payload) {
  LoadRequest request;
  request.function_ = std::string(function);
  request.fields_ = Fields(address, token, "/function/" + PercentEncode(function), "application/octet-stream");
  request.tail_ = std::move(payload);
  return request;
}

void LoadRequest::WriteHead(std::string& head, std::string_view uuid, std::string_view user) const {
  std::string members;
  if (json_body_)
    members = fmt::format("{{\"uuid\":\"{}\",\"user\":{}", uuid,
                          json::serialize(json::string_view(user.data(), user.size())));
  head.clear();
  fmt::format_to(std::back_inserter(head), "{}Content-Length: {}\r\n\r\n{}", fields_, members.size() + tail_.size(),
                 members);
}

}  // namespace mignificient::cli
