#include "controlplane/reconcile/desired_state.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "api/contract/forwarding_state_codec.h"

namespace guideway::reconcile {
namespace {

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

resources::Node node(const std::string& name, std::vector<IpAddress> addresses, std::uint32_t weight = 1,
                     bool drain = false) {
    resources::Node made;
    made.metadata.name = name;
    made.spec = {std::move(addresses), weight, drain};
    return made;
}

const std::vector<resources::Node> kNodes{node("node-2", {ip("10.0.2.12")}, 3, true),
                                          node("node-1", {ip("10.0.2.11"), ip("fd00::11")}, 5)};
const Forwarded kWeb{"default/web",
                     {ip("2001:db8::10"), ip("203.0.113.10")},
                     {{"http", contract::Protocol::tcp, 80, 30080}, {"dns", contract::Protocol::udp, 53, 30053}},
                     60};

TEST(DesiredState, HasOneSetAFamilyFromAllNodes) {
    const auto state = desired_state(kNodes, {});
    ASSERT_EQ(state.backend_sets.size(), 2U);
    EXPECT_EQ(state.backend_sets[0].name, "nodes-ipv4");
    ASSERT_EQ(state.backend_sets[0].backends.size(), 2U);
    EXPECT_EQ(state.backend_sets[0].backends[0], (contract::Backend{"node-1", ip("10.0.2.11"), 0, 5}));
    EXPECT_EQ(state.backend_sets[1].name, "nodes-ipv6");
    EXPECT_EQ(state.backend_sets[1].backends, (std::vector<contract::Backend>{{"node-1", ip("fd00::11"), 0, 5}}));
}

TEST(DesiredState, ADrainingNodeHasWeightZero) {
    EXPECT_EQ(desired_state(kNodes, {}).backend_sets[0].backends[1].weight, 0U);
}

TEST(DesiredState, HasAnEntryForEachAddressAndPort) {
    const auto state = desired_state(kNodes, {kWeb});
    ASSERT_EQ(state.services.size(), 4U);
    EXPECT_EQ(state.services[0], (contract::Service{"default/web", ip("203.0.113.10"), contract::Protocol::tcp, 80,
                                                    "nodes-ipv4", 30080, 60}));
    EXPECT_EQ(state.services[3], (contract::Service{"default/web", ip("2001:db8::10"), contract::Protocol::udp, 53,
                                                    "nodes-ipv6", 30053, 60}));
    EXPECT_TRUE(contract::validate(state).empty());
}

TEST(DesiredState, DoesNotDependOnTheOrderOfTheResources) {
    Forwarded other{"shop/api", {ip("203.0.113.11")}, {{"", contract::Protocol::tcp, 80, 31000}}, 0};
    Forwarded web = kWeb;
    std::reverse(web.ports.begin(), web.ports.end());
    std::reverse(web.addresses.begin(), web.addresses.end());
    EXPECT_EQ(desired_state(kNodes, {kWeb, other}), desired_state({kNodes[1], kNodes[0]}, {other, web}));
}

TEST(DesiredState, WithoutNodesTheSetsAreEmptySoClientsAreRefused) {
    const auto state = desired_state({}, {kWeb});
    EXPECT_TRUE(state.backend_sets[0].backends.empty());
    EXPECT_EQ(state.services.size(), 4U);
    EXPECT_TRUE(contract::validate(state).empty());
}

TEST(DesiredState, SameContentLooksPastTheGenerationOnly) {
    auto a = desired_state(kNodes, {kWeb});
    auto b = a;
    b.generation = 9;
    EXPECT_TRUE(same_content(a, b));
    b.services[0].backend_port = 1;
    EXPECT_FALSE(same_content(a, b));
}

}  // namespace
}  // namespace guideway::reconcile
