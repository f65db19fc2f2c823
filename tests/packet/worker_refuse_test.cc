// What a worker refuses or drops, and the name it counts it under.
#include <gtest/gtest.h>

#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;

class WorkerRefuse : public ::testing::Test {
  protected:
    WorkerRefuse() { lab_.apply(lab_.web()); }

    static Frame syn(std::uint16_t source_port = 40000, std::uint16_t port = 80) {
        return PacketBuilder().ip(kClient, kVip).tcp(source_port, port, tcp::kSyn).build();
    }
    /// Nothing leaves and exactly this is counted, once.
    void expect_dropped(Lab& lab, const Frame& frame, DropReason reason, std::uint16_t port = kClientPort) {
        const std::uint64_t before = lab.dropped(reason);
        const std::uint64_t all = lab.dropped();
        lab.inject(port, frame);
        lab.poll();
        EXPECT_TRUE(lab.sent(kClientPort).empty()) << observe::to_string(reason);
        EXPECT_TRUE(lab.sent(kNodePort).empty()) << observe::to_string(reason);
        EXPECT_EQ(lab.dropped(reason), before + 1) << observe::to_string(reason);
        EXPECT_EQ(lab.dropped(), all + 1) << observe::to_string(reason);
    }
    void expect_dropped(const Frame& frame, DropReason reason) { expect_dropped(lab_, frame, reason); }

    Lab lab_;
};

TEST_F(WorkerRefuse, AClosedTcpPortAnswersWithRst) {
    const Frame answer = lab_.pass(kClientPort, syn(40000, 81));
    EXPECT_EQ(summary(answer),
              "tcp 203.0.113.10,81 > 198.51.100.7,40000 RA ttl 64 02:00:00:00:00:01 > 02:00:00:00:00:c1");
    EXPECT_EQ(lab_.dropped(DropReason::refused), 1U);
    EXPECT_EQ(lab_.connections(), 0U);
}

TEST_F(WorkerRefuse, AClosedTcpPortOverIpv6AnswersWithRst) {
    const Frame answer =
        lab_.pass(kClientPort, PacketBuilder().ip(kClientV6, kVipV6).tcp(40000, 81, tcp::kSyn).build());
    EXPECT_EQ(parsed(answer).tcp_flags, tcp::kRst | tcp::kAck);
    EXPECT_EQ(packet::testing::faults(answer), "");
}

TEST_F(WorkerRefuse, AClosedUdpPortAnswersPortUnreachable) {
    for (const bool v6 : {false, true}) {
        const Frame answer = lab_.pass(
            kClientPort,
            PacketBuilder().ip(v6 ? kClientV6 : kClient, v6 ? kVipV6 : kVip).udp(40000, 54).payload(9).build());
        const ParsedPacket p = parsed(answer);
        ASSERT_EQ(p.kind, PacketKind::icmp_other);
        EXPECT_EQ(answer[p.l4_offset], v6 ? icmpv6::kUnreachable : icmp::kUnreachable);
        EXPECT_EQ(packet::testing::faults(answer), "");
    }
    EXPECT_EQ(lab_.dropped(DropReason::refused), 2U);
}

TEST_F(WorkerRefuse, AClosedSctpPortAnswersAbort) {
    const std::array<std::uint8_t, 16> init{0, 0, 0, 9};
    const Frame answer =
        lab_.pass(kClientPort, PacketBuilder().ip(kClient, kVip).sctp(4000, 9001, 0).chunk(sctp::kInit, init).build());
    EXPECT_EQ(parsed(answer).sctp_chunk, sctp::kAbort);
    EXPECT_EQ(packet::testing::faults(answer), "");
}

TEST_F(WorkerRefuse, AServiceWithoutBackendsRefusesAtOnceAndCounts) {
    // Why: kube-proxy rejects too; a client that is left hanging retries for minutes.
    auto state = lab_.web();
    for (auto& backend : state.backend_sets[0].backends) backend.weight = 0;
    lab_.apply(state);
    EXPECT_EQ(parsed(lab_.pass(kClientPort, syn())).tcp_flags, tcp::kRst | tcp::kAck);
    EXPECT_FALSE(lab_.pass(kClientPort, PacketBuilder().ip(kClient, kVip).udp(4000, 53).build()).empty());
    EXPECT_EQ(lab_.dropped(DropReason::refused), 2U);
    EXPECT_EQ(lab_.counters().services[0].refused_connections, 1U);
    EXPECT_EQ(lab_.counters().services[0].new_connections, 0U);
}

TEST_F(WorkerRefuse, TcpOfNoConnectionIsAnsweredWithRst) {
    // Why: after a restart without its table the ends must find out at once.
    const Frame answer = lab_.pass(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(40000, 80, tcp::kAck).build());
    EXPECT_EQ(parsed(answer).tcp_flags & tcp::kRst, tcp::kRst);
    EXPECT_EQ(lab_.dropped(DropReason::refused), 1U);
}

TEST_F(WorkerRefuse, ARstIsNeverAnswered) {
    expect_dropped(PacketBuilder().ip(kClient, kVip).tcp(40000, 80, tcp::kRst).build(), DropReason::no_connection);
    expect_dropped(PacketBuilder().ip(kClient, kVip).tcp(40000, 81, tcp::kRst).build(), DropReason::port_closed);
}

TEST_F(WorkerRefuse, SctpOtherThanInitOpensNothing) {
    const Frame answer =
        lab_.pass(kClientPort, PacketBuilder().ip(kClient, kVip).sctp(4000, 9000, 5).chunk(sctp::kData).build());
    EXPECT_EQ(parsed(answer).sctp_chunk, sctp::kAbort);
    EXPECT_EQ(lab_.connections(), 0U);
}

TEST_F(WorkerRefuse, OverTheRateLimitTheRefusalIsSilentAndCountedByItsCause) {
    LabSettings settings;
    settings.worker.refusals_per_second = 1;
    settings.worker.refusal_burst = 2;
    Lab lab(settings);
    auto state = lab.web();
    state.backend_sets[0].backends.clear();
    lab.apply(state);
    EXPECT_FALSE(lab.pass(kClientPort, syn(1, 81)).empty());
    EXPECT_FALSE(lab.pass(kClientPort, syn(2, 81)).empty());
    expect_dropped(lab, syn(3, 81), DropReason::port_closed);
    expect_dropped(lab, syn(3, 80), DropReason::no_backend);
    expect_dropped(lab, PacketBuilder().ip(kClient, kVip).tcp(3, 80, tcp::kAck).build(), DropReason::no_connection);
    lab.now_ms += 1000;
    EXPECT_FALSE(lab.pass(kClientPort, syn(4, 81)).empty());
}

TEST_F(WorkerRefuse, HeadersThatLieAreCountedByName) {
    const auto spoil = [](Frame frame, std::size_t at, std::uint8_t value) {
        frame[at] = value;
        return frame;
    };
    expect_dropped(Frame(10, 0), DropReason::ethernet_truncated);
    expect_dropped(PacketBuilder().raw(ethernet::kTypeIpv4, std::array<std::uint8_t, 8>{0x45}).build(),
                   DropReason::ip_truncated);
    expect_dropped(spoil(syn(), 14, 0x65), DropReason::ip_header_bad);
    expect_dropped(spoil(syn(), 14, 0x43), DropReason::ip_header_bad);
    expect_dropped(spoil(syn(), 16, 0x7f), DropReason::ip_truncated);
    expect_dropped(spoil(syn(), 24, 0xff), DropReason::ipv4_checksum_bad);
    expect_dropped(spoil(syn(), 14 + 20 + 12, 0x10), DropReason::l4_header_bad);
    expect_dropped(PacketBuilder().ip(kClientV6, kVipV6).routing(1).tcp(1, 80, tcp::kSyn).build(),
                   DropReason::ipv6_routing_header);
    expect_dropped(PacketBuilder().ip(kClient, kVip).protocol(6).payload(10).build(), DropReason::l4_truncated);
}

TEST_F(WorkerRefuse, ADamagedFirstPacketOpensNothing) {
    Frame damaged = PacketBuilder().ip(kClient, kVip).udp(4000, 53).payload(8).build();
    damaged.back() ^= 1;
    expect_dropped(damaged, DropReason::l4_checksum_bad);
    Frame tcp = syn();
    tcp[14 + 20 + 4] ^= 1;
    expect_dropped(tcp, DropReason::l4_checksum_bad);
    EXPECT_EQ(lab_.connections(), 0U);
}

TEST_F(WorkerRefuse, SourcesThatCannotBeAClientAreDropped) {
    // What each is called: worker_guard_test.cc.
    for (const char* source : {"0.0.0.0", "127.0.0.1", "224.0.0.5", "255.255.255.255"}) {
        expect_dropped(PacketBuilder().ip(source, kVip).tcp(4000, 80, tcp::kSyn).build(), DropReason::martian_source);
    }
    for (const char* source : {"::", "::1", "ff02::1"}) {
        expect_dropped(PacketBuilder().ip(source, kVipV6).tcp(4000, 80, tcp::kSyn).build(), DropReason::martian_source);
    }
}

TEST_F(WorkerRefuse, AUsedUpTtlIsDroppedBothForNewAndForKnownConnections) {
    // Answered where the rate allows it (worker_path_test.cc); here it allows none.
    LabSettings settings;
    settings.worker.icmp_errors_per_second = 0;
    Lab lab(settings);
    lab.apply(lab.web());
    for (const std::uint8_t ttl : {0, 1}) {
        expect_dropped(lab, PacketBuilder().ip(kClient, kVip).ttl(ttl).tcp(40000, 80, tcp::kSyn).build(),
                       DropReason::ttl_exceeded);
    }
    ASSERT_FALSE(lab.establish(40001).empty());
    expect_dropped(lab, PacketBuilder().ip(kClient, kVip).ttl(1).tcp(40001, 80, tcp::kAck).build(),
                   DropReason::ttl_exceeded);
}

TEST_F(WorkerRefuse, FragmentsAndForeignProtocolsForOurAddressesAreNamed) {
    // Fragments of TCP and UDP are forwarded: worker_fragment_test.cc.
    expect_dropped(PacketBuilder().ip(kClient, kVip).ipv4_fragment(0x2000).echo_request(1, 1).payload(32).build(),
                   DropReason::fragment);
    expect_dropped(PacketBuilder().ip(kClientV6, kSnatV6).ipv6_fragment(0, true).echo_request(1, 2).payload(32).build(),
                   DropReason::fragment);
    expect_dropped(PacketBuilder().ip(kClient, kVip).protocol(47).payload(20).build(),
                   DropReason::protocol_unsupported);
    expect_dropped(PacketBuilder().ip(kClient, kVip).icmp(3, 1).payload(28).build(), DropReason::icmp_quote_bad);
}

TEST_F(WorkerRefuse, AFrameForAnotherStationIsNotOurs) {
    // Why: ports are promiscuous; forwarding a flooded frame would double the packet.
    expect_dropped(
        PacketBuilder().ethernet({2, 0, 0, 0, 9, 9}, kRouterMac).ip(kClient, kVip).tcp(1, 80, tcp::kSyn).build(),
        DropReason::other_station);
    expect_dropped(
        PacketBuilder().ethernet({2, 0, 0, 0, 9, 9}, kRouterMac).ip(kClient, kVip).echo_request(1, 1).build(),
        DropReason::other_station);
}

TEST_F(WorkerRefuse, AReplyOfNoConnectionIsNamed) {
    expect_dropped(PacketBuilder().ip("10.0.2.11", kSnat).tcp(30080, 5000, tcp::kAck).build(),
                   DropReason::reply_unknown);
}

TEST_F(WorkerRefuse, WithoutASnatAddressOfTheFamilyConnectionsAreRefusedByName) {
    LabSettings settings;
    settings.snat_v6 = false;
    Lab lab(settings);
    lab.apply(lab.web());
    expect_dropped(lab, PacketBuilder().ip(kClientV6, kVipV6).tcp(1, 80, tcp::kSyn).build(),
                   DropReason::snat_address_missing);
    EXPECT_FALSE(lab.pass(kClientPort, syn()).empty());
}

TEST_F(WorkerRefuse, AFullTableRefusesNewConnectionsAndLeavesEstablishedOnesAlone) {
    LabSettings settings;
    settings.worker.capacity.flows_ipv4 = 3;
    Lab lab(settings);
    lab.apply(lab.web());
    for (std::uint16_t port = 1; port <= 3; ++port) ASSERT_FALSE(lab.establish(port).empty());
    expect_dropped(lab, syn(4), DropReason::flow_table_full);
    EXPECT_EQ(lab.counters().services[0].refused_connections, 1U);
    for (std::uint16_t port = 1; port <= 3; ++port) {
        EXPECT_FALSE(lab.pass(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(port, 80, tcp::kAck).build()).empty());
    }
}

TEST_F(WorkerRefuse, WithoutFreeSnatPortsConnectionsAreRefusedByName) {
    LabSettings settings;
    settings.worker.snat_port_first = 5000;
    settings.worker.snat_port_last = 5001;
    Lab lab(settings);
    auto state = lab.web();
    state.backend_sets[0].backends.resize(1);
    lab.apply(state);
    EXPECT_FALSE(lab.pass(kClientPort, syn(1)).empty());
    EXPECT_FALSE(lab.pass(kClientPort, syn(2)).empty());
    expect_dropped(lab, syn(3), DropReason::snat_ports_exhausted);
}

TEST_F(WorkerRefuse, PacketsLargerThanTheOutgoingMtuAreNamed) {
    // Answered where the rate allows it (worker_path_test.cc); here it allows none.
    LabSettings settings;
    settings.worker.icmp_errors_per_second = 0;
    Lab lab(settings);
    lab.apply(lab.web());
    lab.routing().ports[kNodePort].mtu = 1000;
    lab.publish_routing();
    const auto sized = [](std::size_t payload) {
        return PacketBuilder().ip(kClient, kVip).udp(4000, 53).payload(payload).build();
    };
    EXPECT_FALSE(lab.pass(kClientPort, sized(1000 - 28)).empty());
    expect_dropped(lab, sized(1000 - 27), DropReason::packet_too_big);
}

TEST_F(WorkerRefuse, WithoutARouteThePacketIsNamed) {
    lab_.routing().routes.clear();
    ++lab_.routing().epoch;
    lab_.publish_routing();
    expect_dropped(syn(), DropReason::no_route);
}

TEST_F(WorkerRefuse, AFullWireIsNamed) {
    for (std::uint16_t i = 0; i < 272; ++i) {  // the lab's wire holds 255
        lab_.inject(kClientPort, syn(static_cast<std::uint16_t>(1000 + i)));
        if (i % 64 == 63) lab_.poll();
    }
    for (int i = 0; i < 12; ++i) lab_.poll();
    EXPECT_EQ(lab_.sent(kNodePort).size(), 255U);
    EXPECT_EQ(lab_.dropped(DropReason::tx_full), 17U);
}

TEST_F(WorkerRefuse, AFullKernelRingIsNamed) {
    // What looks like BGP may fill seven eighths of its 63 places (kernel_budget.h).
    for (int i = 0; i < 70; ++i) {
        lab_.inject(kClientPort, PacketBuilder().ip(kClient, "192.0.2.1").tcp(179, 2000, tcp::kAck).build());
        lab_.poll();
    }
    EXPECT_EQ(lab_.to_kernel().size(), 56U);
    EXPECT_EQ(lab_.dropped(DropReason::kernel_path_full), 14U);
}

}  // namespace
}  // namespace guideway::worker::testing
