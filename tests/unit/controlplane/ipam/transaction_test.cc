// Rules 5, 18, 20: transactions that many changes share, events, and the use of pools.
#include "tests/unit/controlplane/ipam/ipam_testing.h"

namespace guideway::ipam {
namespace {

using Keys = std::vector<ServiceKey>;
constexpr auto kPrefer = FamilyPolicy::prefer_dual;
constexpr auto kRequire = FamilyPolicy::require_dual;

TEST(Rule20, ManyChangesMayShareOneTransaction) {
    Bench bench({pool("a", {"10.0.1.0-10.0.1.1"})});
    Allocator& allocator = bench.allocator;
    allocator.begin(bench.now);
    allocator.ensure(service("s1"), {}, 1);
    EXPECT_EQ(allocator.take_changed(), Keys{service("s1")});
    EXPECT_TRUE(allocator.take_changed().empty()) << "taken";
    allocator.ensure(service("s2"), {}, 2);
    allocator.ensure(service("s3"), {}, 3);
    EXPECT_EQ(allocator.take_changed(), (Keys{service("s2"), service("s3")}));
    allocator.release(service("s1"));
    EXPECT_EQ(allocator.take_changed(), (Keys{service("s1"), service("s3")})) << "s3 was served";
    EXPECT_EQ(allocator.changed(), (Keys{service("s2"), service("s3")})) << "s1 came and went";
    allocator.commit();
    EXPECT_EQ(bench.held("s3"), "10.0.1.0");
}

TEST(Rule20, WhatIsAsItWasAtTheLastTakeIsNotTakenAgain) {
    Bench bench({pool("a", {"10.0.1.0/30"})});
    bench.ensure("s1");
    bench.allocator.begin(bench.now);
    bench.allocator.ensure(service("s1"), {}, 1);
    EXPECT_TRUE(bench.allocator.take_changed().empty()) << "the same wish again";
    bench.allocator.ensure(service("s1"), sharing("k", {80}), 1);
    EXPECT_EQ(bench.allocator.take_changed(), Keys{service("s1")});
    bench.allocator.ensure(service("s1"), sharing("l", {80}), 1);
    bench.allocator.ensure(service("s1"), sharing("k", {80}), 1);
    EXPECT_TRUE(bench.allocator.take_changed().empty());
    bench.allocator.ensure(service("s1"), {}, 1);
    EXPECT_EQ(bench.allocator.take_changed(), Keys{service("s1")}) << "other than at the last take";
    EXPECT_TRUE(bench.allocator.changed().empty()) << "as at the beginning";
    bench.allocator.commit();
}

TEST(Rule20, ARollbackUndoesAllThatSharedTheTransaction) {
    Bench bench({pool("a", {"10.0.1.0-10.0.1.1"})});
    bench.ensure("s1", sharing("k", {80}));
    bench.ensure("s2", sharing("k", {81}));
    bench.ensure("s3");
    bench.ensure("s4");
    const auto before = bench.allocator.allocations();
    const PoolUse use = bench.allocator.use("a");
    bench.allocator.begin(bench.now);
    bench.allocator.release(service("s1"));
    bench.allocator.take_changed();
    bench.allocator.release(service("s2"));
    bench.allocator.ensure(service("s5"), {}, 9);
    bench.allocator.take_changed();
    bench.allocator.ensure(service("s1"), asking_for({"10.0.1.1"}), 10);
    bench.allocator.rollback();
    EXPECT_EQ(bench.allocator.allocations(), before);
    EXPECT_EQ(bench.allocator.use("a"), use);
    EXPECT_TRUE(bench.allocator.changed().empty());
    EXPECT_TRUE(bench.allocator.events().empty());
    EXPECT_EQ(bench.ensure("s6", sharing("k", {82})), "10.0.1.0") << "what may be shared is known again";
}

TEST(Rule20, AStartThatIsRolledBackLeavesAnEmptyAllocator) {
    const std::vector<PoolDefinition> pools{pool("a", {"10.0.1.0/30"})};
    Bench bench(pools);
    bench.ensure("s1");
    const auto recorded = bench.allocator.allocations();
    Bench again({});
    again.allocator.begin(again.now);
    again.allocator.load(pool_set(pools), recorded);
    EXPECT_TRUE(again.allocator.changed().empty()) << "as recorded";
    again.allocator.rollback();
    EXPECT_TRUE(again.allocator.allocations().empty());
    EXPECT_TRUE(again.allocator.pools().pools().empty());
}

TEST(Events, SayWhatHappenedByKind) {
    Bench bench({pool("a", {"10.0.1.1/32"}), pool("b", {"10.0.2.0/30"}, false)});
    bench.ensure("s1");
    EXPECT_EQ(bench.kinds(), "Allocated s1");
    EXPECT_EQ(bench.last_events[0].message, "has 10.0.1.1");
    bench.ensure("s2");
    EXPECT_EQ(bench.kinds(), "Refused s2");
    EXPECT_EQ(bench.last_events[0].message.rfind("NoAvailableIPs: ", 0), 0U) << bench.last_events[0].message;
    bench.ensure("s2");
    EXPECT_EQ(bench.kinds(), "") << "the same as before";
    bench.ensure("s1", from_pool("b"));
    EXPECT_EQ(bench.kinds(), "Moved s1, ServedLate s2");
    bench.ensure("s1", from_pool("nowhere"));
    EXPECT_EQ(bench.kinds(), "Refused s1");
    bench.set_pools({pool("c", {"10.0.3.0/30"})});
    EXPECT_EQ(bench.kinds(), "Lost s1, Lost s2, Moved s2");
    EXPECT_EQ(bench.held("s1"), "UnknownPool") << "it still asks for a pool that there is not";
}

TEST(Events, AnAddressThatConflictsIsToldAsSuch) {
    Allocation allocation;
    allocation.placed = true;
    allocation.holdings = {{ip("10.0.1.0"), "a"}};
    Bench bench({});
    bench.allocator.begin(bench.now);
    bench.allocator.load(pool_set({pool("a", {"10.0.1.0/30"})}),
                         {{service("s1"), allocation}, {service("s2"), allocation}});
    bench.last_events = bench.allocator.events();
    bench.allocator.commit();
    EXPECT_EQ(bench.kinds(), "Conflict s2, Moved s2");
}

TEST(Events, AGainedFamilyIsTold) {
    Bench bench({pool("a", {"10.0.1.0/30"})});
    bench.ensure("s1", wish_of(kPrefer));
    bench.set_pools({pool("a", {"10.0.1.0/30", "2001:db8::/64"})});
    EXPECT_EQ(bench.kinds(), "GainedFamily s1");
}

TEST(Events, StayReadableUntilTheTransactionEnds) {
    Bench bench({pool("a", {"10.0.1.0/30"})});
    bench.allocator.begin(bench.now);
    bench.allocator.ensure(service("s1"), {}, 1);
    bench.allocator.take_changed();
    bench.allocator.preview(service("s9"), {}, bench.now);
    bench.allocator.ensure(service("s2"), {}, 2);
    EXPECT_EQ(bench.allocator.events().size(), 2U);
    bench.allocator.commit();
    EXPECT_TRUE(bench.allocator.events().empty());
}

TEST(Rule18, TheUseOfAPoolIsToldByFamily) {
    PoolDefinition resting = pool("a", {"10.0.1.0/28", "2001:db8::/64"});
    resting.quarantine_seconds = 60;
    Bench bench({resting, pool("b", {"10.0.2.0/30"})});
    bench.ensure("s1", sharing("k", {80}, wish_of(kRequire)));
    bench.ensure("s2", sharing("k", {81}));
    bench.ensure("s3");
    bench.ensure("s4");
    bench.release("s3");
    const PoolUse use = bench.allocator.use("a");
    EXPECT_EQ(use.ipv4, (FamilyUse{16, 2, 1, 1, 13}));
    constexpr std::uint64_t kLimit = (std::uint64_t{1} << 53) - 1;
    EXPECT_EQ(use.ipv6, (FamilyUse{kLimit, 1, 0, 0, kLimit})) << "saturates (5)";
    EXPECT_EQ(use.services, 3U) << "two addresses of one service count once";
    EXPECT_EQ(bench.allocator.use("b").ipv4, (FamilyUse{4, 0, 0, 0, 4}));
    EXPECT_EQ(bench.allocator.use("nowhere"), PoolUse{});
    bench.release("s2");
    EXPECT_EQ(bench.allocator.use("a").ipv4.shared, 0U);
    bench.restart({resting, pool("b", {"10.0.2.0/30"})});
    EXPECT_EQ(bench.allocator.use("a").ipv4, (FamilyUse{16, 2, 0, 1, 13}));
}

TEST(Rule3, AddressesLeftOutDoNotCountInUse) {
    Bench bench({pool("a", {"192.0.2.0/24"}, true, true)});
    bench.ensure("s1");
    EXPECT_EQ(bench.allocator.use("a").ipv4, (FamilyUse{254, 1, 0, 0, 253}));
}

}  // namespace
}  // namespace guideway::ipam
