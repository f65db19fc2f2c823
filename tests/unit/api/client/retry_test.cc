#include "api/client/retry.h"

#include <gtest/gtest.h>

#include "api/client/server_url.h"

namespace guideway::client {
namespace {

using std::chrono::seconds;

TEST(Backoff, PausesGrowToTheLongestAndAreAtLeastHalf) {
    Backoff longest(Milliseconds(100), Milliseconds(500)), shortest(Milliseconds(100), Milliseconds(500));
    for (const int expected : {100, 200, 400, 500, 500}) {
        EXPECT_NEAR(static_cast<double>(longest.pause(0.99999).count()), expected, 1);
        EXPECT_EQ(shortest.pause(0).count(), expected / 2);
    }
    longest.reset();
    EXPECT_EQ(longest.pause(0).count(), 50);
}

TEST(Backoff, TheServersWordIsALowerBound) {
    Backoff backoff(Milliseconds(100), Milliseconds(500));
    EXPECT_EQ(backoff.pause(0, seconds(3)), seconds(3));
}

TEST(Retry, WhatMayHaveBeenDoneIsRepeatedOnlyWhereTwiceIsTheSameAsOnce) {
    EXPECT_TRUE(may_repeat(Outcome::not_sent, false));
    EXPECT_TRUE(may_repeat(Outcome::refused_now, false));
    EXPECT_FALSE(may_repeat(Outcome::lost, false));
    EXPECT_FALSE(may_repeat(Outcome::unavailable, false));
    EXPECT_TRUE(may_repeat(Outcome::lost, true));
    EXPECT_TRUE(may_repeat(Outcome::unavailable, true));
    EXPECT_FALSE(may_repeat(Outcome::answered, true));
    EXPECT_FALSE(may_repeat(Outcome::failed, true));
}

TEST(RetryAfter, SecondsOrADate) {
    EXPECT_EQ(parse_retry_after("7", seconds(0)), seconds(7));
    EXPECT_EQ(parse_retry_after("0", seconds(0)), seconds(0));
    EXPECT_EQ(parse_retry_after("99999999999999999999999", seconds(0)), seconds(86400));
    EXPECT_EQ(parse_retry_after("Fri, 02 Jan 1970 00:00:05 GMT", seconds(86400)), seconds(5));
    EXPECT_EQ(parse_retry_after("Thu, 01 Jan 1970 00:00:05 GMT", seconds(86400)), seconds(0));
    for (const char* text : {"", "-1", "1.5", "soon", "Fri, 02 Jan 1970 00:00:05 CET", "Fri, 02 Jan 1970"}) {
        EXPECT_EQ(parse_retry_after(text, seconds(0)), std::nullopt) << text;
    }
}

TEST(ServerUrl, WhatAPersonMayWrite) {
    EXPECT_EQ(parse_server_url("gw.example:8870/")->text(), "http://gw.example:8870");
    EXPECT_EQ(parse_server_url("https://gw.example")->text(), "https://gw.example:443");
    EXPECT_EQ(parse_server_url("https://[fd00:a::1]:8870")->text(), "https://[fd00:a::1]:8870");
    EXPECT_EQ(parse_server_url("https://[fd00:a::1]:8870")->host, "fd00:a::1");
    for (const char* text : {"", "/", "http://", "https://", "ftp://a", "HTTP://a", "http://a:99999", "http://a:0",
                             "http://a:", "http://a:1/v1", "foo bar", "unix:/run/x", "http://[::1",
                             "http://[127.0.0.1]:80", "http://:8870", "::1", "http://user@host:1", "http://a:+1"}) {
        EXPECT_FALSE(parse_server_url(text).has_value()) << text;
    }
}

TEST(ServerUrl, OnlyLoopbackIsLoopback) {
    for (const char* text : {"http://127.0.0.1:8870", "http://127.9.9.9", "http://localhost:1", "http://[::1]:1"}) {
        EXPECT_TRUE(parse_server_url(text)->is_loopback()) << text;
    }
    for (const char* text : {"http://127.example", "http://10.0.0.1", "http://localhost.example", "http://[fd00::1]"}) {
        EXPECT_FALSE(parse_server_url(text)->is_loopback()) << text;
    }
}

}  // namespace
}  // namespace guideway::client
