#include "controlplane/store/sqlite_schema.h"

#include <algorithm>
#include <utility>

#include "controlplane/store/sqlite_error.h"
#include "controlplane/store/sqlite_statement.h"
#include "controlplane/store/sqlite_store.h"

namespace guideway::store {
namespace {

// With row ids: in a table without, a row of more than a quarter of a page spills into a page of its own, and a document is that
// long. So a new version of a record touches one page.
#define GUIDEWAY_RECORDS                                                                  \
    "CREATE TABLE records(kind TEXT NOT NULL, key TEXT NOT NULL, document TEXT NOT NULL," \
    " revision INTEGER NOT NULL, lease INTEGER NOT NULL, UNIQUE(kind, key));"
constexpr const char* kRecords = GUIDEWAY_RECORDS
    "CREATE TABLE counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO counters VALUES('revision', 0), ('generation', 0);";
constexpr const char* kFromVersion1 =
    "ALTER TABLE records RENAME TO records_of_1;" GUIDEWAY_RECORDS
    // Which batch wrote each record was not kept: none is later than the store's revision.
    "INSERT INTO records SELECT kind, key, document, (SELECT value FROM counters WHERE name='revision'), 0 FROM "
    "records_of_1;"
    "DROP TABLE records_of_1;";
constexpr const char* kNewIn2 =
    "CREATE TABLE tombstones(revision INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,"
    " PRIMARY KEY(revision, kind, key)) WITHOUT ROWID;"
    "CREATE TABLE leases(id INTEGER PRIMARY KEY, ttl_ms INTEGER NOT NULL);"
    "INSERT INTO counters VALUES('lease', 0), ('settled', 0),"
    " ('compacted', (SELECT value FROM counters WHERE name='revision'));";

class Preparation {
  public:
    Preparation(sqlite3* database, const std::string& path) : database_(database), path_(path) {}

    std::optional<Error> execute(const std::string& sql, const char* doing = "writing") {
        const int code = sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr);
        if (code == SQLITE_OK) return std::nullopt;
        return sqlite_error(database_, code, doing, path_);
    }

    std::optional<Error> read(const char* sql, std::uint64_t& number, std::string* text = nullptr) {
        Statement statement(database_, sql);
        if (const int code = statement.step(); code != SQLITE_ROW) {
            return sqlite_error(database_, code, "reading", path_);
        }
        number = statement.number(0);
        if (text != nullptr) *text = statement.text(0);
        return std::nullopt;
    }

    std::optional<Error> whole(const std::string& statements) {
        auto error = execute("BEGIN IMMEDIATE; " + statements +
                             "PRAGMA application_id=" + std::to_string(SqliteStore::kApplicationId) +
                             "; PRAGMA user_version=" + std::to_string(SqliteStore::kSchema) + "; COMMIT");
        if (error) sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
        return error;
    }

  private:
    sqlite3* database_;
    const std::string& path_;
};

}  // namespace

std::optional<Error> prepare_schema(sqlite3* database, const std::string& path, std::uint64_t max_bytes) {
    Preparation prepare(database, path);
    // Exclusive before the log is first touched: its index then needs no shared file, and no stranger's transaction can keep
    // the log from being emptied.
    if (auto error = prepare.execute("PRAGMA locking_mode=EXCLUSIVE", "opening")) return error;
    std::uint64_t application = 0;
    std::uint64_t schema = 0;
    std::uint64_t tables = 0;
    for (const auto& [sql, into] : {std::pair{"PRAGMA application_id", &application},
                                    {"PRAGMA user_version", &schema},
                                    {"SELECT count(*) FROM sqlite_master", &tables}}) {
        if (auto error = prepare.read(sql, *into)) return error;
    }
    if (tables > 0 && application != SqliteStore::kApplicationId) {
        return Error{ErrorKind::corrupt, path + " is a database of another program; give the store a file of its own"};
    }
    if (schema > SqliteStore::kSchema) {
        return Error{ErrorKind::newer,
                     "the store " + path + " has schema " + std::to_string(schema) +
                         ", written by a newer version of guideway-controlplane; this version knows up to " +
                         std::to_string(SqliteStore::kSchema) +
                         ": install the newer version again, or restore a backup"};
    }
    std::uint64_t ignored = 0;
    std::string verdict;
    if (auto error = prepare.read("PRAGMA quick_check(1)", ignored, &verdict)) return error;
    if (verdict != "ok") {
        return Error{ErrorKind::corrupt, "the store " + path + " is damaged (" + verdict + "); restore a backup"};
    }
    if (auto error = prepare.read("PRAGMA journal_mode=WAL", ignored, &verdict)) return error;
    if (verdict != "wal") {
        return Error{ErrorKind::unavailable, "the store " + path +
                                                 " cannot have a write-ahead log; found journal mode " + verdict +
                                                 ": use a local file system"};
    }
    for (const char* setting : {"PRAGMA synchronous=FULL", "PRAGMA wal_autocheckpoint=0", "PRAGMA cell_size_check=ON",
                                // 64 MiB of pages: most of a store, so that a commit reads nothing.
                                "PRAGMA cache_size=-65536", "PRAGMA trusted_schema=OFF"}) {
        if (auto error = prepare.execute(setting)) return error;
    }
    if (auto error = prepare.execute("PRAGMA journal_size_limit=" + std::to_string(SqliteStore::kLogBytes)))
        return error;
    if (max_bytes != 0) {
        std::uint64_t page = 0;
        if (auto error = prepare.read("PRAGMA page_size", page)) return error;
        // SQLite never takes less than what the file already has.
        const std::string pages = std::to_string(std::max<std::uint64_t>(1, max_bytes / page));
        if (auto error = prepare.execute("PRAGMA max_page_count=" + pages)) return error;
    }
    if (tables == 0) return prepare.whole(std::string(kRecords) + kNewIn2);
    if (schema < SqliteStore::kSchema) return prepare.whole(std::string(kFromVersion1) + kNewIn2);
    return std::nullopt;
}

}  // namespace guideway::store
