#include "api/cli/metallb/ranges.h"

#include <gtest/gtest.h>

#include "controlplane/ipam/address_range.h"

namespace guideway::cli::metallb {
namespace {

Range range(const std::string& text) { return std::get<ParsedRange>(parse_range(text)).range; }

std::vector<std::string> left_of(TakenRanges& taken, const std::string& text, const std::string& owner = "b") {
    std::vector<std::string> out;
    for (const Range& one : taken.take(range(text), owner).ranges) out.push_back(to_string(one));
    return out;
}
using Texts = std::vector<std::string>;

TEST(Ranges, BlanksAndHostBitsDoNotMatterRule1) {
    EXPECT_EQ(range(" 192.0.2.1 - 192.0.2.9 "), range("192.0.2.1-192.0.2.9"));
    EXPECT_EQ(to_string(range("192.0.2.77/28")), "192.0.2.64-192.0.2.79");
    EXPECT_EQ(to_string(range("2001:db8::5/120")), "2001:db8::-2001:db8::ff");
    EXPECT_EQ(to_string(range("192.0.2.7/32")), "192.0.2.7/32");
    EXPECT_EQ(to_string(range("::/0")), "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    EXPECT_TRUE(std::get<ParsedRange>(parse_range("192.0.2.7")).bare);
}

TEST(Ranges, WhatIsTakenIsCutOutOnBothSides) {
    TakenRanges taken;
    EXPECT_EQ(left_of(taken, "192.0.2.16/28", "a"), Texts{"192.0.2.16-192.0.2.31"});
    EXPECT_EQ(left_of(taken, "192.0.2.0/26"), (Texts{"192.0.2.0-192.0.2.15", "192.0.2.32-192.0.2.63"}));
    EXPECT_EQ(left_of(taken, "192.0.2.0/26"), Texts{});
    EXPECT_EQ(left_of(taken, "192.0.2.63-192.0.2.64"), Texts{"192.0.2.64/32"});
    EXPECT_EQ(left_of(taken, "2001:db8::/127"), Texts{"2001:db8::-2001:db8::1"});
}

TEST(Ranges, EachOwnerIsNamedOnce) {
    TakenRanges taken;
    for (const char* text : {"192.0.2.1/32", "192.0.2.3/32"}) taken.take(range(text), "a");
    const Left left = taken.take(range("192.0.2.0/29"), "b");
    EXPECT_EQ(left.conflicts, (std::vector<Conflict>{{"a", true}}));
    EXPECT_EQ(left.ranges.size(), 3U);
}

// The same prefixes as the appliance's own rules: what is left of everything is taken there, and its neighbours are not.
TEST(Ranges, WhatIsLeftOfEverythingIsWhatOurOwnPoolsMayHoldRule1) {
    for (const char* all : {"0.0.0.0/0", "::/0"}) {
        TakenRanges taken;
        const Left left = taken.take(range(all), "a");
        EXPECT_GT(left.ranges.size(), 2U);
        for (const Range& one : left.ranges) {
            const auto parsed = ipam::parse_range(to_string(one));
            EXPECT_TRUE(std::holds_alternative<ipam::AddressRange>(parsed)) << to_string(one);
        }
        for (const Conflict& conflict : left.conflicts) EXPECT_FALSE(conflict.usable);
    }
}

}  // namespace
}  // namespace guideway::cli::metallb
