#include "controlplane/store/sqlite_store.h"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <system_error>
#include <unistd.h>

#include <sqlite3.h>

#include "controlplane/store/sqlite_error.h"
#include "controlplane/store/sqlite_restore.h"
#include "controlplane/store/sqlite_schema.h"
#include "controlplane/store/sqlite_statement.h"

namespace guideway::store {
namespace {

constexpr std::uint64_t kFrameBytes = 4096 + 24;

}  // namespace

struct SqliteStore::Statements {
    Statement begin_read, begin_write, commit, counters, set_counter, put, revision_of, remove, bury, records, changed,
        gone;

    int prepare(sqlite3* database) {
        const std::pair<Statement*, const char*> all[] = {
            {&begin_read, "BEGIN"},
            {&begin_write, "BEGIN IMMEDIATE"},
            {&commit, "COMMIT"},
            {&counters, "SELECT name, value FROM counters"},
            {&set_counter, "UPDATE counters SET value=?2 WHERE name=?1"},
            {&put,
             "INSERT INTO records VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(kind, key) DO UPDATE SET"
             " document=excluded.document, revision=excluded.revision, lease=excluded.lease"},
            {&revision_of, "SELECT revision FROM records WHERE kind=?1 AND key=?2"},
            {&remove, "DELETE FROM records WHERE kind=?1 AND key=?2"},
            {&bury, "INSERT INTO tombstones VALUES(?1, ?2, ?3)"},
            {&records, "SELECT kind, key, document, revision, lease FROM records ORDER BY kind, key"},
            {&changed,
             "SELECT kind, key, document, revision, lease FROM records WHERE revision > ?1 ORDER BY kind, key"},
            {&gone,
             "SELECT kind, key, max(revision) FROM tombstones t WHERE revision > ?1 AND NOT EXISTS"
             " (SELECT 1 FROM records r WHERE r.kind=t.kind AND r.key=t.key) GROUP BY kind, key ORDER BY kind, key"}};
        for (const auto& [statement, sql] : all) {
            if (const int code = statement->prepare(database, sql); code != SQLITE_OK) return code;
        }
        return SQLITE_OK;
    }
};

SqliteStore::SqliteStore(std::unique_ptr<StoreLock> lock, std::string path, SqliteOptions options)
    : lock_(std::move(lock)), path_(std::move(path)), options_(std::move(options)) {}

std::variant<std::unique_ptr<SqliteStore>, Error> SqliteStore::open(const std::string& path, SqliteOptions options) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) return system_error(EISDIR, "opening", path);
    auto taken = StoreLock::take(path);
    if (auto* error = std::get_if<Error>(&taken)) return std::move(*error);
    if (auto error = finish_restore(path)) return std::move(*error);
    return open_locked(std::move(std::get<std::unique_ptr<StoreLock>>(taken)), path, std::move(options));
}

std::variant<std::unique_ptr<SqliteStore>, Error> SqliteStore::open_locked(std::unique_ptr<StoreLock> lock,
                                                                           const std::string& path,
                                                                           SqliteOptions options) {
    // Made here first, so that the mode does not depend on the umask and the error is the system's own.
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return system_error(errno, "opening", path);
    ::close(file);
    std::unique_ptr<SqliteStore> store(new SqliteStore(std::move(lock), path, std::move(options)));
    if (auto error = store->start()) return std::move(*error);
    return store;
}

SqliteStore::~SqliteStore() {
    statements_.reset();
    sqlite3_close(database_);  // before the lock: empties the log and takes it away
}

std::optional<Error> SqliteStore::start() {
    // Absolute, as SQLite takes some names (":memory:") for a database that is no file and forgets all.
    std::error_code ignored;
    const std::string file = std::filesystem::absolute(path_, ignored).string();
    int code = sqlite3_open_v2(file.c_str(), &database_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    if (code != SQLITE_OK) return failure(code, "opening");
    sqlite3_extended_result_codes(database_, 1);
    sqlite3_busy_timeout(database_, static_cast<int>(options_.busy_timeout.count()));
    if (auto error = prepare_schema(database_, path_, options_.max_bytes)) return error;
    sqlite3_wal_hook(
        database_,
        [](void* self, sqlite3*, const char*, int frames) {
            static_cast<SqliteStore*>(self)->log_frames_ = static_cast<std::uint64_t>(frames);
            return SQLITE_OK;
        },
        this);
    statements_ = std::make_unique<Statements>();
    if (code = statements_->prepare(database_); code != SQLITE_OK) return failure(code, "opening");
    Counters counters;
    if (auto error = read_counters(counters)) return error;
    revision_ = counters.revision;
    Statement count(database_, "SELECT count(*) FROM tombstones");
    if (code = count.step(); code != SQLITE_ROW) return failure(code, "reading");
    tombstones_ = count.number(0);
    count.reset();
    Statement leases(database_, "SELECT id, ttl_ms FROM leases");
    while ((code = leases.step()) == SQLITE_ROW) {
        const std::chrono::milliseconds ttl(leases.number(1));
        leases_.emplace(leases.number(0), Lease{ttl, options_.now() + ttl});
    }
    if (code != SQLITE_DONE) return failure(code, "reading");
    return std::nullopt;
}

template <class Body>
std::optional<Error> SqliteStore::read(Body body) {
    if (const int code = statements_->begin_read.run(); code != SQLITE_DONE) return failure(code, "reading");
    std::optional<Error> error = body();
    if (const int code = statements_->commit.run(); code != SQLITE_DONE) {
        if (!error) error = failure(code, "reading");
        sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
    }
    return error;
}

template <class Body>
std::optional<Error> SqliteStore::write(Body body) {
    if (auto error = settle()) return error;
    if (auto error = bound_log()) return error;
    if (const int code = statements_->begin_write.run(); code != SQLITE_DONE) return failure(code, "writing");
    const std::uint64_t tombstones = tombstones_;
    if (auto error = body()) {
        sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
        tombstones_ = tombstones;
        return error;
    }
    if (const int code = statements_->commit.run(); code != SQLITE_DONE) {
        tombstones_ = tombstones;
        return commit_failure(code);
    }
    if (log_frames_ >= options_.checkpoint_pages) checkpoint();  // a failure is told by bound_log(), when it matters
    return std::nullopt;
}

/// After a COMMIT that failed: rolls back, and shuts the batch out where it might be on disk.
Error SqliteStore::commit_failure(int code) {
    Error error = sqlite_error(database_, code, "writing", path_, Failed::commit);
    sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
    // Where a write failed, the commit mark, which comes last, is not whole. Anything else may have failed after it.
    unsettled_ = code != SQLITE_FULL && code != SQLITE_IOERR_WRITE;
    if (!settle()) {
        error.message += "; nothing was changed";
        return error;
    }
    error.kind = ErrorKind::unknown;
    error.message +=
        "; whether the change would be there after a crash is not known: it counts as not made, and the store makes "
        "sure of "
        "that before the next change";
    return error;
}

std::optional<Error> SqliteStore::settle() {
    if (!unsettled_) return std::nullopt;
    if (sqlite3_exec(database_, "BEGIN IMMEDIATE; UPDATE counters SET value=value+1 WHERE name='settled'; COMMIT",
                     nullptr, nullptr, nullptr) != SQLITE_OK) {
        Error error = sqlite_error(database_, sqlite3_extended_errcode(database_), "writing", path_, Failed::commit);
        sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
        return error;
    }
    Statement check(database_, "PRAGMA quick_check(1)");
    if (const int code = check.step(); code != SQLITE_ROW) return failure(code, "reading");
    if (const std::string verdict = check.text(0); verdict != "ok") {
        return Error{ErrorKind::corrupt, "the store " + path_ + " is damaged (" + verdict + "); restore a backup"};
    }
    check.reset();
    Counters counters;
    if (auto error = read_counters(counters)) return error;
    if (counters.revision != revision_) {
        return Error{ErrorKind::corrupt, "the store " + path_ + " is at revision " + std::to_string(counters.revision) +
                                             " after a fault of its disk, not " + std::to_string(revision_) +
                                             "; restart guideway-controlplane"};
    }
    unsettled_ = false;
    return std::nullopt;
}

std::optional<Error> SqliteStore::checkpoint() {
    int frames = 0;
    int moved = 0;
    const int code = sqlite3_wal_checkpoint_v2(database_, nullptr, SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
    if (code != SQLITE_OK) return failure(code, "writing");
    if (frames == moved) log_frames_ = 0;  // the next commit begins the log anew
    return std::nullopt;
}

std::optional<Error> SqliteStore::bound_log() {
    if (log_frames_ * kFrameBytes < kLogBytes) return std::nullopt;
    return checkpoint();
}

std::optional<Error> SqliteStore::load(Contents& contents) {
    expire();  // where it cannot be written, what is on disk counts
    Contents found;
    auto error = read([&]() -> std::optional<Error> {
        Counters counters;
        if (auto bad = read_counters(counters)) return bad;
        found.revision = counters.revision;
        found.generation = counters.generation;
        Statement& records = statements_->records;
        int code = SQLITE_OK;
        while ((code = records.step()) == SQLITE_ROW) {
            found.records.push_back(
                {records.text(0), records.text(1), records.text(2), records.number(3), records.number(4)});
        }
        records.reset();
        if (code != SQLITE_DONE) return failure(code, "reading");
        return std::nullopt;
    });
    if (!error) contents = std::move(found);
    return error;
}

std::optional<Error> SqliteStore::changes_since(std::uint64_t revision, Changes& changes) {
    expire();
    Changes found;
    auto error = read([&]() -> std::optional<Error> {
        Counters counters;
        if (auto bad = read_counters(counters)) return bad;
        found.revision = counters.revision;
        found.generation = counters.generation;
        if (revision == counters.revision) return std::nullopt;
        if (revision > counters.revision || revision < counters.compacted) {
            return Error{ErrorKind::compacted, "changes since revision " + std::to_string(revision) +
                                                   " are not known; the store " + path_ + " knows those from " +
                                                   std::to_string(counters.compacted) + " to " +
                                                   std::to_string(counters.revision) + ": load everything"};
        }
        Statement& changed = statements_->changed;
        changed.bind(1, revision);
        int code = SQLITE_OK;
        while ((code = changed.step()) == SQLITE_ROW) {
            found.written.push_back(
                {changed.text(0), changed.text(1), changed.text(2), changed.number(3), changed.number(4)});
        }
        changed.reset();
        if (code != SQLITE_DONE) return failure(code, "reading");
        Statement& gone = statements_->gone;
        gone.bind(1, revision);
        while ((code = gone.step()) == SQLITE_ROW) found.gone.push_back({gone.text(0), gone.text(1), gone.number(2)});
        gone.reset();
        if (code != SQLITE_DONE) return failure(code, "reading");
        return std::nullopt;
    });
    if (!error) changes = std::move(found);
    return error;
}

std::optional<Error> SqliteStore::commit(const Batch& batch) {
    if (auto error = check(batch)) return error;
    if (auto error = expire()) return error;
    for (const Change& change : batch.changes) {
        if (change.document && change.lease != kNoLease && !leases_.contains(change.lease)) {
            return Error{ErrorKind::no_lease, "the lease " + std::to_string(change.lease) + " of " + change.kind + " " +
                                                  change.key + " has ended; nothing was written"};
        }
    }
    auto error = write([&]() -> std::optional<Error> {
        Counters counters;
        if (auto bad = read_counters(counters)) return bad;
        if (auto bad = expect(counters, batch.after_revision)) return bad;
        for (const Expectation& expectation : batch.expectations) {
            if (auto bad = expect(expectation)) return bad;
        }
        for (const Change& change : batch.changes) {
            auto bad = change.document ? put({change.kind, change.key, *change.document, batch.revision, change.lease})
                                       : take_away(change.kind, change.key, batch.revision);
            if (bad) return bad;
        }
        if (auto bad = set_counter("revision", batch.revision)) return bad;
        if (batch.generation == counters.generation) return forget_old_tombstones();
        if (auto bad = set_counter("generation", batch.generation)) return bad;
        return forget_old_tombstones();
    });
    if (error) return error;
    revision_ = batch.revision;
    if (notify_) notify_(revision_);
    return std::nullopt;
}

std::optional<Error> SqliteStore::replace(const Contents& contents, std::uint64_t after_revision) {
    if (auto error = check(contents, after_revision)) return error;
    if (auto error = expire()) return error;
    auto error = write([&]() -> std::optional<Error> {
        Counters counters;
        if (auto bad = read_counters(counters)) return bad;
        if (auto bad = expect(counters, after_revision)) return bad;
        if (const int code = sqlite3_exec(database_, "DELETE FROM records; DELETE FROM tombstones; DELETE FROM leases",
                                          nullptr, nullptr, nullptr);
            code != SQLITE_OK) {
            return failure(code, "writing");
        }
        tombstones_ = 0;
        for (const Record& record : contents.records) {
            if (auto bad = put(record)) return bad;
        }
        for (const auto& [name, value] : {std::pair{"revision", contents.revision},
                                          {"generation", contents.generation},
                                          {"compacted", contents.revision}}) {
            if (auto bad = set_counter(name, value)) return bad;
        }
        return std::nullopt;
    });
    if (error) return error;
    leases_.clear();
    revision_ = contents.revision;
    if (notify_) notify_(revision_);
    return std::nullopt;
}

std::optional<Error> SqliteStore::read_counters(Counters& counters) {
    Statement& statement = statements_->counters;
    int code = SQLITE_OK;
    while ((code = statement.step()) == SQLITE_ROW) {
        const std::string name = statement.text(0);
        if (name == "revision") counters.revision = statement.number(1);
        if (name == "generation") counters.generation = statement.number(1);
        if (name == "compacted") counters.compacted = statement.number(1);
        if (name == "lease") counters.lease = statement.number(1);
    }
    statement.reset();
    if (code != SQLITE_DONE) return failure(code, "reading");
    return std::nullopt;
}

std::optional<Error> SqliteStore::set_counter(std::string_view name, std::uint64_t value) {
    statements_->set_counter.bind(1, name);
    statements_->set_counter.bind(2, value);
    const int code = statements_->set_counter.run();
    return code == SQLITE_DONE ? std::nullopt : std::optional(failure(code, "writing"));
}

std::optional<Error> SqliteStore::expect(const Counters& counters, std::uint64_t after_revision) {
    if (counters.revision == after_revision) return std::nullopt;
    return Error{ErrorKind::conflict, "the store " + path_ + " is at revision " + std::to_string(counters.revision) +
                                          ", not " + std::to_string(after_revision) +
                                          ": something else was written to it meanwhile; nothing was written"};
}

std::optional<Error> SqliteStore::expect(const Expectation& expectation) {
    Statement& statement = statements_->revision_of;
    statement.bind(1, expectation.kind);
    statement.bind(2, expectation.key);
    const int code = statement.step();
    const std::uint64_t found = code == SQLITE_ROW ? statement.number(0) : 0;
    statement.reset();
    if (code != SQLITE_ROW && code != SQLITE_DONE) return failure(code, "reading");
    if (found == expectation.revision) return std::nullopt;
    return Error{ErrorKind::conflict, expectation.kind + " " + expectation.key + " is at revision " +
                                          std::to_string(found) + ", not " + std::to_string(expectation.revision) +
                                          "; nothing was written"};
}

std::optional<Error> SqliteStore::put(const Record& record) {
    Statement& statement = statements_->put;
    statement.bind(1, record.kind);
    statement.bind(2, record.key);
    statement.bind(3, record.document);
    statement.bind(4, record.revision);
    statement.bind(5, record.lease);
    const int code = statement.run();
    return code == SQLITE_DONE ? std::nullopt : std::optional(failure(code, "writing"));
}

std::optional<Error> SqliteStore::take_away(const std::string& kind, const std::string& key, std::uint64_t revision) {
    Statement& remove = statements_->remove;
    remove.bind(1, kind);
    remove.bind(2, key);
    int code = remove.run();
    if (code != SQLITE_DONE) return failure(code, "writing");
    if (sqlite3_changes(database_) == 0) return std::nullopt;
    Statement& bury = statements_->bury;
    bury.bind(1, revision);
    bury.bind(2, kind);
    bury.bind(3, key);
    if (code = bury.run(); code != SQLITE_DONE) return failure(code, "writing");
    ++tombstones_;
    return std::nullopt;
}

std::optional<Error> SqliteStore::forget_old_tombstones() {
    const std::uint64_t keep = options_.max_tombstones;
    if (tombstones_ <= keep + keep / 10) return std::nullopt;
    Statement oldest(database_, "SELECT revision FROM tombstones ORDER BY revision DESC LIMIT 1 OFFSET ?1");
    oldest.bind(1, keep);
    if (const int code = oldest.step(); code != SQLITE_ROW) return failure(code, "reading");
    const std::uint64_t last = oldest.number(0);
    oldest.reset();
    Statement forget(database_, "DELETE FROM tombstones WHERE revision <= ?1");
    forget.bind(1, last);
    if (const int code = forget.run(); code != SQLITE_DONE) return failure(code, "writing");
    tombstones_ -= static_cast<std::uint64_t>(sqlite3_changes(database_));
    return set_counter("compacted", last);
}

Error SqliteStore::failure(int code, const char* doing) const { return sqlite_error(database_, code, doing, path_); }

std::variant<LeaseId, Error> SqliteStore::grant_lease(std::chrono::milliseconds ttl) {
    if (auto error = check_lease_time(ttl)) return std::move(*error);
    if (auto error = expire()) return std::move(*error);
    LeaseId id = kNoLease;
    auto error = write([&]() -> std::optional<Error> {
        Counters counters;
        if (auto bad = read_counters(counters)) return bad;
        id = counters.lease + 1;
        Statement grant(database_, "INSERT INTO leases VALUES(?1, ?2)");
        grant.bind(1, id);
        grant.bind(2, static_cast<std::uint64_t>(ttl.count()));
        if (const int code = grant.run(); code != SQLITE_DONE) return failure(code, "writing");
        return set_counter("lease", id);
    });
    if (error) return std::move(*error);
    leases_.emplace(id, Lease{ttl, options_.now() + ttl});
    return id;
}

std::optional<Error> SqliteStore::keep_alive(LeaseId lease) {
    if (auto error = expire()) return error;
    const auto at = leases_.find(lease);
    if (at == leases_.end()) {
        return Error{ErrorKind::no_lease, "the lease " + std::to_string(lease) + " has ended; ask for another"};
    }
    at->second.end = options_.now() + at->second.ttl;
    return std::nullopt;
}

std::optional<Error> SqliteStore::revoke_lease(LeaseId lease) {
    if (auto error = expire()) return error;
    if (!leases_.contains(lease)) {
        return Error{ErrorKind::no_lease, "the lease " + std::to_string(lease) + " has ended already"};
    }
    return end_leases({lease});
}

std::optional<Error> SqliteStore::expire() {
    if (leases_.empty()) return std::nullopt;
    std::vector<LeaseId> over;
    const auto now = options_.now();
    for (const auto& [id, lease] : leases_) {
        if (lease.end <= now) over.push_back(id);
    }
    return over.empty() ? std::nullopt : end_leases(over);
}

std::optional<Error> SqliteStore::end_leases(const std::vector<LeaseId>& leases) {
    Counters counters;
    bool vanished = false;
    auto error = write([&]() -> std::optional<Error> {
        if (auto bad = read_counters(counters)) return bad;
        const std::uint64_t before = tombstones_;
        for (const LeaseId lease : leases) {
            if (auto bad = vanish(lease, counters.revision + 1)) return bad;
        }
        vanished = tombstones_ != before;
        if (!vanished) return std::nullopt;
        if (auto bad = set_counter("revision", counters.revision + 1)) return bad;
        return forget_old_tombstones();
    });
    if (error) return error;
    for (const LeaseId lease : leases) leases_.erase(lease);
    if (!vanished) return std::nullopt;
    revision_ = counters.revision + 1;
    if (notify_) notify_(revision_);
    return std::nullopt;
}

std::optional<Error> SqliteStore::vanish(LeaseId lease, std::uint64_t revision) {
    std::vector<std::pair<std::string, std::string>> bound;
    Statement find(database_, "SELECT kind, key FROM records WHERE lease=?1");
    find.bind(1, lease);
    int code = SQLITE_OK;
    while ((code = find.step()) == SQLITE_ROW) bound.emplace_back(find.text(0), find.text(1));
    find.reset();
    if (code != SQLITE_DONE) return failure(code, "reading");
    for (const auto& [kind, key] : bound) {
        if (auto error = take_away(kind, key, revision)) return error;
    }
    Statement end(database_, "DELETE FROM leases WHERE id=?1");
    end.bind(1, lease);
    if (code = end.run(); code != SQLITE_DONE) return failure(code, "writing");
    return std::nullopt;
}

}  // namespace guideway::store
