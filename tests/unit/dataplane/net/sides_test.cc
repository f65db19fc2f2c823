// Clients' and nodes' side as the kernel tells of them and is told: two tables of routes, and the rules that lead to them.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string>
#include <sys/socket.h>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/net/announce_plan.h"
#include "dataplane/net/kernel_tables.h"
#include "dataplane/net/side_rules.h"
#include "tests/unit/dataplane/net/kernel_message.h"

namespace guideway::net {
namespace {

using snapshot::MacAddress;
using snapshot::NextHopResult;
using snapshot::Side;

constexpr unsigned kClientTwin = 7;
constexpr unsigned kNodeTwin = 9;
constexpr std::uint32_t kClientTable = 1001;
constexpr std::uint32_t kNodeTable = 1002;
constexpr MacAddress kHostMac{0, 0xaa, 0, 0, 0, 1};
constexpr MacAddress kNodeMac{0, 0xbb, 0, 0, 0, 1};

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }
IpPrefix net_of(const std::string& text) { return *IpPrefix::parse(text); }
unsigned char family(const IpAddress& address) { return address.is_v4() ? AF_INET : AF_INET6; }

KernelMessage route(const std::string& prefix, unsigned ifindex, std::uint32_t table, const std::string& via = "",
                    std::uint16_t type = RTM_NEWROUTE) {
    const IpPrefix to = net_of(prefix);
    rtmsg body{};
    body.rtm_family = family(to.address);
    body.rtm_dst_len = to.length;
    body.rtm_table = RT_TABLE_UNSPEC;  // as the kernel writes tables above 255
    body.rtm_type = RTN_UNICAST;
    body.rtm_protocol = kOurProtocol;
    KernelMessage told(type, body);
    told.with(RTA_TABLE, table).with(RTA_OIF, std::uint32_t{ifindex});
    if (to.length > 0) told.with(RTA_DST, to.address);
    if (!via.empty()) told.with(RTA_GATEWAY, ip(via));
    return told;
}

KernelMessage neighbour(unsigned ifindex, const std::string& address, MacAddress mac) {
    ndmsg body{};
    body.ndm_family = family(ip(address));
    body.ndm_ifindex = static_cast<int>(ifindex);
    body.ndm_state = NUD_REACHABLE;
    return KernelMessage(RTM_NEWNEIGH, body).with(NDA_DST, ip(address)).with(NDA_LLADDR, mac.data(), mac.size());
}

KernelMessage address(unsigned ifindex, const std::string& prefix) {
    const IpPrefix own = net_of(prefix);
    ifaddrmsg body{};
    body.ifa_family = family(own.address);
    body.ifa_prefixlen = own.length;
    body.ifa_index = ifindex;
    return KernelMessage(RTM_NEWADDR, body).with(IFA_LOCAL, own.address);
}

class SidesOfTheKernel : public ::testing::Test {
  protected:
    void tell(KernelMessage told) { tables.apply(told.message()); }
    static MacAddress mac_of(const snapshot::RoutingSnapshot& routing, const char* to, Side side) {
        const NextHopResult found = routing.lookup(ip(to), 0, side);
        return found.kind == NextHopResult::Kind::found ? routing.next_hops[found.index].destination_mac : MacAddress{};
    }
    KernelTables tables{{{kClientTwin, {2, 0, 0, 0, 0, 1}, 1500, 0, kClientTable, Side::clients},
                         {kNodeTwin, {2, 0, 0, 0, 0, 2}, 1500, 0, kNodeTable, Side::nodes}}};
};

TEST_F(SidesOfTheKernel, TheSameNetworkAndADefaultRouteOnBothSidesDoNotMix) {
    tell(route("10.0.2.0/24", kClientTwin, kClientTable));
    tell(route("10.0.2.0/24", kNodeTwin, kNodeTable));
    tell(route("0.0.0.0/0", kClientTwin, kClientTable, "10.0.2.254"));
    tell(route("0.0.0.0/0", kNodeTwin, kNodeTable, "10.0.2.253"));
    for (const unsigned twin : {kClientTwin, kNodeTwin}) {
        for (const char* host : {"10.0.2.55", "10.0.2.254", "10.0.2.253"})
            tell(neighbour(twin, host, twin == kClientTwin ? kHostMac : kNodeMac));
    }
    const auto routing = tables.build();
    ASSERT_NE(routing, nullptr);
    EXPECT_TRUE(routing->apart);
    for (const char* to : {"10.0.2.55", "198.51.100.7"}) {
        EXPECT_EQ(mac_of(*routing, to, Side::clients), kHostMac) << to;
        EXPECT_EQ(mac_of(*routing, to, Side::nodes), kNodeMac) << to;
    }
    EXPECT_TRUE(routing->has_route_through(ip("198.51.100.7"), 0));
    EXPECT_TRUE(routing->has_route_through(ip("198.51.100.7"), 1));
}

TEST_F(SidesOfTheKernel, ARouteCountsInItsTwinsOwnTableAlone) {
    tell(route("10.0.2.0/24", kNodeTwin, kMainTable));
    tell(route("10.0.3.0/24", kNodeTwin, kClientTable));
    tell(route("10.0.4.0/24", kClientTwin, kNodeTable));
    tell(route("10.0.5.0/24", kNodeTwin, kNodeTable));
    const auto routing = tables.build();
    EXPECT_EQ(routing->routes.size(), 1U);
    EXPECT_TRUE(routing->has_route(ip("10.0.5.1"), Side::nodes));
    EXPECT_FALSE(routing->has_route(ip("10.0.5.1"), Side::clients));
}

TEST_F(SidesOfTheKernel, ARouteReplacedInOneTableStaysInTheOther) {
    tell(route("0.0.0.0/0", kClientTwin, kClientTable, "192.0.2.254"));
    tell(route("0.0.0.0/0", kNodeTwin, kNodeTable, "10.0.2.254"));
    KernelMessage replaced = route("0.0.0.0/0", kNodeTwin, kNodeTable, "10.0.2.253");
    replaced.flags(NLM_F_REPLACE);
    tell(replaced);
    const auto routing = tables.build();
    ASSERT_EQ(routing->routes.size(), 2U);
    EXPECT_EQ(routing->lookup(ip("8.8.8.8"), 0, Side::clients).neighbour.address, ip("192.0.2.254"));
    EXPECT_EQ(routing->lookup(ip("8.8.8.8"), 0, Side::nodes).neighbour.address, ip("10.0.2.253"));
    tell(route("0.0.0.0/0", kClientTwin, kClientTable, "192.0.2.254", RTM_DELROUTE));
    EXPECT_FALSE(tables.build()->has_route(ip("8.8.8.8"), Side::clients));
}

TEST_F(SidesOfTheKernel, OwnAddressesAreKnownBySide) {
    tell(address(kClientTwin, "192.0.2.1/24"));
    tell(address(kNodeTwin, "10.0.2.1/24"));
    const auto routing = tables.build();
    EXPECT_TRUE(routing->is_own(ip("192.0.2.1"), Side::clients));
    EXPECT_FALSE(routing->is_own(ip("192.0.2.1"), Side::nodes));
    EXPECT_TRUE(routing->is_own(ip("10.0.2.1"), Side::nodes));
    EXPECT_FALSE(routing->is_own(ip("10.0.2.2"), Side::nodes));
    EXPECT_TRUE(routing->is_own(ip("192.0.2.255"), Side::clients));
    EXPECT_FALSE(routing->is_own(ip("192.0.2.255"), Side::nodes));
}

TEST_F(SidesOfTheKernel, AddressesAreAnnouncedOnTheSideTheyBelongTo) {
    tell(route("10.0.2.0/24", kClientTwin, kClientTable));
    tell(route("10.0.2.0/24", kNodeTwin, kNodeTable));
    auto routing = *tables.build();
    for (snapshot::PortState& port : routing.ports) port.link_up = true;
    AnnouncePlan plan({1, 1000});
    AnnouncePlan::TimePoint now{std::chrono::hours(1)};
    plan.update({ip("10.0.2.80"), ip("10.0.2.100")}, routing, now, {}, {ip("10.0.2.100")});
    std::vector<std::string> sent;
    while (const auto item = plan.next(now)) {
        sent.push_back(std::to_string(item->port) + " " + item->address.to_string());
        now += std::chrono::milliseconds(1);
    }
    std::ranges::sort(sent);
    EXPECT_EQ(sent, (std::vector<std::string>{"0 10.0.2.80", "1 10.0.2.100"}));
}

/// As `ip rule` writes it.
std::string text_of(const SideRule& rule) {
    std::string text = std::to_string(rule.priority) + ": from " + (rule.source ? rule.source->to_string() : "all");
    if (rule.mark != 0) text += " mark " + std::to_string(rule.mark);
    if (!rule.in.empty()) text += " iif " + rule.in;
    if (!rule.out.empty()) text += " oif " + rule.out;
    return text + (rule.table == 0 ? " unreachable" : " lookup " + std::to_string(rule.table));
}

TEST(SideRules, EverythingOfASideIsLedToItsTableAndNoFurther) {
    const KernelSide side{kNodeTable, {"gw-node0"}, {ip("10.0.2.1"), ip("fd00:2::1"), ip("fe80::1")}};
    for (const IpFamily family : {IpFamily::ipv4, IpFamily::ipv6}) {
        const std::string own = family == IpFamily::ipv4 ? "10.0.2.1" : "fd00:2::1";
        std::vector<std::string> wanted;
        for (const std::string& what : {std::string("all iif gw-node0"), std::string("all oif gw-node0"),
                                        own + " iif lo", std::string("all mark 1002 iif lo")}) {
            wanted.push_back("7100: from " + what + " lookup 1002");
            wanted.push_back("7101: from " + what + " unreachable");
        }
        std::vector<std::string> made;
        for (const SideRule& rule : rules_of(side, family)) {
            EXPECT_EQ(rule.family, family);
            made.push_back(text_of(rule));
        }
        std::ranges::sort(wanted);
        std::ranges::sort(made);
        EXPECT_EQ(made, wanted);
    }
}

TEST(SideRules, ARuleOfTheKernelIsReadWithItsMaker) {
    fib_rule_hdr body{};
    body.family = AF_INET;
    body.src_len = 32;
    body.action = FR_ACT_TO_TBL;
    KernelMessage told(RTM_NEWRULE, body);
    told.with(FRA_PRIORITY, kSidePriority).with(FRA_TABLE, kNodeTable).with(FRA_IIFNAME, std::string("lo"));
    told.with(FRA_SRC, ip("10.0.2.1"));
    auto found = rule_in(told.message());
    ASSERT_TRUE(found);
    EXPECT_FALSE(found->ours);
    EXPECT_EQ(text_of(found->rule), "7100: from 10.0.2.1 iif lo lookup 1002");
    told.with(FRA_PROTOCOL, &kOurProtocol, sizeof kOurProtocol);
    EXPECT_TRUE(rule_in(told.message())->ours);

    body.action = FR_ACT_UNREACHABLE;
    body.src_len = 0;
    EXPECT_EQ(rule_in(KernelMessage(RTM_NEWRULE, body).message())->rule.table, 0U);
    EXPECT_FALSE(rule_in(KernelMessage(RTM_NEWROUTE, body).message()));
}

TEST(Leftovers, RoutesOfOursAreReadWithTheirTableAndAlsoThoseOnTheLink) {
    auto found = own_route_in(route("10.9.0.0/16", kNodeTwin, kNodeTable, "10.0.2.254").message(), kNodeTwin);
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, (OwnRoute{net_of("10.9.0.0/16"), ip("10.0.2.254"), kNodeTable}));
    found = own_route_in(route("10.0.2.0/24", kNodeTwin, kNodeTable).message(), kNodeTwin);
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, (OwnRoute{net_of("10.0.2.0/24"), ip("0.0.0.0"), kNodeTable}));
    EXPECT_FALSE(own_route_in(route("10.0.2.0/24", kNodeTwin, kNodeTable).message(), kClientTwin));
    const auto use = table_use_in(route("10.0.2.0/24", kNodeTwin, kNodeTable).message());
    ASSERT_TRUE(use);
    EXPECT_EQ(use->table, kNodeTable);
    EXPECT_EQ(use->ifindex, kNodeTwin);
}

TEST(Leftovers, AnAddressIsReadWithWhetherTheKernelKeepsItsRoute) {
    EXPECT_TRUE(brings_route(address(kNodeTwin, "10.0.2.1/24").message()));
    EXPECT_FALSE(brings_route(address(kNodeTwin, "10.0.2.1/24")
                                  .with(IFA_FLAGS, std::uint32_t{IFA_F_NOPREFIXROUTE | IFA_F_PERMANENT})
                                  .message()));
}

}  // namespace
}  // namespace guideway::net
