// Rules 4, 6, 7, 8, 9: whom a pool admits, and which pool comes first.
#include "tests/unit/controlplane/ipam/ipam_testing.h"

namespace guideway::ipam {
namespace {

LabelSelector label(std::string key, std::string value) { return {{{std::move(key), std::move(value)}}, {}}; }

PoolDefinition scoped(PoolDefinition pool, ServiceAllocation allocation) {
    pool.service_allocation = std::move(allocation);
    return pool;
}
PoolDefinition with_priority(PoolDefinition pool, std::uint32_t priority) {
    return scoped(std::move(pool), {priority, {}, {}, {}, {}});
}
PoolDefinition for_namespaces(PoolDefinition pool, std::vector<std::string> namespaces) {
    return scoped(std::move(pool), {0, std::move(namespaces), {}, {}, {}});
}
Wish labelled(Labels service_labels, Labels namespace_labels = {}, Wish wish = {}) {
    wish.service_labels = std::move(service_labels);
    wish.namespace_labels = std::move(namespace_labels);
    return wish;
}

bool admits(const ServiceAllocation& allocation, const ServiceKey& key, const Wish& wish = {}) {
    const bool yes = allocation.admits(key, wish);
    EXPECT_EQ(yes, allocation.why_not(key, wish).empty());
    return yes;
}

TEST(Rule4, OnlyAPriorityMatchesAll) {
    EXPECT_TRUE(admits({7, {}, {}, {}, {}}, service("s1", "anywhere")));
    EXPECT_TRUE(admits({}, service("s1")));
}

TEST(Rule4, NamespacesAreGivenByNameOrByLabels) {
    const ServiceAllocation allocation{0, {"shop", "crm"}, {label("team", "web"), label("team", "api")}, {}, {}};
    EXPECT_TRUE(admits(allocation, service("s1", "crm")));
    EXPECT_TRUE(admits(allocation, service("s1", "other"), labelled({}, {{"team", "api"}})));
    EXPECT_FALSE(admits(allocation, service("s1", "other"), labelled({}, {{"team", "db"}})));
    EXPECT_FALSE(admits(allocation, service("s1", "other"), labelled({{"team", "web"}})))
        << "the service's own do not count";
}

TEST(Rule4, OneServiceSelectorIsEnough) {
    const ServiceAllocation allocation{0, {}, {}, {label("tier", "edge"), label("app", "dns")}, {}};
    EXPECT_TRUE(admits(allocation, service("s1"), labelled({{"app", "dns"}})));
    EXPECT_FALSE(admits(allocation, service("s1"), labelled({{"app", "web"}})));
    EXPECT_FALSE(admits(allocation, service("s1"), labelled({}, {{"app", "dns"}}))) << "the namespace's do not count";
}

TEST(Rule4, NamespacesAndServiceSelectorsMustBothHoldAsInMetalLb) {
    const ServiceAllocation allocation{0, {"shop"}, {}, {label("tier", "edge")}, {}};
    EXPECT_TRUE(admits(allocation, service("s1", "shop"), labelled({{"tier", "edge"}})));
    EXPECT_FALSE(admits(allocation, service("s1", "shop")));
    EXPECT_FALSE(admits(allocation, service("s1", "other"), labelled({{"tier", "edge"}})));
}

TEST(Rule4, ClustersAreNamedWhereSeveralShareTheAppliance) {
    const ServiceAllocation allocation{0, {}, {}, {}, {"west"}};
    EXPECT_TRUE(admits(allocation, {"west", "shop", "s1"}));
    EXPECT_FALSE(admits(allocation, {"east", "shop", "s1"}));
    EXPECT_FALSE(admits(allocation, service("s1")));
}

TEST(Rule4, SelectorsThatMatchNoNamespaceAdmitNobodyOnRequestEither) {
    Bench bench({scoped(pool("a", {"10.0.1.0/30"}), {0, {}, {label("team", "nobody")}, {}, {}})});
    EXPECT_EQ(bench.ensure("s1"), "NoAvailableIPs");
    EXPECT_EQ(bench.ensure("s2", from_pool("a")), "PoolNotAllowed");
    EXPECT_EQ(bench.ensure("s3", asking_for({"10.0.1.1"})), "PoolNotAllowed");
}

TEST(Rule4, ARefusalNamesWhatIsAdmittedAndWhatWasFound) {
    Bench bench({scoped(pool("a", {"10.0.1.0/30"}),
                        {0, {"shop"}, {label("team", "web")}, {label("tier", "edge")}, {"default"}})});
    bench.ensure("s1", from_pool("a", labelled({}, {{"team", "db"}})), "other");
    EXPECT_EQ(
        bench.message("s1", "other"),
        "pool \"a\" does not admit it: it admits only the namespaces \"shop\", and those that match [team=web], and "
        "\"other\" has the labels team=db; add the namespace to the pool, or ask for another pool");
    bench.ensure("s2", from_pool("a"), "shop");
    EXPECT_EQ(
        bench.message("s2", "shop"),
        "pool \"a\" does not admit it: it admits only services that match [tier=edge], and this one has no labels; "
        "label the service, or ask for another pool");
}

TEST(Rule6, ScopedPoolsByPriorityThenNameThenTheOthersByName) {
    Bench bench({pool("a", {"10.0.1.0/32"}), pool("b", {"10.0.2.0/32"}), with_priority(pool("c", {"10.0.3.0/32"}), 0),
                 with_priority(pool("d", {"10.0.4.0/32"}), 20), with_priority(pool("f", {"10.0.5.0/32"}), 10),
                 with_priority(pool("e", {"10.0.6.0/32"}), 10)});
    std::vector<std::string> given;
    for (const char* name : {"1", "2", "3", "4", "5", "6"}) given.push_back(bench.ensure(name));
    EXPECT_EQ(given,
              (std::vector<std::string>{"10.0.6.0", "10.0.5.0", "10.0.4.0", "10.0.3.0", "10.0.1.0", "10.0.2.0"}));
    EXPECT_EQ(bench.ensure("7"), "NoAvailableIPs");
}

TEST(Rule6, AScopedPoolServesThoseItAdmitsAndNobodyElse) {
    Bench bench({pool("a", {"10.0.1.0/30"}), for_namespaces(pool("z", {"10.0.9.0/32"}), {"shop"})});
    EXPECT_EQ(bench.ensure("s1", {}, "shop"), "10.0.9.0") << "before those that admit all";
    EXPECT_EQ(bench.ensure("s2", {}, "shop"), "10.0.1.0") << "full: the next";
    EXPECT_EQ(bench.ensure("s3"), "10.0.1.1");
}

TEST(Rule6, AScopedPoolWithoutAutoAssignIsNoCandidate) {
    Bench bench({pool("a", {"10.0.1.0/30"}), for_namespaces(pool("z", {"10.0.9.0/32"}, false), {"shop"})});
    EXPECT_EQ(bench.ensure("s1", {}, "shop"), "10.0.1.0");
    EXPECT_EQ(bench.ensure("s2", from_pool("z"), "shop"), "10.0.9.0");
}

TEST(Rule6, WhereNoPoolAdmitsTheServiceItIsToldSo) {
    Bench bench({for_namespaces(pool("a", {"10.0.1.0/30"}), {"shop"})});
    EXPECT_EQ(bench.ensure("s1"), "NoAvailableIPs");
    EXPECT_NE(bench.message("s1").find("no auto-assigning pool admits the service: pool \"a\""), std::string::npos)
        << bench.message("s1");
}

TEST(Rule7, AHolderStaysWhenItsPoolNoLongerAdmitsIt) {
    Bench bench({pool("a", {"10.0.1.0/30"}), pool("b", {"10.0.2.0/30"})});
    EXPECT_EQ(bench.ensure("s1"), "10.0.1.0");
    EXPECT_EQ(bench.ensure("s2", asking_for({"10.0.1.3"})), "10.0.1.3");
    bench.set_pools({for_namespaces(pool("a", {"10.0.1.0/30"}), {"shop"}), pool("b", {"10.0.2.0/30"})});
    EXPECT_EQ(bench.held("s1"), "10.0.1.0");
    EXPECT_TRUE(bench.last_events.empty());
    EXPECT_EQ(bench.ensure("s1", sharing("", {443})), "10.0.1.0") << "changes of ports";
    EXPECT_EQ(bench.ensure("s2", asking_for({"10.0.1.3"}, sharing("", {443}))), "10.0.1.3");
    EXPECT_EQ(bench.ensure("s3"), "10.0.2.0");
}

TEST(Rule7, AHolderStaysWhenItsLabelsChange) {
    Bench bench(
        {scoped(pool("a", {"10.0.1.0/30"}), {1, {}, {}, {label("tier", "edge")}, {}}), pool("b", {"10.0.2.0/30"})});
    EXPECT_EQ(bench.ensure("s1", labelled({{"tier", "edge"}})), "10.0.1.0");
    EXPECT_EQ(bench.ensure("s1", labelled({{"tier", "inner"}})), "10.0.1.0");
    EXPECT_EQ(bench.ensure("s2"), "10.0.2.0");
    EXPECT_EQ(bench.ensure("s2", labelled({{"tier", "edge"}})), "10.0.2.0") << "a better pool is no cause either";
    bench.restart(
        {scoped(pool("a", {"10.0.1.0/30"}), {1, {}, {}, {label("tier", "edge")}, {}}), pool("b", {"10.0.2.0/30"})});
    EXPECT_EQ(bench.held("s1"), "10.0.1.0");
}

TEST(Rule7, RequestingThePoolThatItHoldsAnAddressOfIsGrantedWithoutAdmission) {
    Bench bench({pool("a", {"10.0.1.0/30"})});
    bench.ensure("s1");
    bench.set_pools({for_namespaces(pool("a", {"10.0.1.0/30"}), {"shop"})});
    EXPECT_EQ(bench.ensure("s1", from_pool("a")), "10.0.1.0");
    EXPECT_EQ(bench.ensure("s2", from_pool("a")), "PoolNotAllowed");
}

TEST(Rule8, AdmissionCountsOnRequestAndAutoAssignDoesNot) {
    Bench bench({for_namespaces(pool("a", {"10.0.1.0/30"}, false), {"shop"}), pool("b", {"10.0.2.0/30"})});
    EXPECT_EQ(bench.ensure("s1", from_pool("a"), "shop"), "10.0.1.0");
    EXPECT_EQ(bench.ensure("s2", from_pool("a")), "PoolNotAllowed") << "no fall-back to b";
}

TEST(Rule9, RequestedAddressesNeedAdmissionToo) {
    Bench bench({for_namespaces(pool("a", {"10.0.1.0/30"}), {"shop"})});
    EXPECT_EQ(bench.ensure("s1", asking_for({"10.0.1.2"}), "shop"), "10.0.1.2");
    EXPECT_EQ(bench.ensure("s2", asking_for({"10.0.1.3"})), "PoolNotAllowed");
    EXPECT_EQ(bench.ensure("s3", sharing("k", {443}, asking_for({"10.0.1.2"}))), "PoolNotAllowed") << "before InUse";
}

TEST(Rule10, AWishForAPoolThatDoesNotAdmitLeavesTheAddress) {
    Bench bench({pool("a", {"10.0.1.0/30"}), for_namespaces(pool("b", {"10.0.2.0/30"}), {"shop"})});
    bench.ensure("s1");
    EXPECT_EQ(bench.ensure("s1", from_pool("b")), "10.0.1.0 PoolNotAllowed");
    bench.set_pools({pool("a", {"10.0.1.0/30"}), pool("b", {"10.0.2.0/30"})});
    EXPECT_EQ(bench.held("s1"), "10.0.2.0") << "as soon as the pool admits it (23)";
}

TEST(Rule13, AHolderGainsNoAddressFromAPoolThatDoesNotAdmitItAnyMore) {
    Bench bench({pool("a", {"10.0.1.0/30"})});
    bench.ensure("prefers", wish_of(FamilyPolicy::prefer_dual));
    bench.ensure("requires", wish_of(FamilyPolicy::single));
    bench.set_pools({for_namespaces(pool("a", {"10.0.1.0/30", "2001:db8::/64"}), {"shop"})});
    EXPECT_EQ(bench.held("prefers"), "10.0.1.0");
    EXPECT_EQ(bench.ensure("requires", wish_of(FamilyPolicy::require_dual)), "10.0.1.1 PoolNotAllowed");
    bench.set_pools({for_namespaces(pool("a", {"10.0.1.0/30", "2001:db8::/64"}), {"default"})});
    EXPECT_EQ(bench.held("requires"), "10.0.1.1 2001:db8::") << "who waits comes before who has something";
    EXPECT_EQ(bench.held("prefers"), "10.0.1.0 2001:db8::1");
}

TEST(Rule23, ALabelThatBringsAdmissionServesAtOnce) {
    Bench bench({scoped(pool("a", {"10.0.1.0/30"}), {0, {}, {label("team", "web")}, {}, {}})});
    EXPECT_EQ(bench.ensure("s1"), "NoAvailableIPs");
    EXPECT_EQ(bench.ensure("s1", labelled({}, {{"team", "web"}})), "10.0.1.0");
}

}  // namespace
}  // namespace guideway::ipam
