#include "http/openapi.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "http/routes.h"

namespace mignificient::http {
namespace {

namespace json = boost::json;

json::object Description() {
  return json::parse(json::string_view(OpenApiJson().data(), OpenApiJson().size())).as_object();
}

bool IsMethod(std::string_view key) {
  return key == "get" || key == "put" || key == "post" || key == "delete";
}

TEST(OpenApiTest, EveryRouteIsDescribedAndNothingElse) {
  std::set<std::string> described, known;
  const json::object description = Description();
  for (const auto& [path, operations] : description.at("paths").as_object())
    for (const auto& [method, operation] : operations.as_object())
      if (IsMethod(method)) described.insert(std::string(method) + " " + std::string(path));
  for (const Route& route : AllRoutes()) {
    std::string method(route.method);
    std::ranges::transform(method, method.begin(), [](unsigned char c) { return std::tolower(c); });
    known.insert(method + " " + std::string(route.pattern));
  }
  EXPECT_EQ(described, known);
}

// All values of "$ref" below `value`.
void CollectReferences(const json::value& value, std::set<std::string>& references) {
  if (value.is_array())
    for (const json::value& element : value.as_array()) CollectReferences(element, references);
  if (!value.is_object()) return;
  for (const auto& [key, member] : value.as_object()) {
    if (key == "$ref") references.insert(std::string(member.as_string()));
    CollectReferences(member, references);
  }
}

TEST(OpenApiTest, WhatItRefersToIsThere) {
  const json::value description = Description();
  std::set<std::string> references;
  CollectReferences(description, references);
  EXPECT_GT(references.size(), 10u);
  for (const std::string& reference : references) {
    boost::system::error_code error;
    EXPECT_NE(description.find_pointer(reference.substr(1), error), nullptr) << reference;
  }
}

}  // namespace
}  // namespace mignificient::http
