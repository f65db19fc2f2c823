// Tries, pauses, deadlines, kept connections and tokens, against a server that fails as servers do.
#include "api/client/transport.h"

#include <filesystem>
#include <fstream>
#include <future>

#include <gtest/gtest.h>

#include "tests/unit/api/client/fake_clock.h"
#include "tests/unit/api/client/fake_server.h"

namespace guideway::client {
namespace {

using std::chrono::seconds;
using testing::FakeClock;
using testing::FakeServer;
using testing::Manner;

const std::string kBusy = R"({"status": 429, "reason": "TooManyRequests", "detail": "slowly"})";
const std::string kAway = R"({"status": 503, "reason": "Unavailable", "detail": "soon"})";

Request put() { return {.method = "PUT", .path = "/x", .body = "{}", .content_type = "application/json"}; }
Request post() {
    return {.method = "POST", .path = "/x", .body = "{}", .content_type = "application/json", .repeatable = false};
}
Request get() { return {.path = "/x"}; }

class TransportTest : public ::testing::Test {
  protected:
    Options options(Milliseconds retry_for = Milliseconds(0)) {
        return {.server = server.url(), .retry_for = retry_for, .clock = time.clock()};
    }
    FakeServer server;
    FakeClock time;
};

TEST_F(TransportTest, PausesGrowUntilTheTimeForThemIsOver) {
    server.answer("GET /x", {{503, kAway}});
    Transport transport(options(seconds(1)));
    EXPECT_EQ(transport.ask(get()).value().status, 503);
    EXPECT_EQ(time.pauses(), (std::vector<Milliseconds::rep>{49, 99, 199, 399}));
    EXPECT_EQ(server.seen().size(), 5U);
}

TEST_F(TransportTest, RetryAfterIsALowerBoundOfThePause) {
    server.answer("POST /x", {{429, kBusy, {{"Retry-After", "3"}}}, {200, "{}"}});
    Transport transport(options(seconds(10)));
    EXPECT_EQ(transport.ask(post()).value().status, 200);
    EXPECT_EQ(time.pauses(), (std::vector<Milliseconds::rep>{3000}));
}

TEST_F(TransportTest, ARetryAfterBeyondTheTimeIsNotWaitedFor) {
    server.answer("GET /x", {{429, kBusy, {{"Retry-After", "60"}}}});
    Transport transport(options(seconds(10)));
    EXPECT_EQ(transport.ask(get()).value().status, 429);
    EXPECT_TRUE(time.pauses().empty());
}

TEST_F(TransportTest, ALostAnswerIsTriedAgainOnlyWhereTwiceIsTheSameAsOnce) {
    for (const Manner manner : {Manner::drop, Manner::half}) {
        server.answer("PUT /x", {{200, "{\"a\": 1}", {}, manner}, {200, "{}"}});
        server.answer("POST /x", {{200, "{\"a\": 1}", {}, manner}, {200, "{}"}});
        Transport transport(options(seconds(10)));
        const auto repeated = transport.ask(put());
        ASSERT_TRUE(repeated.ok());
        EXPECT_EQ(repeated.value().body, "{}");
        EXPECT_TRUE(repeated.value().after_lost);
        const auto once = transport.ask(post());
        ASSERT_FALSE(once.ok());
        EXPECT_EQ(once.problem().reason, "ConnectionLost");
        EXPECT_NE(once.problem().detail.find("whether the change was made"), std::string::npos);
    }
}

TEST_F(TransportTest, A503IsNotTriedAgainForWhatMustNotBeDoneTwice) {
    server.answer("POST /x", {{503, kAway}, {200, "{}"}});
    EXPECT_EQ(Transport(options(seconds(10))).ask(post()).value().status, 503);
}

TEST_F(TransportTest, WhereNobodyListensEverythingIsTriedAgain) {
    server.answer("POST /x", {{200, "{}"}});
    server.stop();
    Clock clock = time.clock();
    int pauses = 0;
    clock.sleep = [&, sleep = clock.sleep](Milliseconds pause) {
        sleep(pause);
        if (++pauses == 3) server.start();
    };
    Transport transport({.server = server.url(), .retry_for = seconds(10), .clock = clock});
    EXPECT_EQ(transport.ask(post()).value().status, 200);
    EXPECT_EQ(pauses, 3);
}

TEST_F(TransportTest, AKeptConnectionThatTheServerClosedCostsNothing) {
    server.answer("PUT /x", {{200, "{}"}});
    Transport transport(options());
    ASSERT_TRUE(transport.ask(put()).ok());
    ASSERT_TRUE(transport.ask(put()).ok());
    EXPECT_EQ(server.connections(), 1U);
    server.close_idle();
    EXPECT_TRUE(transport.ask(put()).ok());
    EXPECT_EQ(server.connections(), 2U);
}

TEST_F(TransportTest, AKeptConnectionThatEndsOverTheRequestIsTakenUpOnceUnasked) {
    server.answer("PUT /x", {{200, "{}"}, {200, "{}", {}, Manner::drop}, {200, "{}"}, {200, "{}", {}, Manner::drop}});
    Transport transport(options());
    ASSERT_TRUE(transport.ask(put()).ok());
    EXPECT_TRUE(transport.ask(put()).ok());
    EXPECT_EQ(transport.ask(put()).problem().reason, "ConnectionLost");
    EXPECT_EQ(server.seen().size(), 5U);
}

TEST_F(TransportTest, TheDeadlineBoundsTriesAndPauses) {
    server.answer("GET /x", {{503, kAway}});
    Options bounded = options(seconds(100));
    bounded.deadline = Milliseconds(500);
    EXPECT_EQ(Transport(bounded).ask(get()).value().status, 503);
    EXPECT_EQ(time.pauses(), (std::vector<Milliseconds::rep>{49, 99, 199}));
}

TEST_F(TransportTest, AServerThatDoesNotAnswerIsATimeout) {
    server.answer("PUT /x", {{200, "{}", {}, Manner::stall}});
    Transport transport({.server = server.url(), .read_timeout = seconds(60), .deadline = Milliseconds(100)});
    const auto result = transport.ask(put());
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.problem().reason, "Timeout") << result.problem().detail;
}

TEST_F(TransportTest, CancelEndsACallAndAllLaterOnes) {
    server.answer("GET /x", {{200, "{}", {}, Manner::stall}});
    Transport transport({.server = server.url()});
    auto call = std::async(std::launch::async, [&] { return transport.ask(get()); });
    ASSERT_TRUE(server.wait_for_requests(1));
    transport.cancel();
    EXPECT_EQ(call.get().problem().reason, "Cancelled");
    EXPECT_EQ(transport.ask(get()).problem().reason, "Cancelled");
}

TEST_F(TransportTest, CancelEndsAPause) {
    server.answer("GET /x", {{503, kAway, {{"Retry-After", "1000"}}}});
    Transport transport({.server = server.url(), .retry_for = std::chrono::hours(1)});
    auto call = std::async(std::launch::async, [&] { return transport.ask(get()); });
    ASSERT_TRUE(server.wait_for_requests(1));
    transport.cancel();
    EXPECT_EQ(call.get().problem().reason, "Cancelled");
}

TEST_F(TransportTest, ASinkThatHasEnoughEndsTheCall) {
    server.answer("GET /x", {testing::stream_of("one"), {200, "{}"}});
    Transport transport(options());
    std::string got;
    Request request = get();
    request.sink = [&](std::string_view bytes) {
        got += bytes;
        return false;
    };
    EXPECT_EQ(transport.ask(request).value().status, 200);
    EXPECT_EQ(got, "one");
    EXPECT_EQ(transport.ask(get()).value().body, "{}");
}

TEST_F(TransportTest, WhatASinkWasGivenIsNotGivenAgain) {
    server.answer("GET /x", {{200, "half of it", {}, Manner::half}, {200, "half of it"}});
    Transport transport(options(seconds(10)));
    std::string got;
    Request request = get();
    request.sink = [&](std::string_view bytes) { return got += bytes, true; };
    EXPECT_EQ(transport.ask(request).problem().reason, "ConnectionLost");
    EXPECT_EQ(got, "half ");
}

TEST_F(TransportTest, ProblemsOfAuthorityNameTheTokenThatWasUsed) {
    server.answer("GET /x", {{401, R"({"status": 401, "reason": "Unauthorized", "detail": "who are you?"})"}});
    const auto detail = [&](Options wanted) {
        Transport transport(std::move(wanted));
        return transport.problem_of(transport.ask(get()).value()).detail;
    };
    EXPECT_EQ(detail(options()), "who are you? (no token was sent)");
    Options given = options();
    given.token = "gw_1";
    given.token_origin = "the environment variable GUIDEWAY_TOKEN";
    EXPECT_EQ(detail(given), "who are you? (the token sent is that of the environment variable GUIDEWAY_TOKEN)");
    EXPECT_EQ(server.seen().back().headers.at("authorization"), "Bearer gw_1");
}

TEST_F(TransportTest, TheTokenNeverGoesToAnotherMachineInTheClear) {
    Options far = options();
    far.server = "http://192.0.2.1:8870";
    far.token = "gw_1";
    EXPECT_EQ(Transport(far).ask(get()).problem().reason, "InsecureServer");
}

TEST_F(TransportTest, ATokenThatWouldBreakTheHeaderIsRefused) {
    Options wrong = options();
    wrong.token = "gw_1\r\nX-Other: 1";
    const auto problem = Transport(wrong).ask(get()).problem();
    EXPECT_EQ(problem.reason, "InvalidToken");
    EXPECT_EQ(problem.detail.find("gw_1"), std::string::npos) << "a secret must not be repeated";
}

class TokenFileTest : public TransportTest {
  protected:
    void SetUp() override {
        std::string name = std::filesystem::temp_directory_path() / "guideway-token-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder = name;
        write("gw_old");
    }
    void TearDown() override { std::filesystem::remove_all(folder); }
    void write(const std::string& token) {
        const std::filesystem::path fresh = folder / "fresh";
        std::ofstream(fresh) << token << '\n';
        std::filesystem::permissions(fresh, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
        std::filesystem::rename(fresh, file());
    }
    std::string file() const { return folder / "token"; }
    std::string sent() const { return server.seen().back().headers.at("authorization"); }
    std::filesystem::path folder;
};

TEST_F(TokenFileTest, IsReadAgainWhenItChanges) {
    server.answer("GET /x", {{200, "{}"}});
    Options wanted = options();
    wanted.token_file = file();
    Transport transport(wanted);
    ASSERT_TRUE(transport.ask(get()).ok());
    EXPECT_EQ(sent(), "Bearer gw_old");
    write("gw_new");
    ASSERT_TRUE(transport.ask(get()).ok());
    EXPECT_EQ(sent(), "Bearer gw_new");
}

TEST_F(TokenFileTest, ARotationBetweenReadingAndAskingIsNoProblem) {
    const std::string refused = R"({"status": 401, "reason": "Unauthorized", "detail": "who are you?"})";
    server.answer("GET /x", {{401, refused}, {200, "{}"}, {401, refused}});
    Options wanted = options();
    wanted.token_file = file();
    wanted.clock.now = [this, first = true]() mutable {
        // Time is asked for after the token was read and before the answer: here it changes.
        if (!server.seen().empty() && std::exchange(first, false)) write("gw_new");
        return std::chrono::steady_clock::now();
    };
    Transport transport(wanted);
    EXPECT_EQ(transport.ask(get()).value().status, 200);
    EXPECT_EQ(sent(), "Bearer gw_new");
    const auto last = transport.ask(get());
    EXPECT_EQ(last.value().status, 401);
    EXPECT_EQ(server.seen().size(), 3U) << "the same token is not tried twice";
    EXPECT_NE(transport.problem_of(last.value()).detail.find("the token sent is that in " + file()), std::string::npos);
}

TEST_F(TokenFileTest, WhatCannotBeReadIsToldWithItsPath) {
    Options wanted = options();
    wanted.token_file = folder / "none";
    const auto problem = Transport(wanted).ask(get()).problem();
    EXPECT_EQ(problem.reason, "TokenUnreadable");
    EXPECT_NE(problem.detail.find(wanted.token_file), std::string::npos) << problem.detail;
    EXPECT_TRUE(server.seen().empty());
}

}  // namespace
}  // namespace guideway::client
