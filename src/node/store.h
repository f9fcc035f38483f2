// What must survive a restart: registered functions and asynchronous calls, in one SQLite database.
//
// A Store belongs to one thread at a time and blocks it; StoreThread (store_thread.h) keeps one away from the node's
// loop. Durability: write-ahead log with synchronous=FULL, so that a transaction that has committed survives the death
// of the process and the loss of power; NORMAL would lose the last ones with the power, and a call that was answered
// with 202 would be gone, or, worse, run again. The price is one fsync for each transaction, which all jobs that are
// waiting share.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct sqlite3;

namespace mignificient::node {

struct StoredFunction {
  std::string user, name;
  std::string spec;  // JSON
  uint64_t revision = 0;
};

// Microseconds since 1970.
using WallTime = int64_t;
WallTime WallNow();

enum class CallStatus { kQueued, kRunning, kDone, kFailed, kCancelled, kLost };
std::string_view CallStatusName(CallStatus status);
std::optional<CallStatus> CallStatusOf(std::string_view name);
inline bool IsOver(CallStatus status) {
  return status != CallStatus::kQueued && status != CallStatus::kRunning;
}

// An asynchronous call without its payload and result.
struct StoredCall {
  std::string id, user, function;
  CallStatus status = CallStatus::kQueued;
  WallTime accepted = 0;
  std::optional<WallTime> started, finished;
  std::optional<double> timeout_s;  // the caller's own
  std::string traceparent;
  uint64_t payload_bytes = 0, result_bytes = 0;
  std::string content_type;  // of the result
  std::string error;         // kFailed, kCancelled, kLost: a sentence
  std::string outcome;       // JSON: what the answer said besides; the store does not read it
};

struct CallFilter {
  std::string user, function;  // empty: any
  std::optional<CallStatus> status;
  uint32_t limit = 100;
};

// What is kept of one user's finished calls.
struct Keep {
  uint64_t count = 0;
  uint64_t bytes = 0;  // of results
};

class Store {
 public:
  // The database `mignificient.db` in `folder`, which is made (for its owner alone) where it is missing; an empty
  // `folder` is a database in memory. Fails with a sentence for the administrator: kOs where the folder cannot be
  // written, kUnavailable where another node uses it, kUnsupported where a newer version made it, kInternal where it is
  // damaged. Nothing is ever deleted or repaired in order to start.
  static Result<std::unique_ptr<Store>> Open(const std::string& folder);
  ~Store();
  Store(const Store&) = delete;

  Result<> PutFunction(const StoredFunction& function);
  Result<> DeleteFunction(const std::string& user, const std::string& name);
  Result<std::vector<StoredFunction>> Functions();

  Result<> AddCall(const StoredCall& call, std::string_view payload);
  // kNotFound where the call is not queued (any more).
  Result<> MarkRunning(const std::string& id, WallTime started);
  // Ends it, frees its payload, and forgets older ones of the user beyond `keep`.
  Result<> FinishCall(const StoredCall& call, std::string_view result, const Keep& keep);
  Result<StoredCall> Call(const std::string& id);                   // kNotFound
  Result<std::string> CallPayload(const std::string& id);           // kNotFound
  Result<std::string> CallResult(const std::string& id);            // kNotFound
  Result<std::vector<StoredCall>> Calls(const CallFilter& filter);  // the newest first
  Result<std::vector<StoredCall>> QueuedCalls();                    // the oldest first
  // Those that were running are lost. Returns how many.
  Result<int> LoseRunningCalls(std::string_view error);
  Result<> ForgetCalls(WallTime finished_before);

  // Around what belongs together: all of it is kept, or nothing.
  Result<> Begin();
  Result<> Commit();
  void Rollback();
  // The same for a part of it.
  Result<> Save();
  Result<> KeepSaved();
  Result<> UndoSaved();

 private:
  class Statement;
  explicit Store(sqlite3* database) : database_(database) {}
  Result<> Migrate();
  Result<> Execute(const char* sql);
  std::unexpected<Error> Failure(std::string_view doing) const;
  Result<std::vector<StoredCall>> ReadCalls(Statement& statement);

  sqlite3* database_;
};

}  // namespace mignificient::node
