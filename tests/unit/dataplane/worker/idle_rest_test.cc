#include "dataplane/worker/idle_rest.h"

#include <gtest/gtest.h>

namespace guideway::worker {
namespace {

using Kind = IdleRest::Step::Kind;

IdleSettings small() {
    IdleSettings settings;
    settings.polls_before_pause = 2;
    settings.polls_before_sleep = 4;
    return settings;
}

TEST(IdleRest, ABusyWorkerNeverRests) {
    IdleSettings settings = small();
    settings.mode = IdleMode::busy;
    IdleRest rest(settings);
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(rest.after_poll(0).kind, Kind::none);
}

TEST(IdleRest, AnAdaptiveOneSpinsThenPausesThenSleepsLongerAndLonger) {
    IdleRest rest(small());
    for (const Kind expected : {Kind::none, Kind::none, Kind::pause, Kind::pause}) {
        EXPECT_EQ(rest.after_poll(0).kind, expected);
    }
    for (const std::uint32_t expected : {50U, 100U, 200U, 400U, 500U, 500U}) {
        const auto step = rest.after_poll(0);
        EXPECT_EQ(step.kind, Kind::sleep);
        EXPECT_EQ(step.microseconds, expected);
    }
}

TEST(IdleRest, OnePacketBringsItBackToFullSpeed) {
    IdleRest rest(small());
    for (int i = 0; i < 20; ++i) rest.after_poll(0);
    EXPECT_EQ(rest.after_poll(1).kind, Kind::none);
    EXPECT_EQ(rest.after_poll(0).kind, Kind::none);
    EXPECT_EQ(rest.after_poll(0).kind, Kind::none);
    EXPECT_EQ(rest.after_poll(0).kind, Kind::pause);
    EXPECT_EQ(rest.after_poll(0).kind, Kind::pause);
    EXPECT_EQ(rest.after_poll(0).microseconds, 50U);
}

}  // namespace
}  // namespace guideway::worker
