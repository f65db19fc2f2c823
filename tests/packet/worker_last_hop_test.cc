// Replies go back to the router that the client's last packet came from (`replies = "last_hop"`), not where the routing table says.
//
//   client --(the table's router 02:..:fe, another 02:..:fd, a third that nobody knows 02:..:fc)-- port 0 [worker]
#include <algorithm>

#include <gtest/gtest.h>

#include "tests/packet/fragment_tools.h"
#include "tests/packet/icmp_quotes.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;

constexpr MacAddress kSecondRouter{0x02, 0, 0, 0, 0, 0xfd};
constexpr MacAddress kUnknownRouter{0x02, 0, 0, 0, 0, 0xfc};

MacAddress goes_to(const Frame& frame) {
    MacAddress mac{};
    if (frame.size() >= mac.size()) std::copy_n(frame.begin(), mac.size(), mac.begin());
    return mac;
}

LabSettings with_last_hop(std::uint32_t ports = 1U << kClientPort, std::uint32_t workers = 1) {
    LabSettings settings;
    settings.last_hop_ports = ports;
    settings.workers = workers;
    return settings;
}

/// A UDP or TCP connection of a client of one family, whose packets come by whichever router.
struct Talk {
    Lab& lab;
    bool v6;
    std::uint16_t port = 40000;
    bool tcp = false;
    Frame behind;  ///< the latest request, as it left to the node

    Frame request(const MacAddress& router, std::uint8_t flags = tcp::kAck, const MacAddress& own = kPortMac0) const {
        PacketBuilder builder;
        builder.ethernet(own, router).ip(v6 ? kClientV6 : kClient, v6 ? kVipV6 : kVip);
        return tcp ? builder.tcp(port, 80, flags).payload(9).build() : builder.udp(port, 53).payload(9).build();
    }
    void ask(const MacAddress& router, std::uint8_t flags = tcp::kAck) {
        behind = lab.pass(kClientPort, request(router, flags));
        EXPECT_FALSE(behind.empty());
    }
    Frame answer(std::uint8_t flags = tcp::kAck) { return lab.pass(kNodePort, lab.reply_to(behind, flags)); }
};

class WorkerLastHop : public ::testing::TestWithParam<bool> {
  protected:
    WorkerLastHop() {
        lab_.apply(lab_.web());
        // A neighbour of either family will do: what counts is its MAC address.
        lab_.learn_neighbour(kClientPort, "192.0.2.253", kSecondRouter);
        lab_.publish_routing();
    }
    Talk talk(std::uint16_t port = 40000) { return {lab_, GetParam(), port, false, {}}; }
    void change_routes() {
        ++lab_.routing().epoch;
        lab_.publish_routing();
    }
    std::uint16_t index_of(const MacAddress& mac) {
        auto& hops = lab_.routing().next_hops;
        return static_cast<std::uint16_t>(
            std::ranges::find_if(hops, [&](const auto& hop) { return hop.destination_mac == mac; }) - hops.begin());
    }

    Lab lab_{with_last_hop()};
};
INSTANTIATE_TEST_SUITE_P(Families, WorkerLastHop, ::testing::Bool(),
                         [](const auto& v6) { return v6.param ? "IPv6" : "IPv4"; });

TEST_P(WorkerLastHop, RepliesGoBackToTheRouterTheRequestCameFrom) {
    // Why: a firewall there keeps the connection's state; by another it would be half a connection.
    Talk second = talk(40000);
    Talk tables = talk(40001);
    for (int round = 0; round < 3; ++round) {
        second.ask(kSecondRouter);
        tables.ask(kRouterMac);
        EXPECT_EQ(goes_to(second.answer()), kSecondRouter);
        EXPECT_EQ(goes_to(tables.answer()), kRouterMac);
    }
    EXPECT_TRUE(std::ranges::equal(packet::testing::faults(second.answer()), std::string()));
}

TEST_P(WorkerLastHop, AnEstablishedTcpConnectionFollowsItsClientsRouter) {
    // Why: on the way of established connections nothing else is asked of a packet.
    Talk talk{lab_, GetParam(), 40000, true, {}};
    talk.ask(kRouterMac, tcp::kSyn);
    EXPECT_EQ(goes_to(talk.answer(tcp::kSyn | tcp::kAck)), kRouterMac);
    for (int round = 0; round < 3; ++round) {
        talk.ask(kRouterMac);
        EXPECT_EQ(goes_to(talk.answer()), kRouterMac);
    }
    const std::uint64_t lookups = lab_.totals().next_hop_lookups.read();
    for (const MacAddress& router : {kSecondRouter, kSecondRouter, kRouterMac, kSecondRouter}) {
        talk.ask(router);
        EXPECT_EQ(goes_to(talk.answer()), router) << "from the very packet that came by it";
    }
    EXPECT_EQ(lab_.totals().next_hop_lookups.read(), lookups) << "no route is looked up for that";
}

TEST_P(WorkerLastHop, APacketForgedInTheBlindMovesNoTcpConnection) {
    // Why: who sees nothing of a connection would else lead its replies where it likes, with one packet.
    Talk talk{lab_, GetParam(), 40000, true, {}};
    talk.ask(kRouterMac, tcp::kSyn);
    EXPECT_EQ(goes_to(talk.answer(tcp::kSyn | tcp::kAck)), kRouterMac);
    talk.ask(kRouterMac);
    EXPECT_EQ(goes_to(talk.answer()), kRouterMac);
    const std::uint32_t known = load_be32(talk.behind.data() + parsed(talk.behind).l4_offset + tcp::kSequence);
    for (const std::uint32_t off : {0x40000000U, 0x80000000U, 0xc0000000U}) {
        PacketBuilder forged;
        forged.ethernet(kPortMac0, kSecondRouter).ip(talk.v6 ? kClientV6 : kClient, talk.v6 ? kVipV6 : kVip);
        forged.tcp(talk.port, 80, tcp::kAck).sequence(known + off, 0).payload(9);
        EXPECT_FALSE(lab_.pass(kClientPort, forged.build()).empty()) << "passed on, for the ends to judge";
        EXPECT_EQ(goes_to(talk.answer()), kRouterMac) << off;
    }
}

TEST_P(WorkerLastHop, NoRouteToTheClientIsNeeded) {
    std::erase_if(lab_.routing().routes, [](const auto& route) { return route.port == kClientPort; });
    change_routes();
    Talk second = talk();
    second.ask(kSecondRouter);
    EXPECT_EQ(goes_to(second.answer()), kSecondRouter);
    EXPECT_EQ(lab_.dropped(), 0U);
}

TEST_P(WorkerLastHop, ARouterNobodyKnowsIsReportedAndTheTableDecidesUntilItIsLearned) {
    Talk unknown = talk();
    for (int round = 0; round < 3; ++round) {
        unknown.ask(kUnknownRouter);
        EXPECT_EQ(goes_to(unknown.answer()), kRouterMac);
    }
    const auto heard = lab_.routers().pop();
    ASSERT_TRUE(heard);
    EXPECT_EQ(heard->mac, kUnknownRouter);
    EXPECT_EQ(heard->port, kClientPort);
    // As the netlink thread does: a next hop without a neighbour.
    lab_.routing().next_hops.push_back({kUnknownRouter, kPortMac0, kClientPort, true, 0});
    lab_.publish_routing();
    EXPECT_EQ(goes_to(unknown.answer()), kRouterMac) << "the client's next packet tells";
    unknown.ask(kUnknownRouter);
    EXPECT_EQ(goes_to(unknown.answer()), kUnknownRouter);
    while (lab_.routers().pop()) continue;
    unknown.ask(kUnknownRouter);
    EXPECT_FALSE(lab_.routers().pop()) << "known now";
}

TEST_P(WorkerLastHop, FromAKnownRouterToAnUnknownOneTheTableDecides) {
    Talk moved = talk();
    moved.ask(kSecondRouter);
    EXPECT_EQ(goes_to(moved.answer()), kSecondRouter);
    moved.ask(kUnknownRouter);
    EXPECT_EQ(goes_to(moved.answer()), kRouterMac);
}

TEST_P(WorkerLastHop, OtherRoutesLeaveItAsItIs) {
    // Why: a client that only receives says nothing; its download must not leave the firewall at each change of routes.
    Talk second = talk();
    second.ask(kSecondRouter);
    for (int round = 0; round < 3; ++round) {
        change_routes();
        EXPECT_EQ(goes_to(second.answer()), kSecondRouter);
        EXPECT_EQ(goes_to(second.answer()), kSecondRouter);
    }
}

TEST_P(WorkerLastHop, AnIndexThatMeansSomebodyElseIsNotUsed) {
    Talk second = talk();
    second.ask(kSecondRouter);
    const std::uint16_t index = index_of(kSecondRouter);
    lab_.routing().next_hops[index].destination_mac = {0x02, 0, 0, 0, 0, 0x66};
    lab_.routing().since[index] = static_cast<std::uint16_t>(lab_.routing().epoch + 1);
    change_routes();
    EXPECT_EQ(goes_to(second.answer()), kRouterMac);
    second.ask(kRouterMac);
    EXPECT_EQ(goes_to(second.answer()), kRouterMac);
}

TEST_P(WorkerLastHop, NorAfterSoManyChangesThatTheirNumberHasGoneRound) {
    Talk second = talk();
    second.ask(kSecondRouter);
    const std::uint16_t index = index_of(kSecondRouter);
    lab_.routing().next_hops[index].destination_mac = {0x02, 0, 0, 0, 0, 0x66};
    lab_.routing().since[index] = static_cast<std::uint16_t>(lab_.routing().epoch + 1);
    change_routes();
    lab_.wait_ms(5000);  // the ageing sweep comes by
    lab_.routing().epoch = static_cast<std::uint16_t>(lab_.routing().epoch + 40'000);
    lab_.publish_routing();
    EXPECT_EQ(goes_to(second.answer()), kRouterMac);
}

TEST_P(WorkerLastHop, AndOneThatStaysOutlivesAsMany) {
    Talk second = talk();
    second.ask(kSecondRouter);
    for (int round = 0; round < 6; ++round) {
        lab_.routing().epoch = static_cast<std::uint16_t>(lab_.routing().epoch + 16'000);
        lab_.publish_routing();
        lab_.wait_ms(5000);
    }
    EXPECT_EQ(goes_to(second.answer()), kSecondRouter);
}

TEST_P(WorkerLastHop, ARouterThatIsGoneLeavesItToTheTable) {
    Talk second = talk();
    second.ask(kSecondRouter);
    lab_.forget_neighbour(kClientPort, "192.0.2.253");
    lab_.publish_routing();
    EXPECT_EQ(goes_to(second.answer()), kRouterMac);
    EXPECT_EQ(lab_.dropped(), 0U);
}

TEST_P(WorkerLastHop, FragmentsAndErrorsGoTheSameWay) {
    Talk second = talk();
    second.ask(kSecondRouter);
    const Frame error = error_about(second.behind, GetParam() ? "2001:db8:2::77" : "10.0.2.77",
                                    GetParam() ? Says{1, 4, 0} : Says{3, 3, 0}, 65535, kNodePort);
    EXPECT_EQ(goes_to(lab_.pass(kNodePort, error)), kSecondRouter);
    const ParsedPacket p = parsed(second.behind);
    const Frame whole = PacketBuilder()
                            .ethernet(kPortMac1, kRouterMac)
                            .ip(p.destination().to_string(), p.source().to_string())
                            .ipv4_fragment(0)
                            .udp(30053, swap_if_little(GetParam() ? p.v6.source_port : p.v4.source_port))
                            .payload(3000)
                            .build();
    const auto parts = cut(whole, 1024, 5);
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (i == 2) change_routes();  // in the middle of a datagram
        EXPECT_EQ(goes_to(lab_.pass(kNodePort, parts[i])), kSecondRouter) << i;
    }
    change_routes();
    EXPECT_EQ(goes_to(lab_.pass(kNodePort, error)), kSecondRouter)
        << "an error is told by an entry of an earlier epoch too";
}

TEST_P(WorkerLastHop, WithoutTheOptionTheTableDecides) {
    Lab lab(with_last_hop(1U << kNodePort));
    lab.apply(lab.web());
    lab.learn_neighbour(kClientPort, "192.0.2.253", kSecondRouter);
    lab.publish_routing();
    Talk second{lab, GetParam(), 40000, false, {}};
    for (int round = 0; round < 3; ++round) {
        second.ask(kSecondRouter);
        EXPECT_EQ(goes_to(second.answer()), kRouterMac);
    }
    EXPECT_FALSE(lab.routers().pop());
}

TEST_P(WorkerLastHop, AClientThatMovesToAPortWithoutTheOptionIsAnsweredByTheTable) {
    Talk second = talk();
    for (int round = 0; round < 2; ++round) {
        second.ask(kSecondRouter);
        EXPECT_EQ(goes_to(second.answer()), kSecondRouter);
    }
    ASSERT_FALSE(lab_.pass(kNodePort, second.request({0x02, 0, 0, 0, 0, 0x70}, tcp::kAck, kPortMac1)).empty());
    EXPECT_EQ(goes_to(second.answer()), kRouterMac);
}

TEST_P(WorkerLastHop, OfTwoPortsEachHasItsOwnRouters) {
    // Why: routers of a pair may share one MAC address (VRRP) on two links.
    Lab lab(with_last_hop(1U << kClientPort | 1U << kNodePort));
    lab.apply(lab.web());
    lab.learn_neighbour(kClientPort, "192.0.2.253", kSecondRouter);
    lab.learn_neighbour(kNodePort, "10.0.2.253", kSecondRouter);
    lab.publish_routing();
    Talk talk{lab, GetParam(), 40000, false, {}};
    for (int round = 0; round < 2; ++round) {
        talk.ask(kSecondRouter);
        lab.inject(kNodePort, lab.reply_to(talk.behind));
        lab.poll_all();
        EXPECT_EQ(lab.sent(kClientPort).size(), 1U);
        ASSERT_FALSE(lab.pass(kNodePort, talk.request(kSecondRouter, tcp::kAck, kPortMac1)).empty());
        lab.inject(kNodePort, lab.reply_to(talk.behind));
        lab.poll_all();
        const auto left = lab.sent(kNodePort);
        ASSERT_EQ(left.size(), 1U);
        EXPECT_EQ(goes_to(left.front()), kSecondRouter);
    }
}

TEST_P(WorkerLastHop, ItHoldsWhicheverWorkerReceives) {
    Lab lab(with_last_hop(1U << kClientPort, 2));
    lab.apply(lab.web());
    lab.learn_neighbour(kClientPort, "192.0.2.253", kSecondRouter);
    lab.publish_routing();
    for (std::uint16_t port = 40000; port < 40008; ++port) {
        Talk talk{lab, GetParam(), port, false, {}};
        for (const std::uint32_t worker : {0U, 1U, 0U, 1U}) {
            const MacAddress& router = worker == 0 ? kSecondRouter : kRouterMac;
            talk.behind = lab.pass(kClientPort, talk.request(router), worker);
            ASSERT_FALSE(talk.behind.empty());
            EXPECT_EQ(goes_to(lab.pass(kNodePort, lab.reply_to(talk.behind), worker)), router);
        }
    }
}

TEST(WorkerLastHopView, TheConnectionsRouterIsToldWithTheReason) {
    Lab lab(with_last_hop());
    lab.apply(lab.web());
    lab.learn_neighbour(kClientPort, "192.0.2.253", kSecondRouter);
    lab.publish_routing();
    Talk talk{lab, false, 40000, false, {}};
    talk.ask(kSecondRouter);
    const auto view = lab.look_up({contract::Protocol::udp, ip(kClient), 40000, ip(kVip), 53});
    ASSERT_TRUE(view);
    EXPECT_EQ(view->to_client,
              "port client-side to 02:00:00:00:00:fd, the router that the client's last packet came by (last_hop)");
}

}  // namespace
}  // namespace guideway::worker::testing
