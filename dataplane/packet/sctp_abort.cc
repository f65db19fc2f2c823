#include "dataplane/packet/sctp_abort.h"

#include "dataplane/packet/answer_parts.h"

namespace guideway::packet {
namespace {

constexpr std::uint8_t kCookieAck = 11;
constexpr std::uint16_t kStaleCookie = 3;
constexpr std::uint8_t kReflectedTag = 0x01;  // the T bit
constexpr std::uint32_t kInitSize = 20;
constexpr std::uint32_t kAnswerSize = sctp::kHeaderSize + sctp::kChunkHeaderSize;

struct Chunks {
    bool fit = false;
    bool never_answer = false;
    bool shutdown_ack = false;
};

/// Whether the packet holds a chunk that forbids an answer, wherever it stands (RFC 9260 8.4 (2), (6), (7)).
Chunks look_through(std::span<const std::uint8_t> packet) noexcept {
    Chunks result;
    std::size_t at = sctp::kHeaderSize;
    if (at == packet.size()) return result;
    while (at < packet.size()) {
        if (packet.size() - at < sctp::kChunkHeaderSize) return result;
        const std::uint8_t* chunk = packet.data() + at;
        const std::size_t size = load_be16(chunk + 2);
        if (size < sctp::kChunkHeaderSize || size > packet.size() - at) return result;
        const std::uint8_t type = chunk[0];
        if (type == sctp::kAbort || type == sctp::kShutdownComplete || type == kCookieAck ||
            (type == sctp::kError && size >= 8 && load_be16(chunk + 4) == kStaleCookie)) {
            result.never_answer = true;
        }
        if (type == sctp::kShutdownAck) result.shutdown_ack = true;
        // The last chunk may come without its padding.
        at += (size + 3) & ~std::size_t{3};
    }
    result.fit = true;
    return result;
}

}  // namespace

Answer build_sctp_abort(std::span<std::uint8_t> out, const std::uint8_t* frame, const ParsedPacket& parsed,
                        const MacAddress& mac) noexcept {
    if (!parsed.is_flow() || parsed.protocol != protocol::kSctp || !may_be_answered(parsed)) return {};
    const std::span<const std::uint8_t> packet(frame + parsed.l4_offset, parsed.l4_length());
    if (!sctp_checksum_ok(packet)) return {0, observe::DropReason::l4_checksum_bad};
    const Chunks chunks = look_through(packet);
    if (!chunks.fit) return {0, observe::DropReason::l4_header_bad};
    if (chunks.never_answer) return {};
    const std::uint8_t* first = packet.data() + sctp::kHeaderSize;
    const bool is_init = first[0] == sctp::kInit;
    if (is_init && load_be16(first + 2) < kInitSize) return {0, observe::DropReason::l4_header_bad};
    const std::uint32_t length = parsed.l2_length + ip_header_size(parsed) + kAnswerSize;
    if (out.size() < length) return {0, observe::DropReason::mbuf_exhausted};

    std::uint8_t* header = out.data() + parsed.l2_length;
    write_ethernet_back(out.data(), frame, parsed, mac);
    std::uint8_t* answer = header + write_ip_back(header, parsed, protocol::kSctp, kAnswerSize);
    store_raw16(answer, load_raw16(packet.data() + 2));
    store_raw16(answer + 2, load_raw16(packet.data()));
    store_raw32(answer + sctp::kVerificationTag,
                load_raw32(is_init ? first + sctp::kChunkHeaderSize : packet.data() + sctp::kVerificationTag));
    std::uint8_t* chunk = answer + sctp::kHeaderSize;
    chunk[0] = chunks.shutdown_ack ? sctp::kShutdownComplete : sctp::kAbort;
    chunk[1] = is_init ? std::uint8_t{0} : kReflectedTag;
    store_be16(chunk + 2, sctp::kChunkHeaderSize);
    sctp_store_checksum({answer, kAnswerSize});
    return {length};
}

}  // namespace guideway::packet
