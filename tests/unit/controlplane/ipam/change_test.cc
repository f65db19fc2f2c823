// Rules 19 to 23: pools that change, restarts, and the waiting; transactions and speed.
#include "tests/unit/controlplane/ipam/ipam_testing.h"

namespace guideway::ipam {
namespace {

constexpr auto kPrefer = FamilyPolicy::prefer_dual;
constexpr auto kRequire = FamilyPolicy::require_dual;

TEST(Rule19, HoldersInsideStayWhateverThePoolIsCalledNow) {
    Bench bench({pool("a", {"10.0.1.0/29"})});
    bench.ensure("s1", from_pool("a"));
    bench.ensure("s2", from_pool("a"));
    bench.set_pools({pool("renamed", {"10.0.1.0/29"})});
    EXPECT_EQ(bench.held("s1"), "10.0.1.0");
    EXPECT_EQ(bench.pool_of("s1"), "renamed");
    bench.set_pools({pool("low", {"10.0.1.0/32"}), pool("high", {"10.0.1.1-10.0.1.7"})});
    EXPECT_EQ(bench.pool_of("s1"), "low");
    EXPECT_EQ(bench.pool_of("s2"), "high");
    bench.set_pools({pool("a", {"10.0.9.0/30"}), pool("merged", {"10.0.1.0/24"})});
    EXPECT_EQ(bench.held("s1"), "10.0.1.0");
    EXPECT_EQ(bench.pool_of("s1"), "merged");
    EXPECT_EQ(bench.ensure("s1", sharing("", {80}, from_pool("a"))), "10.0.1.0")
        << "its unchanged request was granted; a pool that now has the name does not move it";
}

TEST(Rule19, HoldersOutsideAreReallocatedAndTheEventSaysWhy) {
    Bench bench({pool("a", {"10.0.1.0/30"}), pool("b", {"10.0.2.0/30"})});
    bench.ensure("s1");
    bench.ensure("s2");
    bench.set_pools({pool("a", {"10.0.1.1-10.0.1.1"}), pool("b", {"10.0.2.0/30"})});
    EXPECT_EQ(bench.held("s1"), "10.0.2.0");
    EXPECT_EQ(bench.held("s2"), "10.0.1.1");
    ASSERT_FALSE(bench.last_events.empty());
    EXPECT_EQ(bench.last_events[0].service, service("s1"));
    EXPECT_NE(bench.last_events[0].message.find("lost 10.0.1.0: no pool has it any more"), std::string::npos)
        << bench.last_events[0].message;
}

TEST(Rule19, WithoutAPoolHoldersAreLeftWaitingAndServedWhenItComesBack) {
    Bench bench({pool("a", {"10.0.1.0/30"})});
    bench.ensure("s1");
    bench.ensure("s2", asking_for({"10.0.1.3"}));
    bench.set_pools({});
    EXPECT_EQ(bench.held("s1"), "NoAvailableIPs");
    EXPECT_EQ(bench.held("s2"), "NotInAnyPool");
    bench.set_pools({pool("a", {"10.0.1.0/30"})});
    EXPECT_EQ(bench.held("s1"), "10.0.1.0");
    EXPECT_EQ(bench.held("s2"), "10.0.1.3");
}

TEST(Rule19, AddingAndGrowingMovesNobodyAndServesTheWaiting) {
    Bench bench({pool("m", {"10.0.5.1/32"})});
    bench.ensure("s1");
    bench.ensure("s2");
    bench.ensure("s3");
    bench.set_pools({pool("m", {"10.0.5.0-10.0.5.1"})});
    EXPECT_EQ(bench.held("s1"), "10.0.5.1");
    EXPECT_EQ(bench.held("s2"), "10.0.5.0") << "the oldest of the waiting first";
    EXPECT_EQ(bench.held("s3"), "NoAvailableIPs");
    bench.set_pools({pool("m", {"10.0.5.0-10.0.5.1"}), pool("a", {"10.0.1.0/30"})});
    EXPECT_EQ(bench.held("s3"), "10.0.1.0");
    EXPECT_EQ(bench.held("s1"), "10.0.5.1");
}

TEST(Rule19, TurningAvoidBuggyIpsOnMovesTheirHolders) {
    Bench bench({pool("a", {"10.0.1.0/29"})});
    EXPECT_EQ(bench.ensure("s1"), "10.0.1.0");
    EXPECT_EQ(bench.ensure("s2"), "10.0.1.1");
    bench.set_pools({pool("a", {"10.0.1.0/29"}, true, true)});
    EXPECT_EQ(bench.held("s1"), "10.0.1.2");
    EXPECT_EQ(bench.held("s2"), "10.0.1.1");
}

TEST(Rule19, SharersMoveTogether) {
    Bench bench({pool("a", {"10.0.1.0/30"}), pool("b", {"10.0.2.0/30"})});
    bench.ensure("s1", sharing("k", {80}));
    bench.ensure("s2", sharing("k", {443}));
    bench.set_pools({pool("b", {"10.0.2.0/30"})});
    EXPECT_EQ(bench.held("s1"), "10.0.2.0");
    EXPECT_EQ(bench.held("s2"), "10.0.2.0");
}

TEST(Rule19, OneFamilyLostKeepsTheOtherAndIsFilledFromItsPool) {
    Bench bench({pool("a", {"10.0.1.0/30", "2001:db8:a::/64"})});
    bench.ensure("s1", wish_of(kRequire));
    bench.set_pools({pool("a", {"10.0.1.0/30"})});
    EXPECT_EQ(bench.held("s1"), "10.0.1.0 FamilyMismatch");
    bench.set_pools({pool("a", {"10.0.1.0/30", "2001:db8:b::/64"})});
    EXPECT_EQ(bench.held("s1"), "10.0.1.0 2001:db8:b::");
}

TEST(Rule19, ShrinkingMovesOnlyThoseOutside) {
    Bench bench({pool("a", {"10.0.1.0/29"})});
    for (const char* name : {"s1", "s2", "s3", "s4"}) bench.ensure(name);
    bench.set_pools({pool("a", {"10.0.1.2-10.0.1.7"})});
    EXPECT_EQ(bench.held("s3"), "10.0.1.2");
    EXPECT_EQ(bench.held("s4"), "10.0.1.3");
    EXPECT_EQ(bench.held("s1"), "10.0.1.4") << "the oldest first";
    EXPECT_EQ(bench.held("s2"), "10.0.1.5");
    EXPECT_EQ(bench.kinds(), "Lost s1, Lost s2, Moved s1, Moved s2");
}

TEST(Rule19, APoolThatNoLongerAssignsByItselfKeepsItsHolders) {
    Bench bench({pool("a", {"10.0.1.0/30"})});
    bench.ensure("s1");
    bench.set_pools({pool("a", {"10.0.1.0/30"}, false)});
    EXPECT_EQ(bench.ensure("s1", sharing("", {443})), "10.0.1.0");
    EXPECT_EQ(bench.ensure("s2"), "NoAvailableIPs");
}

TEST(Rule19, AHolderThatRequestedTheLostAddressWaitsForIt) {
    Bench bench({pool("a", {"10.0.1.0/30"})});
    bench.ensure("s1", asking_for({"10.0.1.0"}));
    bench.set_pools({pool("a", {"10.0.1.0/30"}, true, true)});
    EXPECT_EQ(bench.held("s1"), "NotInAnyPool") << "all or nothing (9): no other address in its stead";
    bench.set_pools({pool("a", {"10.0.1.0/30"})});
    EXPECT_EQ(bench.held("s1"), "10.0.1.0");
}

TEST(Rule19, TheEventOfALostBuggyAddressSaysWhy) {
    Bench bench({pool("a", {"10.0.1.0/29"})});
    bench.ensure("s1");
    bench.set_pools({pool("a", {"10.0.1.0/29"}, true, true)});
    ASSERT_EQ(bench.kinds(), "Lost s1, Moved s1");
    EXPECT_EQ(bench.last_events[0].message, "lost 10.0.1.0: its pool now leaves out addresses that end in .0 and .255");
    EXPECT_EQ(bench.last_events[1].message, "has 10.0.1.1 now");
}

TEST(Rule21, WhereRecordedClaimsConflictTheOldestKeepsIt) {
    std::map<ServiceKey, Allocation> recorded;
    Allocation allocation;
    allocation.placed = true;
    allocation.holdings = {{ip("10.0.1.0"), "a"}};
    allocation.order = 9;
    recorded[service("a-younger")] = allocation;
    allocation.order = 4;
    recorded[service("z-older")] = allocation;
    Bench bench({});
    bench.allocator.begin(bench.now);
    bench.allocator.load(pool_set({pool("a", {"10.0.1.0/30"})}), recorded);
    EXPECT_EQ(bench.allocator.changed(), std::vector<ServiceKey>{service("a-younger")})
        << "so that it is written again";
    EXPECT_NE(bench.allocator.events().at(0).message.find("an older claim stands"), std::string::npos);
    bench.allocator.commit();
    EXPECT_EQ(bench.held("z-older"), "10.0.1.0");
    EXPECT_EQ(bench.held("a-younger"), "10.0.1.1");
}

TEST(Rule22, AWaitingServiceNeverTakesARecordedAddress) {
    Bench bench({pool("a", {"10.0.1.1/32"}), pool("b", {"10.0.2.1/32"})});
    bench.ensure("waits", from_pool("nowhere"));
    bench.ensure("s1");
    std::map<ServiceKey, Allocation> recorded = bench.allocator.allocations();
    recorded[service("waits")].wish.pool = "";  // older, and it would now take what s1 holds
    Bench again({});
    again.allocator.begin(again.now);
    again.allocator.load(pool_set({pool("a", {"10.0.1.1/32"})}), recorded);
    again.allocator.commit();
    EXPECT_EQ(again.held("s1"), "10.0.1.1");
    EXPECT_EQ(again.held("waits"), "NoAvailableIPs");
}

TEST(Rule22, ARestartChangesNothing) {
    const std::vector<PoolDefinition> pools{pool("a", {"10.0.1.0/30", "2001:db8::/64"})};
    Bench bench(pools);
    bench.ensure("s1", wish_of(kPrefer));
    bench.ensure("s2", sharing("k", {80}));
    bench.ensure("s3", sharing("k", {443}));
    bench.ensure("s3", sharing("k", {80}));
    bench.ensure("s4", from_pool("nowhere"));
    const auto before = bench.allocator.allocations();
    bench.restart(pools);
    EXPECT_EQ(bench.allocator.allocations(), before);
    EXPECT_EQ(bench.allocator.use("a").ipv4.allocated, 2U);
}

TEST(Rule23, AFreedAddressServesTheOldestWaitingAtOnce) {
    Bench bench({pool("a", {"10.0.1.1/32"})});
    bench.ensure("s1");
    bench.ensure("z-second");
    bench.ensure("a-third");
    bench.allocator.begin(bench.now);
    bench.allocator.release(service("s1"));
    EXPECT_EQ(bench.allocator.changed(), (std::vector<ServiceKey>{service("s1"), service("z-second")}));
    bench.allocator.commit();
    EXPECT_EQ(bench.held("z-second"), "10.0.1.1");
    EXPECT_EQ(bench.held("a-third"), "NoAvailableIPs");
}

TEST(Rule21, SharersOfOneKeyDoNotConflict) {
    std::map<ServiceKey, Allocation> recorded;
    Allocation allocation;
    allocation.placed = true;
    allocation.holdings = {{ip("10.0.1.0"), "a"}};
    for (std::uint16_t i = 0; i < 3; ++i) {
        allocation.order = i;
        allocation.wish = sharing("k", {static_cast<std::uint16_t>(80 + i % 2)});
        allocation.claim = allocation.wish.claim;
        recorded[service("s" + std::to_string(i))] = allocation;
    }
    Bench bench({});
    bench.allocator.begin(bench.now);
    bench.allocator.load(pool_set({pool("a", {"10.0.1.0/30"})}), recorded);
    bench.allocator.commit();
    EXPECT_EQ(bench.held("s0"), "10.0.1.0");
    EXPECT_EQ(bench.held("s1"), "10.0.1.0");
    EXPECT_EQ(bench.held("s2"), "10.0.1.1") << "the youngest has a port of the oldest";
}

TEST(Rule21, ClaimsOfTwoClustersConflict) {
    Allocation allocation;
    allocation.placed = true;
    allocation.wish = sharing("k", {80});
    allocation.claim = allocation.wish.claim;
    allocation.holdings = {{ip("10.0.1.0"), "a"}};
    Allocation younger = allocation;
    younger.order = 1;
    younger.wish = sharing("k", {81});
    younger.claim = younger.wish.claim;
    Bench bench({});
    bench.allocator.begin(bench.now);
    bench.allocator.load(pool_set({pool("a", {"10.0.1.0/30"})}),
                         {{{"west", "default", "s1"}, allocation}, {service("s1"), younger}});
    bench.allocator.commit();
    EXPECT_EQ(bench.held("s1"), "10.0.1.1");
}

TEST(Rule22, ARestoredHolderIsNotMovedByABetterPool) {
    Bench bench({pool("m", {"10.0.5.0/30"})});
    bench.ensure("s1");
    bench.restart({pool("a", {"10.0.1.0/30"}), pool("m", {"10.0.5.0/30"})});
    EXPECT_EQ(bench.held("s1"), "10.0.5.0");
}

TEST(Rule23, WhatAServedOneGivesUpServesTheNext) {
    Bench bench({pool("a", {"10.0.1.1/32"}), pool("b", {"10.0.2.1/32"})});
    bench.ensure("s1", from_pool("a"));
    bench.ensure("s2", from_pool("b"));
    bench.ensure("s3", from_pool("a"));
    bench.ensure("s1", from_pool("b"));
    EXPECT_EQ(bench.held("s1"), "10.0.1.1 NoAvailableIPs");
    bench.release("s2");
    EXPECT_EQ(bench.held("s1"), "10.0.2.1");
    EXPECT_EQ(bench.held("s3"), "10.0.1.1");
}

TEST(Rule20, ARolledBackTransactionLeavesNoTrace) {
    const std::vector<PoolDefinition> pools{pool("a", {"10.0.1.0/30", "2001:db8::/64"})};
    Bench bench(pools);
    bench.ensure("s1", sharing("k", {80}));
    bench.ensure("s2", sharing("k", {443}));
    bench.ensure("s3", from_pool("nowhere"));
    bench.ensure("s4", asking_for({"10.0.1.3"}));
    bench.ensure("s5", asking_for({"10.0.1.3"}));
    const auto before = bench.allocator.allocations();
    const auto undo = [&](auto change) {
        bench.allocator.begin(bench.now);
        change();
        EXPECT_FALSE(bench.allocator.changed().empty());
        bench.allocator.rollback();
        EXPECT_EQ(bench.allocator.allocations(), before);
        EXPECT_EQ(bench.allocator.use("a").ipv4.allocated, 2U);
        EXPECT_EQ(bench.allocator.without_address(), 2U);
    };
    undo([&] { bench.allocator.release(service("s4")); });
    undo([&] { bench.allocator.ensure(service("new"), {}, 99); });
    undo([&] { bench.allocator.ensure(service("s1"), from_pool("a", wish_of(kRequire)), 99); });
    undo([&] { bench.allocator.set_pools(pool_set({pool("nowhere", {"10.0.1.0/31", "10.9.0.0/24"})})); });
    EXPECT_EQ(bench.ensure("next"), "10.0.1.1") << "nothing leaked";
    bench.release("s4");
    EXPECT_EQ(bench.held("s5"), "10.0.1.3") << "still waiting in line";
}

TEST(Rule5, AHalfFullSlash8AndASlash64AllocateWithoutEnumeration) {
    Allocator allocator;
    allocator.begin(1);
    allocator.set_pools(pool_set({pool("a", {"10.0.0.0/8", "2001:db8::/64"}, true, true)}));
    for (std::uint64_t i = 0; i < 20000; ++i) {
        allocator.ensure(service("s" + std::to_string(i)), i % 2 == 0 ? v4_wish() : v6_wish(), i);
    }
    allocator.commit();
    // 10,000 of each, without the .0 and .255 of IPv4. A search by enumeration would take minutes here.
    EXPECT_EQ(allocator.find(service("s19998"))->holdings.at(0).address.to_string(), "10.0.39.94");
    EXPECT_EQ(allocator.find(service("s19999"))->holdings.at(0).address.to_string(), "2001:db8::270f");
}

}  // namespace
}  // namespace guideway::ipam
