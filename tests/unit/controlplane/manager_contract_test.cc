// The manager as automation meets it: preconditions, UIDs, clusters, pages, watches, events, previews.
#include <set>

#include "controlplane/manager.h"
#include "tests/unit/controlplane/manager_testing.h"

namespace guideway::controlplane {
namespace {

using namespace manager_testing;
using namespace std::chrono_literals;

rest::Intent must_be_new() {
    rest::Intent intent;
    intent.precondition.must_be_new = true;
    return intent;
}

rest::Intent must_exist() {
    rest::Intent intent;
    intent.precondition.must_exist = true;
    return intent;
}

struct ManagerContractTest : ManagerTest {
    ManagerContractTest() { put(pool("a", {"203.0.113.10-203.0.113.20"})); }

    /// Events of a watch until `count` have come.
    static std::vector<rest::WatchEvent> take(rest::Watch& watch, std::size_t count) {
        std::vector<rest::WatchEvent> events;
        while (events.size() < count) {
            rest::WatchBatch batch = watch.next(20s);
            if (batch.events.empty()) ADD_FAILURE() << "only " << events.size() << " events came";
            if (batch.events.empty()) break;
            for (rest::WatchEvent& event : batch.events) events.push_back(std::move(event));
        }
        return events;
    }
};

TEST_F(ManagerContractTest, IfNoneMatchMakesOnlyNewObjects) {
    EXPECT_TRUE(manager->ensure(balancer("web"), must_be_new()).ok());
    const auto again = manager->ensure(balancer("web"), must_be_new());
    ASSERT_FALSE(again.ok());
    EXPECT_EQ(again.problem().status, 412);
    EXPECT_EQ(manager->ensure(node("n", "10.0.0.1"), must_be_new()).value().created, true);
    EXPECT_EQ(manager->ensure(pool("a", {"203.0.113.0/24"}), must_be_new()).problem().status, 412);
}

TEST_F(ManagerContractTest, IfMatchStarChangesOnlyWhatExists) {
    EXPECT_EQ(manager->ensure(balancer("web"), must_exist()).problem().status, 412);
    put(balancer("web"));
    EXPECT_TRUE(manager->ensure(balancer("web", 443), must_exist()).ok());
    EXPECT_EQ(manager->delete_node("default", "n", must_exist()).problem().status, 412);
}

TEST_F(ManagerContractTest, AnotherUidIsAnotherObjectAndTheOldOneIsGoneFirst) {
    resources::LoadBalancer first = balancer("web");
    first.metadata.uid = "uid-1";
    put(first);
    put(balancer("other"));
    put(first);
    clock = clock.load() + 1h;
    resources::LoadBalancer second = balancer("web");
    second.metadata.uid = "uid-2";
    const auto watch = std::move(manager->watch(rest::Kind::load_balancer, {}, 0).value());
    const auto made = put(second);
    EXPECT_FALSE(made.created) << "there was one of this name";
    EXPECT_TRUE(made.changed);
    EXPECT_EQ(made.object.metadata.uid, "uid-2");
    EXPECT_EQ(made.object.metadata.generation, 1U);
    EXPECT_NE(made.object.metadata.creation_timestamp, get("other").metadata.creation_timestamp);
    const auto events = take(*watch, 2);
    ASSERT_EQ(events.size(), 2U);
    EXPECT_EQ(events[0].type, rest::ChangeType::deleted);
    EXPECT_NE(events[0].object.find("uid-1"), std::string::npos);
    EXPECT_EQ(events[1].type, rest::ChangeType::added);
    EXPECT_NE(events[1].object.find("uid-2"), std::string::npos);
}

TEST_F(ManagerContractTest, DeletingByUidSparesANewerObject) {
    resources::LoadBalancer second = balancer("web");
    second.metadata.uid = "uid-2";
    put(second);
    const auto refused = manager->delete_load_balancer("default", "default", "web", "uid-1", {});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.problem().status, 409);
    EXPECT_TRUE(manager->delete_load_balancer("default", "default", "web", "uid-2", {}).value());
}

TEST_F(ManagerContractTest, ClustersAreApart) {
    put(node("n1", "10.0.2.11"));
    resources::Node other = node("n1", "10.0.2.11");  // the same name and address, in another cluster
    other.metadata.cluster = "prod";
    put(other);
    dataplane.start();
    put(balancer("web"));
    resources::LoadBalancer web = balancer("web");
    web.metadata.cluster = "prod";
    EXPECT_TRUE(put(web).created);
    EXPECT_NE(manager->load_balancer("prod", "default", "web").value().status.ingress[0].ip,
              get("web").status.ingress[0].ip);
    rest::PageRequest of_prod;
    of_prod.selection.cluster = "prod";
    EXPECT_EQ(manager->load_balancers(of_prod).value().items.size(), 1U);
    EXPECT_EQ(manager->load_balancers({}).value().items.size(), 2U);
    ASSERT_TRUE(manager->wait_until_forwarding(20s));
    std::set<std::string> sets;
    dataplane.with_lock([&](const FakeDataplane& now) {
        for (const contract::Service& service : now.state->services) {
            sets.insert(service.name + " " + service.backend_set);
        }
    });
    EXPECT_EQ(sets, (std::set<std::string>{"default/web nodes-ipv4", "prod/default/web prod/nodes-ipv4"}));
    EXPECT_TRUE(manager->delete_load_balancer("prod", "default", "web", "", {}).value());
    EXPECT_TRUE(manager->load_balancer("default", "default", "web").ok());
    restart();
    EXPECT_TRUE(manager->node("prod", "n1").ok());
}

TEST_F(ManagerContractTest, PagesHoldEveryObjectOnce) {
    for (int i = 0; i < 7; ++i) {
        resources::LoadBalancer made = balancer("web-" + std::to_string(i));
        made.metadata.labels = {{"parity", i % 2 == 0 ? "even" : "odd"}};
        put(made);
    }
    rest::PageRequest request;
    request.limit = 3;
    std::vector<std::string> names;
    std::vector<std::size_t> remaining;
    do {
        const auto page = manager->load_balancers(request).value();
        for (const auto& one : page.items) names.push_back(one.metadata.name);
        remaining.push_back(page.remaining);
        request.after_token = page.next_token;
    } while (!request.after_token.empty());
    EXPECT_EQ(names.size(), 7U);
    EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
    EXPECT_EQ(remaining, (std::vector<std::size_t>{4, 1, 0}));
    rest::PageRequest even;
    even.selection.labels.requirements = {{"parity", resources::SelectorOperator::in, {"even"}}};
    EXPECT_EQ(manager->load_balancers(even).value().items.size(), 4U);
    request.after_token = "nonsense";
    EXPECT_EQ(manager->load_balancers(request).problem().status, 400);
    request.after_token = "after:default/gone";
    EXPECT_EQ(manager->load_balancers(request).problem().status, 410);
}

TEST_F(ManagerContractTest, AWatchFromAListMissesNothing) {
    put(balancer("before"));
    const auto page = manager->load_balancers({}).value();
    put(balancer("after"));
    remove("before");
    const auto watch = std::move(manager->watch(rest::Kind::load_balancer, {}, page.revision).value());
    std::vector<std::string> told;
    for (const rest::WatchEvent& event : take(*watch, 2)) {
        if (event.type == rest::ChangeType::added) told.push_back("added");
        if (event.type == rest::ChangeType::deleted) told.push_back("deleted");
    }
    EXPECT_EQ(told, (std::vector<std::string>{"added", "deleted"}));
}

TEST_F(ManagerContractTest, TheDataplanesConditionIsToldToWatchers) {
    dataplane.start();
    ASSERT_TRUE(manager->wait_until_forwarding(20s));
    const auto watch = std::move(manager->watch(rest::Kind::load_balancer, {}, 0).value());
    put(balancer("web"));
    bool programmed = false;
    while (!programmed) {
        const rest::WatchBatch batch = watch->next(20s);
        ASSERT_FALSE(batch.events.empty());
        for (const rest::WatchEvent& event : batch.events) {
            programmed = programmed || event.object.find("\"Programmed\",\"status\":\"True\"") != std::string::npos;
        }
    }
}

TEST_F(ManagerContractTest, AfterARestartAnOldWatchHasToListAgain) {
    const auto page = manager->load_balancers({}).value();
    put(balancer("web"));
    restart();
    EXPECT_EQ(manager->watch(rest::Kind::load_balancer, {}, page.revision).problem().status, 410);
}

TEST_F(ManagerContractTest, EventsSayWhatHappenedToWhom) {
    resources::LoadBalancer greedy = balancer("greedy");
    greedy.spec.address_pool = "unknown";
    put(greedy);
    put(balancer("web"));
    std::set<std::string> told;
    const auto events = manager->events({}).value().items;
    for (const resources::Event& event : events) {
        told.insert(event.regarding.name + " " + event.reason + (event.warning ? " warning" : ""));
    }
    EXPECT_TRUE(told.contains("greedy AllocationFailed warning"));
    EXPECT_TRUE(told.contains("web IPAllocated"));
}

TEST_F(ManagerContractTest, APreviewChangesNothingAndSaysWhy) {
    put(pool("b", {"198.51.100.0/24"}));
    const auto before = switches.commits.load();
    const resources::AllocationPreview preview = manager->preview(balancer("web"));
    EXPECT_EQ(preview.reason, "Allocated");
    ASSERT_EQ(preview.ingress.size(), 1U);
    EXPECT_EQ(preview.ingress[0].ip, ip("203.0.113.10"));
    ASSERT_EQ(preview.pools.size(), 2U);
    EXPECT_TRUE(preview.pools[0].used);
    EXPECT_FALSE(preview.pools[1].used);
    EXPECT_FALSE(preview.pools[1].message.empty());
    EXPECT_EQ(switches.commits, before);
    EXPECT_EQ(put(balancer("web")).object.status.ingress, preview.ingress);
}

TEST_F(ManagerContractTest, Rule6QuarantineOutlivesARestart) {
    resources::AddressPool careful = pool("a", {"203.0.113.10-203.0.113.12"});
    careful.spec.quarantine_seconds = 3600;
    put(careful);
    put(balancer("web"));
    ASSERT_EQ(address_of("web"), "203.0.113.10");
    remove("web");
    EXPECT_EQ(manager->address_pool("a").value().status.ipv4.quarantined, 1U);
    restart();
    put(balancer("other"));
    EXPECT_EQ(address_of("other"), "203.0.113.11");
    clock = clock.load() + 2h;
    put(balancer("late"));
    EXPECT_EQ(address_of("late"), "203.0.113.10");
}

TEST_F(ManagerContractTest, Rule4PoolsAreForWhomTheySay) {
    resources::AddressPool scoped = pool("first", {"198.51.100.0/24"});
    scoped.spec.service_allocation.emplace();
    scoped.spec.service_allocation->priority = 1;
    scoped.spec.service_allocation->service_selectors = {{{{"tier", "gold"}}, {}}};
    put(scoped);
    resources::LoadBalancer gold = balancer("gold");
    gold.metadata.labels = {{"tier", "gold"}};
    put(gold);
    put(balancer("plain"));
    EXPECT_EQ(address_of("gold"), "198.51.100.0");
    EXPECT_EQ(address_of("plain"), "203.0.113.10");
}

TEST_F(ManagerContractTest, Rule9BothWaysOfAskingAreRefused) {
    resources::LoadBalancer both = balancer("web");
    both.spec.addresses = {ip("203.0.113.11")};
    both.spec.load_balancer_ip = ip("203.0.113.12");
    const auto refused = manager->ensure(both, {});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.problem().reason, "ConflictingRequest");
}

TEST_F(ManagerContractTest, ABackupBringsEverythingBack) {
    const auto admin = manager->token_book().create("admin", {rest::Role::admin, "", {}}, clock.load());
    ASSERT_EQ(manager->put_token_record(admin.record), "");
    put(node("n1", "10.0.2.11"));
    put(balancer("web"));
    put(balancer("api"));
    const std::string document = manager->backup().value();
    const std::string web = address_of("web");
    remove("web");
    put(balancer("thief"));  // takes what web had
    const auto revision = manager->load_balancers({}).value().revision;
    const auto restored = manager->restore(document, {});
    ASSERT_TRUE(restored.ok()) << restored.problem().detail;
    EXPECT_EQ(address_of("web"), web);
    EXPECT_FALSE(manager->load_balancer("default", "default", "thief").ok());
    EXPECT_TRUE(manager->token_book().authenticate(admin.text, clock.load()).caller);
    EXPECT_GT(manager->load_balancers({}).value().revision, revision) << "revisions never go back";
    EXPECT_EQ(manager->watch(rest::Kind::node, {}, revision).problem().status, 410);
    restart();
    EXPECT_EQ(address_of("web"), web);
    dataplane.start();
    EXPECT_TRUE(manager->wait_until_forwarding(20s));
}

TEST_F(ManagerContractTest, ADamagedBackupChangesNothing) {
    const auto admin = manager->token_book().create("admin", {rest::Role::admin, "", {}}, clock.load());
    ASSERT_EQ(manager->put_token_record(admin.record), "");
    put(balancer("web"));
    std::string document = manager->backup().value();
    document[document.size() / 2] ^= 1;
    const auto refused = manager->restore(document, {});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.problem().status, 400);
    EXPECT_EQ(refused.problem().reason, "InvalidBackup");
    EXPECT_TRUE(manager->load_balancer("default", "default", "web").ok());
}

TEST_F(ManagerContractTest, ABackupWithoutAnAdminWouldLockEverybodyOut) {
    const std::string document = manager->backup().value();
    const auto refused = manager->restore(document, {});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.problem().reason, "LastAdmin");
}

TEST_F(ManagerContractTest, TokensAreShownOnceRotatedAndTakenAway) {
    resources::Token wanted;
    wanted.metadata.name = "root";
    wanted.spec.role = "admin";
    const auto made = put(wanted);
    ASSERT_FALSE(made.object.status.token.empty());
    EXPECT_TRUE(manager->token("root").value().status.token.empty()) << "shown once";
    EXPECT_FALSE(put(wanted).changed);
    const auto book = [&](const std::string& text) {
        return manager->token_book().authenticate(text, clock.load()).caller.has_value();
    };
    EXPECT_TRUE(book(made.object.status.token));
    const std::string second = manager->rotate_token("root", {}).value().status.token;
    EXPECT_TRUE(book(made.object.status.token)) << "two at a time";
    EXPECT_TRUE(book(second));
    const std::string third = manager->rotate_token("root", {}).value().status.token;
    EXPECT_FALSE(book(made.object.status.token));
    restart();
    EXPECT_TRUE(book(second));
    EXPECT_TRUE(book(third));
    EXPECT_EQ(manager->delete_token("root", {}).problem().reason, "LastAdmin");
    wanted.metadata.name = "other";
    put(wanted);
    EXPECT_TRUE(manager->delete_token("root", {}).value());
    EXPECT_FALSE(manager->delete_token("root", {}).value());
    EXPECT_FALSE(book(third));
    EXPECT_EQ(manager->rotate_token("root", {}).problem().status, 404);
}

TEST_F(ManagerContractTest, AStoreThatWasWrittenByAnotherIsReadAgain) {
    put(balancer("web"));
    // A write that was believed lost and is there: another writer's, as far as this one knows.
    switches.conflict_once = true;
    EXPECT_EQ(manager->ensure(balancer("api"), {}).problem().status, 503);
    EXPECT_EQ(manager->ensure(balancer("api"), {}).problem().status, 503) << "read again instead";
    EXPECT_TRUE(manager->ensure(balancer("api"), {}).ok());
    EXPECT_EQ(address_of("web"), "203.0.113.10");
    EXPECT_EQ(address_of("api"), "203.0.113.11");
}

TEST_F(ManagerContractTest, WhatFailsAfterItIsDurableIsReadFromTheStore) {
    switches.fail_after_commit = true;
    EXPECT_EQ(manager->ensure(balancer("web"), {}).problem().status, 500);
    EXPECT_EQ(manager->ensure(balancer("api"), {}).problem().status, 503) << "the store is read again instead";
    EXPECT_EQ(address_of("web"), "203.0.113.10") << "it was durable";
    EXPECT_TRUE(manager->ensure(balancer("api"), {}).ok());
    EXPECT_EQ(address_of("api"), "203.0.113.11") << "and its address is nobody else's";
}

TEST_F(ManagerContractTest, ManyWritersAtOnceShareCommits) {
    constexpr int kThreads = 16, kEach = 20;
    const unsigned before = switches.commits;
    put(pool("large", {"10.0.0.0/16"}));
    std::vector<std::thread> threads;
    std::atomic<int> failed{0};
    for (int thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&, thread] {
            for (int i = 0; i < kEach; ++i) {
                resources::LoadBalancer made = balancer("s" + std::to_string(thread) + "-" + std::to_string(i));
                made.spec.address_pool = "large";
                if (!manager->ensure(made, {}).ok()) ++failed;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(failed, 0);
    EXPECT_LT(switches.commits - before, static_cast<unsigned>(kThreads * kEach)) << "some must have shared one";
    std::set<IpAddress> held;
    for (const auto& one : balancers()) EXPECT_TRUE(held.insert(one.status.ingress.at(0).ip).second);
    EXPECT_EQ(held.size(), static_cast<std::size_t>(kThreads * kEach));
    const auto shown = balancers();
    restart();
    EXPECT_EQ(balancers().size(), shown.size());
}

}  // namespace
}  // namespace guideway::controlplane
