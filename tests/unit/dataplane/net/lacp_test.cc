// LACP against itself: two ends, cables between them that can be cut or swallow frames.
#include "dataplane/net/lacp.h"

#include <functional>
#include <map>

#include <gtest/gtest.h>

namespace guideway::net::lacp {
namespace {

using namespace std::chrono_literals;

constexpr MacAddress kHere{2, 0, 0, 0, 0, 1};
constexpr MacAddress kThere{2, 0, 0, 0, 0, 2};
constexpr MacAddress kElsewhere{2, 0, 0, 0, 0, 3};

Pdu switch_says(const Pdu& heard, const MacAddress& system, std::uint16_t key, std::uint16_t port, std::uint8_t state) {
    Pdu pdu;
    pdu.actor = {0x8000, system, key, 0x80, port, state};
    pdu.partner = heard.actor;
    return pdu;
}

constexpr std::uint8_t kAll = kActive | kFast | kAggregation | kSynchronized | kCollecting | kDistributing;

class Cabled : public ::testing::Test {
  protected:
    Cabled() {
        for (std::size_t i = 0; i < 2; ++i) {
            here_.set_link(i, true, now_);
            there_.set_link(i, true, now_);
        }
    }
    /// Both ends go on for `time`, a step each 100 ms.
    void pass(std::chrono::milliseconds time) {
        for (auto gone = 0ms; gone < time; gone += 100ms) {
            now_ += 100ms;
            here_.tick(now_);
            there_.tick(now_);
            for (std::size_t i = 0; i < 2; ++i) {
                carry(here_, there_, i);
                carry(there_, here_, i);
            }
        }
    }
    void carry(Aggregator& from, Aggregator& to, std::size_t cable) {
        const auto pdu = from.due(cable, now_);
        if (!pdu) return;
        from.sent(cable, now_);
        ++sent_[cable];
        if (swallows_[cable]) return;
        std::array<std::uint8_t, kFrameBytes> frame;
        write(frame, kHere, *pdu);
        const auto heard = read(frame);
        ASSERT_TRUE(heard);
        ASSERT_EQ(*heard, *pdu);
        to.receive(cable, *heard, now_);
    }
    std::string carrying(const Aggregator& one) const {
        std::string text;
        for (std::size_t i = 0; i < 2; ++i) text += one.distributing(i) ? "d" : one.collecting(i) ? "c" : "-";
        return text;
    }

    TimePoint now_{1000h};
    Aggregator here_{kHere, 2, true};
    Aggregator there_{kThere, 2, true};
    bool swallows_[2] = {false, false};
    std::size_t sent_[2] = {0, 0};
};

TEST_F(Cabled, BothCablesCarryWithinASecondAndStay) {
    pass(1s);
    EXPECT_EQ(carrying(here_), "dd");
    EXPECT_EQ(carrying(there_), "dd");
    ASSERT_TRUE(here_.partner(1));
    EXPECT_EQ(here_.partner(1)->system, kThere);
    EXPECT_EQ(here_.partner(1)->port, 2);
    EXPECT_EQ(here_.system_carried(), kThere);
    sent_[0] = 0;
    for (int i = 0; i < 100; ++i) {
        pass(1s);
        ASSERT_EQ(carrying(here_) + carrying(there_), "dddd");
    }
    EXPECT_GE(sent_[0], 180U) << "each end each second";
    EXPECT_LE(sent_[0], 220U);
}

TEST_F(Cabled, ALostLinkIsOutAtOnceAndComesBack) {
    pass(1s);
    here_.set_link(0, false, now_);
    EXPECT_EQ(carrying(here_), "-d");
    EXPECT_FALSE(here_.partner(0));
    there_.set_link(0, false, now_);
    pass(5s);
    EXPECT_EQ(carrying(here_) + carrying(there_), "-d-d");
    here_.set_link(0, true, now_);
    there_.set_link(0, true, now_);
    pass(1s);
    EXPECT_EQ(carrying(here_) + carrying(there_), "dddd");
}

TEST_F(Cabled, ASilentCableIsOutAfterThreeSecondsAndForgottenAfterSix) {
    pass(1s);
    swallows_[0] = true;
    pass(2s);
    EXPECT_EQ(carrying(here_), "dd");
    pass(1500ms);
    EXPECT_EQ(carrying(here_) + carrying(there_), "-d-d");
    EXPECT_FALSE(here_.hears(0));
    EXPECT_TRUE(here_.partner(0)) << "expired: not forgotten yet";
    pass(3s);
    EXPECT_FALSE(here_.partner(0));
    swallows_[0] = false;
    pass(2s);
    EXPECT_EQ(carrying(here_) + carrying(there_), "dddd");
}

TEST_F(Cabled, WhoCollectsIsHeardBeforeAnythingIsSentThere) {
    there_.set_link(1, false, now_);
    now_ += 100ms;
    const auto hello = here_.due(0, now_);
    ASSERT_TRUE(hello);
    EXPECT_EQ(hello->actor.state, kActive | kFast | kAggregation | kDefaulted | kExpired);
    here_.sent(0, now_);
    here_.receive(0, switch_says(*hello, kThere, 7, 1, kActive | kFast | kAggregation), now_);
    EXPECT_EQ(carrying(here_), "--") << "not in sync there";
    here_.receive(0, switch_says(*hello, kThere, 7, 1, kActive | kFast | kAggregation | kSynchronized), now_);
    EXPECT_EQ(carrying(here_), "c-");
    const auto answer = here_.due(0, now_);
    ASSERT_TRUE(answer) << "at once";
    EXPECT_EQ(answer->actor.state, kActive | kFast | kAggregation | kSynchronized | kCollecting);
    EXPECT_TRUE(answer->partner.is(switch_says(*hello, kThere, 7, 1, 0).actor));
    here_.receive(0, switch_says(*answer, kThere, 7, 1, kAll), now_);
    EXPECT_EQ(carrying(here_), "d-");
}

TEST_F(Cabled, AtMostThreeASecond) {
    now_ += 2s;
    std::size_t sent = 0;
    for (int i = 0; i < 40; ++i) {
        const auto pdu = here_.due(0, now_);
        if (pdu) {
            here_.sent(0, now_);
            ++sent;
        }
        // Somebody who never believes what he hears.
        Pdu odd = switch_says(Pdu{}, kThere, 7, 1, kActive | kAggregation | kFast);
        here_.receive(0, odd, now_);
        now_ += 20ms;
    }
    EXPECT_EQ(sent, 3U);
}

TEST_F(Cabled, CablesToDifferentSwitchesAreNotMixed) {
    now_ += 1s;
    const auto first = *here_.due(0, now_);
    const auto second = *here_.due(1, now_);
    here_.receive(0, switch_says(first, kThere, 7, 1, kAll), now_);
    here_.receive(1, switch_says(second, kElsewhere, 7, 1, kAll), now_);
    EXPECT_EQ(carrying(here_), "d-") << "the one that was there first goes on";
    EXPECT_EQ(here_.system_carried(), kThere);
    // Nor those of one switch that it keeps apart.
    here_.receive(1, switch_says(second, kThere, 8, 2, kAll), now_);
    EXPECT_EQ(carrying(here_), "d-");
    here_.receive(1, switch_says(second, kThere, 7, 2, kAll), now_);
    EXPECT_EQ(carrying(here_), "dd");
}

TEST_F(Cabled, TheOtherGroupTakesOverWhenTheFirstIsLost) {
    now_ += 1s;
    here_.receive(0, switch_says(*here_.due(0, now_), kThere, 7, 1, kAll), now_);
    here_.receive(1, switch_says(*here_.due(1, now_), kElsewhere, 7, 1, kAll), now_);
    here_.set_link(0, false, now_);
    EXPECT_EQ(carrying(here_), "-d");
}

TEST_F(Cabled, OnePortThatDoesNotAggregateCarriesAlone) {
    now_ += 1s;
    constexpr std::uint8_t kAlone = kAll & static_cast<std::uint8_t>(~kAggregation);
    here_.receive(0, switch_says(*here_.due(0, now_), kThere, 7, 1, kAlone), now_);
    here_.receive(1, switch_says(*here_.due(1, now_), kThere, 7, 2, kAlone), now_);
    EXPECT_EQ(carrying(here_), "d-");
}

TEST_F(Cabled, OurOwnFramesComeBackForNothing) {
    now_ += 1s;
    here_.receive(0, *here_.due(1, now_), now_);
    EXPECT_FALSE(here_.partner(0));
    pass(20s);
    EXPECT_EQ(carrying(here_), "dd");
}

TEST_F(Cabled, SlowAsksForAFrameEachHalfMinute) {
    here_ = Aggregator(kHere, 2, false);
    there_ = Aggregator(kThere, 2, false);
    for (std::size_t i = 0; i < 2; ++i) {
        here_.set_link(i, true, now_);
        there_.set_link(i, true, now_);
    }
    pass(2s);
    EXPECT_EQ(carrying(here_), "dd");
    sent_[0] = 0;
    pass(300s);
    EXPECT_EQ(carrying(here_), "dd");
    EXPECT_GE(sent_[0], 18U);
    EXPECT_LE(sent_[0], 24U);
    swallows_[0] = true;
    pass(85s);
    pass(10s);
    EXPECT_EQ(carrying(here_), "-d") << "three times thirty seconds";
}

TEST(LacpFrame, WhatIsNoWholeLacpduIsNone) {
    std::array<std::uint8_t, kFrameBytes> frame;
    write(frame, kHere, {});
    EXPECT_TRUE(read(frame));
    EXPECT_EQ(frame[0], 0x01);
    EXPECT_EQ(frame[5], 0x02);
    EXPECT_FALSE(read(std::span(frame).first(kFrameBytes - 1)));
    for (const std::size_t at : {12U, 14U, 16U, 17U, 36U, 37U}) {
        auto damaged = frame;
        damaged[at] ^= 0x40;
        EXPECT_FALSE(read(damaged)) << at;
    }
    frame[15] = 2;
    EXPECT_TRUE(read(frame)) << "a later version";
}

}  // namespace
}  // namespace guideway::net::lacp
