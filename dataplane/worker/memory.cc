#include "dataplane/worker/memory.h"

#include <cerrno>
#include <sys/mman.h>

namespace guideway::worker {

Memory::Memory(std::size_t bytes) {
    constexpr std::size_t kLargePage = std::size_t{2} << 20;
    const std::size_t rounded = (bytes + kLargePage - 1) / kLargePage * kLargePage;
    void* start = mmap(nullptr, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) return;
    madvise(start, rounded, MADV_HUGEPAGE);  // a wish: without it everything works, with more TLB misses
    // Now, not when the table fills: no page fault on the poll path, and what is too much shows at start. Kernels before 5.14 do
    // not know the wish; there pages come with their first use.
    if (madvise(start, rounded, MADV_POPULATE_WRITE) != 0 && errno != EINVAL) {
        munmap(start, rounded);
        return;
    }
    bytes_ = {static_cast<std::byte*>(start), rounded};
}

Memory::~Memory() {
    if (ok()) munmap(bytes_.data(), bytes_.size());
}

}  // namespace guideway::worker
