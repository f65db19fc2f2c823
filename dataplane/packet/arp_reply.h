// ARP replies for VIPs and SNAT addresses (RFC 826; probes by RFC 5227).
// Thread contract: pure.
#pragma once

#include <cstdint>

#include "dataplane/packet/answer.h"
#include "dataplane/packet/parse.h"

namespace guideway::packet {

/// Turns the request in `frame` (kind arp, target address ours) into the reply "target address is at `mac`", in place. A probe
/// (sender 0.0.0.0) is answered like any request: the address is taken. Replies and gratuitous requests (sender = target) are not
/// answered (reason none); a sender whose MAC is a group's, or a hardware type or length other than Ethernet's is arp_bad.
Answer build_arp_reply(std::uint8_t* frame, std::uint32_t length, const ParsedPacket& parsed,
                       const MacAddress& mac) noexcept;

}  // namespace guideway::packet
