// Packet in, packet out: the network address translation of both directions.
#include <algorithm>
#include <array>
#include <utility>

#include <gtest/gtest.h>

#include "dataplane/packet/rewrite.h"
#include "dataplane/packet/unfinished_checksum.h"
#include "tests/packet/packet_builder.h"

namespace guideway::packet::testing {
namespace {

constexpr const char* kClient = "198.51.100.7";
constexpr const char* kVip = "203.0.113.10";
constexpr const char* kSnat = "10.0.2.1";
constexpr const char* kBackend = "10.0.2.11";
constexpr const char* kClient6 = "2001:db8:c::7";
constexpr const char* kVip6 = "2001:db8:f::10";
constexpr const char* kSnat6 = "fd00:2::1";
constexpr const char* kBackend6 = "fd00:2::11";

ParsedPacket parse(const Frame& frame) { return packet::parse(frame.data(), static_cast<std::uint32_t>(frame.size())); }

Frame rewritten(Frame frame, const FiveTupleV4& out) {
    const ParsedPacket parsed = parse(frame);
    rewrite_v4(frame.data(), parsed, out, delta_between(parsed.v4, out));
    return frame;
}

Frame rewritten(Frame frame, const FiveTupleV6& out) {
    const ParsedPacket parsed = parse(frame);
    rewrite_v6(frame.data(), parsed, out, delta_between(parsed.v6, out));
    return frame;
}

TEST(PacketRewrite, TheRequestLeavesAsTheBuilderWouldHaveMadeIt) {
    const Frame in = PacketBuilder().ipv4(kClient, kVip).ttl(64).tcp(40000, 80, tcp::kSyn).payload(33).build();
    const Frame expected =
        PacketBuilder().ipv4(kSnat, kBackend).ttl(63).tcp(5000, 30080, tcp::kSyn).payload(33).build();
    const Frame out = rewritten(in, tuple_v4(kSnat, 5000, kBackend, 30080, 6));
    EXPECT_EQ(out, expected) << describe(out) << "\nexpected " << describe(expected);
}

TEST(PacketRewrite, Ipv6UdpLeavesAsTheBuilderWouldHaveMadeIt) {
    const Frame in = PacketBuilder().ipv6(kClient6, kVip6).udp(40000, 53).payload(7).build();
    const Frame expected = PacketBuilder().ipv6(kSnat6, kBackend6).ttl(63).udp(5000, 30053).payload(7).build();
    const Frame out = rewritten(in, tuple_v6(kSnat6, 5000, kBackend6, 30053, 17));
    EXPECT_EQ(out, expected) << describe(out) << "\nexpected " << describe(expected);
}

TEST(PacketRewrite, OptionsExtensionHeadersAndTagsStay) {
    const std::array<std::uint8_t, 4> alert{0x94, 4, 0, 0};
    const Frame v4 = rewritten(PacketBuilder().vlan(9).ipv4(kClient, kVip).ipv4_options(alert).udp(1, 2).build(),
                               tuple_v4(kSnat, 3, kBackend, 4, 17));
    EXPECT_EQ(v4, PacketBuilder().vlan(9).ipv4(kSnat, kBackend).ttl(63).ipv4_options(alert).udp(3, 4).build());
    const Frame v6 = rewritten(PacketBuilder().ipv6(kClient6, kVip6).padding_extension(60).tcp(1, 2, 16).build(),
                               tuple_v6(kSnat6, 3, kBackend6, 4, 6));
    EXPECT_EQ(v6, PacketBuilder().ipv6(kSnat6, kBackend6).ttl(63).padding_extension(60).tcp(3, 4, 16).build());
}

TEST(PacketRewrite, UdpWithoutChecksumStaysWithout) {
    const Frame out = rewritten(PacketBuilder().ipv4(kClient, kVip).udp(1, 2).no_checksum().payload(5).build(),
                                tuple_v4(kSnat, 3, kBackend, 4, 17));
    EXPECT_EQ(out, PacketBuilder().ipv4(kSnat, kBackend).ttl(63).udp(3, 4).no_checksum().payload(5).build());
}

TEST(PacketRewrite, SctpGetsANewCrcBecauseItCannotBePatched) {
    const Frame out = rewritten(PacketBuilder().ipv4(kClient, kVip).sctp(1, 2, 77).chunk(0).build(),
                                tuple_v4(kSnat, 3, kBackend, 4, 132));
    EXPECT_EQ(out, PacketBuilder().ipv4(kSnat, kBackend).ttl(63).sctp(3, 4, 77).chunk(0).build()) << describe(out);
}

TEST(PacketRewrite, DamageIsNotRepaired) {
    // The receiver must still see that the packet was damaged on its way to us.
    for (PacketBuilder builder :
         {PacketBuilder().ipv4(kClient, kVip).tcp(1, 2, 16).payload(8),
          PacketBuilder().ipv4(kClient, kVip).udp(1, 2).payload(8),
          PacketBuilder().ipv4(kClient, kVip).sctp(1, 2, 3).chunk(0, std::array<std::uint8_t, 8>{})}) {
        Frame frame = builder.build();
        frame.back() ^= 0x01;
        const std::uint8_t protocol = parse(frame).protocol;
        EXPECT_NE(faults(frame), "");
        EXPECT_NE(faults(rewritten(frame, tuple_v4(kSnat, 3, kBackend, 4, protocol))), "") << unsigned{protocol};
    }
}

TEST(PacketRewrite, AWrongSctpCrcStaysWrongEvenIfItWouldFitTheNewPorts) {
    const Frame target = PacketBuilder().ipv4(kSnat, kBackend).sctp(3, 4, 77).chunk(0).build();
    Frame in = PacketBuilder().ipv4(kClient, kVip).sctp(1, 2, 77).chunk(0).build();
    std::copy_n(target.begin() + 34 + sctp::kChecksum, 4, in.begin() + 34 + sctp::kChecksum);
    EXPECT_EQ(faults(in), "SCTP checksum");
    EXPECT_EQ(faults(rewritten(in, tuple_v4(kSnat, 3, kBackend, 4, 132))), "SCTP checksum");
}

TEST(PacketRewrite, EthernetPaddingIsLeftAlone) {
    Frame in = PacketBuilder().ipv4(kClient, kVip).sctp(1, 2, 3).chunk(0).pad_to(70).build();
    std::fill(in.begin() + parse(in).end(), in.end(), std::uint8_t{0xee});
    const Frame out = rewritten(in, tuple_v4(kSnat, 3, kBackend, 4, 132));
    EXPECT_EQ(faults(out), "");
    EXPECT_EQ(out.back(), 0xee);
}

TEST(PacketRewrite, SetEthernetKeepsTags) {
    Frame frame = PacketBuilder().vlan(9).ipv4(kClient, kVip).udp(1, 2).build();
    set_ethernet(frame.data(), {1, 2, 3, 4, 5, 6}, kOurMac);
    EXPECT_EQ(frame,
              PacketBuilder().ethernet({1, 2, 3, 4, 5, 6}, kOurMac).vlan(9).ipv4(kClient, kVip).udp(1, 2).build());
}

TEST(PacketRewrite, StripVlanLeavesAnUntaggedFrame) {
    const Frame plain = PacketBuilder().ipv4(kClient, kVip).udp(1, 2).payload(3).build();
    for (const unsigned tags : {0U, 1U, 2U}) {
        PacketBuilder builder;
        for (unsigned i = 0; i < tags; ++i) builder.vlan(5);
        Frame frame = builder.ipv4(kClient, kVip).udp(1, 2).payload(3).build();
        const std::uint32_t cut = strip_vlan(frame.data(), parse(frame));
        EXPECT_EQ(cut, 4 * tags);
        EXPECT_EQ(Frame(frame.begin() + cut, frame.end()), plain);
    }
}

TEST(PacketRewrite, AnUnfinishedChecksumIsCompletedFirst) {
    for (const auto& [source, destination] : {std::pair{kClient, kVip}, std::pair{kClient6, kVip6}}) {
        Frame tcp_frame =
            PacketBuilder().ip(source, destination).tcp(1, 2, 2).payload(31).unfinished_checksum().build();
        EXPECT_TRUE(complete_unfinished_checksum(tcp_frame.data(), parse(tcp_frame)));
        EXPECT_EQ(tcp_frame, PacketBuilder().ip(source, destination).tcp(1, 2, 2).payload(31).build());
        Frame udp_frame = PacketBuilder().ip(source, destination).udp(1, 2).payload(31).unfinished_checksum().build();
        EXPECT_TRUE(complete_unfinished_checksum(udp_frame.data(), parse(udp_frame)));
        EXPECT_EQ(udp_frame, PacketBuilder().ip(source, destination).udp(1, 2).payload(31).build());
    }
}

}  // namespace
}  // namespace guideway::packet::testing
