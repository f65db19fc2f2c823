#include "dataplane/packet/unfinished_checksum.h"

#include <span>

#include "dataplane/packet/checksum.h"

namespace guideway::packet {
namespace {

/// Bytes the L4 checksum covers: for UDP what its own length says (RFC 768), otherwise all of the IP payload.
std::uint32_t covered(const std::uint8_t* l4, const ParsedPacket& parsed) noexcept {
    return parsed.protocol == protocol::kUdp ? load_be16(l4 + udp::kLength) : parsed.l4_length();
}

std::uint16_t pseudo_sum(const std::uint8_t* frame, const ParsedPacket& parsed, std::uint32_t length) noexcept {
    const std::uint8_t* header = frame + parsed.l2_length;
    return parsed.has_v6 ? pseudo_sum_v6(header + ipv6::kSource, parsed.protocol, length)
                         : pseudo_sum_v4(header + ipv4::kSource, parsed.protocol, length);
}

constexpr std::size_t field_offset(const ParsedPacket& parsed) noexcept {
    return parsed.protocol == protocol::kTcp ? tcp::kChecksum : udp::kChecksum;
}

/// TCP or UDP; the field must hold zero or what shall be summed along.
void finish(std::uint8_t* l4, std::uint32_t length, std::uint16_t start, const ParsedPacket& parsed) noexcept {
    auto field = static_cast<std::uint16_t>(~sum_of({l4, length}, start));
    if (field == 0 && parsed.protocol == protocol::kUdp) field = 0xffff;
    store_raw16(l4 + field_offset(parsed), field);
}

}  // namespace

bool is_checksum_unfinished(const std::uint8_t* frame, const ParsedPacket& parsed) noexcept {
    if (parsed.protocol == protocol::kSctp) return false;
    const std::uint8_t* l4 = frame + parsed.l4_offset;
    return load_raw16(l4 + field_offset(parsed)) == pseudo_sum(frame, parsed, covered(l4, parsed));
}

bool complete_unfinished_checksum(std::uint8_t* frame, const ParsedPacket& parsed) noexcept {
    if (!is_checksum_unfinished(frame, parsed)) return false;
    std::uint8_t* l4 = frame + parsed.l4_offset;
    // The field itself is the pseudo header's share of the sum.
    finish(l4, covered(l4, parsed), 0, parsed);
    return true;
}

bool l4_checksum_ok(const std::uint8_t* frame, const ParsedPacket& parsed) noexcept {
    const std::uint8_t* l4 = frame + parsed.l4_offset;
    if (parsed.protocol == protocol::kSctp) return sctp_checksum_ok({l4, parsed.l4_length()});
    if (parsed.protocol == protocol::kUdp && load_raw16(l4 + udp::kChecksum) == 0) return parsed.has_v4;
    const std::uint32_t length = covered(l4, parsed);
    return sum_of({l4, length}, pseudo_sum(frame, parsed, length)) == 0xffff;
}

void write_l4_checksum(std::uint8_t* frame, const ParsedPacket& parsed) noexcept {
    std::uint8_t* l4 = frame + parsed.l4_offset;
    if (parsed.protocol == protocol::kSctp) return sctp_store_checksum({l4, parsed.l4_length()});
    const std::uint32_t length = covered(l4, parsed);
    store_raw16(l4 + field_offset(parsed), 0);
    finish(l4, length, pseudo_sum(frame, parsed, length), parsed);
}

}  // namespace guideway::packet
