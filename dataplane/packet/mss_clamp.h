// MSS clamping: a SYN or SYN-ACK that offers larger segments than the way on takes is made to offer what it takes.
//
// Why: where tags, tunnels or a filter that eats ICMP make a path smaller than the ports' MTU tells the ends, path MTU discovery
// fails and the connection hangs at its first full segment. Lowered in the handshake, no such segment is ever sent.
//
// Worked example: MSS 1460 in a SYN, way on of 1400 bytes over IPv4: 1400 - 20 - 20 = 1360 is written, the TCP checksum follows.
// Thread contract: pure.
#pragma once

#include <cstdint>

#include "dataplane/packet/parse.h"

namespace guideway::packet {

/// The largest segment in IP packets of `mtu` bytes without options: RFC 6691 2. At least 1.
std::uint16_t largest_segment(std::uint32_t mtu, bool is_v4) noexcept;

/// Lowers every MSS option above `largest`; never raises one, never adds one (without it the peer keeps to 536 or 1220: RFC 9293
/// 3.7.1). True where something was changed. `parsed` must be of this frame, a TCP flow; options that lie about their length end the
/// search.
bool clamp_mss(std::uint8_t* frame, const ParsedPacket& parsed, std::uint16_t largest) noexcept;

}  // namespace guideway::packet
