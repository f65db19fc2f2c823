// Rules 9, 12, 24 and the list of reasons: what a service says of itself.
#include <set>

#include "controlplane/ipam/load_balancer_class.h"
#include "tests/unit/controlplane/ipam/ipam_testing.h"

namespace guideway::ipam {
namespace {

constexpr auto kPrefer = FamilyPolicy::prefer_dual;
constexpr auto kRequire = FamilyPolicy::require_dual;

Wish by_annotation(const std::vector<std::string>& addresses, Wish wish = {}) {
    for (const std::string& address : addresses) wish.annotation_addresses.push_back(ip(address));
    return wish;
}
Wish with_cluster_ips(const std::vector<std::string>& addresses, Wish wish = {}) {
    for (const std::string& address : addresses) wish.cluster_ips.push_back(ip(address));
    return wish;
}
Wish unreadable(const std::string& text, Wish wish = {}) {
    wish.unreadable_addresses.push_back(text);
    return wish;
}

TEST(Rule9, AnAnnotationAsksAsWellAsTheField) {
    Bench bench({pool("a", {"10.0.1.0/28", "2001:db8::/64"})});
    EXPECT_EQ(bench.ensure("s1", by_annotation({"10.0.1.7"})), "10.0.1.7");
    EXPECT_EQ(bench.ensure("s2", by_annotation({"2001:db8::7", "10.0.1.8"}, wish_of(kRequire))),
              "10.0.1.8 2001:db8::7");
    EXPECT_EQ(bench.ensure("s3", by_annotation({"10.0.1.7"})), "InUse");
}

TEST(Rule9, BothWaysOfAskingAtOnceConflict) {
    Bench bench({pool("a", {"10.0.1.0/28"})});
    EXPECT_EQ(bench.ensure("s1", by_annotation({"10.0.1.1"}, asking_for({"10.0.1.2"}))), "ConflictingRequest");
    EXPECT_NE(bench.message("s1").find("by the field (10.0.1.2) and by an annotation (10.0.1.1); remove one of them"),
              std::string::npos)
        << bench.message("s1");
    EXPECT_EQ(bench.ensure("s2", by_annotation({"10.0.1.2"}, asking_for({"10.0.1.2"}))), "ConflictingRequest")
        << "also where they say the same, as in MetalLB";
    EXPECT_EQ(bench.ensure("s1", asking_for({"10.0.1.2"})), "10.0.1.2");
}

TEST(Rule9, TextThatIsNoAddressIsAnError) {
    Bench bench({pool("a", {"10.0.1.0/28"})});
    EXPECT_EQ(bench.ensure("s1", unreadable("10.0.1.300")), "InvalidRequest");
    EXPECT_NE(bench.message("s1").find("\"10.0.1.300\" is no IP address"), std::string::npos) << bench.message("s1");
    EXPECT_EQ(bench.ensure("s2", unreadable("web", asking_for({"10.0.1.2"}))), "InvalidRequest")
        << "the good one is not taken";
    EXPECT_EQ(bench.ensure("s3", asking_for({"10.0.1.2"})), "10.0.1.2");
}

TEST(Rule10, AFaultyRequestLeavesTheWorkingAddressAndItsMendingToo) {
    Bench bench({pool("a", {"10.0.1.0/28"})});
    bench.ensure("s1");
    EXPECT_EQ(bench.ensure("s1", unreadable("x")), "10.0.1.0 InvalidRequest");
    EXPECT_EQ(bench.ensure("s1", by_annotation({"10.0.1.1"}, asking_for({"10.0.1.2"}))), "10.0.1.0 ConflictingRequest");
    EXPECT_EQ(bench.ensure("s1", asking_for({"10.0.1.1", "10.0.1.2"})), "10.0.1.0 InvalidRequest");
    EXPECT_EQ(bench.ensure("s1", sharing("", {443}, unreadable("x"))), "10.0.1.0 InvalidRequest")
        << "ports still change";
    EXPECT_EQ(bench.allocator.find(service("s1"))->claim.ports.at(0).port, 443);
    EXPECT_EQ(bench.ensure("s1"), "10.0.1.0");
}

TEST(Rule11, TheOtherWayOfAskingForTheSameKeepsTheAddress) {
    Bench bench({pool("a", {"10.0.1.0/28"})});
    bench.ensure("s1", asking_for({"10.0.1.5"}));
    EXPECT_EQ(bench.ensure("s1", by_annotation({"10.0.1.5"})), "10.0.1.5");
    EXPECT_TRUE(bench.last_events.empty());
}

TEST(Rule12, TheFamilyOfASingleServiceIsThatOfItsClusterIp) {
    Bench bench({pool("a", {"10.0.1.0/28", "2001:db8::/64"})});
    EXPECT_EQ(bench.ensure("s1", with_cluster_ips({"fd00::1"}, v4_wish())), "2001:db8::")
        << "ip_families does not count then";
    EXPECT_EQ(bench.ensure("s2", with_cluster_ips({"172.16.0.1"}, v6_wish())), "10.0.1.0");
    EXPECT_EQ(bench.ensure("s3", v6_wish()), "2001:db8::1") << "without cluster IPs it does";
    EXPECT_EQ(bench.ensure("s4", asking_for({"10.0.1.5"}, with_cluster_ips({"fd00::1"}))), "FamilyMismatch");
}

TEST(Rule12, PreferDualStackWithOneClusterIpHasOneFamily) {
    Bench bench({pool("a", {"10.0.1.0/28", "2001:db8::/64"})});
    EXPECT_EQ(bench.ensure("s1", with_cluster_ips({"fd00::1"}, wish_of(kPrefer))), "2001:db8::");
    EXPECT_EQ(bench.ensure("s1", with_cluster_ips({"fd00::1", "172.16.0.1"}, wish_of(kPrefer))), "10.0.1.0 2001:db8::")
        << "upgraded to both";
    EXPECT_EQ(bench.ensure("s1", with_cluster_ips({"172.16.0.1"}, wish_of(kPrefer))), "10.0.1.0") << "and back (14)";
}

TEST(Rule12, ThePrimaryFamilyIsThatOfTheFirstClusterIp) {
    Bench bench({pool("a", {"10.0.1.0/28"}), pool("b", {"2001:db8::/64"})});
    EXPECT_EQ(bench.ensure("s1", with_cluster_ips({"fd00::1", "172.16.0.1"}, wish_of(kPrefer))), "2001:db8::");
    EXPECT_EQ(bench.ensure("s2", with_cluster_ips({"172.16.0.1", "fd00::1"}, wish_of(kPrefer, IpFamily::ipv6))),
              "10.0.1.0");
}

TEST(Rule12, RequireDualStackNeedsClusterIpsOfBothFamilies) {
    Bench bench({pool("a", {"10.0.1.0/28", "2001:db8::/64"})});
    EXPECT_EQ(bench.ensure("s1", with_cluster_ips({"172.16.0.1"}, wish_of(kRequire))), "NotEnoughClusterIPs");
    EXPECT_NE(bench.message("s1").find("the service has only 172.16.0.1"), std::string::npos) << bench.message("s1");
    EXPECT_EQ(bench.ensure("s1", with_cluster_ips({"172.16.0.1", "fd00::1"}, wish_of(kRequire))),
              "10.0.1.0 2001:db8::");
    EXPECT_EQ(bench.ensure("s1", with_cluster_ips({"172.16.0.1"}, wish_of(kRequire))),
              "10.0.1.0 2001:db8:: NotEnoughClusterIPs")
        << "keeps what works (10)";
    EXPECT_EQ(bench.ensure("s2", wish_of(kRequire)), "10.0.1.1 2001:db8::1") << "unknown cluster IPs are no fault";
}

TEST(Rule24, WithoutAConfiguredClassOnlyServicesWithNoneAreOurs) {
    EXPECT_TRUE(handles_class("", ""));
    EXPECT_FALSE(handles_class("", "example.com/other"));
}

TEST(Rule24, WithAConfiguredClassOnlyThatClassIsOurs) {
    EXPECT_TRUE(handles_class("guideway.io/lb", "guideway.io/lb"));
    EXPECT_FALSE(handles_class("guideway.io/lb", ""));
    EXPECT_FALSE(handles_class("guideway.io/lb", "guideway.io/LB"));
    EXPECT_FALSE(handles_class("guideway.io/lb", "guideway.io/lb2"));
}

TEST(Reasons, AreSpelledAsInTheRules) {
    const std::vector<std::string> names{"NoAvailableIPs",     "NotInAnyPool",       "InUse",
                                         "PortConflict",       "SharingKeyMismatch", "PoolNotAllowed",
                                         "UnknownPool",        "FamilyMismatch",     "InvalidRequest",
                                         "ConflictingRequest", "NotEnoughClusterIPs"};
    for (std::size_t i = 0; i < names.size(); ++i) {
        EXPECT_EQ(to_string(static_cast<Reason>(i)), names[i]);
        EXPECT_EQ(parse_reason(names[i]), static_cast<Reason>(i));
    }
    EXPECT_FALSE(parse_reason("noavailableips"));
}

TEST(Reasons, EachOneSaysWhatToChange) {
    PoolDefinition closed = pool("closed", {"10.0.9.0/30"});
    closed.service_allocation = ServiceAllocation{0, {"shop"}, {}, {}, {}};
    Bench bench({pool("a", {"10.0.1.0/31"}), closed});
    bench.ensure("first", sharing("k", {80}, asking_for({"10.0.1.0"})));
    bench.ensure("second", asking_for({"10.0.1.1"}));
    const std::vector<Wish> wishes{
        v4_wish(),
        v6_wish(),
        from_pool("a"),
        asking_for({"192.0.2.1"}),
        asking_for({"10.0.1.1"}),
        asking_for({"10.0.1.0"}, sharing("k", {80})),
        asking_for({"10.0.1.0"}, sharing("l", {81})),
        from_pool("closed"),
        from_pool("nowhere"),
        from_pool("a", v6_wish()),
        unreadable("x"),
        by_annotation({"10.0.1.0"}, asking_for({"10.0.1.0"})),
        asking_for({"10.0.1.0"}, from_pool("closed")),
        with_cluster_ips({"172.16.0.1"}, wish_of(kRequire)),
    };
    std::set<std::string> seen;
    for (const Wish& wish : wishes) {
        const std::string reason = bench.ensure("s", wish);
        ASSERT_TRUE(parse_reason(reason)) << reason;
        seen.insert(reason);
        // A sentence: what was found; what to change.
        const std::string message = bench.message("s");
        const std::size_t remedy = message.find("; ");
        EXPECT_NE(remedy, std::string::npos) << reason << ": " << message;
        EXPECT_GT(message.size(), remedy + 10) << reason << ": " << message;
    }
    EXPECT_EQ(seen.size(), 11U) << testing::PrintToString(seen);
}

TEST(ServiceKeys, NameTheClusterUnlessItIsTheDefault) {
    EXPECT_EQ(service("web", "shop").to_string(), "shop/web");
    EXPECT_EQ((ServiceKey{"west", "shop", "web"}).to_string(), "west/shop/web");
    for (const ServiceKey& key : {service("web", "shop"), ServiceKey{"west", "shop", "web"}}) {
        EXPECT_EQ(ServiceKey::parse(key.to_string()), key);
    }
    for (const char* text : {"", "web", "/", "/web", "shop/", "//", "west//web", "/shop/web", "west/shop/", "a/b/c/d",
                             "default/shop/web"}) {
        EXPECT_FALSE(ServiceKey::parse(text)) << text;
    }
}

}  // namespace
}  // namespace guideway::ipam
