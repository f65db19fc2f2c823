// The longest prefix: worked cases, and random tables held against a search through all routes.
#include "dataplane/snapshot/route_index.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/snapshot/routing_snapshot.h"

namespace guideway::snapshot {
namespace {

std::vector<IpPrefix> table(const std::vector<const char*>& texts) {
    std::vector<IpPrefix> out;
    for (const char* text : texts) out.push_back(*IpPrefix::parse(text));
    return out;
}

std::int32_t found(const RouteIndex& index, const char* address) { return index.find(*IpAddress::parse(address)); }

TEST(RouteIndex, WithoutRoutesNothingIsFound) {
    const RouteIndex index;
    EXPECT_EQ(found(index, "0.0.0.0"), RouteIndex::kNone);
    EXPECT_EQ(found(index, "ffff::"), RouteIndex::kNone);
    EXPECT_EQ(found(RouteIndex(table({"::/0"})), "10.0.0.1"), RouteIndex::kNone) << "the families are apart";
}

TEST(RouteIndex, TheLongestPrefixCountsUpToBothEndsOfTheFamily) {
    const RouteIndex index(
        table({"10.1.0.0/16", "10.0.0.0/8", "0.0.0.0/0", "255.255.255.255/32", "0.0.0.0/32", "10.1.255.255/32"}));
    for (const auto& [address, wanted] : std::vector<std::pair<const char*, std::int32_t>>{{"0.0.0.0", 4},
                                                                                           {"0.0.0.1", 2},
                                                                                           {"9.255.255.255", 2},
                                                                                           {"10.0.0.0", 1},
                                                                                           {"10.1.0.0", 0},
                                                                                           {"10.1.255.254", 0},
                                                                                           {"10.1.255.255", 5},
                                                                                           {"10.2.0.0", 1},
                                                                                           {"10.255.255.255", 1},
                                                                                           {"11.0.0.0", 2},
                                                                                           {"255.255.255.254", 2},
                                                                                           {"255.255.255.255", 3}}) {
        EXPECT_EQ(found(index, address), wanted) << address;
    }
    const RouteIndex six(table({"2001:db8::/32", "2001:db8:0:0:8000::/65",
                                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "2001:db8:0:1::/64"}));
    for (const auto& [address, wanted] :
         std::vector<std::pair<const char*, std::int32_t>>{{"::", -1},
                                                           {"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", -1},
                                                           {"2001:db8::", 0},
                                                           {"2001:db8:0:0:7fff:ffff:ffff:ffff", 0},
                                                           {"2001:db8:0:0:8000::", 1},
                                                           {"2001:db8:0:0:ffff:ffff:ffff:ffff", 1},
                                                           {"2001:db8:0:1::", 3},
                                                           {"2001:db8:0:2::", 0},
                                                           {"2001:db9::", -1},
                                                           {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", -1},
                                                           {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 2}}) {
        EXPECT_EQ(found(six, address), wanted) << address;
    }
}

TEST(RouteIndex, OfEqualPrefixesTheFirstCounts) {
    EXPECT_EQ(found(RouteIndex(table({"10.0.0.0/8", "10.0.0.0/8", "0.0.0.0/0", "0.0.0.0/0"})), "10.0.0.1"), 0);
    EXPECT_EQ(found(RouteIndex(table({"10.0.0.0/8", "10.0.0.0/8", "0.0.0.0/0", "0.0.0.0/0"})), "11.0.0.1"), 2);
}

/// Few bits that matter, so that prefixes nest and touch.
IpAddress some_address(std::mt19937& random, bool v4) {
    IpAddress address = v4 ? IpAddress::v4(0) : IpAddress::v6({});
    const std::size_t size = v4 ? 4 : 16;
    for (std::size_t i = 0; i < size; ++i) {
        const std::uint32_t kind = random() % 4;
        address.bytes[i] = static_cast<std::uint8_t>(kind == 0 ? 0 : kind == 1 ? 255 : random() % 4 << (random() % 7));
    }
    return address;
}

class RouteTables : public testing::TestWithParam<unsigned> {};

TEST_P(RouteTables, WhatIsFoundIsWhatASearchThroughAllRoutesFinds) {
    std::mt19937 random(GetParam());
    for (int turn = 0; turn < 60; ++turn) {
        RoutingSnapshot routing;
        routing.apart = turn % 2 == 1;
        routing.ports.resize(3);
        for (PortState& port : routing.ports) port.side = random() % 2 == 0 ? Side::clients : Side::nodes;
        const std::size_t many = random() % 60;
        for (std::size_t i = 0; i < many; ++i) {
            const bool v4 = random() % 2 == 0;
            IpPrefix prefix{some_address(random, v4), 0};
            prefix.length = static_cast<std::uint8_t>(random() % (v4 ? 33 : 129));
            Route route;
            route.prefix = prefix.network();
            route.port = static_cast<std::uint16_t>(random() % 3);
            route.on_link = true;
            route.metric = random() % 3;
            routing.routes.push_back(route);
        }
        routing.finish();
        for (int question = 0; question < 300; ++question) {
            IpAddress address = some_address(random, question % 2 == 0);
            if (!routing.routes.empty() && question % 3 == 0)
                address = routing.routes[random() % routing.routes.size()].prefix.address;
            const Side side = random() % 2 == 0 ? Side::clients : Side::nodes;
            const auto is_seen = [&](const Route& route) {
                return !routing.apart || routing.ports[route.port].side == side;
            };
            const Route* best = nullptr;
            bool through[3] = {};
            for (const Route& route : routing.routes) {
                if (!route.prefix.contains(address) || !is_seen(route)) continue;
                if (best == nullptr || route.prefix.length > best->prefix.length ||
                    (route.prefix.length == best->prefix.length && route.metric < best->metric)) {
                    best = &route;
                }
            }
            for (const Route& route : routing.routes) {
                if (best != nullptr && route.prefix == best->prefix && is_seen(route)) through[route.port] = true;
            }
            ASSERT_EQ(routing.has_route(address, side), best != nullptr) << address.to_string();
            for (std::uint16_t port = 0; port < 3; ++port) {
                if (routing.apart && routing.ports[port].side != side) continue;
                ASSERT_EQ(routing.has_route_through(address, port), through[port])
                    << address.to_string() << ' ' << port;
            }
            const NextHopResult next = routing.lookup(address, 0, side);
            ASSERT_EQ(next.kind, best == nullptr ? NextHopResult::Kind::no_route : NextHopResult::Kind::unresolved);
            if (best != nullptr) {
                const Route& chosen = routing.routes[static_cast<std::size_t>(routing.best_route(address, side))];
                ASSERT_EQ(chosen.prefix, best->prefix) << address.to_string();
                ASSERT_EQ(chosen.metric, best->metric);
            }
        }
    }
}
INSTANTIATE_TEST_SUITE_P(Seeds, RouteTables, testing::Range(1U, 9U));

}  // namespace
}  // namespace guideway::snapshot
