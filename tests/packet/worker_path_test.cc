// What senders are told of packets that cannot go on: too big (RFC 1191, RFC 8201), TTL used up (RFC 1812 5.3.1, RFC 8200). And what
// keeps packets small beforehand: MSS clamping.
#include <gtest/gtest.h>

#include "tests/packet/icmp_quotes.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;

class WorkerPath : public ::testing::Test {
  protected:
    WorkerPath() { lab_.apply(lab_.web()); }

    static void mtu(Lab& lab, std::uint16_t port, std::uint16_t value) {
        lab.routing().ports[port].mtu = value;
        lab.publish_routing();
    }
    /// A client's datagram, as long as this with its IP header.
    static Frame datagram(bool v6, std::size_t length, std::uint16_t source_port = 4000) {
        return PacketBuilder()
            .ip(v6 ? kClientV6 : kClient, v6 ? kVipV6 : kVip)
            .udp(source_port, 53)
            .payload(length - (v6 ? 48 : 28))
            .build();
    }
    void expect_dropped(Lab& lab, const Frame& frame, DropReason reason, std::uint16_t port = kClientPort) {
        const std::uint64_t before = lab.dropped(reason);
        EXPECT_EQ(icmp_summary(lab.pass(port, frame)), "nothing") << observe::to_string(reason);
        EXPECT_EQ(lab.dropped(reason), before + 1) << observe::to_string(reason);
    }
    Lab lab_;
};

TEST_F(WorkerPath, APacketLargerThanTheWayOnIsAnsweredWithWhatFits) {
    // Why: a sender that is not told sends the same again until it gives up (RFC 2923 2.1).
    mtu(lab_, kNodePort, 1300);
    EXPECT_FALSE(lab_.pass(kClientPort, datagram(false, 1300)).empty());
    const Frame large = datagram(false, 1301);
    const Frame answer = lab_.pass(kClientPort, large);
    EXPECT_EQ(icmp_summary(answer), "icmp 203.0.113.10 > 198.51.100.7 type 3 code 4 rest 1300");
    // RFC 1812 4.3.2.3: as much as fits 576 bytes; the packet as the client sent it, before any translation.
    EXPECT_EQ(parsed(answer).l3_length, 576U);
    EXPECT_EQ(quote_in(answer), ip_bytes(large, 576 - 28));
    EXPECT_EQ(lab_.dropped(DropReason::packet_too_big), 1U);
    EXPECT_EQ(lab_.counters().workers[0].icmp_made_too_big, 1U);
}

TEST_F(WorkerPath, OverIpv6ItIsPacketTooBigWithUpTo1280Bytes) {
    mtu(lab_, kNodePort, 1300);
    EXPECT_FALSE(lab_.pass(kClientPort, datagram(true, 1300)).empty());
    const Frame large = datagram(true, 1301);
    const Frame answer = lab_.pass(kClientPort, large);
    EXPECT_EQ(icmp_summary(answer), "icmp 2001:db8:1::10 > 2001:db8:c::7 type 2 code 0 rest 1300");
    EXPECT_EQ(parsed(answer).l3_length, 1280U);  // RFC 4443 2.4 (c)
    EXPECT_EQ(quote_in(answer), ip_bytes(large, 1280 - 48));
}

TEST_F(WorkerPath, ANodeIsToldByTheSnatAddressWithItsOwnPacketQuoted) {
    for (const bool v6 : {false, true}) {
        const Frame behind = lab_.pass(kClientPort, datagram(v6, 100));
        const Frame small_reply = lab_.reply_to(behind);
        ASSERT_FALSE(lab_.pass(kNodePort, small_reply).empty());
        mtu(lab_, kClientPort, 1280);
        const ParsedPacket p = parsed(small_reply);
        const std::uint16_t to = swap_if_little(v6 ? p.v6.destination_port : p.v4.destination_port);
        const std::uint16_t from = swap_if_little(v6 ? p.v6.source_port : p.v4.source_port);
        const Frame large = PacketBuilder()
                                .ethernet(kPortMac1, kRouterMac)
                                .ip(p.source().to_string(), p.destination().to_string())
                                .udp(from, to)
                                .payload(1300)
                                .build();
        const Frame answer = lab_.pass(kNodePort, large);
        EXPECT_EQ(icmp_summary(answer), (v6 ? "icmp 2001:db8:2::1 > " : "icmp 10.0.2.1 > ") + p.source().to_string() +
                                            (v6 ? " type 2 code 0 rest 1280" : " type 3 code 4 rest 1280"));
        EXPECT_EQ(quote_in(answer), ip_bytes(large, v6 ? 1232 : 548));
        EXPECT_EQ(answer[0], kRouterMac[0]) << "to where it came from";
        mtu(lab_, kClientPort, 1500);
    }
}

TEST_F(WorkerPath, WhatWouldBeTooManyPartsIsNamedAndNotAnswered) {
    // Why: without DF fragmentation needed would be a lie; it is up to the router to fragment (RFC 791), as worker_fragment_test.cc
    // shows. But one packet must not become any number of them.
    mtu(lab_, kNodePort, 40);
    expect_dropped(lab_, PacketBuilder().ip(kClient, kVip).ipv4_fragment(0).udp(4000, 53).payload(1300).build(),
                   DropReason::fragmentation_wanted);
}

TEST_F(WorkerPath, APlainPacketOfAnEstablishedConnectionIsAnsweredToo) {
    ASSERT_FALSE(lab_.establish(40000).empty());
    const auto segment = [](std::size_t payload) {
        return PacketBuilder().ip(kClient, kVip).tcp(40000, 80, tcp::kAck).payload(payload).build();
    };
    EXPECT_FALSE(lab_.pass(kClientPort, segment(1400)).empty());
    mtu(lab_, kNodePort, 1300);
    const Frame answer = lab_.pass(kClientPort, segment(1400));
    EXPECT_EQ(icmp_summary(answer), "icmp 203.0.113.10 > 198.51.100.7 type 3 code 4 rest 1300");
    EXPECT_FALSE(lab_.pass(kClientPort, segment(1260)).empty());
}

TEST_F(WorkerPath, TtlOneIsAnsweredSoThatTracerouteShowsTheAppliance) {
    ASSERT_FALSE(lab_.establish(40000).empty());
    const std::vector<Frame> probes{
        PacketBuilder().ip(kClient, kVip).ttl(1).tcp(40001, 80, tcp::kSyn).build(),  // tcptraceroute
        PacketBuilder().ip(kClient, kVip).ttl(1).tcp(40000, 80, tcp::kAck).build(),  // of a known connection
        PacketBuilder().ip(kClient, kVip).ttl(0).udp(40002, 53).payload(1000).build(),
    };
    for (const Frame& probe : probes) {
        const Frame answer = lab_.pass(kClientPort, probe);
        EXPECT_EQ(icmp_summary(answer), "icmp 203.0.113.10 > 198.51.100.7 type 11 code 0 rest 0");
        EXPECT_EQ(quote_in(answer), ip_bytes(probe, 548));
    }
    const Frame six = PacketBuilder().ip(kClientV6, kVipV6).ttl(1).tcp(40001, 80, tcp::kSyn).build();
    const Frame answer = lab_.pass(kClientPort, six);
    EXPECT_EQ(icmp_summary(answer), "icmp 2001:db8:1::10 > 2001:db8:c::7 type 3 code 0 rest 0");
    EXPECT_EQ(quote_in(answer), ip_bytes(six));
    EXPECT_EQ(lab_.connections(), 1U);
    EXPECT_EQ(lab_.dropped(DropReason::ttl_exceeded), 4U);
    EXPECT_EQ(lab_.counters().workers[0].icmp_made_time_exceeded, 4U);
}

TEST_F(WorkerPath, ANodesTracerouteSeesTheSnatAddress) {
    const Frame behind = lab_.establish(40000);
    Frame reply = lab_.reply_to(behind, tcp::kAck);
    reply[14 + ipv4::kTtl] = 1;
    store_raw16(reply.data() + 14 + ipv4::kChecksum, ipv4_header_checksum(reply.data() + 14, 20));
    EXPECT_EQ(icmp_summary(lab_.pass(kNodePort, reply)),
              "icmp 10.0.2.1 > " + parsed(reply).source().to_string() + " type 11 code 0 rest 0");
}

TEST_F(WorkerPath, WhatMayNotBeAnsweredIsNot) {
    // Why: RFC 1122 3.2.2: an error to a group, or to whom nobody is, multiplies.
    const auto probe = [](PacketBuilder builder) { return builder.ttl(1).tcp(4000, 80, tcp::kSyn).build(); };
    for (const char* source : {"127.0.0.1", "224.0.0.1", "0.0.0.0"}) {
        expect_dropped(lab_, probe(PacketBuilder().ip(source, kVip)), DropReason::martian_source);
    }
    // Our own addresses have names of their own (worker_guard_test.cc).
    expect_dropped(lab_, probe(PacketBuilder().ip(kVip, kVip)), DropReason::land_attack);
    expect_dropped(lab_, probe(PacketBuilder().ip(kSnat, kVip)), DropReason::own_source);
    // A ping at its destination is no packet to be forwarded.
    EXPECT_FALSE(lab_.pass(kClientPort, PacketBuilder().ip(kClient, kVip).ttl(1).echo_request(7, 1).build()).empty());
    EXPECT_EQ(lab_.dropped(DropReason::ttl_exceeded), 0U);
}

TEST_F(WorkerPath, OverTheRateLimitPacketsEndInSilenceUnderTheSameName) {
    LabSettings settings;
    settings.worker.icmp_errors_per_second = 1;
    settings.worker.icmp_error_burst = 2;
    Lab lab(settings);
    lab.apply(lab.web());
    mtu(lab, kNodePort, 1300);
    const Frame probe = PacketBuilder().ip(kClient, kVip).ttl(1).tcp(1, 80, tcp::kSyn).build();
    EXPECT_FALSE(lab.pass(kClientPort, probe).empty());
    EXPECT_FALSE(lab.pass(kClientPort, datagram(false, 1400)).empty());
    expect_dropped(lab, probe, DropReason::ttl_exceeded);
    expect_dropped(lab, datagram(false, 1400), DropReason::packet_too_big);
    lab.now_ms += 1000;
    EXPECT_FALSE(lab.pass(kClientPort, datagram(false, 1400)).empty());
}

// ---- MSS

constexpr std::array<std::uint8_t, 12> kOptions{1, 2, 4, 0x05, 0xb4, 1, 1, 4, 2, 1, 3, 7};  // MSS 1460 at an odd offset

Frame syn_with(std::span<const std::uint8_t> options, bool v6 = false) {
    return PacketBuilder()
        .ip(v6 ? kClientV6 : kClient, v6 ? kVipV6 : kVip)
        .tcp(40000, 80, tcp::kSyn)
        .tcp_options(options)
        .build();
}

/// The MSS option's value; 0 without one.
unsigned mss_in(const Frame& frame) {
    if (frame.empty()) return 0;
    EXPECT_EQ(packet::testing::faults(frame), "");
    const std::uint8_t* header = frame.data() + parsed(frame).l4_offset;
    for (unsigned at = 20; at < (header[12] >> 4) * 4U && header[at] != 0;) {
        if (header[at] == 2) return load_be16(header + at + 2);
        at += header[at] == 1 ? 1U : header[at + 1];
    }
    return 0;
}

LabSettings clamping(bool by_mtu, std::uint16_t largest) {
    LabSettings settings;
    settings.worker.mss_clamp = {by_mtu, largest};
    return settings;
}

TEST_F(WorkerPath, WithoutTheOptionTheMssStays) {
    EXPECT_EQ(mss_in(lab_.pass(kClientPort, syn_with(kOptions))), 1460U);
}

TEST_F(WorkerPath, SynAndSynAckAreClampedToWhatTheSmallerPortTakes) {
    // Why: the MSS says what its sender can receive; the other direction's segments are bounded by the other packet.
    for (const std::uint16_t small : {kClientPort, kNodePort}) {
        Lab lab(clamping(true, 0));
        lab.apply(lab.web());
        mtu(lab, small, 1400);
        const Frame syn = lab.pass(kClientPort, syn_with(kOptions));
        EXPECT_EQ(mss_in(syn), 1360U);
        const ParsedPacket p = parsed(syn);
        const Frame syn_ack = PacketBuilder()
                                  .ethernet(kPortMac1, kRouterMac)
                                  .ip(p.destination().to_string(), kSnat)
                                  .tcp(30080, swap_if_little(p.v4.source_port), tcp::kSyn | tcp::kAck)
                                  .tcp_options(std::array<std::uint8_t, 4>{2, 4, 0x23, 0x00})
                                  .build();
        EXPECT_EQ(mss_in(lab.pass(kNodePort, syn_ack)), 1360U);
        EXPECT_EQ(mss_in(lab.pass(kClientPort, syn_with(kOptions, true))), 1340U);
        EXPECT_EQ(lab.counters().workers[0].mss_clamped, 3U);
    }
}

TEST_F(WorkerPath, AGivenSizeIsTheBoundAndASmallerMssIsNeverRaised) {
    Lab lab(clamping(false, 1200));
    lab.apply(lab.web());
    EXPECT_EQ(mss_in(lab.pass(kClientPort, syn_with(kOptions))), 1200U);
    EXPECT_EQ(mss_in(lab.pass(kClientPort, syn_with(std::array<std::uint8_t, 4>{2, 4, 0x04, 0xb0}))), 1200U);
    EXPECT_EQ(mss_in(lab.pass(kClientPort, syn_with(std::array<std::uint8_t, 4>{2, 4, 0x02, 0x18}))), 536U);
    EXPECT_EQ(mss_in(lab.pass(kClientPort, syn_with({}))), 0U) << "none is added: 536 then holds";
    EXPECT_EQ(lab.counters().workers[0].mss_clamped, 1U);
}

TEST_F(WorkerPath, WhileTheWayOnIsNotKnownWhatFitsEveryPortIsWritten) {
    Lab lab(clamping(true, 0));
    lab.apply(lab.web());
    mtu(lab, kNodePort, 1300);
    for (const char* node : {"10.0.2.11", "10.0.2.12", "10.0.2.13"}) lab.forget_neighbour(kNodePort, node);
    lab.publish_routing();
    lab.inject(kClientPort, syn_with(kOptions));
    lab.poll();
    for (const char* node : {"10.0.2.11", "10.0.2.12", "10.0.2.13"}) {
        lab.learn_neighbour(kNodePort, node, {2, 0, 0, 0, 9, 9});
    }
    lab.publish_routing();
    lab.wait_ms(100);
    const auto frames = lab.sent(kNodePort);
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(mss_in(frames.front()), 1260U);
}

TEST_F(WorkerPath, OptionsThatLieEndTheSearchAndNothingElse) {
    Lab lab(clamping(false, 1000));
    lab.apply(lab.web());
    const std::vector<std::vector<std::uint8_t>> lies{
        {2, 0, 0x05, 0xb4},           // no length at all
        {2, 1, 0x05, 0xb4},           // shorter than itself
        {2, 200, 0x05, 0xb4},         // beyond the header
        {1, 1, 1, 2},                 // cut before the length
        {2, 3, 0x05, 1},              // another length than an MSS has
        {0, 2, 4, 0x05, 0xb4, 0, 0},  // behind the end
    };
    for (const auto& lie : lies) {
        const Frame syn = syn_with(lie);
        const Frame out = lab.pass(kClientPort, syn);
        ASSERT_EQ(out.size(), syn.size());
        EXPECT_EQ(Frame(out.begin() + 54, out.end()), Frame(syn.begin() + 54, syn.end()));
        EXPECT_EQ(packet::testing::faults(out), "");
    }
    // Two of them: both.
    EXPECT_EQ(mss_in(lab.pass(kClientPort, syn_with(std::array<std::uint8_t, 8>{2, 4, 5, 0xb4, 2, 4, 5, 0xb4}))),
              1000U);
    EXPECT_EQ(lab.counters().workers[0].mss_clamped, 1U);
}

TEST_F(WorkerPath, OnlyHandshakesAreClamped) {
    Lab lab(clamping(false, 1000));
    lab.apply(lab.web());
    ASSERT_FALSE(lab.establish(40000).empty());
    const Frame ack = PacketBuilder().ip(kClient, kVip).tcp(40000, 80, tcp::kAck).tcp_options(kOptions).build();
    EXPECT_EQ(mss_in(lab.pass(kClientPort, ack)), 1460U);
}

}  // namespace
}  // namespace guideway::worker::testing
