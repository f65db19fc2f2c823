#include "api/contract/ip_address.h"

#include <gtest/gtest.h>

namespace guideway {
namespace {

TEST(IpAddress, ParsesWhatItPrints) {
    for (const char* text : {"0.0.0.0", "203.0.113.10", "255.255.255.255", "::", "::1", "2001:db8::a", "fe80::1"}) {
        const auto address = IpAddress::parse(text);
        ASSERT_TRUE(address) << text;
        EXPECT_EQ(address->to_string(), text);
    }
}

TEST(IpAddress, RefusesWhatIsNoAddress) {
    using namespace std::string_view_literals;
    for (const auto text : {""sv, "1.2.3"sv, "1.2.3.4.5"sv, "01.2.3.4"sv, "256.1.1.1"sv, " 1.2.3.4"sv, "1.2.3.4 "sv,
                            "1.2.3.4/24"sv, ":::"sv, "fe80::1%eth0"sv, "1.2.3.4\0"sv, "g::1"sv}) {
        EXPECT_FALSE(IpAddress::parse(text)) << text;
    }
}

TEST(IpAddress, SortsIpv4BeforeIpv6ThenByValue) {
    EXPECT_LT(*IpAddress::parse("9.0.0.0"), *IpAddress::parse("10.0.0.0"));
    EXPECT_LT(*IpAddress::parse("255.0.0.0"), *IpAddress::parse("::1"));
}

TEST(IpPrefix, KeepsHostBitsUntilAskedForTheNetwork) {
    const auto prefix = IpPrefix::parse("192.0.2.130/25");
    ASSERT_TRUE(prefix);
    EXPECT_EQ(prefix->to_string(), "192.0.2.130/25");
    EXPECT_EQ(prefix->network().to_string(), "192.0.2.128/25");
}

TEST(IpPrefix, ContainsExactlyItsRange) {
    const auto prefix = *IpPrefix::parse("10.1.2.0/23");
    EXPECT_TRUE(prefix.contains(*IpAddress::parse("10.1.3.255")));
    EXPECT_FALSE(prefix.contains(*IpAddress::parse("10.1.4.0")));
    EXPECT_FALSE(prefix.contains(*IpAddress::parse("::")));
    EXPECT_TRUE(IpPrefix::parse("::/0")->contains(*IpAddress::parse("2001:db8::1")));
    EXPECT_FALSE(IpPrefix::parse("2001:db8::/33")->contains(*IpAddress::parse("2001:db8:8000::")));
}

TEST(IpPrefix, RefusesBadLengths) {
    for (const char* text :
         {"10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/08", "10.0.0.0/+8", "10.0.0.0/-1"}) {
        EXPECT_FALSE(IpPrefix::parse(text)) << text;
    }
}

}  // namespace
}  // namespace guideway
