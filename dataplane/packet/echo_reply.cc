#include "dataplane/packet/echo_reply.h"

#include <cstring>

#include "dataplane/packet/answer_parts.h"
#include "dataplane/packet/rewrite.h"

namespace guideway::packet {
namespace {

void turn_ethernet(std::uint8_t* frame, const MacAddress& mac) noexcept {
    MacAddress asker;
    std::memcpy(asker.data(), frame + ethernet::kSource, asker.size());
    set_ethernet(frame, asker, mac);
}

/// Exchanges the addresses, which changes no sum, and the type, which does.
void turn(std::uint8_t* addresses, std::size_t size, std::uint8_t* message, std::uint8_t reply) noexcept {
    std::uint8_t keep[16];
    std::memcpy(keep, addresses, size);
    std::memcpy(addresses, addresses + size, size);
    std::memcpy(addresses + size, keep, size);
    const std::uint16_t before = load_raw16(message + icmp::kType);
    message[icmp::kType] = reply;
    const std::uint16_t delta = add_sums(load_raw16(message + icmp::kType), static_cast<std::uint16_t>(~before));
    store_raw16(message + icmp::kChecksum, apply(load_raw16(message + icmp::kChecksum), delta));
}

}  // namespace

Answer build_echo_reply(std::uint8_t* frame, std::uint32_t length, const ParsedPacket& parsed,
                        const MacAddress& mac) noexcept {
    const bool is_v4 = parsed.kind == PacketKind::icmpv4_echo_request;
    if (!is_v4 && parsed.kind != PacketKind::icmpv6_echo_request) return {};
    if (!may_be_answered(parsed) || parsed.end() > length) return {};
    std::uint8_t* header = frame + parsed.l2_length;
    std::uint8_t* message = frame + parsed.l4_offset;
    const std::uint32_t size = parsed.l4_length();
    const std::uint16_t pseudo =
        is_v4 ? std::uint16_t{0} : pseudo_sum_v6(header + ipv6::kSource, protocol::kIcmpv6, size);
    if (sum_of({message, size}, pseudo) != 0xffff) return {0, observe::DropReason::icmp_checksum_bad};

    turn_ethernet(frame, mac);
    if (is_v4) {
        turn(header + ipv4::kSource, 4, message, icmp::kEchoReply);
        header[ipv4::kTtl] = kAnswerTtl;
        store_raw16(header + ipv4::kChecksum, ipv4_header_checksum(header, parsed.l4_offset - parsed.l2_length));
    } else {
        turn(header + ipv6::kSource, 16, message, icmpv6::kEchoReply);
        header[ipv6::kHopLimit] = kAnswerTtl;
    }
    return {length};
}

}  // namespace guideway::packet
