// Store: what survives the control plane. Records {kind, key, JSON document} and two counters, changed in batches that are
// durable when commit() returns (ipam-rules 20).
//
// Terms: the *revision* grows with each batch; it becomes the resourceVersion of the objects written in it. The *generation*
// is that of the ForwardingState made from the records.
// A batch names the revision it follows, so a second writer on the same store is noticed instead of being overwritten.
// Every implementation passes tests/unit/controlplane/store/store_contract.h.
//
// Worked example: load() -> {records, revision 7, generation 3}; commit({{put load-balancer default/web}}, revision 8 after 7,
// generation 4); after a crash at any instant, load() gives either all of revision 7 or all of revision 8.
// Thread contract: calls from one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace guideway::store {

struct Record {
    std::string kind;
    std::string key;       ///< unique within its kind
    std::string document;  ///< JSON
    friend bool operator==(const Record&, const Record&) = default;
};

/// One record written, or taken away where `document` is empty.
struct Change {
    std::string kind;
    std::string key;
    std::optional<std::string> document;
};

struct Batch {
    std::vector<Change> changes;
    std::uint64_t after_revision = 0;  ///< the revision this batch follows
    std::uint64_t revision = 0;        ///< the new one; greater
    std::uint64_t generation = 0;
};

struct Contents {
    std::vector<Record> records;  ///< sorted by kind, then key
    std::uint64_t revision = 0;
    std::uint64_t generation = 0;
};

enum class ErrorKind : std::uint8_t {
    unavailable,  ///< cannot be opened or read
    full,         ///< no space: nothing was written
    read_only,    ///< nothing was written
    busy,         ///< another process holds it: nothing was written
    conflict,     ///< another writer was here: nothing was written
    corrupt,      ///< the data on disk is damaged
    newer,        ///< written by a newer version of the program
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
    /// All or nothing, durable on return. On an error nothing was written.
    virtual std::optional<Error> commit(const Batch& batch) = 0;
};

}  // namespace guideway::store
