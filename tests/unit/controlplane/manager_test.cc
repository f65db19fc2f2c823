// The manager: what REST sees, what is durable, what is forwarded.
#include "controlplane/manager.h"

#include <set>

#include "tests/unit/controlplane/manager_testing.h"

namespace guideway::controlplane {
namespace {

using namespace manager_testing;

TEST_F(ManagerTest, AnEnsuredLoadBalancerHasItsAddressInTheAnswer) {
    put(pool("a", {"203.0.113.10-203.0.113.20"}));
    const auto ensured = put(balancer("web"));
    EXPECT_TRUE(ensured.created);
    EXPECT_TRUE(ensured.changed);
    ASSERT_EQ(ensured.object.status.ingress.size(), 1U);
    EXPECT_EQ(ensured.object.status.ingress[0], (resources::Ingress{ip("203.0.113.10"), "a"}));
    EXPECT_TRUE(condition(ensured.object, "Allocated").status);
    EXPECT_EQ(ensured.object.metadata.generation, 1U);
    EXPECT_EQ(ensured.object.status.observed_generation, 1U);
    EXPECT_EQ(ensured.object.metadata.creation_timestamp, "2001-09-09T01:46:40Z");
}

TEST_F(ManagerTest, TheSameWishAgainWritesNothing) {
    put(pool("a", {"203.0.113.10-203.0.113.20"}));
    put(node("n1", "10.0.2.11"));
    const auto first = put(balancer("web"));
    const unsigned commits = switches.commits;
    const auto again = put(balancer("web"));
    EXPECT_FALSE(again.created);
    EXPECT_FALSE(again.changed);
    EXPECT_EQ(again.object.metadata, first.object.metadata);
    EXPECT_FALSE(put(pool("a", {"203.0.113.10-203.0.113.20"})).changed);
    EXPECT_FALSE(put(node("n1", "10.0.2.11")).changed);
    EXPECT_EQ(switches.commits, commits);
}

TEST_F(ManagerTest, AChangeOfTheSpecRaisesGenerationAndVersion) {
    put(pool("a", {"203.0.113.10-203.0.113.20"}));
    const auto first = put(balancer("web"));
    const auto second = put(balancer("web", 443));
    EXPECT_TRUE(second.changed);
    EXPECT_FALSE(second.created);
    EXPECT_EQ(second.object.metadata.generation, 2U);
    EXPECT_GT(second.object.metadata.resource_version, first.object.metadata.resource_version);
    EXPECT_EQ(second.object.status.ingress, first.object.status.ingress);
    resources::LoadBalancer labelled = balancer("web", 443);
    labelled.metadata.labels["team"] = "shop";
    EXPECT_EQ(put(labelled).object.metadata.generation, 2U) << "labels are no spec";
}

TEST_F(ManagerTest, IfMatchGuardsEdits) {
    put(pool("a", {"203.0.113.10-203.0.113.20"}));
    const std::uint64_t version = put(balancer("web")).object.metadata.resource_version;
    const auto stale = manager->ensure(balancer("web", 443), if_version(version + 1));
    ASSERT_FALSE(stale.ok());
    EXPECT_EQ(stale.problem().status, 412);
    EXPECT_TRUE(manager->ensure(balancer("web", 443), if_version(version)).ok());
    EXPECT_EQ(manager->delete_load_balancer("default", "default", "web", "", if_version(version)).problem().status,
              412);
    EXPECT_EQ(manager->ensure(node("n", "10.0.0.1"), if_version(1)).problem().status, 412);
    EXPECT_EQ(manager->delete_address_pool("a", if_version(99)).problem().status, 412);
}

TEST_F(ManagerTest, DeleteIsIdempotentAndFreesTheAddress) {
    put(pool("a", {"203.0.113.10/32"}));
    put(balancer("web"));
    EXPECT_TRUE(manager->delete_load_balancer("default", "default", "web", "", {}).value());
    EXPECT_FALSE(manager->delete_load_balancer("default", "default", "web", "", {}).value());
    EXPECT_EQ(manager->load_balancer("default", "default", "web").problem().status, 404);
    put(balancer("next"));
    EXPECT_EQ(address_of("next"), "203.0.113.10");
}

TEST_F(ManagerTest, Rule23WhatCannotBeServedIsKeptAndServedAtOnceWhenItCan) {
    const auto waiting = put(balancer("web"));
    EXPECT_TRUE(waiting.created);
    EXPECT_EQ(condition(waiting.object, "Allocated").reason, "NoAvailableIPs");
    EXPECT_FALSE(condition(waiting.object, "Allocated").message.empty());
    EXPECT_EQ(condition(waiting.object, "Ready").reason, "NotAllocated");
    EXPECT_EQ(manager->status().load_balancers_waiting, 1U);
    clock = clock.load() + 60s;
    put(pool("a", {"203.0.113.10/32"}));
    const auto served = get("web");
    EXPECT_TRUE(condition(served, "Allocated").status);
    EXPECT_EQ(condition(served, "Allocated").last_transition_time, "2001-09-09T01:47:40Z");
    EXPECT_GT(served.metadata.resource_version, waiting.object.metadata.resource_version);
    EXPECT_EQ(manager->status().load_balancers_waiting, 0U);
    put(balancer("second"));
    manager->delete_load_balancer("default", "default", "web", "", {});
    EXPECT_EQ(address_of("second"), "203.0.113.10");
}

TEST_F(ManagerTest, AnUnknownPoolWaitsAndMalformedAddressesAreRefused) {
    put(pool("a", {"203.0.113.0/28"}));
    resources::LoadBalancer wanted = balancer("web");
    wanted.spec.address_pool = "b";
    EXPECT_EQ(condition(put(wanted).object, "Allocated").reason, "UnknownPool");
    put(pool("b", {"198.51.100.7/32"}));
    EXPECT_EQ(address_of("web"), "198.51.100.7");
    resources::LoadBalancer malformed = balancer("bad");
    malformed.spec.addresses = {ip("203.0.113.1"), ip("203.0.113.2")};
    const auto refused = manager->ensure(malformed, {});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.problem().status, 400);
    EXPECT_EQ(refused.problem().faults.at(0).field, "/spec/addresses");
    EXPECT_FALSE(manager->load_balancer("default", "default", "bad").ok());
}

TEST_F(ManagerTest, Rule2AFaultyPoolIsRefusedWithEveryFaultAndChangesNothing) {
    put(pool("a", {"203.0.113.0/28"}));
    const auto refused = manager->ensure(pool("b", {"203.0.113.4/32", "192.0.2.1"}), {});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.problem().status, 400);
    ASSERT_EQ(refused.problem().faults.size(), 2U);
    EXPECT_EQ(refused.problem().faults[0].field, "/spec/addresses/0");
    EXPECT_EQ(refused.problem().faults[1].field, "/spec/addresses/1");
    EXPECT_EQ(manager->address_pools({}).value().items.size(), 1U);
    EXPECT_NE(manager->metrics().find("guideway_address_pools_stale 1"), std::string::npos);
    put(pool("b", {"192.0.2.1/32"}));
    EXPECT_NE(manager->metrics().find("guideway_address_pools_stale 0"), std::string::npos);
}

TEST_F(ManagerTest, Rule19DeletingAPoolMovesItsHolders) {
    put(pool("a", {"203.0.113.10/32"}));
    put(balancer("web"));
    put(pool("b", {"198.51.100.7/32"}));
    EXPECT_EQ(address_of("web"), "203.0.113.10");
    EXPECT_TRUE(manager->delete_address_pool("a", {}).value());
    EXPECT_EQ(address_of("web"), "198.51.100.7");
    EXPECT_TRUE(manager->delete_address_pool("b", {}).value());
    EXPECT_EQ(address_of("web"), "");
    EXPECT_EQ(condition(get("web"), "Allocated").reason, "NoAvailableIPs");
    EXPECT_FALSE(manager->delete_address_pool("b", {}).value());
}

TEST_F(ManagerTest, Rules20And22ARestartKeepsEverything) {
    put(pool("a", {"203.0.113.10-203.0.113.12"}));
    put(node("n1", "10.0.2.11", true));
    put(balancer("gone"));
    put(balancer("web", 443));
    put(balancer("api"));
    manager->delete_load_balancer("default", "default", "gone", "", {});
    resources::LoadBalancer waiting = balancer("waits");
    waiting.spec.address_pool = "nowhere";
    put(waiting);
    const auto before = balancers();
    const auto pools = manager->address_pools({}).value().items;
    const auto nodes = manager->nodes({}).value().items;
    const std::uint64_t generation = manager->status().desired_generation;
    const unsigned commits = switches.commits;
    restart();
    const auto same = [](const resources::LoadBalancer& one) {
        resources::LoadBalancer made = one;
        made.status.conditions.resize(1);  // Allocated; the others are the dataplane's
        return made;
    };
    const auto after = balancers();
    ASSERT_EQ(after.size(), before.size());
    for (std::size_t i = 0; i < after.size(); ++i) EXPECT_EQ(same(after[i]), same(before[i]));
    EXPECT_EQ(manager->address_pools({}).value().items, pools);
    ASSERT_EQ(manager->nodes({}).value().items.size(), nodes.size());
    EXPECT_EQ(manager->nodes({}).value().items[0].metadata, nodes[0].metadata);
    EXPECT_EQ(manager->nodes({}).value().items[0].spec, nodes[0].spec);
    EXPECT_EQ(manager->status().desired_generation, generation);
    EXPECT_EQ(switches.commits, commits) << "a restart that changes nothing writes nothing";
    put(balancer("next"));
    EXPECT_EQ(address_of("next"), "203.0.113.10");
}

TEST_F(ManagerTest, Rule20WhereTheStoreFailsNothingHasHappened) {
    put(pool("a", {"203.0.113.10-203.0.113.11"}));
    put(balancer("web"));
    const auto before = balancers();
    const auto status = manager->status();
    switches.full = true;
    const auto refused = manager->ensure(balancer("second"), {});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.problem().status, 507);
    EXPECT_EQ(refused.problem().reason, "StoreFull");
    EXPECT_FALSE(manager->delete_load_balancer("default", "default", "web", "", {}).ok());
    EXPECT_FALSE(manager->ensure(balancer("web", 443), {}).ok());
    EXPECT_FALSE(manager->delete_address_pool("a", {}).ok());
    EXPECT_FALSE(manager->ensure(node("n", "10.0.0.1"), {}).ok());
    EXPECT_EQ(balancers().size(), before.size());
    EXPECT_EQ(balancers()[0].spec, before[0].spec);
    EXPECT_EQ(manager->status().desired_generation, status.desired_generation);
    EXPECT_FALSE(manager->not_ready_reason().empty());
    switches.full = false;
    EXPECT_EQ(manager->not_ready_reason(), "") << "noticed without another change";
    put(balancer("second"));
    EXPECT_EQ(address_of("second"), "203.0.113.11");
}

TEST_F(ManagerTest, Rule17PortsThatDoNotFitLeaveTheFormerOnesForwarded) {
    put(pool("a", {"203.0.113.10/32"}));
    resources::LoadBalancer one = balancer("one", 80);
    resources::LoadBalancer two = balancer("two", 443);
    one.spec.sharing_key = two.spec.sharing_key = "k";
    put(one);
    put(two);
    two.spec.ports[0].port = 80;
    EXPECT_EQ(condition(put(two).object, "Allocated").reason, "PortConflict");
    restart();
    dataplane.start();
    ASSERT_TRUE(manager->wait_until_forwarding(20s));
    dataplane.with_lock([](const FakeDataplane& self) {
        ASSERT_EQ(self.state->services.size(), 2U);
        EXPECT_EQ(self.state->services[1].name, "default/two");
        EXPECT_EQ(self.state->services[1].port, 443);
        EXPECT_EQ(self.state->services[1].backend_port, 30443);
    });
    manager->delete_load_balancer("default", "default", "one", "", {});
    ASSERT_TRUE(manager->wait_until_forwarding(20s));
    dataplane.with_lock([](const FakeDataplane& self) {
        ASSERT_EQ(self.state->services.size(), 1U);
        EXPECT_EQ(self.state->services[0].port, 80);
    });
}

TEST_F(ManagerTest, ConditionsFollowTheDataplane) {
    put(pool("a", {"203.0.113.10/32"}));
    put(balancer("web"));
    EXPECT_EQ(condition(get("web"), "Programmed").reason, "DataplaneUnavailable");
    EXPECT_FALSE(manager->wait_until_forwarding(0ms));
    dataplane.start();
    ASSERT_TRUE(manager->wait_until_forwarding(20s));
    EXPECT_TRUE(condition(get("web"), "Programmed").status);
    EXPECT_EQ(condition(get("web"), "Ready").reason, "NoNodes");
    clock = clock.load() + 60s;
    put(node("n1", "10.0.2.11"));
    ASSERT_TRUE(manager->wait_until_forwarding(20s));
    EXPECT_TRUE(condition(get("web"), "Ready").status);
    EXPECT_EQ(condition(get("web"), "Ready").last_transition_time, "2001-09-09T01:47:40Z");
    clock = clock.load() + 60s;
    EXPECT_EQ(condition(get("web"), "Ready").last_transition_time, "2001-09-09T01:47:40Z");
    put(node("n1", "10.0.2.11", true));
    ASSERT_TRUE(manager->wait_until_forwarding(20s));
    EXPECT_EQ(condition(get("web"), "Ready").reason, "NoNodes");
    dataplane.with_lock(
        [](const FakeDataplane& self) { EXPECT_EQ(self.state->backend_sets[0].backends[0].weight, 0U); });
}

TEST_F(ManagerTest, ARefusalOfTheDataplaneIsSaid) {
    dataplane.start();
    ASSERT_TRUE(manager->wait_until_forwarding(20s));
    dataplane.with_lock([](FakeDataplane& self) { self.refuse_with = {{"/services/0", "is not for me"}}; });
    put(pool("a", {"203.0.113.10/32"}));
    put(balancer("web"));
    ASSERT_TRUE(dataplane.until([](const auto& self) { return self.applied.size() >= 2; }));
    while (manager->status().dataplane_error.empty()) std::this_thread::yield();
    EXPECT_EQ(condition(get("web"), "Programmed").reason, "Refused");
    EXPECT_NE(condition(get("web"), "Programmed").message.find("is not for me"), std::string::npos);
    EXPECT_NE(manager->status().dataplane_error.find("/services/0"), std::string::npos);
}

TEST_F(ManagerTest, AChangeThatForwardsNothingNewKeepsTheGeneration) {
    put(pool("a", {"203.0.113.10/32"}));
    const std::uint64_t generation = manager->status().desired_generation;
    put(pool("b", {"198.51.100.7/32"}));
    resources::LoadBalancer waiting = balancer("web");
    waiting.spec.address_pool = "nowhere";
    put(waiting);
    EXPECT_EQ(manager->status().desired_generation, generation);
    put(balancer("other"));
    EXPECT_EQ(manager->status().desired_generation, generation + 1);
}

TEST_F(ManagerTest, AnOlderStoreStillTakesEffectOnADataplaneThatIsAhead) {
    dataplane.with_lock([](FakeDataplane& self) {
        self.state.emplace();
        self.state->generation = 5000;
    });
    put(pool("a", {"203.0.113.10/32"}));
    put(balancer("web"));
    dataplane.start();
    ASSERT_TRUE(dataplane.until([](const auto& self) { return self.state->generation == 5001; }));
    ASSERT_TRUE(manager->wait_until_forwarding(20s));
    EXPECT_EQ(manager->status().desired_generation, 5001U);
    EXPECT_TRUE(condition(get("web"), "Programmed").status);
    restart();
    EXPECT_EQ(manager->status().desired_generation, 5001U) << "and it is remembered";
}

TEST_F(ManagerTest, ANodeMustNotHaveAnotherNodesAddress) {
    put(node("n1", "10.0.2.11"));
    const auto refused = manager->ensure(node("n2", "10.0.2.11"), {});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.problem().status, 409);
    EXPECT_EQ(refused.problem().faults.at(0).field, "/spec/addresses/0");
    EXPECT_TRUE(manager->delete_node("default", "n1", {}).value());
    EXPECT_FALSE(manager->delete_node("default", "n1", {}).value());
    put(node("n2", "10.0.2.11"));
}

TEST_F(ManagerTest, PoolsShowTheirUse) {
    put(pool("a", {"203.0.113.0/28", "2001:db8::/64"}));
    resources::LoadBalancer dual = balancer("web");
    dual.spec.ip_family_policy = resources::IpFamilyPolicy::prefer_dual_stack;
    put(dual);
    put(balancer("api"));
    const auto shown = manager->address_pool("a").value().status;
    EXPECT_EQ(shown.ipv4, (resources::PoolFamilyUse{16, 2, 0, 0, 14}));
    EXPECT_EQ(shown.ipv6.total, (std::uint64_t{1} << 53) - 1);
    EXPECT_EQ(shown.ipv6.allocated, 1U);
    EXPECT_EQ(shown.load_balancers, 2U);
    ASSERT_EQ(shown.users.size(), 2U);
    EXPECT_EQ(shown.users[0], (resources::PoolUser{"default", "default", "api", {ip("203.0.113.1")}}));
    EXPECT_EQ(shown.users[1].addresses.size(), 2U);
}

TEST_F(ManagerTest, ListsAreSortedAndFilteredByNamespace) {
    for (const char* name : {"b", "a"}) put(balancer(name));
    resources::LoadBalancer other = balancer("c");
    other.metadata.namespace_ = "apps";
    put(other);
    std::string names;
    for (const auto& one : balancers()) names += one.key() + " ";
    EXPECT_EQ(names, "apps/c default/a default/b ");
    rest::PageRequest of_apps;
    of_apps.selection.namespace_ = "apps";
    EXPECT_EQ(manager->load_balancers(of_apps).value().items.size(), 1U);
}

TEST_F(ManagerTest, ExplainAndCountersComeFromTheDataplaneOrSayWhyNot) {
    EXPECT_EQ(manager->explain({}).problem().reason, "DataplaneUnavailable");
    EXPECT_EQ(manager->counters().problem().status, 503);
    dataplane.start();
    contract::ExplainRequest request;
    request.source = ip("192.0.2.1");
    request.destination = ip("192.0.2.2");
    request.source_port = request.destination_port = 80;
    const auto answer = manager->explain(request);
    ASSERT_TRUE(answer.ok()) << answer.problem().detail;
    EXPECT_EQ(answer.value().verdict, "kernel");
    ASSERT_TRUE(manager->counters().ok());
}

TEST_F(ManagerTest, SeriesOfAServiceGoAwayWithIt) {
    put(pool("a", {"203.0.113.10/32"}));
    put(balancer("web"));
    dataplane.with_lock([](FakeDataplane& self) {
        contract::ServiceCounters service;
        service.name = "default/web";
        service.vip = ip("203.0.113.10");
        service.port = 80;
        service.new_connections = 42;
        self.counters.services = {service};
        contract::WorkerCounters worker;
        worker.drops = {{"no_route", 3}};
        self.counters.workers = {worker};
    });
    dataplane.start();
    ASSERT_TRUE(manager->wait_until_forwarding(20s));
    const std::string before = manager->metrics();
    EXPECT_NE(before.find("guideway_service_connections_total{cluster=\"default\",namespace=\"default\",service="
                          "\"web\",vip=\"203.0.113.10\","
                          "protocol=\"TCP\",port=\"80\"} 42"),
              std::string::npos)
        << before;
    EXPECT_NE(before.find("guideway_dataplane_dropped_packets_total{worker=\"0\",reason=\"no_route\"} 3"),
              std::string::npos);
    EXPECT_NE(before.find("guideway_dataplane_up 1"), std::string::npos);
    manager->delete_load_balancer("default", "default", "web", "", {});
    EXPECT_EQ(manager->metrics().find("service=\"web\""), std::string::npos);
}

TEST_F(ManagerTest, AScrapeWithoutADataplaneStillAnswers) {
    const std::string text = manager->metrics();
    EXPECT_NE(text.find("guideway_dataplane_up 0"), std::string::npos);
    EXPECT_EQ(text.find("guideway_forwarding_generation"), std::string::npos);
    EXPECT_NE(text.find("guideway_build_info{version="), std::string::npos);
}

TEST_F(ManagerTest, ManyThreadsAtOnceGiveEachAddressOnce) {
    dataplane.start();
    put(pool("a", {"203.0.113.0/26"}));
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 10; ++i) {
                const std::string name = "s" + std::to_string(t) + "-" + std::to_string(i);
                EXPECT_TRUE(manager->ensure(balancer(name), {}).ok());
                manager->status();
                manager->metrics();
                if (i % 2 == 0) continue;
                EXPECT_TRUE(manager->delete_load_balancer("default", "default", name, "", {}).ok());
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    std::set<IpAddress> held;
    for (const auto& one : balancers()) EXPECT_TRUE(held.insert(one.status.ingress.at(0).ip).second);
    EXPECT_EQ(held.size(), 20U);
    EXPECT_TRUE(manager->wait_until_forwarding(20s));
    dataplane.with_lock([](const FakeDataplane& self) { EXPECT_EQ(self.state->services.size(), 20U); });
}

}  // namespace
}  // namespace guideway::controlplane
