// ICMP errors about connections: packet in, packet out, a sentence why. RFC 792, RFC 4443, RFC 5508 section 4, RFC 5927.
#include <gtest/gtest.h>

#include "tests/packet/icmp_quotes.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;

constexpr const char* kRouter = "192.0.2.77";  // somewhere between the appliance and the client
constexpr const char* kRouterV6 = "2001:db8:77::1";
constexpr const char* kNodeRouter = "10.0.2.77";
constexpr const char* kNodeRouterV6 = "2001:db8:2::77";

/// A connection under way: what one of its packets looked like before and behind the appliance.
struct Conversation {
    Frame request;         ///< client -> VIP
    Frame request_behind;  ///< SNAT address -> node
    Frame reply;           ///< node -> SNAT address
    Frame reply_behind;    ///< VIP -> client
    std::string node;
};

Conversation converse(Lab& lab, bool v6, std::uint8_t protocol, std::uint16_t source_port = 40000,
                      std::uint32_t worker = 0) {
    const auto packet = [&](std::uint8_t flags) {
        PacketBuilder builder;
        builder.ip(v6 ? kClientV6 : kClient, v6 ? kVipV6 : kVip);
        if (protocol == protocol::kTcp) return builder.tcp(source_port, 80, flags).payload(40).build();
        if (protocol == protocol::kUdp) return builder.udp(source_port, 53).payload(40).build();
        return builder.sctp(source_port, 9000, flags == tcp::kSyn ? 0 : 7)
            .chunk(flags == tcp::kSyn ? sctp::kInit : sctp::kData, std::array<std::uint8_t, 16>{0, 0, 0, 9})
            .build();
    };
    Conversation result;
    const Frame opening = lab.pass(kClientPort, packet(tcp::kSyn), worker);
    lab.pass(kNodePort, lab.reply_to(opening), worker);
    result.request = packet(tcp::kAck);
    result.request_behind = lab.pass(kClientPort, result.request, worker);
    result.reply = lab.reply_to(opening, tcp::kAck);
    result.reply_behind = lab.pass(kNodePort, result.reply, worker);
    result.node = parsed(opening).destination().to_string();
    return result;
}

class WorkerIcmp : public ::testing::Test {
  protected:
    WorkerIcmp() { lab_.apply(lab_.web()); }
    Conversation converse(bool v6, std::uint8_t protocol, std::uint16_t port = 40000) {
        return testing::converse(lab_, v6, protocol, port);
    }
    void expect_dropped(const Frame& frame, DropReason reason, std::uint16_t port = kClientPort) {
        const std::uint64_t before = lab_.dropped(reason);
        const std::uint64_t all = lab_.dropped();
        EXPECT_EQ(icmp_summary(lab_.pass(port, frame)), "nothing") << observe::to_string(reason);
        EXPECT_EQ(lab_.dropped(reason), before + 1) << observe::to_string(reason);
        EXPECT_EQ(lab_.dropped(), all + 1) << observe::to_string(reason);
    }
    Lab lab_;
};

TEST_F(WorkerIcmp, FragmentationNeededOnTheClientsSideReachesTheBackendInItsOwnTerms) {
    // Why: only the sender of the large packet can make it smaller, and the sender is the backend (RFC 1191). It is told by its peer, the
    // SNAT address: nodes need no route to routers of the internet.
    const Conversation tcp = converse(false, protocol::kTcp);
    const Frame out = lab_.pass(kClientPort, error_about(tcp.reply_behind, kRouter, {3, 4, 1400}));
    EXPECT_EQ(icmp_summary(out), "icmp 10.0.2.1 > " + tcp.node + " type 3 code 4 rest 1400");
    EXPECT_EQ(quote_in(out), as_sent(tcp.reply));
    EXPECT_EQ(parsed(out).ttl, 63);
    EXPECT_EQ(lab_.counters().workers[0].icmp_forwarded_too_big, 1U);
}

TEST_F(WorkerIcmp, PacketTooBigOnTheClientsSideReachesTheBackendInItsOwnTerms) {
    const Conversation tcp = converse(true, protocol::kTcp);
    const Frame out = lab_.pass(kClientPort, error_about(tcp.reply_behind, kRouterV6, {2, 0, 1400}));
    EXPECT_EQ(icmp_summary(out), "icmp 2001:db8:2::1 > " + tcp.node + " type 2 code 0 rest 1400");
    EXPECT_EQ(quote_in(out), as_sent(tcp.reply));
}

TEST_F(WorkerIcmp, AnErrorOnTheNodesSideReachesTheClientFromTheVip) {
    // Why: a client must not learn of nodes and their network, and believes errors of its peer (RFC 5508 4.2, REQ-5).
    const Conversation udp = converse(false, protocol::kUdp);
    const Frame by_node = lab_.pass(kNodePort, error_about(udp.request_behind, udp.node, {3, 3, 0}, 65535, kNodePort));
    EXPECT_EQ(icmp_summary(by_node), "icmp 203.0.113.10 > 198.51.100.7 type 3 code 3 rest 0");
    EXPECT_EQ(quote_in(by_node), as_sent(udp.request));
    const Frame by_router =
        lab_.pass(kNodePort, error_about(udp.request_behind, kNodeRouter, {3, 4, 1300}, 65535, kNodePort));
    EXPECT_EQ(icmp_summary(by_router), "icmp 203.0.113.10 > 198.51.100.7 type 3 code 4 rest 1300");

    const Conversation tcp = converse(true, protocol::kTcp);
    const Frame out =
        lab_.pass(kNodePort, error_about(tcp.request_behind, kNodeRouterV6, {2, 0, 1300}, 65535, kNodePort));
    EXPECT_EQ(icmp_summary(out), "icmp 2001:db8:1::10 > 2001:db8:c::7 type 2 code 0 rest 1300");
    EXPECT_EQ(quote_in(out), as_sent(tcp.request));
}

TEST_F(WorkerIcmp, EveryErrorThatMeansSomethingIsPassedOn) {
    for (const std::uint8_t protocol : {protocol::kTcp, protocol::kUdp, protocol::kSctp}) {
        const Conversation four = converse(false, protocol);
        std::vector<Says> says{{11, 0, 0}, {11, 1, 0}, {12, 0, 0x05000000}, {12, 1, 0}, {12, 2, 0}};
        for (std::uint8_t code = 0; code <= 15; ++code) says.push_back({3, code, code == 4 ? 1400U : 0U});
        for (const Says& one : says) {
            EXPECT_EQ(icmp_summary(lab_.pass(kClientPort, error_about(four.reply_behind, kRouter, one))),
                      "icmp 10.0.2.1 > " + four.node + " type " + std::to_string(one.type) + " code " +
                          std::to_string(one.code) + " rest " + std::to_string(one.rest));
        }
        const Conversation six = converse(true, protocol);
        says = {{2, 0, 1400}, {3, 0, 0}, {3, 1, 0}, {4, 0, 6}, {4, 1, 40}, {4, 2, 40}};
        for (std::uint8_t code = 0; code <= 7; ++code) says.push_back({1, code, 0});
        for (const Says& one : says) {
            EXPECT_EQ(icmp_summary(lab_.pass(kClientPort, error_about(six.reply_behind, kRouterV6, one))),
                      "icmp 2001:db8:2::1 > " + six.node + " type " + std::to_string(one.type) + " code " +
                          std::to_string(one.code) + " rest " + std::to_string(one.rest));
        }
        lab_.now_ms += 1000;  // the rate limit is another test's
    }
    const contract::WorkerCounters counts = lab_.counters().workers[0];
    EXPECT_EQ(counts.icmp_forwarded_unreachable, 3U * (15 + 8));
    EXPECT_EQ(counts.icmp_forwarded_too_big, 3U * 2);
    EXPECT_EQ(counts.icmp_forwarded_time_exceeded, 3U * 4);
    EXPECT_EQ(counts.icmp_forwarded_parameter_problem, 3U * 6);
    EXPECT_EQ(lab_.dropped(), 0U);
}

TEST_F(WorkerIcmp, EightBytesBehindTheIpHeaderAreEnoughAndEveryByteQuotedIsTranslated) {
    // Why: RFC 792 asks for no more than 8 bytes, 28 in all; the checksum of TCP is then not quoted, that of UDP is.
    for (const std::uint8_t protocol : {protocol::kTcp, protocol::kUdp}) {
        for (const bool v6 : {false, true}) {
            const Conversation c = converse(v6, protocol);
            const std::size_t header = v6 ? 40 : 20;
            const std::size_t whole = ip_bytes(c.reply_behind).size();
            for (std::size_t quoted = header + 8; quoted <= whole; ++quoted) {
                // One byte of TCP's checksum without the other cannot follow, and tells nobody anything.
                if (protocol == protocol::kTcp && quoted == header + tcp::kChecksum + 1) continue;
                const Says says = v6 ? Says{2, 0, 1400} : Says{3, 4, 1400};
                const Frame out =
                    lab_.pass(kClientPort, error_about(c.reply_behind, v6 ? kRouterV6 : kRouter, says, quoted));
                ASSERT_EQ(quote_in(out), as_sent(c.reply, quoted)) << quoted;
                ASSERT_EQ(packet::testing::faults(out), "");
            }
            lab_.now_ms += 1000;
            expect_dropped(error_about(c.reply_behind, v6 ? kRouterV6 : kRouter,
                                       v6 ? Says{2, 0, 1400} : Says{3, 4, 1400}, header + 7),
                           DropReason::icmp_quote_bad);
        }
    }
}

TEST_F(WorkerIcmp, WhatStandsBehindTheQuoteStays) {
    // Why: RFC 4884 puts extensions there (MPLS labels of the router, for one), behind zeros up to 128 bytes.
    const Conversation c = converse(false, protocol::kUdp);
    Frame payload = ip_bytes(c.reply_behind);
    const std::size_t quoted = payload.size();
    payload.resize(128, 0);
    for (const std::uint8_t byte : {0x20, 0x00, 0x7e, 0x31, 0x00, 0x08, 0x01, 0x01, 0x12, 0x34, 0x51, 0xff})
        payload.push_back(byte);
    const Frame out = lab_.pass(
        kClientPort,
        error_to_sender(c.reply_behind, kRouter, kClientPort).icmp(11, 0, 32U << 16).payload(payload).build());
    EXPECT_EQ(icmp_summary(out), "icmp 10.0.2.1 > " + c.node + " type 11 code 0 rest " + std::to_string(32U << 16));
    Frame expected = as_sent(c.reply);
    expected.insert(expected.end(), payload.begin() + static_cast<std::ptrdiff_t>(quoted), payload.end());
    EXPECT_EQ(quote_in(out), expected);
}

TEST_F(WorkerIcmp, QuotedOptionsAndExtensionHeadersArePassedOver) {
    const Conversation four = converse(false, protocol::kUdp);
    const std::array<std::uint8_t, 4> options{1, 1, 1, 0};
    const ParsedPacket p = parsed(four.reply_behind);
    const Frame with_options = PacketBuilder()
                                   .ip(kVip, kClient)
                                   .ipv4_options(options)
                                   .udp(swap_if_little(p.v4.source_port), swap_if_little(p.v4.destination_port))
                                   .payload(9)
                                   .build();
    const Frame out = lab_.pass(kClientPort, error_about(with_options, kRouter, {3, 4, 1400}, 32));
    EXPECT_EQ(icmp_summary(out), "icmp 10.0.2.1 > " + four.node + " type 3 code 4 rest 1400");
    EXPECT_TRUE(ipv4_header_checksum_ok(quote_in(out).data(), 24));

    converse(true, protocol::kUdp);
    const auto six = [&](unsigned headers) {
        PacketBuilder builder;
        builder.ip(kVipV6, kClientV6);
        for (unsigned i = 0; i < headers; ++i) builder.padding_extension(ipv6::kDestinationOptions);
        return builder.ipv6_fragment(0, true).udp(53, 40000).payload(9).build();
    };
    EXPECT_FALSE(lab_.pass(kClientPort, error_about(six(2), kRouterV6, {2, 0, 1400}, 40 + 3 * 8 + 8)).empty());
    expect_dropped(error_about(six(2), kRouterV6, {2, 0, 1400}, 40 + 3 * 8 + 7), DropReason::icmp_quote_bad);
    expect_dropped(error_about(six(2), kRouterV6, {2, 0, 1400}, 40 + 2 * 8 + 4), DropReason::icmp_quote_bad);
    expect_dropped(error_about(six(8), kRouterV6, {2, 0, 1400}), DropReason::icmp_quote_bad);
}

TEST_F(WorkerIcmp, QuotesThatNameNoPacketOfAConnectionAreDroppedByName) {
    const Conversation c = converse(false, protocol::kUdp);
    const auto about = [&](PacketBuilder builder) {
        return error_about(builder.payload(30).build(), kRouter, {3, 1, 0});
    };
    // An error about an error, or about a ping: RFC 1122 3.2.2.
    expect_dropped(about(PacketBuilder().ip(kVip, kClient).icmp(3, 3)), DropReason::icmp_quote_bad);
    expect_dropped(about(PacketBuilder().ip(kVip, kClient).icmp(0, 0)), DropReason::icmp_quote_bad);
    expect_dropped(about(PacketBuilder().ip(kVip, kClient).protocol(47)), DropReason::icmp_quote_bad);
    // A later fragment has no ports.
    expect_dropped(about(PacketBuilder().ip(kVip, kClient).ipv4_fragment(5).udp(53, 40000)),
                   DropReason::icmp_quote_bad);
    // Quotes a packet that somebody else sent.
    expect_dropped(PacketBuilder().ip(kRouter, kSnat).icmp(3, 1).payload(ip_bytes(c.reply_behind)).build(),
                   DropReason::icmp_quote_bad);
    // IPv6 quoted by ICMPv4, a header of 16 bytes, nothing at all.
    Frame wrong = ip_bytes(c.reply_behind);
    for (const std::uint8_t first : {0x65, 0x44}) {
        wrong[0] = first;
        expect_dropped(PacketBuilder().ip(kRouter, kVip).icmp(3, 1).payload(wrong).build(), DropReason::icmp_quote_bad);
    }
    expect_dropped(PacketBuilder().ip(kRouter, kVip).icmp(3, 1).build(), DropReason::icmp_quote_bad);
    // Of another connection.
    expect_dropped(about(PacketBuilder().ip(kVip, kClient).udp(53, 40009)), DropReason::icmp_unmatched);
    expect_dropped(about(PacketBuilder().ip(kVip, kClient).tcp(80, 40000, tcp::kAck)), DropReason::icmp_unmatched);
}

TEST_F(WorkerIcmp, ADamagedErrorIsDroppedByName) {
    for (const bool v6 : {false, true}) {
        const Conversation c = converse(v6, protocol::kUdp);
        Frame error = error_about(c.reply_behind, v6 ? kRouterV6 : kRouter, v6 ? Says{1, 0, 0} : Says{3, 1, 0});
        error.back() ^= 1;
        expect_dropped(error, DropReason::icmp_checksum_bad);
    }
}

TEST_F(WorkerIcmp, WhatIsNoErrorOfTodayIsDroppedByName) {
    const Conversation c = converse(false, protocol::kUdp);
    // Source quench slows down who obeys it; nobody does any longer (RFC 6633).
    expect_dropped(error_about(c.reply_behind, kRouter, {4, 0, 0}), DropReason::icmp_source_quench);
    // Redirect, timestamp, echo reply, and a code of unreachable that does not exist.
    for (const Says& says : {Says{5, 1, 0}, Says{13, 0, 0}, Says{0, 0, 0}, Says{3, 16, 0}}) {
        expect_dropped(error_about(c.reply_behind, kRouter, says), DropReason::icmp_unhandled);
    }
    const Conversation six = converse(true, protocol::kUdp);
    for (const Says& says : {Says{5, 0, 0}, Says{129, 0, 0}, Says{137, 0, 0}}) {
        expect_dropped(error_about(six.reply_behind, kRouterV6, says), DropReason::icmp_unhandled);
    }
}

TEST_F(WorkerIcmp, AnMtuThatNoLinkHasIsNotBelieved) {
    // Why: RFC 791 and RFC 8200 promise 68 and 1280 bytes everywhere; less is an attack that makes a sender send crumbs (RFC 5927 7).
    const Conversation four = converse(false, protocol::kTcp);
    const Conversation six = converse(true, protocol::kTcp);
    expect_dropped(error_about(four.reply_behind, kRouter, {3, 4, 67}), DropReason::icmp_mtu_bad);
    expect_dropped(error_about(six.reply_behind, kRouterV6, {2, 0, 1279}), DropReason::icmp_mtu_bad);
    EXPECT_FALSE(lab_.pass(kClientPort, error_about(four.reply_behind, kRouter, {3, 4, 68})).empty());
    EXPECT_FALSE(lab_.pass(kClientPort, error_about(six.reply_behind, kRouterV6, {2, 0, 1280})).empty());
    // A router older than RFC 1191 tells none; the sender then guesses (RFC 1191 5).
    EXPECT_FALSE(lab_.pass(kClientPort, error_about(four.reply_behind, kRouter, {3, 4, 0})).empty());
}

TEST_F(WorkerIcmp, AQuotedSequenceNumberFarFromTheConnectionsIsNotBelieved) {
    // Why: who sees nothing of a connection can guess addresses and ports, hardly the sequence number too (RFC 5927 4.1).
    const Conversation c = converse(false, protocol::kTcp);
    const ParsedPacket p = parsed(c.reply_behind);
    const auto about = [&](std::uint32_t sequence) {
        return error_about(PacketBuilder()
                               .ip(kVip, kClient)
                               .tcp(80, swap_if_little(p.v4.destination_port), tcp::kAck)
                               .sequence(sequence, 0)
                               .build(),
                           kRouter, {3, 4, 1400}, 28);
    };
    const std::uint32_t now = load_be32(c.reply_behind.data() + p.l4_offset + tcp::kSequence);
    EXPECT_FALSE(lab_.pass(kClientPort, about(now)).empty());
    // What was sent a full window ago is what a retransmission is about.
    EXPECT_FALSE(lab_.pass(kClientPort, about(now - 3'000'000)).empty());
    expect_dropped(about(now - 5'000'000), DropReason::icmp_doubtful);
    // Nobody can quote what was not sent yet.
    expect_dropped(about(now + 40'000), DropReason::icmp_doubtful);
    expect_dropped(about(now + 0x80000000U), DropReason::icmp_doubtful);
}

TEST_F(WorkerIcmp, TheHandshakesErrorsArePassedOn) {
    // Why: "host unreachable" for the SYN tells the client at once what it would learn by a time-out.
    const Frame syn = PacketBuilder().ip(kClient, kVip).tcp(41000, 80, tcp::kSyn).build();
    const Frame behind = lab_.pass(kClientPort, syn);
    const Frame out = lab_.pass(kNodePort, error_about(behind, kNodeRouter, {3, 1, 0}, 28, kNodePort));
    EXPECT_EQ(icmp_summary(out), "icmp 203.0.113.10 > 198.51.100.7 type 3 code 1 rest 0");
    EXPECT_EQ(quote_in(out), as_sent(syn, 28));
    // The connection is not over for it.
    EXPECT_FALSE(lab_.pass(kNodePort, lab_.reply_to(behind)).empty());
}

TEST_F(WorkerIcmp, AnErrorNeitherEndsAConnectionNorKeepsItAlive) {
    // Why: RFC 5927 5: hard errors are no reason to give up a connection; and who floods with errors must not keep entries in the table.
    const Conversation c = converse(false, protocol::kUdp);
    for (int i = 0; i < 40; ++i) {
        lab_.pass(kClientPort, error_about(c.reply_behind, kRouter, {3, 3, 0}));
        EXPECT_EQ(lab_.pass(kClientPort, c.request).size(), c.request_behind.size()) << "it goes on";
    }
    ASSERT_EQ(lab_.connections(), 1U);
    for (int i = 0; i < 320; ++i) {
        lab_.pass(kClientPort, error_about(c.reply_behind, kRouter, {3, 3, 0}));
        lab_.wait_ms(1000);
    }
    EXPECT_EQ(lab_.connections(), 0U);
}

TEST_F(WorkerIcmp, OverTheRateLimitErrorsAreNamed) {
    LabSettings settings;
    settings.worker.icmp_errors_per_second = 1;
    settings.worker.icmp_error_burst = 2;
    Lab lab(settings);
    lab.apply(lab.web());
    const Conversation c = testing::converse(lab, false, protocol::kUdp);
    const Frame error = error_about(c.reply_behind, kRouter, {3, 1, 0});
    const Frame unmatched = error_about(PacketBuilder().ip(kVip, kClient).udp(53, 40009).build(), kRouter, {3, 1, 0});
    EXPECT_TRUE(lab.pass(kClientPort, unmatched).empty()) << "takes nobody's share";
    EXPECT_FALSE(lab.pass(kClientPort, error).empty());
    EXPECT_FALSE(lab.pass(kClientPort, error).empty());
    EXPECT_TRUE(lab.pass(kClientPort, error).empty());
    EXPECT_EQ(lab.dropped(DropReason::icmp_limited), 1U);
    lab.now_ms += 1000;
    EXPECT_FALSE(lab.pass(kClientPort, error).empty());
}

TEST_F(WorkerIcmp, AnErrorWhoseTtlIsUsedUpIsNotAnswered) {
    const Conversation c = converse(false, protocol::kUdp);
    expect_dropped(error_to_sender(c.reply_behind, kRouter, kClientPort)
                       .ttl(1)
                       .icmp(3, 1)
                       .payload(ip_bytes(c.reply_behind))
                       .build(),
                   DropReason::ttl_exceeded);
}

TEST_F(WorkerIcmp, ErrorsOfForgedSourcesAndForOtherStationsAreNamed) {
    const Conversation c = converse(false, protocol::kUdp);
    for (const char* source : {"127.0.0.1", "0.0.0.0", "224.0.0.1"}) {
        expect_dropped(error_about(c.reply_behind, source, {3, 1, 0}), DropReason::martian_source);
    }
    // Our own addresses have names of their own: the destination's, and another one (worker_guard_test.cc).
    expect_dropped(error_about(c.reply_behind, kVip, {3, 1, 0}), DropReason::land_attack);
    expect_dropped(error_about(c.reply_behind, kSnat, {3, 1, 0}), DropReason::own_source);
    Frame stray = error_about(c.reply_behind, kRouter, {3, 1, 0});
    stray[5] ^= 0x40;
    expect_dropped(stray, DropReason::other_station);
}

TEST_F(WorkerIcmp, TagsAreTakenOffAsFromEveryPacket) {
    const Conversation c = converse(false, protocol::kUdp);
    const Frame out = lab_.pass(kClientPort, error_to_sender(c.reply_behind, kRouter, kClientPort)
                                                 .vlan(5)
                                                 .icmp(3, 4, 1400)
                                                 .payload(ip_bytes(c.reply_behind))
                                                 .build());
    EXPECT_EQ(icmp_summary(out), "icmp 10.0.2.1 > " + c.node + " type 3 code 4 rest 1400");
    EXPECT_EQ(parsed(out).l2_length, 14);
    EXPECT_EQ(quote_in(out), as_sent(c.reply));
}

TEST_F(WorkerIcmp, AQuotedUdpPacketWithoutChecksumStaysWithoutOne) {
    const Frame request = PacketBuilder().ip(kClient, kVip).udp(42000, 53).no_checksum().payload(9).build();
    const Frame behind = lab_.pass(kClientPort, request);
    const Frame out = lab_.pass(kNodePort, error_about(behind, kNodeRouter, {3, 1, 0}, 65535, kNodePort));
    EXPECT_EQ(quote_in(out), as_sent(request));
}

TEST_F(WorkerIcmp, ErrorsAboutConnectionsThatAreOverAreUnmatched) {
    const Conversation udp = converse(false, protocol::kUdp);
    const Conversation tcp = converse(false, protocol::kTcp, 40001);
    lab_.pass(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(40001, 80, tcp::kRst).build());
    expect_dropped(error_about(tcp.reply_behind, kRouter, {3, 4, 1400}), DropReason::icmp_unmatched);
    auto state = lab_.web();
    std::erase_if(state.services, [](const auto& service) { return service.protocol == contract::Protocol::udp; });
    lab_.apply(state);
    expect_dropped(error_about(udp.reply_behind, kRouter, {3, 4, 1400}), DropReason::icmp_unmatched);
}

TEST_F(WorkerIcmp, ErrorsGoByTheConnectionsRouteAndWaitForItsNeighbour) {
    const Conversation c = converse(false, protocol::kUdp);
    lab_.forget_neighbour(kNodePort, c.node);
    lab_.publish_routing();
    EXPECT_TRUE(lab_.pass(kClientPort, error_about(c.reply_behind, kRouter, {3, 4, 1400})).empty());
    lab_.learn_neighbour(kNodePort, c.node, {2, 0, 0, 0, 9, 9});
    lab_.publish_routing();
    lab_.wait_ms(100);
    const auto frames = lab_.sent(kNodePort);
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(quote_in(frames.front()), as_sent(c.reply));
    EXPECT_EQ(frames.front()[5], 9);
    lab_.routing().routes.clear();
    ++lab_.routing().epoch;
    lab_.publish_routing();
    expect_dropped(error_about(c.reply_behind, kRouter, {3, 4, 1400}), DropReason::no_route);
}

TEST(WorkerIcmpHandover, WhereverAnErrorArrivesTheOwnerSendsItOn) {
    // Why: routers have other addresses than clients; no NIC brings their errors to the connection's worker.
    LabSettings settings;
    settings.workers = 2;
    Lab lab(settings);
    lab.apply(lab.web());
    unsigned of_other_workers = 0;
    for (std::uint16_t port = 1000; port < 1016; ++port) {
        for (const bool v6 : {false, true}) {
            const Conversation c = converse(lab, v6, protocol::kUdp, port);
            for (std::uint32_t worker = 0; worker < 2; ++worker) {
                const std::uint64_t before = lab.totals(worker).handed_over.read();
                const Frame to_node = lab.pass(
                    kClientPort,
                    error_about(c.reply_behind, v6 ? kRouterV6 : kRouter, v6 ? Says{2, 0, 1400} : Says{3, 4, 1400}),
                    worker);
                ASSERT_EQ(quote_in(to_node), as_sent(c.reply));
                const Frame to_client = lab.pass(kNodePort,
                                                 error_about(c.request_behind, v6 ? kNodeRouterV6 : kNodeRouter,
                                                             v6 ? Says{1, 0, 0} : Says{3, 1, 0}, 65535, kNodePort),
                                                 worker);
                ASSERT_EQ(quote_in(to_client), as_sent(c.request));
                of_other_workers += lab.totals(worker).handed_over.read() != before ? 1 : 0;
            }
        }
        lab.now_ms += 1000;
    }
    EXPECT_EQ(of_other_workers, 32U) << "each connection is the other worker's once";
    EXPECT_EQ(lab.dropped(), 0U);
    // An error about nothing ends at the worker that would own it, and is not sent to and fro.
    for (std::uint16_t port = 2000; port < 2010; ++port) {
        lab.pass(kClientPort, error_about(PacketBuilder().ip(kVip, kClient).udp(53, port).build(), kRouter, {3, 1, 0}));
    }
    EXPECT_EQ(lab.dropped(DropReason::icmp_unmatched), 10U);
}

}  // namespace
}  // namespace guideway::worker::testing
