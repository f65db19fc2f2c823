// The packet path takes any bytes: nothing is read or written out of bounds, what a builder makes parses again and is right.
// The first byte chooses the builder's room and the outgoing tuple's bytes; the rest is the frame.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "dataplane/packet/arp_reply.h"
#include "dataplane/packet/checksum.h"
#include "dataplane/packet/echo_reply.h"
#include "dataplane/packet/fragment.h"
#include "dataplane/packet/icmp_answer.h"
#include "dataplane/packet/icmp_error.h"
#include "dataplane/packet/mss_clamp.h"
#include "dataplane/packet/neighbour_advertisement.h"
#include "dataplane/packet/parse.h"
#include "dataplane/packet/port_unreachable.h"
#include "dataplane/packet/rewrite.h"
#include "dataplane/packet/sctp_abort.h"
#include "dataplane/packet/tcp_reset.h"
#include "dataplane/packet/unfinished_checksum.h"

namespace {

using namespace guideway::packet;

constexpr MacAddress kOurMac{2, 0, 0, 0, 0, 1};

void require(bool condition) {
    if (!condition) std::abort();
}

/// Exactly as long as asked, on the heap, so that the sanitizer sees one byte too many.
struct Buffer {
    Buffer(const std::uint8_t* data, std::size_t size, std::size_t capacity)
        : bytes(new std::uint8_t[capacity]), length(static_cast<std::uint32_t>(size)), room(capacity) {
        std::memset(bytes.get(), 0, room);
        if (size != 0) std::memcpy(bytes.get(), data, size);
    }
    std::unique_ptr<std::uint8_t[]> bytes;
    std::uint32_t length;
    std::size_t room;
};

void check_answer(const Answer& answer, const std::uint8_t* frame, std::size_t room) {
    if (!answer) return;
    require(answer.length <= room && answer.reason == guideway::observe::DropReason::none);
    require(parse(frame, answer.length).kind != PacketKind::bad);
}

void in_place_answers(const std::uint8_t* data, std::size_t size, const ParsedPacket& parsed, std::size_t extra) {
    for (const auto builder : {build_arp_reply, build_echo_reply}) {
        Buffer buffer(data, size, size);
        check_answer(builder(buffer.bytes.get(), buffer.length, parsed, kOurMac), buffer.bytes.get(), size);
    }
    Buffer buffer(data, size, size + extra);
    const Answer answer = build_neighbour_advertisement(buffer.bytes.get(), buffer.length,
                                                        static_cast<std::uint32_t>(buffer.room), parsed, kOurMac);
    check_answer(answer, buffer.bytes.get(), buffer.room);
}

void separate_answers(const std::uint8_t* frame, const ParsedPacket& parsed, std::size_t room) {
    const auto too_big = [](std::span<std::uint8_t> out, const std::uint8_t* in, const ParsedPacket& p,
                            const MacAddress& mac) noexcept { return build_packet_too_big(out, in, p, mac, 1400); };
    for (const auto builder :
         {build_tcp_reset, build_port_unreachable, build_sctp_abort, build_time_exceeded, +too_big}) {
        Buffer out(nullptr, 0, room);
        check_answer(builder({out.bytes.get(), room}, frame, parsed, kOurMac), out.bytes.get(), room);
    }
}

/// The bytes of an ICMP error, its checksum put right, there and back again.
void icmp_error(const std::uint8_t* data, std::size_t size, const ParsedPacket& parsed, std::uint8_t choice) {
    Buffer buffer(data, size, size);
    std::uint8_t* frame = buffer.bytes.get();
    std::uint8_t* message = frame + parsed.l4_offset;
    const std::uint16_t pseudo =
        parsed.has_v4 ? std::uint16_t{0}
                      : pseudo_sum_v6(frame + parsed.l2_length + ipv6::kSource, protocol::kIcmpv6, parsed.l4_length());
    store_raw16(message + icmp::kChecksum, 0);
    store_raw16(message + icmp::kChecksum, static_cast<std::uint16_t>(~sum_of({message, parsed.l4_length()}, pseudo)));
    const IcmpError error = read_icmp_error(frame, parsed);
    if (error.reason != guideway::observe::DropReason::none) return;
    require(error.quote_l4 + 8U <= error.quote + std::uint32_t{error.quote_bytes});
    require(error.quote + std::uint32_t{error.quote_bytes} <= parsed.end());
    const std::uint32_t behind = error.quote + std::uint32_t{error.quote_bytes};
    const auto there_and_back = [&](const auto& quoted) {
        auto sent = quoted;
        std::memcpy(&sent.source, data + parsed.l2_length, 4);
        sent.source_port ^= choice;
        translate_icmp_error(frame, parsed, error, sent, delta_between(quoted, sent));
        const ParsedPacket after = parse(frame, buffer.length);
        require(after.kind == PacketKind::icmp_other && after.end() == parsed.end());
        const IcmpError again = read_icmp_error(frame, after);
        require(again.reason == error.reason && again.kind == error.kind && again.mtu == error.mtu);
        require(again.protocol == error.protocol && again.sequence == error.sequence);
        require(std::memcmp(frame + behind, data + behind, size - behind) == 0);
        frame[parsed.l2_length + (parsed.has_v4 ? ipv4::kTtl : ipv6::kHopLimit)] = 64;
        translate_icmp_error(frame, after, again, quoted, delta_between(sent, quoted));
        const IcmpError back = read_icmp_error(frame, parse(frame, buffer.length));
        require(back.reason == error.reason);
        require(std::memcmp(frame + error.quote_l4, data + error.quote_l4, 4) == 0);
    };
    if (parsed.has_v4) {
        there_and_back(error.v4);
    } else {
        there_and_back(error.v6);
    }
}

/// A following fragment stays what it was but for addresses, TTL and identification.
void fragment(const std::uint8_t* data, std::size_t size, const ParsedPacket& parsed, std::uint8_t choice) {
    require(parsed.part != Part::whole && parsed.l4_offset <= parsed.end());
    Buffer buffer(data, size, size);
    std::uint8_t* frame = buffer.bytes.get();
    const Fragment before = read_fragment(frame, parsed);
    if (parsed.part == Part::first) require(before.offset == 0 && before.more);
    if (before.reason == guideway::observe::DropReason::none) require(before.length != 0 && before.end() <= 0xffff);
    if (parsed.part == Part::first || parsed.ttl == 0) return;
    if (parsed.has_v4) {
        FiveTupleV4 out{};
        out.source = 0x01010101U * choice;
        out.destination = ~out.source;
        rewrite_following(frame, parsed, out, choice * 77U);
    } else {
        FiveTupleV6 out{};
        out.source[0] = 0x20;
        out.source[15] = choice;
        out.destination[0] = 0x20;
        rewrite_following(frame, parsed, out, choice * 77U);
    }
    const ParsedPacket after = parse(frame, buffer.length);
    const Fragment moved = read_fragment(frame, after);
    require(after.kind == PacketKind::fragment && after.part == Part::following && after.ttl == parsed.ttl - 1);
    require(moved.offset == before.offset && moved.length == before.length && moved.more == before.more);
    require(moved.id == choice * 77U && moved.reason == before.reason);
    require(std::memcmp(frame + parsed.l4_offset, data + parsed.l4_offset, size - parsed.l4_offset) == 0);
}

/// All parts together are the packet, none is larger than the MTU.
void cut(const std::uint8_t* frame, const ParsedPacket& parsed, std::uint8_t choice) {
    const std::uint32_t mtu = 24U + choice * 4U;
    if (!parsed.has_v4 || parsed.l3_length <= mtu) return;
    const std::uint8_t* ip = frame + parsed.l2_length;
    const PartPlan plan = plan_parts(ip, parsed.l3_length, mtu);
    if (plan.parts == 0) return;
    require(plan.parts >= 2 && plan.parts <= kMostParts && plan.offset(plan.parts - 1) < plan.total);
    std::uint32_t together = plan.length(0);
    for (std::uint32_t part = 1; part < plan.parts; ++part) {
        require(plan.packet(part) <= mtu && plan.offset(part) == together && plan.length(part) != 0);
        const Buffer out(ip, 0, plan.later_header);
        write_part_header({out.bytes.get(), plan.later_header}, ip, plan, part);
        require(ipv4_header_checksum_ok(out.bytes.get(), plan.later_header));
        together += plan.length(part);
    }
    require(together == plan.total && plan.packet(0) <= mtu);
    Buffer first(ip, parsed.l3_length, parsed.l3_length);
    write_first_part(first.bytes.get(), plan);
    require(ipv4_header_checksum_ok(first.bytes.get(), plan.header));
}

/// A checksum that was right stays right; a second time there is nothing to lower.
void clamp(const std::uint8_t* data, std::size_t size, const ParsedPacket& parsed, std::uint8_t choice) {
    Buffer buffer(data, size, size);
    std::uint8_t* frame = buffer.bytes.get();
    write_l4_checksum(frame, parsed);
    const auto largest = static_cast<std::uint16_t>(88U + choice * 16U);
    clamp_mss(frame, parsed, largest);
    require(l4_checksum_ok(frame, parsed));
    require(!clamp_mss(frame, parsed, largest));
}

void flow(const std::uint8_t* data, std::size_t size, const ParsedPacket& parsed, std::uint8_t choice) {
    Buffer buffer(data, size, size);
    std::uint8_t* frame = buffer.bytes.get();
    const bool was_right = l4_checksum_ok(frame, parsed);
    if (complete_unfinished_checksum(frame, parsed)) require(l4_checksum_ok(frame, parsed));
    const bool right = l4_checksum_ok(frame, parsed);
    require(right || !was_right);
    if (parsed.has_v4) {
        FiveTupleV4 out = swapped(parsed.v4);
        out.source ^= choice * 0x01010101U;
        out.destination_port ^= choice;
        rewrite_v4(frame, parsed, out, delta_between(parsed.v4, out));
    } else {
        FiveTupleV6 out = swapped(parsed.v6);
        out.source[15] ^= choice;
        out.destination_port ^= choice;
        rewrite_v6(frame, parsed, out, delta_between(parsed.v6, out));
    }
    // Right stays right, wrong stays wrong. UDP over IPv6 without checksum stays without.
    require(l4_checksum_ok(frame, parsed) == right);
    const ParsedPacket after = parse(frame, buffer.length);
    require(after.kind == parsed.kind && after.ttl == static_cast<std::uint8_t>(parsed.ttl - 1));
    set_ethernet(frame, kOurMac, kOurMac);
    const std::uint32_t cut = strip_vlan(frame, after);
    const ParsedPacket untagged = parse(frame + cut, buffer.length - cut);
    require(untagged.kind == parsed.kind && untagged.l2_length == 14);
    write_l4_checksum(frame + cut, untagged);
    require(l4_checksum_ok(frame + cut, untagged));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::uint8_t choice = *data;
    ++data;
    --size;
    const Buffer input(data, size, size);
    const std::uint8_t* frame = input.bytes.get();
    const ParsedPacket parsed = parse(frame, input.length);
    parse(frame, input.length, {true});
    if (parsed.kind == PacketKind::bad) {
        require(parsed.reason != guideway::observe::DropReason::none);
        return 0;
    }
    require(parsed.reason == guideway::observe::DropReason::none);
    require(parsed.end() <= input.length && parsed.l2_length <= input.length);
    if (parsed.is_flow()) {
        require(parsed.l4_offset >= parsed.l2_length && parsed.l4_offset + 8U <= parsed.end());
        if (parsed.ttl != 0) flow(data, size, parsed, choice);  // others are not rewritten
        if (parsed.protocol == protocol::kTcp) clamp(data, size, parsed, choice);
    }
    if (parsed.kind == PacketKind::fragment) fragment(data, size, parsed, choice);
    if (parsed.kind != PacketKind::arp) cut(frame, parsed, choice);
    if (parsed.kind == PacketKind::icmp_other) icmp_error(data, size, parsed, choice);
    in_place_answers(data, size, parsed, choice % 32);
    separate_answers(frame, parsed, choice * 6U);
    return 0;
}
