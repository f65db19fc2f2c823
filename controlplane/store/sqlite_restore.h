// Restoring a SQLite store while no control plane runs on it: the new contents become a file of their own, which then takes the
// old one's place. A crash at any instant leaves the old store or the new one, whole; it also works where the old one is damaged.
//
//   NAME.restoring        being filled; left behind by a crash: thrown away at the next restore
//   NAME.restored         whole and synced: from this rename on the new store counts. finish_restore(), which every open of the store
//                         calls, does the rest, as often as it takes:
//   NAME.before-restore   the old store (and NAME.before-restore-wal where it had a log), until the next restore
// Worked example: restore_sqlite("/var/lib/guideway/guideway.db", contents) -> nothing: done; the store has `contents`.
// Thread contract: one thread; both need the store's lock (store_lock.h), which restore_sqlite() takes.
#pragma once

#include <optional>
#include <string>

#include "controlplane/store/store.h"

namespace guideway::store {

/// The store gets exactly `contents`, but for the counters: they go on from the greater of the old store's (where it can still be
/// read) and the backup's, plus one, so that no revision or generation is ever given twice. `in_use` where a control plane runs.
std::optional<Error> restore_sqlite(const std::string& path, Contents contents);

/// Puts a NAME.restored in its place. Nothing to do: no error. The caller holds the lock.
std::optional<Error> finish_restore(const std::string& path);

}  // namespace guideway::store
