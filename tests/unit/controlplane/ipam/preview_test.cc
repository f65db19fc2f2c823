// The dry run: what a service would get, and what becomes of each pool (rules 3, 4, 6 to 9, 13, 16).
#include "tests/unit/controlplane/ipam/ipam_testing.h"

namespace guideway::ipam {
namespace {

PoolDefinition scoped(PoolDefinition pool, ServiceAllocation allocation) {
    pool.service_allocation = std::move(allocation);
    return pool;
}

std::string verdicts(const Preview& preview) {
    std::string text;
    for (const PoolVerdict& verdict : preview.pools) {
        text += (text.empty() ? "" : ", ") + verdict.pool + " " + std::string(to_string(verdict.verdict));
        EXPECT_FALSE(verdict.message.empty());
    }
    return text;
}

struct PreviewBench : Bench {
    using Bench::Bench;
    Preview preview(const std::string& name, const Wish& wish = {}, const std::string& name_space = "default") {
        return allocator.preview(service(name, name_space), wish, now);
    }
};

TEST(Preview, TellsEachPoolInTheOrderInWhichTheyAreAsked) {
    PreviewBench bench({pool("b", {"10.0.2.0/30"}), pool("a", {"10.0.1.0/32"}), pool("c", {"10.0.3.0/30"}),
                        pool("manual", {"10.0.4.0/30"}, false), pool("six", {"2001:db8::/64"}),
                        scoped(pool("shop", {"10.0.5.0/30"}), {5, {"shop"}, {}, {}, {}})});
    bench.ensure("first");
    const Preview preview = bench.preview("s1");
    EXPECT_EQ(preview.holdings, (std::vector<Holding>{{ip("10.0.2.0"), "b"}}));
    EXPECT_TRUE(preview.changes_address);
    EXPECT_FALSE(preview.refusal);
    EXPECT_EQ(verdicts(preview),
              "shop NotAdmitted, a Full, b Used, c Later, manual NotAutoAssigning, six FamilyMissing");
    EXPECT_EQ(preview.pools[3].message, "could serve, but pool \"b\" is asked before it");
    EXPECT_EQ(preview.pools[2].message, "gives 10.0.2.0");
    EXPECT_EQ(bench.allocator.find(service("s1")), nullptr) << "a dry run";
    EXPECT_EQ(verdicts(bench.preview("s1", {}, "shop")),
              "shop Used, a Full, b Later, c Later, manual NotAutoAssigning, six FamilyMissing");
}

TEST(Preview, TellsWhyNoPoolServes) {
    PreviewBench bench({pool("a", {"10.0.1.0/32"}), pool("six", {"2001:db8::/64"})});
    bench.ensure("first");
    const Preview preview = bench.preview("s1");
    ASSERT_TRUE(preview.refusal);
    EXPECT_EQ(preview.refusal->reason, Reason::no_available_ips);
    EXPECT_EQ(verdicts(preview), "a Full, six FamilyMissing");
    EXPECT_FALSE(preview.changes_address);
}

TEST(Preview, OfAHolderThatStaysAsksNoPool) {
    PreviewBench bench({pool("b", {"10.0.2.0/30"})});
    bench.ensure("s1");
    bench.set_pools({pool("a", {"10.0.1.0/30"}), pool("b", {"10.0.2.0/30"})});
    const Preview preview = bench.preview("s1", sharing("", {443}));
    EXPECT_EQ(verdicts(preview), "a KeepsItsAddress, b Used");
    EXPECT_EQ(preview.pools[1].message, "has 10.0.2.0, which the service holds and keeps");
    EXPECT_FALSE(preview.changes_address);
}

TEST(Preview, OfARequestTellsWhoWasNotAsked) {
    PreviewBench bench({pool("a", {"10.0.1.0/30"}), pool("b", {"10.0.2.0/32"})});
    EXPECT_EQ(verdicts(bench.preview("s1", from_pool("b"))), "a NotRequested, b Used");
    EXPECT_EQ(verdicts(bench.preview("s1", asking_for({"10.0.2.0"}))), "a NotRequested, b Used");
    bench.ensure("first", from_pool("b"));
    EXPECT_EQ(verdicts(bench.preview("s1", from_pool("b"))), "a NotRequested, b Full");
    const Preview clash = bench.preview("s1", asking_for({"10.0.2.0"}));
    EXPECT_EQ(verdicts(clash), "a NotRequested, b Refused");
    EXPECT_EQ(clash.pools[1].message, clash.refusal->message);
    Wish faulty;
    faulty.unreadable_addresses = {"x"};
    EXPECT_EQ(verdicts(bench.preview("s1", faulty)), "a Refused, b Refused");
}

TEST(Preview, OfAWishThatCannotBeMetShowsWhatIsKept) {
    PreviewBench bench({pool("a", {"10.0.1.0/30"}), pool("b", {"10.0.2.0/32"})});
    bench.ensure("first", from_pool("b"));
    bench.ensure("s1");
    const Preview preview = bench.preview("s1", from_pool("b"));
    EXPECT_EQ(preview.holdings, (std::vector<Holding>{{ip("10.0.1.0"), "a"}}));
    ASSERT_TRUE(preview.refusal);
    EXPECT_EQ(verdicts(preview), "a Used, b Full");
    EXPECT_EQ(bench.held("s1"), "10.0.1.0") << "and its wish is the old one";
}

TEST(Preview, TellsThatALaterPoolIsBetter) {
    PreviewBench bench(
        {pool("a", {"10.0.1.0/30"}), pool("b", {"10.0.2.0/30", "2001:db8::/64"}), pool("c", {"10.0.3.0/30"})});
    const Preview dual = bench.preview("s1", wish_of(FamilyPolicy::prefer_dual));
    EXPECT_EQ(verdicts(dual), "a LessSuitable, b Used, c Later");
    EXPECT_EQ(dual.pools[0].message, "has one family only, and pool \"b\" serves the service better");
    bench.ensure("first", sharing("k", {80}, from_pool("c")));
    const Preview shared = bench.preview("s1", sharing("k", {81}));
    EXPECT_EQ(verdicts(shared), "a LessSuitable, b LessSuitable, c Used");
    EXPECT_EQ(shared.pools[2].message, "gives 10.0.3.0, shared by its key");
}

TEST(Preview, TellsThatOnlyQuarantinedAddressesAreLeft) {
    PoolDefinition resting = pool("a", {"10.0.1.0/32"});
    resting.quarantine_seconds = 60;
    PreviewBench bench({resting});
    bench.ensure("first");
    bench.release("first");
    EXPECT_NE(bench.preview("s1").pools[0].message.find("still in quarantine"), std::string::npos);
    EXPECT_EQ(bench.preview("first").pools[0].message, "gives 10.0.1.0");
    EXPECT_EQ(bench.allocator.quarantined().size(), 1U) << "as before";
    bench.now += 60;
    EXPECT_EQ(bench.preview("s1").pools[0].message.find("still in quarantine"), std::string::npos) << "over by now";
}

TEST(Preview, WithinATransactionSeesItAndLeavesItAlone) {
    PreviewBench bench({pool("a", {"10.0.1.0-10.0.1.1"})});
    bench.allocator.begin(bench.now);
    bench.allocator.ensure(service("s1"), {}, 1);
    EXPECT_EQ(bench.preview("s2").holdings, (std::vector<Holding>{{ip("10.0.1.1"), "a"}}));
    EXPECT_EQ(bench.allocator.changed(), std::vector<ServiceKey>{service("s1")});
    bench.allocator.rollback();
    EXPECT_TRUE(bench.allocator.allocations().empty());
    EXPECT_EQ(bench.preview("s2").holdings, (std::vector<Holding>{{ip("10.0.1.0"), "a"}}));
}

}  // namespace
}  // namespace guideway::ipam
