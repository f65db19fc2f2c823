// Incremental checksums against full ones, over many random packets and rewrites. Seeds are fixed: a failure repeats.
#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/parse.h"
#include "dataplane/packet/rewrite.h"
#include "dataplane/packet/unfinished_checksum.h"
#include "tests/packet/packet_builder.h"

namespace guideway::packet::testing {
namespace {

using Random = std::mt19937_64;

/// Random, but every fourth word 0x0000 or 0xffff: where ones' complement has its corners.
std::uint16_t word(Random& random) {
    switch (random() % 8) {
        case 0:
            return 0x0000;
        case 1:
            return 0xffff;
        default:
            return static_cast<std::uint16_t>(random());
    }
}

template <typename Tuple>
Tuple random_tuple(Random& random, std::uint8_t protocol) {
    Tuple tuple{};
    auto* bytes = reinterpret_cast<std::uint8_t*>(&tuple);
    for (std::size_t i = 0; i < 2 * sizeof tuple.source + 4; i += 2) store_raw16(bytes + i, word(random));
    tuple.protocol = protocol;
    return tuple;
}

Frame random_frame(Random& random, bool v4, std::uint8_t protocol) {
    PacketBuilder builder;
    for (std::uint64_t tags = random() % 3; tags > 0; --tags) builder.vlan(5);
    builder.ip(v4 ? "198.51.100.7" : "2001:db8::7", v4 ? "203.0.113.10" : "2001:db8::10");
    builder.ttl(static_cast<std::uint8_t>(2 + random() % 254));
    if (!v4 && random() % 2 == 0) builder.padding_extension(ipv6::kDestinationOptions);
    if (v4 && random() % 4 == 0) builder.ipv4_options(std::array<std::uint8_t, 4>{1, 1, 1, 0});
    if (protocol == protocol::kTcp) builder.tcp(1, 2, tcp::kAck);
    if (protocol == protocol::kUdp) builder.udp(1, 2);
    if (protocol == protocol::kSctp) builder.sctp(1, 2, static_cast<std::uint32_t>(random()));
    Frame payload(random() % 64);
    for (std::uint8_t& byte : payload) byte = static_cast<std::uint8_t>(word(random));
    return builder.payload(payload).build();
}

/// Puts `tuple` into the frame and makes all checksums right by full computation.
template <typename Tuple>
void place(Frame& frame, const ParsedPacket& parsed, const Tuple& tuple) {
    std::uint8_t* header = frame.data() + parsed.l2_length;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&tuple);
    const std::size_t size = sizeof tuple.source;
    std::copy(bytes, bytes + 2 * size, header + (size == 4 ? ipv4::kSource : ipv6::kSource));
    std::copy(bytes + 2 * size, bytes + 2 * size + 4, frame.data() + parsed.l4_offset);
    if (size == 4) {
        store_raw16(header + ipv4::kChecksum, ipv4_header_checksum(header, parsed.l4_offset - parsed.l2_length));
    }
    write_l4_checksum(frame.data(), parsed);
}

template <typename Tuple>
void rewrite(Frame& frame, const ParsedPacket& parsed, const Tuple& out, ChecksumDelta delta) {
    if constexpr (sizeof out.source == 4) {
        rewrite_v4(frame.data(), parsed, out, delta);
    } else {
        rewrite_v6(frame.data(), parsed, out, delta);
    }
}

template <typename Tuple>
void check(bool v4, int rounds) {
    Random random(v4 ? 4 : 6);
    for (int round = 0; round < rounds; ++round) {
        const std::uint8_t protocols[] = {protocol::kTcp, protocol::kUdp, protocol::kSctp};
        const std::uint8_t protocol = protocols[round % 3];
        Frame frame = random_frame(random, v4, protocol);
        const ParsedPacket parsed = parse(frame.data(), static_cast<std::uint32_t>(frame.size()));
        ASSERT_TRUE(parsed.is_flow()) << describe(frame);
        const Tuple from = random_tuple<Tuple>(random, protocol);
        const Tuple to = random_tuple<Tuple>(random, protocol);
        place(frame, parsed, from);
        if (v4 && protocol == protocol::kUdp && random() % 8 == 0) {
            store_raw16(frame.data() + parsed.l4_offset + udp::kChecksum, 0);
        }
        const Frame before = frame;
        const ChecksumDelta delta = delta_between(from, to);

        // There: exactly what a full computation gives.
        rewrite(frame, parsed, to, delta);
        Frame expected = before;
        expected[parsed.l2_length + (v4 ? ipv4::kTtl : ipv6::kHopLimit)] -= 1;
        const bool without =
            protocol == protocol::kUdp && load_raw16(before.data() + parsed.l4_offset + udp::kChecksum) == 0;
        place(expected, parsed, to);
        if (without) store_raw16(expected.data() + parsed.l4_offset + udp::kChecksum, 0);
        ASSERT_EQ(frame, expected) << "round " << round << "\nbefore " << describe(before) << "\nis " << describe(frame)
                                   << "\nexpected " << describe(expected);

        // And back: every byte but the TTL and what it does to the IPv4 header's checksum.
        rewrite(frame, parsed, from, opposite(delta));
        ASSERT_TRUE(!v4 ||
                    ipv4_header_checksum_ok(frame.data() + parsed.l2_length, parsed.l4_offset - parsed.l2_length));
        const std::size_t ttl = parsed.l2_length + (v4 ? ipv4::kTtl : ipv6::kHopLimit);
        ASSERT_EQ(frame[ttl], static_cast<std::uint8_t>(before[ttl] - 2));
        frame[ttl] = before[ttl];
        if (v4) {
            store_raw16(frame.data() + parsed.l2_length + ipv4::kChecksum,
                        load_raw16(before.data() + parsed.l2_length + ipv4::kChecksum));
        }
        ASSERT_EQ(frame, before) << "round " << round;
    }
}

TEST(ChecksumProperty, RewritingIpv4EqualsAFullComputationAndGoesBack) { check<FiveTupleV4>(true, 60000); }

TEST(ChecksumProperty, RewritingIpv6EqualsAFullComputationAndGoesBack) { check<FiveTupleV6>(false, 60000); }

TEST(ChecksumProperty, SumDoesNotDependOnWhereDataIsSplitAtEvenOffsets) {
    Random random(1);
    for (int round = 0; round < 2000; ++round) {
        Frame data(random() % 200);
        for (std::uint8_t& byte : data) byte = static_cast<std::uint8_t>(word(random));
        const std::size_t cut = data.empty() ? 0 : (random() % data.size()) & ~std::size_t{1};
        const std::span<const std::uint8_t> all(data);
        ASSERT_EQ(sum_of(all), sum_of(all.subspan(cut), sum_of(all.first(cut))));
    }
}

TEST(ChecksumProperty, UnfinishedChecksumsOfRandomPacketsAreCompletedRight) {
    Random random(2);
    for (int round = 0; round < 20000; ++round) {
        Frame frame = random_frame(random, round % 2 == 0, round % 4 < 2 ? protocol::kTcp : protocol::kUdp);
        const ParsedPacket parsed = parse(frame.data(), static_cast<std::uint32_t>(frame.size()));
        const Frame finished = frame;
        const std::uint8_t* header = frame.data() + parsed.l2_length;
        const std::size_t field = parsed.l4_offset + (parsed.protocol == protocol::kTcp ? 16U : 6U);
        store_raw16(frame.data() + field,
                    parsed.has_v4 ? pseudo_sum_v4(header + ipv4::kSource, parsed.protocol, parsed.l4_length())
                                  : pseudo_sum_v6(header + ipv6::kSource, parsed.protocol, parsed.l4_length()));
        ASSERT_TRUE(complete_unfinished_checksum(frame.data(), parsed));
        ASSERT_EQ(frame, finished) << describe(frame);
    }
}

}  // namespace
}  // namespace guideway::packet::testing
