#include "controlplane/store/sqlite_error.h"

#include <cerrno>
#include <cstring>

#include <sqlite3.h>

namespace guideway::store {
namespace {

constexpr const char* kMakeRoom = "make room on its disk (or raise its size limit)";
constexpr const char* kMakeWritable = "make the file, its folder and its file system writable";
constexpr const char* kUnchanged = "; nothing was changed: ";

bool is_full(int code) { return code == ENOSPC || code == EDQUOT; }
bool is_read_only(int code) { return code == EROFS || code == EACCES || code == EPERM; }

/// The errno of the failure. SQLite keeps that of a statement; a COMMIT writes the log, whose file knows its own.
int system_reason(sqlite3* database, Failed failed) {
    if (database == nullptr) return 0;
    if (failed == Failed::statement) return sqlite3_system_errno(database);
    sqlite3_file* log = nullptr;
    int code = 0;
    if (sqlite3_file_control(database, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK) return 0;
    if (log == nullptr || log->pMethods == nullptr) return 0;
    return log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &code) == SQLITE_OK ? code : 0;
}

}  // namespace

Error system_error(int code, const std::string& doing, const std::string& path) {
    const std::string start = doing + " the store " + path + " failed: " + std::strerror(code);
    if (is_full(code)) return {ErrorKind::full, start + kUnchanged + kMakeRoom};
    if (is_read_only(code)) return {ErrorKind::read_only, start + kUnchanged + kMakeWritable};
    return {ErrorKind::unavailable, start + (code == ENOENT ? "; create its folder first" : "")};
}

Error sqlite_error(sqlite3* database, int code, const std::string& doing, const std::string& path, Failed failed) {
    const std::string start = doing + " the store " + path +
                              " failed: " + (database == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(database));
    // Whether a COMMIT changed something is for its caller to say.
    const std::string unchanged = failed == Failed::commit ? "; " : kUnchanged;
    const int system = system_reason(database, failed);
    switch (code & 0xff) {
        case SQLITE_FULL:
            return {ErrorKind::full, start + unchanged + kMakeRoom};
        case SQLITE_READONLY:
        case SQLITE_PERM:
            return {ErrorKind::read_only, start + unchanged + kMakeWritable};
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return {ErrorKind::busy, start + unchanged + "another process holds the store, end it or try again"};
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return {ErrorKind::corrupt, start + "; restore a backup"};
        case SQLITE_IOERR:
        case SQLITE_CANTOPEN: {
            const std::string why = system == 0 ? "" : std::string(" (") + std::strerror(system) + ")";
            if (is_full(system)) return {ErrorKind::full, start + why + unchanged + kMakeRoom};
            if (is_read_only(system)) return {ErrorKind::read_only, start + why + unchanged + kMakeWritable};
            return {ErrorKind::unavailable, start + why + unchanged + "look at the disk and the system's log"};
        }
        default:
            return {ErrorKind::unavailable, start};
    }
}

}  // namespace guideway::store
