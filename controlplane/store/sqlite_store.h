// SqliteStore: the store in one SQLite file. Write-ahead log, synchronous=FULL: a commit is on disk when it returns, and a
// crash at any instant leaves all of it or none.
//
// The file carries an application id and a schema version (sqlite_schema.h); another program's file, or one written by a newer
// version, is refused untouched. At the start the whole file is checked for damage. It is held for the life of the object: by
// NAME.lock against a second control plane (`in_use`), by SQLite's exclusive lock against other programs.
//
// Faults of the disk. Nothing needs a restart; reads go on; once the fault is over the next commit works.
//   no space (ENOSPC, EDQUOT, the size limit)   `full`. The commit mark is the last thing written, so nothing of the batch counts.
//   not writable (EROFS)                        `read_only`, likewise.
//   fsync fails at the commit                   The batch, with its mark, may or may not be in the log on disk, and the kernel may have
//     dropped the pages: a second fsync that succeeds proves nothing. But all that is answered was synced before, and the failed batch
//     stands behind it. So the store goes on as if it is not there (this is also what SQLite's index of the log says) and at once writes
//     and syncs a small mark in its place, which shuts it out for ever: what comes after the mark in the log no longer fits its
//     checksums. Where that works the answer is `unavailable` and nothing was written; else `unknown`, and each later commit tries
//     the mark first. Before the first commit after it, the file is checked and must be at the revision last answered.
//   a checkpoint fails (log -> file)            Not the commit's fault: all is in the log, the next checkpoint writes it again. Past
//     kLogBytes of log without one, commits are refused with the checkpoint's reason.
//
// Size: the file up to max_bytes (freed pages are used again), the log beside it up to about kLogBytes beyond the largest single batch,
// kept deletions (for changes_since) up to max_tombstones.
// Leases: of this process, by the clock in the options; deadlines start anew at open(). What has ended vanishes at the next call.
// Thread contract: as Store.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "controlplane/store/store.h"
#include "controlplane/store/store_lock.h"

struct sqlite3;

namespace guideway::store {

struct SqliteOptions {
    /// How long open() waits for another program (sqlite3 in a shell) before it answers `busy`.
    std::chrono::milliseconds busy_timeout{2000};
    /// Largest size of the file in bytes; 0: no limit but the disk's. A file that is larger already does not grow.
    std::uint64_t max_bytes = std::uint64_t{1} << 30;
    /// So many deletions are remembered for changes_since(), and up to a tenth more.
    std::uint64_t max_tombstones = 10'000;
    /// Pages of 4 KiB in the log after which they are moved into the file. That takes as long as a random write of them all, and commits
    /// wait meanwhile: 32 MiB are seldom enough that the 99th percentile of a commit of 32 records does not know of it, and a page that is
    /// written often moves once.
    std::uint64_t checkpoint_pages = 8000;
    std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
};

class SqliteStore final : public Store {
  public:
    /// Version of the tables; grows with each change that an older program could not read.
    static constexpr int kSchema = 2;
    static constexpr int kApplicationId = 0x47575931;  // "GWY1"
    static constexpr std::uint64_t kLogBytes = std::uint64_t{64} << 20;

    /// Creates the file (mode 0600) where there is none; its folder must exist. Ends an interrupted restore (sqlite_restore.h).
    static std::variant<std::unique_ptr<SqliteStore>, Error> open(const std::string& path, SqliteOptions options = {});
    ~SqliteStore() override;
    SqliteStore(const SqliteStore&) = delete;
    SqliteStore& operator=(const SqliteStore&) = delete;

    std::optional<Error> load(Contents& contents) override;
    std::optional<Error> commit(const Batch& batch) override;
    std::optional<Error> replace(const Contents& contents, std::uint64_t after_revision) override;
    std::optional<Error> changes_since(std::uint64_t revision, Changes& changes) override;
    void on_change(std::function<void(std::uint64_t)> notify) override { notify_ = std::move(notify); }
    std::variant<LeaseId, Error> grant_lease(std::chrono::milliseconds ttl) override;
    std::optional<Error> keep_alive(LeaseId lease) override;
    std::optional<Error> revoke_lease(LeaseId lease) override;

  private:
    struct Statements;
    struct Lease {
        std::chrono::milliseconds ttl;
        std::chrono::steady_clock::time_point end;
    };
    struct Counters {
        std::uint64_t revision = 0;
        std::uint64_t generation = 0;
        std::uint64_t compacted = 0;
        std::uint64_t lease = 0;
    };
    friend class SqliteRestore;

    SqliteStore(std::unique_ptr<StoreLock> lock, std::string path, SqliteOptions options);
    /// The file under the lock; `lock` may be none where the caller holds it.
    static std::variant<std::unique_ptr<SqliteStore>, Error> open_locked(std::unique_ptr<StoreLock> lock,
                                                                         const std::string& path,
                                                                         SqliteOptions options);
    std::optional<Error> start();

    // Transactions: begin, body, commit; rolled back on an error.
    template <class Body>
    std::optional<Error> read(Body body);
    template <class Body>
    std::optional<Error> write(Body body);
    std::optional<Error> settle();
    std::optional<Error> bound_log();
    std::optional<Error> checkpoint();
    Error commit_failure(int code);

    // Within a transaction.
    std::optional<Error> read_counters(Counters& counters);
    std::optional<Error> set_counter(std::string_view name, std::uint64_t value);
    std::optional<Error> expect(const Counters& counters, std::uint64_t after_revision);
    std::optional<Error> expect(const Expectation& expectation);
    std::optional<Error> put(const Record& record);
    std::optional<Error> take_away(const std::string& kind, const std::string& key, std::uint64_t revision);
    std::optional<Error> forget_old_tombstones();
    std::optional<Error> vanish(LeaseId lease, std::uint64_t revision);

    /// Ends the leases whose time is over.
    std::optional<Error> expire();
    std::optional<Error> end_leases(const std::vector<LeaseId>& leases);
    Error failure(int code, const char* doing) const;

    std::unique_ptr<StoreLock> lock_;
    std::string path_;
    SqliteOptions options_;
    sqlite3* database_ = nullptr;
    std::unique_ptr<Statements> statements_;
    std::function<void(std::uint64_t)> notify_;
    std::map<LeaseId, Lease> leases_;
    std::uint64_t revision_ = 0;    ///< last one known to be on disk
    std::uint64_t tombstones_ = 0;  ///< rows
    std::uint64_t log_frames_ = 0;  ///< pages in the log
    bool unsettled_ = false;        ///< a batch whose fsync failed may stand behind the log's end
};

}  // namespace guideway::store
