// An asynchronous call as callers see it.
#pragma once

#include <boost/json/object.hpp>

#include "http/reply.h"
#include "node/store.h"

namespace mignificient::http {

// What is known of it, without its result; where that is, once it is done.
boost::json::object CallJson(const node::StoredCall& call);

// What the caller would have got had it waited: the function's bytes, or its error. 202 while the call is not over; 410
// `cancelled`; 502 `lost`.
Reply CallResultReply(const node::StoredCall& call, std::string body, bool compatible_status);

}  // namespace mignificient::http
