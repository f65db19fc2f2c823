// Rule 6: an address that was freed a while ago is skipped while others are free.
#include "tests/unit/controlplane/ipam/ipam_testing.h"

namespace guideway::ipam {
namespace {

PoolDefinition resting(PoolDefinition pool, std::uint32_t seconds) {
    pool.quarantine_seconds = seconds;
    return pool;
}

TEST(Rule6, WithoutQuarantineTheLowestFreedAddressIsGivenAtOnce) {
    Bench bench({pool("a", {"10.0.1.0/29"})});
    bench.ensure("s1");
    bench.release("s1");
    EXPECT_EQ(bench.ensure("s2"), "10.0.1.0");
    EXPECT_TRUE(bench.allocator.quarantined().empty());
}

TEST(Rule6, AnAddressInQuarantineIsSkippedWhileOthersAreFree) {
    Bench bench({resting(pool("a", {"10.0.1.0/29"}), 60)});
    bench.ensure("s1");
    bench.release("s1");
    EXPECT_EQ(bench.ensure("s2"), "10.0.1.1");
    bench.now += 59;
    EXPECT_EQ(bench.ensure("s3"), "10.0.1.2");
    bench.now += 1;
    EXPECT_EQ(bench.ensure("s4"), "10.0.1.0") << "60 s after it was freed";
}

TEST(Rule6, WhereNothingElseIsFreeTheOneFreedFirstIsGiven) {
    Bench bench({resting(pool("a", {"10.0.1.0-10.0.1.2"}), 60)});
    for (const char* name : {"s1", "s2", "s3"}) bench.ensure(name);
    for (const char* name : {"s2", "s3", "s1"}) {
        bench.now += 5;
        bench.release(name);
    }
    EXPECT_EQ(bench.ensure("n1"), "10.0.1.1");
    EXPECT_EQ(bench.ensure("n2"), "10.0.1.2");
    EXPECT_EQ(bench.ensure("n3"), "10.0.1.0");
    EXPECT_EQ(bench.ensure("n4"), "NoAvailableIPs");
}

TEST(Rule6, EachFamilyAndPoolHasItsOwn) {
    Bench bench({resting(pool("a", {"10.0.1.0/31", "2001:db8::/64"}), 60), pool("b", {"10.0.2.0/30"})});
    bench.ensure("s1", wish_of(FamilyPolicy::require_dual));
    bench.ensure("s2");
    bench.release("s1");
    EXPECT_EQ(bench.ensure("s3", v6_wish()), "2001:db8::1");
    EXPECT_EQ(bench.ensure("s4"), "10.0.1.0") << "the earlier pool has only this one, and comes before b all the same";
    bench.ensure("s5", from_pool("b"));
    bench.release("s5");
    EXPECT_EQ(bench.ensure("s6", from_pool("b")), "10.0.2.0") << "b has no quarantine";
}

TEST(Rule6, WhoGaveTheAddressUpGetsItBackWhileNobodyElseHasIt) {
    Bench bench({resting(pool("a", {"10.0.1.0/29"}), 60)});
    bench.ensure("s1");
    bench.ensure("s2");
    bench.release("s1");
    bench.release("s2");
    EXPECT_EQ(bench.ensure("s3"), "10.0.1.2");
    EXPECT_EQ(bench.ensure("s2"), "10.0.1.1") << "made anew, not the lowest free one";
    bench.now += 60;
    EXPECT_EQ(bench.ensure("s4"), "10.0.1.0");
    EXPECT_EQ(bench.ensure("s1"), "10.0.1.3");
}

TEST(Rule6, TheLastUserOfASharedAddressIsItsFormerHolder) {
    Bench bench({resting(pool("a", {"10.0.1.0/29"}), 60)});
    bench.ensure("s1", sharing("k", {80}));
    bench.ensure("s2", sharing("k", {443}));
    bench.release("s1");
    EXPECT_TRUE(bench.allocator.quarantined().empty()) << "still held";
    bench.release("s2");
    ASSERT_EQ(bench.allocator.quarantined().size(), 1U);
    EXPECT_EQ(bench.allocator.quarantined()[0], (Quarantined{ip("10.0.1.0"), bench.now, service("s2")}));
    EXPECT_EQ(bench.ensure("s1"), "10.0.1.1");
}

TEST(Rule9, ARequestedAddressIsGivenInQuarantineToo) {
    Bench bench({resting(pool("a", {"10.0.1.0/29"}), 60)});
    bench.ensure("s1");
    bench.release("s1");
    EXPECT_EQ(bench.ensure("s2", asking_for({"10.0.1.0"})), "10.0.1.0");
    EXPECT_TRUE(bench.allocator.quarantined().empty());
}

TEST(Rule6, WhatAMoveGivesUpIsInQuarantine) {
    Bench bench({resting(pool("a", {"10.0.1.0/30"}), 60), pool("b", {"10.0.2.0/30"})});
    bench.ensure("s1");
    EXPECT_EQ(bench.ensure("s1", from_pool("b")), "10.0.2.0");
    EXPECT_EQ(bench.ensure("s2"), "10.0.1.1");
    EXPECT_EQ(bench.ensure("s1", from_pool("a")), "10.0.1.0");
}

TEST(Rule23, AWaitingServiceIsServedFromQuarantine) {
    Bench bench({resting(pool("a", {"10.0.1.0/32"}), 60)});
    bench.ensure("s1");
    EXPECT_EQ(bench.ensure("s2"), "NoAvailableIPs");
    bench.release("s1");
    EXPECT_EQ(bench.held("s2"), "10.0.1.0");
}

TEST(Rule20, QuarantineOutlivesARestart) {
    const std::vector<PoolDefinition> pools{resting(pool("a", {"10.0.1.0/29"}), 60)};
    Bench bench(pools);
    bench.ensure("s1");
    bench.release("s1");
    bench.now += 30;
    bench.restart(pools);
    EXPECT_EQ(bench.ensure("s2"), "10.0.1.1");
    EXPECT_EQ(bench.ensure("s1"), "10.0.1.0") << "and who left it";
    bench.release("s1");
    bench.now += 60;
    bench.restart(pools);
    EXPECT_TRUE(bench.allocator.quarantined().empty());
}

TEST(Rule20, TheStoreIsToldWhatCameIntoQuarantineAndWhatLeftIt) {
    Bench bench({resting(pool("a", {"10.0.1.0/29"}), 60)});
    bench.ensure("s1");
    const auto changes = [&](auto change) {
        bench.allocator.begin(bench.now);
        change();
        const auto found = bench.allocator.quarantine_changes();
        bench.allocator.commit();
        return found;
    };
    const Quarantined left{ip("10.0.1.0"), bench.now, service("s1")};
    EXPECT_EQ(changes([&] { bench.allocator.release(service("s1")); }),
              (std::vector<QuarantineChange>{{ip("10.0.1.0"), left}}));
    EXPECT_TRUE(changes([&] { bench.allocator.ensure(service("s2"), {}, 9); }).empty());
    EXPECT_TRUE(changes([&] {
                    bench.allocator.ensure(service("s1"), {}, 11);
                    bench.allocator.release(service("s1"));
                }).empty())
        << "as it was before";
    bench.now += 60;
    EXPECT_EQ(changes([] {}), (std::vector<QuarantineChange>{{ip("10.0.1.0"), std::nullopt}}));
}

TEST(Rule20, ARollbackBringsQuarantineBack) {
    Bench bench({resting(pool("a", {"10.0.1.0/29"}), 60)});
    bench.ensure("s1");
    bench.ensure("s2");
    bench.release("s1");
    const auto before = bench.allocator.quarantined();
    bench.now += 5;
    bench.allocator.begin(bench.now);
    bench.allocator.release(service("s2"));
    bench.allocator.ensure(service("s3"), asking_for({"10.0.1.0"}), 9);
    bench.allocator.set_pools(pool_set({pool("z", {"10.0.9.0/24"})}));
    EXPECT_TRUE(bench.allocator.quarantined().empty());
    bench.allocator.rollback();
    EXPECT_EQ(bench.allocator.quarantined(), before);
    EXPECT_EQ(bench.ensure("s4"), "10.0.1.2");
}

TEST(Rule19, QuarantineFollowsTheAddressToItsPoolOfNow) {
    Bench bench({resting(pool("a", {"10.0.1.0/29"}), 60)});
    bench.ensure("s1");
    bench.release("s1");
    bench.set_pools({resting(pool("renamed", {"10.0.1.0/28"}), 60)});
    EXPECT_EQ(bench.ensure("s2"), "10.0.1.1");
    bench.set_pools({resting(pool("renamed", {"10.0.1.0/28"}), 90)});
    bench.now += 60;
    EXPECT_EQ(bench.ensure("s3"), "10.0.1.2") << "a longer one holds for those that are still in it";
    bench.set_pools({pool("renamed", {"10.0.1.0/28"})});
    EXPECT_EQ(bench.ensure("s4"), "10.0.1.0") << "none: ended at once";
}

TEST(Rule6, AClockThatIsSetBackStandsStill) {
    Bench bench({resting(pool("a", {"10.0.1.0/29"}), 60)});
    bench.ensure("s1");
    bench.release("s1");
    bench.now -= 1000;
    EXPECT_EQ(bench.ensure("s2"), "10.0.1.1");
    bench.now += 1059;
    EXPECT_EQ(bench.ensure("s3"), "10.0.1.2");
    bench.now += 1;
    EXPECT_EQ(bench.ensure("s4"), "10.0.1.0");
}

TEST(Rule6, ATimeToComeCountsAsNowAfterARestart) {
    const std::vector<PoolDefinition> pools{resting(pool("a", {"10.0.1.0/29"}), 60)};
    Bench bench(pools);
    bench.ensure("s1");
    bench.release("s1");
    bench.now -= 1000;
    bench.restart(pools);
    bench.now += 60;
    EXPECT_EQ(bench.ensure("s2"), "10.0.1.0");
}

TEST(Rule6, TheLeftOutNeighboursDoNotHideFreeAddresses) {
    Bench bench({resting(pool("a", {"10.0.0.254-10.0.1.2"}, true, true), 60)});
    bench.ensure("s1");
    bench.ensure("s2");
    bench.release("s1");
    bench.release("s2");
    EXPECT_EQ(bench.ensure("s3"), "10.0.1.2");
    EXPECT_EQ(bench.ensure("s4"), "10.0.0.254");
    EXPECT_EQ(bench.ensure("s5"), "10.0.1.1");
    EXPECT_EQ(bench.ensure("s6"), "NoAvailableIPs");
}

}  // namespace
}  // namespace guideway::ipam
