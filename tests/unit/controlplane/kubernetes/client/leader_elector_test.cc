// Kubernetes rule 7: of several controllers one leads, by a Lease, and has stopped before another begins.
#include "controlplane/kubernetes/client/leader_elector.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "controlplane/kubernetes/client/resource_path.h"
#include "tests/unit/controlplane/kubernetes/client/fake_api_server.h"

namespace guideway::kubernetes {
namespace {

using nlohmann::json;
using testing::FakeApiServer;

const std::string kCollection = "/apis/coordination.k8s.io/v1/leases";

/// A clock that a test moves, which several electors share.
struct Hand {
    std::atomic<std::int64_t> nanoseconds{1000000000000};
    std::chrono::steady_clock::time_point now() const {
        return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(nanoseconds.load()));
    }
    void move(Milliseconds time) { nanoseconds += std::chrono::nanoseconds(time).count(); }
};

class Candidate {
  public:
    Candidate(const FakeApiServer& server, const std::string& identity, Hand* hand = nullptr) {
        LeaderElectorOptions options;
        options.client.access.server = server.url();
        options.name_space = "infra";
        options.name = "controller";
        options.identity = identity;
        // Looked at every 5 ms of real time; the lease is counted by the hand.
        options.retry_period = Milliseconds(5);
        options.renew_deadline = Milliseconds(10000);
        options.lease_duration = Milliseconds(15000);
        if (hand != nullptr) options.now = [hand] { return hand->now(); };
        elector_ = std::make_unique<LeaderElector>(
            options, LeaderHandler{.on_started = [this] { ++started; },
                                   .on_stopped = [this] { ++stopped; },
                                   .on_new_leader = [this](const std::string&) { ++told; },
                                   .on_trouble = [this](const ApiError&) { ++troubles; }});
        elector_->start();
    }
    LeaderElector* operator->() { return elector_.get(); }
    std::atomic<int> started{0}, stopped{0}, told{0}, troubles{0};

  private:
    std::unique_ptr<LeaderElector> elector_;
};

json lease_in(const FakeApiServer& server) { return server.object(kCollection, "infra", "controller"); }

TEST(LeaderElector, Rule7MakesTheLeaseAndRenewsIt) {
    FakeApiServer server;
    Candidate one(server, "one");
    ASSERT_TRUE(server.wait_for([&] { return one->renewals() >= 3; }));
    EXPECT_TRUE(one->is_leader());
    EXPECT_EQ(one.started, 1);
    EXPECT_EQ(one->leader(), "one");
    const json spec = lease_in(server)["spec"];
    EXPECT_EQ(spec["holderIdentity"], "one");
    EXPECT_EQ(spec["leaseDurationSeconds"], 15);
    EXPECT_EQ(spec["leaseTransitions"], 0);
    EXPECT_EQ(spec["renewTime"].get<std::string>().size(), std::string("2026-01-02T03:04:05.678901Z").size());
    EXPECT_LE(spec["acquireTime"], spec["renewTime"]);
}

TEST(LeaderElector, Rule7AnotherOneWaitsAndLeadsAtOnceAfterACleanStop) {
    FakeApiServer server;
    Candidate one(server, "one");
    ASSERT_TRUE(server.wait_for([&] { return one->is_leader(); }));
    Hand hand;
    Candidate two(server, "two", &hand);
    ASSERT_TRUE(server.wait_for([&] { return two->leader() == "one"; }));
    EXPECT_FALSE(two->is_leader());
    one->stop();
    EXPECT_FALSE(one->is_leader());
    EXPECT_EQ(one.stopped, 1);
    ASSERT_TRUE(server.wait_for([&] { return two->is_leader(); })) << "though its clock stands still";
    EXPECT_EQ(lease_in(server)["spec"]["leaseTransitions"], 1);
    EXPECT_EQ(two.started, 1);
}

TEST(LeaderElector, Rule7AHolderWhoIsSilentIsFollowedAfterTheLeaseByOnesOwnClock) {
    FakeApiServer server;
    // Its times are of a clock far ahead: they are not looked at.
    server.put(kCollection, "infra", "controller",
               {{"spec",
                 {{"holderIdentity", "dead"},
                  {"leaseDurationSeconds", 15},
                  {"leaseTransitions", 4},
                  {"renewTime", "2199-01-01T00:00:00.000000Z"}}}});
    Hand hand;
    Candidate one(server, "one", &hand);
    ASSERT_TRUE(server.wait_for([&] { return one->leader() == "dead"; }));
    hand.move(Milliseconds(14999));
    const std::size_t before = server.seen().size();
    ASSERT_TRUE(server.wait_for([&] { return server.seen().size() >= before + 3; }));
    EXPECT_FALSE(one->is_leader());
    hand.move(Milliseconds(2));
    ASSERT_TRUE(server.wait_for([&] { return one->is_leader(); }));
    EXPECT_EQ(lease_in(server)["spec"]["leaseTransitions"], 5);
}

TEST(LeaderElector, Rule7LeadershipEndsInOwnTimeWhenItCannotBeRenewedAlsoWithinACallThatHangs) {
    FakeApiServer server;
    Hand hand;
    Candidate one(server, "one", &hand);
    ASSERT_TRUE(server.wait_for([&] { return one->is_leader(); }));
    server.hold();
    const std::size_t before = server.seen().size();
    ASSERT_TRUE(server.wait_for([&] { return server.seen().size() > before; }));
    hand.move(Milliseconds(9999));
    EXPECT_TRUE(one->is_leader());
    hand.move(Milliseconds(2));
    EXPECT_FALSE(one->is_leader()) << "4.999 s before another one may lead";
    server.release();
    ASSERT_TRUE(server.wait_for([&] { return one.stopped == 1; }));
    ASSERT_TRUE(server.wait_for([&] { return one.started == 2 && one->is_leader(); })) << "it stands again";
}

TEST(LeaderElector, Rule7OfTwoThatReachOutTogetherOneLeads) {
    FakeApiServer server;
    server.put(kCollection, "infra", "controller",
               {{"spec", {{"holderIdentity", ""}, {"leaseDurationSeconds", 1}, {"leaseTransitions", 0}}}});
    std::vector<std::unique_ptr<Candidate>> all;
    for (int i = 0; i < 5; ++i) all.push_back(std::make_unique<Candidate>(server, "c" + std::to_string(i)));
    ASSERT_TRUE(server.wait_for([&] {
        for (const auto& one : all) {
            if ((*one)->leader().empty()) return false;
        }
        return true;
    }));
    int leaders = 0;
    for (const auto& one : all) leaders += (*one)->is_leader() ? 1 : 0;
    EXPECT_EQ(leaders, 1);
}

TEST(LeaderElector, Rule7WhoFindsAnotherHolderStopsLeading) {
    FakeApiServer server;
    Candidate one(server, "one");
    ASSERT_TRUE(server.wait_for([&] { return one->is_leader(); }));
    json lease = lease_in(server);
    lease["spec"]["holderIdentity"] = "intruder";
    server.put(kCollection, "infra", "controller", lease);
    ASSERT_TRUE(server.wait_for([&] { return one.stopped == 1; }));
    EXPECT_FALSE(one->is_leader());
    EXPECT_EQ(one->leader(), "intruder");
}

TEST(LeaderElector, RefusalsAreToldAndDurationsChecked) {
    FakeApiServer server;
    server.require_token("x");
    Candidate one(server, "one");
    ASSERT_TRUE(server.wait_for([&] { return one.troubles >= 2; }));
    EXPECT_FALSE(one->is_leader());
    LeaderElectorOptions options;
    options.name_space = options.name = "a";
    EXPECT_EQ(LeaderElector::check(options), "");
    options.renew_deadline = options.lease_duration;
    EXPECT_NE(LeaderElector::check(options).find("renew deadline: found 15000 ms"), std::string::npos);
    EXPECT_THROW(LeaderElector(options, {}), std::invalid_argument);
    options.renew_deadline = Milliseconds(2000);
    EXPECT_NE(LeaderElector::check(options).find("retry period"), std::string::npos);
    EXPECT_NE(LeaderElector::make_identity(), LeaderElector::make_identity());
}

}  // namespace
}  // namespace guideway::kubernetes
