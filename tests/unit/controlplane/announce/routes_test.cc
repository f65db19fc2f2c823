#include "controlplane/announce/routes.h"

#include <algorithm>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace guideway::announce {
namespace {

IpAddress ip(const char* text) { return *IpAddress::parse(text); }
IpPrefix prefix(const char* text) { return *IpPrefix::parse(text); }

Pool pool(const std::string& name, std::vector<std::string> ranges) {
    Pool out{name, {}};
    for (const std::string& text : ranges) out.ranges.push_back(std::get<ipam::AddressRange>(ipam::parse_range(text)));
    return out;
}

const std::vector<Pool> kPools{pool("office", {"203.0.113.0/24", "2001:db8:f::/64"}),
                               pool("edge", {"198.51.100.0/24"})};
const std::vector<Advertisement> kAll{Advertisement{.name = "all"}};

contract::ForwardingState state_of(std::vector<std::pair<const char*, std::vector<contract::Backend>>> services) {
    contract::ForwardingState state;
    for (auto& [vip, backends] : services) {
        const std::string set = "set" + std::to_string(state.services.size());
        state.backend_sets.push_back({set, ip(vip).family, std::move(backends)});
        contract::Service service;
        service.vip = ip(vip);
        service.port = static_cast<std::uint16_t>(80 + state.services.size());
        service.backend_set = set;
        state.services.push_back(service);
    }
    return state;
}

contract::Backend backend(std::uint32_t weight, bool closed = false) {
    return {"n", ip("10.0.2.11"), 0, weight, closed};
}

TEST(Served, AnAddressServesWhileOneOfItsServicesHasABackendForNewConnections) {
    const auto state = state_of({{"203.0.113.10", {backend(0), backend(1)}},
                                 {"203.0.113.11", {backend(0)}},
                                 {"203.0.113.12", {}},
                                 {"203.0.113.12", {backend(1)}},
                                 {"2001:db8:f::1", {backend(0, true)}}});
    EXPECT_EQ(served(state, WithoutBackends::withdraw), (std::vector{ip("203.0.113.10"), ip("203.0.113.12")}));
}

TEST(Served, ByOptionAnAddressServesWithoutBackendsToo) {
    const auto state = state_of({{"203.0.113.11", {backend(0)}}, {"2001:db8:f::1", {}}});
    EXPECT_EQ(served(state, WithoutBackends::announce), (std::vector{ip("203.0.113.11"), ip("2001:db8:f::1")}));
}

TEST(RoutesOf, EachServedAddressIsAHostRouteOfTheFirstAdvertisementThatCoversItsPool) {
    const std::vector<Advertisement> rules{{.name = "edge", .pools = {"edge"}}, {.name = "rest"}};
    EXPECT_EQ(routes_of({ip("198.51.100.1"), ip("203.0.113.10"), ip("2001:db8:f::1")}, kPools, rules),
              (std::vector<Route>{
                  {prefix("198.51.100.1/32"), 0}, {prefix("203.0.113.10/32"), 1}, {prefix("2001:db8:f::1/128"), 1}}));
}

TEST(RoutesOf, AnAggregateIsThereWhileOneOfItsAddressesServes) {
    const std::vector<Advertisement> rules{{.name = "hosts", .pools = {"office"}},
                                           {.name = "nets", .pools = {"office"}, .ipv4_length = 24, .ipv6_length = 64}};
    EXPECT_EQ(routes_of({ip("203.0.113.10"), ip("203.0.113.11"), ip("2001:db8:f::1")}, kPools, rules),
              (std::vector<Route>{{prefix("203.0.113.0/24"), 1},
                                  {prefix("203.0.113.10/32"), 0},
                                  {prefix("203.0.113.11/32"), 0},
                                  {prefix("2001:db8:f::/64"), 1},
                                  {prefix("2001:db8:f::1/128"), 0}}));
    EXPECT_TRUE(routes_of({}, kPools, rules).empty());
}

TEST(RoutesOf, AnAddressOfAPoolThatNoAdvertisementNamesIsNotTold) {
    EXPECT_TRUE(routes_of({ip("203.0.113.10")}, kPools, {{.name = "edge", .pools = {"edge"}}}).empty());
}

Situation going(std::vector<IpAddress> confirmed, std::vector<IpAddress> wanted) {
    return {.dataplane_asked = true,
            .dataplane_connected = true,
            .confirmed = std::move(confirmed),
            .wanted = std::move(wanted)};
}

TEST(Decide, AnAddressIsToldOnlyOnceTheDataplaneForwardsForIt) {
    EXPECT_TRUE(decide(going({}, {ip("203.0.113.10")}), kPools, kAll)->empty());
    EXPECT_EQ(decide(going({ip("203.0.113.10")}, {ip("203.0.113.10")}), kPools, kAll)->size(), 1U);
}

TEST(Decide, AnAddressThatIsToGoIsWithdrawnBeforeTheDataplaneCeasesToForward) {
    EXPECT_TRUE(decide(going({ip("203.0.113.10")}, {}), kPools, kAll)->empty());
}

TEST(Decide, WithoutADataplaneNothingIsTold) {
    Situation now = going({ip("203.0.113.10")}, {ip("203.0.113.10")});
    now.dataplane_connected = false;
    EXPECT_TRUE(decide(now, kPools, kAll)->empty());
}

TEST(Decide, AProcessThatHasJustStartedLeavesEverythingAsItIs) {
    EXPECT_FALSE(decide({}, kPools, kAll)) << "the dataplane was not asked yet";
    Situation now{.dataplane_asked = true, .dataplane_connected = true};
    EXPECT_FALSE(decide(now, kPools, kAll)) << "what it forwards is not known yet";
    now.wanted = {ip("203.0.113.10")};
    EXPECT_FALSE(decide(now, kPools, kAll)) << "it has not confirmed anything yet";
}

TEST(Decide, InMaintenanceNothingIsToldWhateverElseIsKnown) {
    EXPECT_TRUE(decide({.maintenance = true}, kPools, kAll)->empty());
    Situation now = going({ip("203.0.113.10")}, {ip("203.0.113.10")});
    now.maintenance = true;
    EXPECT_TRUE(decide(now, kPools, kAll)->empty());
}

/// Random situations: whatever is told covers an address that serves in both states, and every such address of a pool with a rule is told.
TEST(Decide, WhatIsToldIsExactlyWhatServesInBothStates) {
    std::mt19937 random(7);
    const auto some = [&] {
        std::set<IpAddress> out;
        for (unsigned i = 0; i < 40; ++i) {
            const std::uint32_t net = random() % 2 == 0 ? 0xcb007100 : 0xc6336400;  // office, edge
            if (random() % 2 == 0) out.insert(IpAddress::v4(net + random() % 256));
        }
        return std::vector<IpAddress>(out.begin(), out.end());
    };
    for (int round = 0; round < 500; ++round) {
        std::vector<Advertisement> rules;
        for (unsigned i = 0; i < 1 + random() % 3; ++i) {
            Advertisement rule{.name = "r" + std::to_string(i)};
            if (random() % 2 == 0) rule.pools = {random() % 2 == 0 ? "office" : "edge"};
            rule.ipv4_length = static_cast<std::uint8_t>(random() % 2 == 0 ? 32 : 20 + random() % 12);
            rules.push_back(rule);
        }
        const auto confirmed = some();
        const auto wanted = some();
        const auto both = in_both(confirmed, wanted);
        const auto told = *decide(going(confirmed, wanted), kPools, rules);
        ASSERT_TRUE(std::is_sorted(told.begin(), told.end()));
        for (const Route& route : told) {
            ASSERT_EQ(route.prefix, route.prefix.network());
            const Advertisement& rule = rules[route.advertisement];
            ASSERT_EQ(route.prefix.length, rule.ipv4_length);
            ASSERT_TRUE(std::any_of(both.begin(), both.end(),
                                    [&](const IpAddress& one) { return route.prefix.contains(one); }));
        }
        for (const IpAddress& one : both) {
            const std::string name = one.v4_value() >> 8 == 0xcb0071 ? "office" : "edge";
            for (const Advertisement& rule : rules) {
                if (!rule.pools.empty() && rule.pools[0] != name) continue;
                ASSERT_TRUE(std::any_of(told.begin(), told.end(), [&](const Route& route) {
                    return route.prefix.length == rule.ipv4_length && route.prefix.contains(one);
                }));
            }
        }
    }
}

}  // namespace
}  // namespace guideway::announce
