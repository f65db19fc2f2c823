// ICMP errors about connections: what one quotes, and the same error as the connection's other end is to see it.
//
// Terms:
//   quote      the packet in trouble, as far as the error carries it: its IP header and at least 8 bytes behind (RFC 792; RFC 1812
//              4.3.2.3 and RFC 4443 2.4 (c) ask for more). It went out from here, so its source is the error's destination.
//   flow()     the quote's tuple with source and destination exchanged: that of a packet of the side where the error comes from.
//              The flow table knows it (flow_entry.h).
//   translate  the addressee becomes the side that sent the packet in trouble, and the quote becomes what that side sent.
//
// Worked example: backend 10.0.2.11:30080 sent to SNAT address 10.0.2.1:5000, it left as 203.0.113.10:80 -> 198.51.100.7:40000
// with 1500 bytes, and a router 192.0.2.77 on the way has but 1400:
//   in    192.0.2.77 -> 203.0.113.10   fragmentation needed, MTU 1400, quotes 203.0.113.10:80 -> 198.51.100.7:40000
//   flow  198.51.100.7:40000 -> 203.0.113.10:80                                  the entry's client half
//   out   10.0.2.1 -> 10.0.2.11        fragmentation needed, MTU 1400, quotes 10.0.2.11:30080 -> 10.0.2.1:5000
//
// Whom the error comes from: whom the addressee believes it talks to, the SNAT address for a node and the VIP for a client; never
// the router. RFC 5508 4.2 has this for errors that leave a NAT, so that inner addresses stay inside (REQ-5). For those that
// come in it would keep the router's address (REQ-4), because hosts behind a NAT know the outside. Nodes behind a SNAT need not:
// one without a route to the router, or with another way there, drops its packets by the reverse path (RFC 3704), and the path MTU
// would stay unknown for ever.
//
// Thread contract: pure.
#pragma once

#include <cstdint>

#include "dataplane/observe/drop_reason.h"
#include "dataplane/packet/checksum.h"
#include "dataplane/packet/five_tuple.h"
#include "dataplane/packet/parse.h"

namespace guideway::packet {

enum class IcmpErrorKind : std::uint8_t { unreachable, packet_too_big, time_exceeded, parameter_problem };

struct IcmpError {
    /// none: the error can be looked up. Else why not: icmp_unhandled (no error, or none with a meaning today), icmp_source_quench
    /// (RFC 6633), icmp_checksum_bad, icmp_quote_bad, icmp_mtu_bad (below 68, RFC 791, or 1280, RFC 8201 4; 0 over IPv4 is an old
    /// router's and passes: RFC 1191 5).
    observe::DropReason reason = observe::DropReason::icmp_unhandled;
    IcmpErrorKind kind = IcmpErrorKind::unreachable;
    std::uint8_t protocol = 0;      ///< of the quote: TCP, UDP or SCTP
    std::uint16_t quote = 0;        ///< where its IP header begins, from the frame's start
    std::uint16_t quote_l4 = 0;     ///< its TCP, UDP or SCTP header; at least 8 bytes of it are there
    std::uint16_t quote_bytes = 0;  ///< of the quote that are there, up to the end of the packet in trouble
    std::uint32_t sequence = 0;     ///< TCP: the quoted one
    std::uint32_t mtu = 0;          ///< packet_too_big
    union {
        FiveTupleV6 v6{};  ///< quoted source, destination and ports, where the frame is IPv6
        FiveTupleV4 v4;
    };

    FiveTupleV4 flow_v4() const noexcept { return swapped(v4); }
    FiveTupleV6 flow_v6() const noexcept { return swapped(v6); }
};

/// Reads the error in `frame`; `parsed` must be of it, kind icmp_other. An error about an ICMP packet is icmp_quote_bad: nobody
/// answers those, and no connection sent one.
IcmpError read_icmp_error(const std::uint8_t* frame, const ParsedPacket& parsed) noexcept;

/// Rewrites in place, same length: to `sent`.source from `sent`.destination, TTL less one; the quote gets the tuple `sent` and its
/// IPv4, TCP and UDP checksums `delta` = delta_between(quoted tuple, sent), so that one that was right stays right, as far as they are
/// quoted. SCTP's CRC32c cannot follow where not all is quoted and stays; receivers go by the verification tag (RFC 9260 10).
/// Then the IPv4 and ICMP checksums are written anew. MTU, code and what is behind the quote (RFC 4884) stay.
void translate_icmp_error(std::uint8_t* frame, const ParsedPacket& parsed, const IcmpError& error,
                          const FiveTupleV4& sent, ChecksumDelta delta) noexcept;
void translate_icmp_error(std::uint8_t* frame, const ParsedPacket& parsed, const IcmpError& error,
                          const FiveTupleV6& sent, ChecksumDelta delta) noexcept;

}  // namespace guideway::packet
