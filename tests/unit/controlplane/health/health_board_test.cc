#include "controlplane/health/health_board.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace guideway::health {
namespace {

using namespace std::chrono_literals;
using Now = std::chrono::steady_clock::time_point;

resources::Node node(const std::string& name, const char* address, std::uint16_t port = 10256) {
    resources::Node made;
    made.metadata.name = name;
    made.spec.addresses = {*IpAddress::parse(address)};
    made.spec.health_check_port = port;
    return made;
}

struct Pods {
    const char* node;
    unsigned ready = 0, draining = 0;
};

resources::LoadBalancer local(const std::string& name, const std::vector<Pods>& pods, std::uint16_t port = 31000) {
    resources::LoadBalancer made;
    made.metadata.namespace_ = "default";
    made.metadata.name = name;
    made.spec.external_traffic_policy = resources::TrafficPolicy::local;
    made.spec.health_check_node_port = port;
    resources::EndpointSlice slice;
    std::uint32_t address = 0x0af40001;
    for (const Pods& one : pods) {
        for (unsigned i = 0; i < one.ready + one.draining; ++i) {
            slice.endpoints.push_back({IpAddress::v4(address++), one.node, i >= one.ready});
        }
    }
    made.spec.endpoint_slices = {slice};
    return made;
}

std::vector<std::string> shown(const std::vector<Target>& targets) {
    std::vector<std::string> out;
    for (const Target& one : targets)
        out.push_back(one.key + " at " + one.address.to_string() + ":" + std::to_string(one.port));
    return out;
}

using Lines = std::vector<std::string>;

class HealthBoardTest : public testing::Test {
  protected:
    /// As the prober would tell.
    std::vector<HealthBoard::News> note(const std::string& key, bool healthy, const char* reason = kRefused,
                                        std::optional<std::uint32_t> endpoints = {}) {
        for (const Target& one : board.take_targets().put) targets[one.key] = one;
        Changed change{targets.at(key), {}, false};
        change.verdict.healthy = healthy;
        change.verdict.reason = healthy ? kOk : reason;
        change.verdict.message = healthy ? "answers 200" : "the port is closed";
        change.verdict.endpoints = endpoints;
        return board.note({change}, now);
    }
    HealthBoard board;
    std::map<std::string, Target> targets;
    Now now = std::chrono::steady_clock::now();
};

TEST_F(HealthBoardTest, Rule9PolicyClusterAsksKubeProxyOncePerNode) {
    resources::Node dual = node("node-1", "10.0.2.11");
    dual.spec.addresses.push_back(*IpAddress::parse("fd00::11"));
    board.put_node(dual);
    board.put_node(node("node-2", "10.0.2.12", 0));
    const auto targets_now = board.take_targets();
    EXPECT_EQ(shown(targets_now.put), (Lines{"node default/node-1 at 10.0.2.11:10256"}));
    EXPECT_FALSE(targets_now.put[0].wants_endpoints);
    EXPECT_TRUE(board.take_targets().put.empty()) << "told once";
    board.put_node(dual);
    EXPECT_TRUE(board.take_targets().put.empty()) << "nothing changed";
}

TEST_F(HealthBoardTest, Rule9PolicyLocalAsksTheNodesWithReadyEndpointsAlone) {
    for (const char* name : {"node-1", "node-2", "node-3"}) board.put_node(node(name, "10.0.2.11", 0));
    board.put_load_balancer(local("web", {{"node-1", 2}, {"node-2", 1, 1}, {"node-3", 0, 2}, {"node-9", 1}}));
    const auto targets_now = board.take_targets();
    EXPECT_EQ(shown(targets_now.put),
              (Lines{"local default/web node-1 at 10.0.2.11:31000", "local default/web node-2 at 10.0.2.11:31000"}));
    EXPECT_TRUE(targets_now.put[0].wants_endpoints);
    // The pod moves from node-2 to node-9, which comes to be known.
    board.put_node(node("node-9", "10.0.2.19", 0));
    board.put_load_balancer(local("web", {{"node-1", 2}, {"node-9", 2}}));
    const auto next = board.take_targets();
    EXPECT_EQ(shown(next.put), (Lines{"local default/web node-9 at 10.0.2.19:31000"}));
    EXPECT_EQ(next.gone, (Lines{"local default/web node-2"}));
}

TEST_F(HealthBoardTest, PolicyClusterAndNoHealthCheckNodePortAreNotAsked) {
    board.put_node(node("node-1", "10.0.2.11", 0));
    auto cluster = local("a", {{"node-1", 1}});
    cluster.spec.external_traffic_policy = resources::TrafficPolicy::cluster;
    board.put_load_balancer(cluster);
    board.put_load_balancer(local("b", {{"node-1", 1}}, 0));
    EXPECT_EQ(board.checks(), 0u);
    // Rule 14: the policy switches, and back.
    board.put_load_balancer(local("a", {{"node-1", 1}}));
    EXPECT_EQ(board.take_targets().put.size(), 1u);
    board.put_load_balancer(cluster);
    EXPECT_EQ(board.take_targets().gone, (Lines{"local default/a node-1"}));
}

TEST_F(HealthBoardTest, AFailingNodeIsInTheVerdictsUntilItIsWellAgain) {
    board.put_node(node("node-1", "10.0.2.11"));
    EXPECT_EQ(board.take_verdicts(), nullptr);
    const auto news = note("node default/node-1", false);
    ASSERT_EQ(news.size(), 1u);
    EXPECT_TRUE(news[0].turned);
    EXPECT_TRUE(news[0].tell);
    EXPECT_EQ(news[0].node, (HealthBoard::NodeName{"default", "node-1"}));
    EXPECT_TRUE(board.verdicts().node_fails("default", "node-1"));
    ASSERT_NE(board.take_verdicts(), nullptr);
    EXPECT_EQ(board.take_verdicts(), nullptr) << "given once";
    note("node default/node-1", false, kTimeout);
    EXPECT_EQ(board.take_verdicts(), nullptr) << "another reason changes nothing of the forwarding";
    note("node default/node-1", true);
    EXPECT_FALSE(board.verdicts().node_fails("default", "node-1"));
    EXPECT_NE(board.take_verdicts(), nullptr);
}

TEST_F(HealthBoardTest, WhatWasFoundOfANodeGoesWithItsCheck) {
    board.put_node(node("node-1", "10.0.2.11"));
    note("node default/node-1", false);
    board.put_node(node("node-1", "10.0.2.99"));
    EXPECT_FALSE(board.verdicts().node_fails("default", "node-1")) << "another address: not probed yet";
    note("node default/node-1", false);
    board.put_node(node("node-1", "10.0.2.99", 0));
    EXPECT_FALSE(board.verdicts().node_fails("default", "node-1")) << "not probed any more";
    board.put_node(node("node-1", "10.0.2.99"));
    note("node default/node-1", false);
    board.take_verdicts();
    board.erase_node({"default", "node-1"});
    EXPECT_NE(board.take_verdicts(), nullptr);
    EXPECT_EQ(board.verdicts(), reconcile::HealthVerdicts{});
}

TEST_F(HealthBoardTest, ALateVerdictOfAFormerTargetIsNotBelieved) {
    board.put_node(node("node-1", "10.0.2.11"));
    const Target former = board.take_targets().put.at(0);
    board.put_node(node("node-1", "10.0.2.12"));
    Changed change{former, {}, true};
    change.verdict.healthy = false;
    EXPECT_TRUE(board.note({change}, now).empty());
    EXPECT_FALSE(board.verdicts().node_fails("default", "node-1"));
}

TEST_F(HealthBoardTest, Rule9AnAnswerThatTellsFewerEndpointsThanTheSlicesIsAHint) {
    board.put_node(node("node-1", "10.0.2.11", 0));
    board.put_load_balancer(local("web", {{"node-1", 3}}));
    const auto verdict = [&] {
        const auto* found = board.verdicts().local_verdict("default/web", "node-1");
        return found == nullptr ? reconcile::LocalVerdict{} : *found;
    };
    note("local default/web node-1", true, kOk, 2);
    EXPECT_EQ(verdict().endpoints, 2u);
    board.put_load_balancer(local("web", {{"node-1", 2}}));
    EXPECT_EQ(verdict().endpoints, std::nullopt) << "the slices say so too now";
    note("local default/web node-1", true, kOk, 7);
    EXPECT_EQ(verdict(), reconcile::LocalVerdict{}) << "the slices do not know of more";
    note("local default/web node-1", false, "Status503", 0);
    EXPECT_EQ(verdict(), (reconcile::LocalVerdict{true, {}}));
    board.erase_load_balancer("default/web");
    EXPECT_EQ(board.verdicts(), reconcile::HealthVerdicts{});
}

TEST_F(HealthBoardTest, Rule16ANodeJoinsOnceItAnswers) {
    for (const char* name : {"node-1", "node-2", "node-3"}) board.put_node(node(name, "10.0.2.11", 0));
    const auto joins = [&](const char* name) {
        const auto* verdict = board.verdicts().local_verdict("default/web", name);
        return verdict != nullptr && verdict->joining;
    };
    board.put_load_balancer(local("web", {{"node-1", 1}}));
    EXPECT_FALSE(joins("node-1")) << "the load balancer is new: nothing served before";
    EXPECT_FALSE(board.take_targets().put[0].joining);
    board.put_load_balancer(local("web", {{"node-1", 1}, {"node-2", 1}}));
    EXPECT_TRUE(joins("node-2"));
    EXPECT_FALSE(joins("node-1"));
    EXPECT_NE(board.take_verdicts(), nullptr) << "with the same change, not after it";
    // Its pods become two before it answered: it is no other node for that.
    board.put_load_balancer(local("web", {{"node-1", 1}, {"node-2", 2}}));
    EXPECT_TRUE(joins("node-2"));
    const auto put = board.take_targets().put;
    ASSERT_EQ(put.size(), 1u);
    EXPECT_TRUE(put[0].joining) << "it is asked at once";
    targets[put[0].key] = put[0];
    note("local default/web node-2", true, kOk, 2);
    EXPECT_FALSE(joins("node-2"));
    EXPECT_TRUE(board.verdicts().local.empty());
    // It comes again after its last pod had gone; this time it fails to the end.
    board.put_load_balancer(local("web", {{"node-1", 1}, {"node-2", 0, 1}}));
    board.put_load_balancer(local("web", {{"node-1", 1}, {"node-2", 1}}));
    EXPECT_TRUE(joins("node-2"));
    note("local default/web node-2", false, "Status503");
    EXPECT_FALSE(joins("node-2"));
    EXPECT_TRUE(board.verdicts().local_verdict("default/web", "node-2")->failing);
    // Nobody can be asked: nobody is waited for.
    board.put_load_balancer(local("web", {{"node-1", 1}, {"node-3", 1}}));
    EXPECT_TRUE(joins("node-3"));
    EXPECT_TRUE(board.stop_waiting());
    EXPECT_FALSE(joins("node-3"));
    EXPECT_FALSE(board.stop_waiting());
}

TEST_F(HealthBoardTest, WhereNothingServedBeforeNobodyJoins) {
    for (const char* name : {"node-1", "node-2"}) board.put_node(node(name, "10.0.2.11", 0));
    board.put_load_balancer(local("web", {{"node-1", 1}}));
    board.put_load_balancer(local("web", {}));
    board.put_load_balancer(local("web", {{"node-2", 1}}));
    EXPECT_TRUE(board.verdicts().local.empty());
    board.put_load_balancer(local("web", {{"node-1", 1}, {"node-2", 1}}, 31001));
    EXPECT_TRUE(board.verdicts().local.empty()) << "another port to ask at: all are asked anew";
}

TEST_F(HealthBoardTest, DualStackPodsCountOnce) {
    board.put_node(node("node-1", "10.0.2.11", 0));
    auto web = local("web", {{"node-1", 2}});
    resources::EndpointSlice v6;
    v6.endpoints = {{*IpAddress::parse("fd01::1"), "node-1", false}, {*IpAddress::parse("fd01::2"), "node-1", false}};
    web.spec.endpoint_slices.push_back(v6);
    board.put_load_balancer(web);
    note("local default/web node-1", true, kOk, 2);
    EXPECT_EQ(board.verdicts().local_verdict("default/web", "node-1"), nullptr);
}

TEST_F(HealthBoardTest, ShowsWhatWasFoundOfANode) {
    board.put_node(node("node-1", "10.0.2.11"));
    board.put_load_balancer(local("web", {{"node-1", 3}}));
    note("local default/web node-1", true, kOk, 2);
    const auto health = board.health_of({"default", "node-1"}, "");
    ASSERT_EQ(health.size(), 2u);
    EXPECT_EQ(health[0].check, "node");
    EXPECT_TRUE(health[0].healthy);
    EXPECT_EQ(health[0].reason, kNotYetProbed);
    EXPECT_EQ(health[1].check, "default/web");
    EXPECT_EQ(health[1].port, 31000);
    EXPECT_EQ(health[1].message, "answers 200, with 2 ready endpoints");
    EXPECT_EQ(board.health_of({"default", "node-1"}, "no socket")[0].message,
              "not probed yet; not probed at the moment: no socket");
    EXPECT_TRUE(board.health_of({"prod", "node-1"}, "").empty());
}

TEST_F(HealthBoardTest, ClustersAreApart) {
    resources::Node other = node("node-1", "10.0.2.21");
    other.metadata.cluster = "prod";
    board.put_node(node("node-1", "10.0.2.11"));
    board.put_node(other);
    note("node prod/node-1", false);
    EXPECT_TRUE(board.verdicts().node_fails("prod", "node-1"));
    EXPECT_FALSE(board.verdicts().node_fails("default", "node-1"));
}

TEST_F(HealthBoardTest, OfANodeThatFlapsAFewTurnsAreToldAndTheOthersCounted) {
    board.put_node(node("node-1", "10.0.2.11"));
    int told = 0;
    for (int i = 0; i < 100; ++i) told += note("node default/node-1", i % 2 == 1)[0].tell ? 1 : 0;
    EXPECT_EQ(told, 6);
    now += 60s;
    const auto news = note("node default/node-1", false);
    EXPECT_TRUE(news[0].tell);
    EXPECT_EQ(news[0].held_back, 94u);
}

TEST_F(HealthBoardTest, AStormOfAllNodesIsBoundedToo) {
    for (int i = 0; i < 2000; ++i) board.put_node(node("node-" + std::to_string(i), "10.0.2.11"));
    int told = 0;
    for (int i = 0; i < 2000; ++i) told += note("node default/node-" + std::to_string(i), false)[0].tell ? 1 : 0;
    EXPECT_EQ(told, 256);
    EXPECT_EQ(board.verdicts().failing_nodes.size(), 2000u) << "all are taken out of use";
}

TEST_F(HealthBoardTest, KeepsWhatItKnowsOfWhatStays) {
    board.put_node(node("node-1", "10.0.2.11"));
    board.put_node(node("node-2", "10.0.2.12"));
    board.put_load_balancer(local("web", {{"node-1", 1}}));
    note("node default/node-1", false);
    board.keep_only([](const auto& name) { return name.second == "node-1"; }, [](const auto&) { return false; });
    board.put_node(node("node-1", "10.0.2.11"));
    EXPECT_TRUE(board.verdicts().node_fails("default", "node-1"));
    EXPECT_EQ(board.checks(), 1u);
    EXPECT_EQ(board.nodes_probed().size(), 1u);
}

}  // namespace
}  // namespace guideway::health
