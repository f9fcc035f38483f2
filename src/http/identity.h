// Who sends a request. Made once per request, before its route is chosen; routes ask it who may do what.
#pragma once

#include <string>

namespace mignificient::http {

struct Identity {
  // Empty: the request names its user itself (no token file: everybody on the loopback interface is trusted).
  std::string user;
  bool administrator = true;

  // May act for `name`?
  bool May(const std::string& name) const { return administrator || user == name; }
};

}  // namespace mignificient::http
