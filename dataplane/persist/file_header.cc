#include "dataplane/persist/file_header.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include "dataplane/packet/checksum.h"

namespace guideway::persist {
namespace {

constexpr std::array<char, 8> kMagic{'G', 'W', 'F', 'L', 'O', 'W', 'S', '\n'};
constexpr std::uint32_t kFormat = 2;  // 1 had no regions of clients remembered
constexpr std::size_t kChecked = offsetof(FileHeader, layout_version);

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to) { return (value + to - 1) / to * to; }

std::string hex(std::uint64_t value) {
    char text[24];
    std::snprintf(text, sizeof text, "%llx", static_cast<unsigned long long>(value));
    return text;
}

std::string describe(const Layout& layout) {
    return "version " + std::to_string(layout.version) + ", entries of " + std::to_string(layout.entry_bytes[kV4]) +
           " and " + std::to_string(layout.entry_bytes[kV6]) + " bytes, " +
           (layout.entry_bytes[kAffinity] == 0
                ? ""
                : "clients of " + std::to_string(layout.entry_bytes[kAffinity]) + " bytes, ") +
           "digest " + hex(layout.digest);
}

std::string join(const std::vector<std::string>& list) {
    std::string text;
    for (const auto& one : list) text += (text.empty() ? "" : ", ") + one;
    return text.empty() ? "none" : text;
}

std::vector<std::string> sorted(std::vector<std::string> list) {
    std::ranges::sort(list);
    return list;
}

/// Characters of an address, so that whatever is read may be logged.
bool is_address_character(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == ':' || c == '.'; }

std::string fixed_text(std::span<const char> field) {
    return {field.begin(), std::find(field.begin(), field.end(), '\0')};
}

/// An empty string where all is well.
std::string fault_of_regions(const FileHeader& header, std::uint64_t file_bytes) {
    if (header.workers == 0 || header.workers > kMostWorkers) {
        return std::to_string(header.workers) + " workers, 1.." + std::to_string(kMostWorkers) + " are possible";
    }
    if (header.file_bytes != file_bytes) {
        return std::to_string(file_bytes) + " bytes long, " + std::to_string(header.file_bytes) + " expected";
    }
    std::uint64_t end =
        kHeaderBytes;  // regions stand in order, so none overlaps where each begins after the one before
    for (std::uint32_t worker = 0; worker < header.workers; ++worker) {
        for (unsigned family = 0; family < kFamilies; ++family) {
            const Region& region = header.regions[worker][family];
            const std::string name = "entries of worker " + std::to_string(worker) +
                                     (family == kV4   ? ", IPv4"
                                      : family == kV6 ? ", IPv6"
                                                      : ", clients remembered");
            if ((region.capacity == 0 && family != kAffinity) || region.capacity > kMostEntries ||
                region.capacity != header.capacity[family]) {
                return name + ": capacity " + std::to_string(region.capacity);
            }
            if (region.bytes != std::uint64_t{region.capacity} * header.entry_bytes[family]) {
                return name + ": " + std::to_string(region.bytes) + " bytes";
            }
            if (region.offset % kRegionAlignment != 0 || region.offset < end) {
                return name + ": at " + std::to_string(region.offset);
            }
            if (region.offset > file_bytes || region.bytes > file_bytes - region.offset) {
                return name + ": beyond the end of the file";
            }
            end = region.offset + region.bytes;
        }
    }
    return "";
}

std::string fault_of_text(const FileHeader& header) {
    if (header.snat_bytes > header.snat_text.size()) return "list of SNAT addresses too long";
    const std::string_view text(header.snat_text.data(), header.snat_bytes);
    if (!text.empty() && text.back() != '\n') return "list of SNAT addresses cut off";
    if (!std::ranges::all_of(text, [](char c) { return c == '\n' || is_address_character(c); })) {
        return "list of SNAT addresses holds other characters than those of addresses";
    }
    return "";
}

}  // namespace

std::vector<std::string> differences(const Shape& found, const Shape& wanted) {
    std::vector<std::string> list;
    const auto number = [&](const char* what, std::uint32_t old_one, std::uint32_t new_one) {
        if (old_one != new_one) {
            list.push_back(std::string(what) + ": " + std::to_string(new_one) + ", were " + std::to_string(old_one));
        }
    };
    number("workers", found.workers, wanted.workers);
    number("flows.ipv4", found.capacity[kV4], wanted.capacity[kV4]);
    number("flows.ipv6", found.capacity[kV6], wanted.capacity[kV6]);
    const auto clients = [](const Shape& shape) {
        return shape.capacity[kAffinity] - (shape.capacity[kAffinity] != 0);
    };
    number("flows.affinity_clients (rounded up)", clients(found), clients(wanted));
    const auto old_list = sorted(found.snat_addresses);
    const auto new_list = sorted(wanted.snat_addresses);
    std::vector<std::string> gone;
    std::vector<std::string> come;
    std::ranges::set_difference(old_list, new_list, std::back_inserter(gone));
    std::ranges::set_difference(new_list, old_list, std::back_inserter(come));
    if (!gone.empty()) list.push_back("snat_addresses no longer there: " + join(gone));
    if (!come.empty()) list.push_back("snat_addresses new: " + join(come));
    return list;
}

std::uint32_t header_checksum(const FileHeader& header) {
    std::array<std::uint8_t, kHeaderBytes> bytes;
    std::memcpy(bytes.data(), &header, kHeaderBytes);
    return packet::crc32c(std::span(bytes).subspan(kChecked));
}

FileHeader make_header(const Layout& layout, const Shape& shape, const std::string& boot_id, std::uint64_t page_bytes,
                       std::uint64_t made_at_ns) {
    if (shape.workers == 0 || shape.workers > kMostWorkers) throw std::invalid_argument("flow file: workers");
    FileHeader header;
    std::memset(&header, 0, sizeof header);
    header.magic = kMagic;
    header.format = kFormat;
    header.state = kBeingMade;
    header.layout_version = layout.version;
    header.layout_digest = layout.digest;
    header.entry_bytes = layout.entry_bytes;
    header.workers = shape.workers;
    header.capacity = shape.capacity;
    header.made_at_ns = made_at_ns;
    if (boot_id.size() >= header.boot_id.size()) throw std::invalid_argument("flow file: boot id");
    std::ranges::copy(boot_id, header.boot_id.begin());
    std::string text;
    for (const auto& address : sorted(shape.snat_addresses)) text += address + "\n";
    if (text.size() > header.snat_text.size()) throw std::invalid_argument("flow file: too many SNAT addresses");
    header.snat_bytes = static_cast<std::uint32_t>(text.size());
    std::ranges::copy(text, header.snat_text.begin());

    std::uint64_t end = kHeaderBytes;
    for (std::uint32_t worker = 0; worker < shape.workers; ++worker) {
        for (unsigned family = 0; family < kFamilies; ++family) {
            const std::uint32_t capacity = shape.capacity[family];
            if ((capacity == 0 && family != kAffinity) || capacity > kMostEntries)
                throw std::invalid_argument("flow file: capacity");
            const std::uint64_t offset = round_up(end, kRegionAlignment);
            const std::uint64_t bytes = std::uint64_t{capacity} * layout.entry_bytes[family];
            header.regions[worker][family] = {offset, bytes, capacity, 0};
            end = offset + bytes;
        }
    }
    header.file_bytes = round_up(end, std::max(page_bytes, kRegionAlignment));
    header.checksum = header_checksum(header);
    return header;
}

const char* name_of(RefusalKind kind) {
    switch (kind) {
        case RefusalKind::layout:
            return "another layout";
        case RefusalKind::boot:
            return "another boot";
        case RefusalKind::damaged:
            return "damaged";
        case RefusalKind::unreadable:
            return "unreadable";
        case RefusalKind::no_room:
            return "no room";
    }
    return "?";
}

std::optional<Refusal> judge_header(std::span<const std::byte> bytes, std::uint64_t file_bytes, const Layout& layout,
                                    const std::string& boot_id) {
    const auto damaged = [](std::string what) { return Refusal{RefusalKind::damaged, std::move(what)}; };
    if (bytes.size() < kHeaderBytes) {
        return damaged(std::to_string(file_bytes) + " bytes long, the header alone has " +
                       std::to_string(kHeaderBytes));
    }
    FileHeader header;
    std::memcpy(&header, bytes.data(), kHeaderBytes);
    if (header.magic != kMagic) return damaged("does not begin as a flow file does");
    if (header.format != kFormat) {
        return Refusal{RefusalKind::layout,
                       "found header format " + std::to_string(header.format) + ", wanted " + std::to_string(kFormat)};
    }
    if (header.checksum != header_checksum(header)) return damaged("the header's checksum is wrong");
    if (header.state == kBeingMade) return damaged("its making was cut short");
    if (header.state != kReady) return damaged("its state is " + hex(header.state) + ", which is none");
    const Layout found{header.layout_version, header.layout_digest, header.entry_bytes};
    if (found != layout) {
        return Refusal{RefusalKind::layout, "found " + describe(found) + ", wanted " + describe(layout)};
    }
    if (boot_id.empty()) return Refusal{RefusalKind::boot, "/proc does not say which boot this is"};
    if (fixed_text(header.boot_id) != boot_id) {
        return Refusal{RefusalKind::boot, "the machine has started again since; its connections are gone"};
    }
    std::string fault = fault_of_regions(header, file_bytes);
    if (fault.empty()) fault = fault_of_text(header);
    if (!fault.empty()) return damaged(std::move(fault));
    return std::nullopt;
}

Shape shape_of(const FileHeader& header) {
    Shape shape{header.workers, header.capacity, {}};
    std::string_view text(header.snat_text.data(), header.snat_bytes);
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        shape.snat_addresses.emplace_back(text.substr(0, end));
        text.remove_prefix(end + 1);
    }
    return shape;
}

}  // namespace guideway::persist
