// Place: on which file system a flow file lives, and whether the machine has the memory for it and for the tables around it.
//
// Terms:
//   place      a folder on hugetlbfs (huge pages, set aside by the operator) or tmpfs (ordinary memory). A file mapped from a disk
//              would let packets wait for its write-back, so no other file system is taken.
//   need       what the tables want: entries (in the file), index and counters (always ordinary memory, large pages by madvise).
//   candidate  with "auto": hugetlbfs mounts, smaller pages first; the control socket's folder if it is tmpfs; /dev/shm.
//
// choose_place() is pure: need and machine in, place or reasons out. The rest reads /proc and /sys.
//
// Worked example: flows.ipv4 = 1000000, 2 workers: entries 2 x 64 MB. 2 MiB pages: 40 free = 80 MiB: not enough. /run: 4 GiB
// free, MemAvailable 16 GiB: taken.
// Thread contract: from the main thread at start.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/persist/file_header.h"

namespace guideway::persist {

struct Place {
    std::string folder;  ///< absolute
    bool huge = false;   ///< hugetlbfs
    std::uint64_t page_bytes = 4096;
    /// tmpfs: what the file system still takes. hugetlbfs: its pool's free pages that nobody has reserved, at most what the
    /// mount still takes.
    std::uint64_t free_bytes = 0;
    /// A file of an earlier run may be found here, but none is made here: the configuration wants another place.
    bool only_found = false;
    bool large_pages = false;  ///< tmpfs: mounted so that madvise() gets transparent huge pages

    /// "/dev/hugepages (huge pages of 2 MiB)"
    std::string describe() const;
};

/// What the machine has besides the places.
struct MemoryThere {
    std::uint64_t available_bytes = 0;  ///< of ordinary memory: MemAvailable, or less where a control group allows less
};

/// Everything that is taken at start for connections.
struct Need {
    Shape shape;
    Layout layout;
    std::array<std::uint64_t, kFamilies> index_bytes{};  ///< a worker
    std::uint64_t counter_bytes = 0;                     ///< a worker
    std::uint64_t other_ordinary_bytes =
        0;  ///< what else will still be taken of ordinary memory (packet buffers), if it is
    std::uint64_t other_huge_bytes = 0;  ///< not there yet

    std::uint64_t entries() const;
    std::uint64_t around() const;  ///< index and counters of all workers
    /// "entries 128 MiB (flows.ipv4 = 1000000 x 2 workers x 64 B, ...), index 32 MiB, counters 1 MiB"
    std::string describe() const;
};

/// Left to the rest of the machine.
inline constexpr std::uint64_t kHeadroomBytes = std::uint64_t{64} << 20;

/// Why `file_bytes` (0: the file is there already) at `place` (null: ordinary memory without a file) and what is around it do not
/// fit: needed how much, for what, there is how much, what to change. None: it fits.
std::optional<std::string> shortage(const Need& need, std::uint64_t file_bytes, const Place* place,
                                    const MemoryThere& there);

struct Choice {
    std::optional<Place> place;  ///< none: nowhere
    std::string why_not;         ///< of those before the one taken, or of all, one sentence each
};
/// The first place that has room. Files are a whole number of the place's pages long.
Choice choose_place(const Need& need, const std::vector<Place>& places, const MemoryThere& there);

struct Places {
    std::vector<Place> list;
    std::string error;  ///< then nothing else counts
};
/// `setting` is flows.file: "auto", "none" or an absolute folder, which is made if it is missing. Places where only an earlier
/// setting would have put the file are listed too, only_found. `huge`: new files may take huge pages with "auto"
/// (memory.huge_pages is not "never").
Places find_places(const std::string& setting, const std::string& control_socket, bool huge);
MemoryThere read_memory_there();
/// Of this boot; empty where /proc does not say.
std::string read_boot_id();

/// "guideway-flows-dataplane-1a2b3c4d": the same for the same control socket, so that each dataplane of a machine has its own.
std::string file_name_for(const std::string& control_socket);

/// "128 MiB", rounded up; below 1 MiB "1 MiB".
std::string mebibytes(std::uint64_t bytes);

}  // namespace guideway::persist
