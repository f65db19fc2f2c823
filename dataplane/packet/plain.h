// Plain packets: the shape of nearly all traffic, read and rewritten at constant offsets.
//
// Terms:
//   plain    untagged Ethernet to the port's own MAC address; IPv4 without options, or IPv6 without extension headers; not a
//            fragment; TCP or UDP with sane lengths; TTL above 1; the IPv4 header's checksum right.
//   station  a MAC address in the low 48 bits, as load_raw64() has it.
// Whatever is not plain takes the general way: parse() and rewrite_v4()/rewrite_v6(), of which this is a shortcut. Where both
// apply they do the same (tests/property/plain_property_test.cc holds them together, byte for byte).
//
//   PlainV4 plain;
//   if (read_plain(frame, length, verified, station, plain)) { ...look plain.tuple() up...; rewrite_plain(frame, plain, other, delta); }
//
// Thread contract: pure.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/five_tuple.h"
#include "dataplane/packet/parse.h"
#include "dataplane/packet/wire.h"

namespace guideway::packet {

static_assert(std::endian::native == std::endian::little, "words of the header are compared as they load");

inline std::uint64_t load_raw64(const std::uint8_t* at) noexcept {
    std::uint64_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
}
inline void store_raw64(std::uint8_t* at, std::uint64_t value) noexcept { std::memcpy(at, &value, sizeof value); }

inline std::uint64_t station_of(const MacAddress& mac) noexcept {
    std::uint64_t value = 0;
    std::memcpy(&value, mac.data(), mac.size());
    return value;
}

template <typename TupleType>
struct Plain {
    using Tuple = TupleType;
    using Words = std::array<std::uint64_t, sizeof(TupleType) / 8>;
    Words words;  ///< the tuple's bytes
    std::uint16_t l3_length;
    std::uint16_t payload;   ///< bytes behind the TCP or UDP header
    std::uint8_t tcp_flags;  ///< 0 for UDP

    Tuple tuple() const noexcept { return std::bit_cast<Tuple>(words); }
    std::uint8_t protocol() const noexcept { return static_cast<std::uint8_t>(words.back() >> 32); }
    bool is_tuple(const Tuple& other) const noexcept {
        Words theirs;
        std::memcpy(theirs.data(), &other, sizeof theirs);
        std::uint64_t differences = 0;
        for (std::size_t i = 0; i < theirs.size(); ++i) differences |= words[i] ^ theirs[i];
        return differences == 0;
    }
};
using PlainV4 = Plain<FiveTupleV4>;
using PlainV6 = Plain<FiveTupleV6>;

/// Where the layer above begins, from the frame's start.
template <typename Tuple>
inline constexpr std::uint32_t kPlainL4 = ethernet::kHeaderSize + (sizeof(Tuple) == sizeof(FiveTupleV4)
                                                                       ? ipv4::kHeaderSize
                                                                       : ipv6::kHeaderSize);

namespace plain_detail {

/// TCP and UDP headers: `available` bytes from `l4` to the IP packet's end.
template <typename Tuple>
inline bool read_l4(const std::uint8_t* l4, std::uint32_t available, std::uint8_t number, Plain<Tuple>& out) noexcept {
    if (number == protocol::kTcp) [[likely]] {
        if (available < tcp::kHeaderSize) return false;
        const std::uint32_t offset_and_flags = load_raw16(l4 + tcp::kDataOffset);
        const std::uint32_t header = (offset_and_flags & 0xf0U) >> 2;
        out.tcp_flags = static_cast<std::uint8_t>(offset_and_flags >> 8);
        out.payload = static_cast<std::uint16_t>(available - header);
        return header >= tcp::kHeaderSize && header <= available;
    }
    if (number != protocol::kUdp || available < udp::kHeaderSize) return false;
    const std::uint32_t stated = load_be16(l4 + udp::kLength);
    out.tcp_flags = 0;
    out.payload = static_cast<std::uint16_t>(available - udp::kHeaderSize);
    return stated >= udp::kHeaderSize && stated <= available;
}

inline bool header_sum_right(const std::uint8_t* header) noexcept {
    std::uint64_t sum = load_raw64(header) >> 32;
    sum += load_raw64(header) & 0xffffffffU;
    sum += load_raw64(header + 8) >> 32;
    sum += load_raw64(header + 8) & 0xffffffffU;
    sum += load_raw32(header + 16);
    sum = (sum & 0xffffffffU) + (sum >> 32);
    sum = (sum & 0xffffU) + (sum >> 16);
    sum = (sum & 0xffffU) + (sum >> 16);
    return sum == 0xffffU;
}

template <typename Tuple>
inline void rewrite_l4(std::uint8_t* frame, const Tuple& tuple, std::uint16_t delta) noexcept {
    std::uint8_t* l4 = frame + kPlainL4<Tuple>;
    if (tuple.protocol == protocol::kTcp) [[likely]] {
        store_raw16(l4 + tcp::kChecksum, apply(load_raw16(l4 + tcp::kChecksum), delta));
    } else {
        store_raw16(l4 + udp::kChecksum, apply_udp(load_raw16(l4 + udp::kChecksum), delta));
    }
}

}  // namespace plain_detail

/// False where the frame is not plain; `out` is then undefined. Reads at most `length` bytes. `verified`: the NIC found the
/// IPv4 header's checksum right.
inline bool read_plain(const std::uint8_t* frame, std::uint32_t length, bool verified, std::uint64_t station,
                       PlainV4& out) noexcept {
    if (length < kPlainL4<FiveTupleV4> + udp::kHeaderSize) return false;
    const std::uint8_t* ip = frame + ethernet::kHeaderSize;
    // Type IPv4, version 4, header of 20 bytes.
    if ((load_raw32(frame + ethernet::kType) & 0xffffffU) != 0x450008U) return false;
    if ((load_raw64(frame) << 16) != station << 16) return false;
    const std::uint32_t total = load_be16(ip + ipv4::kTotalLength);
    if (total > length - ethernet::kHeaderSize || total < ipv4::kHeaderSize) return false;
    // Fragment offset and flag, TTL, protocol.
    const std::uint32_t middle = load_raw32(ip + ipv4::kFragment);
    constexpr std::uint16_t kFragmented = swap_if_little(std::uint16_t{ipv4::kMoreFragments | ipv4::kFragmentOffset});
    if ((middle & kFragmented) != 0 || (middle & 0xfe0000U) == 0) return false;
    if (!verified && !plain_detail::header_sum_right(ip)) return false;
    const auto number = static_cast<std::uint8_t>(middle >> 24);
    out.words[0] = load_raw64(ip + ipv4::kSource);
    out.words[1] = load_raw32(frame + kPlainL4<FiveTupleV4>) | std::uint64_t{number} << 32;
    out.l3_length = static_cast<std::uint16_t>(total);
    return plain_detail::read_l4(frame + kPlainL4<FiveTupleV4>, total - ipv4::kHeaderSize, number, out);
}

inline bool read_plain(const std::uint8_t* frame, std::uint32_t length, bool /*verified*/, std::uint64_t station,
                       PlainV6& out) noexcept {
    if (length < kPlainL4<FiveTupleV6> + udp::kHeaderSize) return false;
    const std::uint8_t* ip = frame + ethernet::kHeaderSize;
    if ((load_raw32(frame + ethernet::kType) & 0xf0ffffU) != 0x60dd86U) return false;
    if ((load_raw64(frame) << 16) != station << 16) return false;
    const std::uint32_t payload = load_be16(ip + ipv6::kPayloadLength);
    if (payload > length - kPlainL4<FiveTupleV6> || payload > 0xffffU - ipv6::kHeaderSize) return false;
    if (ip[ipv6::kHopLimit] <= 1) return false;
    const std::uint8_t number = ip[ipv6::kNextHeader];
    for (std::size_t i = 0; i < 4; ++i) out.words[i] = load_raw64(ip + ipv6::kSource + 8 * i);
    out.words[4] = load_raw32(frame + kPlainL4<FiveTupleV6>) | std::uint64_t{number} << 32;
    out.l3_length = static_cast<std::uint16_t>(payload + ipv6::kHeaderSize);
    return plain_detail::read_l4(frame + kPlainL4<FiveTupleV6>, payload, number, out);
}

/// What parse() says of a plain frame.
template <typename Tuple>
inline ParsedPacket parsed_of(const Plain<Tuple>& plain, const std::uint8_t* frame) noexcept {
    constexpr bool kV4 = sizeof(Tuple) == sizeof(FiveTupleV4);
    ParsedPacket parsed{};
    if constexpr (kV4) {
        parsed.v4 = plain.tuple();
        parsed.martian = is_martian(parsed.v4);
    } else {
        parsed.v6 = plain.tuple();
        parsed.martian = is_martian(parsed.v6);
    }
    parsed.has_v4 = kV4;
    parsed.has_v6 = !kV4;
    parsed.kind = kV4 ? PacketKind::ipv4_flow : PacketKind::ipv6_flow;
    parsed.l3_length = plain.l3_length;
    parsed.l4_offset = kPlainL4<Tuple>;
    parsed.l2_length = ethernet::kHeaderSize;
    parsed.protocol = plain.protocol();
    parsed.tcp_flags = plain.tcp_flags;
    parsed.sctp_chunk = ParsedPacket::kNoChunk;
    parsed.ttl = frame[ethernet::kHeaderSize + (kV4 ? ipv4::kTtl : ipv6::kHopLimit)];
    return parsed;
}

/// As rewrite_v4(frame, parsed, swapped(other), delta), for a plain frame. `other` is the other half of its flow entry.
inline void rewrite_plain(std::uint8_t* frame, const FiveTupleV4& other, ChecksumDelta delta) noexcept {
    constexpr std::uint16_t kTtlDelta = static_cast<std::uint16_t>(~swap_if_little(std::uint16_t{0x0100}));
    std::uint8_t* ip = frame + ethernet::kHeaderSize;
    --ip[ipv4::kTtl];
    const auto sum = static_cast<std::uint16_t>(~load_raw16(ip + ipv4::kChecksum));
    store_raw16(ip + ipv4::kChecksum, static_cast<std::uint16_t>(~add_sums(add_sums(sum, delta.addresses), kTtlDelta)));
    plain_detail::rewrite_l4(frame, other, delta.all);
    const auto* words = reinterpret_cast<const std::uint8_t*>(&other);
    store_raw64(ip + ipv4::kSource, std::rotl(load_raw64(words), 32));
    store_raw32(frame + kPlainL4<FiveTupleV4>, std::rotl(load_raw32(words + 8), 16));
}

inline void rewrite_plain(std::uint8_t* frame, const FiveTupleV6& other, ChecksumDelta delta) noexcept {
    std::uint8_t* ip = frame + ethernet::kHeaderSize;
    --ip[ipv6::kHopLimit];
    plain_detail::rewrite_l4(frame, other, delta.all);
    std::memcpy(ip + ipv6::kSource, other.destination.data(), 16);
    std::memcpy(ip + ipv6::kDestination, other.source.data(), 16);
    store_raw32(frame + kPlainL4<FiveTupleV6>,
                std::rotl(load_raw32(reinterpret_cast<const std::uint8_t*>(&other) + 32), 16));
}

/// The sequence number that follows this TCP segment's last byte, FIN counted (RFC 9293 section 3.4).
inline std::uint32_t next_sequence(const std::uint8_t* tcp_header, std::uint32_t segment_length) noexcept {
    const std::uint32_t header = (tcp_header[tcp::kDataOffset] >> 4) * 4U;
    const std::uint32_t syn_fin = (tcp_header[tcp::kFlags] & 1U) + (tcp_header[tcp::kFlags] >> 1 & 1U);
    return load_be32(tcp_header + tcp::kSequence) + segment_length - header + syn_fin;
}

}  // namespace guideway::packet
