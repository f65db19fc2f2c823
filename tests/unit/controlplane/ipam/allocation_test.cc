// Rules 6 to 14: which address a service gets, and what it keeps.
#include "tests/unit/controlplane/ipam/ipam_testing.h"

namespace guideway::ipam {
namespace {

constexpr auto kPrefer = FamilyPolicy::prefer_dual;
constexpr auto kRequire = FamilyPolicy::require_dual;

TEST(Rule6, PoolsByNameThenEntriesAsWrittenThenLowestFree) {
    Bench bench({pool("b", {"10.0.2.0/32"}), pool("a", {"10.0.1.9-10.0.1.9", "10.0.1.1-10.0.1.2"})});
    EXPECT_EQ(bench.ensure("s1"), "10.0.1.9");
    EXPECT_EQ(bench.ensure("s2"), "10.0.1.1");
    EXPECT_EQ(bench.ensure("s3"), "10.0.1.2");
    EXPECT_EQ(bench.ensure("s4"), "10.0.2.0");
    EXPECT_EQ(bench.ensure("s5"), "NoAvailableIPs");
    bench.release("s2");
    EXPECT_EQ(bench.held("s5"), "10.0.1.1");
}

TEST(Rule3, APoolWithoutAutoAssignGivesOnlyOnRequest) {
    Bench bench({pool("a", {"10.0.1.0/30"}, false), pool("b", {"10.0.2.1/32"})});
    EXPECT_EQ(bench.ensure("s1"), "10.0.2.1");
    EXPECT_EQ(bench.ensure("s2"), "NoAvailableIPs");
    EXPECT_EQ(bench.ensure("s3", from_pool("a")), "10.0.1.0");
    EXPECT_EQ(bench.ensure("s4", asking_for({"10.0.1.2"})), "10.0.1.2");
}

TEST(Rule3, AvoidedAddressesAreNotGiven) {
    Bench bench({pool("a", {"10.0.0.254-10.0.1.2"}, true, true)});
    EXPECT_EQ(bench.ensure("s1"), "10.0.0.254");
    EXPECT_EQ(bench.ensure("s2"), "10.0.1.1");
    EXPECT_EQ(bench.ensure("s3"), "10.0.1.2");
    EXPECT_EQ(bench.ensure("s4"), "NoAvailableIPs");
    EXPECT_EQ(bench.ensure("s5", asking_for({"10.0.1.0"})), "NotInAnyPool");
    EXPECT_NE(bench.message("s5").find("avoid_buggy_ips"), std::string::npos) << bench.message("s5");
}

TEST(Rule7, AHolderKeepsItsAddressWhateverBecomesBetter) {
    Bench bench({pool("m", {"10.0.5.0/30"})});
    EXPECT_EQ(bench.ensure("s1"), "10.0.5.0");
    EXPECT_EQ(bench.ensure("s2"), "10.0.5.1");
    bench.release("s1");
    EXPECT_EQ(bench.ensure("s2"), "10.0.5.1") << "a lower one is free now";
    bench.set_pools({pool("m", {"10.0.5.0/30"}), pool("a", {"10.0.1.0/30"})});
    EXPECT_EQ(bench.ensure("s2"), "10.0.5.1") << "an earlier pool is there now";
}

TEST(Rule8, ARequestedPoolOrAnErrorWithoutFallBack) {
    Bench bench({pool("a", {"10.0.1.1/32"}), pool("b", {"10.0.2.1/32"}), pool("six", {"2001:db8::/64"})});
    EXPECT_EQ(bench.ensure("s1", from_pool("b")), "10.0.2.1");
    EXPECT_EQ(bench.ensure("s2", from_pool("b")), "NoAvailableIPs");
    EXPECT_EQ(bench.ensure("s3", from_pool("nowhere")), "UnknownPool");
    EXPECT_EQ(bench.ensure("s4", from_pool("six")), "FamilyMismatch");
    EXPECT_EQ(bench.ensure("s5", from_pool("a", wish_of(kRequire))), "FamilyMismatch");
}

TEST(Rule9, RequestedAddressesAreAllOrNothing) {
    Bench bench({pool("a", {"10.0.1.0/28", "2001:db8:1::/64"}), pool("b", {"10.0.2.0/28", "2001:db8:2::/64"})});
    EXPECT_EQ(bench.ensure("s1", asking_for({"2001:db8:2::7", "10.0.2.7"}, wish_of(kRequire))),
              "10.0.2.7 2001:db8:2::7");
    EXPECT_EQ(bench.ensure("s2", asking_for({"10.0.2.8", "2001:db8:2::7"}, wish_of(kRequire))), "InUse");
    EXPECT_EQ(bench.ensure("s3", asking_for({"10.0.2.8"})), "10.0.2.8") << "the refused one took nothing";
    EXPECT_EQ(bench.ensure("s4", asking_for({"10.0.1.1", "2001:db8:2::1"}, wish_of(kRequire))), "NotInAnyPool");
    EXPECT_NE(bench.message("s4").find("no one pool"), std::string::npos);
    EXPECT_EQ(bench.ensure("s5", asking_for({"192.0.2.1"})), "NotInAnyPool");
    EXPECT_EQ(bench.ensure("s6", asking_for({"10.0.1.1", "10.0.1.2"})), "InvalidRequest");
    EXPECT_EQ(bench.ensure("s7", asking_for({"10.0.1.1"}, from_pool("b"))), "ConflictingRequest");
    EXPECT_EQ(bench.ensure("s8", asking_for({"2001:db8:1::1"})), "FamilyMismatch");
    EXPECT_EQ(bench.ensure("s9", asking_for({"10.0.1.1"}, from_pool("a"))), "10.0.1.1");
    EXPECT_EQ(bench.ensure("s10", asking_for({"10.0.1.2"}, from_pool("nowhere"))), "UnknownPool");
}

TEST(Rule9, WithOneRequestedAddressTheOtherFamilyComesFromTheSamePool) {
    Bench bench(
        {pool("a", {"2001:db8:1::/64"}), pool("b", {"10.0.2.0/28", "2001:db8:2::/64"}), pool("c", {"10.0.3.0/28"})});
    EXPECT_EQ(bench.ensure("s1", asking_for({"10.0.2.5"}, wish_of(kRequire))), "10.0.2.5 2001:db8:2::");
    EXPECT_EQ(bench.ensure("s2", asking_for({"10.0.3.5"}, wish_of(kPrefer))), "10.0.3.5");
    EXPECT_EQ(bench.ensure("s3", asking_for({"10.0.3.6"}, wish_of(kRequire))), "FamilyMismatch");
}

TEST(Rule10, ANewWishThatCannotBeMetLeavesTheWorkingAddressAndSaysSo) {
    Bench bench({pool("a", {"10.0.1.0/30"}), pool("b", {"10.0.2.1/32"})});
    EXPECT_EQ(bench.ensure("s1"), "10.0.1.0");
    EXPECT_EQ(bench.ensure("other", from_pool("b")), "10.0.2.1");
    EXPECT_EQ(bench.ensure("s1", from_pool("b")), "10.0.1.0 NoAvailableIPs");
    EXPECT_NE(bench.message("s1").find("keeps 10.0.1.0"), std::string::npos) << bench.message("s1");
    EXPECT_EQ(bench.ensure("s1", from_pool("nowhere")), "10.0.1.0 UnknownPool");
    EXPECT_EQ(bench.ensure("s1", asking_for({"10.0.2.1"})), "10.0.1.0 InUse");
    EXPECT_EQ(bench.ensure("s1", v6_wish()), "10.0.1.0 NoAvailableIPs");
    EXPECT_EQ(bench.ensure("s1", wish_of(kRequire)), "10.0.1.0 FamilyMismatch");
    EXPECT_EQ(bench.ensure("s1"), "10.0.1.0") << "the wish taken back";
}

TEST(Rule10, TheNewWishIsMetAsSoonAsItCanBe) {
    Bench bench({pool("a", {"10.0.1.0/30"}), pool("b", {"10.0.2.1/32"})});
    bench.ensure("s1");
    bench.ensure("other", from_pool("b"));
    bench.ensure("s1", from_pool("b"));
    bench.release("other");
    EXPECT_EQ(bench.held("s1"), "10.0.2.1");
    EXPECT_EQ(bench.ensure("next"), "10.0.1.0") << "what it gave up is free";
}

TEST(Rule10, AWishThatCanBeMetMoves) {
    Bench bench({pool("a", {"10.0.1.0/30"}), pool("b", {"10.0.2.0/30", "2001:db8::/64"})});
    bench.ensure("s1");
    EXPECT_EQ(bench.ensure("s1", from_pool("b")), "10.0.2.0");
    EXPECT_EQ(bench.ensure("s1", asking_for({"10.0.2.3"})), "10.0.2.3");
    EXPECT_EQ(bench.ensure("s1", v6_wish()), "2001:db8::");
}

TEST(Rule11, RemovingARequestKeepsTheAddress) {
    Bench bench({pool("a", {"10.0.1.0/30"}), pool("b", {"10.0.2.0/30"}, false)});
    EXPECT_EQ(bench.ensure("s1", asking_for({"10.0.2.2"})), "10.0.2.2");
    EXPECT_EQ(bench.ensure("s1"), "10.0.2.2");
    EXPECT_EQ(bench.ensure("s1", from_pool("b")), "10.0.2.2");
    EXPECT_EQ(bench.ensure("s1"), "10.0.2.2");
}

TEST(Rule11, ChangedPortsKeepAnExclusiveAddress) {
    Bench bench({pool("a", {"10.0.1.0/30"})});
    EXPECT_EQ(bench.ensure("s1", sharing("", {80})), "10.0.1.0");
    EXPECT_EQ(bench.ensure("s1", sharing("", {443, 80})), "10.0.1.0");
}

TEST(Rule12, ASingleFamilyGetsExactlyOneAddressOfIt) {
    Bench bench({pool("a", {"10.0.1.0/30", "2001:db8::/64"})});
    EXPECT_EQ(bench.ensure("s1"), "10.0.1.0");
    EXPECT_EQ(bench.ensure("s2", v6_wish()), "2001:db8::");
}

TEST(Rule13, RequireDualStackIsServedFromOnePoolOrNotAtAll) {
    Bench bench(
        {pool("a", {"10.0.1.0/30"}), pool("b", {"2001:db8:b::/64"}), pool("c", {"10.0.3.1/32", "2001:db8:c::/64"})});
    EXPECT_EQ(bench.ensure("s1", wish_of(kRequire)), "10.0.3.1 2001:db8:c::");
    EXPECT_EQ(bench.ensure("s2", wish_of(kRequire)), "NoAvailableIPs");
    EXPECT_EQ(bench.ensure("s3", from_pool("c", v6_wish())), "2001:db8:c::1") << "the refused one took nothing";
}

TEST(Rule13, PreferDualStackWinsWithALaterPoolOfBothThenPrimaryThenTheOther) {
    Bench bench(
        {pool("a", {"10.0.1.1/32"}), pool("b", {"2001:db8:b::1/128"}), pool("c", {"10.0.3.1/32", "2001:db8:c::/64"})});
    EXPECT_EQ(bench.ensure("s1", wish_of(kPrefer, IpFamily::ipv6)), "10.0.3.1 2001:db8:c::");
    EXPECT_EQ(bench.ensure("s2", wish_of(kPrefer, IpFamily::ipv6)), "2001:db8:b::1") << "primary, earliest pool";
    EXPECT_EQ(bench.ensure("s3", wish_of(kPrefer, IpFamily::ipv4)), "10.0.1.1");
    EXPECT_EQ(bench.ensure("s4", wish_of(kPrefer, IpFamily::ipv4)), "2001:db8:c::1") << "the other family";
}

TEST(Rule13, AHolderThatPrefersBothGainsTheOtherWhenItsOwnPoolGetsTheFamily) {
    Bench bench({pool("a", {"10.0.1.0/30"})});
    EXPECT_EQ(bench.ensure("s1", wish_of(kPrefer)), "10.0.1.0");
    bench.set_pools({pool("a", {"10.0.1.0/30"}), pool("b", {"2001:db8:b::/64"})});
    EXPECT_EQ(bench.held("s1"), "10.0.1.0") << "another pool does not count";
    bench.set_pools({pool("a", {"10.0.1.0/30", "2001:db8:a::/64"}), pool("b", {"2001:db8:b::/64"})});
    EXPECT_EQ(bench.held("s1"), "10.0.1.0 2001:db8:a::");
}

TEST(Rule13, ASecondFamilyWantedLaterComesFromTheHoldersPool) {
    Bench bench({pool("a", {"2001:db8:a::/64"}), pool("b", {"10.0.2.0/30", "2001:db8:b::/64"})});
    EXPECT_EQ(bench.ensure("s1"), "10.0.2.0");
    EXPECT_EQ(bench.ensure("s1", wish_of(kRequire)), "10.0.2.0 2001:db8:b::");
}

TEST(Rule14, LosingOneFamilyKeepsTheOthersAddress) {
    Bench bench({pool("a", {"10.0.1.0/30", "2001:db8::/64"})});
    bench.ensure("first", wish_of(kRequire));
    EXPECT_EQ(bench.ensure("s1", wish_of(kRequire)), "10.0.1.1 2001:db8::1");
    EXPECT_EQ(bench.ensure("s1", v6_wish()), "2001:db8::1");
    EXPECT_EQ(bench.ensure("s2"), "10.0.1.1") << "the dropped one is free";
}

}  // namespace
}  // namespace guideway::ipam
