// A worker's main job: a client's packet leaves to a backend, the reply leaves to the client.
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;

std::uint16_t destination_port_of(const Frame& frame) {
    const ParsedPacket p = parsed(frame);
    return swap_if_little(p.has_v4 ? p.v4.destination_port : p.v6.destination_port);
}
std::uint16_t source_port_of(const Frame& frame) {
    const ParsedPacket p = parsed(frame);
    return swap_if_little(p.has_v4 ? p.v4.source_port : p.v6.source_port);
}

class WorkerForward : public ::testing::TestWithParam<bool> {
  protected:
    WorkerForward() { lab_.apply(lab_.web()); }
    const char* client() const { return GetParam() ? kClientV6 : kClient; }
    const char* vip() const { return GetParam() ? kVipV6 : kVip; }
    const char* snat() const { return GetParam() ? kSnatV6 : kSnat; }

    /// Why: full NAT as design section 3 has it: the node sees SNAT address and node port, the client only the VIP.
    void both_ways(const Frame& request, const std::string& protocol, std::uint16_t client_port, std::uint16_t vip_port,
                   std::uint16_t node_port) {
        const Frame out = lab_.pass(kClientPort, request);
        ASSERT_FALSE(out.empty());
        EXPECT_EQ(faults(out), "");
        const ParsedPacket p = parsed(out);
        EXPECT_EQ(p.source(), ip(snat()));
        EXPECT_EQ(destination_port_of(out), node_port);
        EXPECT_EQ(p.ttl, 63);
        const std::uint8_t node = out[5];
        EXPECT_EQ((MacAddress{out[0], out[1], out[2], out[3], out[4], out[5]}), (MacAddress{0x02, 0, 0, 0, 1, node}));
        EXPECT_EQ((MacAddress{out[6], out[7], out[8], out[9], out[10], out[11]}), kPortMac1);

        const Frame back = lab_.pass(kNodePort, lab_.reply_to(out));
        const std::string flags = protocol == "tcp" ? " SA" : "";
        EXPECT_EQ(summary(back), protocol + " " + ip(vip()).to_string() + "," + std::to_string(vip_port) + " > " +
                                     client() + "," + std::to_string(client_port) + flags +
                                     " ttl 63 02:00:00:00:00:01 > 02:00:00:00:00:fe");
        EXPECT_EQ(lab_.connections(), 1U);
        EXPECT_EQ(lab_.dropped(), 0U);
    }
    static std::string faults(const Frame& frame) { return packet::testing::faults(frame); }

    Lab lab_;
};

TEST_P(WorkerForward, TcpIsTranslatedToTheNodeAndBack) {
    both_ways(PacketBuilder().ip(client(), vip()).tcp(40000, 80, tcp::kSyn).build(), "tcp", 40000, 80, 30080);
}

TEST_P(WorkerForward, UdpIsTranslatedToTheNodeAndBack) {
    both_ways(PacketBuilder().ip(client(), vip()).udp(40001, 53).payload(33).build(), "udp", 40001, 53, 30053);
}

TEST_P(WorkerForward, SctpIsTranslatedToTheNodeAndBackWithItsCrc) {
    const std::array<std::uint8_t, 16> init{0, 0, 0, 9};
    both_ways(PacketBuilder().ip(client(), vip()).sctp(40002, 9000, 0).chunk(sctp::kInit, init).build(), "sctp", 40002,
              9000, 39000);
}

TEST_P(WorkerForward, ATaggedPacketLeavesUntagged) {
    // Why: the outgoing port's VLAN is not the incoming one's; what leaves is plain.
    const Frame out = lab_.pass(
        kClientPort, PacketBuilder().vlan(5).ip(client(), vip()).tcp(40000, 80, tcp::kSyn).payload(9).build());
    ASSERT_FALSE(out.empty());
    EXPECT_EQ(parsed(out).l2_length, 14);
    EXPECT_EQ(faults(out), "");
    const Frame twice = lab_.pass(
        kClientPort, PacketBuilder().vlan(7).vlan(5).ip(client(), vip()).tcp(40000, 80, tcp::kSyn).payload(9).build());
    EXPECT_EQ(out, twice);
}

TEST_P(WorkerForward, LaterPacketsStayWithTheConnectionsBackendAndPort) {
    const Frame syn = lab_.pass(kClientPort, PacketBuilder().ip(client(), vip()).tcp(40000, 80, tcp::kSyn).build());
    lab_.pass(kNodePort, lab_.reply_to(syn));
    for (int i = 0; i < 5; ++i) {
        const Frame data =
            lab_.pass(kClientPort, PacketBuilder().ip(client(), vip()).tcp(40000, 80, tcp::kAck).payload(100).build());
        ASSERT_FALSE(data.empty());
        EXPECT_EQ(parsed(data).destination(), parsed(syn).destination());
        EXPECT_EQ(source_port_of(data), source_port_of(syn));
        EXPECT_EQ(faults(data), "");
    }
    EXPECT_EQ(lab_.connections(), 1U);
}

TEST_P(WorkerForward, ConnectionsSpreadOverTheBackends) {
    std::map<std::string, int> nodes;
    for (std::uint16_t port = 1000; port < 1300; ++port) {
        const Frame out = lab_.pass(kClientPort, PacketBuilder().ip(client(), vip()).tcp(port, 80, tcp::kSyn).build());
        ASSERT_FALSE(out.empty());
        ++nodes[parsed(out).destination().to_string()];
    }
    ASSERT_EQ(nodes.size(), 3U);
    for (const auto& [node, count] : nodes) EXPECT_GT(count, 60) << node;
}

TEST_P(WorkerForward, AnUnfinishedChecksumOfAVethPeerIsCompleted) {
    LabSettings settings;
    settings.unfinished_checksums = true;
    Lab lab(settings);
    lab.apply(lab.web());
    const Frame out = lab.pass(
        kClientPort,
        PacketBuilder().ip(client(), vip()).tcp(40000, 80, tcp::kSyn).payload(51).unfinished_checksum().build());
    ASSERT_FALSE(out.empty());
    EXPECT_EQ(faults(out), "");
    EXPECT_EQ(lab.totals().unfinished_checksums.read(), 1U);
}

TEST_P(WorkerForward, AServicesLinesAndItsBackendsCountBothDirections) {
    const Frame request = PacketBuilder().ip(client(), vip()).tcp(40000, 80, tcp::kSyn).payload(10).build();
    const Frame out = lab_.pass(kClientPort, request);
    const Frame reply = lab_.reply_to(out);
    lab_.pass(kNodePort, reply);
    lab_.pass(kNodePort, reply);
    const contract::Counters counters = lab_.counters();
    int seen = 0;
    for (const auto& service : counters.services) {
        if (service.vip != ip(vip()) || service.port != 80) {
            EXPECT_EQ(service.traffic, contract::Traffic{});
            continue;
        }
        ++seen;
        EXPECT_EQ(service.traffic, (contract::Traffic{1, request.size(), 2, 2 * reply.size()}));
        EXPECT_EQ(service.new_connections, 1U);
    }
    EXPECT_EQ(seen, 1);
    std::uint64_t backends = 0;
    for (const auto& backend : counters.backends) {
        backends += backend.traffic.rx_packets + backend.traffic.tx_packets;
        EXPECT_EQ(backend.new_connections, backend.address == parsed(out).destination() ? 1U : 0U);
    }
    EXPECT_EQ(backends, 3U);
}

INSTANTIATE_TEST_SUITE_P(Families, WorkerForward, ::testing::Bool(),
                         [](const auto& given) { return given.param ? "Ipv6" : "Ipv4"; });

TEST(WorkerForward4, Ipv4OptionsPassThrough) {
    // Why: record route and the like are legal; the header's length is not 20 then.
    Lab lab;
    lab.apply(lab.web());
    const std::array<std::uint8_t, 7> record_route{7, 7, 4, 0, 0, 0, 0};
    const Frame out = lab.pass(
        kClientPort,
        PacketBuilder().ipv4(kClient, kVip).ipv4_options(record_route).tcp(40000, 80, tcp::kSyn).payload(5).build());
    ASSERT_FALSE(out.empty());
    EXPECT_EQ(packet::testing::faults(out), "");
    EXPECT_EQ(out[14], 0x47);
}

TEST(WorkerForward4, UdpWithoutChecksumStaysWithout) {
    Lab lab;
    lab.apply(lab.web());
    const Frame out =
        lab.pass(kClientPort, PacketBuilder().ip(kClient, kVip).udp(40000, 53).no_checksum().payload(5).build());
    ASSERT_FALSE(out.empty());
    EXPECT_EQ(load_raw16(out.data() + 14 + 20 + udp::kChecksum), 0);
}

TEST(WorkerForward4, ANodeMayBeAClient) {
    // Why: a pod that calls the VIP reaches its own node through us (hairpin).
    Lab lab;
    lab.apply(lab.web());
    const Frame out = lab.pass(kNodePort, PacketBuilder()
                                              .ethernet(kPortMac1, {2, 0, 0, 0, 1, 11})
                                              .ip("10.0.2.11", kVip)
                                              .tcp(40000, 80, tcp::kSyn)
                                              .build());
    ASSERT_FALSE(out.empty());
    EXPECT_EQ(parsed(out).source(), ip(kSnat));
    const Frame back = lab.pass(kNodePort, lab.reply_to(out));
    EXPECT_EQ(summary(back), "tcp 203.0.113.10,80 > 10.0.2.11,40000 SA ttl 63 02:00:00:00:00:02 > 02:00:00:00:01:0b");
}

TEST(WorkerForward4, ABackendsOwnPortWinsOverTheServices) {
    // Why: pod mode: the set's backends carry the target port.
    Lab lab;
    auto state = lab.web();
    for (auto& backend : state.backend_sets[0].backends) backend.port = 8080;
    lab.apply(state);
    const Frame out = lab.pass(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(40000, 80, tcp::kSyn).build());
    ASSERT_FALSE(out.empty());
    EXPECT_EQ(destination_port_of(out), 8080);
}

TEST(WorkerForward4, WhatTheKernelSendsLeavesUnchangedThroughItsPort) {
    Lab lab;
    const Frame frame = PacketBuilder().ip("192.0.2.1", "192.0.2.254").tcp(179, 179, tcp::kAck).build();
    lab.inject_from_kernel(kNodePort, frame);
    lab.poll();
    EXPECT_TRUE(lab.sent(kClientPort).empty());
    EXPECT_EQ(lab.sent(kNodePort), std::vector<Frame>{frame});
}

TEST(WorkerForward4, WhatIsNotForAVipOrSnatAddressGoesToTheKernelUnchanged) {
    Lab lab;
    lab.apply(lab.web());
    const std::vector<Frame> frames{
        PacketBuilder().ip(kClient, "192.0.2.1").tcp(4000, 22, tcp::kSyn).build(),
        PacketBuilder().vlan(9).ip(kClientV6, "2001:db8::1").udp(4000, 53).build(),
        PacketBuilder().ip(kClient, "192.0.2.1").echo_request(1, 1).build(),
        PacketBuilder().arp_request("192.0.2.254", "192.0.2.1").build(),
        PacketBuilder().raw(0x88cc, std::array<std::uint8_t, 20>{}).build(),
        PacketBuilder().ip(kClient, "192.0.2.1").ipv4_fragment(0x2000).udp(1, 2).payload(24).build(),
    };
    for (const Frame& frame : frames) lab.inject(kNodePort, frame);
    lab.poll();
    std::uint16_t port = 99;
    EXPECT_EQ(lab.to_kernel(&port).size(), frames.size());
    EXPECT_EQ(port, kNodePort);
    EXPECT_EQ(lab.totals().to_kernel.read(), frames.size());
}

}  // namespace
}  // namespace guideway::worker::testing
