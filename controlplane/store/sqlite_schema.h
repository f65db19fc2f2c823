// The tables of SqliteStore's file, and how a file of an older version becomes one of this.
//
//   records(kind, key, document, revision, lease)    tombstones(revision, kind, key)    leases(id, ttl_ms)
//   counters(name, value): revision, generation; compacted: oldest revision that changes are known from; lease: the last id;
//                          settled: grows when a failed commit is shut out (sqlite_store.h)
// Versions: 1 had records without revision and lease, and counters only. It is migrated in one transaction: all or nothing.
// Thread contract: that of the connection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "controlplane/store/store.h"

struct sqlite3;

namespace guideway::store {

/// Checks whose file it is, its version and every page; then makes the tables, or migrates them. The connection must be new:
/// it is set to the write-ahead log, full synchronisation and exclusive use here.
std::optional<Error> prepare_schema(sqlite3* database, const std::string& path, std::uint64_t max_bytes);

}  // namespace guideway::store
