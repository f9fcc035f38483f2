// The logs of containers that live and, for a while, of those that have ended: found by the container's id, read in
// parts, followed as they grow. On the node's loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/result.h"

namespace mignificient::node {

// How far a log has come, in bytes. What is not in the file is in `path`.1, or thrown away (FunctionLog).
struct LogExtent {
  uint64_t total = 0;    // ever written
  uint64_t in_file = 0;  // of them in the file that is written to
};

struct LogPart {
  std::string bytes;
  uint64_t next = 0;  // where the part after it begins
};

class Logs {
 public:
  // Of ended containers the newest `ended_limit` are kept; the files of older ones are removed.
  Logs(boost::asio::any_io_executor executor, size_t ended_limit) : executor_(executor), ended_limit_(ended_limit) {}

  void Add(const std::string& container, std::string user, std::string path);
  void Grown(const std::string& container, LogExtent extent);
  void End(const std::string& container);

  // Whose container it is, or was. kNotFound where there is no log of it (any more).
  Result<std::string> User(const std::string& container) const;
  uint64_t Total(const std::string& container) const;  // bytes ever written; 0 where there is none
  bool Ended(const std::string& container) const;      // it grows no more

  // At most `limit` bytes from byte `from` on, or from the oldest one after it that is still there.
  Result<LogPart> Read(const std::string& container, uint64_t from, size_t limit) const;

  // Returns once the log has more than `size` bytes, or grows no more, or at `deadline`.
  boost::asio::awaitable<void> AwaitMore(std::string container, uint64_t size,
                                         std::chrono::steady_clock::time_point deadline) const;

 private:
  struct Log {
    explicit Log(boost::asio::any_io_executor executor) : changed(executor) {}
    std::string user, path;
    LogExtent extent;
    bool ended = false;
    boost::asio::steady_timer changed;  // cancelled at each change
  };
  std::shared_ptr<Log> Find(const std::string& container) const;

  boost::asio::any_io_executor executor_;
  size_t ended_limit_;
  std::map<std::string, std::shared_ptr<Log>> logs_;
  std::deque<std::string> ended_;  // oldest first
};

}  // namespace mignificient::node
