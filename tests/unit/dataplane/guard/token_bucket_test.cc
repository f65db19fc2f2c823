#include "dataplane/guard/token_bucket.h"

#include <gtest/gtest.h>

namespace guideway::guard {
namespace {

unsigned taken(TokenBucket& bucket, std::uint64_t now_ms, unsigned attempts) {
    unsigned count = 0;
    for (unsigned i = 0; i < attempts; ++i) count += bucket.take(now_ms) ? 1 : 0;
    return count;
}

TEST(TokenBucket, ABurstPassesAtOnceAndNoMore) {
    TokenBucket bucket(1000, 200);
    EXPECT_EQ(taken(bucket, 5, 1000), 200U);
}

TEST(TokenBucket, ItRefillsAtItsRate) {
    TokenBucket bucket(1000, 200);
    taken(bucket, 10, 1000);
    EXPECT_EQ(taken(bucket, 11, 10), 1U);
    EXPECT_EQ(taken(bucket, 111, 1000), 100U);
}

TEST(TokenBucket, ASlowRateGainsAPartOfATokenEachMillisecond) {
    TokenBucket bucket(2, 1);
    EXPECT_EQ(taken(bucket, 1, 5), 1U);
    for (std::uint64_t now = 2; now <= 500; ++now) EXPECT_FALSE(bucket.take(now)) << now;
    EXPECT_TRUE(bucket.take(501));
}

TEST(TokenBucket, ItNeverHoldsMoreThanItsBurst) {
    TokenBucket bucket(1000, 50);
    taken(bucket, 1, 100);
    EXPECT_EQ(taken(bucket, ~std::uint64_t{0}, 1000), 50U);
}

TEST(TokenBucket, ATimeThatGoesBackAddsNothing) {
    TokenBucket bucket(1000, 1);
    EXPECT_TRUE(bucket.take(100));
    EXPECT_FALSE(bucket.take(50));
    EXPECT_FALSE(bucket.take(100));
    EXPECT_TRUE(bucket.take(101));
}

TEST(TokenBucket, RateZeroIsSilence) {
    TokenBucket bucket(0, 100);
    EXPECT_EQ(taken(bucket, 1000, 10), 0U);
}

}  // namespace
}  // namespace guideway::guard
