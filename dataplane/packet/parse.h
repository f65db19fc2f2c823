// parse(): what a frame is, where its parts are, and what is wrong with it.
//
// Terms: l2/l3/l4 are Ethernet (with tags), IP, TCP/UDP/SCTP/ICMP. Everything in ParsedPacket was checked against the
// frame's length: a builder or rewriter may touch [l3_offset, l3_offset + l3_length) without looking again. Bytes of
// the frame beyond that are Ethernet padding.
// The parser does not know which addresses are ours. So a faulty packet (kind `bad`) still tells its addresses as far
// as they were readable, and a martian source is a flag, not a fault: DHCP and duplicate address detection use the
// unspecified source rightly.
//
//   const ParsedPacket parsed = parse(frame, length);
//   if (parsed.kind == PacketKind::ipv4_flow) look_up(parsed.v4);
//   else if (parsed.kind == PacketKind::bad && is_ours(parsed.destination())) counters.drop(parsed.reason);
//
// Thread contract: pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "dataplane/observe/drop_reason.h"
#include "dataplane/packet/five_tuple.h"
#include "dataplane/packet/wire.h"

namespace guideway::packet {

enum class PacketKind : std::uint8_t {
    ipv4_flow,               ///< TCP, UDP or SCTP; v4 is complete
    ipv6_flow,               ///< TCP, UDP or SCTP; v6 is complete
    icmpv4_echo_request,     ///< type 8 code 0
    icmpv6_echo_request,     ///< type 128 code 0
    icmp_other,              ///< of either family, see has_v4 / has_v6
    arp,                     ///< for Ethernet and IPv4; v4 holds sender and target address
    neighbour_solicitation,  ///< v6.destination is the target (not the IPv6 header's destination), v6.source the sender
    ip_other,                ///< another protocol; addresses known
    fragment,                ///< first or later one, see `part`; addresses known, of the first ports too
    kernel,                  ///< neither IP nor ARP
    bad,                     ///< see reason
};

/// Which part of its datagram a packet is. An IPv6 packet with a fragment header that is all there is (RFC 6946) is whole.
enum class Part : std::uint8_t {
    whole,
    first,      ///< offset 0, more to come; of TCP, UDP and SCTP the L4 header is whole and the tuple complete
    following,  ///< its protocol is known for IPv4 only
};

/// What the NIC already did.
struct ParseOptions {
    bool ipv4_checksum_verified = false;  ///< skip the IPv4 header checksum
};

struct ParsedPacket {
    union {
        FiveTupleV6 v6{};  ///< valid if has_v6
        FiveTupleV4 v4;    ///< valid if has_v4
    };
    std::uint32_t l3_length;  ///< IP header, extension headers and payload: up to 65575
    std::uint16_t
        l4_offset;  ///< from the frame's start; 0 where there is none; of later fragments where their data begin
    std::uint16_t vlan_tci;   ///< outer tag's control information, host order; 0 without tag
    std::uint16_t inner_tci;  ///< QinQ: the inner tag's
    PacketKind kind;
    observe::DropReason reason;  ///< none, unless kind is bad
    std::uint8_t l2_length;      ///< 14, 18 with 802.1Q, 22 with QinQ
    std::uint8_t protocol;       ///< IP protocol after extension headers; 0 where unknown
    std::uint8_t tcp_flags;      ///< TCP only
    std::uint8_t sctp_chunk;     ///< type of the first SCTP chunk; kNoChunk if none
    std::uint8_t ttl;            ///< or hop limit
    bool has_v4;                 ///< v4 holds addresses (ports and protocol only for flows and first fragments)
    bool has_v6;
    bool martian;       ///< is_martian(): a source that nobody has, or the destination's own
    bool l2_multicast;  ///< sent to a group or everybody on the link: never answered with RST or ICMP errors
    Part part;
    std::uint8_t fragment_header;  ///< IPv6 fragments: where it stands, from the IP header's start, in units of 8 bytes

    static constexpr std::uint8_t kNoChunk = 0xff;

    std::uint16_t l3_offset() const noexcept { return l2_length; }
    /// Bytes from l4_offset to the end of the IP packet.
    std::uint32_t l4_length() const noexcept { return l3_length - (l4_offset - l2_length); }
    /// Bytes from the frame's start to the end of the IP packet: the frame without padding.
    std::uint32_t end() const noexcept { return l2_length + l3_length; }
    bool has_destination() const noexcept { return has_v4 || has_v6; }
    bool is_flow() const noexcept { return kind <= PacketKind::ipv6_flow; }
    IpFamily family() const noexcept { return has_v6 ? IpFamily::ipv6 : IpFamily::ipv4; }
    /// For slow paths; only if has_destination().
    IpAddress destination() const noexcept {
        return has_v6 ? to_contract(v6.destination) : to_contract(v4.destination);
    }
    IpAddress source() const noexcept { return has_v6 ? to_contract(v6.source) : to_contract(v4.source); }
};
static_assert(sizeof(ParsedPacket) == 64 && std::is_trivially_copyable_v<ParsedPacket>);

/// Source of no host (RFC 1122 3.2.1.3, RFC 6890): 0.0.0.0/8, 127.0.0.0/8, multicast, 240.0.0.0/4 with the broadcast; or the
/// destination itself.
inline bool is_martian(const FiveTupleV4& tuple) noexcept {
    const std::uint32_t host = swap_if_little(tuple.source);
    return (host >> 24) == 0 || (host >> 24) == 127 || host >= 0xe0000000U || tuple.source == tuple.destination;
}
inline bool is_martian(const FiveTupleV6& tuple) noexcept {
    const std::uint8_t* source = tuple.source.data();
    if (source[0] == 0xff || tuple.source == tuple.destination) return true;
    // All of ::/64 that matters here: unspecified, loopback, and IPv4-mapped addresses, which never are on the wire (RFC 4291).
    std::uint64_t high;
    std::memcpy(&high, source, sizeof high);
    if (high != 0) return false;
    const std::uint32_t third = load_raw32(source + 8);
    const std::uint32_t last = load_be32(source + 12);
    return (third == 0 && last <= 1) || third == swap_if_little(std::uint32_t{0x0000ffff});
}

/// Extension headers beyond these are refused (ipv6_extension_bad).
inline constexpr unsigned kMaxExtensionHeaders = 8;
inline constexpr unsigned kMaxExtensionBytes = 256;

/// Reads at most `length` bytes; the frame must be contiguous. Frames longer than 65535 + 22 bytes are fine.
ParsedPacket parse(const std::uint8_t* frame, std::uint32_t length, ParseOptions options = {}) noexcept;

}  // namespace guideway::packet
