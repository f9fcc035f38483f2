// How invocations end, in words: for callers, and for what is kept.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "node/request.h"

namespace mignificient::node {

std::string_view OutcomeName(Outcome outcome);  // "function_error"
std::optional<Outcome> OutcomeNamed(std::string_view name);
Outcome OutcomeOf(Code code);  // of a request that cannot be carried out

// All of an answer but its body and error, as JSON, and back; what cannot be read is left out.
std::string OutcomeJson(const Answer& answer);
Answer ParseOutcome(std::string_view json);

}  // namespace mignificient::node
