// Store: what survives the control plane. Records {kind, key, JSON document} and two counters, changed in batches that are
// durable when commit() returns (ipam-rules 20).
//
// Terms
//   revision     grows with each batch; it becomes the resourceVersion of the objects written in it. Every record carries the
//                one it was last written in.
//   generation   that of the ForwardingState made from the records.
//   expectation  the revision that a record must have for a batch to be written; 0: it must not be there.
//   lease        a promise to be alive: records bound to it vanish when it is not kept alive in time.
// A batch names the revision it follows, so that a second writer on the same store is noticed instead of overwritten; `conflict`
// means: catch up with changes_since() (or load() where that is `compacted`), decide again, commit again.
// Every implementation passes tests/unit/controlplane/store/store_contract.h.
//
// Worked example: load() -> {records, revision 7, generation 3}; commit({{put load-balancer default/web}}, revision 8 after 7,
// generation 4); after a crash at any instant, load() gives either all of revision 7 or all of revision 8.
// changes_since(7) -> {written: default/web at 8; revision 8, generation 4}.
//
// How each call stands in etcd v3 (the next implementation). Records are keys PREFIX/records/KIND/KEY whose value holds the
// document and the revision; PREFIX/counters holds {revision, generation} and is put in every batch:
//   load           Range over PREFIX, page by page at the revision of the first page
//   commit         one Txn. Compare: PREFIX/counters has the value of `after_revision`, and each expectation as the mod_revision
//                  that went with it (0: create_revision = 0). Then: Put and DeleteRange, each key once, as etcd demands. (Start
//                  etcd with --max-txn-ops and --max-request-bytes for the largest batch, else it is `invalid`.)
//   commit,        a time-out is `unknown`. The next commit first puts PREFIX/counters anew under the same compare; that settles
//     unknown      it: either the lost batch is shut out for ever, or it is there, and the answer is `conflict`
//   changes_since  Watch of PREFIX from the etcd revision that the store noted when it saw this revision; before that, or where
//                  etcd has compacted it: `compacted`
//   on_change      the same Watch
//   grant_lease, keep_alive, revoke_lease
//                  LeaseGrant, LeaseKeepAlive, LeaseRevoke; a record's lease is the lease of its Put. etcd's expiry deletes the
//                  keys without touching PREFIX/counters; the store puts the next revision there when it sees that. So a batch
//                  that must not overlook an expiry has an expectation for the record.
//   replace        the new records under another PREFIX, then one Txn that makes it the PREFIX in force
// Thread contract: calls from one thread at a time; it may be another one each time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

namespace guideway::store {

/// Largest revision and generation: 2^63 - 1, as in SQLite and etcd.
inline constexpr std::uint64_t kLargestRevision = (std::uint64_t{1} << 63) - 1;

using LeaseId = std::uint64_t;
inline constexpr LeaseId kNoLease = 0;

struct Record {
    std::string kind;            ///< 1..64 bytes
    std::string key;             ///< unique within its kind, 1..1024 bytes
    std::string document;        ///< JSON, up to 8 MiB
    std::uint64_t revision = 0;  ///< of the batch that last wrote it
    LeaseId lease = kNoLease;    ///< vanishes with it
    friend bool operator==(const Record&, const Record&) = default;
};

/// One record written, or taken away where `document` is empty. To take away what is not there changes nothing.
struct Change {
    std::string kind;
    std::string key;
    std::optional<std::string> document;
    LeaseId lease = kNoLease;
};

/// See the terms above.
struct Expectation {
    std::string kind;
    std::string key;
    std::uint64_t revision = 0;
};

struct Batch {
    std::vector<Change> changes;       ///< each (kind, key) at most once
    std::uint64_t after_revision = 0;  ///< the revision this batch follows
    std::uint64_t revision = 0;        ///< the new one; greater
    std::uint64_t generation = 0;
    std::vector<Expectation> expectations = {};
};

struct Contents {
    std::vector<Record> records;  ///< sorted by kind, then key
    std::uint64_t revision = 0;
    std::uint64_t generation = 0;
};

struct Gone {
    std::string kind;
    std::string key;
    std::uint64_t revision = 0;  ///< of the batch that took it away
    friend bool operator==(const Gone&, const Gone&) = default;
};

/// What leads from one revision to a later one. A key stands here once, as it is at `revision`.
struct Changes {
    std::vector<Record> written;  ///< sorted by kind, then key
    std::vector<Gone> gone;       ///< sorted by kind, then key
    std::uint64_t revision = 0;
    std::uint64_t generation = 0;
};

enum class ErrorKind : std::uint8_t {
    unavailable,  ///< cannot be opened, read or written: nothing was written
    full,         ///< no space on the disk, or the size limit: nothing was written
    read_only,    ///< nothing was written
    busy,         ///< another program holds it for a moment: nothing was written
    in_use,       ///< another control plane runs on it
    conflict,     ///< another writer was here, or an expectation is not met: nothing was written
    compacted,    ///< changes since so old a revision are no longer known: load()
    unknown,  ///< the batch may be there after a crash, or not; go on as if it is not. The next commit() settles it: it is written
    ///< (then the unknown one is not there, and never will be) or refused; `conflict` if the unknown one was written
    no_lease,  ///< the lease has ended or was never granted: nothing was written
    invalid,  ///< the request cannot be: a key twice, a revision that does not grow, a text too long. Nothing was written
    corrupt,  ///< the data on disk is damaged
    newer,    ///< written by a newer version of the program
};

std::string_view to_string(ErrorKind kind);

struct Error {
    ErrorKind kind = ErrorKind::unavailable;
    std::string message;  ///< what happened, to which file, and what to do
};

class Store {
  public:
    virtual ~Store() = default;
    /// Everything. On an error `contents` is left as it was.
    virtual std::optional<Error> load(Contents& contents) = 0;
    /// All or nothing, durable on return. On an error nothing was written (but see `unknown`).
    virtual std::optional<Error> commit(const Batch& batch) = 0;
    /// Everything is replaced in one step, as by a batch that follows `after_revision`; `contents.revision` is the new revision.
    /// Records keep the revision they carry (at most the new one); all leases end, and records bound to one are refused.
    virtual std::optional<Error> replace(const Contents& contents, std::uint64_t after_revision) = 0;
    /// What became of the records after `revision`: all of it, or `compacted`. Costs little where nothing did, so it also tells
    /// the store's revision. A revision greater than the store's is `compacted` too: it is of another history.
    virtual std::optional<Error> changes_since(std::uint64_t revision, Changes& changes) = 0;
    /// `notify` is called with the new revision after each change, also by others; from any thread, also from within commit().
    /// It must not call the store. One at a time; an empty one ends it.
    virtual void on_change(std::function<void(std::uint64_t revision)> notify) = 0;

    /// `ttl` from 1 s to 1 d. The clock of a lease starts anew when a store is opened, so that a restart ends none.
    virtual std::variant<LeaseId, Error> grant_lease(std::chrono::milliseconds ttl) = 0;
    /// Another `ttl` from now; `no_lease` where it has ended.
    virtual std::optional<Error> keep_alive(LeaseId lease) = 0;
    /// Ends it now. What vanishes with a lease vanishes as by a batch of its own: one revision more, the same generation.
    virtual std::optional<Error> revoke_lease(LeaseId lease) = 0;
};

inline constexpr std::chrono::milliseconds kShortestLease{1000};
inline constexpr std::chrono::milliseconds kLongestLease{24 * 60 * 60 * 1000};
inline constexpr std::size_t kLongestKind = 64;
inline constexpr std::size_t kLongestKey = 1024;
inline constexpr std::size_t kLongestDocument = std::size_t{8} << 20;

/// What every implementation refuses of a batch or of contents before it looks at its data.
std::optional<Error> check(const Batch& batch);
std::optional<Error> check(const Contents& contents, std::uint64_t after_revision);
std::optional<Error> check_lease_time(std::chrono::milliseconds ttl);

}  // namespace guideway::store
