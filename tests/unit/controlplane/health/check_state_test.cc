#include "controlplane/health/check_state.h"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace guideway::health {
namespace {

using Time = std::chrono::system_clock::time_point;

Time at(int seconds) { return Time{std::chrono::seconds(1'000'000 + seconds)}; }

Result ok() { return {true, kOk, "answers 200", {}}; }
Result failure(const char* reason) { return {false, reason, "why", {}}; }

TEST(CheckState, WhatWasNotProbedCountsAsHealthy) {
    const CheckState state(at(0));
    EXPECT_TRUE(state.verdict().healthy);
    EXPECT_EQ(state.verdict().reason, kNotYetProbed);
    EXPECT_EQ(state.verdict().since, at(0));
    EXPECT_TRUE(state.undecided());
}

TEST(CheckState, Rule9TurnsAfterAsManyResultsInARowAsTheThresholdsSay) {
    struct Row {
        const char* why;
        Thresholds thresholds;
        std::string_view results;   // + ok, - failure
        std::string_view verdicts;  // after each: + healthy, - unhealthy
    };
    const std::vector<Row> rows = {
        {"the default: two failures, one success", {2, 1}, "+-+--+-", "++++-++"},
        {"a failure between successes turns nothing", {2, 1}, "-+-+-+", "++++++"},
        {"failures from the start", {2, 1}, "---", "+--"},
        {"one failure is enough", {1, 1}, "-+-", "-+-"},
        {"three successes are needed", {2, 3}, "--++-+++", "+------+"},
        {"a failure begins the count of successes anew", {1, 2}, "-+-++", "----+"},
    };
    for (const Row& row : rows) {
        CheckState state(at(0));
        std::string verdicts;
        for (const char one : row.results) {
            state.note(one == '+' ? ok() : failure(kRefused), row.thresholds, at(1));
            verdicts += state.verdict().healthy ? '+' : '-';
        }
        EXPECT_EQ(verdicts, row.verdicts) << row.why;
    }
}

TEST(CheckState, TellsOnlyWhatIsAnotherVerdict) {
    CheckState state(at(0));
    const Thresholds thresholds;
    EXPECT_TRUE(state.note(ok(), thresholds, at(1))) << "from NotYetProbed to Ok";
    EXPECT_FALSE(state.note(ok(), thresholds, at(2)));
    EXPECT_FALSE(state.note(failure(kRefused), thresholds, at(3))) << "one failure says nothing";
    EXPECT_EQ(state.verdict().reason, kOk);
    EXPECT_TRUE(state.note(failure(kTimeout), thresholds, at(4)));
    EXPECT_EQ(state.verdict().reason, kTimeout) << "the newest reason, not the first";
    EXPECT_TRUE(state.note(failure(kRefused), thresholds, at(5))) << "another reason is news";
    EXPECT_FALSE(state.note(failure(kRefused), thresholds, at(6)));
}

TEST(CheckState, SinceIsWhenItTurned) {
    CheckState state(at(0));
    state.note(ok(), {}, at(1));
    EXPECT_EQ(state.verdict().since, at(0)) << "healthy all the time";
    state.note(failure(kRefused), {}, at(2));
    state.note(failure(kRefused), {}, at(3));
    EXPECT_EQ(state.verdict().since, at(3));
    state.note(failure(kTimeout), {}, at(4));
    EXPECT_EQ(state.verdict().since, at(3)) << "another reason is no other state";
    state.note(ok(), {}, at(5));
    EXPECT_EQ(state.verdict().since, at(5));
}

TEST(CheckState, AnotherNumberOfEndpointsIsNews) {
    CheckState state(at(0));
    Result two = ok();
    two.endpoints = 2;
    EXPECT_TRUE(state.note(two, {}, at(1)));
    EXPECT_FALSE(state.note(two, {}, at(2)));
    two.endpoints = 3;
    EXPECT_TRUE(state.note(two, {}, at(3)));
    EXPECT_EQ(state.verdict().endpoints, 3u);
}

}  // namespace
}  // namespace guideway::health
