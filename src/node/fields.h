// Fields of the JSON that callers send: each reader takes one and names it, what was given and what is allowed, where
// it is wrong (kInvalidArgument). A field that is null is missing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "base/result.h"
#include "node/request.h"

namespace mignificient::node {

inline constexpr size_t kNameBytes = 256;

template <typename... Args>
std::unexpected<Error> BadField(std::string_view field, fmt::format_string<Args...> format, Args&&... args) {
  return Fail(Code::kInvalidArgument, "Field [{}]: {}", field, fmt::format(format, std::forward<Args>(args)...));
}

// The start of a value, enough to recognise it.
std::string Given(const boost::json::value& value);

const boost::json::value* FindField(const boost::json::object& body, std::string_view field);

// `memory` must outlive what is parsed.
Result<boost::json::object> ParseObject(std::string_view text, boost::json::storage_ptr memory = {});

// A name or path: it reaches logs, command lines and file systems, so it holds no control characters.
Result<> CheckName(std::string_view field, std::string_view text, size_t limit = kNameBytes);
Result<std::string> NameField(const boost::json::object& body, std::string_view field,
                              std::optional<std::string> fallback = {}, size_t limit = kNameBytes);

Result<uint64_t> GpuMemoryField(const boost::json::object& body, std::optional<uint64_t> fallback = {});
Result<std::string> MigInstanceField(const boost::json::object& body, std::optional<std::string> fallback = {});

// A number of seconds above 0 up to `most`; `limit` names what sets it. Empty where it is missing.
Result<std::optional<double>> SecondsField(const boost::json::object& body, std::string_view field, double most,
                                           std::string_view limit = "");

// A whole number from 0 to `most`; 0 where it is missing.
Result<uint32_t> CountField(const boost::json::object& body, std::string_view field, uint32_t most);

// Where it is missing, the path's ending decides.
Result<Language> LanguageField(const boost::json::object& body, std::string_view field, const std::string& path);
std::string_view LanguageName(Language language);

// Names as an import statement has them.
Result<std::vector<std::string>> ModulesField(const boost::json::object& body, std::string_view field);

}  // namespace mignificient::node
