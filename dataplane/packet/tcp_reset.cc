#include "dataplane/packet/tcp_reset.h"

#include "dataplane/packet/answer_parts.h"

namespace guideway::packet {

Answer build_tcp_reset(std::span<std::uint8_t> out, const std::uint8_t* frame, const ParsedPacket& parsed,
                       const MacAddress& mac) noexcept {
    if (!parsed.is_flow() || parsed.protocol != protocol::kTcp) return {};
    if ((parsed.tcp_flags & tcp::kRst) != 0 || !may_be_answered(parsed)) return {};
    const std::uint32_t length = parsed.l2_length + ip_header_size(parsed) + tcp::kHeaderSize;
    if (out.size() < length) return {0, observe::DropReason::mbuf_exhausted};

    const std::uint8_t* segment = frame + parsed.l4_offset;
    std::uint8_t* header = out.data() + parsed.l2_length;
    write_ethernet_back(out.data(), frame, parsed, mac);
    std::uint8_t* reset = header + write_ip_back(header, parsed, protocol::kTcp, tcp::kHeaderSize);
    std::memset(reset, 0, tcp::kHeaderSize);
    store_raw16(reset + tcp::kSourcePort, load_raw16(segment + tcp::kDestinationPort));
    store_raw16(reset + tcp::kDestinationPort, load_raw16(segment + tcp::kSourcePort));
    reset[tcp::kDataOffset] = 5 << 4;
    if ((parsed.tcp_flags & tcp::kAck) != 0) {
        store_raw32(reset + tcp::kSequence, load_raw32(segment + tcp::kAcknowledgement));
        reset[tcp::kFlags] = tcp::kRst;
    } else {
        // SYN and FIN each take one sequence number.
        const std::uint32_t payload = parsed.l4_length() - (segment[tcp::kDataOffset] >> 4) * 4U;
        const std::uint32_t controls =
            ((parsed.tcp_flags & tcp::kSyn) != 0 ? 1U : 0U) + ((parsed.tcp_flags & tcp::kFin) != 0 ? 1U : 0U);
        store_be32(reset + tcp::kAcknowledgement, load_be32(segment + tcp::kSequence) + payload + controls);
        reset[tcp::kFlags] = tcp::kRst | tcp::kAck;
    }
    const std::uint16_t pseudo = pseudo_sum_at(header, parsed.has_v4, protocol::kTcp, tcp::kHeaderSize);
    store_raw16(reset + tcp::kChecksum, static_cast<std::uint16_t>(~sum_of({reset, tcp::kHeaderSize}, pseudo)));
    return {length};
}

}  // namespace guideway::packet
