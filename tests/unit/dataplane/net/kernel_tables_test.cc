#include "dataplane/net/kernel_tables.h"

#include <algorithm>
#include <cstring>
#include <linux/if.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <map>
#include <string>
#include <sys/socket.h>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/dataplane/net/kernel_message.h"

namespace guideway::net {
namespace {

using snapshot::MacAddress;
using snapshot::NextHopResult;

constexpr unsigned kClientTwin = 7;  // ifindex of port 0's twin
constexpr unsigned kNodeTwin = 9;    // ifindex of port 1's twin
constexpr MacAddress kClientMac{2, 0, 0, 0, 0, 1};
constexpr MacAddress kNodeMac{2, 0, 0, 0, 0, 2};

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }
IpPrefix net_of(const std::string& text) { return *IpPrefix::parse(text); }

unsigned char family(const IpAddress& address) { return address.is_v4() ? AF_INET : AF_INET6; }

KernelMessage neighbour(unsigned ifindex, const std::string& address, std::uint16_t state, MacAddress mac,
                        std::uint16_t type = RTM_NEWNEIGH) {
    ndmsg body{};
    body.ndm_family = family(ip(address));
    body.ndm_ifindex = static_cast<int>(ifindex);
    body.ndm_state = state;
    return KernelMessage(type, body).with(NDA_DST, ip(address)).with(NDA_LLADDR, mac);
}

KernelMessage route(const std::string& prefix, unsigned ifindex, const std::string& via = "", std::uint32_t metric = 0,
                    std::uint16_t type = RTM_NEWROUTE, std::uint16_t flags = 0) {
    const IpPrefix to = net_of(prefix);
    rtmsg body{};
    body.rtm_family = family(to.address);
    body.rtm_dst_len = to.length;
    body.rtm_table = RT_TABLE_MAIN;
    body.rtm_type = RTN_UNICAST;
    KernelMessage message(type, body, flags);
    if (to.length > 0) message.with(RTA_DST, to.address);
    message.with(RTA_OIF, std::uint32_t{ifindex});
    if (!via.empty()) message.with(RTA_GATEWAY, ip(via));
    if (metric != 0) message.with(RTA_PRIORITY, metric);
    return message;
}

class KernelTablesTest : public ::testing::Test {
  protected:
    void SetUp() override {
        route("192.0.2.0/24", kClientTwin).send(tables);
        route("10.0.2.0/24", kNodeTwin).send(tables);
    }
    KernelTables tables{{{kClientTwin, kClientMac, 1500}, {kNodeTwin, kNodeMac, 1400}}};
};

constexpr MacAddress kA{0, 0xaa, 0, 0, 0, 1};
constexpr MacAddress kB{0, 0xbb, 0, 0, 0, 1};

TEST_F(KernelTablesTest, AnOnLinkDestinationIsItsOwnNextHop) {
    neighbour(kNodeTwin, "10.0.2.11", NUD_REACHABLE, kA).send(tables);
    const auto snapshot = tables.build();
    ASSERT_NE(snapshot, nullptr);
    const auto found = snapshot->lookup(ip("10.0.2.11"));
    ASSERT_EQ(found.kind, NextHopResult::Kind::found);
    const auto& hop = snapshot->next_hops[found.index];
    EXPECT_EQ(hop.destination_mac, kA);
    EXPECT_EQ(hop.source_mac, kNodeMac);
    EXPECT_EQ(hop.port, 1);
    EXPECT_TRUE(hop.usable);
    EXPECT_EQ(snapshot->ports[1].mtu, 1400);
}

TEST_F(KernelTablesTest, AGatewayStandsForEverythingBehindItInBothFamilies) {
    route("0.0.0.0/0", kClientTwin, "192.0.2.254").send(tables);
    route("2001:db8:9::/48", kClientTwin, "fe80::1").send(tables);
    neighbour(kClientTwin, "192.0.2.254", NUD_STALE, kA).send(tables);
    neighbour(kClientTwin, "fe80::1", NUD_STALE, kB).send(tables);
    const auto snapshot = tables.build();
    ASSERT_EQ(snapshot->lookup(ip("198.51.100.7")).kind, NextHopResult::Kind::found);
    EXPECT_EQ(snapshot->next_hops[snapshot->lookup(ip("198.51.100.7")).index].destination_mac, kA);
    EXPECT_EQ(snapshot->next_hops[snapshot->lookup(ip("2001:db8:9::5")).index].destination_mac, kB);
    EXPECT_EQ(tables.gateways().size(), 2U);
}

TEST_F(KernelTablesTest, AnUnresolvedNextHopNamesWhomToAsk) {
    const auto result = tables.build()->lookup(ip("10.0.2.12"));
    EXPECT_EQ(result.kind, NextHopResult::Kind::unresolved);
    EXPECT_EQ(result.neighbour, (snapshot::NeighbourKey{1, ip("10.0.2.12")}));
}

TEST_F(KernelTablesTest, AChangeOfStateAloneIsNoNewSnapshot) {
    neighbour(kNodeTwin, "10.0.2.11", NUD_REACHABLE, kA).send(tables);
    ASSERT_NE(tables.build(), nullptr);
    neighbour(kNodeTwin, "10.0.2.11", NUD_STALE, kA).send(tables);
    EXPECT_EQ(tables.build(), nullptr);
    EXPECT_TRUE(tables.is_stale({1, ip("10.0.2.11")}));
    neighbour(kNodeTwin, "10.0.2.11", NUD_PROBE, kA).send(tables);
    EXPECT_EQ(tables.build(), nullptr);
}

TEST_F(KernelTablesTest, AnotherMacKeepsTheIndexAndMovesTheEpoch) {
    neighbour(kNodeTwin, "10.0.2.11", NUD_REACHABLE, kA).send(tables);
    const auto before = tables.build();
    neighbour(kNodeTwin, "10.0.2.11", NUD_REACHABLE, kB).send(tables);
    const auto after = tables.build();
    ASSERT_NE(after, nullptr);
    EXPECT_NE(after->epoch, before->epoch);
    EXPECT_EQ(after->lookup(ip("10.0.2.11")).index, before->lookup(ip("10.0.2.11")).index);
    EXPECT_EQ(after->next_hops[after->lookup(ip("10.0.2.11")).index].destination_mac, kB);
}

TEST_F(KernelTablesTest, ANewNeighbourDisturbsNobody) {
    neighbour(kNodeTwin, "10.0.2.12", NUD_REACHABLE, kA).send(tables);
    const auto before = tables.build();
    neighbour(kNodeTwin, "10.0.2.11", NUD_REACHABLE, kB).send(tables);  // sorts before the other
    const auto after = tables.build();
    ASSERT_NE(after, nullptr);
    EXPECT_EQ(after->epoch, before->epoch);
    EXPECT_EQ(after->lookup(ip("10.0.2.12")).index, before->lookup(ip("10.0.2.12")).index);
}

TEST_F(KernelTablesTest, AFailedNeighbourGoesAndItsIndexIsUsedAgainInAnotherEpoch) {
    neighbour(kNodeTwin, "10.0.2.11", NUD_REACHABLE, kA).send(tables);
    const auto first = tables.build();
    neighbour(kNodeTwin, "10.0.2.11", NUD_FAILED, kA).send(tables);
    const auto gone = tables.build();
    ASSERT_NE(gone, nullptr);
    EXPECT_EQ(gone->lookup(ip("10.0.2.11")).kind, NextHopResult::Kind::unresolved);
    EXPECT_NE(gone->epoch, first->epoch);
    neighbour(kNodeTwin, "10.0.2.12", NUD_REACHABLE, kB).send(tables);
    const auto reused = tables.build();
    EXPECT_EQ(reused->lookup(ip("10.0.2.12")).index, first->lookup(ip("10.0.2.11")).index);
    EXPECT_NE(reused->epoch, first->epoch);
}

TEST_F(KernelTablesTest, AMoreSpecificRouteAndALowerMetricWin) {
    route("0.0.0.0/0", kClientTwin, "192.0.2.254", 100).send(tables);
    route("0.0.0.0/0", kNodeTwin, "10.0.2.254", 50).send(tables);
    route("203.0.113.0/24", kClientTwin, "192.0.2.253").send(tables);
    const auto snapshot = tables.build();
    EXPECT_EQ(snapshot->lookup(ip("198.51.100.1")).neighbour.address, ip("10.0.2.254"));
    EXPECT_EQ(snapshot->lookup(ip("203.0.113.1")).neighbour.address, ip("192.0.2.253"));
}

TEST_F(KernelTablesTest, ARouteThatIsReplacedOrDeletedMovesTheEpoch) {
    route("0.0.0.0/0", kClientTwin, "192.0.2.254").send(tables);
    const auto first = tables.build();
    route("0.0.0.0/0", kClientTwin, "192.0.2.253", 0, RTM_NEWROUTE, NLM_F_REPLACE).send(tables);
    const auto second = tables.build();
    ASSERT_NE(second, nullptr);
    EXPECT_NE(second->epoch, first->epoch);
    EXPECT_EQ(second->lookup(ip("198.51.100.1")).neighbour.address, ip("192.0.2.253"));
    route("0.0.0.0/0", kClientTwin, "192.0.2.253", 0, RTM_DELROUTE).send(tables);
    EXPECT_EQ(tables.build()->lookup(ip("198.51.100.1")).kind, NextHopResult::Kind::no_route);
}

struct Hop {
    unsigned ifindex;
    const char* via;
    unsigned weight = 1;
};

/// As `ip route add PREFIX nexthop ... nexthop ...` is told.
KernelMessage multipath(const std::string& prefix, const std::vector<Hop>& hops, std::uint16_t type = RTM_NEWROUTE,
                        std::uint16_t flags = 0, std::uint32_t metric = 0) {
    const IpPrefix to = net_of(prefix);
    rtmsg body{};
    body.rtm_family = family(to.address);
    body.rtm_dst_len = to.length;
    body.rtm_table = RT_TABLE_MAIN;
    body.rtm_type = RTN_UNICAST;
    std::vector<std::uint8_t> list;
    const auto add = [&](const void* data, std::size_t size) {
        const auto* bytes = static_cast<const std::uint8_t*>(data);
        list.insert(list.end(), bytes, bytes + size);
    };
    for (const Hop& one : hops) {
        const IpAddress gateway = ip(one.via);
        const std::size_t size = gateway.bits() / 8;
        rtnexthop hop{};
        hop.rtnh_ifindex = static_cast<int>(one.ifindex);
        hop.rtnh_hops = static_cast<unsigned char>(one.weight - 1);
        hop.rtnh_len = static_cast<std::uint16_t>(sizeof hop + RTA_LENGTH(size));
        const rtattr head{static_cast<std::uint16_t>(RTA_LENGTH(size)), RTA_GATEWAY};
        add(&hop, sizeof hop);
        add(&head, sizeof head);
        add(gateway.bytes.data(), size);
    }
    KernelMessage message(type, body, flags);
    if (to.length > 0) message.with(RTA_DST, to.address);
    if (metric != 0) message.with(RTA_PRIORITY, metric);
    return message.with(RTA_MULTIPATH, list.data(), list.size());
}

KernelMessage link_of(unsigned ifindex, unsigned flags) {
    ifinfomsg body{};
    body.ifi_index = static_cast<int>(ifindex);
    body.ifi_flags = flags;
    return KernelMessage(RTM_NEWLINK, body);
}

KernelMessage object(std::uint32_t id, unsigned ifindex, const std::string& via, std::uint16_t type = RTM_NEWNEXTHOP) {
    nhmsg body{};
    body.nh_family = family(ip(via));
    return KernelMessage(type, body).with(NHA_ID, id).with(NHA_OIF, std::uint32_t{ifindex}).with(NHA_GATEWAY, ip(via));
}

KernelMessage group_of(std::uint32_t id, const std::vector<nexthop_grp>& members) {
    return KernelMessage(RTM_NEWNEXTHOP, nhmsg{})
        .with(NHA_ID, id)
        .with(NHA_GROUP, members.data(), members.size() * sizeof(nexthop_grp));
}

/// The routers that flows to the destination go by, resolved or not, with how many of 4000.
std::map<std::string, int> shares(const snapshot::RoutingSnapshot& snapshot, const std::string& destination) {
    std::map<std::string, int> list;
    for (std::uint64_t flow = 0; flow < 4000; ++flow) {
        const auto found = snapshot.lookup(ip(destination), flow * 0x9e3779b97f4a7c15ULL);
        if (found.kind == NextHopResult::Kind::no_route) continue;
        if (found.kind == NextHopResult::Kind::unresolved) {
            ++list[found.neighbour.address.to_string()];
            continue;
        }
        for (const auto& [key, index] : snapshot.neighbours) {
            if (index == found.index) ++list[key.address.to_string()];
        }
    }
    return list;
}

std::vector<std::string> routers(const snapshot::RoutingSnapshot& snapshot, const std::string& destination) {
    std::vector<std::string> list;
    for (const auto& [router, share] : shares(snapshot, destination)) list.push_back(router);
    return list;
}

using Routers = std::vector<std::string>;

TEST_F(KernelTablesTest, OfSeveralNextHopsAllAreUsedByTheirWeight) {
    multipath("0.0.0.0/0", {{kClientTwin, "192.0.2.250", 3}, {kNodeTwin, "10.0.2.251", 1}}).send(tables);
    multipath("::/0", {{kClientTwin, "fe80::1"}, {kNodeTwin, "fe80::1"}}, RTM_NEWROUTE, 0, 1024).send(tables);
    const auto snapshot = tables.build();
    auto share = shares(*snapshot, "198.51.100.1");
    ASSERT_EQ(share.size(), 2U);
    EXPECT_NEAR(share["192.0.2.250"], 3000, 150);
    EXPECT_EQ(snapshot->lookup(ip("198.51.100.1")).ways, 2U);
    EXPECT_EQ(snapshot->lookup(ip("2001:db8::1")).ways, 2U) << "one address on two links is two routers";
    EXPECT_EQ(tables.gateways().size(), 4U);
    for (const std::uint16_t port : {0, 1}) EXPECT_TRUE(snapshot->has_route_through(ip("198.51.100.1"), port));
}

TEST_F(KernelTablesTest, ResolvedRoutersServeAloneUntilOthersAnswer) {
    multipath("0.0.0.0/0", {{kClientTwin, "192.0.2.250"}, {kClientTwin, "192.0.2.251"}}).send(tables);
    neighbour(kClientTwin, "192.0.2.251", NUD_REACHABLE, kA).send(tables);
    const auto one = tables.build();
    EXPECT_EQ(routers(*one, "198.51.100.1"), Routers{"192.0.2.251"});
    neighbour(kClientTwin, "192.0.2.250", NUD_REACHABLE, kB).send(tables);
    const auto both = tables.build();
    EXPECT_EQ(both->epoch, one->epoch) << "nobody has to move";
    EXPECT_EQ(routers(*both, "198.51.100.1").size(), 2U);
    neighbour(kClientTwin, "192.0.2.251", NUD_FAILED, kA).send(tables);
    const auto other = tables.build();
    EXPECT_NE(other->epoch, both->epoch);
    EXPECT_EQ(routers(*other, "198.51.100.1"), Routers{"192.0.2.250"});
}

TEST_F(KernelTablesTest, IPv6SiblingsComeAndGoOneByOne) {
    // As Linux tells `ip -6 route add`, `append` (all of them again) and `del` (the one).
    route("2001:db8::/48", kClientTwin, "fd01::2", 100).send(tables);
    multipath("2001:db8::/48", {{kNodeTwin, "fd02::2"}, {kClientTwin, "fd01::2"}}, RTM_NEWROUTE, NLM_F_APPEND, 100)
        .send(tables);
    EXPECT_EQ(routers(*tables.build(), "2001:db8::1"), (Routers{"fd01::2", "fd02::2"}));
    route("2001:db8::/48", kClientTwin, "fd01::2", 100, RTM_DELROUTE).send(tables);
    EXPECT_EQ(routers(*tables.build(), "2001:db8::1"), Routers{"fd02::2"});
    route("2001:db8::/48", kClientTwin, "fd01::3", 100).send(tables);
    EXPECT_EQ(routers(*tables.build(), "2001:db8::1"), (Routers{"fd01::3", "fd02::2"})) << "told one by one";
    multipath("2001:db8::/48", {{kClientTwin, "fd01::3"}, {kNodeTwin, "fd02::2"}}, RTM_DELROUTE, 0, 100).send(tables);
    EXPECT_EQ(tables.build()->lookup(ip("2001:db8::1")).kind, NextHopResult::Kind::no_route);
}

TEST_F(KernelTablesTest, ChangedInPlaceTheWaysAreTheNewOnes) {
    multipath("0.0.0.0/0", {{kClientTwin, "192.0.2.250"}, {kClientTwin, "192.0.2.251"}}).send(tables);
    ASSERT_NE(tables.build(), nullptr);
    multipath("0.0.0.0/0", {{kClientTwin, "192.0.2.251", 9}, {kClientTwin, "192.0.2.252"}}, RTM_NEWROUTE, NLM_F_REPLACE)
        .send(tables);
    auto share = shares(*tables.build(), "198.51.100.1");
    EXPECT_EQ(share.size(), 2U);
    EXPECT_NEAR(share["192.0.2.251"], 3600, 120);
    multipath("0.0.0.0/0", {{kClientTwin, "192.0.2.251"}, {kClientTwin, "192.0.2.252"}}).send(tables);
    EXPECT_NEAR(shares(*tables.build(), "198.51.100.1")["192.0.2.251"], 2000, 150) << "the weight told last counts";
    multipath("0.0.0.0/0", {{kClientTwin, "192.0.2.251"}, {kClientTwin, "192.0.2.251"}, {55, "172.16.0.1"}},
              RTM_NEWROUTE, NLM_F_REPLACE)
        .send(tables);
    EXPECT_EQ(tables.build()->lookup(ip("198.51.100.1")).ways, 1U) << "one router twice, and one of no port";
}

TEST_F(KernelTablesTest, AWayOfALinkThatGoesDownComesBackWithIt) {
    // Why: the kernel keeps such a route, and says nothing of it when the link comes again.
    for (const unsigned twin : {kClientTwin, kNodeTwin}) link_of(twin, IFF_UP | IFF_RUNNING).send(tables);
    multipath("0.0.0.0/0", {{kClientTwin, "192.0.2.250"}, {kNodeTwin, "10.0.2.251"}}).send(tables);
    EXPECT_EQ(routers(*tables.build(), "198.51.100.1").size(), 2U);
    link_of(kNodeTwin, 0).send(tables);
    EXPECT_EQ(routers(*tables.build(), "198.51.100.1"), Routers{"192.0.2.250"});
    link_of(kNodeTwin, IFF_UP | IFF_RUNNING).send(tables);
    EXPECT_EQ(routers(*tables.build(), "198.51.100.1").size(), 2U);
    for (const unsigned twin : {kClientTwin, kNodeTwin}) link_of(twin, 0).send(tables);
    for (const unsigned twin : {kClientTwin, kNodeTwin}) link_of(twin, IFF_UP | IFF_RUNNING).send(tables);
    EXPECT_EQ(tables.build()->lookup(ip("198.51.100.1")).kind, NextHopResult::Kind::no_route)
        << "with the last of its links the kernel removes the route";
}

TEST_F(KernelTablesTest, ACableWithoutLinkIsNoWayWhereThereIsAnother) {
    // Why: the twin is up as long as the program runs; only the interface tells.
    constexpr unsigned kDevice = 20;
    KernelTables plugged{{{kClientTwin, kClientMac, 1500, kDevice}, {kNodeTwin, kNodeMac, 1400, kDevice + 1}}};
    for (const unsigned twin : {kClientTwin, kNodeTwin, kDevice, kDevice + 1})
        link_of(twin, IFF_UP | IFF_RUNNING).send(plugged);
    multipath("0.0.0.0/0", {{kClientTwin, "192.0.2.250"}, {kNodeTwin, "10.0.2.251"}}).send(plugged);
    neighbour(kClientTwin, "192.0.2.250", NUD_REACHABLE, kA).send(plugged);
    neighbour(kNodeTwin, "10.0.2.251", NUD_REACHABLE, kB).send(plugged);
    const auto whole = plugged.build();
    EXPECT_EQ(routers(*whole, "198.51.100.1").size(), 2U);
    link_of(kDevice + 1, IFF_UP).send(plugged);
    const auto cut = plugged.build();
    ASSERT_NE(cut, nullptr);
    EXPECT_FALSE(cut->ports[1].link_up);
    EXPECT_NE(cut->epoch, whole->epoch) << "flows look again";
    EXPECT_EQ(routers(*cut, "198.51.100.1"), Routers{"192.0.2.250"});
    link_of(kDevice + 1, IFF_UP | IFF_RUNNING).send(plugged);
    const auto again = plugged.build();
    EXPECT_EQ(routers(*again, "198.51.100.1").size(), 2U);
    EXPECT_EQ(again->epoch, cut->epoch) << "flows that have a link stay where they are";
    // Without any link flows took whichever way; they must not stay on a dead one when another works.
    for (const unsigned device : {kDevice, kDevice + 1}) link_of(device, IFF_UP).send(plugged);
    const auto dark = plugged.build();
    EXPECT_EQ(routers(*dark, "198.51.100.1").size(), 2U);
    link_of(kDevice + 1, IFF_UP | IFF_RUNNING).send(plugged);
    const auto light = plugged.build();
    EXPECT_NE(light->epoch, dark->epoch);
    EXPECT_EQ(routers(*light, "198.51.100.1"), Routers{"10.0.2.251"});
}

TEST_F(KernelTablesTest, RoutesOfAnObjectThatIsRemovedGoWithoutAMessage) {
    // Why: the kernel flushes them silently; a new object by the same number must not bring them back.
    rtmsg body{};
    body.rtm_family = AF_INET;
    body.rtm_table = RT_TABLE_MAIN;
    body.rtm_type = RTN_UNICAST;
    const auto way_there = [&] {
        return tables.build()->lookup(ip("198.51.100.1")).kind != NextHopResult::Kind::no_route;
    };
    const auto put = [&](std::uint32_t id) {
        object(1, kClientTwin, "192.0.2.250").send(tables);
        object(2, kClientTwin, "192.0.2.251").send(tables);
        group_of(10, {{1, 0, 0, 0}, {2, 0, 0, 0}}).send(tables);
        KernelMessage(RTM_NEWROUTE, body).with(RTA_NH_ID, id).send(tables);
        EXPECT_EQ(tables.gateways().size(), id == 10 ? 2U : 1U);
        return way_there();
    };
    EXPECT_TRUE(put(1));
    object(1, kClientTwin, "192.0.2.250", RTM_DELNEXTHOP).send(tables);
    EXPECT_FALSE(way_there());
    object(1, kClientTwin, "192.0.2.250").send(tables);
    EXPECT_EQ(tables.build(), nullptr) << "the route is gone";
    EXPECT_TRUE(put(1));
    object(1, 55, "192.0.2.250").send(tables);
    EXPECT_FALSE(way_there()) << "changed to an interface of somebody else";
    object(1, kClientTwin, "192.0.2.250").send(tables);
    EXPECT_TRUE(way_there()) << "and back: the route was there all the time";
    EXPECT_TRUE(put(10));
    object(1, kClientTwin, "192.0.2.250", RTM_DELNEXTHOP).send(tables);
    EXPECT_TRUE(way_there()) << "its group has another";
    object(2, kClientTwin, "192.0.2.251", RTM_DELNEXTHOP).send(tables);
    EXPECT_FALSE(way_there());
    group_of(10, {{1, 0, 0, 0}}).send(tables);
    object(1, kClientTwin, "192.0.2.250").send(tables);
    EXPECT_EQ(tables.build(), nullptr);
}

TEST(Ways, SharesOfOnePlaceAddUpToABound) {
    std::vector<Way> ways;
    for (int i = 0; i < 300; ++i) add_way(ways, {0, std::nullopt, 256});
    ASSERT_EQ(ways.size(), 1U);
    EXPECT_EQ(ways.front().weight, 65'535);
}

TEST_F(KernelTablesTest, NextHopObjectsAreFollowedForThemselves) {
    // Why: FRR's routes name a group by its number; groups change without a message about the route.
    object(1, kClientTwin, "192.0.2.250").send(tables);
    object(2, kNodeTwin, "10.0.2.251").send(tables);
    group_of(10, {{1, 2, 0, 0}, {2, 0, 0, 0}}).send(tables);
    rtmsg body{};
    body.rtm_family = AF_INET;
    body.rtm_table = RT_TABLE_MAIN;
    body.rtm_type = RTN_UNICAST;
    KernelMessage(RTM_NEWROUTE, body).with(RTA_NH_ID, std::uint32_t{10}).send(tables);
    auto share = shares(*tables.build(), "198.51.100.1");
    ASSERT_EQ(share.size(), 2U);
    EXPECT_NEAR(share["192.0.2.250"], 3000, 150);
    EXPECT_EQ(tables.gateways().size(), 2U);
    object(2, kNodeTwin, "10.0.2.251", RTM_DELNEXTHOP).send(tables);
    EXPECT_EQ(routers(*tables.build(), "198.51.100.1"), Routers{"192.0.2.250"});
    object(1, kClientTwin, "192.0.2.249").send(tables);
    EXPECT_EQ(routers(*tables.build(), "198.51.100.1"), Routers{"192.0.2.249"});
    link_of(kClientTwin, 0).send(tables);
    EXPECT_EQ(tables.build()->lookup(ip("198.51.100.1")).kind, NextHopResult::Kind::no_route);
    object(1, kClientTwin, "192.0.2.249").send(tables);
    EXPECT_EQ(tables.build(), nullptr) << "the group went with its last, and the route with it";
    KernelMessage(RTM_NEWROUTE, body).with(RTA_NH_ID, std::uint32_t{1}).send(tables);
    ASSERT_NE(tables.build(), nullptr);
    KernelMessage(RTM_DELROUTE, body).with(RTA_NH_ID, std::uint32_t{1}).send(tables);
    EXPECT_EQ(tables.build()->lookup(ip("198.51.100.1")).kind, NextHopResult::Kind::no_route);
}

using Moment = KernelTables::TimePoint;

TEST_F(KernelTablesTest, ARouterThatIsHeardIsANextHopAndKeepsItsIndex) {
    link_of(kClientTwin, IFF_UP | IFF_RUNNING).send(tables);
    neighbour(kNodeTwin, "10.0.2.11", NUD_REACHABLE, kB).send(tables);
    const auto before = tables.build();
    EXPECT_EQ(before->hop_to(0, kA.data()), snapshot::RoutingSnapshot::kNoHop);
    EXPECT_TRUE(tables.learn(0, kA, Moment{}));
    EXPECT_FALSE(tables.learn(0, kA, Moment{})) << "that is no news";
    const auto after = tables.build();
    ASSERT_NE(after, nullptr);
    EXPECT_EQ(after->epoch, before->epoch) << "nobody has to look again";
    EXPECT_TRUE(tables.only_learned());
    const std::uint16_t index = after->hop_to(0, kA.data());
    ASSERT_NE(index, snapshot::RoutingSnapshot::kNoHop);
    EXPECT_EQ(after->hop_to(1, kA.data()), snapshot::RoutingSnapshot::kNoHop) << "it is a router of that port";
    EXPECT_EQ(after->next_hops[index].destination_mac, kA);
    EXPECT_EQ(after->next_hops[index].source_mac, kClientMac);
    EXPECT_TRUE(after->still_means(index, after->epoch));
    EXPECT_EQ(tables.build(), nullptr);

    route("0.0.0.0/0", kClientTwin, "192.0.2.254").send(tables);
    neighbour(kNodeTwin, "10.0.2.11", NUD_FAILED, kB).send(tables);
    const auto later = tables.build();
    EXPECT_FALSE(tables.only_learned());
    EXPECT_NE(later->epoch, after->epoch);
    EXPECT_EQ(later->hop_to(0, kA.data()), index);
    EXPECT_TRUE(later->still_means(index, after->epoch));
    EXPECT_FALSE(later->still_means(after->lookup(ip("10.0.2.11")).index, after->epoch));
    link_of(kClientTwin, IFF_UP).send(tables);
    const auto down = tables.build();
    EXPECT_FALSE(down->still_means(index, after->epoch)) << "without a link it serves nobody";
}

TEST_F(KernelTablesTest, AnIndexThatIsGivenAgainMeansSomethingNew) {
    neighbour(kNodeTwin, "10.0.2.11", NUD_REACHABLE, kA).send(tables);
    const auto first = tables.build();
    const std::uint16_t index = first->hop_to(1, kA.data());
    neighbour(kNodeTwin, "10.0.2.11", NUD_FAILED, kA).send(tables);
    ASSERT_NE(tables.build(), nullptr);
    neighbour(kNodeTwin, "10.0.2.12", NUD_REACHABLE, kB).send(tables);
    const auto second = tables.build();
    ASSERT_EQ(second->hop_to(1, kB.data()), index);
    EXPECT_FALSE(second->still_means(index, first->epoch));
    EXPECT_TRUE(second->still_means(index, second->epoch));
}

TEST_F(KernelTablesTest, WhatIsNoRouterIsNotLearned) {
    neighbour(kClientTwin, "192.0.2.254", NUD_REACHABLE, kA).send(tables);
    EXPECT_FALSE(tables.learn(0, kA, Moment{})) << "a neighbour is a next hop already";
    EXPECT_FALSE(tables.learn(0, kClientMac, Moment{})) << "ourselves";
    EXPECT_FALSE(tables.learn(0, MacAddress{}, Moment{}));
    EXPECT_FALSE(tables.learn(0, MacAddress{1, 0, 0x5e, 0, 0, 1}, Moment{})) << "a group";
    EXPECT_FALSE(tables.learn(2, kB, Moment{})) << "no such port";
    EXPECT_EQ(tables.learned(), 0U);
}

TEST_F(KernelTablesTest, LearnedRoutersAreBoundedAndTheOldestGo) {
    const auto mac = [](std::size_t number) {
        return MacAddress{2, 1, 0, 0, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)};
    };
    link_of(kClientTwin, IFF_UP | IFF_RUNNING).send(tables);
    for (std::size_t i = 0; i < KernelTables::kMostLearned; ++i) ASSERT_TRUE(tables.learn(0, mac(i), Moment{}));
    const auto full = tables.build();
    EXPECT_TRUE(tables.learn(0, mac(KernelTables::kMostLearned), Moment{}));
    EXPECT_EQ(tables.learned(), KernelTables::kMostLearned / 2 + 1);
    const auto half = tables.build();
    EXPECT_EQ(half->hop_to(0, mac(0).data()), snapshot::RoutingSnapshot::kNoHop);
    const std::uint16_t last = half->hop_to(0, mac(KernelTables::kMostLearned - 1).data());
    EXPECT_EQ(last, full->hop_to(0, mac(KernelTables::kMostLearned - 1).data()));
    EXPECT_TRUE(half->still_means(last, full->epoch));
    for (std::size_t i = 0; tables.learned() < KernelTables::kMostLearned; ++i)
        tables.learn(0, mac(20'000 + i), Moment{});
    EXPECT_FALSE(tables.learn(0, kB, Moment{})) << "whoever invents addresses makes others learn anew seldom";
    EXPECT_TRUE(tables.learn(0, kB, Moment{} + KernelTables::kForgetLearnedEach));
}

TEST_F(KernelTablesTest, CutWaysAreIgnoredAtEveryLength) {
    KernelMessage whole = multipath("0.0.0.0/0", {{kClientTwin, "192.0.2.250"}, {kNodeTwin, "10.0.2.251"}});
    for (std::size_t length = 0; length < whole.bytes().size(); ++length) whole.send(tables, length);
    const auto snapshot = tables.build();
    EXPECT_EQ(snapshot->lookup(ip("198.51.100.1")).kind, NextHopResult::Kind::no_route);
    KernelMessage group = group_of(10, {{1, 2, 0, 0}, {2, 0, 0, 0}});
    for (std::size_t length = 0; length <= group.bytes().size(); ++length) group.send(tables, length);
    EXPECT_EQ(tables.build(), nullptr);
}

TEST_F(KernelTablesTest, OtherTablesInterfacesAndKindsAreNoneOfOurs) {
    rtmsg body{};
    body.rtm_family = AF_INET;
    body.rtm_table = RT_TABLE_LOCAL;
    body.rtm_type = RTN_UNICAST;
    KernelMessage(RTM_NEWROUTE, body).with(RTA_OIF, std::uint32_t{kClientTwin}).send(tables);
    body.rtm_table = RT_TABLE_MAIN;
    body.rtm_type = RTN_BLACKHOLE;
    KernelMessage(RTM_NEWROUTE, body).with(RTA_OIF, std::uint32_t{kClientTwin}).send(tables);
    route("0.0.0.0/0", 55).send(tables);
    neighbour(55, "10.0.2.11", NUD_REACHABLE, kA).send(tables);
    neighbour(kNodeTwin, "10.0.2.11", NUD_INCOMPLETE, kA).send(tables);
    const auto snapshot = tables.build();
    EXPECT_EQ(snapshot->routes.size(), 2U);
    EXPECT_TRUE(snapshot->neighbours.empty());
}

TEST_F(KernelTablesTest, ALinkThatGoesDownTakesItsRoutesAlong) {
    ifinfomsg link{};
    link.ifi_index = static_cast<int>(kNodeTwin);
    link.ifi_flags = IFF_UP | IFF_RUNNING;
    KernelMessage(RTM_NEWLINK, link).with(IFLA_MTU, std::uint32_t{1300}).send(tables);
    const auto up = tables.build();
    EXPECT_TRUE(up->ports[1].link_up);
    EXPECT_FALSE(up->ports[0].link_up);
    EXPECT_EQ(up->ports[1].mtu, 1300);
    link.ifi_flags = 0;
    KernelMessage(RTM_NEWLINK, link).send(tables);
    const auto down = tables.build();
    EXPECT_FALSE(down->ports[1].link_up);
    EXPECT_EQ(down->lookup(ip("10.0.2.11")).kind, NextHopResult::Kind::no_route);
}

TEST_F(KernelTablesTest, AddressesOfTheTwinsAreFollowed) {
    ifaddrmsg body{};
    body.ifa_family = AF_INET;
    body.ifa_prefixlen = 24;
    body.ifa_index = kClientTwin;
    KernelMessage(RTM_NEWADDR, body).with(IFA_LOCAL, ip("192.0.2.1")).send(tables);
    EXPECT_EQ(tables.build()->ports[0].addresses, (std::vector<IpPrefix>{net_of("192.0.2.1/24")}));
    KernelMessage(RTM_DELADDR, body).with(IFA_LOCAL, ip("192.0.2.1")).send(tables);
    EXPECT_TRUE(tables.build()->ports[0].addresses.empty());
}

TEST_F(KernelTablesTest, ReadingEverythingAgainWithoutAChangeIsNoNewSnapshot) {
    neighbour(kNodeTwin, "10.0.2.11", NUD_REACHABLE, kA).send(tables);
    ASSERT_NE(tables.build(), nullptr);
    tables.clear();
    SetUp();
    neighbour(kNodeTwin, "10.0.2.11", NUD_STALE, kA).send(tables);
    EXPECT_EQ(tables.build(), nullptr);
}

TEST_F(KernelTablesTest, CutMessagesAreIgnoredAtEveryLength) {
    KernelMessage whole = neighbour(kNodeTwin, "10.0.2.11", NUD_REACHABLE, kA);
    for (std::size_t length = 0; length < whole.bytes().size(); ++length) whole.send(tables, length);
    EXPECT_TRUE(tables.build()->neighbours.empty());
    whole.send(tables);
    EXPECT_EQ(tables.build()->neighbours.size(), 1U);
}

}  // namespace
}  // namespace guideway::net
