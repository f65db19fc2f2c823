// ICMP port unreachable (RFC 792, RFC 1122 3.2.2; RFC 4443 3.1) for a UDP packet that has no service.
// Thread contract: pure.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/packet/answer.h"
#include "dataplane/packet/icmp_answer.h"
#include "dataplane/packet/parse.h"

namespace guideway::packet {

inline constexpr std::uint32_t kPortUnreachableMax = 22 + kIcmpAnswerMaxV6;

/// Builds into `out` the error that quotes the packet in `frame` (any flow, or kind ip_other). As much is quoted as the limit and
/// `out` allow; if not even the IP header and 8 bytes fit: mbuf_exhausted. `out` may not overlap the frame. Not answered (reason
/// none): ICMP errors and other kinds, fragments, martian sources, packets sent to a group or from one.
Answer build_port_unreachable(std::span<std::uint8_t> out, const std::uint8_t* frame, const ParsedPacket& parsed,
                              const MacAddress& mac) noexcept;

}  // namespace guideway::packet
