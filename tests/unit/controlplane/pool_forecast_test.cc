#include "controlplane/pool_forecast.h"

#include <gtest/gtest.h>

namespace guideway::controlplane {
namespace {

using namespace std::chrono_literals;
constexpr IpFamily kV4 = IpFamily::ipv4;

struct PoolForecastTest : testing::Test {
    PoolForecast forecast;
    PoolForecast::Clock::time_point start{};
};

TEST_F(PoolForecastTest, WhatWasThereAtFirstIsNoGrowth) {
    forecast.note("a", kV4, 200, start);
    EXPECT_FALSE(forecast.seconds_until_full("a", kV4, 50, start + 10min));
}

TEST_F(PoolForecastTest, SteadyGrowthFillsThePoolInAboutItsTime) {
    // One address a minute for three hours; 60 are free: an hour is left.
    for (int minute = 0; minute <= 180; ++minute) {
        forecast.note("a", kV4, 100 + static_cast<std::uint64_t>(minute), start + std::chrono::minutes(minute));
    }
    const auto seconds = forecast.seconds_until_full("a", kV4, 60, start + 180min);
    ASSERT_TRUE(seconds);
    EXPECT_NEAR(*seconds, 3600, 360);
}

TEST_F(PoolForecastTest, ADayWithoutGrowthIsForgotten) {
    forecast.note("a", kV4, 0, start);
    forecast.note("a", kV4, 100, start + 1min);
    EXPECT_TRUE(forecast.seconds_until_full("a", kV4, 10, start + 2min));
    EXPECT_FALSE(forecast.seconds_until_full("a", kV4, 10, start + 24h));
}

TEST_F(PoolForecastTest, WhatComesAndGoesIsNoGrowth) {
    forecast.note("a", kV4, 10, start);
    forecast.note("a", kV4, 20, start + 1s);
    forecast.note("a", kV4, 10, start + 2s);
    EXPECT_FALSE(forecast.seconds_until_full("a", kV4, 5, start + 3s));
}

TEST_F(PoolForecastTest, FamiliesAndPoolsAreApart) {
    forecast.note("a", kV4, 0, start);
    forecast.note("a", kV4, 50, start + 1s);
    EXPECT_FALSE(forecast.seconds_until_full("a", IpFamily::ipv6, 5, start + 2s));
    EXPECT_FALSE(forecast.seconds_until_full("b", kV4, 5, start + 2s));
    forecast.forget("a");
    EXPECT_FALSE(forecast.seconds_until_full("a", kV4, 5, start + 2s));
}

}  // namespace
}  // namespace guideway::controlplane
