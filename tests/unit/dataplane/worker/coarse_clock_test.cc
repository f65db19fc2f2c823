#include "dataplane/worker/coarse_clock.h"

#include <random>

#include <gtest/gtest.h>

namespace guideway::worker {
namespace {

constexpr std::uint64_t kHertz = 2'000'000'000;
constexpr std::uint64_t kCyclesAMs = kHertz / 1000;

TEST(CoarseClock, BeginsAtTheBootTimeAndRunsByCycles) {
    CoarseClock clock(5000, 1'000'000, kHertz);
    EXPECT_EQ(clock.now_ms(1'000'000), 5000U);
    EXPECT_EQ(clock.now_ms(1'000'000 + kCyclesAMs - 1), 5000U);
    EXPECT_EQ(clock.now_ms(1'000'000 + kCyclesAMs), 5001U);
    EXPECT_EQ(clock.now_ms(1'000'000 + 7 * kCyclesAMs + 3), 5007U);
    EXPECT_EQ(clock.now_ms(1'000'000 + 8 * kCyclesAMs), 5008U);
}

TEST(CoarseClock, GoesOnInAnotherProcessWhoseFrequencyWasMeasuredDifferently) {
    // A month of uptime; the frequency measured 50 parts in a million apart. Counted from the counter's zero the second process
    // would be two minutes off.
    const std::uint64_t month_ms = std::uint64_t{30} * 24 * 3600 * 1000;
    CoarseClock first(month_ms, month_ms * kCyclesAMs, kHertz);
    const std::uint64_t told = first.now_ms((month_ms + 500) * kCyclesAMs);
    CoarseClock second(month_ms + 700, (month_ms + 700) * kCyclesAMs, kHertz + kHertz / 20'000);
    const std::uint64_t next = second.now_ms((month_ms + 700) * kCyclesAMs);
    EXPECT_GE(next, told);
    EXPECT_EQ(next - told, 200U);
}

TEST(CoarseClock, AWrongFrequencyDoesNotAddUp) {
    // Runs 1 % too fast for an hour: off by at most what one interval between anchors gives.
    CoarseClock clock(0, 0, kHertz * 99 / 100);
    std::uint64_t last = 0;
    for (std::uint64_t ms = 0; ms <= 3'600'000; ms += 7) {
        const std::uint64_t cycles = ms * kCyclesAMs;
        if (clock.wants_anchor(cycles)) clock.anchor(ms, cycles);
        const std::uint64_t now = clock.now_ms(cycles);
        ASSERT_GE(now, last);
        ASSERT_LE(now, ms + CoarseClock::kAnchorIntervalMs / 99 + 1);
        ASSERT_GE(now, ms);
        last = now;
    }
}

TEST(CoarseClock, NeverGoesBackWhenTheCounterDoes) {
    CoarseClock clock(5000, 10 * kHertz, kHertz);
    EXPECT_EQ(clock.now_ms(11 * kHertz), 6000U);
    EXPECT_EQ(clock.now_ms(9 * kHertz), 6000U);
    EXPECT_EQ(clock.now_ms(0), 6000U);
    EXPECT_TRUE(clock.wants_anchor(9 * kHertz - CoarseClock::kAnchorIntervalMs * kCyclesAMs * 2));
    clock.anchor(6500, 0);  // the counter began anew
    EXPECT_EQ(clock.now_ms(kCyclesAMs), 6501U);
}

TEST(CoarseClock, IsHeldWhereAnAnchorIsEarlierUntilItIsCaughtUpWith) {
    CoarseClock clock(5000, 0, kHertz);
    EXPECT_EQ(clock.now_ms(100 * kCyclesAMs), 5100U);
    clock.anchor(5090, 100 * kCyclesAMs);
    EXPECT_EQ(clock.now_ms(100 * kCyclesAMs), 5100U);
    EXPECT_EQ(clock.now_ms(109 * kCyclesAMs), 5100U);
    EXPECT_EQ(clock.now_ms(111 * kCyclesAMs), 5101U);
}

TEST(CoarseClock, JumpsForwardWithTheMachinesSleep) {
    CoarseClock clock(5000, 0, kHertz);
    clock.anchor(3'605'000, 10 * kCyclesAMs);  // the counter stood, the boot clock did not
    EXPECT_EQ(clock.now_ms(11 * kCyclesAMs), 3'605'001U);
}

TEST(CoarseClock, RunsThroughTheWrapOfItsSecondsAndOfTheCounter) {
    const std::uint64_t wrap_ms = (std::uint64_t{1} << 32) * 1000;
    const std::uint64_t start = ~std::uint64_t{0} - kCyclesAMs;
    CoarseClock clock(wrap_ms - 1, start, kHertz);
    EXPECT_EQ(static_cast<std::uint32_t>(clock.now_ms(start) / 1000), 0xffffffffU);
    const std::uint64_t later = clock.now_ms(start + 2 * kCyclesAMs);  // the counter is at 2^64 meanwhile
    EXPECT_EQ(later, wrap_ms + 1);
    EXPECT_EQ(static_cast<std::uint32_t>(later / 1000), 0U);
}

TEST(CoarseClock, WantsAnAnchorEachInterval) {
    CoarseClock clock(0, 500, kHertz);
    EXPECT_FALSE(clock.wants_anchor(500));
    EXPECT_FALSE(clock.wants_anchor(499));
    EXPECT_FALSE(clock.wants_anchor(499 + CoarseClock::kAnchorIntervalMs * kCyclesAMs));
    EXPECT_TRUE(clock.wants_anchor(500 + CoarseClock::kAnchorIntervalMs * kCyclesAMs));
}

TEST(CoarseClock, NeverGoesBackWhateverItIsTold) {
    std::mt19937_64 random(1);
    for (int round = 0; round < 200; ++round) {
        CoarseClock clock(random() % 1'000'000, random(), 1000 + random() % 5'000'000'000);
        std::uint64_t cycles = random();
        std::uint64_t last = 0;
        for (int step = 0; step < 200; ++step) {
            cycles += random() % 1'000'000'000 - (random() % 4 == 0 ? 900'000'000 : 0);
            if (random() % 16 == 0) clock.anchor(random() % 1'000'000, cycles);
            const std::uint64_t now = clock.now_ms(cycles);
            ASSERT_GE(now, last);
            last = now;
        }
    }
}

}  // namespace
}  // namespace guideway::worker
