#include "controlplane/store/sqlite_error.h"

#include <cerrno>
#include <cstring>

#include <sqlite3.h>

namespace guideway::store {
namespace {

constexpr const char* kMakeRoom = "; nothing was changed: make room on its disk (or raise its size limit)";
constexpr const char* kMakeWritable = "; nothing was changed: make the file, its folder and its file system writable";

bool is_full(int code) { return code == ENOSPC || code == EDQUOT; }
bool is_read_only(int code) { return code == EROFS || code == EACCES || code == EPERM; }

}  // namespace

Error system_error(int code, const std::string& doing, const std::string& path) {
    const std::string start = doing + " the store " + path + " failed: " + std::strerror(code);
    if (is_full(code)) return {ErrorKind::full, start + kMakeRoom};
    if (is_read_only(code)) return {ErrorKind::read_only, start + kMakeWritable};
    return {ErrorKind::unavailable, start + (code == ENOENT ? "; create its folder first" : "")};
}

Error sqlite_error(sqlite3* database, int code, const std::string& doing, const std::string& path) {
    const std::string start = doing + " the store " + path +
                              " failed: " + (database == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(database));
    const int system = database == nullptr ? 0 : sqlite3_system_errno(database);
    switch (code & 0xff) {
        case SQLITE_FULL:
            return {ErrorKind::full, start + kMakeRoom};
        case SQLITE_READONLY:
        case SQLITE_PERM:
            return {ErrorKind::read_only, start + kMakeWritable};
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return {ErrorKind::busy,
                    start + "; nothing was changed: another process holds the store, end it or try again"};
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return {ErrorKind::corrupt, start + "; restore a backup"};
        case SQLITE_IOERR:
        case SQLITE_CANTOPEN: {
            const std::string why = system == 0 ? "" : std::string(" (") + std::strerror(system) + ")";
            if (is_full(system)) return {ErrorKind::full, start + why + kMakeRoom};
            if (is_read_only(system)) return {ErrorKind::read_only, start + why + kMakeWritable};
            return {ErrorKind::unavailable, start + why + "; look at the disk and the system's log"};
        }
        default:
            return {ErrorKind::unavailable, start};
    }
}

}  // namespace guideway::store
