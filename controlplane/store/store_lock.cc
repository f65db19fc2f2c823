#include "controlplane/store/store_lock.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "controlplane/store/sqlite_error.h"

namespace guideway::store {

std::variant<std::unique_ptr<StoreLock>, Error> StoreLock::take(const std::string& store) {
    const std::string path = store + ".lock";
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return system_error(errno, "locking", store);
    std::unique_ptr<StoreLock> lock(new StoreLock(file));
    int code = 0;
    do {
        code = ::flock(file, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
    } while (code == EINTR);
    if (code == EWOULDBLOCK) {
        char text[32] = {};
        const ssize_t length = ::pread(file, text, sizeof(text) - 1, 0);
        std::string holder(text, length > 0 ? static_cast<std::size_t>(length) : 0);
        while (!holder.empty() && holder.back() == '\n') holder.pop_back();
        return Error{ErrorKind::in_use, "the store " + store + " is in use by another guideway-controlplane" +
                                            (holder.empty() ? "" : " (process " + holder + ")") +
                                            "; stop it first: two on one store would give one address twice"};
    }
    if (code != 0) return system_error(code, "locking", store);
    // For the message above only: a full disk is no reason to refuse.
    const std::string own = std::to_string(::getpid()) + "\n";
    if (::ftruncate(file, 0) == 0 && ::pwrite(file, own.data(), own.size(), 0) < 0) errno = 0;
    return lock;
}

StoreLock::~StoreLock() { ::close(file_); }

}  // namespace guideway::store
