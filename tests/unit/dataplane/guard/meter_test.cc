#include "dataplane/guard/meter.h"

#include <set>

#include <gtest/gtest.h>

namespace guideway::guard {
namespace {

unsigned taken(Meter& meter, std::uint64_t now_ms, unsigned attempts, std::uint32_t rate, std::uint32_t burst) {
    unsigned count = 0;
    for (unsigned i = 0; i < attempts; ++i) count += meter.take(now_ms, rate, burst) ? 1 : 0;
    return count;
}

TEST(Meter, ItIsFullWhenFirstAskedAndRefillsAtItsRate) {
    for (const std::uint64_t start : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 60}) {
        Meter meter;
        EXPECT_EQ(taken(meter, start, 100, 1000, 20), 20U) << start;
        EXPECT_EQ(taken(meter, start + 6, 100, 1000, 20), start == 0 ? 5U : 6U) << start;
        EXPECT_EQ(taken(meter, start + 1006, 100, 1000, 20), 20U) << start;
    }
}

TEST(Meter, ASlowRateGainsAPartOfATokenEachMillisecond) {
    Meter meter;
    EXPECT_TRUE(meter.take(1, 2, 1));
    for (std::uint64_t now = 2; now <= 500; ++now) EXPECT_FALSE(meter.take(now, 2, 1)) << now;
    EXPECT_TRUE(meter.take(501, 2, 1));
}

TEST(Meter, AnotherRateHoldsFromTheNextPacketOn) {
    Meter meter;
    EXPECT_EQ(taken(meter, 10, 1000, 500, 500), 500U);
    EXPECT_EQ(taken(meter, 1010, 1000, 500, 500), 500U);
    EXPECT_EQ(taken(meter, 2010, 1000, 500, 500), 500U);
    // Filled by the old rate's burst, it lets pass no more than the new one's.
    EXPECT_FALSE(meter.take(2010, 3, 3));
    EXPECT_EQ(taken(meter, 9000, 1000, 3, 3), 3U);
}

TEST(Meter, ATimeThatGoesBackAddsNothingAndTheLargestRatesDoNotWrap) {
    Meter meter;
    EXPECT_TRUE(meter.take(1000, 1, 1));
    EXPECT_FALSE(meter.take(10, 1, 1));
    EXPECT_FALSE(meter.take(1000, 1, 1));
    Meter large;
    EXPECT_TRUE(large.take(1, ~0U, ~0U));
    EXPECT_TRUE(large.take(~std::uint64_t{0}, ~0U, ~0U));
    EXPECT_EQ(taken(large, ~std::uint64_t{0}, 10, 1, 1), 1U);
}

TEST(SourceMeters, EachSourceHasItsOwnWhereTheUpperBitsOfItsHashLead) {
    SourceMeters meters;
    for (std::uint64_t i = 0; i < SourceMeters::kMeters; ++i) EXPECT_TRUE(meters.take(i << 51 | 7, 5000, 1));
    for (std::uint64_t i = 0; i < SourceMeters::kMeters; ++i) EXPECT_FALSE(meters.take(i << 51 | 7, 5001, 1));
    for (std::uint64_t i = 0; i < SourceMeters::kMeters; ++i) EXPECT_TRUE(meters.take(i << 51 | 7, 6001, 1));
}

TEST(SourceMeters, AStrangerAtSomebodyElsesMeterNeitherUsesItsTokensNorIsRefusedForThem) {
    SourceMeters meters;
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(meters.take(8, 5000, 10));
    EXPECT_FALSE(meters.take(8, 5000, 10));
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(meters.take(7, 5050, 10)) << "the meter is the other's";
    EXPECT_TRUE(meters.take(8, 5100, 10)) << "a token in a tenth of a second, whatever the stranger took";
    EXPECT_FALSE(meters.take(8, 5100, 10));
    // Who has been silent for a second has lost it.
    EXPECT_TRUE(meters.take(7, 6500, 2));
    EXPECT_TRUE(meters.take(7, 6500, 2));
    EXPECT_FALSE(meters.take(7, 6500, 2));
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(meters.take(8, 6600, 2));
}

TEST(Share, AllPartsTogetherAreTheRateRoundedUpAndNeverNothing) {
    EXPECT_EQ(share_of(100, 4), 25U);
    EXPECT_EQ(share_of(101, 4), 26U);
    EXPECT_EQ(share_of(1, 16), 1U);
    EXPECT_EQ(share_of(~0U, 1), ~0U);
}

}  // namespace
}  // namespace guideway::guard
