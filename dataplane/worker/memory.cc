#include "dataplane/worker/memory.h"

#include <sys/mman.h>

namespace guideway::worker {

Memory::Memory(std::size_t bytes) {
    constexpr std::size_t kLargePage = std::size_t{2} << 20;
    const std::size_t rounded = (bytes + kLargePage - 1) / kLargePage * kLargePage;
    void* start = mmap(nullptr, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) return;
    madvise(start, rounded, MADV_HUGEPAGE);  // a wish: without it everything works, with more TLB misses
    bytes_ = {static_cast<std::byte*>(start), rounded};
}

Memory::~Memory() {
    if (ok()) munmap(bytes_.data(), bytes_.size());
}

}  // namespace guideway::worker
