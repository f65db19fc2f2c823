// Source ranges (Kubernetes rule 11) against going through the list of prefixes.
#include "dataplane/guard/source_ranges.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace guideway::guard {
namespace {

IpPrefix prefix(const char* text) { return IpPrefix::parse(text).value(); }
IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }

bool slowly(const std::vector<IpPrefix>& prefixes, const IpAddress& address) {
    return std::any_of(prefixes.begin(), prefixes.end(), [&](const IpPrefix& one) {
        return one.address.family == address.family && one.contains(address);
    });
}

TEST(SourceRanges, NothingIsAllowedByNone) {
    const SourceRanges none({});
    EXPECT_FALSE(none.allows(ip("10.0.0.1")));
    EXPECT_FALSE(none.allows(ip("2001:db8::1")));
}

TEST(SourceRanges, WhatTheHeaderSays) {
    const SourceRanges ranges(std::vector{prefix("10.0.0.0/9"), prefix("10.128.0.0/9"), prefix("192.0.2.7/32")});
    EXPECT_EQ(ranges.intervals(), 2U);
    EXPECT_TRUE(ranges.allows(ip("10.1.2.3")));
    EXPECT_TRUE(ranges.allows(ip("192.0.2.7")));
    EXPECT_FALSE(ranges.allows(ip("192.0.2.8")));
    EXPECT_FALSE(ranges.allows(ip("11.0.0.1")));
    EXPECT_FALSE(ranges.allows(ip("::a01:203")));
}

TEST(SourceRanges, EverythingAndTheEndsOfTheAddresses) {
    const SourceRanges all(std::vector{prefix("0.0.0.0/0"), prefix("::/0"), prefix("255.255.255.255/32")});
    EXPECT_EQ(all.intervals(), 2U);
    for (const char* text : {"0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"})
        EXPECT_TRUE(all.allows(ip(text))) << text;
    const SourceRanges ends(std::vector{prefix("255.255.255.255/32"), prefix("0.0.0.0/32")});
    EXPECT_EQ(ends.intervals(), 2U);
    EXPECT_FALSE(ends.allows(ip("127.0.0.1")));
}

TEST(SourceRanges, HostBitsMeanNothing) {
    const SourceRanges ranges(std::vector{prefix("10.1.2.3/8"), prefix("2001:db8::7/32")});
    EXPECT_TRUE(ranges.allows(ip("10.255.0.1")));
    EXPECT_TRUE(ranges.allows(ip("2001:db8:ffff::1")));
}

TEST(SourceRanges, AnyRangesAllowWhatTheirListDoes) {
    std::mt19937 random(7);
    std::size_t allowed = 0;
    std::size_t asked = 0;
    for (int round = 0; round < 300; ++round) {
        std::vector<IpPrefix> prefixes(round % 10 == 0 ? random() % 2000 : random() % 8);
        const unsigned spread = 4 + random() % 28;  // small: they overlap and touch
        const auto any_address = [&] {
            IpAddress address;
            if (random() % 2 == 0) {
                address = IpAddress::v4(random() & (0xffffffffU >> (32 - spread)));
            } else {
                address.family = IpFamily::ipv6;
                for (unsigned i = 15; i > 15 - spread / 4; --i)
                    address.bytes.at(i) = static_cast<std::uint8_t>(random());
            }
            return address;
        };
        for (IpPrefix& one : prefixes) {
            one.address = any_address();
            const unsigned bits = one.address.bits();
            one.length = static_cast<std::uint8_t>(bits - random() % std::min(bits + 1, spread));
        }
        const SourceRanges ranges(prefixes);
        for (int question = 0; question < 300; ++question) {
            IpAddress address = any_address();
            if (!prefixes.empty() && question % 2 == 0) {  // at an edge
                const IpPrefix& one = prefixes[random() % prefixes.size()];
                address = one.network().address;
                const int step = static_cast<int>(random() % 3) - 1;
                const unsigned last = address.is_v4() ? 3 : 15;
                address.bytes.at(last) = static_cast<std::uint8_t>(address.bytes.at(last) + step);
            }
            ++asked;
            allowed += ranges.allows(address) ? 1 : 0;
            ASSERT_EQ(ranges.allows(address), slowly(prefixes, address)) << address.to_string() << " round " << round;
        }
    }
    EXPECT_GT(allowed, asked / 20);
    EXPECT_LT(allowed, asked);
}

}  // namespace
}  // namespace guideway::guard
