// Rules 15 to 18: addresses shared by key.
#include "tests/unit/controlplane/ipam/ipam_testing.h"

namespace guideway::ipam {
namespace {

Wish at(const std::string& address, Wish wish) { return asking_for({address}, std::move(wish)); }

TEST(Rule15, EqualKeysAndOtherPortsShare) {
    Bench bench({pool("a", {"10.0.1.0/30"})});
    EXPECT_EQ(bench.ensure("s1", at("10.0.1.1", sharing("k", {80}))), "10.0.1.1");
    EXPECT_EQ(bench.ensure("s2", at("10.0.1.1", sharing("k", {443}))), "10.0.1.1");
    EXPECT_EQ(bench.ensure("s3", at("10.0.1.1", sharing("other", {8080}))), "SharingKeyMismatch");
    EXPECT_EQ(bench.ensure("s4", at("10.0.1.1", sharing("k", {443, 8443}))), "PortConflict");
    EXPECT_NE(bench.message("s4").find("default/s2"), std::string::npos) << bench.message("s4");
    EXPECT_EQ(bench.ensure("s5", at("10.0.1.1", sharing("", {9}))), "InUse");
}

TEST(Rule15, TheSameNumberOnAnotherProtocolIsNoClash) {
    Bench bench({pool("a", {"10.0.1.0/30"})});
    bench.ensure("s1", at("10.0.1.1", sharing("k", {53})));
    Wish udp = at("10.0.1.1", sharing("k", {}));
    udp.claim.ports = {{contract::Protocol::udp, 53}};
    EXPECT_EQ(bench.ensure("s2", udp), "10.0.1.1");
}

TEST(Rule15, TwoEmptyKeysDoNotShare) {
    Bench bench({pool("a", {"10.0.1.0/30"})});
    bench.ensure("s1", at("10.0.1.1", sharing("", {80})));
    EXPECT_EQ(bench.ensure("s2", at("10.0.1.1", sharing("", {443}))), "InUse");
}

TEST(Rule16, AnAddressHeldWithTheKeyIsPreferredToAFreeOne) {
    Bench bench({pool("a", {"10.0.1.0/30"}), pool("b", {"10.0.2.0/30"})});
    bench.ensure("s1", from_pool("b", sharing("k", {80})));
    EXPECT_EQ(bench.ensure("s2", sharing("k", {443})), "10.0.2.0") << "also in a later pool";
    EXPECT_EQ(bench.ensure("s3", sharing("k", {80})), "10.0.1.0") << "on a clash the next fitting one";
    EXPECT_EQ(bench.ensure("s4", sharing("k", {443, 22})), "10.0.1.0") << "fits beside s3";
    EXPECT_EQ(bench.ensure("s5", sharing("l", {1})), "10.0.1.1") << "another key";
}

TEST(Rule16, BothFamiliesAreShared) {
    Bench bench({pool("a", {"10.0.1.0/30", "2001:db8::/64"})});
    bench.ensure("s1", sharing("k", {80}, wish_of(FamilyPolicy::require_dual)));
    EXPECT_EQ(bench.ensure("s2", sharing("k", {443}, wish_of(FamilyPolicy::require_dual))), "10.0.1.0 2001:db8::");
    EXPECT_EQ(bench.ensure("s3", sharing("k", {22}, v6_wish())), "2001:db8::");
}

TEST(Rule17, ASoleUserChangesItsKeyInPlace) {
    Bench bench({pool("a", {"10.0.1.0/30"})});
    bench.ensure("s1", sharing("k", {80}));
    EXPECT_EQ(bench.ensure("s1", sharing("l", {80})), "10.0.1.0");
    EXPECT_EQ(bench.ensure("s2", sharing("k", {443})), "10.0.1.1") << "the old key means nothing any more";
    EXPECT_EQ(bench.ensure("s3", sharing("l", {443})), "10.0.1.0");
    EXPECT_EQ(bench.ensure("s2", sharing("", {443})), "10.0.1.1");
    EXPECT_EQ(bench.ensure("s4", sharing("k", {1})), "10.0.1.2");
}

TEST(Rule17, WithOthersOnTheAddressAChangeThatDoesNotFitLeavesTheOldClaimInForce) {
    Bench bench({pool("a", {"10.0.1.0/30"})});
    bench.ensure("s1", sharing("k", {80}));
    bench.ensure("s2", sharing("k", {443}));
    EXPECT_EQ(bench.ensure("s2", sharing("k", {80})), "10.0.1.0 PortConflict");
    const Claim still = bench.allocator.find(service("s2"))->claim;
    EXPECT_EQ(still.ports, (std::vector<PortClaim>{{contract::Protocol::tcp, 443}}));
    EXPECT_EQ(bench.ensure("s3", at("10.0.1.0", sharing("k", {443}))), "PortConflict") << "443 is still taken";
    EXPECT_EQ(bench.ensure("s2", sharing("l", {443})), "10.0.1.0 SharingKeyMismatch");
    EXPECT_EQ(bench.ensure("s2", sharing("", {443})), "10.0.1.0 InUse");
    bench.release("s1");
    EXPECT_EQ(bench.held("s2"), "10.0.1.0") << "alone now, it gets what it asked";
    EXPECT_EQ(bench.held("s3"), "InUse");
}

TEST(Rule17, AChangeThatFitsBesideTheOthersTakesEffect) {
    Bench bench({pool("a", {"10.0.1.0/30"})});
    bench.ensure("s1", sharing("k", {80}));
    bench.ensure("s2", sharing("k", {443}));
    EXPECT_EQ(bench.ensure("s2", sharing("k", {8443})), "10.0.1.0");
    EXPECT_EQ(bench.ensure("s3", at("10.0.1.0", sharing("k", {443}))), "10.0.1.0");
}

TEST(Rule18, AnAddressIsFreeWhenItsLastUserLeavesAndCountsOnce) {
    Bench bench({pool("a", {"10.0.1.1/32"})});
    bench.ensure("s1", sharing("k", {80}));
    bench.ensure("s2", sharing("k", {443}));
    EXPECT_EQ(bench.allocator.use("a").ipv4.allocated, 1U);
    EXPECT_EQ(bench.ensure("s3"), "NoAvailableIPs");
    bench.release("s1");
    EXPECT_EQ(bench.held("s3"), "NoAvailableIPs");
    EXPECT_EQ(bench.allocator.use("a").ipv4.allocated, 1U);
    bench.release("s2");
    EXPECT_EQ(bench.held("s3"), "10.0.1.1");
    bench.release("s3");
    EXPECT_EQ(bench.allocator.use("a").ipv4.allocated, 0U);
}

TEST(Rule18, KeysCountWithinTheirNamespaceUnlessThePoolAllowsMore) {
    PoolDefinition across = pool("b", {"10.0.2.0/30"}, false);
    across.share_across_namespaces = true;
    Bench bench({pool("a", {"10.0.1.0/30"}), across});
    bench.ensure("s1", sharing("k", {80}));
    EXPECT_EQ(bench.ensure("s2", sharing("k", {443}), "shop"), "10.0.1.1");
    EXPECT_EQ(bench.ensure("s3", at("10.0.1.0", sharing("k", {22})), "shop"), "SharingKeyMismatch");
    bench.ensure("s4", from_pool("b", sharing("k", {80})));
    EXPECT_EQ(bench.ensure("s5", from_pool("b", sharing("k", {443})), "shop"), "10.0.2.0");
}

TEST(Rule18, KeysNeverCountAcrossClusters) {
    PoolDefinition across = pool("a", {"10.0.1.0/30"});
    across.share_across_namespaces = true;
    Bench bench({across});
    bench.ensure("s1", sharing("k", {80}));
    bench.allocator.begin(bench.now);
    const ServiceKey west{"west", "default", "s1"};
    EXPECT_EQ(bench.allocator.ensure(west, sharing("k", {443}), 9).holdings[0].address, ip("10.0.1.1"));
    EXPECT_EQ(bench.allocator.ensure({"west", "shop", "s2"}, sharing("k", {444}), 9).holdings[0].address,
              ip("10.0.1.1"));
    const Allocation& refused =
        bench.allocator.ensure({"west", "default", "s3"}, at("10.0.1.0", sharing("k", {22})), 10);
    EXPECT_EQ(refused.refusal->reason, Reason::sharing_key_mismatch);
    EXPECT_NE(refused.refusal->message.find("within one cluster only"), std::string::npos) << refused.refusal->message;
    bench.allocator.commit();
}

TEST(Rule18, EachNamespaceHasItsOwnKeysOfTheSameName) {
    Bench bench({pool("a", {"10.0.1.0/29"})});
    EXPECT_EQ(bench.ensure("s1", sharing("k", {80}), "crm"), "10.0.1.0");
    EXPECT_EQ(bench.ensure("s1", sharing("k", {80}), "shop"), "10.0.1.1");
    EXPECT_EQ(bench.ensure("s2", sharing("k", {81}), "shop"), "10.0.1.1");
    EXPECT_EQ(bench.ensure("s2", sharing("k", {81}), "crm"), "10.0.1.0");
}

TEST(Rule19, WhoSharesAcrossNamespacesStaysWhenThePoolNoLongerAllowsIt) {
    PoolDefinition across = pool("a", {"10.0.1.0/30"});
    across.share_across_namespaces = true;
    Bench bench({across});
    bench.ensure("s1", sharing("k", {80}), "crm");
    EXPECT_EQ(bench.ensure("s2", sharing("k", {81}), "shop"), "10.0.1.0");
    bench.set_pools({pool("a", {"10.0.1.0/30"})});
    EXPECT_EQ(bench.held("s1", "crm"), "10.0.1.0");
    EXPECT_EQ(bench.held("s2", "shop"), "10.0.1.0");
    EXPECT_EQ(bench.ensure("s2", sharing("k", {82}), "shop"), "10.0.1.0") << "it may change its ports there (17)";
    EXPECT_EQ(bench.ensure("s3", sharing("k", {83}), "shop"), "10.0.1.1") << "nobody joins them";
    bench.restart({pool("a", {"10.0.1.0/30"})});
    EXPECT_EQ(bench.held("s2", "shop"), "10.0.1.0");
}

TEST(Rule19, WhoIsLeftAloneInANamespaceMayBeJoinedAgain) {
    PoolDefinition across = pool("a", {"10.0.1.0/30"});
    across.share_across_namespaces = true;
    Bench bench({across});
    bench.ensure("s1", sharing("k", {80}), "default");
    bench.ensure("s2", sharing("k", {81}), "shop");
    bench.set_pools({pool("a", {"10.0.1.0/30"})});
    bench.release("s1");
    EXPECT_EQ(bench.ensure("s3", sharing("k", {80}), "shop"), "10.0.1.0");
}

TEST(Rule16, AKeyWhosePortIsTakenOnAllItsAddressesGetsAFreeOne) {
    Bench bench({pool("a", {"10.0.1.0/28"})});
    for (const char* name : {"s1", "s2", "s3"}) bench.ensure(name, sharing("k", {80}));
    EXPECT_EQ(bench.held("s3"), "10.0.1.2");
    EXPECT_EQ(bench.ensure("s4", sharing("k", {80, 443})), "10.0.1.3");
    bench.ensure("s2", sharing("k", {8080}));
    EXPECT_EQ(bench.ensure("s5", sharing("k", {80})), "10.0.1.1") << "the first that fits";
}

TEST(Rule23, AFreedPortServesAWaitingServiceOfTheKey) {
    Bench bench({pool("a", {"10.0.1.0/32"})});
    bench.ensure("s1", sharing("k", {80}));
    bench.ensure("s2", sharing("k", {81}));
    EXPECT_EQ(bench.ensure("s3", sharing("k", {80})), "NoAvailableIPs");
    EXPECT_EQ(bench.ensure("s1", sharing("k", {82})), "10.0.1.0");
    EXPECT_EQ(bench.held("s3"), "10.0.1.0");
}

TEST(Rule23, AKeyThatAHolderTakesUpServesAWaitingServiceOfTheKey) {
    Bench bench({pool("a", {"10.0.1.0/32"})});
    bench.ensure("s1", sharing("", {80}));
    EXPECT_EQ(bench.ensure("s2", sharing("k", {81})), "NoAvailableIPs");
    bench.ensure("s1", sharing("k", {80}));
    EXPECT_EQ(bench.held("s2"), "10.0.1.0");
}

}  // namespace
}  // namespace guideway::ipam
