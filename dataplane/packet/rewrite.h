// Rewriting: the packet of one direction becomes the packet that leaves. Everything in place, checksums incrementally.
//
//   set_ethernet(frame, next_hop_mac, port_mac);
//   rewrite_v4(frame, parsed, swapped(entry.other_half(half)), {entry.delta_addresses(half), entry.delta_all(half)});
//
// Thread contract: pure.
#pragma once

#include <cstdint>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/five_tuple.h"
#include "dataplane/packet/parse.h"
#include "dataplane/packet/wire.h"

namespace guideway::packet {

/// Writes the addresses and ports of `out` (the outgoing packet's tuple), decrements TTL, updates the IPv4 header's and the TCP or
/// UDP checksum by `delta` = delta_between(parsed.v4, out). SCTP's CRC32c is computed anew if it was right before; a wrong one
/// stays wrong, so that the receiver notices. `parsed` must be of this frame, kind ipv4_flow, TTL above 0. An unfinished L4
/// checksum must be completed first (unfinished_checksum.h).
void rewrite_v4(std::uint8_t* frame, const ParsedPacket& parsed, const FiveTupleV4& out, ChecksumDelta delta) noexcept;
/// The same for kind ipv6_flow; hop limit instead of TTL. Where the packet has no L3 checksum, `delta.addresses` is not used.
void rewrite_v6(std::uint8_t* frame, const ParsedPacket& parsed, const FiveTupleV6& out, ChecksumDelta delta) noexcept;

/// Both MAC addresses; tags and type stay.
void set_ethernet(std::uint8_t* frame, const MacAddress& destination, const MacAddress& source) noexcept;

/// Removes all 802.1Q tags by moving the MAC addresses towards the payload. Returns how many bytes to cut off at the frame's
/// start (0, 4 or 8; for DPDK rte_pktmbuf_adj); the frame then begins at frame + result and offsets of `parsed` count from there
/// less the result.
std::uint32_t strip_vlan(std::uint8_t* frame, const ParsedPacket& parsed) noexcept;

}  // namespace guideway::packet
