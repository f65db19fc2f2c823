// TCP RST for a segment that has no service (RFC 9293 3.10.7.1).
// Thread contract: pure.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/packet/answer.h"
#include "dataplane/packet/parse.h"

namespace guideway::packet {

/// The longest RST: two tags, IPv6, TCP without options.
inline constexpr std::uint32_t kTcpResetMax = 22 + 40 + 20;

/// Builds into `out` the RST for the TCP flow packet in `frame`. `out` may not overlap the frame and holds kTcpResetMax bytes, else
/// mbuf_exhausted. Not answered (reason none): a RST, a martian source, a packet sent to a group.
Answer build_tcp_reset(std::span<std::uint8_t> out, const std::uint8_t* frame, const ParsedPacket& parsed,
                       const MacAddress& mac) noexcept;

}  // namespace guideway::packet
