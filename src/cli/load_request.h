// The requests of a load, serialised before it begins: what differs from one to the next are a few bytes at the front.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "cli/http_client.h"

namespace mignificient::cli {

class LoadRequest {
 public:
  // POST /invoke. `input` is its JSON body; its `uuid` and `user` do not count.
  static LoadRequest Invoke(const Address& address, std::string_view token, boost::json::object input);
  // POST /function/NAME with these bytes.
  static LoadRequest Registered(const Address& address, std::string_view token, std::string_view function,
                                std::string payload);

  const std::string& function() const { return function_; }

  // Replaces `head` by all that comes before tail(). For /invoke the body begins with the call's own name and user.
  void WriteHead(std::string& head, std::string_view uuid, std::string_view user) const;
  const std::string& tail() const { return tail_; }

 private:
  std::string function_;
  bool json_body_ = false;
  std::string fields_;  // request line and all header fields but Content-Length
  std::string tail_;
};

}  // namespace mignificient::cli
