#include "controlplane/store/sqlite_restore.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "controlplane/store/sqlite_error.h"
#include "controlplane/store/sqlite_store.h"
#include "controlplane/store/store_lock.h"

namespace guideway::store {
namespace {

bool exists(const std::string& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0;
}

std::optional<Error> sync(const std::string& path, int flags, const std::string& store) {
    const int file = ::open(path.c_str(), flags | O_CLOEXEC);
    if (file < 0) return system_error(errno, "restoring", store);
    const int code = ::fsync(file) == 0 ? 0 : errno;
    ::close(file);
    return code == 0 ? std::nullopt : std::optional(system_error(code, "restoring", store));
}

std::optional<Error> sync_folder(const std::string& store) {
    std::error_code ignored;
    const std::filesystem::path folder = std::filesystem::absolute(store, ignored).parent_path();
    return sync(folder.string(), O_RDONLY | O_DIRECTORY, store);
}

std::optional<Error> move(const std::string& from, const std::string& to, const std::string& store) {
    if (::rename(from.c_str(), to.c_str()) == 0) return std::nullopt;
    return system_error(errno, "restoring", store);
}

std::optional<Error> remove(const std::string& path, const std::string& store) {
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) return std::nullopt;
    return system_error(errno, "restoring", store);
}

}  // namespace

/// The way to a store without its lock, which the restore holds already.
class SqliteRestore {
  public:
    static std::variant<std::unique_ptr<SqliteStore>, Error> open(const std::string& path) {
        return SqliteStore::open_locked(nullptr, path, {});
    }
};

std::optional<Error> finish_restore(const std::string& path) {
    if (!exists(path + ".restored")) return std::nullopt;
    // The log first: left beside the new file, SQLite would play it into that.
    if (exists(path + "-wal")) {
        if (auto error = move(path + "-wal", path + ".before-restore-wal", path)) return error;
    }
    if (auto error = remove(path + "-shm", path)) return error;
    if (auto error = sync_folder(path)) return error;
    if (exists(path)) {
        if (auto error = move(path, path + ".before-restore", path)) return error;
    }
    if (auto error = move(path + ".restored", path, path)) return error;
    return sync_folder(path);
}

std::optional<Error> restore_sqlite(const std::string& path, Contents contents) {
    auto lock = StoreLock::take(path);
    if (auto* error = std::get_if<Error>(&lock)) return std::move(*error);
    if (auto error = finish_restore(path)) return error;

    Contents old;
    if (exists(path)) {
        auto opened = SqliteRestore::open(path);
        if (auto* error = std::get_if<Error>(&opened)) {
            // Damaged, or of a newer version: a reason to restore. Anything else may be over in a moment.
            if (error->kind != ErrorKind::corrupt && error->kind != ErrorKind::newer) return std::move(*error);
        } else if (auto unread = std::get<0>(opened)->load(old)) {
            return unread;
        }
    }
    std::uint64_t& revision = contents.revision;
    revision = std::max(revision, old.revision) + 1;
    contents.generation = std::max(contents.generation, old.generation) + 1;

    const std::string restoring = path + ".restoring";
    for (const char* rest : {".restoring", ".restoring-wal", ".restoring-shm", ".before-restore-wal"}) {
        if (auto error = remove(path + rest, path)) return error;
    }
    {
        auto opened = SqliteRestore::open(restoring);
        if (auto* error = std::get_if<Error>(&opened)) return std::move(*error);
        if (auto error = std::get<0>(opened)->replace(contents, 0)) return error;
    }
    // Closing moves the log into the file and takes it away; where that failed, the file alone is not all.
    if (exists(restoring + "-wal")) {
        return Error{ErrorKind::unavailable, "restoring the store " + path + " failed: its new file " + restoring +
                                                 " could not be completed; nothing was changed: look at the disk"};
    }
    if (auto error = sync(restoring, O_RDWR, path)) return error;
    if (auto error = move(restoring, path + ".restored", path)) return error;
    if (auto error = sync_folder(path)) return error;
    return finish_restore(path);
}

}  // namespace guideway::store
