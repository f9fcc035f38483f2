#include "node/outcome.h"

#include <array>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace mignificient::node {
namespace {

namespace json = boost::json;

constexpr std::array<std::pair<Outcome, std::string_view>, 12> kNames = {
    {{Outcome::kOk, "ok"},
     {Outcome::kBadRequest, "bad_request"},
     {Outcome::kForbidden, "forbidden"},
     {Outcome::kNotFound, "not_found"},
     {Outcome::kPayloadTooLarge, "payload_too_large"},
     {Outcome::kQueueFull, "queue_full"},
     {Outcome::kFunctionError, "function_error"},
     {Outcome::kFunctionCrashed, "function_crashed"},
     {Outcome::kNoCapacity, "no_capacity"},
     {Outcome::kTimeout, "timeout"},
     {Outcome::kOutOfMemory, "gpu_out_of_memory"},
     {Outcome::kInternal, "internal"}}};

constexpr std::array<std::pair<std::string_view, std::optional<double> Timing::*>, 6> kTimes = {
    {{"queue", &Timing::queue},
     {"spawn", &Timing::spawn},
     {"context", &Timing::context},
     {"attach", &Timing::attach},
     {"exec", &Timing::exec},
     {"total", &Timing::total}}};

std::string Text(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

}  // namespace

std::string_view OutcomeName(Outcome outcome) {
  for (const auto& [value, name] : kNames)
    if (value == outcome) return name;
  return "internal";
}

std::optional<Outcome> OutcomeNamed(std::string_view name) {
  for (const auto& [value, known] : kNames)
    if (known == name) return value;
  return std::nullopt;
}

Outcome OutcomeOf(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
    case Code::kUnsupported:
      return Outcome::kBadRequest;
    case Code::kForbidden:
      return Outcome::kForbidden;
    case Code::kNotFound:
      return Outcome::kNotFound;
    case Code::kExhausted:
      return Outcome::kPayloadTooLarge;
    default:
      return Outcome::kInternal;
  }
}

std::string OutcomeJson(const Answer& answer) {
  json::object object{{"type", OutcomeName(answer.outcome)}};
  if (answer.granted) {
    object["start-type"] = answer.cold ? "cold" : "warm";
    object["container"] = answer.container;
    object["partition"] = answer.partition;
    object["instance"] = answer.instance_size;
  }
  json::object times;
  for (const auto& [name, member] : kTimes)
    if (const auto& time = answer.timing.*member) times[name] = *time;
  object["timing"] = std::move(times);
  return json::serialize(object);
}

Answer ParseOutcome(std::string_view text) {
  Answer answer;
  answer.outcome = Outcome::kInternal;
  boost::system::error_code error;
  const json::value root = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !root.is_object()) return answer;
  const json::object& object = root.as_object();
  answer.outcome = OutcomeNamed(Text(object, "type")).value_or(Outcome::kInternal);
  answer.granted = object.contains("start-type");
  answer.cold = Text(object, "start-type") == "cold";
  answer.container = Text(object, "container");
  answer.partition = Text(object, "partition");
  answer.instance_size = Text(object, "instance");
  const json::value* times = object.if_contains("timing");
  if (times == nullptr || !times->is_object()) return answer;
  for (const auto& [name, member] : kTimes)
    if (const json::value* time = times->as_object().if_contains(name); time != nullptr && time->is_number())
      answer.timing.*member = time->to_number<double>(error);
  return answer;
}

}  // namespace mignificient::node
