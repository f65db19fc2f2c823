// Mapping: pages of a file, or of memory alone, at an address aligned to 2 MiB so that huge pages can stand behind it; and who
// holds a file's lock.
//
// Thread contract: owner only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <sys/types.h>
#include <utility>

namespace guideway::persist {

class Mapping {
  public:
    enum class Access : std::uint8_t { read, write };

    Mapping() = default;
    /// The first `bytes` (a multiple of 4096, of the huge page size on hugetlbfs) of a file at least that long, shared.
    /// `ask_for_large`: transparent huge pages, not for hugetlbfs. ok() says whether; then errno why not.
    static Mapping of_file(int fd, std::uint64_t bytes, Access access, bool ask_for_large);
    static Mapping anonymous(std::uint64_t bytes);
    ~Mapping();
    Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
    Mapping& operator=(Mapping&& other) noexcept {
        std::swap(bytes_, other.bytes_);
        return *this;
    }

    bool ok() const { return bytes_.data() != nullptr; }
    std::span<std::byte> bytes() const { return bytes_; }
    /// All pages of the range there, their contents kept. False: the kernel has none left; errno why. Kernels before 5.14 do not
    /// know how: then true, and pages come with their first use.
    bool populate(std::uint64_t offset, std::uint64_t length) const;

  private:
    static Mapping map(int fd, std::uint64_t bytes, int protection, int flags, bool ask_for_large);

    std::span<std::byte> bytes_;
};

/// Which process holds the flock of this file, as far as the kernel tells us.
std::optional<pid_t> lock_holder(int fd);

}  // namespace guideway::persist
