#include "dataplane/net/resolver.h"

#include <gtest/gtest.h>

namespace guideway::net {
namespace {

using namespace std::chrono_literals;
using snapshot::NeighbourKey;

NeighbourKey key(std::uint32_t number) { return {0, IpAddress::v4(0x0a000000 + number)}; }

const Resolver::Clock::time_point kStart{1000s};

TEST(Resolver, AsksTheKernelOnceASecondForAWishRepeated) {
    Resolver resolver;
    EXPECT_TRUE(resolver.wish(key(1), kStart));
    EXPECT_FALSE(resolver.wish(key(1), kStart + 10ms));
    EXPECT_TRUE(resolver.wish(key(2), kStart + 10ms));
    EXPECT_TRUE(resolver.wish(key(1), kStart + 1s));
}

TEST(Resolver, LeavesTheFirstKeysToTheKernelAndAsksForTheRest) {
    Resolver resolver;
    for (std::uint32_t i = 0; i < Resolver::kMostManaged; ++i)
        ASSERT_EQ(resolver.wish(key(i), kStart), Resolve::managed);
    EXPECT_EQ(resolver.wish(key(9999), kStart), Resolve::once);
    const auto again = resolver.refresh(kStart + 25s, [](const NeighbourKey&) { return true; });
    EXPECT_EQ(again, std::vector<NeighbourKey>{key(9999)});
}

TEST(Resolver, RefreshesOnlyWhatIsStaleAndForgetsWhatNobodyWants) {
    Resolver resolver;
    resolver.no_managed();
    ASSERT_EQ(resolver.wish(key(1), kStart), Resolve::once);
    EXPECT_TRUE(resolver.refresh(kStart + 25s, [](const NeighbourKey&) { return false; }).empty());
    EXPECT_EQ(resolver.refresh(kStart + 50s, [](const NeighbourKey&) { return true; }).size(), 1U);
    EXPECT_TRUE(resolver.refresh(kStart + 31min, [](const NeighbourKey&) { return true; }).empty());
}

TEST(Resolver, IsBoundedAndAFloodOfStrangersPasses) {
    Resolver resolver;
    for (std::uint32_t i = 0; i < Resolver::kMostKeys; ++i) ASSERT_TRUE(resolver.wish(key(i), kStart));
    EXPECT_FALSE(resolver.wish(key(99999), kStart));
    resolver.refresh(kStart + 25s, [](const NeighbourKey&) { return false; });
    EXPECT_TRUE(resolver.wish(key(99999), kStart + 25s));
}

}  // namespace
}  // namespace guideway::net
