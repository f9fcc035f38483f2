#include "node/registry.h"

#include <algorithm>

#include <boost/json/serialize.hpp>

#include "base/log.h"
#include "node/fields.h"

namespace mignificient::node {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

std::unexpected<Error> Unknown(const std::string& user, const std::string& name) {
  return Fail(Code::kNotFound, "User [{}] has no function [{}].", user, name);
}

Result<FunctionSpec> ParseStored(const StoredFunction& stored) {
  MIG_ASSIGN(const json::object body, ParseObject(stored.spec));
  return ParseFunctionSpec(stored.user, stored.name, body);
}

}  // namespace

Registry::Registry(const Config& config, StoreThread& store, Hooks hooks, const std::vector<StoredFunction>& stored)
    : config_(config), paths_(config.functions.allowed_paths), store_(store), hooks_(std::move(hooks)) {
  for (const StoredFunction& function : stored) {
    last_revision_ = std::max(last_revision_, function.revision);
    auto spec = ParseStored(function);
    if (spec)
      functions_[{function.user, function.name}] = {std::move(*spec), function.revision};
    else
      log::Error("function_unreadable",
                 {{"user", function.user}, {"function", function.name}, {"error", spec.error().message()}});
  }
  Maintain();
}

asio::awaitable<Result<bool>> Registry::Put(FunctionSpec spec) {
  const Key key(spec.user, spec.name);
  if (auto allowed = CheckAllowed(spec, config_, paths_); !allowed) co_return std::unexpected(allowed.error());
  if (auto room = CheckRoom(key); !room) co_return std::unexpected(room.error());
  const uint64_t revision = ++last_revision_;
  auto write = [row = StoredFunction{spec.user, spec.name, json::serialize(FunctionJson(spec)), revision}](
                   Store& store) { return store.PutFunction(row); };
  const Result<> written = co_await store_.Do(std::move(write));
  if (!written) co_return std::unexpected(written.error());
  const bool is_new = !functions_.contains(key);
  functions_[key] = {std::move(spec), revision};
  log::Info("function_deployed", {{"user", key.first}, {"function", key.second}, {"revision", revision}});
  if (is_new)
    Maintain();
  else
    Replace(key.first, key.second);
  co_return is_new;
}

asio::awaitable<Result<>> Registry::Delete(std::string user, std::string name) {
  if (!functions_.contains({user, name})) co_return Unknown(user, name);
  auto erase = [user, name](Store& store) { return store.DeleteFunction(user, name); };
  const Result<> erased = co_await store_.Do(std::move(erase));
  if (!erased) co_return std::unexpected(erased.error());
  functions_.erase({user, name});
  log::Info("function_deleted", {{"user", user}, {"function", name}});
  Replace(user, name);
  co_return Result<>();
}

Result<> Registry::CheckRoom(const Key& key) const {
  if (functions_.contains(key)) return {};
  const auto of_user =
      std::ranges::count_if(functions_, [&](const auto& entry) { return entry.first.first == key.first; });
  if (of_user < config_.functions.per_user) return {};
  return Fail(Code::kInvalidArgument, "User [{}] has {} functions (functions.per-user is {}).", key.first, of_user,
              config_.functions.per_user);
}

Result<FunctionSpec> Registry::Find(const std::string& user, const std::string& name) const {
  const auto found = functions_.find({user, name});
  if (found == functions_.end()) return Unknown(user, name);
  return found->second.spec;
}

std::vector<FunctionSpec> Registry::List(const std::string& user) const {
  std::vector<FunctionSpec> list;
  for (const auto& [key, entry] : functions_)
    if (user.empty() || key.first == user) list.push_back(entry.spec);
  return list;
}

Result<Request> Registry::RequestFor(const std::string& user, const std::string& name) const {
  const auto found = functions_.find({user, name});
  if (found == functions_.end()) return Unknown(user, name);
  return RequestOf(found->second.spec, found->second.revision, config_, paths_);
}

std::string Registry::ContentType(const std::string& user, const std::string& name) const {
  const auto found = functions_.find({user, name});
  return found == functions_.end() ? FunctionSpec{}.content_type : found->second.spec.content_type;
}

// The node hears what it shall keep before the old containers end, lest it start them again; and the new ones that it
// starts then are none of them.
void Registry::Replace(const std::string& user, const std::string& name) {
  for (const ContainerInfo& container : hooks_.containers())
    if (container.user == user && container.function == name) retiring_.insert(container.id);
  Maintain();
  for (const std::string& container : std::set(retiring_)) Settle(container);
}

void Registry::Settle(const std::string& container) {
  if (!retiring_.contains(container)) return;
  for (const ContainerInfo& info : hooks_.containers()) {
    if (info.id != container || info.status == "ending") continue;
    if (info.status != "idle") return;  // whoever runs in it says when it is done
    retiring_.erase(container);
    hooks_.kill(info.user, container);
    return;
  }
  retiring_.erase(container);
}

void Registry::Maintain() const {
  std::vector<Request> templates;
  for (const auto& [key, entry] : functions_) {
    if (entry.spec.scaling.min_containers == 0) continue;
    auto request = RequestOf(entry.spec, entry.revision, config_, paths_);
    if (request)
      templates.push_back(std::move(*request));
    else
      log::Warning("function_not_allowed",
                   {{"user", key.first}, {"function", key.second}, {"error", request.error().message()}});
  }
  hooks_.maintain(std::move(templates));
}

}  // namespace mignificient::node
