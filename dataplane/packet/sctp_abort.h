// SCTP ABORT for a packet that belongs to no association (RFC 9260 8.4).
// Thread contract: pure.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/packet/answer.h"
#include "dataplane/packet/parse.h"

namespace guideway::packet {

/// The longest: two tags, IPv6, common header, one chunk without causes.
inline constexpr std::uint32_t kSctpAbortMax = 22 + 40 + 16;

/// Builds into `out` the ABORT for the SCTP flow packet in `frame`. To an INIT the tag is its Initiate Tag and T is 0; otherwise
/// the packet's own tag is reflected with T = 1; to a SHUTDOWN ACK the answer is SHUTDOWN COMPLETE with T = 1. `out` may not overlap
/// the frame and holds kSctpAbortMax bytes, else mbuf_exhausted. Not answered (reason none): packets with an ABORT,
/// SHUTDOWN COMPLETE, COOKIE ACK or "stale cookie" ERROR, martian sources, packets sent to a group. A wrong CRC32c is
/// l4_checksum_bad, chunks that do not fit are l4_header_bad.
Answer build_sctp_abort(std::span<std::uint8_t> out, const std::uint8_t* frame, const ParsedPacket& parsed,
                        const MacAddress& mac) noexcept;

}  // namespace guideway::packet
