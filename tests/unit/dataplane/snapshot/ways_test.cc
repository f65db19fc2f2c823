// Several routers for one destination: shares by weight, and who moves when a router comes or goes.
#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/snapshot/routing_snapshot.h"

namespace guideway::snapshot {
namespace {

const IpAddress kDestination = *IpAddress::parse("198.51.100.1");

struct Router {
    IpAddress address;
    std::uint16_t port = 0;
    std::uint16_t weight = 1;
    bool resolved = true;
    friend bool operator==(const Router& a, const Router& b) { return a.address == b.address && a.port == b.port; }
};

RoutingSnapshot table_of(const std::vector<Router>& routers, std::vector<bool> links = {true, true, true}) {
    RoutingSnapshot routing;
    for (const bool link : links) routing.ports.push_back({{}, 1500, link, {}});
    for (const Router& router : routers) {
        Route route;
        route.prefix = *IpPrefix::parse("198.51.100.0/24");
        route.port = router.port;
        route.gateway = router.address;
        route.weight = router.weight;
        routing.routes.push_back(route);
        if (!router.resolved) continue;
        routing.neighbours[{router.port, router.address}] = static_cast<std::uint16_t>(routing.next_hops.size());
        NextHop hop;
        hop.port = static_cast<std::uint8_t>(router.port);
        hop.usable = true;
        routing.next_hops.push_back(hop);
    }
    routing.finish();
    return routing;
}

/// (port, router) by which the flow goes.
NeighbourKey taken_by(const RoutingSnapshot& routing, std::uint64_t flow) {
    const NextHopResult found = routing.lookup(kDestination, flow);
    if (found.kind == NextHopResult::Kind::unresolved) return found.neighbour;
    for (const auto& [key, index] : routing.neighbours) {
        if (found.kind == NextHopResult::Kind::found && index == found.index) return key;
    }
    return {};
}

std::vector<Router> some_routers(std::mt19937_64& random, std::size_t many, bool weighted) {
    std::vector<Router> list;
    for (std::size_t i = 0; i < many; ++i) {
        Router router;
        router.address = random() % 2 == 0 ? IpAddress::v4(static_cast<std::uint32_t>(0x0a000000 + random() % 4096))
                                           : *IpAddress::parse("fe80::" + std::to_string(1 + random() % 9999));
        router.port = static_cast<std::uint16_t>(random() % 3);
        router.weight = static_cast<std::uint16_t>(weighted ? 1 + random() % 8 : 1);
        if (std::ranges::find(list, router) == list.end()) list.push_back(router);
    }
    return list;
}

class RouterSets : public testing::TestWithParam<unsigned> {};

TEST_P(RouterSets, SharesAreAsTheWeights) {
    std::mt19937_64 random(GetParam());
    const auto routers = some_routers(random, 2 + random() % 6, GetParam() % 2 == 0);
    const RoutingSnapshot routing = table_of(routers);
    double sum = 0;
    for (const Router& router : routers) sum += router.weight;
    constexpr int kFlows = 40'000;
    std::map<std::pair<std::uint16_t, std::string>, int> counts;
    for (int i = 0; i < kFlows; ++i) {
        const NeighbourKey key = taken_by(routing, random());
        ++counts[{key.port, key.address.to_string()}];
    }
    for (const Router& router : routers) {
        const double wanted = kFlows * router.weight / sum;
        EXPECT_NEAR((counts[{router.port, router.address.to_string()}]), wanted, 6 * std::sqrt(wanted) + 1);
    }
}

TEST_P(RouterSets, WhenARouterGoesItsFlowsAloneMoveAndTheyComeBackWithIt) {
    std::mt19937_64 random(GetParam());
    for (int turn = 0; turn < 20; ++turn) {
        const auto routers = some_routers(random, 2 + random() % 9, turn % 2 == 0);
        if (routers.size() < 2) continue;
        const Router gone = routers[random() % routers.size()];
        auto fewer = routers;
        std::erase(fewer, gone);
        std::ranges::shuffle(fewer, random);  // indices and order say nothing
        auto unresolved = routers;
        std::ranges::find(unresolved, gone)->resolved = false;
        const RoutingSnapshot before = table_of(routers);
        const RoutingSnapshot removed = table_of(fewer);
        const RoutingSnapshot silent = table_of(unresolved);
        const NeighbourKey key{gone.port, gone.address};
        for (int i = 0; i < 500; ++i) {
            const std::uint64_t flow = random();
            const NeighbourKey first = taken_by(before, flow);
            const NeighbourKey then = taken_by(removed, flow);
            ASSERT_EQ(then, taken_by(silent, flow)) << "without a MAC address is as gone";
            ASSERT_NE(then, key);
            if (first != key) {
                ASSERT_EQ(then, first) << "a flow moved without need";
            }
        }
    }
}
INSTANTIATE_TEST_SUITE_P(Seeds, RouterSets, testing::Range(1U, 13U));

TEST(Ways, TheFlowDecidesNotTheMoment) {
    const RoutingSnapshot routing = table_of({{*IpAddress::parse("10.0.0.1")}, {*IpAddress::parse("10.0.0.2")}});
    for (std::uint64_t flow = 0; flow < 100; ++flow)
        EXPECT_EQ(taken_by(routing, flow), taken_by(RoutingSnapshot(routing), flow));
}

TEST(Ways, ALinkThatIsDownIsNoWayWhereThereIsAnother) {
    const IpAddress a = *IpAddress::parse("10.0.0.1");
    const IpAddress b = *IpAddress::parse("10.0.0.2");
    const auto of = [&](std::vector<bool> links, bool b_resolved) {
        return table_of({{a, 0, 1, true}, {b, 1, 1, b_resolved}}, std::move(links));
    };
    EXPECT_EQ(of({true, true, true}, true).ways_to(kDestination).size(), 2U);
    EXPECT_EQ(of({false, true, true}, true).lookup(kDestination).index, 1U);
    const NextHopResult asked = of({false, true, true}, false).lookup(kDestination);
    EXPECT_EQ(asked.kind, NextHopResult::Kind::unresolved) << "a flow that took the dead link would stay there";
    EXPECT_EQ(asked.neighbour.address, b);
    EXPECT_EQ(of({false, false, true}, false).lookup(kDestination).index, 0U) << "better a try than none";
    EXPECT_EQ(of({false, false, true}, true).ways_to(kDestination).size(), 2U) << "better a try than none";
}

TEST(Ways, AWorseMetricServesOnlyWhereTheBetterRouteIsGone) {
    RoutingSnapshot routing = table_of({{*IpAddress::parse("10.0.0.1")}, {*IpAddress::parse("10.0.0.2")}});
    routing.routes.front().metric = 5;
    const IpAddress worse = routing.routes.front().gateway;
    routing.finish();
    EXPECT_EQ(routing.ways_to(kDestination).size(), 1U);
    EXPECT_NE(routing.ways_to(kDestination).front().gateway, worse);
    EXPECT_TRUE(routing.has_route_through(kDestination, 0));
}

TEST(Ways, OnALinkThereIsNothingToChoose) {
    // Why: a host is on one of the links; half of its packets would go where it is not.
    RoutingSnapshot routing;
    for (const std::uint16_t port : {0, 1}) {
        Route route;
        route.prefix = *IpPrefix::parse("198.51.100.0/24");
        route.port = port;
        route.on_link = true;
        routing.routes.push_back(route);
    }
    routing.finish();
    for (std::uint64_t flow = 0; flow < 64; ++flow) EXPECT_EQ(routing.lookup(kDestination, flow).neighbour.port, 0);
}

}  // namespace
}  // namespace guideway::snapshot
