#include "controlplane/store/sqlite_store.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <sqlite3.h>

namespace guideway::store {
namespace {

/// One prepared statement; finalised on the way out.
class Statement {
  public:
    Statement(sqlite3* database, const char* sql) {
        code_ = sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr);
    }
    ~Statement() { sqlite3_finalize(statement_); }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    int prepared() const { return code_; }
    void bind(int index, const std::string& text) {
        sqlite3_bind_text(statement_, index, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
    }
    void bind(int index, std::uint64_t number) {
        sqlite3_bind_int64(statement_, index, static_cast<sqlite3_int64>(number));
    }
    int step() { return sqlite3_step(statement_); }
    void reset() { sqlite3_reset(statement_); }
    std::string text(int column) const {
        const void* bytes = sqlite3_column_blob(statement_, column);
        const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
        return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), size);
    }
    std::uint64_t number(int column) const {
        return static_cast<std::uint64_t>(sqlite3_column_int64(statement_, column));
    }

  private:
    sqlite3_stmt* statement_ = nullptr;
    int code_;
};

}  // namespace

std::variant<std::unique_ptr<SqliteStore>, Error> SqliteStore::open(const std::string& path, SqliteOptions options) {
    // Made here first, so that the mode does not depend on the umask and the error is the system's own.
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
        const int code = errno;
        return Error{code == EROFS || code == EACCES ? ErrorKind::read_only
                     : code == ENOSPC                ? ErrorKind::full
                                                     : ErrorKind::unavailable,
                     "cannot open the store " + path + ": " + std::strerror(code) +
                         (code == ENOENT ? "; create its folder first" : "")};
    }
    ::close(file);
    sqlite3* database = nullptr;
    // Absolute, as SQLite takes some names (":memory:") for a database that is no file and forgets all.
    std::error_code ignored;
    const std::string file_path = std::filesystem::absolute(path, ignored).string();
    const int code =
        sqlite3_open_v2(file_path.c_str(), &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    std::unique_ptr<SqliteStore> store(new SqliteStore(database, path));
    if (code != SQLITE_OK) return store->failure(code, "opening");
    sqlite3_extended_result_codes(database, 1);
    sqlite3_busy_timeout(database, static_cast<int>(options.busy_timeout.count()));
    if (auto error = store->prepare_schema(options)) return std::move(*error);
    return store;
}

SqliteStore::~SqliteStore() { sqlite3_close(database_); }

std::optional<Error> SqliteStore::prepare_schema(const SqliteOptions& options) {
    std::uint64_t application = 0;
    std::uint64_t schema = 0;
    std::uint64_t tables = 0;
    for (const auto& [sql, into] : {std::pair{"PRAGMA application_id", &application},
                                    {"PRAGMA user_version", &schema},
                                    {"SELECT count(*) FROM sqlite_master", &tables}}) {
        Statement read(database_, sql);
        int code = read.prepared();
        if (code == SQLITE_OK) code = read.step();
        if (code != SQLITE_ROW) return failure(code, "reading");
        *into = read.number(0);
    }
    if (tables > 0 && application != kApplicationId) {
        return Error{ErrorKind::corrupt, path_ + " is a database of another program; give the store a file of its own"};
    }
    if (schema > kSchema) {
        return Error{ErrorKind::newer,
                     "the store " + path_ + " has schema " + std::to_string(schema) +
                         ", written by a newer version of guideway-controlplane; this version knows up to " +
                         std::to_string(kSchema) + ": install the newer version again, or restore a backup"};
    }
    Statement check(database_, "PRAGMA quick_check(1)");
    int code = check.prepared();
    if (code == SQLITE_OK) code = check.step();
    if (code != SQLITE_ROW) return failure(code, "checking");
    if (const std::string verdict = check.text(0); verdict != "ok") {
        return Error{ErrorKind::corrupt, "the store " + path_ + " is damaged (" + verdict + "); restore a backup"};
    }
    check.reset();
    if (auto error = execute("PRAGMA journal_mode=WAL")) return error;
    if (auto error = execute("PRAGMA synchronous=FULL")) return error;
    if (tables == 0) {
        const std::string create =
            "BEGIN IMMEDIATE; PRAGMA application_id=" + std::to_string(kApplicationId) +
            "; PRAGMA user_version=" + std::to_string(kSchema) +
            "; CREATE TABLE records(kind TEXT NOT NULL, key TEXT NOT NULL, document TEXT NOT NULL,"
            " PRIMARY KEY(kind, key)) WITHOUT ROWID;"
            " CREATE TABLE counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
            " INSERT INTO counters VALUES('revision', 0), ('generation', 0); COMMIT";
        if (auto error = execute(create.c_str())) {
            sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
            return error;
        }
    }
    if (options.max_pages != 0) {
        return execute(("PRAGMA max_page_count=" + std::to_string(options.max_pages)).c_str());
    }
    return std::nullopt;
}

std::optional<Error> SqliteStore::load(Contents& contents) {
    Contents read;
    // One transaction, so that records and counters belong together.
    if (auto error = execute("BEGIN")) return error;
    const auto give_up = [&](int code) {
        Error error = failure(code, "reading");
        sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
        return error;
    };
    {
        Statement records(database_, "SELECT kind, key, document FROM records ORDER BY kind, key");
        int code = records.prepared();
        if (code != SQLITE_OK) return give_up(code);
        while ((code = records.step()) == SQLITE_ROW) {
            read.records.push_back({records.text(0), records.text(1), records.text(2)});
        }
        if (code != SQLITE_DONE) return give_up(code);
        Statement counters(database_, "SELECT name, value FROM counters");
        if (code = counters.prepared(); code != SQLITE_OK) return give_up(code);
        while ((code = counters.step()) == SQLITE_ROW) {
            if (counters.text(0) == "revision") read.revision = counters.number(1);
            if (counters.text(0) == "generation") read.generation = counters.number(1);
        }
        if (code != SQLITE_DONE) return give_up(code);
    }
    if (auto error = execute("COMMIT")) return error;
    contents = std::move(read);
    return std::nullopt;
}

std::optional<Error> SqliteStore::commit(const Batch& batch) {
    if (batch.revision <= batch.after_revision) {
        return Error{ErrorKind::conflict, "the revision of a batch must be greater than the one it follows"};
    }
    if (auto error = execute("BEGIN IMMEDIATE")) return error;
    auto error = write(batch);
    if (!error) error = execute("COMMIT");
    if (error) sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
    return error;
}

std::optional<Error> SqliteStore::write(const Batch& batch) {
    Statement revision(database_, "SELECT value FROM counters WHERE name='revision'");
    int code = revision.prepared();
    if (code == SQLITE_OK) code = revision.step();
    if (code != SQLITE_ROW) return failure(code, "reading");
    if (const std::uint64_t found = revision.number(0); found != batch.after_revision) {
        return Error{ErrorKind::conflict,
                     "the store " + path_ + " is at revision " + std::to_string(found) + ", not " +
                         std::to_string(batch.after_revision) +
                         ": another guideway-controlplane wrote to it; stop that one, then restart this one"};
    }
    revision.reset();
    Statement put(database_,
                  "INSERT INTO records VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE SET document=excluded.document");
    Statement remove(database_, "DELETE FROM records WHERE kind=?1 AND key=?2");
    Statement counter(database_, "UPDATE counters SET value=?2 WHERE name=?1");
    for (const Statement* statement : {&put, &remove, &counter}) {
        if (statement->prepared() != SQLITE_OK) return failure(statement->prepared(), "writing");
    }
    for (const Change& change : batch.changes) {
        Statement& statement = change.document ? put : remove;
        statement.reset();
        statement.bind(1, change.kind);
        statement.bind(2, change.key);
        if (change.document) statement.bind(3, *change.document);
        if (code = statement.step(); code != SQLITE_DONE) return failure(code, "writing");
    }
    const std::string names[] = {"revision", "generation"};
    const std::uint64_t values[] = {batch.revision, batch.generation};
    for (int i = 0; i < 2; ++i) {
        counter.reset();
        counter.bind(1, names[i]);
        counter.bind(2, values[i]);
        if (code = counter.step(); code != SQLITE_DONE) return failure(code, "writing");
    }
    return std::nullopt;
}

std::optional<Error> SqliteStore::execute(const char* sql) {
    const int code = sqlite3_exec(database_, sql, nullptr, nullptr, nullptr);
    if (code == SQLITE_OK) return std::nullopt;
    return failure(code, "writing");
}

Error SqliteStore::failure(int code, const std::string& doing) const {
    const std::string what = database_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(database_);
    const std::string start = doing + " the store " + path_ + " failed: " + what;
    switch (code & 0xff) {
        case SQLITE_FULL:
            return {ErrorKind::full, start + "; nothing was changed: make room on its disk"};
        case SQLITE_READONLY:
        case SQLITE_PERM:
            return {ErrorKind::read_only, start + "; nothing was changed: make the file and its folder writable"};
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return {ErrorKind::busy,
                    start + "; nothing was changed: another process holds the store, end it or try again"};
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return {ErrorKind::corrupt, start + "; restore a backup"};
        case SQLITE_IOERR:
            return {ErrorKind::unavailable, start + "; look at the disk and the system's log"};
        default:
            return {ErrorKind::unavailable, start};
    }
}

}  // namespace guideway::store
