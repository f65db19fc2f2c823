#include "dataplane/persist/mapping.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace guideway::persist {
namespace {

constexpr std::uint64_t kLargePage = std::uint64_t{2} << 20;
constexpr std::uint64_t kLargestRange = std::uint64_t{1} << 46;  ///< of addresses: nothing that overflows is asked for

}  // namespace

Mapping Mapping::map(int fd, std::uint64_t bytes, int protection, int flags, bool ask_for_large) {
    Mapping result;
    if (bytes == 0 || bytes > kLargestRange) {
        errno = ENOMEM;
        return result;
    }
    void* start = nullptr;
    if (!ask_for_large) {  // hugetlbfs finds an address for its own page size
        start = mmap(nullptr, bytes, protection, flags, fd, 0);
        if (start == MAP_FAILED) return result;
    } else {
        // More addresses than needed, the aligned part of them taken, the rest given back.
        const std::uint64_t reserved = bytes + kLargePage;
        void* range = mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (range == MAP_FAILED) return result;
        auto* first = static_cast<std::byte*>(range);
        const std::uint64_t before = (kLargePage - std::bit_cast<std::uintptr_t>(first) % kLargePage) % kLargePage;
        start = mmap(first + before, bytes, protection, flags | MAP_FIXED, fd, 0);
        if (start == MAP_FAILED) {
            const int reason = errno;
            munmap(range, reserved);
            errno = reason;
            return result;
        }
        if (before != 0) munmap(first, before);
        munmap(first + before + bytes, reserved - before - bytes);
        madvise(start, bytes, MADV_HUGEPAGE);  // a wish: without it everything works, with more TLB misses
    }
    result.bytes_ = {static_cast<std::byte*>(start), bytes};
    return result;
}

Mapping Mapping::of_file(int fd, std::uint64_t bytes, Access access, bool ask_for_large) {
    const int protection = access == Access::read ? PROT_READ : PROT_READ | PROT_WRITE;
    return map(fd, bytes, protection, MAP_SHARED, ask_for_large);
}

Mapping Mapping::anonymous(std::uint64_t bytes) {
    return map(-1, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, true);
}

Mapping::~Mapping() {
    if (ok()) munmap(bytes_.data(), bytes_.size());
}

bool Mapping::populate(std::uint64_t offset, std::uint64_t length) const {
    // The advice wants whole pages; regions begin at one and end where they end.
    const std::uint64_t end = std::min<std::uint64_t>(bytes_.size(), (offset + length + 4095) / 4096 * 4096);
    if (madvise(bytes_.data() + offset, end - offset, MADV_POPULATE_WRITE) == 0 || errno == EINVAL) return true;
    if (errno == EFAULT) errno = ENOMEM;  // so the kernel calls what would have been a SIGBUS
    return false;
}

std::optional<pid_t> lock_holder(int fd) {
    struct stat status {};
    if (fstat(fd, &status) != 0) return std::nullopt;
    char wanted[64];
    std::snprintf(wanted, sizeof wanted, "%02x:%02x:%lu", major(status.st_dev), minor(status.st_dev),
                  static_cast<unsigned long>(status.st_ino));
    std::ifstream locks("/proc/locks");
    for (std::string line; std::getline(locks, line);) {  // "7: FLOCK  ADVISORY  WRITE 4711 00:19:42 0 EOF"
        std::istringstream words(line);
        std::string number, kind, strength, mode, file;
        pid_t pid = 0;
        if (words >> number >> kind >> strength >> mode >> pid >> file && kind == "FLOCK" && file == wanted &&
            pid > 0) {
            return pid;
        }
    }
    return std::nullopt;
}

}  // namespace guideway::persist
