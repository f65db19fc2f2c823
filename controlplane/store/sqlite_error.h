// SQLite's result codes as errors of the store, with the system's own reason where it has one (EROFS, ENOSPC, EDQUOT ...).
// Worked example: sqlite_error(db, SQLITE_FULL, "writing", "/var/lib/guideway/guideway.db")
//   -> full: "writing the store /var/lib/guideway/guideway.db failed: database or disk is full; nothing was changed: make room ..."
// Thread contract: that of the store; call it at once after the failure, as the system's reason is that of the last call.
#pragma once

#include <string>

#include "controlplane/store/store.h"

struct sqlite3;

namespace guideway::store {

enum class Failed { statement, commit };

/// `doing`: "opening", "reading", "writing". `database` may be null.
Error sqlite_error(sqlite3* database, int code, const std::string& doing, const std::string& path,
                   Failed failed = Failed::statement);
/// As above for a failed system call with this errno.
Error system_error(int code, const std::string& doing, const std::string& path);

}  // namespace guideway::store
