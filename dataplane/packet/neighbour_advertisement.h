// Neighbour advertisements for VIPs and SNAT addresses (RFC 4861 7.1.1, 7.2.4; RFC 4862 for duplicate address detection).
// Thread contract: pure.
#pragma once

#include <cstdint>

#include "dataplane/packet/answer.h"
#include "dataplane/packet/parse.h"

namespace guideway::packet {

/// The longest answer: Ethernet with two tags, IPv6, advertisement, one option.
inline constexpr std::uint32_t kNeighbourAdvertisementMax = 22 + 40 + 24 + 8;

/// Turns the solicitation in `frame` (kind neighbour_solicitation, target ours) into the advertisement, in place. `capacity` is
/// the buffer's size from `frame` on, at least Answer::length. A solicitation from the unspecified address (somebody checks
/// whether the address is free) is answered to all nodes, not solicited. Faults of the solicitation: ndp_bad; capacity too small:
/// mbuf_exhausted.
Answer build_neighbour_advertisement(std::uint8_t* frame, std::uint32_t length, std::uint32_t capacity,
                                     const ParsedPacket& parsed, const MacAddress& mac) noexcept;

}  // namespace guideway::packet
