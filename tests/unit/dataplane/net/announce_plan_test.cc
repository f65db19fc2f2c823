// Which address is announced by which port, when, and who claims one.
#include "dataplane/net/announce_plan.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace guideway::net {
namespace {

using namespace std::chrono_literals;
using snapshot::MacAddress;

IpAddress at(const std::string& text) { return *IpAddress::parse(text); }

constexpr MacAddress kStranger{2, 0, 0, 0, 0, 0x66};

class Plan : public ::testing::Test {
  protected:
    Plan() {
        routing_.ports.resize(2);
        routing_.ports[0] = {{2, 0, 0, 0, 0, 1}, 1500, true, {}};
        routing_.ports[1] = {{2, 0, 0, 0, 0, 2}, 1500, true, {}};
        on_link("203.0.113.0/24", 0);
        on_link("2001:db8:f::/64", 0);
        on_link("10.0.2.0/24", 1);
        snapshot::Route standard;
        standard.prefix = *IpPrefix::parse("0.0.0.0/0");
        standard.gateway = at("203.0.113.254");
        routing_.routes.push_back(standard);
        routing_.finish();
    }
    void on_link(const std::string& prefix, std::uint16_t port) {
        snapshot::Route route;
        route.prefix = *IpPrefix::parse(prefix);
        route.port = port;
        route.on_link = true;
        routing_.routes.push_back(route);
    }
    void use(const std::vector<std::string>& addresses) {
        std::vector<IpAddress> list;
        for (const std::string& one : addresses) list.push_back(at(one));
        plan_.update(list, routing_, now_);
    }
    /// "port address number" of all that is due now.
    std::vector<std::string> due() {
        std::vector<std::string> list;
        while (const auto item = plan_.next(now_)) {
            list.push_back(std::to_string(item->port) + " " + item->address.to_string() + " " +
                           std::to_string(item->number));
            now_ += 1ms;  // the pace
        }
        std::sort(list.begin(), list.end());
        return list;
    }
    using List = std::vector<std::string>;

    AnnouncePlan::TimePoint now_{1000h};
    snapshot::RoutingSnapshot routing_;
    AnnouncePlan plan_{{3, 1000}};
};

TEST_F(Plan, AnAddressIsAnnouncedByThePortOnWhoseLinkItIs) {
    use({"203.0.113.10", "2001:db8:f::10", "10.0.2.100"});
    EXPECT_EQ(due(), (List{"0 2001:db8:f::10 0", "0 203.0.113.10 0", "1 10.0.2.100 0"}));
}

TEST_F(Plan, WhatIsOnlyRoutedHereIsNotAnnounced) {
    use({"198.51.100.10", "2001:db8:9::10"});
    now_ += 10s;
    EXPECT_EQ(due(), List{});
}

TEST_F(Plan, AnAddressIsNotAnnouncedOnALinkWhereItIsNotServed) {
    plan_.update(
        {at("203.0.113.10"), at("203.0.113.11"), at("10.0.2.100")}, routing_, now_,
        [](std::uint16_t port, const IpAddress& address) { return port == 1 || address != at("203.0.113.10"); });
    EXPECT_EQ(due(), (List{"0 203.0.113.11 0", "1 10.0.2.100 0"}));
}

TEST_F(Plan, EachIsRepeatedAfterOneAndThreeSecondsThenNoMore) {
    use({"203.0.113.10"});
    EXPECT_EQ(due(), List{"0 203.0.113.10 0"});
    now_ += 990ms;
    EXPECT_EQ(due(), List{});
    now_ += 10ms;
    EXPECT_EQ(due(), List{"0 203.0.113.10 1"});
    now_ += 2s;
    EXPECT_EQ(due(), List{"0 203.0.113.10 2"});
    now_ += 1h;
    EXPECT_EQ(due(), List{});
    use({"203.0.113.10"});
    EXPECT_EQ(due(), List{}) << "another state that uses it, too, is no news";
}

TEST_F(Plan, ALinkThatComesBackAndANewMacAreNews) {
    use({"203.0.113.10"});
    due();
    now_ += 1h;
    due();
    now_ += 1h;
    due();
    routing_.ports[0].link_up = false;
    use({"203.0.113.10"});
    EXPECT_EQ(due(), List{});
    routing_.ports[0].link_up = true;
    use({"203.0.113.10"});
    EXPECT_EQ(due(), List{"0 203.0.113.10 0"});
    routing_.ports[0].mac[5] = 9;
    use({"203.0.113.10"});
    EXPECT_EQ(due(), List{"0 203.0.113.10 0"});
}

TEST_F(Plan, AnAddressThatGoesIsNotAnnouncedAnyMore) {
    use({"203.0.113.10", "203.0.113.11"});
    due();
    use({"203.0.113.11"});
    now_ += 1s;
    EXPECT_EQ(due(), List{"0 203.0.113.11 1"});
}

TEST_F(Plan, ThousandsAreSpreadAtThePaceAndAllFirstsComeBeforeAnySecond) {
    List many;
    for (int i = 0; i < 3000; ++i)
        many.push_back("2001:db8:f::" + std::to_string(i / 1000 + 1) + ":" + std::to_string(i % 1000 + 1));
    use(many);
    std::size_t sent = 0;
    std::uint32_t before = 0;
    const auto begun = now_;
    for (; now_ < begun + 3s; now_ += 50ms) {
        std::size_t at_once = 0;
        while (const auto item = plan_.next(now_)) {
            EXPECT_GE(item->number, before) << "a second announcement before a first";
            before = item->number;
            ++at_once;
        }
        EXPECT_LE(at_once, 55U);
        sent += at_once;
    }
    EXPECT_NEAR(static_cast<double>(sent), 3000, 100);
}

TEST_F(Plan, WhatCouldNotBeSentComesAgain) {
    use({"203.0.113.10"});
    const auto item = plan_.next(now_);
    ASSERT_TRUE(item);
    plan_.put_back(*item, now_);
    EXPECT_FALSE(plan_.next(now_));
    now_ += 20ms;
    EXPECT_EQ(due(), List{"0 203.0.113.10 0"});
}

TEST_F(Plan, AClaimIsAConflictOnceAndTheAddressIsDefendedEachTenSecondsAtMost) {
    use({"203.0.113.10"});
    due();
    now_ += 1h;
    due();
    now_ += 1h;
    due();
    EXPECT_EQ(plan_.claimed(at("203.0.113.10"), kStranger, 0, now_), AnnouncePlan::Told::conflict);
    EXPECT_EQ(due(), List{"0 203.0.113.10 3"});
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(plan_.claimed(at("203.0.113.10"), kStranger, 0, now_), AnnouncePlan::Told::nothing_new);
        EXPECT_EQ(due(), List{});
        now_ += 1s;
    }
    now_ += 5s;
    plan_.claimed(at("203.0.113.10"), kStranger, 0, now_);
    EXPECT_EQ(due(), List{"0 203.0.113.10 3"});
    const auto conflicts = plan_.conflicts(now_);
    ASSERT_EQ(conflicts.size(), 1U);
    EXPECT_EQ(conflicts.front().mac, kStranger);
    EXPECT_EQ(conflicts.front().claims, 7U);
    EXPECT_EQ(plan_.claims(), 7U);
}

TEST_F(Plan, TheFirstClaimOnEachPortIsAnswered) {
    const auto settled = [&] {
        for (int i = 0; i < 4; ++i, now_ += 10s) due();
    };
    use({"203.0.113.10"});
    settled();
    plan_.claimed(at("203.0.113.10"), kStranger, 0, now_);
    EXPECT_EQ(due(), List{"0 203.0.113.10 3"});
    on_link("203.0.113.0/28", 1);
    routing_.finish();
    use({"203.0.113.10"});
    EXPECT_EQ(due(), List{"1 203.0.113.10 0"});
    plan_.claimed(at("203.0.113.10"), kStranger, 1, now_);
    EXPECT_EQ(due(), List{"1 203.0.113.10 3"}) << "though it was defended a moment ago elsewhere";
}

TEST_F(Plan, ABondWithoutAMemberThatCarriesHasNoLink) {
    plan_.update({at("203.0.113.10"), at("10.0.2.100")}, routing_, now_, {}, {}, {true, false});
    EXPECT_EQ(due(), List{"0 203.0.113.10 0"});
    plan_.update({at("203.0.113.10"), at("10.0.2.100")}, routing_, now_, {}, {}, {true, true});
    EXPECT_EQ(due(), List{"1 10.0.2.100 0"});
}

TEST_F(Plan, AnotherClaimantIsNewsAndSilenceEndsAConflict) {
    plan_.claimed(at("203.0.113.10"), kStranger, 0, now_);
    EXPECT_EQ(plan_.claimed(at("203.0.113.10"), {2, 0, 0, 0, 0, 0x67}, 0, now_), AnnouncePlan::Told::conflict);
    now_ += 119s;
    EXPECT_EQ(plan_.conflicts(now_).size(), 1U);
    now_ += 1s;
    EXPECT_EQ(plan_.conflicts(now_).size(), 0U);
    EXPECT_EQ(plan_.claimed(at("203.0.113.10"), {2, 0, 0, 0, 0, 0x67}, 0, now_), AnnouncePlan::Told::conflict);
}

TEST_F(Plan, ConflictsAreRememberedUpToABound) {
    for (std::uint32_t i = 0; i < 1000; ++i) plan_.claimed(IpAddress::v4(0xcb007100 + i), kStranger, 0, now_);
    EXPECT_EQ(plan_.conflicts(now_).size(), AnnouncePlan::kMostConflicts);
    EXPECT_EQ(plan_.claims(), 1000U);
}

TEST_F(Plan, NothingIsAnnouncedNorDefendedWhereThatIsWished) {
    plan_ = AnnouncePlan({0, 1000});
    use({"203.0.113.10"});
    plan_.claimed(at("203.0.113.10"), kStranger, 0, now_);
    EXPECT_EQ(due(), List{});
    EXPECT_EQ(plan_.conflicts(now_).size(), 1U) << "but known";
}

TEST_F(Plan, AMoveToAnotherCableAnnouncesThePortAnew) {
    use({"203.0.113.10", "10.0.2.100"});
    for (int i = 0; i < 4; ++i) {
        due();
        now_ += 10s;
    }
    plan_.again(1, {*IpPrefix::parse("10.0.2.1/24")}, now_);
    EXPECT_EQ(due(), (List{"1 10.0.2.1 3", "1 10.0.2.100 0"})) << "and the port's own address once";
    now_ += 1s;
    EXPECT_EQ(due(), (List{"1 10.0.2.100 1"}));
    plan_.again(1, {}, now_);
    EXPECT_EQ(due(), (List{"1 10.0.2.100 0"})) << "what was still to come is not beside it";
    plan_.again(1, {*IpPrefix::parse("10.0.2.1/24")}, now_);
    use({"203.0.113.10", "10.0.2.100", "10.0.2.101"});
    EXPECT_EQ(due(), (List{"1 10.0.2.1 3", "1 10.0.2.100 0", "1 10.0.2.101 0"})) << "nor lost by another state";
    AnnouncePlan silent({0, 1000});
    silent.again(0, {*IpPrefix::parse("10.0.2.1/24")}, now_);
    EXPECT_FALSE(silent.next(now_)) << "never means never";
}

}  // namespace
}  // namespace guideway::net
