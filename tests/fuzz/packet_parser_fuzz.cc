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
    for (const auto builder : {build_tcp_reset, build_port_unreachable, build_sctp_abort}) {
        Buffer out(nullptr, 0, room);
        check_answer(builder({out.bytes.get(), room}, frame, parsed, kOurMac), out.bytes.get(), room);
    }
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
        flow(data, size, parsed, choice);
    }
    in_place_answers(data, size, parsed, choice % 32);
    separate_answers(frame, parsed, choice * 6U);
    return 0;
}
