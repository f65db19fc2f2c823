// Rules 1, 2, 3 and 5: what a pool may be written as, and how the pools stand to each other.
#include "tests/unit/controlplane/ipam/ipam_testing.h"

namespace guideway::ipam {
namespace {

std::string range(const std::string& text) {
    const auto parsed = parse_range(text);
    const auto* message = std::get_if<std::string>(&parsed);
    return message != nullptr ? "refused: " + *message : std::get<AddressRange>(parsed).to_string();
}

TEST(Rule1, ACidrHoldsItsFirstAndLastAddress) {
    EXPECT_EQ(range("192.0.2.0/30"), "192.0.2.0-192.0.2.3");
    EXPECT_EQ(range("192.0.2.7/32"), "192.0.2.7");
    EXPECT_EQ(range("2001:db8::/126"), "2001:db8::-2001:db8::3");
    EXPECT_EQ(range("2001:db8::/64"), "2001:db8::-2001:db8::ffff:ffff:ffff:ffff");
}

TEST(Rule1, ARangeHoldsBothEnds) {
    EXPECT_EQ(range("192.0.2.10-192.0.2.20"), "192.0.2.10-192.0.2.20");
    EXPECT_EQ(range("192.0.2.10-192.0.2.10"), "192.0.2.10");
    EXPECT_EQ(range("2001:db8::9-2001:db8::10"), "2001:db8::9-2001:db8::10");
}

TEST(Rule1, BlanksAreIgnored) {
    EXPECT_EQ(range(" 192.0.2.10 -  192.0.2.20\t"), "192.0.2.10-192.0.2.20");
    EXPECT_EQ(range(" 192.0.2.0 / 30 "), "192.0.2.0-192.0.2.3");
}

TEST(Rule1, HostBitsOfACidrAreDropped) {
    EXPECT_EQ(range("192.0.2.77/24"), "192.0.2.0-192.0.2.255");
    EXPECT_EQ(range("2001:db8::77/120"), "2001:db8::-2001:db8::ff");
}

TEST(Rule1, ABareAddressIsRefusedWithTheWayToWriteIt) {
    EXPECT_NE(range("192.0.2.1").find("\"192.0.2.1/32\""), std::string::npos) << range("192.0.2.1");
    EXPECT_NE(range("2001:db8::1").find("\"2001:db8::1/128\""), std::string::npos) << range("2001:db8::1");
}

TEST(Rule1, ARangeThatEndsBeforeItStartsIsRefused) {
    EXPECT_NE(range("192.0.2.20-192.0.2.10").find("ends before it starts"), std::string::npos);
    EXPECT_NE(range("2001:db8::2-2001:db8::1").find("ends before it starts"), std::string::npos);
}

TEST(Rule1, ARangeOfTwoFamiliesIsRefused) {
    EXPECT_NE(range("192.0.2.1-2001:db8::1").find("begins with an IPv4 and ends with an IPv6"), std::string::npos);
}

TEST(Rule1, WhatIsNoAddressIsRefused) {
    for (const char* text :
         {"", "-", "/", "x", "192.0.2.1-", "-192.0.2.1", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2/24",
          "192.0.2.1-192.0.2.2-192.0.2.3", "2001:db8::/129", "192.0.2.0/24/24", "192.0.2.01/24"}) {
        EXPECT_EQ(range(text).rfind("refused: ", 0), 0U) << text << " became " << range(text);
    }
}

TEST(Rule1, WhatNoServiceCanBeReachedAtIsRefused) {
    for (const char* text : {"0.0.0.0/0", "127.0.0.0/24", "169.254.1.0/24", "224.0.0.0/24", "223.255.255.0-224.0.0.1",
                             "255.255.255.255/32", "::/0", "::1/128", "fe80::/64", "ff02::/16"}) {
        EXPECT_NE(range(text).find("leave them out"), std::string::npos) << text << " became " << range(text);
    }
}

std::vector<std::string> faults(std::vector<PoolDefinition> definitions) {
    std::vector<std::string> texts;
    const ParsedPools parsed = parse_pools(std::move(definitions));
    for (const PoolFault& fault : parsed.faults) {
        texts.push_back(fault.pool + (fault.entry ? "[" + std::to_string(*fault.entry) + "]: " : ": ") + fault.message);
    }
    if (!parsed.faults.empty()) {
        EXPECT_TRUE(parsed.set.pools().empty()) << "refused whole";
    }
    return texts;
}

bool any_has(const std::vector<std::string>& texts, const std::string& start, const std::string& part) {
    for (const std::string& text : texts) {
        if (text.rfind(start, 0) == 0 && text.find(part) != std::string::npos) return true;
    }
    return false;
}

TEST(Rule2, EntriesOfOnePoolMustNotOverlap) {
    const auto found = faults({pool("a", {"192.0.2.0/28", "192.0.2.15-192.0.2.20"})});
    EXPECT_TRUE(any_has(found, "a[1]: ", "overlaps \"192.0.2.0/28\" of the same pool"))
        << testing::PrintToString(found);
}

TEST(Rule2, PoolsMustNotOverlap) {
    const auto found = faults({pool("b", {"192.0.2.64/26"}), pool("a", {"10.0.0.0/8", "192.0.2.0/24"})});
    EXPECT_TRUE(any_has(found, "b[0]: ", "overlaps \"192.0.2.0/24\" of pool \"a\"")) << testing::PrintToString(found);
    EXPECT_TRUE(any_has(found, "a[1]: ", "overlaps \"192.0.2.64/26\" of pool \"b\"")) << testing::PrintToString(found);
}

TEST(Rule2, AnOverlapBehindAShorterNeighbourIsFound) {
    const auto found =
        faults({pool("wide", {"10.0.0.0/8"}), pool("one", {"10.0.0.1/32"}), pool("two", {"10.200.0.0/24"})});
    EXPECT_TRUE(any_has(found, "one[0]", "wide"));
    EXPECT_TRUE(any_has(found, "two[0]", "wide"));
}

TEST(Rule2, NeighboursDoNotOverlap) {
    EXPECT_TRUE(
        faults({pool("a", {"192.0.2.0/25", "2001:db8::/64"}), pool("b", {"192.0.2.128/25", "2001:db8:0:1::/64"})})
            .empty());
}

TEST(Rule2, NamesAreUnique) {
    EXPECT_TRUE(any_has(faults({pool("a", {"10.0.0.0/24"}), pool("a", {"10.0.1.0/24"})}), "a: ", "names are unique"));
}

TEST(Rule2, EveryFaultIsNamed) {
    const auto found = faults(
        {pool("a", {"10.0.0.1", "10.0.0.9-10.0.0.1", "10.1.0.0/24"}), pool("b", {"10.1.0.0/30"}), pool("c", {})});
    EXPECT_TRUE(any_has(found, "a[0]", "bare"));
    EXPECT_TRUE(any_has(found, "a[1]", "ends before"));
    EXPECT_TRUE(any_has(found, "a[2]", "overlaps"));
    EXPECT_TRUE(any_has(found, "b[0]", "overlaps"));
    EXPECT_TRUE(any_has(found, "c: ", "no addresses"));
    EXPECT_EQ(found.size(), 5U);
}

TEST(Rule3, AvoidBuggyIpsTakesThemOutOfTheCapacity) {
    const auto capacity = [](const char* text) {
        return pool_set({pool("a", {text}, true, true)}).pools()[0].capacity(IpFamily::ipv4);
    };
    EXPECT_EQ(capacity("192.0.2.0/24"), 254U);
    EXPECT_EQ(capacity("192.0.2.0/23"), 508U);
    EXPECT_EQ(capacity("192.0.2.1-192.0.2.254"), 254U);
    EXPECT_EQ(capacity("192.0.2.255-192.0.3.0"), 0U);
    EXPECT_EQ(capacity("192.0.2.254-192.0.3.1"), 2U);
    EXPECT_EQ(pool_set({pool("a", {"2001:db8::/120"}, true, true)}).pools()[0].capacity(IpFamily::ipv6), 256U);
}

TEST(Rule3, AvoidedAddressesLieInNoPool) {
    const PoolSet set = pool_set({pool("a", {"192.0.2.0/24"}, true, true)});
    EXPECT_FALSE(set.place_of(ip("192.0.2.0")));
    EXPECT_FALSE(set.place_of(ip("192.0.2.255")));
    EXPECT_TRUE(set.place_of(ip("192.0.2.1")));
    EXPECT_TRUE(set.range_of(ip("192.0.2.0"))) << "so that people can be told why";
}

TEST(Rule5, CapacitySaturatesAtTheLargestIntegerJsonKeeps) {
    constexpr std::uint64_t kLimit = (std::uint64_t{1} << 53) - 1;
    EXPECT_EQ(pool_set({pool("a", {"2001:db8::/64"})}).pools()[0].capacity(IpFamily::ipv6), kLimit);
    EXPECT_EQ(pool_set({pool("a", {"2001:db8::/64", "2001:db8:1::/48"})}).pools()[0].capacity(IpFamily::ipv6), kLimit);
    EXPECT_EQ(pool_set({pool("a", {"10.0.0.0/8", "11.0.0.0/30"})}).pools()[0].capacity(IpFamily::ipv4), 16777220U);
}

TEST(IntervalSet, FindsTheFirstOutsideInOneStep) {
    IntervalSet set;
    for (const Number number : {5, 7, 6, 1, 2}) set.insert(number);
    EXPECT_EQ(set.intervals(), 2U);
    EXPECT_TRUE(set.first_outside(5) == 8);
    EXPECT_TRUE(set.first_outside(0) == 0);
    EXPECT_TRUE(set.first_outside(1) == 3);
    set.erase(6);
    EXPECT_TRUE(set.first_outside(5) == 6);
    EXPECT_FALSE(set.contains(6));
    EXPECT_TRUE(set.contains(7));
    set.insert(6);
    set.insert(3);
    set.insert(4);
    EXPECT_EQ(set.intervals(), 1U);
    set.erase(1);
    set.erase(7);
    set.erase(100);
    EXPECT_TRUE(set.first_outside(1) == 1);
    EXPECT_TRUE(set.first_outside(2) == 7);
}

}  // namespace
}  // namespace guideway::ipam
