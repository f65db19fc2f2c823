// What the parser makes of frames: one case a rule, the sentence is the test's comment or name.
#include <array>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/packet/parse.h"
#include "tests/packet/packet_builder.h"

namespace guideway::packet::testing {
namespace {

using observe::DropReason;

constexpr const char* kClient = "198.51.100.7";
constexpr const char* kVip = "203.0.113.10";
constexpr const char* kClient6 = "2001:db8:c::7";
constexpr const char* kVip6 = "2001:db8:f::10";

ParsedPacket parse(const Frame& frame) {
    // Exactly sized on the heap, so that a sanitizer sees the first byte read too far.
    const std::unique_ptr<std::uint8_t[]> copy(new std::uint8_t[frame.size()]);
    std::copy(frame.begin(), frame.end(), copy.get());
    return packet::parse(copy.get(), static_cast<std::uint32_t>(frame.size()));
}

void expect_bad(const Frame& frame, DropReason reason) {
    const ParsedPacket parsed = parse(frame);
    EXPECT_EQ(parsed.kind, PacketKind::bad) << describe(frame);
    EXPECT_EQ(observe::to_string(parsed.reason), observe::to_string(reason)) << describe(frame);
}

void fix_ipv4_checksum(Frame& frame, std::size_t l3 = 14) {
    std::uint32_t sum = 0;
    store_be16(frame.data() + l3 + ipv4::kChecksum, 0);
    for (std::size_t i = 0; i < (frame[l3] & 15U) * 4U; i += 2) sum += load_be16(frame.data() + l3 + i);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    store_be16(frame.data() + l3 + ipv4::kChecksum, static_cast<std::uint16_t>(~sum));
}

TEST(PacketParse, TcpOverIpv4IsAFlowWithItsTuple) {
    const ParsedPacket parsed = parse(PacketBuilder().ipv4(kClient, kVip).ttl(57).tcp(40000, 80, tcp::kSyn).build());
    EXPECT_EQ(parsed.kind, PacketKind::ipv4_flow);
    EXPECT_TRUE(parsed.is_flow());
    EXPECT_EQ(parsed.v4, tuple_v4(kClient, 40000, kVip, 80, 6));
    EXPECT_EQ(parsed.l2_length, 14);
    EXPECT_EQ(parsed.l4_offset, 34);
    EXPECT_EQ(parsed.l3_length, 40U);
    EXPECT_EQ(parsed.l4_length(), 20U);
    EXPECT_EQ(parsed.tcp_flags, tcp::kSyn);
    EXPECT_EQ(parsed.ttl, 57);
    EXPECT_EQ(parsed.vlan_tci, 0);
    EXPECT_FALSE(parsed.martian);
    EXPECT_FALSE(parsed.l2_multicast);
    EXPECT_EQ(parsed.reason, DropReason::none);
    EXPECT_EQ(parsed.source().to_string(), kClient);
    EXPECT_EQ(parsed.destination().to_string(), kVip);
}

TEST(PacketParse, UdpOverIpv6IsAFlowWithItsTuple) {
    const ParsedPacket parsed = parse(PacketBuilder().ipv6(kClient6, kVip6).udp(4000, 53).payload(9).build());
    EXPECT_EQ(parsed.kind, PacketKind::ipv6_flow);
    EXPECT_EQ(parsed.v6, tuple_v6(kClient6, 4000, kVip6, 53, 17));
    EXPECT_EQ(parsed.l4_offset, 54);
    EXPECT_EQ(parsed.l4_length(), 17U);
    EXPECT_EQ(parsed.family(), IpFamily::ipv6);
}

TEST(PacketParse, SctpIsAFlowAndTellsItsFirstChunk) {
    const ParsedPacket v4 = parse(PacketBuilder().ipv4(kClient, kVip).sctp(5000, 36412, 7).chunk(10).build());
    EXPECT_EQ(v4.kind, PacketKind::ipv4_flow);
    EXPECT_EQ(v4.v4, tuple_v4(kClient, 5000, kVip, 36412, 132));
    EXPECT_EQ(v4.sctp_chunk, sctp::kCookieEcho);
    const ParsedPacket v6 = parse(PacketBuilder().ipv6(kClient6, kVip6).sctp(5000, 36412, 7).build());
    EXPECT_EQ(v6.kind, PacketKind::ipv6_flow);
    EXPECT_EQ(v6.sctp_chunk, ParsedPacket::kNoChunk);
}

TEST(PacketParse, OneVlanTagIsAccepted) {
    const ParsedPacket parsed = parse(PacketBuilder().vlan(0x6005).ipv4(kClient, kVip).udp(1, 2).build());
    EXPECT_EQ(parsed.kind, PacketKind::ipv4_flow);
    EXPECT_EQ(parsed.l2_length, 18);
    EXPECT_EQ(parsed.vlan_tci, 0x6005);
    EXPECT_EQ(parsed.l4_offset, 38);
}

TEST(PacketParse, TwoTagsAreAcceptedAsQinq) {
    const ParsedPacket parsed = parse(PacketBuilder().vlan(100).vlan(7).ipv6(kClient6, kVip6).udp(1, 2).build());
    EXPECT_EQ(parsed.kind, PacketKind::ipv6_flow);
    EXPECT_EQ(parsed.l2_length, 22);
    EXPECT_EQ(parsed.vlan_tci, 100);
    EXPECT_EQ(parsed.inner_tci, 7);
}

TEST(PacketParse, ThreeTagsAreTheKernelsBusiness) {
    EXPECT_EQ(parse(PacketBuilder().vlan(1).vlan(2).vlan(3).ipv4(kClient, kVip).udp(1, 2).build()).kind,
              PacketKind::kernel);
}

TEST(PacketParse, Ipv4OptionsAreSkipped) {
    const std::array<std::uint8_t, 5> router_alert{0x94, 4, 0, 0, 1};
    const Frame frame = PacketBuilder().ipv4(kClient, kVip).ipv4_options(router_alert).tcp(1, 2, tcp::kAck).build();
    const ParsedPacket parsed = parse(frame);
    EXPECT_EQ(parsed.kind, PacketKind::ipv4_flow) << describe(frame);
    EXPECT_EQ(parsed.l4_offset, 14 + 28);
    EXPECT_EQ(parsed.v4.destination_port, swap_if_little(std::uint16_t{2}));
}

TEST(PacketParse, EthernetPaddingIsNotPartOfThePacket) {
    const ParsedPacket parsed = parse(PacketBuilder().ipv4(kClient, kVip).udp(1, 2).payload(1).pad_to(60).build());
    EXPECT_EQ(parsed.l3_length, 29U);
    EXPECT_EQ(parsed.end(), 43U);
    EXPECT_EQ(parsed.l4_length(), 9U);
}

TEST(PacketParse, ExtensionHeadersAreWalkedToTheFlow) {
    const Frame frame = PacketBuilder()
                            .ipv6(kClient6, kVip6)
                            .padding_extension(ipv6::kHopByHop)
                            .padding_extension(ipv6::kDestinationOptions)
                            .routing(0)
                            .ipv6_fragment(0, false)
                            .tcp(40000, 443, tcp::kSyn)
                            .build();
    const ParsedPacket parsed = parse(frame);
    EXPECT_EQ(parsed.kind, PacketKind::ipv6_flow) << describe(frame);
    EXPECT_EQ(parsed.v6, tuple_v6(kClient6, 40000, kVip6, 443, 6));
    EXPECT_EQ(parsed.l4_offset, 54 + 4 * 8);
}

TEST(PacketParse, OfFragmentsTheFirstHasPortsAndAllHaveTheirAddresses) {
    for (const std::uint16_t field : {0x2000, 0x0001, 0x2007}) {
        const ParsedPacket parsed =
            parse(PacketBuilder().ipv4(kClient, kVip).ipv4_fragment(field).udp(1, 2).payload(16).build());
        EXPECT_EQ(parsed.kind, PacketKind::fragment);
        EXPECT_EQ(parsed.destination().to_string(), kVip);
        EXPECT_EQ(parsed.part, field == 0x2000 ? Part::first : Part::following);
        EXPECT_EQ(swap_if_little(parsed.v4.source_port), field == 0x2000 ? 1 : 0);
        EXPECT_EQ(parsed.l4_offset, 34);
    }
    for (const auto& [offset, more] : {std::pair{0, true}, std::pair{9, false}, std::pair{9, true}}) {
        const ParsedPacket parsed = parse(PacketBuilder()
                                              .ipv6(kClient6, kVip6)
                                              .ipv6_fragment(static_cast<std::uint16_t>(offset), more)
                                              .udp(1, 2)
                                              .build());
        EXPECT_EQ(parsed.kind, PacketKind::fragment);
        EXPECT_EQ(parsed.destination().to_string(), kVip6);
        EXPECT_EQ(parsed.protocol, protocol::kUdp);
        EXPECT_EQ(parsed.part, offset == 0 ? Part::first : Part::following);
        EXPECT_EQ(parsed.fragment_header, 5);
        EXPECT_EQ(swap_if_little(parsed.v6.source_port), offset == 0 ? 1 : 0);
        EXPECT_EQ(parsed.l4_offset, 14 + 48);
    }
}

TEST(PacketParse, AFirstFragmentHasAllHeaders) {
    // Why: without ports nobody can say whose it is, and flags in a second fragment pass what looks at the first (RFC 1858, RFC 7112).
    const auto cut_to = [](Frame frame, std::size_t l3_length, bool v6) {
        frame.resize(14 + l3_length);
        store_be16(frame.data() + 14 + (v6 ? 4 : 2), static_cast<std::uint16_t>(v6 ? l3_length - 40 : l3_length));
        return packet::parse(frame.data(), static_cast<std::uint32_t>(frame.size()), {true});
    };
    const Frame v4 = PacketBuilder().ipv4(kClient, kVip).ipv4_fragment(0x2000).tcp(1, 2, tcp::kSyn).payload(20).build();
    EXPECT_EQ(cut_to(v4, 20 + 20, false).kind, PacketKind::fragment);
    for (const std::size_t length : {0U, 4U, 16U}) {
        EXPECT_EQ(cut_to(v4, 20 + length, false).reason, observe::DropReason::fragment_tiny) << length;
    }
    const Frame v6 = PacketBuilder()
                         .ipv6(kClient6, kVip6)
                         .ipv6_fragment(0, true)
                         .padding_extension(60)
                         .udp(1, 2)
                         .payload(20)
                         .build();
    EXPECT_EQ(cut_to(v6, 48 + 16, true).kind, PacketKind::fragment);
    for (const std::size_t length : {0U, 4U, 8U, 12U}) {
        EXPECT_EQ(cut_to(v6, 48 + length, true).reason, observe::DropReason::fragment_tiny) << length;
    }
}

TEST(PacketParse, EchoRequestsAreToldFromOtherIcmp) {
    EXPECT_EQ(parse(PacketBuilder().ipv4(kClient, kVip).echo_request(1, 1).build()).kind,
              PacketKind::icmpv4_echo_request);
    EXPECT_EQ(parse(PacketBuilder().ipv6(kClient6, kVip6).echo_request(1, 1).build()).kind,
              PacketKind::icmpv6_echo_request);
    EXPECT_EQ(parse(PacketBuilder().ipv4(kClient, kVip).icmp(3, 4).payload(28).build()).kind, PacketKind::icmp_other);
    EXPECT_EQ(parse(PacketBuilder().ipv6(kClient6, kVip6).icmp(2, 0).payload(48).build()).kind, PacketKind::icmp_other);
}

TEST(PacketParse, ArpTellsWhoAsksForWhat) {
    const ParsedPacket parsed = parse(PacketBuilder().arp_request(kClient, kVip).pad_to(60).build());
    EXPECT_EQ(parsed.kind, PacketKind::arp);
    EXPECT_EQ(parsed.source().to_string(), kClient);
    EXPECT_EQ(parsed.destination().to_string(), kVip);
    EXPECT_TRUE(parsed.l2_multicast);
}

TEST(PacketParse, ArpOfOtherProtocolsHasNoAddresses) {
    Frame frame = PacketBuilder().arp_request(kClient, kVip).build();
    frame[14 + arp::kProtocolLength] = 16;
    EXPECT_EQ(parse(frame).kind, PacketKind::arp);
    EXPECT_FALSE(parse(frame).has_destination());
}

TEST(PacketParse, ANeighbourSolicitationTellsItsTarget) {
    const ParsedPacket parsed =
        parse(PacketBuilder().ipv6("fe80::7", "ff02::1:ff00:10").neighbour_solicitation(kVip6, kClientMac).build());
    EXPECT_EQ(parsed.kind, PacketKind::neighbour_solicitation);
    EXPECT_EQ(parsed.destination().to_string(), kVip6);
    EXPECT_EQ(parsed.source().to_string(), "fe80::7");
}

TEST(PacketParse, ASolicitationTooShortForItsTargetIsJustIcmp) {
    const std::array<std::uint8_t, 16> target{0x20, 0x01};
    for (const std::size_t size : {15U, 16U}) {
        const ParsedPacket parsed = parse(PacketBuilder()
                                              .ipv6("fe80::7", kVip6)
                                              .icmp(135, 0)
                                              .payload(std::span(target).first(size))
                                              .pad_to(90)
                                              .build());
        EXPECT_EQ(parsed.kind, size == 16 ? PacketKind::neighbour_solicitation : PacketKind::icmp_other);
    }
}

TEST(PacketParse, OtherProtocolsKeepTheirAddresses) {
    const ParsedPacket gre = parse(PacketBuilder().ipv4(kClient, kVip).protocol(47).payload(4).build());
    EXPECT_EQ(gre.kind, PacketKind::ip_other);
    EXPECT_EQ(gre.destination().to_string(), kVip);
    EXPECT_EQ(parse(PacketBuilder().ipv6(kClient6, kVip6).protocol(59).build()).kind, PacketKind::ip_other);
}

TEST(PacketParse, WhatIsNeitherIpNorArpIsTheKernels) {
    EXPECT_EQ(parse(PacketBuilder().raw(0x88cc, std::array<std::uint8_t, 9>{2, 7, 4}).build()).kind,
              PacketKind::kernel);
    // An 802.3 length instead of a type: spanning tree.
    EXPECT_EQ(parse(PacketBuilder().raw(38, std::array<std::uint8_t, 38>{0x42, 0x42, 3}).build()).kind,
              PacketKind::kernel);
}

TEST(PacketParse, MartianSourcesAreFlaggedNotRefused) {
    for (const char* source : {"0.0.0.0", "127.0.0.1", "127.255.255.254", "224.0.0.1", "239.1.2.3", "255.255.255.255",
                               "0.255.255.255", "240.0.0.1", kVip}) {
        const ParsedPacket parsed = parse(PacketBuilder().ipv4(source, kVip).udp(1, 2).build());
        EXPECT_TRUE(parsed.martian) << source;
        EXPECT_EQ(parsed.kind, PacketKind::ipv4_flow) << source;
    }
    for (const char* source : {"::", "::1", "ff02::1", "::ffff:198.51.100.7", kVip6}) {
        EXPECT_TRUE(parse(PacketBuilder().ipv6(source, kVip6).udp(1, 2).build()).martian) << source;
    }
    for (const char* source : {"1.0.0.0", "126.255.255.255", "128.0.0.1", "223.255.255.255"}) {
        EXPECT_FALSE(parse(PacketBuilder().ipv4(source, kVip).udp(1, 2).build()).martian) << source;
    }
    for (const char* source : {"64:ff9b::1", "fe80::1", "::2", "fd00::1"}) {
        EXPECT_FALSE(parse(PacketBuilder().ipv6(source, kVip6).udp(1, 2).build()).martian) << source;
    }
}

TEST(PacketParse, SourceRoutesAndImpossibleOptionsAreRefusedByName) {
    // Why: a source route lets the sender choose the way back, too (RFC 7126 4.3); a length that lies hides what follows.
    using Options = std::vector<std::uint8_t>;
    const auto reason = [](const Options& options) {
        return parse(PacketBuilder().ipv4(kClient, kVip).ipv4_options(options).udp(1, 2).build()).reason;
    };
    EXPECT_EQ(reason({131, 7, 4, 10, 0, 0, 1}), DropReason::ip_source_route);
    EXPECT_EQ(reason({1, 137, 7, 4, 10, 0, 0, 1}), DropReason::ip_source_route);
    for (const Options& bad : {Options{7, 1, 0, 0}, Options{7, 0, 0, 0}, Options{7, 5, 0, 0}, Options{1, 1, 1, 7}}) {
        EXPECT_EQ(reason(bad), DropReason::ip_options_bad) << unsigned{bad[0]} << ' ' << unsigned{bad[1]};
    }
    // Router alert, record route, padding, and whatever stands behind the end.
    for (const Options& good :
         {Options{148, 4, 0, 0}, Options{7, 7, 4, 0, 0, 0, 0}, Options{1, 1, 1, 1}, Options{0, 131, 7, 7}}) {
        EXPECT_EQ(reason(good), DropReason::none) << unsigned{good[0]};
    }
}

TEST(PacketParse, RoutingHeadersThatStillLeadSomewhereAndTypeZeroAreRefusedByName) {
    const auto reason = [](std::uint8_t type, std::uint8_t segments_left) {
        const std::array<std::uint8_t, 7> body{0, type, segments_left};
        return parse(PacketBuilder().ipv6(kClient6, kVip6).extension(ipv6::kRouting, body).udp(1, 2).build()).reason;
    };
    EXPECT_EQ(reason(0, 0), DropReason::ipv6_routing_header);
    EXPECT_EQ(reason(0, 1), DropReason::ipv6_routing_header);
    EXPECT_EQ(reason(2, 1), DropReason::ipv6_routing_header);
    EXPECT_EQ(reason(4, 0), DropReason::none);
}

TEST(PacketParse, OptionsOfIpv6ThatLieOrAskToBeDiscardedAreRefused) {
    const auto reason = [](std::uint8_t header, std::array<std::uint8_t, 7> body) {
        return parse(PacketBuilder().ipv6(kClient6, kVip6).extension(header, body).udp(1, 2).build()).reason;
    };
    for (const std::uint8_t header : {ipv6::kHopByHop, ipv6::kDestinationOptions}) {
        EXPECT_EQ(reason(header, {0, 1, 5, 0, 0, 0, 0}), DropReason::ipv6_extension_bad) << "PadN beyond the header";
        EXPECT_EQ(reason(header, {0, 1, 3, 0, 0, 0, 1}), DropReason::ipv6_extension_bad)
            << "an option without a length";
        EXPECT_EQ(reason(header, {0, 5, 2, 0, 0, 1, 0}), DropReason::none) << "router alert";
    }
    EXPECT_EQ(reason(ipv6::kHopByHop, {0, 0xc2, 4, 0, 1, 0, 0}), DropReason::ipv6_extension_bad) << "a jumbogram";
    EXPECT_EQ(reason(ipv6::kDestinationOptions, {0, 0xc9, 4, 1, 2, 3, 4}), DropReason::none)
        << "a home address is for the backend to judge";
}

TEST(PacketParse, EthernetTruncated) {
    expect_bad(Frame(13, 0), DropReason::ethernet_truncated);
    expect_bad({}, DropReason::ethernet_truncated);
    Frame frame = PacketBuilder().vlan(5).ipv4(kClient, kVip).udp(1, 2).build();
    frame.resize(17);
    expect_bad(frame, DropReason::ethernet_truncated);
}

TEST(PacketParse, IpHeaderBad) {
    Frame version = PacketBuilder().ipv4(kClient, kVip).udp(1, 2).build();
    version[14] = 0x55;
    expect_bad(version, DropReason::ip_header_bad);
    Frame short_header = PacketBuilder().ipv4(kClient, kVip).udp(1, 2).build();
    short_header[14] = 0x44;
    expect_bad(short_header, DropReason::ip_header_bad);
    Frame total = PacketBuilder().ipv4(kClient, kVip).udp(1, 2).build();
    store_be16(total.data() + 16, 19);
    expect_bad(total, DropReason::ip_header_bad);
    Frame version6 = PacketBuilder().ipv6(kClient6, kVip6).udp(1, 2).build();
    version6[14] = 0x40;
    expect_bad(version6, DropReason::ip_header_bad);
}

TEST(PacketParse, IpTruncatedStillTellsWhoWasMeant) {
    Frame frame = PacketBuilder().ipv4(kClient, kVip).udp(1, 2).payload(100).build();
    frame.pop_back();
    expect_bad(frame, DropReason::ip_truncated);
    EXPECT_EQ(parse(frame).destination().to_string(), kVip);
    Frame frame6 = PacketBuilder().ipv6(kClient6, kVip6).udp(1, 2).payload(100).build();
    frame6.pop_back();
    expect_bad(frame6, DropReason::ip_truncated);
    EXPECT_EQ(parse(frame6).destination().to_string(), kVip6);
}

TEST(PacketParse, Ipv4ChecksumBadUnlessTheNicVerifiedIt) {
    Frame frame = PacketBuilder().ipv4(kClient, kVip).udp(1, 2).build();
    frame[14 + ipv4::kChecksum] ^= 0x10;
    expect_bad(frame, DropReason::ipv4_checksum_bad);
    const auto trusted = packet::parse(frame.data(), static_cast<std::uint32_t>(frame.size()), {true});
    EXPECT_EQ(trusted.kind, PacketKind::ipv4_flow);
}

TEST(PacketParse, Ipv6ExtensionBad) {
    // Nine headers are one too many; eight pass.
    for (const unsigned count : {8U, 9U}) {
        PacketBuilder builder;
        builder.ipv6(kClient6, kVip6);
        for (unsigned i = 0; i < count; ++i) builder.padding_extension(ipv6::kDestinationOptions);
        const Frame frame = builder.udp(1, 2).build();
        if (count == 8) {
            EXPECT_EQ(parse(frame).kind, PacketKind::ipv6_flow);
        }
        if (count == 9) expect_bad(frame, DropReason::ipv6_extension_bad);
    }
    // 256 bytes of extension headers pass, 264 do not.
    for (const std::uint8_t units : {std::uint8_t{31}, std::uint8_t{32}}) {
        std::vector<std::uint8_t> body((units + 1U) * 8U - 1U, 0);
        body[0] = units;
        const Frame frame =
            PacketBuilder().ipv6(kClient6, kVip6).extension(ipv6::kDestinationOptions, body).udp(1, 2).build();
        if (units == 31) {
            EXPECT_EQ(parse(frame).kind, PacketKind::ipv6_flow);
        }
        if (units == 32) expect_bad(frame, DropReason::ipv6_extension_bad);
    }
    // A source route that goes on.
    expect_bad(PacketBuilder().ipv6(kClient6, kVip6).routing(1).udp(1, 2).build(), DropReason::ipv6_routing_header);
    // Hop-by-hop options anywhere but first.
    expect_bad(PacketBuilder()
                   .ipv6(kClient6, kVip6)
                   .padding_extension(ipv6::kDestinationOptions)
                   .padding_extension(ipv6::kHopByHop)
                   .udp(1, 2)
                   .build(),
               DropReason::ipv6_extension_bad);
    // A length that leaves the packet.
    expect_bad(PacketBuilder()
                   .ipv6(kClient6, kVip6)
                   .extension(ipv6::kDestinationOptions, std::array<std::uint8_t, 7>{9, 1, 4})
                   .udp(1, 2)
                   .build(),
               DropReason::ipv6_extension_bad);
    // Announced, but the packet ends.
    expect_bad(PacketBuilder().ipv6(kClient6, kVip6).protocol(ipv6::kHopByHop).payload(7).build(),
               DropReason::ipv6_extension_bad);
}

TEST(PacketParse, L4Truncated) {
    for (const auto& [number, least] : {std::pair{6, 20}, std::pair{17, 8}, std::pair{132, 12}, std::pair{1, 8}}) {
        const auto size = static_cast<std::size_t>(least - 1);
        const auto protocol = static_cast<std::uint8_t>(number);
        // Padding behind the packet is no header.
        expect_bad(PacketBuilder().ipv4(kClient, kVip).protocol(protocol).payload(size).pad_to(80).build(),
                   DropReason::l4_truncated);
        const std::uint8_t protocol6 = protocol == 1 ? protocol::kIcmpv6 : protocol;
        expect_bad(PacketBuilder().ipv6(kClient6, kVip6).protocol(protocol6).payload(size).pad_to(90).build(),
                   DropReason::l4_truncated);
    }
}

TEST(PacketParse, L4HeaderBad) {
    for (const std::uint8_t words : {0, 4, 6, 15}) {
        Frame frame = PacketBuilder().ipv4(kClient, kVip).tcp(1, 2, tcp::kSyn).build();
        frame[34 + tcp::kDataOffset] = static_cast<std::uint8_t>(words << 4);
        expect_bad(frame, DropReason::l4_header_bad);
    }
    for (const std::uint16_t length : {0, 7, 19}) {
        Frame frame = PacketBuilder().ipv4(kClient, kVip).udp(1, 2).payload(10).build();
        store_be16(frame.data() + 34 + udp::kLength, length);
        expect_bad(frame, DropReason::l4_header_bad);
    }
}

TEST(PacketParse, ArpBadWhenCutShort) {
    Frame frame = PacketBuilder().arp_request(kClient, kVip).build();
    frame.pop_back();
    expect_bad(frame, DropReason::arp_bad);
}

TEST(PacketParse, EveryTruncationOfEveryFrameIsRefusedByName) {
    const std::vector<Frame> frames = {
        PacketBuilder()
            .ipv4(kClient, kVip)
            .tcp(1, 2, tcp::kSyn)
            .tcp_options(std::array<std::uint8_t, 4>{2, 4, 5, 180})
            .build(),
        PacketBuilder().vlan(5).ipv4(kClient, kVip).udp(1, 2).payload(20).build(),
        PacketBuilder().vlan(5).vlan(6).ipv6(kClient6, kVip6).sctp(1, 2, 3).chunk(1).build(),
        PacketBuilder().ipv6(kClient6, kVip6).padding_extension(0).routing(0).tcp(1, 2, 2).build(),
        PacketBuilder().ipv6("fe80::7", "ff02::1:ff00:10").neighbour_solicitation(kVip6, kClientMac).build(),
        PacketBuilder().ipv4(kClient, kVip).echo_request(1, 2).payload(8).build(),
        PacketBuilder().arp_request(kClient, kVip).build(),
    };
    for (const Frame& whole : frames) {
        EXPECT_NE(parse(whole).kind, PacketKind::bad) << describe(whole);
        for (std::size_t length = 0; length < whole.size(); ++length) {
            const Frame cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
            const ParsedPacket parsed = parse(cut);
            EXPECT_EQ(parsed.kind, PacketKind::bad) << describe(cut);
            EXPECT_NE(parsed.reason, DropReason::none) << describe(cut);
        }
    }
}

TEST(PacketParse, EveryShorterTotalLengthStaysInsideThePacket) {
    const Frame whole = PacketBuilder().ipv4(kClient, kVip).tcp(1, 2, tcp::kSyn).payload(8).build();
    for (std::uint16_t total = 0; total < whole.size() - 14; ++total) {
        Frame frame = whole;
        store_be16(frame.data() + 16, total);
        fix_ipv4_checksum(frame);
        const ParsedPacket parsed = parse(frame);
        EXPECT_EQ(parsed.is_flow(), total >= 40) << describe(frame);
        if (total < 20) {
            EXPECT_EQ(parsed.reason, DropReason::ip_header_bad);
        } else if (total < 40) {
            EXPECT_EQ(parsed.reason, DropReason::l4_truncated);
        }
    }
}

}  // namespace
}  // namespace guideway::packet::testing
