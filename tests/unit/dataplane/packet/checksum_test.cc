#include "dataplane/packet/checksum.h"

#include <array>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/packet/wire.h"
#include "tests/packet/packet_builder.h"

namespace guideway::packet {
namespace {

std::span<const std::uint8_t> bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::uint16_t host(std::uint16_t raw) { return swap_if_little(raw); }

TEST(Checksum, SumOfTheExampleInRfc1071) {
    const std::array<std::uint8_t, 8> data{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    EXPECT_EQ(host(sum_of(data)), 0xddf2);
}

TEST(Checksum, AnOddByteIsPaddedWithZeroAtTheEnd) {
    const std::array<std::uint8_t, 3> odd{0x12, 0x34, 0x56};
    EXPECT_EQ(host(sum_of(odd)), 0x1234 + 0x5600);
    const std::array<std::uint8_t, 7> longer{0, 1, 0, 2, 0, 3, 4};
    EXPECT_EQ(host(sum_of(longer)), 0x0406);
    EXPECT_EQ(host(sum_of(std::span(longer).first(1), swap_if_little(std::uint16_t{7}))), 7);
}

TEST(Checksum, SumOfZerosIsZeroAndOfOnesAllOnes) {
    EXPECT_EQ(sum_of(std::vector<std::uint8_t>(1500, 0)), 0);
    EXPECT_EQ(sum_of(std::vector<std::uint8_t>(1500, 0xff)), 0xffff);
    EXPECT_EQ(sum_of({}), 0);
    EXPECT_EQ(sum_of(std::vector<std::uint8_t>(65535 + 40, 0xff), 0xffff), host(0xff00))
        << "odd: the last word is ff00";
}

TEST(Checksum, Ipv4HeaderOfAKnownPacket) {
    const std::array<std::uint8_t, 20> header{0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
                                              0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};
    EXPECT_EQ(host(ipv4_header_checksum(header.data(), header.size())), 0xb861);
    EXPECT_TRUE(ipv4_header_checksum_ok(header.data(), header.size()));
    for (std::size_t bit = 0; bit < 8 * header.size(); ++bit) {
        auto damaged = header;
        damaged[bit / 8] = static_cast<std::uint8_t>(damaged[bit / 8] ^ (1U << (bit % 8)));
        EXPECT_FALSE(ipv4_header_checksum_ok(damaged.data(), damaged.size())) << "bit " << bit;
    }
}

TEST(Checksum, PseudoHeadersCountAddressesProtocolAndLength) {
    const std::array<std::uint8_t, 8> v4{10, 0, 0, 1, 10, 0, 0, 2};
    EXPECT_EQ(host(pseudo_sum_v4(v4.data(), 17, 100)), 0x0a00 + 1 + 0x0a00 + 2 + 17 + 100);
    std::array<std::uint8_t, 32> v6{};
    v6[1] = 1;
    v6[31] = 2;
    EXPECT_EQ(host(pseudo_sum_v6(v6.data(), 6, 0x10003)), 1 + 2 + 6 + 1 + 3) << "a length above 65535 counts whole";
}

TEST(Checksum, AddingKeepsTheCarry) {
    EXPECT_EQ(add_sums(0xffff, 1), 1);
    EXPECT_EQ(add_sums(0xffff, 0xffff), 0xffff);
    EXPECT_EQ(add_sums(0, 0), 0);
    EXPECT_EQ(add_sums(0x8000, 0x8000), 1);
}

TEST(Checksum, TheExampleOfRfc1624Comes) {
    // A field dd2f, a word 5555 that becomes 3285: equation 2 of RFC 1141 gives ffff, RFC 1624 the right 0000.
    const std::uint16_t delta = add_sums(0x3285, static_cast<std::uint16_t>(~0x5555));
    EXPECT_EQ(apply(0xdd2f, delta), 0x0000);
}

TEST(Checksum, ApplyAndItsOppositeCancelForEveryFieldAndCornerDelta) {
    for (const std::uint16_t delta : {0x0000, 0x0001, 0x7fff, 0x8000, 0xfffe, 0xffff, 0x1234}) {
        const ChecksumDelta forth{delta, delta};
        for (std::uint32_t field = 0; field < 0xffff; ++field) {
            const auto there = apply(static_cast<std::uint16_t>(field), delta);
            ASSERT_NE(there, 0xffff) << field;
            ASSERT_EQ(apply(there, opposite(forth).all), field) << "delta " << delta;
        }
    }
}

TEST(Checksum, UdpZeroStaysZeroAndAComputedZeroIsSentAsAllOnes) {
    EXPECT_EQ(apply_udp(0, 0x1234), 0);
    EXPECT_EQ(apply(0x1234, 0x1234), 0);
    EXPECT_EQ(apply_udp(0x1234, 0x1234), 0xffff);
    for (std::uint32_t field = 1; field <= 0xffff; ++field) {
        for (const std::uint16_t delta : {0x0000, 0x0001, 0x8000, 0xfffe, 0xffff}) {
            const std::uint16_t there = apply_udp(static_cast<std::uint16_t>(field), delta);
            ASSERT_NE(there, 0);
            ASSERT_EQ(apply_udp(there, static_cast<std::uint16_t>(~delta)), field) << "delta " << delta;
        }
    }
}

TEST(Checksum, DeltaBetweenEqualTuplesChangesNothing) {
    const auto v4 = testing::tuple_v4("10.0.0.1", 1, "10.0.0.2", 2, 6);
    EXPECT_EQ(apply(0x4321, delta_between(v4, v4).all), 0x4321);
    EXPECT_EQ(apply(0x4321, delta_between(v4, swapped(v4)).all), 0x4321) << "an exchange changes no sum";
    const auto v6 = testing::tuple_v6("fd00::1", 1, "fd00::2", 2, 6);
    EXPECT_EQ(apply(0x4321, delta_between(v6, swapped(v6)).addresses), 0x4321);
}

TEST(Checksum, DeltaTellsAddressesFromPorts) {
    const auto from = testing::tuple_v4("10.0.0.1", 1000, "10.0.0.2", 80, 6);
    const auto to = testing::tuple_v4("10.0.0.3", 1001, "10.0.0.2", 84, 6);
    const ChecksumDelta delta = delta_between(from, to);
    EXPECT_EQ(host(delta.addresses) % 0xffff, 2);
    EXPECT_EQ(host(delta.all) % 0xffff, 2 + 1 + 4);
}

TEST(Checksum, Crc32cOfKnownAnswers) {
    // RFC 3720 B.4.
    std::array<std::uint8_t, 32> data{};
    EXPECT_EQ(crc32c(data), 0x8a9136aaU);
    EXPECT_EQ(crc32c_by_table(data), 0x8a9136aaU);
    data.fill(0xff);
    EXPECT_EQ(crc32c(data), 0x62a8ab43U);
    EXPECT_EQ(crc32c_by_table(data), 0x62a8ab43U);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i);
    EXPECT_EQ(crc32c(data), 0x46dd794eU);
    EXPECT_EQ(crc32c_by_table(data), 0x46dd794eU);
    EXPECT_EQ(crc32c(bytes("123456789")), 0xe3069283U);
    EXPECT_EQ(crc32c_by_table(bytes("123456789")), 0xe3069283U);
}

TEST(Checksum, Crc32cOfTheTwinsAgreesAtEveryLengthAndContinues) {
    std::array<std::uint8_t, 70> data{};
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i * 37 + 11);
    for (std::size_t length = 0; length <= data.size(); ++length) {
        const auto part = std::span<const std::uint8_t>(data).first(length);
        EXPECT_EQ(crc32c(part), crc32c_by_table(part)) << length;
        EXPECT_EQ(crc32c(std::span<const std::uint8_t>(data).subspan(length), crc32c(part)), crc32c(data)) << length;
    }
}

TEST(Checksum, SctpCountsItsOwnFieldAsZeroAndStoresLittleEndian) {
    std::vector<std::uint8_t> packet(16, 0);
    packet[0] = 0x13;
    const std::uint32_t crc = crc32c_by_table(packet);
    packet[8] = 0x55;
    EXPECT_EQ(sctp_checksum(packet), crc);
    EXPECT_FALSE(sctp_checksum_ok(packet));
    sctp_store_checksum(packet);
    EXPECT_TRUE(sctp_checksum_ok(packet));
    EXPECT_EQ(packet[8], crc & 0xff);
    EXPECT_EQ(packet[11], crc >> 24);
}

}  // namespace
}  // namespace guideway::packet
