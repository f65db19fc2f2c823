// ICMP errors for tests: an error about a frame that left, and what its quote must have become.
//
// Worked example:
//   const Frame error = error_about(left, "192.0.2.77", {3, 4, 1400}, 28);      quotes IP header and 8 bytes
//   EXPECT_EQ(quote_in(lab.pass(kClientPort, error)), as_sent(original, 28));   byte for byte, checksums included
// Thread contract: pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "dataplane/packet/checksum.h"
#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {

struct Says {
    std::uint8_t type = 0;
    std::uint8_t code = 0;
    std::uint32_t rest = 0;
};

/// The frame's IP packet, its first `bytes` at the most.
inline Frame ip_bytes(const Frame& frame, std::size_t bytes = 65535) {
    const packet::ParsedPacket p = parsed(frame);
    return {frame.begin() + p.l2_length,
            frame.begin() + p.l2_length + static_cast<std::ptrdiff_t>(std::min<std::size_t>(p.l3_length, bytes))};
}

/// To whom sent `left`, from `router`, arriving at `port`.
inline PacketBuilder error_to_sender(const Frame& left, std::string_view router, std::uint16_t port) {
    PacketBuilder builder;
    builder.ethernet(port == kClientPort ? kPortMac0 : kPortMac1, kRouterMac);
    builder.ip(router, parsed(left).source().to_string());
    return builder;
}

inline Frame error_about(const Frame& left, std::string_view router, Says says, std::size_t quoted = 65535,
                         std::uint16_t port = kClientPort) {
    return error_to_sender(left, router, port)
        .icmp(says.type, says.code, says.rest)
        .payload(ip_bytes(left, quoted))
        .build();
}

/// What an ICMP error quotes.
inline Frame quote_in(const Frame& error) {
    if (error.empty()) return {};
    const packet::ParsedPacket p = parsed(error);
    return {error.begin() + p.l4_offset + packet::icmp::kHeaderSize, error.begin() + p.end()};
}

/// The first bytes of a packet that was one router further: TTL less one, and the IPv4 checksum with it.
inline Frame as_sent(const Frame& original, std::size_t bytes = 65535) {
    Frame packet = ip_bytes(original);
    if ((packet[0] >> 4) == 4) {
        --packet[packet::ipv4::kTtl];
        const std::size_t header = (packet[0] & 0x0fU) * 4U;
        packet::store_raw16(packet.data() + packet::ipv4::kChecksum,
                            packet::ipv4_header_checksum(packet.data(), header));
    } else {
        --packet[packet::ipv6::kHopLimit];
    }
    packet.resize(std::min(packet.size(), bytes));
    return packet;
}

/// "icmp 10.0.2.1 > 10.0.2.11 type 3 code 4 rest 1400"; checksum faults stand at the end.
inline std::string icmp_summary(const Frame& frame) {
    if (frame.empty()) return "nothing";
    const packet::ParsedPacket p = parsed(frame);
    if (p.kind != packet::PacketKind::icmp_other) return summary(frame);
    const std::uint8_t* at = frame.data() + p.l4_offset;
    std::string text = "icmp " + p.source().to_string() + " > " + p.destination().to_string() + " type " +
                       std::to_string(at[0]) + " code " + std::to_string(at[1]) + " rest " +
                       std::to_string(packet::load_be32(at + 4));
    if (const std::string wrong = packet::testing::faults(frame); !wrong.empty()) text += " WRONG: " + wrong;
    return text;
}

}  // namespace guideway::worker::testing
