// Unfinished checksums: what a veth or virtio peer leaves for a NIC that never comes.
//
// With transmit offload the sender writes only the folded sum of the pseudo header, not complemented, into the TCP or UDP checksum
// field and expects the hardware to sum the rest. On a virtual link there is no hardware: the frame arrives so, and an
// incremental update would turn it into garbage. The flag that says so is not shown by every driver, hence the look at the value.
// Thread contract: pure.
#pragma once

#include <cstdint>

#include "dataplane/packet/parse.h"

namespace guideway::packet {

/// If the TCP or UDP checksum field of this flow holds exactly the pseudo header's sum, computes the full checksum into it and
/// returns true. A finished checksum can hold the same value by coincidence (1 in 65536): then either it is right, and computing
/// it again writes the same value, or the packet was damaged; such damage would be blessed, so call this only for ports whose
/// peers do this (WorkerPort::unfinished_checksums_possible), which are links inside one machine.
bool complete_unfinished_checksum(std::uint8_t* frame, const ParsedPacket& parsed) noexcept;

/// Whether it would: of the headers alone.
bool is_checksum_unfinished(const std::uint8_t* frame, const ParsedPacket& parsed) noexcept;

/// Verifies the TCP, UDP (0 over IPv4 is accepted, over IPv6 not: RFC 8200 8.1) or SCTP checksum of a flow over the whole packet.
bool l4_checksum_ok(const std::uint8_t* frame, const ParsedPacket& parsed) noexcept;

/// Computes the TCP, UDP or SCTP checksum of a flow anew.
void write_l4_checksum(std::uint8_t* frame, const ParsedPacket& parsed) noexcept;

}  // namespace guideway::packet
