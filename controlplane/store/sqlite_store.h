// SqliteStore: the store in one SQLite file. Write-ahead log, synchronous=FULL: a commit is on disk when it returns, and a
// crash at any instant leaves all of it or none.
//
// The file carries an application id and a schema version; another program's file, or one written by a newer version, is
// refused untouched. At the start the whole file is checked for damage.
// Thread contract: as Store.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "controlplane/store/store.h"

struct sqlite3;

namespace guideway::store {

struct SqliteOptions {
    /// How long a commit waits for another process (a backup, sqlite3 in a shell) before it answers `busy`.
    std::chrono::milliseconds busy_timeout{2000};
    /// Largest size of the file; 0: no limit but the disk's. For tests of a full disk.
    std::uint64_t max_pages = 0;
};

class SqliteStore final : public Store {
  public:
    /// Version of the tables; grows with each change that an older program could not read.
    static constexpr int kSchema = 1;
    static constexpr int kApplicationId = 0x47575931;  // "GWY1"

    /// Creates the file (mode 0600) where there is none; its folder must exist.
    static std::variant<std::unique_ptr<SqliteStore>, Error> open(const std::string& path, SqliteOptions options = {});
    ~SqliteStore() override;
    SqliteStore(const SqliteStore&) = delete;
    SqliteStore& operator=(const SqliteStore&) = delete;

    std::optional<Error> load(Contents& contents) override;
    std::optional<Error> commit(const Batch& batch) override;

  private:
    SqliteStore(sqlite3* database, std::string path) : database_(database), path_(std::move(path)) {}
    std::optional<Error> prepare_schema(const SqliteOptions& options);
    std::optional<Error> write(const Batch& batch);
    std::optional<Error> execute(const char* sql);
    Error failure(int code, const std::string& doing) const;

    sqlite3* database_;
    std::string path_;
};

}  // namespace guideway::store
