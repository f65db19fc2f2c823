// ICMP errors made here about a packet that cannot go on: time exceeded, fragmentation needed / packet too big.
//
// All go back to the packet's sender from the packet's destination, which is the one address the sender knows us by: a client sees the
// VIP (traceroute shows the appliance there), a node the SNAT address. They quote the packet as it came, before any translation:
// IP header and at least 8 bytes, up to 576 bytes in all over IPv4 (RFC 1812 4.3.2.3) and 1280 over IPv6 (RFC 4443 2.4 (c)).
//
// Never about ICMP, a fragment, a martian source, or what was sent to a group (RFC 1122 3.2.2, RFC 4443 2.4 (e)): reason none.
// Thread contract: pure.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/packet/answer.h"
#include "dataplane/packet/parse.h"

namespace guideway::packet {

/// The IP packet of an answer is at most this long.
inline constexpr std::uint32_t kIcmpAnswerMaxV4 = 576;
inline constexpr std::uint32_t kIcmpAnswerMaxV6 = 1280;

/// What an error says; numbers of the packet's IP family.
struct IcmpStatement {
    std::uint8_t type = 0;
    std::uint8_t code = 0;
    std::uint32_t rest = 0;  ///< the word behind the checksum, host order
};

/// Builds into `out`, which may not overlap the frame: any flow, or kind ip_other. If not even header and 8 bytes of the packet fit:
/// mbuf_exhausted.
Answer build_icmp_answer(std::span<std::uint8_t> out, const std::uint8_t* frame, const ParsedPacket& parsed,
                         const MacAddress& mac, IcmpStatement statement) noexcept;

/// RFC 792, RFC 4443 3.3: the packet's TTL or hop limit would become 0 here.
Answer build_time_exceeded(std::span<std::uint8_t> out, const std::uint8_t* frame, const ParsedPacket& parsed,
                           const MacAddress& mac) noexcept;

/// RFC 1191 4, RFC 4443 3.2: the way on takes `mtu` bytes, the IP header included. At least 68 or 1280 is told: less nobody believes.
Answer build_packet_too_big(std::span<std::uint8_t> out, const std::uint8_t* frame, const ParsedPacket& parsed,
                            const MacAddress& mac, std::uint32_t mtu) noexcept;

/// Of a flow: whether routers may fragment it (IPv4 without DF).
bool may_be_fragmented(const std::uint8_t* frame, const ParsedPacket& parsed) noexcept;

}  // namespace guideway::packet
