#include "dataplane/packet/icmp_error.h"

#include <algorithm>
#include <optional>

#include "dataplane/packet/wire.h"

namespace guideway::packet {
namespace {

using observe::DropReason;

constexpr std::uint32_t kLeastL4 = 8;

std::optional<IcmpErrorKind> kind_v4(std::uint8_t type, std::uint8_t code) noexcept {
    switch (type) {
        case icmp::kUnreachable:
            if (code > icmp::kLastUnreachableCode) return std::nullopt;
            return code == icmp::kFragmentationNeededCode ? IcmpErrorKind::packet_too_big : IcmpErrorKind::unreachable;
        case icmp::kTimeExceeded:
            return IcmpErrorKind::time_exceeded;
        case icmp::kParameterProblem:
            return IcmpErrorKind::parameter_problem;
        default:
            return std::nullopt;
    }
}

std::optional<IcmpErrorKind> kind_v6(std::uint8_t type) noexcept {
    switch (type) {
        case icmpv6::kUnreachable:
            return IcmpErrorKind::unreachable;
        case icmpv6::kPacketTooBig:
            return IcmpErrorKind::packet_too_big;
        case icmpv6::kTimeExceeded:
            return IcmpErrorKind::time_exceeded;
        case icmpv6::kParameterProblem:
            return IcmpErrorKind::parameter_problem;
        default:
            return std::nullopt;
    }
}

bool checksum_right(const std::uint8_t* frame, const ParsedPacket& parsed) noexcept {
    const std::uint32_t size = parsed.l4_length();
    const std::uint16_t pseudo = parsed.has_v4
                                     ? std::uint16_t{0}
                                     : pseudo_sum_v6(frame + parsed.l2_length + ipv6::kSource, protocol::kIcmpv6, size);
    return sum_of({frame + parsed.l4_offset, size}, pseudo) == 0xffff;
}

bool is_quoted_protocol(std::uint8_t number) noexcept {
    return number == protocol::kTcp || number == protocol::kUdp || number == protocol::kSctp;
}

/// Where the quote's L4 header begins, 0 where it cannot be told. `at` has `available` bytes; sets `protocol`, and `whole`, what
/// the packet in trouble had.
std::uint32_t l4_of_quote_v4(const std::uint8_t* at, std::uint32_t available, std::uint8_t& number,
                             std::uint32_t& whole) noexcept {
    if (available < ipv4::kHeaderSize || (at[ipv4::kVersionIhl] >> 4) != 4) return 0;
    const std::uint32_t header = (at[ipv4::kVersionIhl] & 0x0fU) * 4U;
    // A later fragment has no ports.
    const bool later_fragment = (load_be16(at + ipv4::kFragment) & ipv4::kFragmentOffset) != 0;
    if (header < ipv4::kHeaderSize || later_fragment) return 0;
    number = at[ipv4::kProtocol];
    whole = load_be16(at + ipv4::kTotalLength);
    return header;
}

std::uint32_t l4_of_quote_v6(const std::uint8_t* at, std::uint32_t available, std::uint8_t& number,
                             std::uint32_t& whole) noexcept {
    if (available < ipv6::kHeaderSize || (at[0] >> 4) != 6) return 0;
    number = at[ipv6::kNextHeader];
    whole = ipv6::kHeaderSize + load_be16(at + ipv6::kPayloadLength);
    std::uint32_t offset = ipv6::kHeaderSize;
    for (unsigned count = 0; count < kMaxExtensionHeaders; ++count) {
        const bool is_fragment = number == ipv6::kFragmentHeader;
        if (!is_fragment && number != ipv6::kHopByHop && number != ipv6::kRouting &&
            number != ipv6::kDestinationOptions) {
            return offset;
        }
        if (available - offset < 8) return 0;
        if (is_fragment && (load_be16(at + offset + 2) & 0xfff8U) != 0) return 0;
        const std::uint32_t size = is_fragment ? 8U : (at[offset + 1] + 1U) * 8U;
        if (size > available - offset || offset + size - ipv6::kHeaderSize > kMaxExtensionBytes) return 0;
        number = at[offset];
        offset += size;
    }
    return 0;
}

/// False where no connection's packet can be told from it.
bool read_quote(const std::uint8_t* frame, const ParsedPacket& parsed, IcmpError& error) noexcept {
    error.quote = static_cast<std::uint16_t>(parsed.l4_offset + icmp::kHeaderSize);
    const std::uint32_t available = parsed.end() - error.quote;
    const std::uint8_t* at = frame + error.quote;
    std::uint32_t whole = 0;
    const std::uint32_t l4 = parsed.has_v4 ? l4_of_quote_v4(at, available, error.protocol, whole)
                                           : l4_of_quote_v6(at, available, error.protocol, whole);
    if (l4 == 0 || !is_quoted_protocol(error.protocol)) return false;
    // Behind the end of a short packet in trouble there are zeros and extensions (RFC 4884), not its checksum.
    const std::uint32_t there = std::min(available, whole);
    if (there < l4 + kLeastL4) return false;
    error.quote_l4 = static_cast<std::uint16_t>(error.quote + l4);
    error.quote_bytes = static_cast<std::uint16_t>(std::min<std::uint32_t>(there, 0xffff));
    if (error.protocol == protocol::kTcp) error.sequence = load_be32(at + l4 + tcp::kSequence);
    const auto read_ports = [&](auto& tuple) {
        tuple.source_port = load_raw16(at + l4);
        tuple.destination_port = load_raw16(at + l4 + 2);
        tuple.protocol = error.protocol;
    };
    if (parsed.has_v4) {
        error.v4 = {};
        error.v4.source = load_raw32(at + ipv4::kSource);
        error.v4.destination = load_raw32(at + ipv4::kDestination);
        read_ports(error.v4);
        return error.v4.source == parsed.v4.destination;
    }
    std::memcpy(error.v6.source.data(), at + ipv6::kSource, 16);
    std::memcpy(error.v6.destination.data(), at + ipv6::kDestination, 16);
    read_ports(error.v6);
    return error.v6.source == parsed.v6.destination;
}

/// The quoted TCP or UDP checksum, if it is there, and the ports.
template <typename Tuple>
void translate_l4(std::uint8_t* frame, const IcmpError& error, const Tuple& sent, std::uint16_t delta) noexcept {
    std::uint8_t* l4 = frame + error.quote_l4;
    const auto bytes = static_cast<std::uint32_t>(error.quote_bytes - (error.quote_l4 - error.quote));
    if (error.protocol == protocol::kTcp && bytes >= tcp::kChecksum + 2) {
        store_raw16(l4 + tcp::kChecksum, apply(load_raw16(l4 + tcp::kChecksum), delta));
    } else if (error.protocol == protocol::kUdp) {
        store_raw16(l4 + udp::kChecksum, apply_udp(load_raw16(l4 + udp::kChecksum), delta));
    }
    store_raw16(l4, sent.source_port);
    store_raw16(l4 + 2, sent.destination_port);
}

void write_icmp_checksum(std::uint8_t* frame, const ParsedPacket& parsed, std::uint16_t pseudo) noexcept {
    std::uint8_t* message = frame + parsed.l4_offset;
    store_raw16(message + icmp::kChecksum, 0);
    const std::uint16_t sum = sum_of({message, parsed.l4_length()}, pseudo);
    store_raw16(message + icmp::kChecksum, static_cast<std::uint16_t>(~sum));
}

}  // namespace

IcmpError read_icmp_error(const std::uint8_t* frame, const ParsedPacket& parsed) noexcept {
    IcmpError error;
    const std::uint8_t* message = frame + parsed.l4_offset;
    const std::uint8_t type = message[icmp::kType];
    if (parsed.has_v4 && type == icmp::kSourceQuench) {
        error.reason = DropReason::icmp_source_quench;
        return error;
    }
    const auto kind = parsed.has_v4 ? kind_v4(type, message[icmp::kCode]) : kind_v6(type);
    if (!kind) return error;
    error.kind = *kind;
    if (!checksum_right(frame, parsed)) {
        error.reason = DropReason::icmp_checksum_bad;
        return error;
    }
    if (!read_quote(frame, parsed, error)) {
        error.reason = DropReason::icmp_quote_bad;
        return error;
    }
    error.reason = DropReason::none;
    if (error.kind != IcmpErrorKind::packet_too_big) return error;
    error.mtu = parsed.has_v4 ? load_be16(message + icmp::kMtu) : load_be32(message + icmpv6::kMtu);
    const bool believable = parsed.has_v4 ? error.mtu == 0 || error.mtu >= kLeastMtuV4 : error.mtu >= kLeastMtuV6;
    if (!believable) error.reason = DropReason::icmp_mtu_bad;
    return error;
}

void translate_icmp_error(std::uint8_t* frame, const ParsedPacket& parsed, const IcmpError& error,
                          const FiveTupleV4& sent, ChecksumDelta delta) noexcept {
    std::uint8_t* quote = frame + error.quote;
    store_raw32(quote + ipv4::kSource, sent.source);
    store_raw32(quote + ipv4::kDestination, sent.destination);
    store_raw16(quote + ipv4::kChecksum, apply(load_raw16(quote + ipv4::kChecksum), delta.addresses));
    translate_l4(frame, error, sent, delta.all);

    std::uint8_t* header = frame + parsed.l2_length;
    --header[ipv4::kTtl];
    store_raw32(header + ipv4::kSource, sent.destination);
    store_raw32(header + ipv4::kDestination, sent.source);
    const std::size_t size = parsed.l4_offset - parsed.l2_length;
    store_raw16(header + ipv4::kChecksum, ipv4_header_checksum(header, size));
    write_icmp_checksum(frame, parsed, 0);
}

void translate_icmp_error(std::uint8_t* frame, const ParsedPacket& parsed, const IcmpError& error,
                          const FiveTupleV6& sent, ChecksumDelta delta) noexcept {
    std::uint8_t* quote = frame + error.quote;
    std::memcpy(quote + ipv6::kSource, sent.source.data(), 16);
    std::memcpy(quote + ipv6::kDestination, sent.destination.data(), 16);
    translate_l4(frame, error, sent, delta.all);

    std::uint8_t* header = frame + parsed.l2_length;
    --header[ipv6::kHopLimit];
    std::memcpy(header + ipv6::kSource, sent.destination.data(), 16);
    std::memcpy(header + ipv6::kDestination, sent.source.data(), 16);
    write_icmp_checksum(frame, parsed, pseudo_sum_v6(header + ipv6::kSource, protocol::kIcmpv6, parsed.l4_length()));
}

}  // namespace guideway::packet
