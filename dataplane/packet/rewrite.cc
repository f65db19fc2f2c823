#include "dataplane/packet/rewrite.h"

#include <cstring>

namespace guideway::packet {
namespace {

/// What the IPv4 header's sum loses with one from TTL, the high byte of its word.
constexpr std::uint16_t kTtlDelta = static_cast<std::uint16_t>(~swap_if_little(std::uint16_t{0x0100}));

template <typename Tuple>
void rewrite_l4(std::uint8_t* frame, const ParsedPacket& parsed, const Tuple& out, std::uint16_t delta) noexcept {
    std::uint8_t* l4 = frame + parsed.l4_offset;
    if (parsed.protocol == protocol::kTcp) {
        store_raw16(l4 + tcp::kChecksum, apply(load_raw16(l4 + tcp::kChecksum), delta));
    } else if (parsed.protocol == protocol::kUdp) {
        store_raw16(l4 + udp::kChecksum, apply_udp(load_raw16(l4 + udp::kChecksum), delta));
    } else {
        const std::span<std::uint8_t> whole(l4, parsed.l4_length());
        const bool right = sctp_checksum_ok(whole);
        store_raw16(l4, out.source_port);
        store_raw16(l4 + 2, out.destination_port);
        if (right) {
            sctp_store_checksum(whole);
        } else if (sctp_checksum_ok(whole)) {
            // The new ports made a damaged packet look whole: it was not.
            l4[sctp::kChecksum] ^= 0xff;
        }
        return;
    }
    store_raw16(l4, out.source_port);
    store_raw16(l4 + 2, out.destination_port);
}

}  // namespace

void rewrite_v4(std::uint8_t* frame, const ParsedPacket& parsed, const FiveTupleV4& out, ChecksumDelta delta) noexcept {
    std::uint8_t* header = frame + parsed.l2_length;
    const std::uint16_t header_delta = add_sums(delta.addresses, kTtlDelta);
    --header[ipv4::kTtl];
    store_raw16(header + ipv4::kChecksum, apply(load_raw16(header + ipv4::kChecksum), header_delta));
    store_raw32(header + ipv4::kSource, out.source);
    store_raw32(header + ipv4::kDestination, out.destination);
    rewrite_l4(frame, parsed, out, delta.all);
}

void rewrite_v6(std::uint8_t* frame, const ParsedPacket& parsed, const FiveTupleV6& out, ChecksumDelta delta) noexcept {
    std::uint8_t* header = frame + parsed.l2_length;
    --header[ipv6::kHopLimit];
    std::memcpy(header + ipv6::kSource, out.source.data(), 16);
    std::memcpy(header + ipv6::kDestination, out.destination.data(), 16);
    rewrite_l4(frame, parsed, out, delta.all);
}

void set_ethernet(std::uint8_t* frame, const MacAddress& destination, const MacAddress& source) noexcept {
    std::memcpy(frame + ethernet::kDestination, destination.data(), destination.size());
    std::memcpy(frame + ethernet::kSource, source.data(), source.size());
}

std::uint32_t strip_vlan(std::uint8_t* frame, const ParsedPacket& parsed) noexcept {
    const auto tags = static_cast<std::uint32_t>(parsed.l2_length - ethernet::kHeaderSize);
    if (tags != 0) std::memmove(frame + tags, frame, 2 * sizeof(MacAddress));
    return tags;
}

}  // namespace guideway::packet
