// Clients behind several routers: replies go by the routing table, which has one way for each.
//
//   client --(routers 192.0.2.253 and .254, fe80::1 and fe80::2)-- port 0 [worker]
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "tests/packet/fragment_tools.h"
#include "tests/packet/icmp_quotes.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;

constexpr MacAddress kOtherRouterMac{0x02, 0, 0, 0, 0, 0xfd};

MacAddress to_mac(const Frame& frame) {
    MacAddress mac{};
    if (frame.size() >= mac.size()) std::copy_n(frame.begin(), mac.size(), mac.begin());
    return mac;
}

class WorkerEcmp : public ::testing::TestWithParam<bool> {
  protected:
    WorkerEcmp() {
        lab_.apply(lab_.web());
        add_router("198.51.100.0/24", "192.0.2.253");
        add_router("2001:db8:c::/48", "fe80::2");
        ++lab_.routing().epoch;
        for (const char* router : {"192.0.2.253", "fe80::2"})
            lab_.learn_neighbour(kClientPort, router, kOtherRouterMac);
        lab_.publish_routing();
    }
    void add_router(const char* prefix, const char* router) {
        snapshot::Route route;
        route.prefix = *IpPrefix::parse(prefix);
        route.port = kClientPort;
        route.gateway = ip(router);
        lab_.routing().routes.push_back(route);
    }
    void forget_other() {
        for (const char* router : {"192.0.2.253", "fe80::2"}) lab_.forget_neighbour(kClientPort, router);
        lab_.publish_routing();
    }
    void forget_first() {
        for (const char* router : {"192.0.2.254", "fe80::1"}) lab_.forget_neighbour(kClientPort, router);
        lab_.publish_routing();
    }
    bool v6() const { return GetParam(); }
    Frame datagram(std::uint16_t port) const {
        return PacketBuilder().ip(v6() ? kClientV6 : kClient, v6() ? kVipV6 : kVip).udp(port, 53).payload(30).build();
    }
    /// A UDP flow's reply, as it leaves; the request is sent where it is not known how it left.
    Frame reply(std::uint16_t port) {
        auto& behind = behind_[port];
        if (behind.empty()) behind = lab_.pass(kClientPort, datagram(port));
        return lab_.pass(kNodePort, lab_.reply_to(behind));
    }

    Lab lab_;
    std::map<std::uint16_t, Frame> behind_;
};
INSTANTIATE_TEST_SUITE_P(Families, WorkerEcmp, ::testing::Bool(),
                         [](const auto& v6) { return v6.param ? "IPv6" : "IPv4"; });

TEST_P(WorkerEcmp, ConnectionsUseBothRoutersAndEachStaysWithItsOwn) {
    // Why: one client behind a proxy is many connections; packets of one connection by two routers would arrive out of order.
    std::map<MacAddress, int> counts;
    for (std::uint16_t port = 1000; port < 1200; ++port) {
        const Frame first = reply(port);
        ASSERT_FALSE(first.empty());
        ++counts[to_mac(first)];
        for (int again = 0; again < 3; ++again) ASSERT_EQ(to_mac(reply(port)), to_mac(first));
    }
    ASSERT_EQ(counts.size(), 2U);
    EXPECT_GT(counts[kRouterMac], 60);
    EXPECT_GT(counts[kOtherRouterMac], 60);
}

TEST_P(WorkerEcmp, WhenARouterIsGoneItsConnectionsMoveAndNoOther) {
    std::map<std::uint16_t, MacAddress> before;
    for (std::uint16_t port = 1000; port < 1100; ++port) before[port] = to_mac(reply(port));
    forget_other();
    for (const auto& [port, mac] : before) EXPECT_EQ(to_mac(reply(port)), kRouterMac) << port;
    EXPECT_EQ(lab_.dropped(), 0U);
    for (const char* router : {"192.0.2.253", "fe80::2"})
        lab_.learn_neighbour(kClientPort, router, {0x02, 0, 0, 0, 0, 0x99});
    ++lab_.routing().epoch;
    lab_.publish_routing();
    for (const auto& [port, mac] : before) {
        // Replaced by another machine: followed, by those that were its predecessor's.
        const MacAddress wanted = mac == kRouterMac ? kRouterMac : MacAddress{0x02, 0, 0, 0, 0, 0x99};
        EXPECT_EQ(to_mac(reply(port)), wanted) << port;
    }
}

TEST_P(WorkerEcmp, WithoutAnyMacAllAreAskedForAndWhoeverAnswersServes) {
    forget_other();
    forget_first();
    const Frame behind = lab_.pass(kClientPort, datagram(1000));
    ASSERT_FALSE(behind.empty());
    EXPECT_TRUE(lab_.pass(kNodePort, lab_.reply_to(behind)).empty()) << "it waits";
    std::set<std::string> asked;
    while (const auto key = lab_.resolve().pop()) asked.insert(key->address.to_string());
    const std::set<std::string> wanted =
        v6() ? std::set<std::string>{"fe80::1", "fe80::2"} : std::set<std::string>{"192.0.2.253", "192.0.2.254"};
    EXPECT_EQ(asked, wanted);
    lab_.learn_neighbour(kClientPort, v6() ? "fe80::2" : "192.0.2.253", kOtherRouterMac);
    lab_.publish_routing();
    lab_.poll_all();
    const auto left = lab_.sent(kClientPort);
    ASSERT_EQ(left.size(), 1U);
    EXPECT_EQ(to_mac(left.front()), kOtherRouterMac);
}

TEST_P(WorkerEcmp, AllFragmentsOfADatagramGoByOneRouter) {
    // Why: those behind the first have no ports to be hashed by.
    for (std::uint16_t port = 1000; port < 1020; ++port) {
        const Frame behind = lab_.pass(kClientPort, datagram(port));
        const ParsedPacket p = parsed(behind);
        const Frame whole = PacketBuilder()
                                .ethernet(kPortMac1, kRouterMac)
                                .ip(p.destination().to_string(), p.source().to_string())
                                .ipv4_fragment(0)
                                .udp(30053, swap_if_little(v6() ? p.v6.source_port : p.v4.source_port))
                                .payload(3000)
                                .build();
        for (const Frame& part : cut(whole, 1024, port)) lab_.inject(kNodePort, part);
        lab_.poll_all();
        const auto left = lab_.sent(kClientPort);
        ASSERT_EQ(left.size(), 3U);
        for (const Frame& part : left) EXPECT_EQ(to_mac(part), to_mac(reply(port))) << port;
    }
}

TEST_P(WorkerEcmp, AnErrorAboutAConnectionGoesByTheConnectionsRouter) {
    for (std::uint16_t port = 1000; port < 1020; ++port) {
        const Frame behind = lab_.pass(kClientPort, datagram(port));
        const Says unreachable = v6() ? Says{1, 4, 0} : Says{3, 3, 0};
        const Frame error = error_about(behind, v6() ? "2001:db8:2::77" : "10.0.2.77", unreachable, 65535, kNodePort);
        const Frame told = lab_.pass(kNodePort, error);
        ASSERT_FALSE(told.empty());
        behind_[port] = behind;
        EXPECT_EQ(to_mac(told), to_mac(reply(port))) << port;
    }
}

TEST(WorkerEcmpSource, AClientMayComeByAnyOfTheRoutersPorts) {
    // Why: strict source checks (RFC 3704) with routers on two ports must let clients in by both.
    LabSettings settings;
    settings.source_check = SourceCheck::strict;
    Lab lab(settings);
    lab.apply(lab.web());
    const Frame syn = PacketBuilder().ethernet(kPortMac1, kRouterMac).ip(kClient, kVip).tcp(1, 80, tcp::kSyn).build();
    EXPECT_TRUE(lab.pass(kNodePort, syn).empty());
    EXPECT_EQ(lab.dropped(DropReason::source_unroutable), 1U);
    snapshot::Route route;
    route.prefix = *IpPrefix::parse("198.51.100.0/24");
    route.port = kNodePort;
    route.gateway = ip("10.0.2.253");
    lab.routing().routes.push_back(route);
    ++lab.routing().epoch;
    lab.publish_routing();
    EXPECT_FALSE(lab.pass(kNodePort, syn).empty());
    EXPECT_FALSE(lab.pass(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(2, 80, tcp::kSyn).build()).empty());
}

}  // namespace
}  // namespace guideway::worker::testing
