// Cutting whole frames into fragments and joining them again, the slow way and apart from the code under test.
//
// Worked example: cut(PacketBuilder()...payload(3000).build(), 1480, 7) are three frames with identification 7; join() of what left is
// the frame that would have left whole, and faults() of that judges the checksums. Thread contract: none shared.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "dataplane/packet/checksum.h"
#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {

inline bool is_v6(const Frame& frame) { return frame[12] == 0x86; }
inline std::uint32_t fragment_id(const Frame& f) {
    return is_v6(f) ? packet::load_be32(&f[14 + 44]) : packet::load_be16(&f[14 + 4]);
}
/// In bytes.
inline std::uint32_t fragment_offset(const Frame& f) {
    return is_v6(f) ? packet::load_be16(&f[14 + 42]) & 0xfff8U : (packet::load_be16(&f[14 + 6]) & 0x1fffU) * 8U;
}
inline bool fragment_more(const Frame& f) { return ((is_v6(f) ? f[14 + 43] : f[14 + 6] >> 5) & 1U) != 0; }

/// A fragment with this piece of `whole`'s data (untagged, no options or extension headers).
inline Frame piece_of(const Frame& whole, std::size_t offset, std::size_t length, bool more, std::uint32_t id) {
    const bool v6 = is_v6(whole);
    const std::size_t header = v6 ? 40 : 20;
    Frame part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(14 + header));
    std::uint8_t* ip = part.data() + 14;
    if (v6) {
        const std::uint8_t next = ip[6];
        ip[6] = 44;
        packet::store_be16(ip + 4, static_cast<std::uint16_t>(8 + length));
        std::array<std::uint8_t, 8> extension{next};
        packet::store_be16(extension.data() + 2, static_cast<std::uint16_t>(offset | (more ? 1U : 0U)));
        packet::store_be32(extension.data() + 4, id);
        part.insert(part.end(), extension.begin(), extension.end());
    } else {
        packet::store_be16(ip + 2, static_cast<std::uint16_t>(20 + length));
        packet::store_be16(ip + 4, static_cast<std::uint16_t>(id));
        packet::store_be16(ip + 6, static_cast<std::uint16_t>(offset / 8 | (more ? 0x2000U : 0U)));
        packet::store_raw16(ip + 10, packet::ipv4_header_checksum(ip, 20));
    }
    const auto data = whole.begin() + static_cast<std::ptrdiff_t>(14 + header + offset);
    part.insert(part.end(), data, data + static_cast<std::ptrdiff_t>(length));
    return part;
}

/// `data` bytes in each but the last, a multiple of 8.
inline std::vector<Frame> cut(const Frame& whole, std::size_t data, std::uint32_t id) {
    const std::size_t total = whole.size() - 14 - (is_v6(whole) ? 40 : 20);
    std::vector<Frame> parts;
    for (std::size_t at = 0; at < total; at += data) {
        const std::size_t length = std::min(data, total - at);
        parts.push_back(piece_of(whole, at, length, at + length < total, id));
    }
    return parts;
}

/// The whole frame, or nothing where these are not all fragments of one datagram, each once, headers alike and right.
inline Frame join(std::vector<Frame> parts) {
    if (parts.empty()) return {};
    std::sort(parts.begin(), parts.end(),
              [](const Frame& a, const Frame& b) { return fragment_offset(a) < fragment_offset(b); });
    const bool v6 = is_v6(parts.front());
    const std::size_t header = v6 ? 40 : 20;
    Frame whole(parts.front().begin(), parts.front().begin() + static_cast<std::ptrdiff_t>(14 + header));
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const Frame& part = parts[i];
        const bool last = i + 1 == parts.size();
        if (fragment_offset(part) != whole.size() - 14 - header || fragment_more(part) == last) return {};
        if (fragment_id(part) != fragment_id(parts.front())) return {};
        if (std::memcmp(part.data(), whole.data(), 14) != 0) return {};
        if (!v6 && !packet::ipv4_header_checksum_ok(part.data() + 14, 20)) return {};
        const std::size_t addresses = 14 + (v6 ? 8 : 12);
        if (std::memcmp(&part[addresses], &whole[addresses], v6 ? 32 : 8) != 0) return {};
        whole.insert(whole.end(), part.begin() + static_cast<std::ptrdiff_t>(14 + header + (v6 ? 8 : 0)), part.end());
    }
    std::uint8_t* ip = whole.data() + 14;
    if (v6) {
        ip[6] = parts.front()[14 + 40];
        packet::store_be16(ip + 4, static_cast<std::uint16_t>(whole.size() - 54));
    } else {
        packet::store_be16(ip + 2, static_cast<std::uint16_t>(whole.size() - 14));
        packet::store_be16(ip + 6, 0);
        packet::store_raw16(ip + 10, packet::ipv4_header_checksum(ip, 20));
    }
    return whole;
}

}  // namespace guideway::worker::testing
