#include "node/store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <utility>

namespace mignificient::node {
namespace {

namespace filesystem = std::filesystem;

constexpr int kApplicationId = 0x4d494731;  // "MIG1", for `file`

// What leads from one version of the schema to the next; its number is PRAGMA user_version.
constexpr const char* kMigrations[] = {
    R"sql(
CREATE TABLE functions (
  user TEXT NOT NULL, name TEXT NOT NULL, spec TEXT NOT NULL, revision INTEGER NOT NULL,
  PRIMARY KEY (user, name)) STRICT, WITHOUT ROWID;
CREATE TABLE calls (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE, user TEXT NOT NULL, function TEXT NOT NULL, status TEXT NOT NULL,
  accepted INTEGER NOT NULL, started INTEGER, finished INTEGER, timeout REAL, traceparent TEXT NOT NULL,
  payload_bytes INTEGER NOT NULL, result_bytes INTEGER NOT NULL, content_type TEXT NOT NULL, error TEXT NOT NULL,
  outcome TEXT NOT NULL) STRICT;
CREATE INDEX calls_of_user ON calls (user, sequence);
CREATE INDEX calls_finished ON calls (finished) WHERE finished IS NOT NULL;
CREATE INDEX calls_unfinished ON calls (status) WHERE finished IS NULL;
CREATE TABLE bytes (  -- apart from the calls, so that lists do not read them
  id TEXT PRIMARY KEY REFERENCES calls (id) ON DELETE CASCADE, payload BLOB, result BLOB) STRICT;
)sql",
};
constexpr int kSchema = std::size(kMigrations);

constexpr std::array<std::pair<CallStatus, std::string_view>, 6> kStatusNames = {{{CallStatus::kQueued, "queued"},
                                                                                  {CallStatus::kRunning, "running"},
                                                                                  {CallStatus::kDone, "done"},
                                                                                  {CallStatus::kFailed, "failed"},
                                                                                  {CallStatus::kCancelled, "cancelled"},
                                                                                  {CallStatus::kLost, "lost"}}};

#define MIG_CALL_COLUMNS                                                                                         \
  "id, user, function, status, accepted, started, finished, timeout, traceparent, payload_bytes, result_bytes, " \
  "content_type, error, outcome"

Code CodeOf(int result) {
  switch (result & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Code::kUnavailable;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_IOERR:
    case SQLITE_FULL:
      return Code::kOs;
    default:
      return Code::kInternal;
  }
}

// A file that its owner alone may read, before SQLite makes one that everybody may: payloads are tenants' own.
Result<> MakeFile(const std::string& folder, const std::string& path) {
  std::error_code error;
  const bool made = filesystem::create_directories(folder, error);
  if (error) return Fail(Code::kOs, "Folder [{}] (key paths.state) cannot be made: {}.", folder, error.message());
  if (made) filesystem::permissions(folder, filesystem::perms::owner_all, error);
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0)
    return Fail(Code::kOs, "File [{}] (folder of key paths.state) cannot be written: {}.", path,
                std::error_code(errno, std::generic_category()).message());
  ::close(file);
  return {};
}

std::string Advice(Code code) {
  if (code == Code::kUnavailable) return "Another node uses it: give each node a folder of its own.";
  if (code == Code::kInternal) return "Move it away to start without what it holds, or restore a copy.";
  return "";
}

}  // namespace

WallTime WallNow() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string_view CallStatusName(CallStatus status) {
  for (const auto& [value, name] : kStatusNames)
    if (value == status) return name;
  return "unknown";
}

std::optional<CallStatus> CallStatusOf(std::string_view name) {
  for (const auto& [value, known] : kStatusNames)
    if (known == name) return value;
  return std::nullopt;
}

// One statement with its values, bound and read in order. Its views must live until it has run.
class Store::Statement {
 public:
  Statement(Store& store, std::string_view sql) : store_(store) {
    result_ = sqlite3_prepare_v2(store.database_, sql.data(), static_cast<int>(sql.size()), &statement_, nullptr);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;

  Statement& Text(std::string_view text) {
    return Bound(sqlite3_bind_text64(statement_, ++bound_, text.data() == nullptr ? "" : text.data(), text.size(),
                                     SQLITE_STATIC, SQLITE_UTF8));
  }
  Statement& Blob(std::string_view bytes) {
    return Bound(sqlite3_bind_blob64(statement_, ++bound_, bytes.data() == nullptr ? "" : bytes.data(), bytes.size(),
                                     SQLITE_STATIC));
  }
  Statement& Number(int64_t number) { return Bound(sqlite3_bind_int64(statement_, ++bound_, number)); }
  Statement& Number(const std::optional<int64_t>& number) { return number ? Number(*number) : Null(); }
  Statement& Real(const std::optional<double>& number) {
    return number ? Bound(sqlite3_bind_double(statement_, ++bound_, *number)) : Null();
  }
  Statement& Null() { return Bound(sqlite3_bind_null(statement_, ++bound_)); }

  // True where there is a row to read; false at the end.
  Result<bool> Step(std::string_view doing) {
    if (result_ == SQLITE_OK) result_ = sqlite3_step(statement_);
    if (result_ != SQLITE_ROW && result_ != SQLITE_DONE) return store_.Failure(doing);
    read_ = 0;
    const bool row = result_ == SQLITE_ROW;
    result_ = SQLITE_OK;
    return row;
  }
  Result<> Run(std::string_view doing) {
    MIG_TRY(Step(doing));
    return {};
  }

  std::string ReadText() {
    const int column = read_++;
    const void* bytes = sqlite3_column_blob(statement_, column);
    return std::string(static_cast<const char*>(bytes), static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
  }
  int64_t ReadNumber() { return sqlite3_column_int64(statement_, read_++); }
  std::optional<int64_t> ReadNumberOrNull() {
    if (sqlite3_column_type(statement_, read_) != SQLITE_NULL) return ReadNumber();
    ++read_;
    return std::nullopt;
  }
  std::optional<double> ReadRealOrNull() {
    const int column = read_++;
    if (sqlite3_column_type(statement_, column) == SQLITE_NULL) return std::nullopt;
    return sqlite3_column_double(statement_, column);
  }

 private:
  Statement& Bound(int result) {
    if (result_ == SQLITE_OK) result_ = result;
    return *this;
  }

  Store& store_;
  sqlite3_stmt* statement_ = nullptr;
  int result_ = SQLITE_OK;
  int bound_ = 0, read_ = 0;
};

std::unexpected<Error> Store::Failure(std::string_view doing) const {
  const char* file = sqlite3_db_filename(database_, "main");
  const std::string where = file == nullptr || *file == 0 ? "in memory" : fmt::format("[{}]", file);
  const Code code = CodeOf(sqlite3_extended_errcode(database_));
  const std::string advice = Advice(code);
  return Fail(code, "The database {} fails while {}: {}.{}{}", where, doing, sqlite3_errmsg(database_),
              advice.empty() ? "" : " ", advice);
}

Result<> Store::Execute(const char* sql) {
  if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return Failure("it is prepared");
  return {};
}

Result<std::unique_ptr<Store>> Store::Open(const std::string& folder) {
  std::string path = ":memory:";
  if (!folder.empty()) {
    path = (filesystem::path(folder) / "mignificient.db").string();
    MIG_TRY(MakeFile(folder, path));
  }
  sqlite3* database = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int result = sqlite3_open_v2(path.c_str(), &database, flags, nullptr);
  if (database == nullptr) return Fail(Code::kInternal, "SQLite has no memory for a database.");
  std::unique_ptr<Store> store(new Store(database));
  if (result != SQLITE_OK) return store->Failure("it is opened");
  MIG_TRY(
      store->Execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                     "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA journal_size_limit = 67108864;"
                     "BEGIN EXCLUSIVE; COMMIT;"));
  MIG_TRY(store->Migrate());
  return store;
}

Store::~Store() {
  sqlite3_close_v2(database_);
}

Result<> Store::Migrate() {
  int version = 0;
  {
    Statement statement(*this, "PRAGMA user_version");
    MIG_TRY(statement.Step("its schema is read"));
    version = static_cast<int>(statement.ReadNumber());
  }
  if (version > kSchema || version < 0)
    return Fail(
        Code::kUnsupported,
        "The database [{}] has schema {}; this version knows {} and older ones. A newer version of the node made "
        "it: use that one, or another folder (key paths.state).",
        sqlite3_db_filename(database_, "main"), version, kSchema);
  for (; version < kSchema; ++version) {
    const std::string script = fmt::format("BEGIN; {} PRAGMA user_version = {}; PRAGMA application_id = {}; COMMIT;",
                                           kMigrations[version], version + 1, kApplicationId);
    MIG_TRY(Execute(script.c_str()));
  }
  return {};
}

Result<> Store::PutFunction(const StoredFunction& function) {
  return Statement(*this, "INSERT OR REPLACE INTO functions (user, name, spec, revision) VALUES (?, ?, ?, ?)")
      .Text(function.user)
      .Text(function.name)
      .Text(function.spec)
      .Number(static_cast<int64_t>(function.revision))
      .Run("a function is written");
}

Result<> Store::DeleteFunction(const std::string& user, const std::string& name) {
  return Statement(*this, "DELETE FROM functions WHERE user = ? AND name = ?")
      .Text(user)
      .Text(name)
      .Run("a function is deleted");
}

Result<std::vector<StoredFunction>> Store::Functions() {
  std::vector<StoredFunction> functions;
  Statement statement(*this, "SELECT user, name, spec, revision FROM functions ORDER BY user, name");
  for (;;) {
    MIG_ASSIGN(const bool row, statement.Step("functions are read"));
    if (!row) return functions;
    StoredFunction& function = functions.emplace_back();
    function.user = statement.ReadText();
    function.name = statement.ReadText();
    function.spec = statement.ReadText();
    function.revision = static_cast<uint64_t>(statement.ReadNumber());
  }
}

Result<> Store::AddCall(const StoredCall& call, std::string_view payload) {
  MIG_TRY(Statement(*this, "INSERT INTO calls (" MIG_CALL_COLUMNS
                           ") VALUES (?, ?, ?, ?, ?, NULL, NULL, ?, ?, ?, 0, '', '', '')")
              .Text(call.id)
              .Text(call.user)
              .Text(call.function)
              .Text(CallStatusName(call.status))
              .Number(call.accepted)
              .Real(call.timeout_s)
              .Text(call.traceparent)
              .Number(static_cast<int64_t>(payload.size()))
              .Run("a call is accepted"));
  return Statement(*this, "INSERT INTO bytes (id, payload) VALUES (?, ?)")
      .Text(call.id)
      .Blob(payload)
      .Run("a call is accepted");
}

Result<> Store::MarkRunning(const std::string& id, WallTime started) {
  MIG_TRY(Statement(*this, "UPDATE calls SET status = 'running', started = ? WHERE id = ? AND status = 'queued'")
              .Number(started)
              .Text(id)
              .Run("a call begins"));
  if (sqlite3_changes(database_) == 1) return {};
  return Fail(Code::kNotFound, "Call [{}] is not queued.", id);
}

Result<> Store::FinishCall(const StoredCall& call, std::string_view result, const Keep& keep) {
  MIG_TRY(Statement(*this,
                    "UPDATE calls SET status = ?, started = ?, finished = ?, result_bytes = ?, content_type = ?, "
                    "error = ?, outcome = ? WHERE id = ?")
              .Text(CallStatusName(call.status))
              .Number(call.started)
              .Number(call.finished)
              .Number(static_cast<int64_t>(result.size()))
              .Text(call.content_type)
              .Text(call.error)
              .Text(call.outcome)
              .Text(call.id)
              .Run("a call ends"));
  MIG_TRY(Statement(*this, "UPDATE bytes SET payload = NULL, result = ? WHERE id = ?")
              .Blob(result)
              .Text(call.id)
              .Run("a call ends"));
  // The newest is always kept, whatever its size: somebody waits for it.
  return Statement(
             *this,
             "DELETE FROM calls WHERE sequence IN (SELECT sequence FROM (SELECT sequence, id,"
             "  row_number() OVER newest AS place, sum(result_bytes) OVER newest AS bytes FROM calls"
             "  WHERE user = ?1 AND finished IS NOT NULL WINDOW newest AS (ORDER BY finished DESC, sequence DESC))"
             " WHERE id <> ?4 AND (place > ?2 OR bytes > ?3))")
      .Text(call.user)
      .Number(static_cast<int64_t>(keep.count))
      .Number(static_cast<int64_t>(keep.bytes))
      .Text(call.id)
      .Run("old calls are forgotten");
}

Result<std::vector<StoredCall>> Store::ReadCalls(Statement& statement) {
  std::vector<StoredCall> calls;
  for (;;) {
    MIG_ASSIGN(const bool row, statement.Step("calls are read"));
    if (!row) return calls;
    StoredCall& call = calls.emplace_back();
    call.id = statement.ReadText();
    call.user = statement.ReadText();
    call.function = statement.ReadText();
    call.status = CallStatusOf(statement.ReadText()).value_or(CallStatus::kLost);
    call.accepted = statement.ReadNumber();
    call.started = statement.ReadNumberOrNull();
    call.finished = statement.ReadNumberOrNull();
    call.timeout_s = statement.ReadRealOrNull();
    call.traceparent = statement.ReadText();
    call.payload_bytes = static_cast<uint64_t>(statement.ReadNumber());
    call.result_bytes = static_cast<uint64_t>(statement.ReadNumber());
    call.content_type = statement.ReadText();
    call.error = statement.ReadText();
    call.outcome = statement.ReadText();
  }
}

Result<StoredCall> Store::Call(const std::string& id) {
  Statement statement(*this, "SELECT " MIG_CALL_COLUMNS " FROM calls WHERE id = ?");
  MIG_ASSIGN(std::vector<StoredCall> calls, ReadCalls(statement.Text(id)));
  if (calls.empty()) return Fail(Code::kNotFound, "There is no call [{}], or it is no longer kept.", id);
  return std::move(calls.front());
}

Result<std::string> Store::CallPayload(const std::string& id) {
  Statement statement(*this, "SELECT payload FROM bytes WHERE id = ? AND payload IS NOT NULL");
  MIG_ASSIGN(const bool row, statement.Text(id).Step("a payload is read"));
  if (!row) return Fail(Code::kNotFound, "Call [{}] has no payload (any more).", id);
  return statement.ReadText();
}

Result<std::string> Store::CallResult(const std::string& id) {
  Statement statement(*this, "SELECT result FROM bytes WHERE id = ? AND result IS NOT NULL");
  MIG_ASSIGN(const bool row, statement.Text(id).Step("a result is read"));
  if (!row) return Fail(Code::kNotFound, "Call [{}] has no result (any more).", id);
  return statement.ReadText();
}

Result<std::vector<StoredCall>> Store::Calls(const CallFilter& filter) {
  Statement statement(*this, "SELECT " MIG_CALL_COLUMNS
                             " FROM calls WHERE (?1 = '' OR user = ?1) AND (?2 = '' OR function = ?2) AND (?3 = '' OR "
                             "status = ?3) ORDER BY sequence DESC LIMIT ?4");
  statement.Text(filter.user)
      .Text(filter.function)
      .Text(filter.status ? CallStatusName(*filter.status) : "")
      .Number(filter.limit);
  return ReadCalls(statement);
}

Result<std::vector<StoredCall>> Store::QueuedCalls() {
  Statement statement(*this, "SELECT " MIG_CALL_COLUMNS " FROM calls WHERE status = 'queued' ORDER BY sequence");
  return ReadCalls(statement);
}

Result<int> Store::LoseRunningCalls(std::string_view error) {
  MIG_TRY(Begin());
  const auto lose = [&]() -> Result<int> {
    MIG_TRY(
        Statement(*this, "UPDATE bytes SET payload = NULL WHERE id IN (SELECT id FROM calls WHERE status = 'running')")
            .Run("calls are lost"));
    MIG_TRY(Statement(*this, "UPDATE calls SET status = 'lost', finished = ?, error = ? WHERE status = 'running'")
                .Number(WallNow())
                .Text(error)
                .Run("calls are lost"));
    const int lost = sqlite3_changes(database_);
    MIG_TRY(Commit());
    return lost;
  };
  auto lost = lose();
  if (!lost) Rollback();
  return lost;
}

Result<> Store::ForgetCalls(WallTime finished_before) {
  return Statement(*this, "DELETE FROM calls WHERE finished IS NOT NULL AND finished < ?")
      .Number(finished_before)
      .Run("old calls are forgotten");
}

Result<> Store::Begin() {
  return Statement(*this, "BEGIN").Run("a transaction begins");
}

Result<> Store::Commit() {
  return Statement(*this, "COMMIT").Run("a transaction is written");
}

Result<> Store::Save() {
  return Execute("SAVEPOINT part");
}

Result<> Store::KeepSaved() {
  return Execute("RELEASE part");
}

Result<> Store::UndoSaved() {
  return Execute("ROLLBACK TO part; RELEASE part");
}

void Store::Rollback() {
  if (sqlite3_get_autocommit(database_) == 0) (void)Statement(*this, "ROLLBACK").Run("a transaction is undone");
}

}  // namespace mignificient::node
