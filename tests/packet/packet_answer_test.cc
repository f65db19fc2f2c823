// Packet in, answer out: what the appliance says in the name of its VIPs.
#include <array>
#include <cstring>

#include <gtest/gtest.h>

#include "dataplane/packet/arp_reply.h"
#include "dataplane/packet/echo_reply.h"
#include "dataplane/packet/neighbour_advertisement.h"
#include "dataplane/packet/port_unreachable.h"
#include "dataplane/packet/sctp_abort.h"
#include "dataplane/packet/tcp_reset.h"
#include "tests/packet/packet_builder.h"

namespace guideway::packet::testing {
namespace {

using observe::DropReason;

constexpr const char* kClient = "198.51.100.7";
constexpr const char* kVip = "203.0.113.10";
constexpr const char* kClient6 = "2001:db8:c::7";
constexpr const char* kVip6 = "2001:db8:f::10";
constexpr const char* kGroup6 = "ff02::1:ff00:10";  // the solicited-node address of kVip6

ParsedPacket parse(const Frame& frame) { return packet::parse(frame.data(), static_cast<std::uint32_t>(frame.size())); }

/// The answer's frame; empty without one, `reason` says why.
template <typename Builder>
Frame answer_of(Builder builder, const Frame& frame, DropReason* reason = nullptr, std::size_t room = 2000) {
    Frame out(room, 0xaa);
    const Answer answer = builder(std::span(out), frame.data(), parse(frame), kOurMac);
    if (reason != nullptr) *reason = answer.reason;
    out.resize(answer.length);
    if (answer) {
        EXPECT_EQ(faults(out), "") << describe(out);
    }
    return out;
}

template <typename Builder>
Frame in_place(Builder builder, Frame frame, DropReason* reason = nullptr) {
    const Frame before = frame;
    const auto parsed = parse(frame);
    const Answer answer = builder(frame.data(), static_cast<std::uint32_t>(frame.size()), parsed, kOurMac);
    if (reason != nullptr) *reason = answer.reason;
    if (!answer) {
        EXPECT_EQ(frame, before) << "a request without answer must stay as it was";
    }
    frame.resize(answer.length);
    if (answer) {
        EXPECT_EQ(faults(frame), "") << describe(frame);
    }
    return frame;
}

Frame advertisement_of(Frame frame, DropReason* reason = nullptr, std::uint32_t capacity = 200) {
    const auto length = static_cast<std::uint32_t>(frame.size());
    const auto parsed = parse(frame);
    frame.resize(std::max<std::size_t>(capacity, length));
    const Answer answer = build_neighbour_advertisement(frame.data(), length, capacity, parsed, kOurMac);
    if (reason != nullptr) *reason = answer.reason;
    frame.resize(answer.length);
    if (answer) {
        EXPECT_EQ(faults(frame), "") << describe(frame);
    }
    return frame;
}

// ---- ARP

TEST(PacketAnswer, ArpRequestIsAnsweredWithThePortsMac) {
    const Frame reply = in_place(build_arp_reply, PacketBuilder().vlan(5).arp_request(kClient, kVip).build());
    Frame expected = PacketBuilder().ethernet(kClientMac, kOurMac).vlan(5).arp_request(kVip, kClient).build();
    expected[18 + arp::kOperation + 1] = arp::kReply;
    std::memcpy(&expected[18 + arp::kTargetMac], kClientMac.data(), 6);
    EXPECT_EQ(reply, expected) << describe(reply);
}

TEST(PacketAnswer, AnArpProbeLearnsThatTheAddressIsTaken) {
    const Frame reply = in_place(build_arp_reply, PacketBuilder().arp_request("0.0.0.0", kVip).build());
    ASSERT_FALSE(reply.empty());
    EXPECT_EQ(parse(reply).source().to_string(), kVip);
    EXPECT_EQ(parse(reply).destination().to_string(), "0.0.0.0");
    EXPECT_EQ(Frame(reply.begin(), reply.begin() + 6), Frame(kClientMac.begin(), kClientMac.end()));
}

TEST(PacketAnswer, ArpRepliesAndAnnouncementsAreNotAnswered) {
    Frame reply = PacketBuilder().arp_request(kClient, kVip).build();
    reply[14 + arp::kOperation + 1] = arp::kReply;
    EXPECT_TRUE(in_place(build_arp_reply, reply).empty());
    EXPECT_TRUE(in_place(build_arp_reply, PacketBuilder().arp_request(kVip, kVip).build()).empty());
}

TEST(PacketAnswer, ArpBad) {
    DropReason reason{};
    Frame hardware = PacketBuilder().arp_request(kClient, kVip).build();
    hardware[14 + 1] = 6;
    EXPECT_TRUE(in_place(build_arp_reply, hardware, &reason).empty());
    EXPECT_EQ(reason, DropReason::arp_bad);
    Frame group = PacketBuilder().arp_request(kClient, kVip).build();
    group[14 + arp::kSenderMac] |= 1;
    EXPECT_TRUE(in_place(build_arp_reply, group, &reason).empty());
    EXPECT_EQ(reason, DropReason::arp_bad);
}

// ---- neighbour discovery

TEST(PacketAnswer, ANeighbourSolicitationIsAdvertisedToTheAsker) {
    const MacAddress other{2, 0, 0, 0, 0, 0xdd};
    for (const char* to : {kGroup6, kVip6}) {
        const Frame answer =
            advertisement_of(PacketBuilder().vlan(5).ipv6("fe80::7", to).neighbour_solicitation(kVip6, other).build());
        ASSERT_EQ(answer.size(), 18U + 40 + 32) << describe(answer);
        const ParsedPacket parsed = parse(answer);
        EXPECT_EQ(parsed.source().to_string(), kVip6);
        EXPECT_EQ(parsed.destination().to_string(), "fe80::7");
        EXPECT_EQ(parsed.ttl, 255);
        EXPECT_EQ(parsed.vlan_tci, 5);
        const std::uint8_t* message = answer.data() + parsed.l4_offset;
        EXPECT_EQ(message[0], icmpv6::kNeighbourAdvertisement);
        EXPECT_EQ(message[icmpv6::kNeighbourFlags], icmpv6::kSolicited | icmpv6::kOverride);
        EXPECT_EQ(std::memcmp(message + 8, parsed.v6.source.data(), 16), 0);
        EXPECT_EQ(message[24], icmpv6::kTargetLinkLayerOption);
        EXPECT_EQ(message[25], 1);
        EXPECT_EQ(std::memcmp(message + 26, kOurMac.data(), 6), 0);
        EXPECT_EQ(std::memcmp(answer.data(), other.data(), 6), 0);
        EXPECT_EQ(std::memcmp(answer.data() + 6, kOurMac.data(), 6), 0);
    }
}

TEST(PacketAnswer, WithoutLinkLayerOptionTheFramesSourceIsAnswered) {
    const Frame answer =
        advertisement_of(PacketBuilder().ipv6("fe80::7", kVip6).neighbour_solicitation(kVip6, {}).build());
    ASSERT_FALSE(answer.empty());
    EXPECT_EQ(std::memcmp(answer.data(), kClientMac.data(), 6), 0);
}

TEST(PacketAnswer, DuplicateAddressDetectionIsAnsweredToAllNodes) {
    const Frame answer =
        advertisement_of(PacketBuilder().ipv6("::", kGroup6).neighbour_solicitation(kVip6, {}).build());
    ASSERT_FALSE(answer.empty());
    const ParsedPacket parsed = parse(answer);
    EXPECT_EQ(parsed.destination().to_string(), "ff02::1");
    EXPECT_EQ(answer[parsed.l4_offset + icmpv6::kNeighbourFlags], icmpv6::kOverride);
    EXPECT_EQ(Frame(answer.begin(), answer.begin() + 6), (Frame{0x33, 0x33, 0, 0, 0, 1}));
}

TEST(PacketAnswer, NdpBad) {
    const auto refused = [](const Frame& frame) {
        DropReason reason{};
        EXPECT_TRUE(advertisement_of(frame, &reason).empty()) << describe(frame);
        EXPECT_EQ(reason, DropReason::ndp_bad) << describe(frame);
    };
    const auto solicitation = [](const char* from, const char* to) {
        return PacketBuilder().ipv6(from, to).neighbour_solicitation(kVip6, kClientMac);
    };
    refused(solicitation("fe80::7", kGroup6).ttl(254).build());  // came through a router
    refused(solicitation("::", kGroup6).build());                // unspecified, but tells a MAC
    refused(PacketBuilder().ipv6("::", kVip6).neighbour_solicitation(kVip6, {}).build());  // probe to unicast
    refused(solicitation("fe80::7", "ff02::1").build());  // not the solicited-node group
    refused(solicitation("ff02::7", kGroup6).build());    // asked by a group
    refused(PacketBuilder().ipv6("fe80::7", kGroup6).neighbour_solicitation("ff02::5", kClientMac).build());
    refused(
        solicitation("fe80::7", kGroup6).payload(std::array<std::uint8_t, 8>{14, 0}).build());  // option of length 0
    refused(solicitation("fe80::7", kGroup6).payload(std::array<std::uint8_t, 8>{14, 2}).build());  // option too long
    refused(solicitation("fe80::7", kGroup6).payload(std::array<std::uint8_t, 4>{14, 1}).build());  // option cut off
    const std::array<std::uint8_t, 16> target = IpAddress::parse(kVip6)->bytes;
    refused(PacketBuilder().ipv6("fe80::7", kGroup6).ttl(255).icmp(135, 1).payload(target).build());  // code not 0
    Frame checksum = solicitation("fe80::7", kGroup6).build();
    checksum.back() ^= 1;
    refused(checksum);
    refused(PacketBuilder().ipv6("fe80::7", kGroup6).neighbour_solicitation(kVip6, kBroadcastMac).build());
}

TEST(PacketAnswer, NeighbourAdvertisementNeedsRoom) {
    DropReason reason{};
    const Frame frame = PacketBuilder().ipv6("fe80::7", kVip6).neighbour_solicitation(kVip6, {}).build();
    EXPECT_TRUE(advertisement_of(frame, &reason, 85).empty());
    EXPECT_EQ(reason, DropReason::mbuf_exhausted);
    EXPECT_FALSE(advertisement_of(frame, &reason, 86).empty());
}

// ---- echo

TEST(PacketAnswer, PingIsAnsweredByTheVip) {
    const Frame v4 = in_place(
        build_echo_reply, PacketBuilder().vlan(3).ipv4(kClient, kVip).ttl(9).echo_request(7, 1).payload(56).build());
    EXPECT_EQ(v4, PacketBuilder()
                      .ethernet(kClientMac, kOurMac)
                      .vlan(3)
                      .ipv4(kVip, kClient)
                      .icmp(0, 0, 0x00070001)
                      .payload(56)
                      .build())
        << describe(v4);
    const Frame v6 =
        in_place(build_echo_reply, PacketBuilder().ipv6(kClient6, kVip6).ttl(9).echo_request(7, 1).payload(55).build());
    EXPECT_EQ(v6, PacketBuilder()
                      .ethernet(kClientMac, kOurMac)
                      .ipv6(kVip6, kClient6)
                      .icmp(129, 0, 0x00070001)
                      .payload(55)
                      .build())
        << describe(v6);
}

TEST(PacketAnswer, IcmpChecksumBad) {
    for (const char* vip : {kVip, kVip6}) {
        DropReason reason{};
        Frame frame = PacketBuilder().ip(vip == kVip ? kClient : kClient6, vip).echo_request(7, 1).payload(9).build();
        frame.back() ^= 4;
        EXPECT_TRUE(in_place(build_echo_reply, frame, &reason).empty());
        EXPECT_EQ(reason, DropReason::icmp_checksum_bad);
    }
}

TEST(PacketAnswer, PingFromNobodyOrToAGroupIsNotAnswered) {
    EXPECT_TRUE(in_place(build_echo_reply, PacketBuilder().ipv4("0.0.0.0", kVip).echo_request(7, 1).build()).empty());
    EXPECT_TRUE(in_place(build_echo_reply, PacketBuilder().ipv4(kVip, kVip).echo_request(7, 1).build()).empty());
    EXPECT_TRUE(
        in_place(build_echo_reply, PacketBuilder().ipv6(kClient6, "ff02::1").echo_request(7, 1).build()).empty());
    EXPECT_TRUE(in_place(build_echo_reply, PacketBuilder()
                                               .ethernet(kBroadcastMac, kClientMac)
                                               .ipv4(kClient, "203.0.113.255")
                                               .echo_request(7, 1)
                                               .build())
                    .empty());
}

// ---- RST

TEST(PacketAnswer, ASynIsResetWithItsSequenceAcknowledged) {
    for (const char* vip : {kVip, kVip6}) {
        const char* client = vip == kVip ? kClient : kClient6;
        const Frame reset = answer_of(build_tcp_reset, PacketBuilder()
                                                           .vlan(8)
                                                           .ip(client, vip)
                                                           .tcp(40000, 81, tcp::kSyn)
                                                           .tcp_options(std::array<std::uint8_t, 4>{2, 4, 5, 180})
                                                           .build());
        Frame expected = PacketBuilder()
                             .ethernet(kClientMac, kOurMac)
                             .vlan(8)
                             .ip(vip, client)
                             .tcp(81, 40000, tcp::kRst | tcp::kAck)
                             .sequence(0, 1001)
                             .build();
        const ParsedPacket parsed = parse(reset);
        EXPECT_EQ(parsed.tcp_flags, tcp::kRst | tcp::kAck);
        EXPECT_EQ(load_be32(reset.data() + parsed.l4_offset + tcp::kSequence), 0U);
        EXPECT_EQ(load_be32(reset.data() + parsed.l4_offset + tcp::kAcknowledgement), 1001U);
        EXPECT_EQ(reset.size(), expected.size());
        EXPECT_EQ(Frame(reset.begin(), reset.begin() + 18), Frame(expected.begin(), expected.begin() + 18));
        EXPECT_EQ(parsed.source().to_string(), vip);
        EXPECT_EQ(parsed.destination().to_string(), client);
        EXPECT_EQ(load_be16(reset.data() + parsed.l4_offset), 81);
        EXPECT_EQ(load_be16(reset.data() + parsed.l4_offset + 2), 40000);
    }
}

TEST(PacketAnswer, ASegmentWithAckIsResetAtItsAcknowledgement) {
    const Frame reset =
        answer_of(build_tcp_reset,
                  PacketBuilder().ipv4(kClient, kVip).tcp(1, 2, tcp::kAck).sequence(5, 0xfffffffe).payload(9).build());
    const ParsedPacket parsed = parse(reset);
    EXPECT_EQ(parsed.tcp_flags, tcp::kRst);
    EXPECT_EQ(load_be32(reset.data() + parsed.l4_offset + tcp::kSequence), 0xfffffffeU);
    EXPECT_EQ(load_be32(reset.data() + parsed.l4_offset + tcp::kAcknowledgement), 0U);
}

TEST(PacketAnswer, WithoutAckPayloadSynAndFinAreAcknowledgedModulo32Bits) {
    const Frame reset = answer_of(build_tcp_reset, PacketBuilder()
                                                       .ipv4(kClient, kVip)
                                                       .tcp(1, 2, tcp::kSyn | tcp::kFin)
                                                       .sequence(0xffffffff, 0)
                                                       .payload(10)
                                                       .pad_to(100)
                                                       .build());
    EXPECT_EQ(load_be32(reset.data() + 34 + tcp::kAcknowledgement), 11U);
}

TEST(PacketAnswer, ARstIsNeverAnswered) {
    EXPECT_TRUE(answer_of(build_tcp_reset, PacketBuilder().ipv4(kClient, kVip).tcp(1, 2, tcp::kRst).build()).empty());
    EXPECT_TRUE(answer_of(build_tcp_reset, PacketBuilder().ipv4(kClient, kVip).tcp(1, 2, tcp::kRst | tcp::kSyn).build())
                    .empty());
}

// ---- port unreachable

TEST(PacketAnswer, PortUnreachableQuotesThePacket) {
    const Frame in = PacketBuilder().vlan(4).ipv4(kClient, kVip).udp(4000, 5353).payload(20).pad_to(90).build();
    const Frame error = answer_of(build_port_unreachable, in);
    const std::span quoted(in.data() + 18, 48);
    const Frame expected =
        PacketBuilder().ethernet(kClientMac, kOurMac).vlan(4).ipv4(kVip, kClient).icmp(3, 3).payload(quoted).build();
    ASSERT_EQ(error.size(), expected.size());
    EXPECT_EQ(Frame(error.begin() + 38, error.end()), Frame(expected.begin() + 38, expected.end())) << describe(error);
    EXPECT_EQ(parse(error).source().to_string(), kVip);
    EXPECT_EQ(parse(error).destination().to_string(), kClient);
}

TEST(PacketAnswer, PortUnreachableQuotesUpToTheFamilysLimit) {
    const Frame v4 =
        answer_of(build_port_unreachable, PacketBuilder().ipv4(kClient, kVip).udp(1, 2).payload(1400).build());
    EXPECT_EQ(v4.size(), 14U + 576);
    const Frame v6 =
        answer_of(build_port_unreachable, PacketBuilder().ipv6(kClient6, kVip6).udp(1, 2).payload(1400).build());
    EXPECT_EQ(v6.size(), 14U + 1280);
    EXPECT_EQ(v6[54], icmpv6::kUnreachable);
    EXPECT_EQ(v6[55], icmpv6::kPortUnreachableCode);
}

TEST(PacketAnswer, PortUnreachableNeedsRoomForHeaderAndEightBytes) {
    DropReason reason{};
    const Frame in = PacketBuilder().ipv4(kClient, kVip).udp(1, 2).payload(100).build();
    EXPECT_TRUE(answer_of(build_port_unreachable, in, &reason, 14 + 20 + 8 + 27).empty());
    EXPECT_EQ(reason, DropReason::mbuf_exhausted);
    EXPECT_EQ(answer_of(build_port_unreachable, in, &reason, 14 + 20 + 8 + 28).size(), 70U);
}

TEST(PacketAnswer, PortUnreachableIsNotSentAboutErrorsFragmentsGroupsAndNobody) {
    const auto none = [](const Frame& frame) {
        DropReason reason{};
        EXPECT_TRUE(answer_of(build_port_unreachable, frame, &reason).empty()) << describe(frame);
        EXPECT_EQ(reason, DropReason::none);
    };
    none(PacketBuilder().ipv4(kClient, kVip).icmp(3, 3).payload(28).build());
    none(PacketBuilder().ipv4(kClient, kVip).ipv4_fragment(5).udp(1, 2).payload(8).build());
    none(PacketBuilder().ipv4("224.0.0.5", kVip).udp(1, 2).build());
    none(PacketBuilder().ipv4("255.255.255.255", kVip).udp(1, 2).build());
    none(PacketBuilder().ipv4(kClient, "224.0.0.251").udp(1, 2).build());
    none(PacketBuilder().ipv6(kClient6, "ff02::fb").udp(1, 2).build());
    none(PacketBuilder().ipv6("::", kVip6).udp(1, 2).build());
    none(PacketBuilder().ethernet(kBroadcastMac, kClientMac).ipv4(kClient, kVip).udp(1, 2).build());
}

// ---- SCTP

TEST(PacketAnswer, AnInitIsAbortedWithItsOwnTag) {
    std::array<std::uint8_t, 16> init{0xde, 0xad, 0xbe, 0xef};
    for (const char* vip : {kVip, kVip6}) {
        const char* client = vip == kVip ? kClient : kClient6;
        const Frame abort = answer_of(
            build_sctp_abort, PacketBuilder().ip(client, vip).sctp(5000, 6000, 0).chunk(sctp::kInit, init).build());
        const Frame expected = PacketBuilder()
                                   .ethernet(kClientMac, kOurMac)
                                   .ip(vip, client)
                                   .sctp(6000, 5000, 0xdeadbeef)
                                   .chunk(sctp::kAbort)
                                   .build();
        const auto l4 = parse(expected).l4_offset;
        EXPECT_EQ(Frame(abort.begin() + l4, abort.end()), Frame(expected.begin() + l4, expected.end()));
    }
}

TEST(PacketAnswer, OtherSctpPacketsAreAbortedWithTheTagReflected) {
    const Frame abort = answer_of(build_sctp_abort,
                                  PacketBuilder().ipv4(kClient, kVip).sctp(5000, 6000, 99).chunk(sctp::kData).build());
    const Frame expected = PacketBuilder().ipv4(kVip, kClient).sctp(6000, 5000, 99).chunk(sctp::kAbort, {}, 1).build();
    EXPECT_EQ(Frame(abort.begin() + 34, abort.end()), Frame(expected.begin() + 34, expected.end()));
    const Frame complete = answer_of(
        build_sctp_abort, PacketBuilder().ipv4(kClient, kVip).sctp(5000, 6000, 99).chunk(sctp::kShutdownAck).build());
    ASSERT_FALSE(complete.empty());
    EXPECT_EQ(complete[34 + 12], sctp::kShutdownComplete);
    EXPECT_EQ(complete[34 + 13], 1);
}

TEST(PacketAnswer, SctpAbortsAndLeftoversAreNotAnswered) {
    for (const std::uint8_t type : {sctp::kAbort, sctp::kShutdownComplete, std::uint8_t{11}}) {
        EXPECT_TRUE(answer_of(build_sctp_abort,
                              PacketBuilder().ipv4(kClient, kVip).sctp(1, 2, 3).chunk(sctp::kData).chunk(type).build())
                        .empty());
    }
    // A chunk of odd length is padded before the next one.
    const std::array<std::uint8_t, 5> odd{};
    EXPECT_TRUE(
        answer_of(build_sctp_abort,
                  PacketBuilder().ipv4(kClient, kVip).sctp(1, 2, 3).chunk(sctp::kData, odd).chunk(sctp::kAbort).build())
            .empty());
    const std::array<std::uint8_t, 8> stale{0, 3, 0, 8};
    EXPECT_TRUE(answer_of(build_sctp_abort,
                          PacketBuilder().ipv4(kClient, kVip).sctp(1, 2, 3).chunk(sctp::kError, stale).build())
                    .empty());
}

TEST(PacketAnswer, DamagedSctpIsRefusedByName) {
    DropReason reason{};
    // The padded chunk itself is no damage.
    EXPECT_FALSE(answer_of(build_sctp_abort, PacketBuilder()
                                                 .ipv4(kClient, kVip)
                                                 .sctp(1, 2, 3)
                                                 .chunk(sctp::kData, std::array<std::uint8_t, 5>{})
                                                 .chunk(sctp::kData)
                                                 .build())
                     .empty());
    Frame damaged = PacketBuilder().ipv4(kClient, kVip).sctp(1, 2, 3).chunk(0).build();
    damaged.back() ^= 1;
    EXPECT_TRUE(answer_of(build_sctp_abort, damaged, &reason).empty());
    EXPECT_EQ(reason, DropReason::l4_checksum_bad);
    EXPECT_TRUE(
        answer_of(build_sctp_abort, PacketBuilder().ipv4(kClient, kVip).sctp(1, 2, 3).build(), &reason).empty());
    EXPECT_EQ(reason, DropReason::l4_header_bad);
    const std::array<std::uint8_t, 4> overlong{0, 0, 0, 99};
    EXPECT_TRUE(answer_of(build_sctp_abort, PacketBuilder().ipv4(kClient, kVip).sctp(1, 2, 3).payload(overlong).build(),
                          &reason)
                    .empty());
    EXPECT_EQ(reason, DropReason::l4_header_bad);
    // An INIT too short to hold its tag.
    EXPECT_TRUE(answer_of(build_sctp_abort,
                          PacketBuilder().ipv4(kClient, kVip).sctp(1, 2, 0).chunk(sctp::kInit).build(), &reason)
                    .empty());
    EXPECT_EQ(reason, DropReason::l4_header_bad);
}

TEST(PacketAnswer, AnswersNeedRoom) {
    DropReason reason{};
    EXPECT_TRUE(
        answer_of(build_tcp_reset, PacketBuilder().ipv4(kClient, kVip).tcp(1, 2, 2).build(), &reason, 53).empty());
    EXPECT_EQ(reason, DropReason::mbuf_exhausted);
    EXPECT_TRUE(
        answer_of(build_sctp_abort, PacketBuilder().ipv4(kClient, kVip).sctp(1, 2, 3).chunk(0).build(), &reason, 49)
            .empty());
    EXPECT_EQ(reason, DropReason::mbuf_exhausted);
}

}  // namespace
}  // namespace guideway::packet::testing
