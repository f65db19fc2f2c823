#include "dataplane/packet/icmp_answer.h"

#include <algorithm>

#include "dataplane/packet/answer_parts.h"

namespace guideway::packet {

Answer build_icmp_answer(std::span<std::uint8_t> out, const std::uint8_t* frame, const ParsedPacket& parsed,
                         const MacAddress& mac, IcmpStatement statement) noexcept {
    // Echo requests get replies and other ICMP never an error (RFC 1122 3.2.2), so flows and other protocols are what is left.
    if (!parsed.is_flow() && parsed.kind != PacketKind::ip_other) return {};
    if (!may_be_answered(parsed)) return {};
    const std::uint32_t overhead = parsed.l2_length + ip_header_size(parsed) + icmp::kHeaderSize;
    const std::uint32_t limit = parsed.l2_length + (parsed.has_v4 ? kIcmpAnswerMaxV4 : kIcmpAnswerMaxV6);
    const std::uint32_t room = std::min(static_cast<std::uint32_t>(std::min<std::size_t>(out.size(), limit)), limit);
    // RFC 792 asks for the header and 8 bytes; a shorter packet is quoted whole.
    const std::uint32_t least = std::min(parsed.l3_length, parsed.l4_offset - parsed.l2_length + 8U);
    if (room < overhead + least) return {0, observe::DropReason::mbuf_exhausted};
    const std::uint32_t quoted = std::min(parsed.l3_length, room - overhead);
    const std::uint32_t message_size = icmp::kHeaderSize + quoted;

    const std::uint8_t number = parsed.has_v4 ? protocol::kIcmp : protocol::kIcmpv6;
    std::uint8_t* header = out.data() + parsed.l2_length;
    write_ethernet_back(out.data(), frame, parsed, mac);
    std::uint8_t* message = header + write_ip_back(header, parsed, number, message_size);
    message[icmp::kType] = statement.type;
    message[icmp::kCode] = statement.code;
    store_raw16(message + icmp::kChecksum, 0);
    store_be32(message + icmp::kChecksum + 2, statement.rest);
    std::memcpy(message + icmp::kHeaderSize, frame + parsed.l2_length, quoted);
    const std::uint16_t pseudo =
        parsed.has_v4 ? std::uint16_t{0} : pseudo_sum_v6(header + ipv6::kSource, number, message_size);
    store_raw16(message + icmp::kChecksum, static_cast<std::uint16_t>(~sum_of({message, message_size}, pseudo)));
    return {overhead + quoted};
}

Answer build_time_exceeded(std::span<std::uint8_t> out, const std::uint8_t* frame, const ParsedPacket& parsed,
                           const MacAddress& mac) noexcept {
    const std::uint8_t type = parsed.has_v4 ? icmp::kTimeExceeded : icmpv6::kTimeExceeded;
    return build_icmp_answer(out, frame, parsed, mac, {type, 0, 0});
}

Answer build_packet_too_big(std::span<std::uint8_t> out, const std::uint8_t* frame, const ParsedPacket& parsed,
                            const MacAddress& mac, std::uint32_t mtu) noexcept {
    if (parsed.has_v4) {
        const std::uint32_t told = std::clamp<std::uint32_t>(mtu, kLeastMtuV4, 0xffff);
        return build_icmp_answer(out, frame, parsed, mac, {icmp::kUnreachable, icmp::kFragmentationNeededCode, told});
    }
    return build_icmp_answer(out, frame, parsed, mac, {icmpv6::kPacketTooBig, 0, std::max(mtu, kLeastMtuV6)});
}

bool may_be_fragmented(const std::uint8_t* frame, const ParsedPacket& parsed) noexcept {
    return parsed.has_v4 && (load_be16(frame + parsed.l2_length + ipv4::kFragment) & ipv4::kDontFragment) == 0;
}

}  // namespace guideway::packet
