// The registered functions of all users. Lives on the node's loop; what it says is durable.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "node/config.h"
#include "node/function_spec.h"
#include "node/request.h"
#include "node/store_thread.h"

namespace mignificient::node {

class Registry {
 public:
  // What the registry asks of the node.
  struct Hooks {
    std::function<std::vector<ContainerInfo>()> containers;
    std::function<void(const std::string& user, const std::string& container)> kill;
    // Told, after each change, one request for each function that wants containers ahead (min-containers).
    std::function<void(std::vector<Request>)> maintain;
  };

  // `stored` is what the database held at the start; what cannot be read any more is logged, left there and not
  // known. All references outlive the registry.
  Registry(const Config& config, StoreThread& store, Hooks hooks, const std::vector<StoredFunction>& stored);

  // True where it is new. Containers that run the previous specification are ended: idle ones now, busy ones when they
  // are done; no later call reaches them. kForbidden for a path that is not allowed, kInvalidArgument beyond
  // functions.per-user.
  boost::asio::awaitable<Result<bool>> Put(FunctionSpec spec);
  // kNotFound. Its containers end as with Put.
  boost::asio::awaitable<Result<>> Delete(std::string user, std::string name);

  Result<FunctionSpec> Find(const std::string& user, const std::string& name) const;  // kNotFound
  std::vector<FunctionSpec> List(const std::string& user) const;                      // empty: of all users

  // A request for it as it is now: path authorized, timeout and scaling filled in; payload and call are the caller's.
  // kNotFound, kForbidden, kInvalidArgument.
  Result<Request> RequestFor(const std::string& user, const std::string& name) const;

  // Of the function's answers; application/octet-stream where it is no longer registered.
  std::string ContentType(const std::string& user, const std::string& name) const;

  const FunctionPaths& paths() const { return paths_; }

  // To be told after each invocation of a registered function: a container of a previous specification ends now.
  void Settle(const std::string& container);

 private:
  using Key = std::pair<std::string, std::string>;  // user, name
  struct Entry {
    FunctionSpec spec;
    uint64_t revision = 0;
  };

  void Replace(const std::string& user, const std::string& name);
  void Maintain() const;
  Result<> CheckRoom(const Key& key) const;

  const Config& config_;
  const FunctionPaths paths_;
  StoreThread& store_;
  Hooks hooks_;
  std::map<Key, Entry> functions_;
  uint64_t last_revision_ = 0;
  std::set<std::string> retiring_;  // busy containers of previous specifications
};

}  // namespace mignificient::node
