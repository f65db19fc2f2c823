#include "controlplane/pod_routes.h"

#include <gtest/gtest.h>

namespace guideway::controlplane {
namespace {

resources::Node node(const char* address, std::vector<const char*> cidrs) {
    resources::Node made;
    made.spec.addresses = {*IpAddress::parse(address)};
    for (const char* cidr : cidrs) made.spec.pod_cidrs.push_back(*IpPrefix::parse(cidr));
    return made;
}

TEST(PodRoutes, TheLowestAddressHasTheRouteAndTheOthersAreLeftOut) {
    PodRoutes routes;
    const auto a = node("10.0.2.11", {"10.244.1.0/24"}), b = node("10.0.2.12", {"10.244.2.0/24", "10.244.1.0/24"});
    routes.put("a", a);
    routes.put("b", b);
    EXPECT_FALSE(routes.left_out("a", a));
    const auto left_out = routes.left_out("b", b);
    ASSERT_TRUE(left_out);
    EXPECT_EQ(left_out->by, "a");
    EXPECT_EQ(left_out->pods.to_string(), "10.244.1.0/24");
    const auto c = node("10.0.2.10", {"10.244.1.0/24"});
    routes.put("c", c);
    EXPECT_TRUE(routes.left_out("a", a)) << "the newcomer's address is lower";
    routes.erase("c", c);
    routes.erase("a", a);
    EXPECT_FALSE(routes.left_out("b", b));
}

TEST(PodRoutes, FamiliesAndDifferentPrefixesAreApart) {
    PodRoutes routes;
    const auto a = node("10.0.2.11", {"10.244.1.0/24", "fd00:1::/64"}), b = node("fd00::2", {"fd00:1::/64"}),
               c = node("10.0.2.13", {"10.244.1.0/25"});
    routes.put("a", a);
    routes.put("b", b);
    routes.put("c", c);
    EXPECT_FALSE(routes.left_out("a", a)) << "it has no IPv6 address, so it asks for no IPv6 route";
    EXPECT_FALSE(routes.left_out("b", b));
    EXPECT_FALSE(routes.left_out("c", c)) << "the longer prefix is another route";
}

}  // namespace
}  // namespace guideway::controlplane
