#include "dataplane/packet/parse.h"

#include <cstring>

#include "dataplane/packet/checksum.h"

namespace guideway::packet {
namespace {

using observe::DropReason;

void fail(ParsedPacket& packet, DropReason reason) noexcept {
    packet.kind = PacketKind::bad;
    packet.reason = reason;
}

/// TCP, UDP and SCTP headers and the tuple's ports. `at` is the L4 header, `length` what the IP packet has from there. A first
/// fragment has all of the header, or nobody could say which connection it is of (RFC 1858, RFC 3128, RFC 7112).
template <typename Tuple>
void parse_flow(const std::uint8_t* at, std::uint32_t length, ParsedPacket& packet, Tuple& tuple,
                PacketKind flow_kind) noexcept {
    const bool first = packet.part == Part::first;
    const DropReason truncated = first ? DropReason::fragment_tiny : DropReason::l4_truncated;
    if (packet.protocol == protocol::kTcp) {
        if (length < tcp::kHeaderSize) return fail(packet, truncated);
        const std::uint32_t header = (at[tcp::kDataOffset] >> 4) * 4U;
        if (header < tcp::kHeaderSize) return fail(packet, DropReason::l4_header_bad);
        if (header > length) return fail(packet, first ? truncated : DropReason::l4_header_bad);
        packet.tcp_flags = at[tcp::kFlags];
    } else if (packet.protocol == protocol::kUdp) {
        if (length < udp::kHeaderSize) return fail(packet, truncated);
        const std::uint32_t stated = load_be16(at + udp::kLength);
        if (stated < udp::kHeaderSize || (stated > length && !first)) return fail(packet, DropReason::l4_header_bad);
    } else {
        if (length < sctp::kHeaderSize) return fail(packet, truncated);
        if (length >= sctp::kHeaderSize + sctp::kChunkHeaderSize) packet.sctp_chunk = at[sctp::kHeaderSize];
    }
    tuple.source_port = load_raw16(at);
    tuple.destination_port = load_raw16(at + 2);
    tuple.protocol = packet.protocol;
    packet.kind = flow_kind;
}

bool is_flow_protocol(std::uint8_t number) noexcept {
    return number == protocol::kTcp || number == protocol::kUdp || number == protocol::kSctp;
}

void parse_icmpv4(const std::uint8_t* at, std::uint32_t length, ParsedPacket& packet) noexcept {
    if (length < icmp::kHeaderSize) return fail(packet, DropReason::l4_truncated);
    const bool echo = at[icmp::kType] == icmp::kEchoRequest && at[icmp::kCode] == 0;
    packet.kind = echo ? PacketKind::icmpv4_echo_request : PacketKind::icmp_other;
}

void parse_icmpv6(const std::uint8_t* at, std::uint32_t length, ParsedPacket& packet) noexcept {
    if (length < icmp::kHeaderSize) return fail(packet, DropReason::l4_truncated);
    packet.kind = PacketKind::icmp_other;
    if (at[icmp::kType] == icmpv6::kEchoRequest && at[icmp::kCode] == 0) {
        packet.kind = PacketKind::icmpv6_echo_request;
    } else if (at[icmp::kType] == icmpv6::kNeighbourSolicitation && length >= icmpv6::kNeighbourSize) {
        packet.kind = PacketKind::neighbour_solicitation;
        std::memcpy(packet.v6.destination.data(), at + icmpv6::kNeighbourTarget, 16);
    }
}

/// Options behind the fixed header: lengths, and source routes. Others go on to the backend as they are.
DropReason judge_options(const std::uint8_t* at, std::uint32_t length) noexcept {
    constexpr std::uint8_t kEnd = 0, kNothing = 1, kLooseSourceRoute = 131, kStrictSourceRoute = 137;
    for (std::uint32_t i = 0; i < length && at[i] != kEnd;) {
        if (at[i] == kNothing) {
            ++i;
            continue;
        }
        if (at[i] == kLooseSourceRoute || at[i] == kStrictSourceRoute) return DropReason::ip_source_route;
        if (i + 1 == length || at[i + 1] < 2 || at[i + 1] > length - i) return DropReason::ip_options_bad;
        i += at[i + 1];
    }
    return DropReason::none;
}

void parse_ipv4(const std::uint8_t* frame, std::uint32_t length, ParsedPacket& packet, ParseOptions options) noexcept {
    const std::uint8_t* header = frame + packet.l2_length;
    const std::uint32_t available = length - packet.l2_length;
    if (available < ipv4::kHeaderSize) return fail(packet, DropReason::ip_truncated);
    if ((header[ipv4::kVersionIhl] >> 4) != 4) return fail(packet, DropReason::ip_header_bad);

    packet.has_v4 = true;
    packet.v4.source = load_raw32(header + ipv4::kSource);
    packet.v4.destination = load_raw32(header + ipv4::kDestination);
    packet.martian = is_martian(packet.v4);
    packet.ttl = header[ipv4::kTtl];
    packet.protocol = header[ipv4::kProtocol];

    const std::uint32_t header_length = (header[ipv4::kVersionIhl] & 0x0fU) * 4U;
    const std::uint32_t total = load_be16(header + ipv4::kTotalLength);
    if (header_length < ipv4::kHeaderSize || total < header_length) return fail(packet, DropReason::ip_header_bad);
    if (total > available) return fail(packet, DropReason::ip_truncated);
    packet.l3_length = total;
    packet.l4_offset = static_cast<std::uint16_t>(packet.l2_length + header_length);
    if (!options.ipv4_checksum_verified && !ipv4_header_checksum_ok(header, header_length)) {
        return fail(packet, DropReason::ipv4_checksum_bad);
    }
    if (header_length != ipv4::kHeaderSize) {
        const DropReason fault = judge_options(header + ipv4::kHeaderSize, header_length - ipv4::kHeaderSize);
        if (fault != DropReason::none) return fail(packet, fault);
    }
    const std::uint8_t* l4 = header + header_length;
    const std::uint32_t l4_length = total - header_length;
    const std::uint16_t place = load_be16(header + ipv4::kFragment);
    if ((place & (ipv4::kMoreFragments | ipv4::kFragmentOffset)) != 0) {
        packet.kind = PacketKind::fragment;
        packet.part = (place & ipv4::kFragmentOffset) == 0 ? Part::first : Part::following;
        if (packet.part == Part::first && is_flow_protocol(packet.protocol)) {
            parse_flow(l4, l4_length, packet, packet.v4, PacketKind::fragment);
        }
        return;
    }
    if (is_flow_protocol(packet.protocol)) {
        parse_flow(l4, l4_length, packet, packet.v4, PacketKind::ipv4_flow);
    } else if (packet.protocol == protocol::kIcmp) {
        parse_icmpv4(l4, l4_length, packet);
    } else {
        packet.kind = PacketKind::ip_other;
    }
}

bool is_extension(std::uint8_t next) noexcept {
    return next == ipv6::kHopByHop || next == ipv6::kRouting || next == ipv6::kFragmentHeader ||
           next == ipv6::kDestinationOptions;
}

/// Hop-by-hop and destination options, `size` bytes from `extension` on: lengths within bounds. Hop-by-hop options that ask to be
/// discarded by who does not know them (RFC 8200 4.2; jumbograms among them) are bad here, since none is known.
bool options_good(const std::uint8_t* extension, std::uint32_t size, bool hop_by_hop) noexcept {
    constexpr std::uint8_t kPadding1 = 0, kUnknownActions = 0xc0;
    for (std::uint32_t i = 2; i < size;) {
        if (extension[i] == kPadding1) {
            ++i;
            continue;
        }
        if (hop_by_hop && (extension[i] & kUnknownActions) != 0) return false;
        if (i + 1 == size || extension[i + 1] + 2U > size - i) return false;
        i += extension[i + 1] + 2U;
    }
    return true;
}

/// Walks the extension headers from the end of the fixed header on; false if the packet's kind is decided.
bool walk_extensions(const std::uint8_t* header, std::uint32_t l3_length, std::uint8_t& next, std::uint32_t& offset,
                     ParsedPacket& packet) noexcept {
    for (unsigned count = 0; is_extension(next); ++count) {
        const auto refuse = [&packet](DropReason reason = DropReason::ipv6_extension_bad) {
            fail(packet, reason);
            return false;
        };
        // The headers of a first fragment are to be whole (RFC 7112).
        const DropReason truncated =
            packet.part == Part::first ? DropReason::fragment_tiny : DropReason::ipv6_extension_bad;
        if (count == kMaxExtensionHeaders) return refuse();
        if (offset + 8 > l3_length) return refuse(truncated);
        const std::uint8_t* extension = header + offset;
        const bool is_fragment = next == ipv6::kFragmentHeader;
        const std::uint32_t size = is_fragment ? 8U : (extension[1] + 1U) * 8U;
        if (offset + size > l3_length) return refuse(truncated);
        if (offset + size - ipv6::kHeaderSize > kMaxExtensionBytes) return refuse();
        if (is_fragment && packet.part == Part::first) return refuse();
        // RFC 8200 4.1: hop-by-hop options stand directly after the fixed header or nowhere.
        if (next == ipv6::kHopByHop && count != 0) return refuse();
        // A route that is still to be followed would take the packet past the VIP; type 0 is no more (RFC 5095).
        if (next == ipv6::kRouting && (extension[2] == 0 || extension[3] != 0)) {
            fail(packet, DropReason::ipv6_routing_header);
            return false;
        }
        const bool options = next == ipv6::kHopByHop || next == ipv6::kDestinationOptions;
        if (options && !options_good(extension, size, next == ipv6::kHopByHop)) return refuse();
        // Offset and M both zero: an atomic fragment, whole in itself (RFC 6946).
        if (is_fragment && (load_be16(extension + 2) & 0xfff9U) != 0) {
            packet.kind = PacketKind::fragment;
            packet.fragment_header = static_cast<std::uint8_t>(offset / 8);
            packet.part = (load_be16(extension + 2) & 0xfff8U) == 0 ? Part::first : Part::following;
            if (packet.part == Part::following) {
                packet.protocol = extension[0];
                packet.l4_offset = static_cast<std::uint16_t>(packet.l2_length + offset + size);
                return false;
            }
        }
        next = extension[0];
        offset += size;
    }
    return true;
}

void parse_ipv6(const std::uint8_t* frame, std::uint32_t length, ParsedPacket& packet) noexcept {
    const std::uint8_t* header = frame + packet.l2_length;
    const std::uint32_t available = length - packet.l2_length;
    if (available < ipv6::kHeaderSize) return fail(packet, DropReason::ip_truncated);
    if ((header[0] >> 4) != 6) return fail(packet, DropReason::ip_header_bad);

    packet.has_v6 = true;
    std::memcpy(packet.v6.source.data(), header + ipv6::kSource, 16);
    std::memcpy(packet.v6.destination.data(), header + ipv6::kDestination, 16);
    packet.martian = is_martian(packet.v6);
    packet.ttl = header[ipv6::kHopLimit];
    const std::uint32_t total = ipv6::kHeaderSize + load_be16(header + ipv6::kPayloadLength);
    if (total > available) return fail(packet, DropReason::ip_truncated);
    packet.l3_length = total;

    std::uint8_t next = header[ipv6::kNextHeader];
    std::uint32_t offset = ipv6::kHeaderSize;
    if (is_extension(next) && !walk_extensions(header, total, next, offset, packet)) return;
    packet.protocol = next;
    packet.l4_offset = static_cast<std::uint16_t>(packet.l2_length + offset);
    const std::uint8_t* l4 = header + offset;
    if (is_flow_protocol(next)) {
        const PacketKind kind = packet.part == Part::first ? PacketKind::fragment : PacketKind::ipv6_flow;
        parse_flow(l4, total - offset, packet, packet.v6, kind);
    } else if (packet.part == Part::first) {
        packet.kind = PacketKind::fragment;
    } else if (next == protocol::kIcmpv6) {
        parse_icmpv6(l4, total - offset, packet);
    } else {
        packet.kind = PacketKind::ip_other;
    }
}

void parse_arp(const std::uint8_t* frame, std::uint32_t length, ParsedPacket& packet) noexcept {
    if (length - packet.l2_length < arp::kSize) return fail(packet, DropReason::arp_bad);
    const std::uint8_t* at = frame + packet.l2_length;
    packet.kind = PacketKind::arp;
    // Only then are the addresses where they are looked for; anything else the kernel may judge.
    if (load_be16(at + arp::kProtocolType) != ethernet::kTypeIpv4 || at[arp::kHardwareLength] != 6 ||
        at[arp::kProtocolLength] != 4) {
        return;
    }
    packet.has_v4 = true;
    packet.l3_length = arp::kSize;
    packet.v4.source = load_raw32(at + arp::kSenderIp);
    packet.v4.destination = load_raw32(at + arp::kTargetIp);
}

}  // namespace

ParsedPacket parse(const std::uint8_t* frame, std::uint32_t length, ParseOptions options) noexcept {
    ParsedPacket packet{};
    packet.sctp_chunk = ParsedPacket::kNoChunk;
    packet.kind = PacketKind::kernel;
    packet.l2_length = ethernet::kHeaderSize;
    if (length < ethernet::kHeaderSize) {
        fail(packet, DropReason::ethernet_truncated);
        return packet;
    }
    packet.l2_multicast = (frame[ethernet::kDestination] & 1U) != 0;
    std::uint16_t type = load_be16(frame + ethernet::kType);
    if (type == ethernet::kTypeVlan || type == ethernet::kTypeQinq) {
        for (unsigned tags = 0; tags < 2 && (type == ethernet::kTypeVlan || type == ethernet::kTypeQinq); ++tags) {
            if (length < packet.l2_length + ethernet::kTagSize) {
                fail(packet, DropReason::ethernet_truncated);
                return packet;
            }
            const std::uint16_t tci = load_be16(frame + packet.l2_length);
            (tags == 0 ? packet.vlan_tci : packet.inner_tci) = tci;
            type = load_be16(frame + packet.l2_length + 2);
            packet.l2_length = static_cast<std::uint8_t>(packet.l2_length + ethernet::kTagSize);
        }
    }
    if (type == ethernet::kTypeIpv4) {
        parse_ipv4(frame, length, packet, options);
    } else if (type == ethernet::kTypeIpv6) {
        parse_ipv6(frame, length, packet);
    } else if (type == ethernet::kTypeArp) {
        parse_arp(frame, length, packet);
    }
    return packet;
}

}  // namespace guideway::packet
