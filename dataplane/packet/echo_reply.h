// Echo replies (RFC 792, RFC 4443) for VIPs and SNAT addresses: "ping" answers without the kernel.
// Thread contract: pure.
#pragma once

#include <cstdint>

#include "dataplane/packet/answer.h"
#include "dataplane/packet/parse.h"

namespace guideway::packet {

/// Turns the echo request in `frame` (kind icmpv4_echo_request or icmpv6_echo_request) into its reply, in place, TTL 64, same
/// length without Ethernet padding beyond what came. A wrong ICMP checksum is icmp_checksum_bad. Requests with IPv4 options or
/// extension headers are answered with those left as they are. Not answered (reason none): multicast destination or martian source.
Answer build_echo_reply(std::uint8_t* frame, std::uint32_t length, const ParsedPacket& parsed,
                        const MacAddress& mac) noexcept;

}  // namespace guideway::packet
