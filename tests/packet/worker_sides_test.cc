// Clients' and nodes' side kept apart: two networks that may have the same addresses, and nothing of the one reaches the other but by a
// connection to a VIP.
//
//   clients 10.0.2.11, 10.0.2.55, fd00:2::11 ... -- port 0, 192.0.2.1 [workers] port 1, 10.0.2.9 -- nodes 10.0.2.11..13
#include <array>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "dataplane/packet/announcement.h"
#include "tests/packet/fragment_tools.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;

/// Of hosts on the clients' side that have the nodes' addresses.
constexpr MacAddress kTwinMac{0x02, 0, 0, 0, 9, 0x0b};
constexpr MacAddress kStrangeMac{0x02, 0, 0, 0, 9, 0x66};

LabSettings apart(std::uint32_t workers = 1, SourceCheck check = SourceCheck::off) {
    LabSettings settings;
    settings.workers = workers;
    settings.sides_apart = true;
    settings.source_check = check;
    return settings;
}

void add_route(Lab& lab, const char* prefix, std::uint16_t port) {
    snapshot::Route route;
    route.prefix = IpPrefix::parse(prefix).value();
    route.port = port;
    route.on_link = true;
    lab.routing().routes.push_back(route);
}

/// The nodes' networks on the clients' side, too.
void overlap(Lab& lab) {
    add_route(lab, "10.0.2.0/24", kClientPort);
    add_route(lab, "2001:db8:2::/64", kClientPort);
    for (const char* address : {"10.0.2.11", "10.0.2.12", "10.0.2.55", "2001:db8:2::11", "2001:db8:2::12"})
        lab.learn_neighbour(kClientPort, address, kTwinMac);
    lab.routing().ports[kClientPort].addresses = {IpPrefix::parse("192.0.2.1/24").value(),
                                                  IpPrefix::parse("fe80::1:1/64").value()};
    lab.routing().ports[kNodePort].addresses = {IpPrefix::parse("10.0.2.9/24").value()};
    ++lab.routing().epoch;
    lab.publish_routing();
}

class WorkerSides : public ::testing::TestWithParam<std::uint32_t> {
  protected:
    WorkerSides() : lab_(apart(GetParam())) {
        lab_.apply(lab_.web());
        overlap(lab_);
    }
    static PacketBuilder from_node() { return PacketBuilder().ethernet(kPortMac1, kStrangeMac); }
    void expect_astray(std::uint16_t port, const Frame& frame, const std::string& what) {
        for (std::uint32_t worker = 0; worker < GetParam(); ++worker) {
            const std::uint64_t before = lab_.dropped(DropReason::wrong_side);
            EXPECT_TRUE(lab_.pass(port, frame, worker).empty()) << what;
            EXPECT_TRUE(lab_.to_kernel().empty()) << what;
            EXPECT_EQ(lab_.dropped(DropReason::wrong_side), before + 1) << what;
        }
    }
    Frame opened(const char* client, const char* vip, std::uint16_t port) {
        return lab_.pass(kClientPort, PacketBuilder().ip(client, vip).tcp(port, 80, tcp::kSyn).build());
    }
    Lab lab_;
};

TEST_P(WorkerSides, AClientWithTheAddressOfANodeIsServedByAnyNode) {
    // Why: the same destination leads to a client on one side and to a node on the other.
    const struct {
        const char* client;
        const char* vip;
    } families[] = {{"10.0.2.11", kVip}, {"2001:db8:2::11", kVipV6}};
    for (const auto& [client, vip] : families) {
        std::set<std::string> nodes;
        for (std::uint16_t port = 20000; port < 20040; ++port) {
            const Frame out = opened(client, vip, port);
            ASSERT_FALSE(out.empty());
            EXPECT_NE(MacAddress({out[0], out[1], out[2], out[3], out[4], out[5]}), kTwinMac);
            nodes.insert(parsed(out).destination().to_string());
            const Frame back = lab_.pass(kNodePort, lab_.reply_to(out));
            ASSERT_FALSE(back.empty());
            EXPECT_EQ(MacAddress({back[0], back[1], back[2], back[3], back[4], back[5]}), kTwinMac);
            EXPECT_EQ(parsed(back).destination(), ip(client));
        }
        EXPECT_TRUE(nodes.contains(client)) << "the node that has the client's address, too";
        EXPECT_EQ(nodes.size(), 3U);
    }
    EXPECT_EQ(lab_.dropped(), 0U);
}

TEST_P(WorkerSides, AClientMayHaveASnatAddressAndANodeAVip) {
    // Why: each is an address of the other side's network.
    EXPECT_FALSE(opened(kSnat, kVip, 20000).empty());
    expect_astray(kNodePort, from_node().ip("10.0.2.11", kVip).tcp(20000, 80, tcp::kSyn).build(), "to a VIP");
    lab_.inject(kNodePort, from_node().ip(kVip, kSnat).tcp(80, 20000, tcp::kAck).build());
    lab_.poll_all();
    EXPECT_EQ(lab_.dropped(DropReason::own_source), 0U);
}

TEST_P(WorkerSides, AVipIsNotThereForNodesNorASnatAddressForClients) {
    for (const bool v6 : {false, true}) {
        const char* node = v6 ? "2001:db8:2::12" : "10.0.2.12";
        const char* client = v6 ? kClientV6 : kClient;
        const char* vip = v6 ? kVipV6 : kVip;
        const char* snat = v6 ? kSnatV6 : kSnat;
        expect_astray(kNodePort, from_node().ip(node, vip).tcp(20000, 80, tcp::kSyn).build(), "SYN to a service");
        expect_astray(kNodePort, from_node().ip(node, vip).tcp(20000, 81, tcp::kSyn).build(), "to a closed port");
        expect_astray(kNodePort, from_node().ip(node, vip).udp(20000, 53).build(), "UDP");
        expect_astray(kNodePort, from_node().ip(node, vip).echo_request(1, 1).build(), "ping of a VIP");
        expect_astray(kClientPort, PacketBuilder().ip(client, snat).tcp(30080, 5000, tcp::kAck).build(), "a reply");
        expect_astray(kClientPort, PacketBuilder().ip(client, snat).echo_request(1, 1).build(),
                      "ping of a SNAT address");
    }
    EXPECT_EQ(lab_.connections(), 0U);
}

TEST_P(WorkerSides, PacketsOfAKnownConnectionPassOnlyByTheSideTheyBelongTo) {
    // Why: who is on the nodes' side could else speak as a client, by guessing its ports; also the short way of plain packets asks.
    const Frame request = lab_.establish(20001);
    ASSERT_FALSE(request.empty());
    const auto data = [](PacketBuilder builder) { return builder.ip(kClient, kVip).tcp(20001, 80, tcp::kAck).build(); };
    for (int i = 0; i < 3; ++i) ASSERT_FALSE(lab_.pass(kClientPort, data(PacketBuilder())).empty()) << i;
    ASSERT_FALSE(lab_.pass(kNodePort, lab_.reply_to(request, tcp::kAck)).empty());
    expect_astray(kNodePort, data(from_node()), "as the client");
    expect_astray(kNodePort, from_node().ip(kClient, kVip).tcp(20001, 80, tcp::kRst).build(), "a RST as the client");
    Frame reply = lab_.reply_to(request, tcp::kAck);
    std::copy(kPortMac0.begin(), kPortMac0.end(), reply.begin());
    expect_astray(kClientPort, reply, "as the node");
    EXPECT_FALSE(lab_.pass(kClientPort, data(PacketBuilder())).empty()) << "and the connection goes on";
    EXPECT_FALSE(lab_.pass(kNodePort, lab_.reply_to(request, tcp::kAck)).empty());
}

TEST_P(WorkerSides, IcmpErrorsComeByTheSideOfTheirDestination) {
    const Frame request = lab_.establish(20002);
    ASSERT_FALSE(request.empty());
    const std::vector<std::uint8_t> quote(request.begin() + 14, request.begin() + 14 + 28);
    expect_astray(kClientPort, PacketBuilder().ip("192.0.2.254", kSnat).icmp(3, 1).payload(quote).build(), "to SNAT");
    lab_.inject(kNodePort, from_node().ip("10.0.2.12", kSnat).icmp(3, 1).payload(quote).build());
    lab_.poll_all();
    lab_.poll_all();
    EXPECT_EQ(lab_.sent(kClientPort).size(), 1U) << "the node's router may tell";
}

TEST_P(WorkerSides, FragmentsForTheOtherSideEndBeforeTheyAreGathered) {
    const Frame whole = from_node().ip("10.0.2.12", kVip).udp(20000, 53).payload(2000).build();
    for (const bool first : {false, true})
        expect_astray(kNodePort, first ? piece_of(whole, 0, 1480, true, 7) : piece_of(whole, 1480, 528, false, 7),
                      "fragment");
}

INSTANTIATE_TEST_SUITE_P(Workers, WorkerSides, ::testing::Values(1U, 2U));

class OneWorkerSides : public ::testing::Test {
  protected:
    explicit OneWorkerSides(SourceCheck check = SourceCheck::off) : lab_(apart(1, check)) {
        lab_.apply(lab_.web());
        overlap(lab_);
    }
    void receive(std::uint16_t port, const Frame& frame) {
        lab_.inject(port, frame);
        lab_.poll();
    }
    static PacketBuilder to(std::uint16_t port) {
        return PacketBuilder().ethernet(port == kClientPort ? kPortMac0 : kPortMac1, kStrangeMac);
    }
    Lab lab_;
};

TEST_F(OneWorkerSides, NeighboursAreAnsweredOnAnAddresssOwnSideAlone) {
    const auto asked = [&](std::uint16_t port, const char* target) {
        if (ip(target).is_v4()) {
            receive(port, PacketBuilder().arp_request("10.0.2.11", target).build());
        } else {
            receive(port, PacketBuilder()
                              .ethernet({0x33, 0x33, 0xff, 0, 0, 0x10}, kStrangeMac)
                              .ip("2001:db8:2::11", ip(target) == ip(kVipV6) ? "ff02::1:ff00:10" : "ff02::1:ff00:1")
                              .neighbour_solicitation(target, kStrangeMac)
                              .build());
        }
        return lab_.sent(port).size();
    };
    for (const char* vip : {kVip, kVipV6}) {
        EXPECT_EQ(asked(kClientPort, vip), 1U) << vip;
        EXPECT_EQ(asked(kNodePort, vip), 0U) << vip << ": for the kernel, as any other address";
    }
    for (const char* snat : {kSnat, kSnatV6}) {
        EXPECT_EQ(asked(kNodePort, snat), 1U) << snat;
        EXPECT_EQ(asked(kClientPort, snat), 0U) << snat;
    }
    EXPECT_EQ(lab_.to_kernel().size(), 4U);
}

TEST_F(OneWorkerSides, ClaimsOfAnAddressAreHeardOnItsOwnSideAlone) {
    // Why: on the other side the address may rightly be somebody's.
    const auto claim = [&](std::uint16_t port, const char* address) {
        std::array<std::uint8_t, kAnnouncementCapacity> out;
        const std::uint32_t length = build_announcement(out, ip(address), kStrangeMac, ArpForm::reply);
        receive(port, {out.begin(), out.begin() + length});
        return lab_.claims().pop().has_value();
    };
    for (const char* address : {kVip, kVipV6}) {
        EXPECT_TRUE(claim(kClientPort, address));
        EXPECT_FALSE(claim(kNodePort, address));
    }
    for (const char* address : {kSnat, kSnatV6}) {
        EXPECT_TRUE(claim(kNodePort, address));
        EXPECT_FALSE(claim(kClientPort, address));
    }
}

TEST_F(OneWorkerSides, TheKernelGetsWhatIsForItsOwnAddressesOfThatSide) {
    const auto given = [&](std::uint16_t port, const char* source, const char* destination) {
        receive(port, to(port).ip(source, destination).tcp(20000, 22, tcp::kSyn).build());
        return lab_.to_kernel().size();
    };
    EXPECT_EQ(given(kClientPort, kClient, "192.0.2.1"), 1U);
    EXPECT_EQ(given(kClientPort, "fe80::7", "fe80::1:1"), 1U);
    EXPECT_EQ(given(kNodePort, "10.0.2.11", "10.0.2.9"), 1U);
    EXPECT_EQ(lab_.dropped(DropReason::wrong_side), 0U);
    EXPECT_EQ(given(kClientPort, kClient, "10.0.2.9"), 0U) << "the appliance's address on the other side";
    EXPECT_EQ(given(kNodePort, "10.0.2.11", "192.0.2.1"), 0U);
    EXPECT_EQ(given(kClientPort, kClient, "10.0.2.12"), 0U) << "a node's: the kernel would forward";
    EXPECT_EQ(given(kClientPort, kClient, "172.16.0.1"), 0U) << "the management's";
    EXPECT_EQ(given(kNodePort, "10.0.2.11", kClient), 0U);
    EXPECT_EQ(lab_.dropped(DropReason::wrong_side), 5U);
}

TEST_F(OneWorkerSides, GroupsBroadcastAndWhatHasNoAddressGoToTheKernel) {
    receive(kClientPort, to(kClientPort).ip("192.0.2.254", "224.0.0.5").protocol(89).build());
    receive(kClientPort, to(kClientPort).ip("fe80::7", "ff02::5").protocol(89).build());
    receive(kClientPort, to(kClientPort).ip("192.0.2.254", "255.255.255.255").udp(68, 67).build());
    receive(kClientPort, to(kClientPort).raw(0x88cc, std::array<std::uint8_t, 40>{}).build());
    receive(kNodePort, PacketBuilder().arp_request("10.0.2.11", "10.0.2.9").build());
    EXPECT_EQ(lab_.to_kernel().size(), 5U);
    EXPECT_EQ(lab_.dropped(), 0U);
}

TEST_F(OneWorkerSides, APacketThatWaitsForANodeIsNotSentToItsTwinOnTheOtherSide) {
    for (const char* node : {"10.0.2.11", "10.0.2.12", "10.0.2.13"}) lab_.forget_neighbour(kNodePort, node);
    lab_.publish_routing();
    receive(kClientPort, PacketBuilder().ip("10.0.2.55", kVip).tcp(20000, 80, tcp::kSyn).build());
    EXPECT_EQ(lab_.totals().pending.read(), 1U);
    const auto asked = lab_.resolve().pop();
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->port, kNodePort);
    lab_.learn_neighbour(kClientPort, "10.0.2.13", kTwinMac);
    ++lab_.routing().epoch;
    lab_.publish_routing();
    lab_.wait_ms(100);
    EXPECT_TRUE(lab_.sent(kClientPort).empty());
    EXPECT_EQ(lab_.totals().pending.read(), 1U);
    lab_.learn_neighbour(kNodePort, asked->address.to_string(), {0x02, 0, 0, 0, 1, 0x0b});
    ++lab_.routing().epoch;
    lab_.publish_routing();
    lab_.wait_ms(100);
    EXPECT_EQ(lab_.sent(kNodePort).size(), 1U);
}

class LooseSides : public OneWorkerSides {
  protected:
    LooseSides() : OneWorkerSides(SourceCheck::loose) {}
};

TEST_F(LooseSides, ASourceIsLookedUpOnTheSideItCameBy) {
    add_route(lab_, "172.20.0.0/16", kNodePort);
    ++lab_.routing().epoch;
    lab_.publish_routing();
    receive(kClientPort, PacketBuilder().ip("172.20.0.1", kVip).tcp(20000, 80, tcp::kSyn).build());
    EXPECT_EQ(lab_.dropped(DropReason::source_unroutable), 1U) << "the nodes' side alone knows it";
    EXPECT_FALSE(
        lab_.pass(kClientPort, PacketBuilder().ip("10.0.2.55", kVip).tcp(20000, 80, tcp::kSyn).build()).empty());
}

}  // namespace
}  // namespace guideway::worker::testing
