// The manager: what says where connections go (policy, mode, endpoints, drains, source ranges) reaches the dataplane, and what
// cannot be carried is said.
#include <algorithm>
#include <map>

#include "api/contract/forwarding_state_codec.h"
#include "tests/unit/controlplane/manager_testing.h"

namespace guideway::controlplane::manager_testing {
namespace {

resources::LoadBalancer local(const std::string& name) {
    resources::LoadBalancer made = balancer(name);
    made.spec.external_traffic_policy = resources::TrafficPolicy::local;
    made.spec.endpoint_slices = {
        {{{contract::Protocol::tcp, 80, 8080}}, {{ip("10.244.1.1"), "n1", false}, {ip("10.244.1.2"), "n1", false}}}};
    return made;
}

const contract::BackendSet& set_of(const FakeDataplane& self, const contract::Service& service) {
    return *std::find_if(self.state->backend_sets.begin(), self.state->backend_sets.end(),
                         [&](const auto& set) { return set.name == service.backend_set; });
}

TEST_F(ManagerTest, Rule14PolicyAndModeSwitchWithoutANewAddress) {
    dataplane.start();
    put(pool("a", {"203.0.113.10-203.0.113.19"}));
    put(node("n1", "10.0.2.11"));
    put(node("n2", "10.0.2.12"));
    put(balancer("web"));
    const std::string address = address_of("web");
    put(local("web"));
    ASSERT_TRUE(manager->wait_until_forwarding(20s));
    EXPECT_EQ(address_of("web"), address);
    dataplane.with_lock([](const FakeDataplane& self) {
        const auto& set = set_of(self, self.state->services.at(0));
        ASSERT_EQ(set.backends.size(), 1U) << "n2 has no endpoint";
        EXPECT_EQ(set.backends[0].weight, 2U);
        EXPECT_EQ(self.state->services[0].backend_port, 30080);
    });
    auto pods = local("web");
    pods.spec.external_traffic_policy = resources::TrafficPolicy::cluster;
    pods.spec.mode = resources::ForwardingMode::pod;
    put(pods);
    ASSERT_TRUE(manager->wait_until_forwarding(20s));
    EXPECT_EQ(address_of("web"), address);
    dataplane.with_lock([](const FakeDataplane& self) {
        EXPECT_EQ(set_of(self, self.state->services.at(0)).backends.size(), 2U);
        EXPECT_EQ(self.state->services[0].backend_port, 0);
    });
    put(balancer("web"));
    ASSERT_TRUE(manager->wait_until_forwarding(20s));
    EXPECT_EQ(address_of("web"), address);
    dataplane.with_lock([](const FakeDataplane& self) {
        EXPECT_EQ(self.state->services.at(0).backend_set, "nodes-ipv4");
        EXPECT_EQ(self.state->backend_sets.size(), 2U);
    });
}

TEST_F(ManagerTest, Rule10WithoutEndpointsItIsForwardedAndNotReady) {
    dataplane.start();
    put(pool("a", {"203.0.113.10-203.0.113.19"}));
    put(node("n1", "10.0.2.11"));
    auto one = local("web");
    one.spec.endpoint_slices.clear();
    put(one);
    ASSERT_TRUE(manager->wait_until_forwarding(20s));
    EXPECT_EQ(condition(get("web"), "Ready").reason, "NoEndpoints");
    dataplane.with_lock([](const FakeDataplane& self) {
        EXPECT_TRUE(set_of(self, self.state->services.at(0)).backends.empty())
            << "clients are refused, not left hanging";
    });
    put(local("web"));
    ASSERT_TRUE(manager->wait_until_forwarding(20s));
    EXPECT_TRUE(condition(get("web"), "Ready").status);
}

TEST_F(ManagerTest, AddressesOfASilentPoolAreSilentFromTheChangeOnAndThoseOfOthersAreNot) {
    dataplane.start();
    put(node("n1", "10.0.2.11"));
    put(pool("a", {"203.0.113.10-203.0.113.10"}));
    put(balancer("web"));
    put(pool("b", {"203.0.113.20-203.0.113.20"}));
    put(balancer("other"));
    const auto silent = [&] {
        EXPECT_TRUE(manager->wait_until_forwarding(20s));
        std::map<std::string, bool> found;
        dataplane.with_lock([&](const FakeDataplane& self) {
            for (const auto& service : self.state->services) found[service.vip.to_string()] = service.silent;
        });
        return found;
    };
    using Found = std::map<std::string, bool>;
    EXPECT_EQ(silent(), (Found{{"203.0.113.10", false}, {"203.0.113.20", false}}));
    auto quiet = pool("a", {"203.0.113.10-203.0.113.10"});
    quiet.spec.silent = true;
    put(quiet);
    EXPECT_EQ(silent(), (Found{{"203.0.113.10", true}, {"203.0.113.20", false}}));
    restart();
    EXPECT_EQ(silent(), (Found{{"203.0.113.10", true}, {"203.0.113.20", false}}));
    put(pool("a", {"203.0.113.10-203.0.113.10"}));
    EXPECT_EQ(silent(), (Found{{"203.0.113.10", false}, {"203.0.113.20", false}}));
}

TEST_F(ManagerTest, AddressesOfAPoolThatIsBoundToPortsAreBoundFromTheChangeOnAndThoseOfOthersAreNot) {
    dataplane.start();
    put(node("n1", "10.0.2.11"));
    auto bound = pool("a", {"203.0.113.10-203.0.113.10"});
    bound.spec.ports = {"clients"};
    put(bound);
    put(balancer("web"));
    put(pool("b", {"203.0.113.20-203.0.113.20"}));
    put(balancer("other"));
    const auto found = [&] {
        EXPECT_TRUE(manager->wait_until_forwarding(20s));
        std::vector<contract::VipPorts> ports;
        dataplane.with_lock([&](const FakeDataplane& self) { ports = self.state->vip_ports; });
        return ports;
    };
    using Found = std::vector<contract::VipPorts>;
    EXPECT_EQ(found(), (Found{{ip("203.0.113.10"), {"clients"}}}));
    restart();
    EXPECT_EQ(found(), (Found{{ip("203.0.113.10"), {"clients"}}}));
    bound.spec.ports = {"clients", "nodes"};
    put(bound);
    EXPECT_EQ(found(), (Found{{ip("203.0.113.10"), {"clients", "nodes"}}}));
    put(pool("a", {"203.0.113.10-203.0.113.10"}));
    EXPECT_EQ(found(), Found{});
}

TEST_F(ManagerTest, APortThatTheDataplaneHasNotIsRefusedWhereItCanBeAsked) {
    auto bound = pool("a", {"203.0.113.10-203.0.113.10"});
    bound.spec.ports = {"clients", "cleints"};
    put(bound);  // nobody can be asked: it may be right
    dataplane.with_lock([](FakeDataplane& self) {
        self.status.emplace();
        self.status->ports = {{"clients", "vlan", true}, {"nodes", "vlan", true}};
    });
    dataplane.start();
    put(bound);  // and what is there stays
    bound.spec.auto_assign = false;
    put(bound);
    bound.spec.ports = {"clients", "noeds"};
    const auto refused = manager->ensure(bound, {});
    ASSERT_FALSE(refused.ok());
    ASSERT_EQ(refused.problem().faults.size(), 1U);
    EXPECT_EQ(refused.problem().faults[0].field, "/spec/ports/1");
    EXPECT_EQ(refused.problem().faults[0].message,
              "found \"noeds\", allowed the dataplane's ports: \"clients\", \"nodes\"");
    bound.spec.ports = {"nodes"};
    put(bound);
}

TEST_F(ManagerTest, Rule12APortThatNothingCanCarryIsSaid) {
    put(pool("a", {"203.0.113.10-203.0.113.19"}));
    auto one = balancer("web");
    one.spec.ports[0].node_port = 0;
    const auto made = put(one).object;
    ASSERT_EQ(made.status.ports.size(), 1U);
    EXPECT_EQ(made.status.ports[0].error, "NoNodePort");
    EXPECT_FALSE(made.status.ingress.empty()) << "the address stays";
    one.spec.endpoint_slices = local("web").spec.endpoint_slices;
    EXPECT_EQ(put(one).object.status.ports[0].error, "");
}

TEST_F(ManagerTest, ADrainEndsWhenItsTimeIsOverAlsoOverARestart) {
    dataplane.start();
    auto one = node("n1", "10.0.2.11", true);
    one.spec.drain_timeout_seconds = 300;
    put(one);
    clock = clock.load() + 200s;
    restart();
    ASSERT_TRUE(manager->wait_until_forwarding(20s));
    EXPECT_FALSE(manager->node("default", "n1").value().status.drain_ended);
    dataplane.with_lock(
        [](const FakeDataplane& self) { EXPECT_FALSE(self.state->backend_sets[0].backends[0].closed); });
    clock = clock.load() + 101s;
    ASSERT_TRUE(dataplane.until([](const FakeDataplane& self) {
        return !self.state->backend_sets[0].backends.empty() && self.state->backend_sets[0].backends[0].closed;
    }));
    EXPECT_TRUE(manager->node("default", "n1").value().status.drain_ended);
    restart();
    EXPECT_TRUE(manager->node("default", "n1").value().status.drain_ended);
    put(node("n1", "10.0.2.11"));
    EXPECT_EQ(manager->node("default", "n1").value().status.draining_since, "");
    ASSERT_TRUE(manager->wait_until_forwarding(20s));
    dataplane.with_lock([](const FakeDataplane& self) {
        EXPECT_FALSE(self.state->backend_sets[0].backends[0].closed);
        EXPECT_EQ(self.state->backend_sets[0].backends[0].weight, 1U);
    });
}

TEST_F(ManagerTest, WhatAllLoadBalancersTogetherMayNotHaveIsRefusedWhenItIsAskedFor) {
    put(pool("a", {"203.0.113.0/24"}));
    constexpr std::size_t kEach = 4096;
    auto one = balancer("x");
    for (std::uint32_t i = 0; i < kEach; ++i) {
        one.spec.source_ranges.push_back({IpAddress::v4(0x0a000000U + (i << 8)), 24});
    }
    const std::size_t most = contract::kMaxSourcePrefixes / kEach;
    for (std::size_t i = 0; i < most; ++i) {
        one.metadata.name = "x" + std::to_string(i);
        ASSERT_TRUE(manager->ensure(one, {}).ok()) << i;
    }
    auto small = balancer("y");
    small.spec.source_ranges = {*IpPrefix::parse("10.0.0.0/8")};
    const auto refused = manager->ensure(small, {});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.problem().status, 409);
    EXPECT_EQ(refused.problem().faults.at(0).field, "/spec/sourceRanges");
    ASSERT_TRUE(manager->ensure(balancer("z"), {}).ok()) << "one without ranges is none of it";
    ASSERT_TRUE(remove("x0"));
    EXPECT_TRUE(manager->ensure(small, {}).ok());
}

}  // namespace
}  // namespace guideway::controlplane::manager_testing
