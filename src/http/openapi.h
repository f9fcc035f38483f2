// The description of all routes, openapi.json, as it was when this was built.
#pragma once

#include <string_view>

namespace mignificient::http {

std::string_view OpenApiJson();

}  // namespace mignificient::http
