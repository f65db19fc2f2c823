// Memory: pages for tables and counters, zeroed, given back on destruction.
//
// Asks the kernel for large pages where it has them (transparent huge pages); works without. All pages are there when the
// constructor returns, from the NUMA node it ran on.
// Thread contract: owner only.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

namespace guideway::worker {

class Memory {
  public:
    Memory() = default;
    /// Empty where the kernel refuses: see ok().
    explicit Memory(std::size_t bytes);
    ~Memory();
    Memory(Memory&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
    Memory& operator=(Memory&& other) noexcept {
        std::swap(bytes_, other.bytes_);
        return *this;
    }

    bool ok() const { return bytes_.data() != nullptr; }
    std::span<std::byte> bytes() const { return bytes_; }

  private:
    std::span<std::byte> bytes_;
};

}  // namespace guideway::worker
