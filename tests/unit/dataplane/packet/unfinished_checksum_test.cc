#include "dataplane/packet/unfinished_checksum.h"

#include <utility>

#include <gtest/gtest.h>

#include "tests/packet/packet_builder.h"

namespace guideway::packet::testing {
namespace {

constexpr std::pair<const char*, const char*> kPairs[] = {{"198.51.100.7", "203.0.113.10"},
                                                          {"2001:db8:c::7", "2001:db8:f::10"}};

ParsedPacket parse(const Frame& frame) { return packet::parse(frame.data(), static_cast<std::uint32_t>(frame.size())); }

TEST(UnfinishedChecksum, AFinishedOneIsLeftAlone) {
    for (const auto& [source, destination] : kPairs) {
        for (PacketBuilder builder : {PacketBuilder().ip(source, destination).tcp(1, 2, 16).payload(5),
                                      PacketBuilder().ip(source, destination).udp(1, 2).payload(5),
                                      PacketBuilder().ip(source, destination).sctp(1, 2, 3).chunk(0)}) {
            const Frame before = builder.build();
            Frame frame = before;
            EXPECT_FALSE(complete_unfinished_checksum(frame.data(), parse(frame)));
            EXPECT_EQ(frame, before);
        }
    }
}

TEST(UnfinishedChecksum, DamageIsNotTakenForUnfinished) {
    Frame frame = PacketBuilder().ipv4("198.51.100.7", "203.0.113.10").tcp(1, 2, 16).payload(5).build();
    frame.back() ^= 1;
    EXPECT_FALSE(complete_unfinished_checksum(frame.data(), parse(frame)));
    EXPECT_FALSE(l4_checksum_ok(frame.data(), parse(frame)));
}

TEST(UnfinishedChecksum, AFinishedOneOfTheSameValueIsWrittenAgainUnchanged) {
    // The packet's own sum equals the complement of twice the pseudo sum: the finished field looks unfinished.
    Frame frame =
        PacketBuilder().ipv4("198.51.100.7", "203.0.113.10").udp(1, 2).payload(2).unfinished_checksum().build();
    const std::uint16_t pseudo = load_be16(frame.data() + 34 + udp::kChecksum);
    for (std::uint32_t value = 0; value <= 0xffff; ++value) {
        store_be16(frame.data() + 42, static_cast<std::uint16_t>(value));
        if (l4_checksum_ok(frame.data(), parse(frame))) break;
    }
    ASSERT_TRUE(l4_checksum_ok(frame.data(), parse(frame)));
    const Frame before = frame;
    EXPECT_TRUE(complete_unfinished_checksum(frame.data(), parse(frame)));
    EXPECT_EQ(frame, before) << "pseudo sum " << pseudo;
}

TEST(UnfinishedChecksum, AUdpSumOfZeroIsWrittenAsAllOnes) {
    for (std::uint32_t value = 0; value <= 0xffff; ++value) {
        Frame frame =
            PacketBuilder().ipv4("198.51.100.7", "203.0.113.10").udp(1, 2).payload(2).unfinished_checksum().build();
        store_be16(frame.data() + 42, static_cast<std::uint16_t>(value));
        ASSERT_TRUE(complete_unfinished_checksum(frame.data(), parse(frame)));
        ASSERT_NE(load_be16(frame.data() + 34 + udp::kChecksum), 0);
    }
}

TEST(L4Checksum, EveryDamagedBitIsSeen) {
    for (const auto& [source, destination] : kPairs) {
        for (PacketBuilder builder : {PacketBuilder().ip(source, destination).tcp(1, 2, 16).payload(3),
                                      PacketBuilder().ip(source, destination).sctp(1, 2, 3).chunk(0)}) {
            const Frame right = builder.build();
            const ParsedPacket parsed = parse(right);
            ASSERT_TRUE(l4_checksum_ok(right.data(), parsed));
            for (std::size_t bit = parsed.l4_offset * 8U; bit < right.size() * 8; ++bit) {
                Frame frame = right;
                frame[bit / 8] = static_cast<std::uint8_t>(frame[bit / 8] ^ (1U << (bit % 8)));
                EXPECT_FALSE(l4_checksum_ok(frame.data(), parsed)) << "bit " << bit << describe(frame);
            }
        }
    }
}

TEST(L4Checksum, UdpMayGoWithoutOverIpv4Only) {
    const Frame v4 = PacketBuilder().ipv4("198.51.100.7", "203.0.113.10").udp(1, 2).no_checksum().build();
    EXPECT_TRUE(l4_checksum_ok(v4.data(), parse(v4)));
    const Frame v6 = PacketBuilder().ipv6("fd00::1", "fd00::2").udp(1, 2).no_checksum().build();
    EXPECT_FALSE(l4_checksum_ok(v6.data(), parse(v6)));
}

TEST(L4Checksum, UdpCoversItsOwnLengthNotThePackets) {
    // RFC 768: trailing bytes between UDP's end and IP's belong to nobody and are not summed.
    Frame frame = PacketBuilder().ipv4("198.51.100.7", "203.0.113.10").udp(1, 2).payload(10).build();
    store_be16(frame.data() + 34 + udp::kLength, 14);
    const ParsedPacket parsed = parse(frame);
    write_l4_checksum(frame.data(), parsed);
    frame.back() ^= 0xff;
    EXPECT_TRUE(l4_checksum_ok(frame.data(), parsed));
}

TEST(L4Checksum, WritingRestoresWhatTheBuilderMade) {
    for (const auto& [source, destination] : kPairs) {
        for (PacketBuilder builder : {PacketBuilder().ip(source, destination).tcp(1, 2, 16).payload(3),
                                      PacketBuilder().ip(source, destination).udp(1, 2).payload(3),
                                      PacketBuilder().ip(source, destination).sctp(1, 2, 3).chunk(0)}) {
            const Frame right = builder.build();
            Frame frame = right;
            const ParsedPacket parsed = parse(frame);
            const std::size_t at = parsed.protocol == protocol::kTcp   ? 16U
                                   : parsed.protocol == protocol::kUdp ? 6U
                                                                       : 8U;
            frame[parsed.l4_offset + at] ^= 0x5a;
            write_l4_checksum(frame.data(), parsed);
            EXPECT_EQ(frame, right);
        }
    }
}

}  // namespace
}  // namespace guideway::packet::testing
