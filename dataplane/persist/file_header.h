// FileHeader: what stands at the front of a flow file, and whether a file found at start may be used.
//
// Terms:
//   layout   how an entry's bytes are to be read: a version bumped by hand for a change of meaning, sizes and a digest of the
//            offsets taken by the compiler (flow_layout.h). Another build with the same layout reads the file.
//   shape    how many workers and entries, and the SNAT addresses in use. Same layout, other shape: entries are copied over.
//   region   the entries of one worker and family, or its lines of clients remembered: offset and capacity. Aligned to 2 MiB, none overlaps another.
//   refusal  why a file is not used, in words for an operator.
//
// Order of the checks: length, magic, format, checksum, state, layout, boot, regions. Nothing after the checksum is believed
// either: numbers are checked against the file's length before they are used, so no content can lead outside the file.
//
// Worked example, 2 workers of 1000 IPv4 and 1000 IPv6 entries: header at 0, nobody remembered: regions at 2, 4, 6 and 8 MiB, file 10 MiB.
// Thread contract: plain values and pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace guideway::persist {

/// Indexes regions: connections of a family, and which backend clients went to (flow/affinity_table.h).
enum Family : unsigned { kV4, kV6, kAffinity };
inline constexpr unsigned kFamilies = 3;
inline constexpr std::uint32_t kMostWorkers = 64;
inline constexpr std::uint32_t kMostEntries = 1U << 30;  ///< a worker and family
inline constexpr std::uint64_t kRegionAlignment = std::uint64_t{2} << 20;

struct Layout {
    std::uint32_t version = 0;
    std::uint64_t digest = 0;
    std::array<std::uint32_t, kFamilies> entry_bytes{};  ///< multiples of 64
    friend bool operator==(const Layout&, const Layout&) = default;
};

struct Shape {
    std::uint32_t workers = 0;  ///< 1..kMostWorkers
    std::array<std::uint32_t, kFamilies>
        capacity{};                           ///< a worker, 1..kMostEntries; kAffinity: 0, or a power of two and 1
    std::vector<std::string> snat_addresses;  ///< as text; their order does not matter
    friend bool operator==(const Shape&, const Shape&) = default;
};

/// One sentence for each difference, "workers: 2, were 1"; none when a file of shape `found` can be used as it is.
std::vector<std::string> differences(const Shape& found, const Shape& wanted);

struct Region {
    std::uint64_t offset;
    std::uint64_t bytes;
    std::uint32_t capacity;
    std::uint32_t unused;
};

struct FileHeader {
    std::array<char, 8> magic;
    std::uint32_t format;    ///< of this header
    std::uint32_t checksum;  ///< CRC32c of all that comes after `unused`
    std::uint32_t state;     ///< kBeingMade or kReady; changes after the checksum was taken
    std::uint32_t unused;
    std::uint32_t layout_version;
    std::array<std::uint32_t, kFamilies> entry_bytes;
    std::uint32_t workers;
    std::uint32_t snat_bytes;
    std::uint64_t layout_digest;
    std::uint64_t file_bytes;
    std::uint64_t made_at_ns;  ///< CLOCK_BOOTTIME; of two files the younger is right
    std::array<std::uint32_t, kFamilies> capacity;
    std::uint32_t unused_too;
    std::array<char, 40> boot_id;
    std::array<std::array<Region, kFamilies>, kMostWorkers> regions;
    std::array<char, 3456> snat_text;  ///< addresses in order of their text, each ended by a newline
};
inline constexpr std::size_t kHeaderBytes = 8192;
static_assert(sizeof(FileHeader) == kHeaderBytes && std::is_trivially_copyable_v<FileHeader>);
static_assert(offsetof(FileHeader, layout_version) == 24 && offsetof(FileHeader, regions) == 128);

inline constexpr std::uint32_t kBeingMade = 0x676b614d;  ///< "Makg"
inline constexpr std::uint32_t kReady = 0x79646552;      ///< "Redy"

/// Where the regions lie and how long the file is, rounded up to `page_bytes` (a power of two). State: being made.
/// Throws std::invalid_argument for a shape out of range.
FileHeader make_header(const Layout& layout, const Shape& shape, const std::string& boot_id, std::uint64_t page_bytes,
                       std::uint64_t made_at_ns);
std::uint32_t header_checksum(const FileHeader& header);

enum class RefusalKind : std::uint8_t {
    layout,      ///< written by a build that reads entries differently
    boot,        ///< of an earlier boot: its clock and its connections are gone
    damaged,     ///< not what it says it is
    unreadable,  ///< the kernel says no
    no_room,     ///< another shape, and no memory for old and new at once
};
const char* name_of(RefusalKind kind);  ///< "another layout", ...

struct Refusal {
    RefusalKind kind;
    std::string detail;
    /// "another layout: found ..., wanted ..."
    std::string text() const { return std::string(name_of(kind)) + ": " + detail; }
};

/// `bytes` are the first kHeaderBytes of the file, or all of a shorter one; `file_bytes` its length.
std::optional<Refusal> judge_header(std::span<const std::byte> bytes, std::uint64_t file_bytes, const Layout& layout,
                                    const std::string& boot_id);

/// Of a header that was not refused.
Shape shape_of(const FileHeader& header);

}  // namespace guideway::persist
