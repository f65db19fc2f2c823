// Token buckets and places, with a clock of the test's own.
#include "api/rest/rate_limit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <gtest/gtest.h>

#include "api/rest/peer.h"

namespace guideway::rest {
namespace {

using namespace std::chrono_literals;

TEST(RateLimit, TakesABurstAndThenWhatASecondAllows) {
    RateLimit limit(2, 3, 10);
    auto now = RateLimit::Clock::time_point(1h);
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(limit.take("a", now)) << i;
    EXPECT_EQ(limit.take("a", now), 500ms);
    EXPECT_FALSE(limit.take("b", now)) << "another key has its own";
    now += 499ms;
    EXPECT_EQ(limit.take("a", now), 1ms);
    now += 1ms;
    EXPECT_FALSE(limit.take("a", now));
    now += 1h;
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(limit.take("a", now)) << "not more than a burst is saved up";
    EXPECT_TRUE(limit.take("a", now));
}

TEST(RateLimit, ZeroIsNoBound) {
    RateLimit limit(0, 0, 10);
    for (int i = 0; i < 1000; ++i) EXPECT_FALSE(limit.take("a"));
    EXPECT_EQ(limit.keys(), 0U);
}

TEST(RateLimit, ForgetsTheKeySeenLongestAgoRatherThanGrow) {
    RateLimit limit(1, 1, 3);
    const auto now = RateLimit::Clock::time_point(1h);
    for (const char* key : {"a", "b", "c"}) EXPECT_FALSE(limit.take(key, now));
    EXPECT_TRUE(limit.take("a", now)) << "seen again: now b is the oldest";
    EXPECT_FALSE(limit.take("d", now));
    EXPECT_EQ(limit.keys(), 3U);
    EXPECT_TRUE(limit.take("a", now)) << "still known";
    EXPECT_FALSE(limit.take("b", now)) << "forgotten";
    for (int i = 0; i < 1000; ++i) limit.take(std::to_string(i), now);
    EXPECT_EQ(limit.keys(), 3U);
}

TEST(RateLimit, AClockThatStandsStillGivesNothing) {
    RateLimit limit(1'000'000, 1, 10);
    const auto now = RateLimit::Clock::time_point(1h);
    EXPECT_FALSE(limit.take("a", now));
    EXPECT_TRUE(limit.take("a", now));
    EXPECT_TRUE(limit.take("a", now - 1min));
}

TEST(SlotLimit, BoundsAllAndEachKey) {
    SlotLimit limit(3, 2);
    auto one = limit.take("caller a", "peer x");
    auto two = limit.take("caller a", "peer y");
    ASSERT_TRUE(one && two);
    EXPECT_EQ(limit.take("caller a", "peer z"), nullptr) << "two of a";
    auto three = limit.take("caller b", "peer x");
    ASSERT_TRUE(three);
    EXPECT_EQ(limit.take("caller c", "peer z"), nullptr) << "three in all";
    one.reset();
    EXPECT_NE(limit.take("caller c", "peer z"), nullptr);
    EXPECT_NE(limit.take("caller a", "peer z"), nullptr);
}

Peer peer(const char* text) {
    sockaddr_storage address{};
    if (std::string_view(text).find(':') == std::string_view::npos) {
        auto& v4 = reinterpret_cast<sockaddr_in&>(address);
        v4.sin_family = AF_INET;
        ::inet_pton(AF_INET, text, &v4.sin_addr);
    } else {
        auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
        v6.sin6_family = AF_INET6;
        ::inet_pton(AF_INET6, text, &v6.sin6_addr);
    }
    return peer_of(address);
}

TEST(Peer, IsAnIpv4AddressOrAnIpv6Slash64) {
    EXPECT_EQ(peer("192.0.2.7").key, "192.0.2.7");
    EXPECT_EQ(peer("2001:db8:1:2:3::4").address, "2001:db8:1:2:3::4");
    EXPECT_EQ(peer("2001:db8:1:2:3::4").key, peer("2001:db8:1:2:ffff::9").key);
    EXPECT_NE(peer("2001:db8:1:2:3::4").key, peer("2001:db8:1:3:3::4").key);
    EXPECT_EQ(peer("::ffff:192.0.2.7").key, "192.0.2.7") << "one client, whichever socket took it";
    EXPECT_TRUE(peer("127.0.0.2").loopback);
    EXPECT_TRUE(peer("::1").loopback);
    EXPECT_TRUE(peer("::ffff:127.0.0.1").loopback);
    EXPECT_NE(peer("127.0.0.1").key, peer("127.0.0.2").key);
    EXPECT_FALSE(peer("192.0.2.7").loopback);
}

}  // namespace
}  // namespace guideway::rest
