#include "dataplane/persist/place.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <linux/magic.h>
#include <span>
#include <sstream>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <utility>

#include "dataplane/packet/checksum.h"

namespace guideway::persist {
namespace {

std::optional<std::uint64_t> read_number(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::uint64_t value = 0;
    if (!(file >> value)) return std::nullopt;
    return value;
}

/// Of the pool of pages of this size; 0 where there is none.
std::uint64_t free_in_pool(std::uint64_t page_bytes) {
    const std::filesystem::path pool = "/sys/kernel/mm/hugepages/hugepages-" + std::to_string(page_bytes / 1024) + "kB";
    const std::uint64_t free = read_number(pool / "free_hugepages").value_or(0);
    const std::uint64_t reserved = read_number(pool / "resv_hugepages").value_or(0);
    return free > reserved ? (free - reserved) * page_bytes : 0;
}

/// In /proc/mounts a space stands as \040 and so on.
std::string unescape(const std::string& text) {
    const auto octal = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && octal(i + 1) && octal(i + 2) && octal(i + 3)) {
            result += static_cast<char>((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 | (text[i + 3] - '0'));
            i += 3;
        } else {
            result += text[i];
        }
    }
    return result;
}

struct Mount {
    std::string folder, type, options;
};

std::vector<Mount> read_mounts() {
    std::vector<Mount> list;
    std::ifstream mounts("/proc/mounts");
    for (std::string line; std::getline(mounts, line);) {
        std::istringstream words(line);
        std::string device;
        Mount mount;
        if (!(words >> device >> mount.folder >> mount.type >> mount.options)) continue;
        mount.folder = unescape(mount.folder);
        list.push_back(std::move(mount));
    }
    return list;
}

/// Of the mount the folder is on; the last of several one above the other counts.
std::string mount_options(const std::string& folder) {
    std::error_code failed;
    std::string real = std::filesystem::canonical(folder, failed).string();
    if (failed) return "";
    std::string options;
    std::size_t longest = 0;
    for (const Mount& mount : read_mounts()) {
        const std::string prefix = mount.folder == "/" ? "/" : mount.folder + "/";
        if (prefix.size() < longest || !(real + "/").starts_with(prefix)) continue;
        longest = prefix.size();
        options = mount.options;
    }
    return options;
}

/// None where the folder is on neither hugetlbfs nor tmpfs.
std::optional<Place> look_at(const std::string& folder) {
    struct statfs system {};
    if (statfs(folder.c_str(), &system) != 0) return std::nullopt;
    const auto block = static_cast<std::uint64_t>(system.f_bsize);
    if (system.f_type == HUGETLBFS_MAGIC) {
        std::uint64_t free = free_in_pool(block);
        // A mount with a size of its own tells its blocks; one without tells none, or all ones.
        const bool limited = system.f_blocks != 0 && system.f_blocks < (std::uint64_t{1} << 40);
        if (limited) free = std::min<std::uint64_t>(free, system.f_bfree * block);
        return Place{.folder = folder, .huge = true, .page_bytes = block, .free_bytes = free};
    }
    if (system.f_type == TMPFS_MAGIC) {
        const bool limited = system.f_blocks != 0;  // "size=0": as much as there is memory
        Place place;
        place.folder = folder;
        place.free_bytes = limited ? system.f_bavail * block : ~std::uint64_t{0} >> 1;
        const std::string options = mount_options(folder);
        place.large_pages =
            options.find("huge=") != std::string::npos && options.find("huge=never") == std::string::npos;
        return place;
    }
    return std::nullopt;
}

/// Pages of a control group that the kernel gives back by itself; those of tmpfs are not among them.
std::uint64_t file_cache(const std::filesystem::path& group) {
    std::ifstream stat(group / "memory.stat");
    std::uint64_t sum = 0;
    std::string key;
    for (std::uint64_t value = 0; stat >> key >> value;) {
        if (key == "inactive_file" || key == "active_file") sum += value;
    }
    return sum;
}

/// What the process's control group (version 2) and those above it still allow. All ones where none says.
std::uint64_t left_by_control_groups() {
    std::uint64_t left = ~std::uint64_t{0};
    std::ifstream file("/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with("0::/")) continue;
        const std::filesystem::path root = "/sys/fs/cgroup";
        for (std::filesystem::path group = root / line.substr(4); group.native().size() >= root.native().size();
             group = group.parent_path()) {
            const auto most = read_number(group / "memory.max");  // "max" is no number
            const auto charged = read_number(group / "memory.current");
            if (!most || !charged) continue;
            const std::uint64_t used = *charged - std::min(*charged, file_cache(group));
            left = std::min(left, *most > used ? *most - used : 0);
        }
    }
    return left;
}

std::string advice(const Need& need) {
    std::string text = "lower dataplane.flows.ipv4 or ipv6";
    if (need.shape.workers > 1) text += ", or workers";
    return text;
}

}  // namespace

std::string mebibytes(std::uint64_t bytes) {
    constexpr std::uint64_t kMebibyte = 1 << 20;
    return std::to_string(std::max<std::uint64_t>(1, bytes / kMebibyte + (bytes % kMebibyte != 0 ? 1 : 0))) + " MiB";
}

std::string Place::describe() const {
    if (!huge) return folder + (large_pages ? " (tmpfs with large pages)" : " (tmpfs, ordinary pages)");
    const bool giant = page_bytes >= (std::uint64_t{1} << 30);
    return folder + " (huge pages of " +
           (giant ? std::to_string(page_bytes >> 30) + " GiB)" : mebibytes(page_bytes) + ")");
}

std::uint64_t Need::entries() const {
    std::uint64_t sum = 0;
    for (unsigned family = 0; family < kFamilies; ++family) {
        sum += std::uint64_t{shape.capacity[family]} * layout.entry_bytes[family] * shape.workers;
    }
    return sum;
}

std::uint64_t Need::around() const { return (index_bytes[kV4] + index_bytes[kV6] + counter_bytes) * shape.workers; }

std::string Need::describe() const {
    const auto family = [&](const char* name, unsigned which) {
        return std::string(name) + " = " + std::to_string(shape.capacity[which]) + " x " +
               std::to_string(shape.workers) + (shape.workers == 1 ? " worker x " : " workers x ") +
               std::to_string(layout.entry_bytes[which]) + " B";
    };
    return "entries " + mebibytes(entries()) + " (" + family("flows.ipv4", kV4) + ", " + family("flows.ipv6", kV6) +
           (shape.capacity[kAffinity] == 0 ? "" : ", " + family("lines of flows.affinity_clients", kAffinity)) +
           "), index " + mebibytes((index_bytes[kV4] + index_bytes[kV6]) * shape.workers) + ", counters " +
           mebibytes(counter_bytes * shape.workers);
}

std::optional<std::string> shortage(const Need& need, std::uint64_t file_bytes, const Place* place,
                                    const MemoryThere& there) {
    const bool huge = place != nullptr && place->huge;
    const std::string wanted = "connections need " + need.describe();
    if (huge) {
        const std::uint64_t left =
            place->free_bytes > need.other_huge_bytes ? place->free_bytes - need.other_huge_bytes : 0;
        if (file_bytes > left) {
            const std::uint64_t pages = (file_bytes - left + place->page_bytes - 1) / place->page_bytes;
            return wanted + "; " + place->describe() + " has " + mebibytes(left) + " free" +
                   (need.other_huge_bytes != 0 ? " besides those for packets" : "") + ", the file takes " +
                   mebibytes(file_bytes) + ": " + std::to_string(pages) + " more pages would do" +
                   (place->page_bytes == (2U << 20) ? " (sysctl vm.nr_hugepages)" : "") + ", or " + advice(need);
        }
    } else if (place != nullptr && file_bytes > place->free_bytes) {
        return wanted + "; " + place->describe() + " has " + mebibytes(place->free_bytes) + " free, the file takes " +
               mebibytes(file_bytes) + ": remount it with a larger size, or " + advice(need);
    }
    const std::uint64_t ordinary = need.around() + need.other_ordinary_bytes + (huge ? 0 : file_bytes);
    if (ordinary + kHeadroomBytes > there.available_bytes) {
        return wanted + "; that is " + mebibytes(ordinary) + " of ordinary memory" +
               (need.other_ordinary_bytes != 0 ? ", those for packets included" : "") + ", " +
               mebibytes(there.available_bytes) + " are available of which " + mebibytes(kHeadroomBytes) +
               " are left to the rest of the machine: " + advice(need) + ", or give the machine more memory";
    }
    return std::nullopt;
}

Choice choose_place(const Need& need, const std::vector<Place>& places, const MemoryThere& there) {
    Choice choice;
    for (const Place& place : places) {
        if (place.only_found) continue;
        const FileHeader header = make_header(need.layout, need.shape, "", place.page_bytes, 0);
        const auto refused = shortage(need, header.file_bytes, &place, there);
        if (!refused) {
            choice.place = place;
            return choice;
        }
        choice.why_not += (choice.why_not.empty() ? "" : "\n") + *refused;
    }
    return choice;
}

Places find_places(const std::string& setting, const std::string& control_socket, bool huge) {
    Places places;
    const bool automatic = setting == "auto";
    const auto add = [&](const std::string& folder, bool only_found) {
        const auto there = [&](const Place& other) { return other.folder == folder; };
        if (std::ranges::any_of(places.list, there)) return true;
        auto place = look_at(folder);
        if (!place) return false;
        place->only_found = only_found;
        places.list.push_back(std::move(*place));
        return true;
    };
    if (!automatic && setting != "none") {
        std::error_code failed;
        std::filesystem::create_directories(setting, failed);
        if (failed) {
            places.error = "flows.file: '" + setting + "' cannot be made a folder: " + failed.message();
            return places;
        }
        if (!add(setting, false)) {
            places.error =
                "flows.file: '" + setting +
                "' is on neither hugetlbfs nor tmpfs, and on a disk packets would wait for the file to be written "
                "back: take \"auto\", or a folder below /run, /dev/shm or a hugetlbfs mount";
            return places;
        }
    }
    const std::size_t named = places.list.size();
    for (const Mount& mount : read_mounts()) {
        if (mount.type == "hugetlbfs") add(mount.folder, !automatic || !huge);
    }
    std::stable_sort(places.list.begin() + static_cast<std::ptrdiff_t>(named), places.list.end(),
                     [](const Place& a, const Place& b) { return a.page_bytes < b.page_bytes; });
    const std::filesystem::path folder = std::filesystem::path(control_socket).parent_path();
    std::error_code ignored;  // shows when it is looked at
    std::filesystem::create_directories(folder, ignored);
    add(folder, !automatic);
    add("/dev/shm", !automatic);
    return places;
}

MemoryThere read_memory_there() {
    std::ifstream file("/proc/meminfo");
    MemoryThere there;
    for (std::string key; file >> key;) {
        std::uint64_t kib = 0;
        if (key == "MemAvailable:" && file >> kib) {
            there.available_bytes = kib * 1024;
            break;
        }
        file.ignore(256, '\n');
    }
    there.available_bytes = std::min(there.available_bytes, left_by_control_groups());
    return there;
}

std::string read_boot_id() {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string id;
    file >> id;
    return id;
}

std::string file_name_for(const std::string& control_socket) {
    std::string stem = std::filesystem::path(control_socket).stem().string().substr(0, 32);
    std::ranges::replace_if(
        stem, [](unsigned char c) { return std::isalnum(c) == 0 && c != '-' && c != '_'; }, '_');
    const std::vector<std::uint8_t> bytes(control_socket.begin(), control_socket.end());
    char sum[16];
    std::snprintf(sum, sizeof sum, "%08x", packet::crc32c(bytes));
    return "guideway-flows-" + stem + "-" + sum;
}

}  // namespace guideway::persist
