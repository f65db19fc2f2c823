// One Service and its load balancer, beside a real appliance (Kubernetes rules 1-6, 11, 12, 13, 14).
#include "controlplane/kubernetes/service_controller.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/unit/controlplane/kubernetes/test_world.h"

namespace guideway::kubernetes {
namespace {

using nlohmann::json;

const json kNone = json::object();

TEST(ServiceController, Rule2TheFinalizerIsThereBeforeAnythingIsMade) {
    TestWorld world;
    world.service("web");
    Life life(world);
    ASSERT_TRUE(life.settle());
    const std::vector<std::string> wanted{
        "PATCH /api/v1/namespaces/prod/services/web", "PUT /v1/clusters/east/load-balancers/prod/web",
        "PATCH /api/v1/namespaces/prod/services/web/status", "PATCH /api/v1/namespaces/prod/services/web"};
    EXPECT_EQ(world.writes(), wanted);
    EXPECT_EQ(life.events, (std::vector<std::string>{"Normal EnsuringLoadBalancer", "Normal IPAllocated",
                                                     "Normal EnsuredLoadBalancer"}));
    const json ingress = world.get("web")["status"]["loadBalancer"]["ingress"][0];
    EXPECT_EQ(ingress["ipMode"], "Proxy");  // rule 4
    EXPECT_EQ(ingress["ports"], json::parse(R"([{"port": 80, "protocol": "TCP"}])"));
}

TEST(ServiceController, Rules4And5WhatIsAsItShouldBeIsNotWrittenNorToldAgain) {
    TestWorld world;
    world.service("web");
    Life life(world);
    ASSERT_TRUE(life.settle());
    const auto told = life.events;
    world.calls_from_now();
    for (int i = 0; i < 3; ++i) life.round();
    EXPECT_TRUE(world.writes().empty());
    EXPECT_EQ(life.events, told);
    world.change("web", {{"status", {{"loadBalancer", nullptr}}}});  // somebody wipes it
    ASSERT_TRUE(life.settle());
    EXPECT_EQ(world.writes(), std::vector<std::string>{"PATCH /api/v1/namespaces/prod/services/web/status"});
}

TEST(ServiceController, Rule1OnlyServicesOfItsClassAreTouched) {
    struct Case {
        std::string ours;
        bool also_without;
        json spec;
        bool expected;
    };
    for (const Case& one : {Case{"", false, kNone, true},
                            {"", false, {{"loadBalancerClass", "other.io/x"}}, false},
                            {"guideway.io/lb", false, kNone, false},
                            {"guideway.io/lb", true, kNone, true},
                            {"guideway.io/lb", false, {{"loadBalancerClass", "guideway.io/lb"}}, true},
                            {"", false, {{"type", "NodePort"}}, false}}) {
        TestWorld world;
        world.service("web", one.spec);
        ServiceControllerOptions options;
        options.load_balancer_class = one.ours;
        options.also_without_class = one.also_without;
        Life life(world, options);
        ASSERT_TRUE(life.settle());
        EXPECT_EQ(world.balancers().size(), one.expected ? 1U : 0U) << one.ours << one.spec;
        EXPECT_EQ(world.writes().empty(), !one.expected) << one.ours << one.spec;
    }
}

TEST(ServiceController, Rule2AnothersFinalizerOnAServiceOfAnotherClassStays) {
    TestWorld world;
    world.service("web", {{"loadBalancerClass", "other.io/x"}}, {{"finalizers", json::array({kFinalizer})}});
    Life life(world);
    world.api.request_deletion(kServicePath, "prod", "web");
    ASSERT_TRUE(life.settle());
    EXPECT_TRUE(world.writes().empty());
    EXPECT_FALSE(world.get("web").is_null());
}

TEST(ServiceController, Rule3OnlyItsOwnClustersObjectsAreRemoved) {
    TestWorld world;
    ASSERT_TRUE(world.manager().ensure(world.balancer("stale"), {}).ok());
    ASSERT_TRUE(world.manager().ensure(world.balancer("theirs", "west"), {}).ok());
    Life life(world);
    life.complete = false;  // not all are listed: nobody can say that it is gone
    life.round();
    EXPECT_EQ(world.balancers().size(), 2U);
    life.complete = true;
    ASSERT_TRUE(life.settle());
    ASSERT_EQ(world.balancers().size(), 1U);
    EXPECT_EQ(world.balancers().front().metadata.cluster, "west");
}

TEST(ServiceController, OneMadeByHandIsNotReplaced) {
    TestWorld world;
    ASSERT_TRUE(world.manager().ensure(world.balancer(""), {}).ok());
    world.service("web");
    Life life(world);
    const SyncResult result = life.sync("prod/web");
    ASSERT_FALSE(result.ok());
    life.look();
    EXPECT_EQ(life.sync("prod/web").reason, "NameTaken");
    EXPECT_EQ(world.balancers().front().metadata.uid, "");
}

TEST(ServiceController, Rule11AnInvalidRangeOpensNothingAndKeepsWhatIsThere) {
    TestWorld world;
    world.service("web", {{"loadBalancerSourceRanges", {"10.0.0.0/33"}}});
    Life life(world);
    EXPECT_EQ(life.sync("prod/web").kind, SyncResult::Kind::refused);
    EXPECT_TRUE(world.writes().empty());
    EXPECT_EQ(life.events, std::vector<std::string>{"Warning SyncLoadBalancerFailed"});
}

TEST(ServiceController, Rule12APortThatNothingCarriesIsToldInTheStatus) {
    TestWorld world;
    world.service("web", json::parse(R"({"allocateLoadBalancerNodePorts": false, "ports": [{"port": 80}]})"));
    Life life(world);
    ASSERT_TRUE(life.settle());
    const json status = world.get("web")["status"];
    EXPECT_EQ(status["loadBalancer"]["ingress"][0]["ports"][0]["error"], "NoNodePort");
    EXPECT_EQ(status["conditions"][0]["type"], kPortsErrorCondition);
    EXPECT_EQ(status["conditions"][0]["status"], "True");
    EXPECT_EQ(std::count(life.events.begin(), life.events.end(), "Warning SyncLoadBalancerFailed"), 1);
    // A node port that is given later is used, and the error goes.
    world.change("web", json::parse(R"({"spec": {"ports": [{"port": 80, "nodePort": 30080}]}})"));
    ASSERT_TRUE(life.settle());
    EXPECT_FALSE(world.get("web")["status"]["loadBalancer"]["ingress"][0]["ports"][0].contains("error"));
    EXPECT_EQ(world.get("web")["status"]["conditions"][0]["status"], "False");
}

TEST(ServiceController, Rule13OneNumberOnThreeProtocolsIsThreePorts) {
    TestWorld world;
    world.service("web", json::parse(R"({"ports": [{"name": "a", "protocol": "TCP", "port": 53, "nodePort": 30053},
        {"name": "b", "protocol": "UDP", "port": 53, "nodePort": 30053},
        {"name": "c", "protocol": "SCTP", "port": 53, "nodePort": 30053}]})"));
    Life life(world);
    ASSERT_TRUE(life.settle());
    ASSERT_EQ(world.balancers().size(), 1U);
    EXPECT_EQ(world.balancers().front().spec.ports.size(), 3U);
    EXPECT_EQ(world.get("web")["status"]["loadBalancer"]["ingress"][0]["ports"].size(), 3U);
}

TEST(ServiceController, Rule14TheTrafficPolicyChangesWithoutANewAddress) {
    TestWorld world;
    world.service("web");
    Life life(world);
    ASSERT_TRUE(life.settle());
    const json before = world.get("web")["status"];
    for (const char* policy : {"Local", "Cluster"}) {
        world.change("web", {{"spec", {{"externalTrafficPolicy", policy}, {"healthCheckNodePort", 31234}}}});
        ASSERT_TRUE(life.settle());
        EXPECT_EQ(world.get("web")["status"], before);
    }
}

TEST(ServiceController, AServiceThatCannotBeReadKeepsItsLoadBalancer) {
    TestWorld world;
    world.service("web");
    Life life(world);
    ASSERT_TRUE(life.settle());
    world.calls_from_now();
    world.change("web", {{"spec", {{"ports", 7}}}});
    ASSERT_TRUE(life.settle());
    EXPECT_TRUE(world.writes().empty());
    EXPECT_EQ(world.balancers().size(), 1U);
}

// ------------------------------------------------------------------------------------------------ an API server that does not want to

TEST(ServiceController, TooManyRequestsAtAnyWriteLeaveNothingHalfDoneForGood) {
    for (int refused = 1; refused <= 3; ++refused) {  // the finalizer, the status, the annotation
        TestWorld world;
        world.service("web");
        Life life(world);
        int patches = 0;
        world.fault_by([&](std::size_t, const std::string& what) {
            return what.starts_with("PATCH") && ++patches == refused ? FakeFault::too_many : FakeFault::none;
        });
        EXPECT_EQ(life.sync("prod/web").kind, SyncResult::Kind::failed) << refused;
        EXPECT_EQ(world.get("web")["status"].contains("loadBalancer"), refused == 3) << refused;
        ASSERT_TRUE(life.settle());
        EXPECT_EQ(world.allocated(), 1U) << refused;
        EXPECT_EQ(world.get("web")["status"]["loadBalancer"]["ingress"].size(), 1U) << refused;
        EXPECT_EQ(std::count(life.events.begin(), life.events.end(), "Normal EnsuredLoadBalancer"), 1) << refused;
    }
}

TEST(ServiceController, Rule6AnExpiredTokenIsNamedAndNothingIsTakenAway) {
    TestWorld world;
    world.service("web");
    Life life(world);
    ASSERT_TRUE(life.settle());
    const json before = world.get("web");
    world.change("web", {{"status", {{"loadBalancer", nullptr}}}});
    life.look();
    world.api.require_token("another");
    const SyncResult result = life.sync("prod/web");
    EXPECT_EQ(result.kind, SyncResult::Kind::failed);
    EXPECT_NE(result.message.find("401"), std::string::npos) << result.message;
    EXPECT_EQ(world.allocated(), 1U);
    world.api.require_token("");
    ASSERT_TRUE(life.settle());
    EXPECT_EQ(world.get("web")["status"], before["status"]);
}

TEST(ServiceController, Rule3AServiceMadeAnewUnderTheNameBetweenReadAndWriteGetsNothingOfTheOld) {
    TestWorld world;
    world.service("web");
    Life life(world);
    const std::string old = world.get("web")["metadata"]["uid"];
    world.fault_by([&](std::size_t, const std::string& what) {
        if (what.starts_with("PUT ")) {  // while the appliance is asked, somebody deletes it and makes another
            world.api.remove(kServicePath, "prod", "web");
            world.service("web", kNone, {{"uid", "another-one"}});
        }
        return FakeFault::none;
    });
    const SyncResult result = life.sync("prod/web");
    EXPECT_EQ(result.kind, SyncResult::Kind::again) << result.reason << ": " << result.message;
    EXPECT_FALSE(world.get("web")["status"].contains("loadBalancer"));
    world.fault_by(nullptr);
    ASSERT_TRUE(life.settle());
    ASSERT_EQ(world.balancers().size(), 1U);
    EXPECT_EQ(world.balancers().front().metadata.uid, "another-one");
    EXPECT_EQ(world.allocated(), 1U);
    EXPECT_EQ(world.get("web")["status"]["loadBalancer"]["ingress"].size(), 1U);
    EXPECT_NE(old, "another-one");
}

TEST(ServiceController, Rule3WhenTheApiServerGoesBackInTimeTheServiceKeepsItsAddress) {
    TestWorld world;
    world.service("web");
    const auto then = world.api.snapshot();
    Life life(world);
    ASSERT_TRUE(life.settle());
    const json before = world.get("web")["status"];
    world.service("first");  // so that the next free address is another one
    ASSERT_TRUE(life.settle());
    world.api.restore(then);  // no finalizer, no status, and no Service "first"
    ASSERT_TRUE(world.get("web")["status"].empty());
    ASSERT_TRUE(life.settle());
    EXPECT_EQ(world.get("web")["status"], before);
    EXPECT_EQ(world.get("web")["metadata"]["finalizers"], json::array({kFinalizer}));
    EXPECT_EQ(world.allocated(), 1U);
}

TEST(NodeController, Rule8NodesAreSelectedDrainedAndRemoved) {
    TestWorld world;
    world.node("n1");
    Life life(world);
    EXPECT_TRUE(life.sync_node("n1").ok());
    ASSERT_EQ(world.nodes().size(), 1U);
    EXPECT_FALSE(world.nodes().front().spec.drain);
    world.node("n1", {{"spec", {{"taints", {{{"key", kAutoscalerTaint}, {"effect", "NoSchedule"}}}}}}});
    life.look();
    EXPECT_TRUE(life.sync_node("n1").ok());
    EXPECT_TRUE(world.nodes().front().spec.drain);
    world.node("n1", {{"metadata", {{"labels", {{kExcludeLabel, ""}}}}}});
    life.look();
    EXPECT_TRUE(life.sync_node("n1").ok());
    EXPECT_TRUE(world.nodes().empty());
}

TEST(NodeController, ANodeThatCannotBeReadOrWasNotListedIsKept) {
    TestWorld world;
    world.node("n1");
    Life life(world);
    ASSERT_TRUE(life.sync_node("n1").ok());
    world.node("n1", {{"metadata", {{"labels", 7}}}});
    life.look();
    life.sync_node("n1");
    EXPECT_EQ(world.nodes().size(), 1U);
    world.api.remove(kNodePath, "", "n1");
    life.look();
    life.nodes_complete = false;
    life.sync_node("n1");
    EXPECT_EQ(world.nodes().size(), 1U);
    life.nodes_complete = true;
    life.sync_node("n1");
    EXPECT_TRUE(world.nodes().empty());
}

}  // namespace
}  // namespace guideway::kubernetes
