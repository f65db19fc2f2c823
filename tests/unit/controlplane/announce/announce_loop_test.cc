#include "controlplane/announce/announce_loop.h"

#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#include <gtest/gtest.h>

namespace guideway::announce {
namespace {

constexpr std::chrono::seconds kPatience{30};

/// The world outside, in memory. Others than the loop may change it, and it may fail.
struct World {
    std::mutex mutex;
    std::vector<Route> told;
    std::string fails;
    unsigned applied = 0;
};

class FakeAnnouncer final : public Announcer {
  public:
    explicit FakeAnnouncer(World& world) : world_(world) {}
    std::variant<std::vector<Route>, std::string> present() override {
        const std::lock_guard lock(world_.mutex);
        return world_.told;
    }
    std::string apply(const std::vector<Route>& wanted) override {
        const std::lock_guard lock(world_.mutex);
        ++world_.applied;
        if (world_.fails.empty()) world_.told = wanted;
        return world_.fails;
    }

  private:
    World& world_;
};

struct AnnounceLoopTest : testing::Test {
    World world;
    std::unique_ptr<AnnounceLoop> loop;
    std::map<std::uint64_t, std::shared_ptr<const contract::ForwardingState>> made;

    void make(std::chrono::milliseconds look_again = std::chrono::hours(1)) {
        LoopOptions options;
        options.advertisements = {Advertisement{.name = "all"}};
        options.look_again = look_again;
        loop = std::make_unique<AnnounceLoop>(std::make_unique<FakeAnnouncer>(world), options);
        loop->start();
    }
    std::vector<std::string> told() {
        EXPECT_TRUE(loop->wait_until_settled(kPatience));
        const std::lock_guard lock(world.mutex);
        std::vector<std::string> out;
        for (const Route& one : world.told) out.push_back(one.prefix.to_string());
        return out;
    }
    contract::ForwardingState state(std::uint64_t generation, std::vector<const char*> vips) {
        contract::ForwardingState out;
        out.generation = generation;
        out.backend_sets.push_back({"nodes", IpFamily::ipv4, {{"n", *IpAddress::parse("10.0.2.11"), 0, 1, false}}});
        for (const char* vip : vips) {
            contract::Service service;
            service.vip = *IpAddress::parse(vip);
            service.backend_set = "nodes";
            out.services.push_back(service);
        }
        made[generation] = std::make_shared<const contract::ForwardingState>(out);
        return out;
    }
    /// `forwards`: the generation that state() made last; 0: the dataplane has not said.
    reconcile::LinkStatus link(bool connected, std::uint64_t forwards) {
        reconcile::LinkStatus status;
        status.connected = connected;
        status.confirmed = forwards;
        if (forwards != 0) status.forwards = made.at(forwards);
        return status;
    }
};
using Texts = std::vector<std::string>;

TEST_F(AnnounceLoopTest, AnAddressIsToldWhenTheDataplaneHasConfirmedIt) {
    make();
    loop->wanted(state(3, {"203.0.113.10"}));
    loop->link(link(true, 0));
    EXPECT_EQ(told(), Texts{});
    loop->link(link(true, 3));
    EXPECT_EQ(told(), Texts{"203.0.113.10/32"});
    loop->wanted(state(4, {"203.0.113.10", "203.0.113.11"}));
    EXPECT_EQ(told(), Texts{"203.0.113.10/32"}) << "generation 4 is not in force yet";
    loop->link(link(true, 4));
    EXPECT_EQ(told(), (Texts{"203.0.113.10/32", "203.0.113.11/32"}));
}

TEST_F(AnnounceLoopTest, AnAddressIsWithdrawnBeforeTheStateWithoutItIsInForce) {
    make();
    loop->wanted(state(3, {"203.0.113.10", "203.0.113.11"}));
    loop->link(link(true, 3));
    loop->wanted(state(4, {"203.0.113.11"}));
    EXPECT_EQ(told(), Texts{"203.0.113.11/32"});
    // It comes back before 4 was confirmed: 4 may be in force meanwhile, so it is told with 5 only.
    loop->wanted(state(5, {"203.0.113.10", "203.0.113.11"}));
    EXPECT_EQ(told(), Texts{"203.0.113.11/32"});
    loop->link(link(true, 5));
    EXPECT_EQ(told(), (Texts{"203.0.113.10/32", "203.0.113.11/32"}));
}

TEST_F(AnnounceLoopTest, WhoHandsAStateOnCanWaitForItsWithdrawals) {
    make();
    EXPECT_TRUE(loop->wait_until_withdrawn(kPatience));
    loop->wanted(state(3, {"203.0.113.10"}));
    loop->link(link(true, 3));
    EXPECT_EQ(told().size(), 1U);
    loop->wanted(state(4, {"203.0.113.11"}));
    EXPECT_TRUE(loop->wait_until_withdrawn(kPatience));
    {
        const std::lock_guard lock(world.mutex);
        EXPECT_TRUE(world.told.empty());
    }
    loop->stop();
    loop->wanted(state(5, {}));
    EXPECT_FALSE(loop->wait_until_withdrawn(kPatience)) << "nobody acts any more: it does not wait either";
}

TEST_F(AnnounceLoopTest, TheDataplanesEndWithdrawsEverythingAndItsReturnTellsItAgain) {
    make();
    loop->wanted(state(3, {"203.0.113.10"}));
    loop->link(link(true, 3));
    EXPECT_EQ(told().size(), 1U);
    loop->link(link(false, 0));
    EXPECT_EQ(told(), Texts{});
    loop->link(link(true, 0));
    EXPECT_EQ(told(), Texts{}) << "connected, but what it forwards is not known yet";
    loop->link(link(true, 3));
    EXPECT_EQ(told().size(), 1U);
}

TEST_F(AnnounceLoopTest, ADataplaneThatComesBackWithAnOlderStateAndRefusesTheNewestIsAnnouncedByTheOlder) {
    make();
    state(3, {"203.0.113.10", "203.0.113.12"});  // on the dataplane's disk
    loop->wanted(state(4, {"203.0.113.10", "203.0.113.11"}));
    loop->link(link(false, 0));
    EXPECT_EQ(told(), Texts{});
    reconcile::LinkStatus refused = link(true, 3);
    refused.confirmed = 0;
    loop->link(refused);
    EXPECT_EQ(told(), Texts{"203.0.113.10/32"});
    refused.refused_generation = 4;
    refused.error = "the dataplane refused the state";
    loop->link(refused);
    EXPECT_EQ(told(), Texts{"203.0.113.10/32"});
}

TEST_F(AnnounceLoopTest, AStateThatIsInForceButNotOnTheDataplanesDiskIsAnnounced) {
    make();
    loop->wanted(state(3, {"203.0.113.10"}));
    loop->link(link(true, 3));
    loop->wanted(state(4, {"203.0.113.10", "203.0.113.11"}));
    reconcile::LinkStatus full = link(true, 4);
    full.confirmed = 3;
    full.refused_generation = 4;
    loop->link(full);
    EXPECT_EQ(told(), (Texts{"203.0.113.10/32", "203.0.113.11/32"}));
}

TEST_F(AnnounceLoopTest, ADataplaneWithoutStateForwardsNothing) {
    world.told = {{*IpPrefix::parse("203.0.113.10/32"), 0}};
    make();
    loop->wanted(state(3, {"203.0.113.10"}));
    reconcile::LinkStatus empty = link(true, 0);
    empty.forwards = std::make_shared<const contract::ForwardingState>();
    loop->link(empty);
    EXPECT_EQ(told(), Texts{});
}

TEST_F(AnnounceLoopTest, OfManyStatesUnderWayNoneIsForgotten) {
    make();
    loop->wanted(state(1, {"203.0.113.10", "203.0.113.11"}));
    loop->link(link(true, 1));
    loop->wanted(state(2, {"203.0.113.11"}));
    for (std::uint64_t generation = 3; generation < 600; ++generation) {
        loop->wanted(state(generation, {"203.0.113.10", "203.0.113.11"}));
    }
    EXPECT_EQ(told(), Texts{"203.0.113.11/32"}) << "2, without .10, may be in force";
    loop->link(link(true, 599));
    EXPECT_EQ(told(), (Texts{"203.0.113.10/32", "203.0.113.11/32"}));
}

TEST_F(AnnounceLoopTest, WhatAnEarlierProcessToldStaysUntilMoreIsKnown) {
    world.told = {{*IpPrefix::parse("203.0.113.9/32"), 0}};
    make();
    EXPECT_EQ(told(), Texts{"203.0.113.9/32"});
    loop->link(link(true, 0));
    EXPECT_EQ(told(), Texts{"203.0.113.9/32"});
    EXPECT_FALSE(loop->status().known);
    loop->wanted(state(3, {"203.0.113.10"}));
    loop->link(link(true, 3));
    EXPECT_EQ(told(), Texts{"203.0.113.10/32"});
    EXPECT_TRUE(loop->status().known);
}

TEST_F(AnnounceLoopTest, MaintenanceWithdrawsEverythingAndItsEndTellsItAgain) {
    make();
    loop->wanted(state(3, {"203.0.113.10"}));
    loop->link(link(true, 3));
    loop->maintenance(true);
    EXPECT_EQ(told(), Texts{});
    EXPECT_TRUE(loop->status().maintenance);
    loop->maintenance(false);
    EXPECT_EQ(told(), Texts{"203.0.113.10/32"});
}

TEST_F(AnnounceLoopTest, WhatOthersChangedIsPutRight) {
    make(std::chrono::milliseconds(1));
    loop->wanted(state(3, {"203.0.113.10"}));
    loop->link(link(true, 3));
    EXPECT_EQ(told().size(), 1U);
    {
        const std::lock_guard lock(world.mutex);
        world.told.clear();
    }
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (told().empty() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    EXPECT_EQ(told(), Texts{"203.0.113.10/32"});
}

TEST_F(AnnounceLoopTest, AFailureIsToldAndTriedAgain) {
    world.fails = "the kernel says no";
    make(std::chrono::milliseconds(1));
    loop->wanted(state(3, {"203.0.113.10"}));
    loop->link(link(true, 3));
    EXPECT_EQ(told(), Texts{});
    EXPECT_EQ(loop->status().error, "the kernel says no");
    {
        const std::lock_guard lock(world.mutex);
        world.fails.clear();
    }
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (!loop->status().error.empty() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    EXPECT_EQ(told(), Texts{"203.0.113.10/32"});
}

TEST_F(AnnounceLoopTest, OthersHearOfWhatIsToldWhenItHasChanged) {
    std::atomic<unsigned> heard{0};
    LoopOptions options;
    options.advertisements = {Advertisement{.name = "all"}};
    options.look_again = std::chrono::hours(1);
    options.told_others = [&] { ++heard; };
    loop = std::make_unique<AnnounceLoop>(std::make_unique<FakeAnnouncer>(world), options);
    loop->start();
    loop->wanted(state(3, {"203.0.113.10"}));
    loop->link(link(true, 3));
    EXPECT_EQ(told().size(), 1U);
    loop->maintenance(true);
    EXPECT_EQ(told(), Texts{});
    loop->maintenance(true);
    loop->stop();
    EXPECT_EQ(heard, 2U) << "told, and withdrawn";
    EXPECT_TRUE(loop->status().seen);
    EXPECT_TRUE(loop->status().maintenance);
}

TEST_F(AnnounceLoopTest, WhenItStopsWhatIsToldStays) {
    make();
    loop->wanted(state(3, {"203.0.113.10"}));
    loop->link(link(true, 3));
    EXPECT_EQ(told().size(), 1U);
    loop->stop();
    loop->link(link(false, 0));
    EXPECT_EQ(world.told.size(), 1U);
}

}  // namespace
}  // namespace guideway::announce
