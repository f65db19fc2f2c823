// Which backends a load balancer's connections may go to, and how many of them (kubernetes-contract 9, 10, 12, 16): worked cases, and
// a builder that keeps what it made held against one that makes all anew.
#include "controlplane/reconcile/backend_sets.h"

#include <map>
#include <memory>
#include <random>

#include <gtest/gtest.h>

#include "api/contract/forwarding_state_codec.h"
#include "controlplane/reconcile/desired_state.h"

namespace guideway::reconcile {
namespace {

using resources::EndpointSlice;
using resources::ForwardingMode;
using resources::TrafficPolicy;

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }

resources::Node node(unsigned number) {
    resources::Node made;
    made.metadata.name = "node-" + std::to_string(number);
    made.spec.addresses = {ip("10.0.2.1" + std::to_string(number)), ip("fd00::1" + std::to_string(number))};
    return made;
}

NodesByName nodes() {
    NodesByName made;
    for (unsigned number : {1U, 2U, 3U}) made.emplace(node(number).metadata.name, node(number));
    return made;
}

/// default/web: TCP 80 -> 30080, two ready endpoints on node-1, one on node-2, a draining one on node-3.
Forwarded web(TrafficPolicy policy, ForwardingMode mode = ForwardingMode::nat) {
    Forwarded one;
    one.name = "default/web";
    one.addresses = {ip("203.0.113.10")};
    one.ports = {{"http", contract::Protocol::tcp, 80, 30080}};
    one.policy = policy;
    one.mode = mode;
    one.endpoint_slices = {{{{contract::Protocol::tcp, 80, 8080}},
                            {{ip("10.244.1.1"), "node-1", false},
                             {ip("10.244.1.2"), "node-1", false},
                             {ip("10.244.2.1"), "node-2", false},
                             {ip("10.244.3.1"), "node-3", true}}}};
    return one;
}

using Weights = std::map<std::string, std::uint32_t>;

Weights weights(const Forwarded& one, const NodesByName& nodes, const HealthVerdicts& verdicts = {}) {
    Weights out;
    for (const contract::Backend& backend : own_backends(one, one.ports[0], IpFamily::ipv4, nodes, verdicts)) {
        out.emplace(backend.name, backend.weight);
    }
    return out;
}

TEST(BackendSets, Rule10LocalNodesWeighAsManyAsTheyHaveReadyEndpoints) {
    EXPECT_EQ(weights(web(TrafficPolicy::local), nodes()), (Weights{{"node-1", 2}, {"node-2", 1}, {"node-3", 0}}));
}

TEST(BackendSets, Rule16WhereAllEndpointsDrainTheirNodesGoOnServing) {
    Forwarded one = web(TrafficPolicy::local);
    for (auto& endpoint : one.endpoint_slices[0].endpoints) endpoint.draining = true;
    EXPECT_EQ(weights(one, nodes()), (Weights{{"node-1", 2}, {"node-2", 1}, {"node-3", 1}}));
    one.mode = ForwardingMode::pod;
    EXPECT_EQ(weights(one, nodes()),
              (Weights{{"10.244.1.1", 1}, {"10.244.1.2", 1}, {"10.244.2.1", 1}, {"10.244.3.1", 1}}));
}

TEST(BackendSets, Rule10ANodeThatTellsFewerEndpointsWeighsFewer) {
    Forwarded one = web(TrafficPolicy::local);
    one.health_check_node_port = 31000;
    HealthVerdicts verdicts;
    verdicts.local["default/web"]["node-1"] = {false, 1};
    EXPECT_EQ(weights(one, nodes(), verdicts).at("node-1"), 1U);
    verdicts.local["default/web"]["node-1"] = {false, 7};
    EXPECT_EQ(weights(one, nodes(), verdicts).at("node-1"), 2U) << "the slices are what is sure";
}

TEST(BackendSets, Rule16ANodeThatJoinsWaitsBehindWhateverServes) {
    Forwarded one = web(TrafficPolicy::local);
    one.health_check_node_port = 31000;
    HealthVerdicts verdicts;
    verdicts.local["default/web"]["node-2"].joining = true;
    EXPECT_EQ(weights(one, nodes(), verdicts), (Weights{{"node-1", 2}, {"node-2", 0}, {"node-3", 0}}));
    for (auto& endpoint : one.endpoint_slices[0].endpoints) endpoint.draining = endpoint.node != "node-2";
    EXPECT_EQ(weights(one, nodes(), verdicts), (Weights{{"node-1", 2}, {"node-2", 0}, {"node-3", 1}}))
        << "pods that end serve until the new one does";
    one.endpoint_slices[0].endpoints = {{ip("10.244.2.1"), "node-2", false}};
    EXPECT_EQ(weights(one, nodes(), verdicts), (Weights{{"node-2", 1}})) << "there is nothing else";
    one.endpoint_slices[0].endpoints.push_back({ip("10.244.2.2"), "node-2", true});
    EXPECT_EQ(weights(one, nodes(), verdicts), (Weights{{"node-2", 1}}))
        << "its old pod serves until it has the new one";
}

TEST(BackendSets, Rule9AFailingNodeStaysInTheSetWithoutNewConnections) {
    Forwarded one = web(TrafficPolicy::local);
    HealthVerdicts verdicts;
    verdicts.failing_nodes = {{"default", "node-1"}};
    EXPECT_EQ(weights(one, nodes(), verdicts), (Weights{{"node-1", 0}, {"node-2", 1}, {"node-3", 0}}));
    one.health_check_node_port = 31000;
    EXPECT_EQ(weights(one, nodes(), verdicts).at("node-1"), 2U)
        << "where the service has a check of its own, that counts";
    verdicts.local["default/web"]["node-2"] = {true, {}};
    EXPECT_EQ(weights(one, nodes(), verdicts), (Weights{{"node-1", 2}, {"node-2", 0}, {"node-3", 0}}));
}

TEST(BackendSets, Rule9WhereAllFailAllServeOrNoneByOption) {
    HealthVerdicts verdicts;
    verdicts.failing_nodes = {{"default", "node-1"}, {"default", "node-2"}, {"default", "node-3"}};
    const auto of_nodes = [&] {
        Weights out;
        for (const auto& one : nodes_as_backends(nodes(), "default", IpFamily::ipv4, verdicts))
            out[one.name] = one.weight;
        return out;
    };
    EXPECT_EQ(of_nodes(), (Weights{{"node-1", 1}, {"node-2", 1}, {"node-3", 1}}));
    EXPECT_EQ(weights(web(TrafficPolicy::local), nodes(), verdicts).at("node-1"), 2U);
    verdicts.all_failing = AllFailing::none;
    EXPECT_EQ(of_nodes(), (Weights{{"node-1", 0}, {"node-2", 0}, {"node-3", 0}}));
    EXPECT_EQ(weights(web(TrafficPolicy::local), nodes(), verdicts).at("node-1"), 0U);
}

TEST(BackendSets, Rule12PodsAreServedByTheirOwnPortsAndAddresses) {
    const auto backends = own_backends(web(TrafficPolicy::cluster, ForwardingMode::pod),
                                       web(TrafficPolicy::cluster).ports[0], IpFamily::ipv4, nodes(), {});
    ASSERT_EQ(backends.size(), 4U);
    EXPECT_EQ(backends[0].address, ip("10.244.1.1"));
    EXPECT_EQ(backends[0].port, 8080);
    EXPECT_EQ(backends[3].weight, 0U) << "it drains";
}

TEST(BackendSets, AnEndpointInTwoSlicesIsOneAndReadyWhereAnySaysSo) {
    Forwarded one = web(TrafficPolicy::local);
    one.endpoint_slices.push_back(one.endpoint_slices[0]);
    one.endpoint_slices[1].endpoints[0].draining = true;
    EXPECT_EQ(weights(one, nodes()).at("node-1"), 2U);
}

TEST(BackendSets, ADrainingNodeTakesItsEndpointsAlongAndEndsThemWhenItsTimeIsOver) {
    NodesByName drained = nodes();
    drained.at("node-1").spec.drain = true;
    EXPECT_EQ(weights(web(TrafficPolicy::local), drained), (Weights{{"node-1", 0}, {"node-2", 1}, {"node-3", 0}}));
    drained.at("node-1").status.drain_ended = true;
    for (const TrafficPolicy policy : {TrafficPolicy::local, TrafficPolicy::cluster}) {
        const Forwarded one = web(policy, policy == TrafficPolicy::cluster ? ForwardingMode::pod : ForwardingMode::nat);
        for (const auto& backend : own_backends(one, one.ports[0], IpFamily::ipv4, drained, {})) {
            const bool there = backend.name == "node-1" || backend.name.starts_with("10.244.1.");
            EXPECT_EQ(backend.closed, there) << backend.name;
            EXPECT_TRUE(!there || backend.weight == 0) << backend.name;
        }
    }
}

TEST(BackendSets, EqualSetsOfOneLoadBalancerAreOne) {
    Forwarded one = web(TrafficPolicy::local);
    one.ports.push_back({"more", contract::Protocol::tcp, 81, 30081});
    one.endpoint_slices[0].ports.push_back({contract::Protocol::tcp, 81, 8081});
    const std::vector<resources::Node> all{node(1), node(2), node(3)};
    EXPECT_EQ(desired_state(all, {one}).backend_sets.size(), 3U) << "its own, and the cluster's two";
    one.mode = ForwardingMode::pod;
    EXPECT_EQ(desired_state(all, {one}).backend_sets.size(), 4U) << "the pods' ports differ";
}

TEST(BackendSets, RangesOfOneContentAreOneSetAndRoutesGoByTheNodesAddressOfTheirFamily) {
    Forwarded one = web(TrafficPolicy::cluster), two = web(TrafficPolicy::cluster);
    two.name = "default/two";
    two.addresses = {ip("203.0.113.11")};
    one.source_ranges = {*IpPrefix::parse("10.0.0.0/8"), *IpPrefix::parse("192.0.2.0/24")};
    two.source_ranges = {*IpPrefix::parse("192.0.2.7/24"), *IpPrefix::parse("10.0.0.0/8")};
    resources::Node routed = node(1);
    routed.spec.pod_cidrs = {*IpPrefix::parse("10.244.1.0/24"), *IpPrefix::parse("fd00:10:1::/64")};
    const auto state = desired_state({routed}, {one, two});
    ASSERT_EQ(state.source_range_sets.size(), 1U);
    EXPECT_EQ(state.services[0].source_ranges, state.source_range_sets[0].name);
    EXPECT_EQ(state.services[1].source_ranges, state.source_range_sets[0].name);
    ASSERT_EQ(state.routes.size(), 2U);
    EXPECT_EQ(state.routes[0].via, ip("10.0.2.11"));
    EXPECT_EQ(state.routes[1].via, ip("fd00::11"));
    EXPECT_TRUE(contract::validate(state).empty());
}

/// A history of random changes: what is kept must be what would be made, and a node's change must not make everything anew.
class Histories : public testing::TestWithParam<unsigned> {
  protected:
    std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }

    Forwarded some(unsigned number) {
        Forwarded one;
        one.name = "default/s" + std::to_string(number);
        one.addresses = {ip("203.0.113." + std::to_string(number + 1))};
        if (below(2) == 0) one.addresses.push_back(ip("2001:db8::" + std::to_string(number + 1)));
        one.policy = below(2) == 0 ? TrafficPolicy::local : TrafficPolicy::cluster;
        one.mode = below(3) == 0 ? ForwardingMode::pod : ForwardingMode::nat;
        one.affinity_seconds = below(2) == 0 ? 0 : 60;
        one.health_check_node_port = below(2) == 0 ? 0 : 31000;
        for (std::uint16_t port = 80; port < 80 + 1 + below(3); ++port) {
            one.ports.push_back(
                {"", contract::Protocol::tcp, port, static_cast<std::uint16_t>(below(4) == 0 ? 0 : 30000 + port)});
        }
        if (below(3) == 0) one.source_ranges = {*IpPrefix::parse("10." + std::to_string(below(3)) + ".0.0/16")};
        EndpointSlice slice;
        for (const auto& port : one.ports) slice.ports.push_back({port.protocol, port.port, 8080});
        for (std::size_t i = 0; i < below(5); ++i) {
            slice.endpoints.push_back({ip("10.244." + std::to_string(number) + "." + std::to_string(i + 1)),
                                       below(5) == 0 ? "" : "node-" + std::to_string(1 + below(4)), below(3) == 0});
        }
        one.endpoint_slices = {slice};
        return one;
    }

    std::mt19937 random_{GetParam()};
};

TEST_P(Histories, WhatIsKeptIsWhatWouldBeMade) {
    StateBuilder builder;
    std::map<std::string, resources::Node> all_nodes;
    std::map<std::string, Forwarded> all;
    HealthVerdicts verdicts;
    for (int step = 0; step < 400; ++step) {
        const unsigned number = static_cast<unsigned>(below(6));
        const std::string name = "default/s" + std::to_string(number);
        switch (below(5)) {
            case 0:
                if (below(3) == 0) {
                    all.erase(name);
                    builder.put_load_balancer(name, std::nullopt);
                    break;
                }
                [[fallthrough]];
            case 1: {
                const Forwarded one = some(number);
                all.insert_or_assign(name, one);
                builder.put_load_balancer(name, one);
                break;
            }
            case 2:
            case 3: {
                resources::Node one = node(1 + static_cast<unsigned>(below(4)));
                if (below(4) == 0) {
                    all_nodes.erase(one.metadata.name);
                    builder.put_node(one.metadata.name, std::nullopt);
                    break;
                }
                one.spec.drain = below(3) == 0;
                one.status.drain_ended = one.spec.drain && below(2) == 0;
                if (below(2) == 0)
                    one.spec.pod_cidrs = {*IpPrefix::parse("10.244." + std::to_string(below(3)) + ".0/24")};
                all_nodes.insert_or_assign(one.metadata.name, one);
                builder.put_node(one.metadata.name, one);
                break;
            }
            default: {
                verdicts = {};
                verdicts.all_failing = below(2) == 0 ? AllFailing::all : AllFailing::none;
                for (unsigned n = 1; n < 5; ++n) {
                    if (below(3) == 0) verdicts.failing_nodes.emplace("default", "node-" + std::to_string(n));
                    if (below(3) == 0) {
                        verdicts.local[name]["node-" + std::to_string(n)] = {
                            below(2) == 0, below(2) == 0 ? std::nullopt : std::optional(std::uint32_t{1})};
                    }
                }
                builder.put_verdicts(std::make_shared<const HealthVerdicts>(verdicts));
            }
        }
        std::vector<resources::Node> node_list;
        for (const auto& [key, one] : all_nodes) node_list.push_back(one);
        std::vector<Forwarded> list;
        for (const auto& [key, one] : all) list.push_back(one);
        const auto kept = builder.build();
        ASSERT_EQ(kept, desired_state(node_list, list, verdicts)) << "step " << step;
        const auto faults = contract::validate(kept);
        ASSERT_TRUE(faults.empty()) << faults[0].field << ": " << faults[0].message;
    }
}
INSTANTIATE_TEST_SUITE_P(Seeds, Histories, testing::Range(1U, 9U));

TEST(BackendSets, ANodesChangeMakesAnewOnlyWhatHasEndpointsThere) {
    StateBuilder builder;
    for (unsigned number : {1U, 2U, 3U}) builder.put_node(node(number).metadata.name, node(number));
    for (unsigned i = 0; i < 200; ++i) {
        Forwarded one = web(TrafficPolicy::cluster);
        one.name = "default/c" + std::to_string(i);
        one.addresses = {ip("198.51.100." + std::to_string(i + 1))};
        builder.put_load_balancer(one.name, one);
    }
    Forwarded local = web(TrafficPolicy::local);
    builder.put_load_balancer(local.name, local);
    builder.build();
    EXPECT_EQ(builder.made_anew(), 201U);
    resources::Node drained = node(1);
    drained.spec.drain = true;
    builder.put_node(drained.metadata.name, drained);
    builder.build();
    EXPECT_EQ(builder.made_anew(), 1U);
}

}  // namespace
}  // namespace guideway::reconcile
