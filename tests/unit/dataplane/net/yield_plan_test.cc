// Which addresses are left to another machine that claims them, and when they are taken up again.
#include "dataplane/net/yield_plan.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "dataplane/net/announce_plan.h"

namespace guideway::net {
namespace {

using namespace std::chrono_literals;
using snapshot::Place;
using Heard = YieldPlan::Heard;
using Told = AnnouncePlan::Told;

Place place_of(std::uint16_t port, const std::string& address) { return {port, *IpAddress::parse(address)}; }

class Yielding : public ::testing::Test {
  protected:
    /// Time goes by until something is asked for; how long that took.
    std::chrono::milliseconds until_probe(std::chrono::milliseconds at_most = 1h) {
        for (std::chrono::milliseconds waited{0}; waited <= at_most; waited += 10ms, now_ += 10ms) {
            if (plan_.next_probe(now_, links_)) return waited;
        }
        return at_most + 1ms;
    }
    void yield() {
        EXPECT_EQ(plan_.claimed(vip_, now_), Heard::contested);
        now_ += 1s;
        EXPECT_EQ(plan_.claimed(vip_, now_), Heard::yielded);
    }

    YieldPlan::TimePoint now_{1000h};
    std::vector<bool> links_{true, true};
    YieldPlan plan_{{true, 60s, {*IpAddress::parse("203.0.113.99")}, 7}};
    const Place vip_ = place_of(0, "203.0.113.10");
};

TEST_F(Yielding, TheSecondClaimWithinTenSecondsTakesTheAddressAway) {
    EXPECT_EQ(plan_.claimed(vip_, now_), Heard::contested);
    now_ += 10s;
    EXPECT_EQ(plan_.claimed(vip_, now_), Heard::contested) << "the first one of another ten seconds";
    EXPECT_EQ(plan_.set(), nullptr);
    now_ += 9s;
    EXPECT_EQ(plan_.claimed(vip_, now_), Heard::yielded);
    ASSERT_NE(plan_.set(), nullptr);
    EXPECT_TRUE(plan_.set()->contains(0, vip_.address));
    EXPECT_FALSE(plan_.set()->contains(1, vip_.address)) << "on that link alone";
    EXPECT_FALSE(plan_.set()->contains(0, *IpAddress::parse("203.0.113.11")));
    EXPECT_EQ(plan_.claimed(vip_, now_), Heard::known);
}

TEST_F(Yielding, SnatAddressesAreAlwaysDefended) {
    const Place snat = place_of(0, "203.0.113.99");
    for (int i = 0; i < 5; ++i) EXPECT_EQ(plan_.claimed(snat, now_), Heard::contested);
    EXPECT_EQ(plan_.set(), nullptr);
}

TEST_F(Yielding, NothingIsYieldedWhereThatIsNotWished) {
    plan_ = YieldPlan(YieldSettings{});
    for (int i = 0; i < 5; ++i) EXPECT_EQ(plan_.claimed(vip_, now_), Heard::contested);
    EXPECT_EQ(plan_.set(), nullptr);
}

TEST_F(Yielding, AfterTheQuietTimeThreeProbesInVainBringItBack) {
    yield();
    const auto first = until_probe();
    EXPECT_GE(first, 60s);
    EXPECT_LE(first, 61s) << "by chance up to a second later";
    for (int i = 0; i < 2; ++i) {
        const auto next = until_probe();
        EXPECT_GE(next, 1s);
        EXPECT_LE(next, 2s + 10ms);
        EXPECT_TRUE(plan_.resume(now_, links_).empty()) << "not before all are asked";
    }
    now_ += 1990ms;
    EXPECT_TRUE(plan_.resume(now_, links_).empty()) << "the last one may be answered still";
    EXPECT_FALSE(plan_.next_probe(now_, links_));
    now_ += 10ms;
    EXPECT_EQ(plan_.resume(now_, links_), std::vector<Place>{vip_});
    EXPECT_EQ(plan_.set(), nullptr);
    EXPECT_FALSE(plan_.has(vip_));
    EXPECT_EQ(plan_.claimed(vip_, now_), Heard::contested) << "from the start again";
}

TEST_F(Yielding, EachAnsweredRoundOfProbesDoublesTheQuietTimeUpToEight) {
    yield();
    for (const auto& quiet : {60s, 120s, 240s, 480s, 480s}) {
        const auto waited = until_probe();
        EXPECT_GE(waited, quiet);
        EXPECT_LE(waited, quiet + 1s);
        EXPECT_EQ(plan_.claimed(vip_, now_), Heard::known);
        EXPECT_EQ(plan_.claimed(vip_, now_), Heard::known) << "two answers are one round";
    }
}

TEST_F(Yielding, AClaimInBetweenBeginsTheQuietTimeAnew) {
    yield();
    now_ += 59s;
    plan_.claimed(vip_, now_);
    EXPECT_GE(until_probe(), 60s);
}

TEST_F(Yielding, WhereTheLinkIsDownNobodyCouldAnswerSoNothingIsTakenUp) {
    yield();
    links_[0] = false;
    EXPECT_GT(until_probe(10min), 10min);
    links_[0] = true;
    EXPECT_LE(until_probe(), 1s);
    until_probe();
    until_probe();
    links_[0] = false;
    now_ += 2s;
    EXPECT_TRUE(plan_.resume(now_, links_).empty());
    links_[0] = true;
    now_ += 1s;
    EXPECT_EQ(until_probe(), 0ms) << "asked anew";
    EXPECT_TRUE(plan_.has(vip_));
}

TEST_F(Yielding, AProbeThatCouldNotBeSentComesAgain) {
    yield();
    until_probe();
    plan_.put_back(vip_, now_);
    EXPECT_FALSE(plan_.next_probe(now_, links_));
    EXPECT_EQ(until_probe(), 20ms);
    until_probe();
    until_probe();
    now_ += 2s;
    EXPECT_EQ(plan_.resume(now_, links_).size(), 1U) << "three were sent";
}

TEST_F(Yielding, AnAddressThatIsNotInUseAnyMoreIsForgotten) {
    yield();
    plan_.keep_only({*IpAddress::parse("203.0.113.11")});
    EXPECT_EQ(plan_.set(), nullptr);
    EXPECT_GT(until_probe(2min), 2min);
}

TEST_F(Yielding, MoreThanTheBoundAreDefended) {
    for (std::uint32_t i = 0; i < 1000; ++i) {
        const Place one{0, IpAddress::v4(0xcb007200 + i)};
        plan_.claimed(one, now_);
        plan_.claimed(one, now_);
    }
    ASSERT_NE(plan_.set(), nullptr);
    EXPECT_EQ(plan_.set()->places().size(), YieldPlan::kMost);
}

/// What the announcements make of it.
class YieldingPlan : public ::testing::Test {
  protected:
    YieldingPlan() {
        routing_.ports.resize(1);
        routing_.ports[0] = {{2, 0, 0, 0, 0, 1}, 1500, true, {}};
        snapshot::Route route;
        route.prefix = *IpPrefix::parse("203.0.113.0/24");
        route.on_link = true;
        routing_.routes.push_back(route);
        routing_.finish();
        plan_.update({vip_}, routing_, now_);
    }
    /// All that is due within so long: "announce 0", "probe".
    std::vector<std::string> due(std::chrono::milliseconds time) {
        std::vector<std::string> list;
        for (const auto end = now_ + time; now_ < end; now_ += 10ms) {
            while (const auto item = plan_.next(now_)) {
                EXPECT_EQ(item->address, vip_);
                list.push_back(item->probe ? "probe" : "announce " + std::to_string(item->number));
            }
            for (const Place& place : plan_.resume(now_)) list.push_back("resumed " + place.address.to_string());
        }
        return list;
    }
    using List = std::vector<std::string>;

    AnnouncePlan::TimePoint now_{1000h};
    const IpAddress vip_ = *IpAddress::parse("203.0.113.10");
    const snapshot::MacAddress stranger_{2, 0, 0, 0, 0, 0x66};
    snapshot::RoutingSnapshot routing_;
    AnnouncePlan plan_{{3, 1000, {true, 60s, {}, 1}}};
};

TEST_F(YieldingPlan, OneDefenceThenSilenceThenProbesThenAllAnew) {
    EXPECT_EQ(due(10s), (List{"announce 0", "announce 1", "announce 2"}));
    EXPECT_EQ(plan_.claimed(vip_, stranger_, 0, now_), Told::conflict);
    EXPECT_EQ(due(2s), List{"announce 3"}) << "the one defence";
    EXPECT_EQ(plan_.claimed(vip_, stranger_, 0, now_), Told::yielded);
    EXPECT_EQ(plan_.pairs(), 0U) << "announced no more";
    EXPECT_EQ(plan_.claimed(vip_, stranger_, 0, now_), Told::nothing_new);
    EXPECT_EQ(due(59s), List{});
    EXPECT_EQ(due(20s),
              (List{"probe", "probe", "probe", "resumed 203.0.113.10", "announce 0", "announce 1", "announce 2"}));
    EXPECT_EQ(plan_.pairs(), 1U);
    EXPECT_TRUE(plan_.conflicts(now_).empty()) << "nobody else has it";
}

TEST_F(YieldingPlan, WhatWasStillToBeAnnouncedIsNot) {
    plan_.claimed(vip_, stranger_, 0, now_);
    plan_.claimed(vip_, stranger_, 0, now_);
    EXPECT_EQ(due(30s), List{});
}

TEST_F(YieldingPlan, AYieldedAddressIsAConflictAsLongAsItIsYielded) {
    plan_.claimed(vip_, stranger_, 0, now_);
    plan_.claimed(vip_, stranger_, 0, now_);
    routing_.ports[0].link_up = false;  // so that it is not resumed
    plan_.update({vip_}, routing_, now_);
    due(10min);
    const auto conflicts = plan_.conflicts(now_);
    ASSERT_EQ(conflicts.size(), 1U);
    EXPECT_TRUE(conflicts.front().yielded);
    plan_.update({}, routing_, now_);
    EXPECT_TRUE(plan_.conflicts(now_).empty());
    EXPECT_EQ(plan_.yielded(), nullptr);
}

TEST_F(YieldingPlan, AnotherStateOrLinkDoesNotBringItBack) {
    due(10s);
    plan_.claimed(vip_, stranger_, 0, now_);
    plan_.claimed(vip_, stranger_, 0, now_);
    routing_.ports[0].mac[5] = 9;
    plan_.update({vip_}, routing_, now_);
    EXPECT_EQ(due(30s), List{});
}

TEST_F(YieldingPlan, AnAddressThatCannotBeToldIsNotYielded) {
    for (std::uint32_t i = 0; i < AnnouncePlan::kMostConflicts; ++i)
        plan_.claimed(IpAddress::v4(0xcb007200 + i), stranger_, 0, now_);
    plan_.claimed(vip_, stranger_, 0, now_);
    plan_.claimed(vip_, stranger_, 0, now_);
    EXPECT_EQ(plan_.yielded(), nullptr);
}

TEST_F(YieldingPlan, ABondThatCarriesNothingAsksNobody) {
    due(10s);
    plan_.claimed(vip_, stranger_, 0, now_);
    plan_.claimed(vip_, stranger_, 0, now_);
    plan_.update({vip_}, routing_, now_, {}, {}, {false});
    EXPECT_EQ(due(10min), List{});
    EXPECT_NE(plan_.yielded(), nullptr);
    plan_.update({vip_}, routing_, now_, {}, {}, {true});
    EXPECT_EQ(due(10s),
              (List{"probe", "probe", "probe", "resumed 203.0.113.10", "announce 0", "announce 1", "announce 2"}));
}

TEST_F(YieldingPlan, WhereAnAddressIsNotServedAnyMoreItIsForgotten) {
    due(10s);
    plan_.claimed(vip_, stranger_, 0, now_);
    plan_.claimed(vip_, stranger_, 0, now_);
    plan_.update({vip_}, routing_, now_, [](std::uint16_t port, const IpAddress&) { return port != 0; });
    EXPECT_EQ(plan_.yielded(), nullptr);
    EXPECT_EQ(due(10min), List{}) << "neither asked for nor resumed";
}

/// The other machine claims the address on two links.
class YieldingOnTwoPorts : public YieldingPlan {
  protected:
    YieldingOnTwoPorts() {
        routing_.ports.push_back({{2, 0, 0, 0, 0, 2}, 1500, true, {}});
        plan_.update({vip_}, routing_, now_);
        due(10s);
    }
    void claim(std::uint16_t port, const snapshot::MacAddress& mac) { told_ = plan_.claimed(vip_, mac, port, now_); }

    const snapshot::MacAddress second_{2, 0, 0, 0, 0, 0x67};
    Told told_ = Told::nothing_new;
};

TEST_F(YieldingOnTwoPorts, AConflictStaysWhileTheAddressIsLeftToSomebodyOnAnotherPort) {
    for (int i = 0; i < 2; ++i) claim(0, stranger_);
    due(30s);
    for (int i = 0; i < 2; ++i) claim(1, second_);
    EXPECT_EQ(told_, Told::yielded);
    const List resumed = due(40s);
    EXPECT_NE(std::ranges::find(resumed, "resumed 203.0.113.10"), resumed.end()) << "on the first port";
    const auto conflicts = plan_.conflicts(now_);
    ASSERT_EQ(conflicts.size(), 1U);
    EXPECT_TRUE(conflicts.front().yielded);
    EXPECT_EQ(conflicts.front().port, 1U);
}

TEST_F(YieldingOnTwoPorts, AClaimOnAnotherPortDoesNotHideWhomItIsLeftTo) {
    for (int i = 0; i < 2; ++i) claim(0, stranger_);
    claim(1, second_);
    EXPECT_EQ(told_, Told::nothing_new);
    const auto conflicts = plan_.conflicts(now_);
    ASSERT_EQ(conflicts.size(), 1U);
    EXPECT_EQ(conflicts.front().mac, stranger_);
    EXPECT_EQ(conflicts.front().port, 0U);
    EXPECT_EQ(conflicts.front().claims, 3U);
}

}  // namespace
}  // namespace guideway::net
