// guideway-faults: a library to preload (LD_PRELOAD) that makes a disk fail under a real program, at exact instants.
//
// GUIDEWAY_FAULTS names a control file, read at each call on a file that matches; it may come, change and go at any time. One
// setting a line:
//   match TEXT        files whose path holds TEXT (needed; without it nothing is touched); "TEXT!": those whose path ends so
//   write ERROR [N]   write, pwrite and truncate fail with ERROR (EIO, ENOSPC, EDQUOT, EROFS); N: the first N such calls only
//   sync ERROR [N]    fsync and fdatasync fail likewise. As in Linux, the pages are then clean in the cache but not on the disk: a later
//                     sync succeeds and does not bring them there, unless they are written again
//   reach N           of the first N syncs that fail the pages are on the disk all the same
//   open ERROR        opening for writing or creating fails
//   kill N            the process dies (SIGKILL) at the N-th write, sync, truncate, rename or unlink from now on, before it is done.
//                     "Now" is when the control file last changed
//   tear              with kill: where the call is a write, the first half is done
//   cut SEED          with kill: the power goes. Of the blocks (4 KiB) that were written and not synced some are on the disk and some are
//                     as before, by SEED; those that a failed sync dropped are as before. (Renames and unlinks are taken as durable.)
// Calls of the C library that the store uses are covered; not mmap, which it does not use.
// Thread contract: any; one lock around everything.
// Both names of each call are defined here; with this set, one would be the other.
#undef _FILE_OFFSET_BITS
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr off_t kBlock = 4096;

template <class Function>
Function real(const char* name) {
    void* found = dlsym(RTLD_NEXT, name);
    Function function = nullptr;
    std::memcpy(&function, &found, sizeof function);
    return function;
}

int real_open(const char* path, int flags) {
    static const auto call = real<int (*)(const char*, int, ...)>("open");
    return call(path, flags);
}
ssize_t real_pwrite(int file, const void* bytes, size_t size, off_t at) {
    static const auto call = real<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
    return call(file, bytes, size, at);
}
int real_ftruncate(int file, off_t size) {
    static const auto call = real<int (*)(int, off_t)>("ftruncate");
    return call(file, size);
}

struct Fault {
    int error = 0;  // 0: none
    std::uint64_t left = UINT64_MAX;
};

struct Control {
    std::string text;
    std::string match;
    Fault write, sync;
    int open = 0;
    std::uint64_t reach = 0;
    std::uint64_t kill = 0;  // calls until then; 0: never
    bool tear = false;
    bool cut = false;
    std::uint64_t seed = 0;
};

int error_named(const std::string& name) {
    return name == "EIO" ? EIO : name == "ENOSPC" ? ENOSPC : name == "EDQUOT" ? EDQUOT : name == "EROFS" ? EROFS : 0;
}

/// What a file holds on the disk where that differs from what the kernel's cache, hence everybody, sees.
struct Pending {
    std::string path;
    std::map<off_t, std::vector<char>> dirty;  // block -> content on disk; a sync brings it there
    std::map<off_t, std::vector<char>> lost;   // a sync that failed dropped it
    off_t size_on_disk = 0;
    bool size_pending = false;
};

class Faults {
  public:
    std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }

    bool matches(const std::string& path) {
        read_control();
        const std::string& wanted = control_.match;
        if (wanted.empty() || wanted.back() != '!') return !wanted.empty() && path.find(wanted) != std::string::npos;
        const std::string_view end(wanted.data(), wanted.size() - 1);
        return path.size() >= end.size() && path.compare(path.size() - end.size(), end.size(), end) == 0;
    }
    std::string path_of(int file) {
        char link[64];
        char path[4096];
        std::snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        const ssize_t length = readlink(link, path, sizeof path);
        return length > 0 ? std::string(path, static_cast<std::size_t>(length)) : std::string();
    }
    int open_error() const { return control_.open; }
    int write_error() { return take(control_.write); }
    int sync_error() { return take(control_.sync); }

    /// Counts a call; true: the process shall die in it.
    bool dies() { return control_.kill != 0 && ++calls_ == control_.kill; }
    bool tears() const { return control_.tear; }
    [[noreturn]] void die() {
        if (control_.cut) cut();
        ::kill(getpid(), SIGKILL);
        while (true) pause();
    }

    /// Before a write: what stands on the disk is noted.
    void note(int file, const std::string& path, off_t at, off_t size) {
        struct stat status {};
        if (fstat(file, &status) != 0) return;
        Pending& pending = files_[status.st_ino];
        pending.path = path;
        if (!pending.size_pending) {
            pending.size_on_disk = status.st_size;
            pending.size_pending = true;
        }
        for (off_t block = at / kBlock; block <= (at + size - 1) / kBlock; ++block) {
            if (pending.dirty.contains(block)) continue;
            if (auto was_lost = pending.lost.extract(block)) {
                pending.dirty.insert(std::move(was_lost));
                continue;
            }
            std::vector<char> content(kBlock, 0);
            const ssize_t length = pread(file, content.data(), content.size(), block * kBlock);
            content.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
            pending.dirty.emplace(block, std::move(content));
        }
    }
    void synced(int file, bool well) {
        struct stat status {};
        if (fstat(file, &status) != 0) return;
        const auto at = files_.find(status.st_ino);
        if (at == files_.end()) return;
        Pending& pending = at->second;
        const bool reached = well || control_.reach > 0;
        if (!well && control_.reach > 0) --control_.reach;
        if (!reached) pending.lost.merge(pending.dirty);
        pending.dirty.clear();
        if (well && pending.lost.empty()) pending.size_pending = false;
    }

  private:
    static int take(Fault& fault) {
        if (fault.error == 0 || fault.left == 0) return 0;
        --fault.left;
        return fault.error;
    }

    void read_control() {
        static const char* const path = std::getenv("GUIDEWAY_FAULTS");
        std::string text;
        if (path != nullptr) {
            if (const int file = real_open(path, O_RDONLY | O_CLOEXEC); file >= 0) {
                char buffer[1024];
                const ssize_t length = read(file, buffer, sizeof buffer);
                if (length > 0) text.assign(buffer, static_cast<std::size_t>(length));
                close(file);
            }
        }
        if (text == control_.text) return;
        control_ = {};
        control_.text = text;
        calls_ = 0;
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);) {
            std::istringstream words(line);
            std::string key, value;
            words >> key >> value;
            Fault fault{error_named(value), UINT64_MAX};
            std::uint64_t times = 0;
            if (words >> times) fault.left = times;
            if (key == "match") control_.match = value;
            if (key == "write") control_.write = fault;
            if (key == "sync") control_.sync = fault;
            if (key == "open") control_.open = fault.error;
            if (key == "kill") control_.kill = std::strtoull(value.c_str(), nullptr, 10);
            if (key == "reach") control_.reach = std::strtoull(value.c_str(), nullptr, 10);
            if (key == "tear") control_.tear = true;
            if (key == "cut") {
                control_.cut = true;
                control_.seed = std::strtoull(value.c_str(), nullptr, 10);
            }
        }
    }

    bool chance() {  // splitmix64
        std::uint64_t z = (control_.seed += 0x9e3779b97f4a7c15U);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        return ((z ^ (z >> 31)) & 1) != 0;
    }

    void cut() {
        for (const auto& [inode, pending] : files_) {
            const int file = real_open(pending.path.c_str(), O_RDWR | O_CLOEXEC);
            struct stat status {};
            // Gone, or another file by now: nothing can be said of it.
            if (file < 0) continue;
            if (fstat(file, &status) == 0 && status.st_ino == inode) {
                const auto put_back = [&](off_t block, const std::vector<char>& content) {
                    std::vector<char> whole = content;
                    // Beyond the old end of the file a block that did not arrive reads as zeros.
                    if (block * kBlock < status.st_size) whole.resize(kBlock, 0);
                    if (!whole.empty() && real_pwrite(file, whole.data(), whole.size(), block * kBlock) < 0) errno = 0;
                };
                for (const auto& [block, content] : pending.lost) put_back(block, content);
                for (const auto& [block, content] : pending.dirty) {
                    if (chance()) put_back(block, content);
                }
                const bool size_arrived = !pending.size_pending || chance();
                if (real_ftruncate(file, size_arrived ? status.st_size : pending.size_on_disk) != 0) errno = 0;
            }
            close(file);
        }
    }

    std::mutex mutex_;
    Control control_;
    std::uint64_t calls_ = 0;
    std::map<ino_t, Pending> files_;
};

Faults& faults() {
    static Faults* const the = new Faults;  // never destroyed: calls come until the very end
    return *the;
}

/// `place` writes at an offset; none: where the file stands.
ssize_t written(int file, const void* bytes, size_t size, const off_t* place,
                ssize_t (*go_on)(int, const void*, size_t, const off_t*)) {
    const auto lock = faults().lock();
    const std::string path = faults().path_of(file);
    if (size == 0 || !faults().matches(path)) return go_on(file, bytes, size, place);
    const bool dies = faults().dies();
    if (dies && !faults().tears()) faults().die();
    if (const int error = faults().write_error(); error != 0 && !dies) {
        errno = error;
        return -1;
    }
    faults().note(file, path, place != nullptr ? *place : lseek(file, 0, SEEK_CUR), static_cast<off_t>(size));
    if (dies) {
        if (go_on(file, bytes, (size + 1) / 2, place) < 0) errno = 0;
        faults().die();
    }
    return go_on(file, bytes, size, place);
}

int sync_with(const char* name, int file) {
    const auto call = real<int (*)(int)>(name);
    const auto lock = faults().lock();
    if (!faults().matches(faults().path_of(file))) return call(file);
    if (faults().dies()) faults().die();
    if (const int error = faults().sync_error(); error != 0) {
        faults().synced(file, false);
        errno = error;
        return -1;
    }
    const int result = call(file);
    if (result == 0) faults().synced(file, true);
    return result;
}

int truncate_with(const char* name, int file, off_t size) {
    const auto call = real<int (*)(int, off_t)>(name);
    const auto lock = faults().lock();
    const std::string path = faults().path_of(file);
    if (!faults().matches(path)) return call(file, size);
    if (faults().dies()) faults().die();
    if (const int error = faults().write_error()) {
        errno = error;
        return -1;
    }
    struct stat status {};
    if (fstat(file, &status) == 0 && size < status.st_size) faults().note(file, path, size, status.st_size - size);
    return call(file, size);
}

int open_with(const char* name, const char* path, int flags, mode_t mode) {
    const auto call = real<int (*)(const char*, int, ...)>(name);
    if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0) {
        const auto lock = faults().lock();
        if (faults().matches(path) && faults().open_error() != 0) {
            errno = faults().open_error();
            return -1;
        }
    }
    return call(path, flags, mode);
}

template <class Call>
int named_call(const char* path, const char* other, Call call) {
    const auto lock = faults().lock();
    if (!faults().matches(path) && !faults().matches(other)) return call();
    if (faults().dies()) faults().die();
    return call();
}

}  // namespace

#define GUIDEWAY_EXPORT extern "C" __attribute__((visibility("default")))

GUIDEWAY_EXPORT ssize_t write(int file, const void* bytes, size_t size) {
    return written(file, bytes, size, nullptr, [](int f, const void* b, size_t s, const off_t*) {
        static const auto call = real<ssize_t (*)(int, const void*, size_t)>("write");
        return call(f, b, s);
    });
}
GUIDEWAY_EXPORT ssize_t pwrite(int file, const void* bytes, size_t size, off_t at) {
    return written(file, bytes, size, &at,
                   [](int f, const void* b, size_t s, const off_t* place) { return real_pwrite(f, b, s, *place); });
}
GUIDEWAY_EXPORT ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t at) {
    return pwrite(file, bytes, size, at);
}
GUIDEWAY_EXPORT int fsync(int file) { return sync_with("fsync", file); }
GUIDEWAY_EXPORT int fdatasync(int file) { return sync_with("fdatasync", file); }
GUIDEWAY_EXPORT int ftruncate(int file, off_t size) { return truncate_with("ftruncate", file, size); }
GUIDEWAY_EXPORT int ftruncate64(int file, off64_t size) { return truncate_with("ftruncate64", file, size); }
GUIDEWAY_EXPORT int rename(const char* from, const char* to) {
    return named_call(from, to, [&] { return real<int (*)(const char*, const char*)>("rename")(from, to); });
}
GUIDEWAY_EXPORT int unlink(const char* path) {
    return named_call(path, path, [&] { return real<int (*)(const char*)>("unlink")(path); });
}
GUIDEWAY_EXPORT int open(const char* path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open_with("open", path, flags, mode);
}
GUIDEWAY_EXPORT int open64(const char* path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open_with("open64", path, flags, mode);
}
