// Parts that the builders of answers share. Not for other folders.
// Thread contract: pure.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/parse.h"
#include "dataplane/packet/wire.h"

namespace guideway::packet {

inline constexpr std::uint8_t kAnswerTtl = 64;

inline bool is_multicast_v4(std::uint32_t address) noexcept {
    const std::uint32_t host = swap_if_little(address);
    return (host >> 28) == 0xe || host == 0xffffffffU;
}

/// May a packet be answered with a RST, ABORT or ICMP message at all (RFC 1122 3.2.2, RFC 4443 2.4 (e))?
inline bool may_be_answered(const ParsedPacket& parsed) noexcept {
    if (parsed.martian || parsed.l2_multicast || !parsed.has_destination()) return false;
    return parsed.has_v4 ? !is_multicast_v4(parsed.v4.destination) : parsed.v6.destination[0] != 0xff;
}

/// The frame's Ethernet header with its tags, back to the sender.
inline void write_ethernet_back(std::uint8_t* out, const std::uint8_t* frame, const ParsedPacket& parsed,
                                const MacAddress& mac) noexcept {
    std::memcpy(out, frame, parsed.l2_length);
    std::memcpy(out + ethernet::kDestination, frame + ethernet::kSource, mac.size());
    std::memcpy(out + ethernet::kSource, mac.data(), mac.size());
}

/// A plain IP header from the packet's destination to its source with `payload` bytes behind; returns its size.
inline std::uint32_t write_ip_back(std::uint8_t* out, const ParsedPacket& parsed, std::uint8_t number,
                                   std::uint32_t payload) noexcept {
    if (parsed.has_v4) {
        std::memset(out, 0, ipv4::kHeaderSize);
        out[ipv4::kVersionIhl] = 0x45;
        store_be16(out + ipv4::kTotalLength, static_cast<std::uint16_t>(ipv4::kHeaderSize + payload));
        store_be16(out + ipv4::kFragment, ipv4::kDontFragment);
        out[ipv4::kTtl] = kAnswerTtl;
        out[ipv4::kProtocol] = number;
        store_raw32(out + ipv4::kSource, parsed.v4.destination);
        store_raw32(out + ipv4::kDestination, parsed.v4.source);
        store_raw16(out + ipv4::kChecksum, ipv4_header_checksum(out, ipv4::kHeaderSize));
        return ipv4::kHeaderSize;
    }
    std::memset(out, 0, ipv6::kHeaderSize);
    out[0] = 0x60;
    store_be16(out + ipv6::kPayloadLength, static_cast<std::uint16_t>(payload));
    out[ipv6::kNextHeader] = number;
    out[ipv6::kHopLimit] = kAnswerTtl;
    std::memcpy(out + ipv6::kSource, parsed.v6.destination.data(), 16);
    std::memcpy(out + ipv6::kDestination, parsed.v6.source.data(), 16);
    return ipv6::kHeaderSize;
}

constexpr std::uint32_t ip_header_size(const ParsedPacket& parsed) noexcept {
    return parsed.has_v4 ? ipv4::kHeaderSize : ipv6::kHeaderSize;
}

/// Sum of the pseudo header of the IP packet at `header`.
inline std::uint16_t pseudo_sum_at(const std::uint8_t* header, bool is_v4, std::uint8_t number,
                                   std::uint32_t length) noexcept {
    return is_v4 ? pseudo_sum_v4(header + ipv4::kSource, number, length)
                 : pseudo_sum_v6(header + ipv6::kSource, number, length);
}

inline constexpr std::array<std::uint8_t, 16> kAllNodes{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
inline constexpr MacAddress kAllNodesMac{0x33, 0x33, 0, 0, 0, 1};
inline constexpr std::uint32_t kLinkLayerOptionSize = 8;
inline constexpr std::uint32_t kAdvertisementSize = ipv6::kHeaderSize + icmpv6::kNeighbourSize + kLinkLayerOptionSize;

/// IPv6 header and neighbour advertisement, kAdvertisementSize bytes: `target` is at `mac`, said to `to` (RFC 4861 4.4).
inline void write_advertisement(std::uint8_t* header, const std::array<std::uint8_t, 16>& target,
                                const std::array<std::uint8_t, 16>& to, std::uint8_t flags,
                                const MacAddress& mac) noexcept {
    constexpr std::uint32_t kMessage = kAdvertisementSize - ipv6::kHeaderSize;
    std::memset(header, 0, kAdvertisementSize);
    header[0] = 0x60;
    store_be16(header + ipv6::kPayloadLength, kMessage);
    header[ipv6::kNextHeader] = protocol::kIcmpv6;
    header[ipv6::kHopLimit] = 255;
    std::memcpy(header + ipv6::kSource, target.data(), target.size());
    std::memcpy(header + ipv6::kDestination, to.data(), to.size());
    std::uint8_t* message = header + ipv6::kHeaderSize;
    message[icmp::kType] = icmpv6::kNeighbourAdvertisement;
    message[icmpv6::kNeighbourFlags] = flags;
    std::memcpy(message + icmpv6::kNeighbourTarget, target.data(), target.size());
    message[icmpv6::kNeighbourSize] = icmpv6::kTargetLinkLayerOption;
    message[icmpv6::kNeighbourSize + 1] = 1;
    std::memcpy(message + icmpv6::kNeighbourSize + 2, mac.data(), mac.size());
    const std::uint16_t pseudo = pseudo_sum_v6(header + ipv6::kSource, protocol::kIcmpv6, kMessage);
    store_raw16(message + icmp::kChecksum, static_cast<std::uint16_t>(~sum_of({message, kMessage}, pseudo)));
}

}  // namespace guideway::packet
