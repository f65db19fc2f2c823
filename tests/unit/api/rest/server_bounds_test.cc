// Many, slow and greedy clients: who gives way, who is refused, and that others are served meanwhile.
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "api/rest/request_handler.h"
#include "api/rest/server.h"
#include "tests/unit/api/rest/raw_client.h"

namespace guideway::rest {
namespace {

constexpr std::chrono::minutes kLong{10};

/// What a stream's test says, when it says it.
class Pieces : public BodyStream {
  public:
    std::optional<std::string> next(std::chrono::milliseconds wait) override {
        std::unique_lock lock(mutex_);
        ++asked_;
        changed_.notify_all();
        changed_.wait_for(lock, wait, [&] { return !pieces_.empty() || ended_; });
        if (pieces_.empty()) return ended_ ? std::nullopt : std::optional<std::string>("");
        std::string piece = std::move(pieces_.front());
        if (!endless_) pieces_.erase(pieces_.begin());
        if (endless_) pieces_.front() = piece;
        return piece;
    }
    void say(std::string piece, bool endless = false) {
        const std::lock_guard lock(mutex_);
        pieces_.push_back(std::move(piece));
        endless_ = endless;
        changed_.notify_all();
    }
    void end() {
        const std::lock_guard lock(mutex_);
        ended_ = true;
        changed_.notify_all();
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> pieces_;
    bool endless_ = false;
    bool ended_ = false;
    int asked_ = 0;
};

/// /quick answers, /wait waits for the test, /big is longer than any socket's buffer, /watch goes on.
class Lab : public RequestHandler {
  public:
    std::optional<Response> answer_early(const Request& request) override { return answer(request); }
    Response answer(const Request& request) override {
        Response response;
        response.content_type = "text/plain";
        response.route = request.target.substr(0, request.target.find('/', 1));
        if (request.target == "/wait") {
            std::unique_lock lock(mutex_);
            ++waiting_;
            changed_.notify_all();
            changed_.wait(lock, [&] { return released_; });
        }
        response.body = request.target == "/big" ? std::string(64U << 20, 'x') : "ok\n";
        if (request.target.starts_with("/watch")) {
            response.content_type = "text/event-stream";
            response.headers.emplace_back("Cache-Control", "no-store");
            response.stream = pieces;
        }
        return response;
    }
    void end_waits() override {}

    void await_waiting(int count) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return waiting_ >= count; });
    }
    void release() {
        const std::lock_guard lock(mutex_);
        released_ = true;
        changed_.notify_all();
    }
    std::shared_ptr<Pieces> pieces = std::make_shared<Pieces>();

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int waiting_ = 0;
    bool released_ = false;
};

class Counts : public RequestObserver {
  public:
    void observe(std::string_view method, std::string_view route, int status, double) override {
        add(std::string(method) + " " + std::string(route) + " " + std::to_string(status), 1);
    }
    void in_flight(int change) override { add("in flight", change); }
    void streams(int change) override { add("streams", change); }
    void connections(int change) override { add("connections", change); }
    void connection_shed(std::string_view why) override { add(std::string(why), 1); }
    void throttled(std::string_view what) override { add("throttled " + std::string(what), 1); }
    bool await(const std::string& what, int count) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::milliseconds(kGenerousMilliseconds),
                                 [&] { return counts_[what] == count; });
    }
    int of(const std::string& what) {
        const std::lock_guard lock(mutex_);
        return counts_[what];
    }

  private:
    void add(const std::string& what, int change) {
        const std::lock_guard lock(mutex_);
        counts_[what] += change;
        changed_.notify_all();
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::string, int> counts_;
};

class ServerBoundsTest : public testing::Test {
  protected:
    static ServerOptions patient() {
        ServerOptions options;
        options.idle_timeout = options.request_timeout = options.write_timeout = kLong;
        return options;
    }
    void start(const ServerOptions& options) {
        auto lab = std::make_unique<Lab>();
        lab_ = lab.get();
        server_ = std::make_unique<Server>(std::move(lab), options, &counts_);
        const Started started = server_->start("127.0.0.1", 0);
        ASSERT_TRUE(started.ok()) << started.error;
        port_ = started.port;
    }
    std::string ask(const std::string& bytes, std::uint8_t from = 1) {
        RawClient client(port_, from);
        EXPECT_TRUE(client.send(bytes));
        return client.read_all();
    }

    Counts counts_;
    Lab* lab_ = nullptr;
    std::unique_ptr<Server> server_;
    std::uint16_t port_ = 0;
};

TEST_F(ServerBoundsTest, OneAddressHasItsShareAndOthersTheirs) {
    ServerOptions options = patient();
    options.max_connections_per_loopback_peer = 2;
    start(options);
    std::vector<RawClient> greedy;
    for (int i = 0; i < 2; ++i) {
        greedy.emplace_back(port_, 2);
        ASSERT_TRUE(greedy.back().send(get_and_close("/wait")));
    }
    lab_->await_waiting(2);
    RawClient third(port_, 2);
    const std::string refused = third.read_all();
    EXPECT_EQ(status_of(refused), 429) << refused;
    EXPECT_EQ(body_of(refused).at("reason"), "TooManyConnections");
    EXPECT_NE(refused.find("Retry-After: 1"), std::string::npos);
    EXPECT_EQ(counts_.of("peer_busy"), 1);
    EXPECT_EQ(status_of(ask(get_and_close("/quick"), 3)), 200);
    lab_->release();
    for (RawClient& client : greedy) EXPECT_EQ(status_of(client.read_all()), 200);
    EXPECT_TRUE(counts_.await("connections", 0));
    EXPECT_EQ(status_of(ask(get_and_close("/quick"), 2)), 200) << "its places are free again";
}

TEST_F(ServerBoundsTest, AnAddressAtItsBoundGivesWayToItself) {
    ServerOptions options = patient();
    options.max_connections_per_loopback_peer = 3;
    start(options);
    RawClient other(port_, 3);
    ASSERT_TRUE(other.send("GET /quick HTTP/1.1\r\nHost: loc"));
    std::vector<RawClient> slow;
    for (int i = 0; i < 20; ++i) {
        slow.emplace_back(port_, 2);
        slow.back().send("GET /quick HTTP/1.1\r\nHost: loc");
    }
    EXPECT_TRUE(counts_.await("gave_way", 17));
    EXPECT_EQ(counts_.of("peer_busy"), 0);
    EXPECT_FALSE(other.closed()) << "nobody else's connection is taken";
    ASSERT_TRUE(slow.back().send("alhost\r\nConnection: close\r\n\r\n"));
    EXPECT_EQ(status_of(slow.back().read_all()), 200);
}

TEST_F(ServerBoundsTest, WhatIsBeingAnsweredNeverGivesWay) {
    ServerOptions options = patient();
    options.max_connections = 4;
    start(options);
    RawClient busy(port_);
    ASSERT_TRUE(busy.send(get_and_close("/wait")));
    lab_->await_waiting(1);
    for (int i = 0; i < 20; ++i) {
        RawClient slow(port_);
        slow.send("GET /qu");
    }
    for (int i = 0; i < 5; ++i) EXPECT_EQ(status_of(ask(get_and_close("/quick"))), 200);
    lab_->release();
    EXPECT_EQ(status_of(busy.read_all()), 200);
}

TEST_F(ServerBoundsTest, AHalfRequestGivesWayBeforeAClientThatWasJustLetIn) {
    ServerOptions options = patient();
    options.max_connections = 2;
    start(options);
    RawClient half(port_);
    ASSERT_TRUE(half.send("GET /qu"));
    // Reading, not idle: else the next one would take the place of either.
    ASSERT_TRUE(counts_.await("connections", 1));
    RawClient fresh(port_);
    ASSERT_TRUE(counts_.await("connections", 2));
    RawClient third(port_);
    ASSERT_TRUE(third.send(get_and_close("/quick")));
    EXPECT_EQ(status_of(third.read_all()), 200);
    EXPECT_EQ(half.read_all(), "");
    EXPECT_FALSE(fresh.closed());
}

TEST_F(ServerBoundsTest, ClientsThatDoNotTakeTheirAnswerAreCut) {
    ServerOptions options = patient();
    options.write_timeout = std::chrono::milliseconds(100);
    start(options);
    RawClient deaf(port_);
    ASSERT_TRUE(deaf.send(get("/big")));
    EXPECT_TRUE(counts_.await("connections", 1));
    EXPECT_TRUE(counts_.await("connections", 0)) << "it never reads, and is let go";
    EXPECT_EQ(counts_.of("in flight"), 0);
}

TEST_F(ServerBoundsTest, ThousandsOfConnectionsComeAndGo) {
    ServerOptions options = patient();
    options.max_connections = 64;
    start(options);
    std::vector<std::thread> attackers;
    std::atomic<bool> stop = false;
    for (std::uint8_t i = 0; i < 3; ++i) {
        attackers.emplace_back([&, i] {
            std::deque<RawClient> held;
            for (int j = 0; j < 1500 && !stop; ++j) {
                if (held.size() > 100) held.pop_front();
                held.emplace_back(port_, static_cast<std::uint8_t>(10 + i));
                held.back().send(j % 2 == 0 ? "GET /quick HT" : get("/quick"));
            }
        });
    }
    // A connection that nothing was read from yet may have to give way where the server comes late (a sanitizer, a busy machine). Then it gets no
    // answer at all, and a client asks again (RFC 9110, 9.2.2).
    int good = 0;
    for (int i = 0; i < 50; ++i) {
        std::string answer;
        for (int tries = 0; tries < 3 && answer.empty(); ++tries) {
            RawClient client(port_, 1);
            if (client.send(get_and_close("/quick"))) answer = client.read_all();
        }
        good += status_of(answer) == 200 ? 1 : 0;
    }
    EXPECT_EQ(good, 50);
    stop = true;
    for (std::thread& attacker : attackers) attacker.join();
    EXPECT_TRUE(counts_.await("connections", 0));
}

// ---------------------------------------------------------------------------------------------------- streams

TEST_F(ServerBoundsTest, AStreamIsSentPieceByPiece) {
    start(patient());
    RawClient client(port_);
    ASSERT_TRUE(client.send(get("/watch")));
    const std::string head = client.read_until("\r\n\r\n");
    EXPECT_EQ(status_of(head), 200);
    EXPECT_NE(head.find("Content-Type: text/event-stream\r\n"), std::string::npos) << head;
    EXPECT_NE(head.find("Transfer-Encoding: chunked\r\n"), std::string::npos) << head;
    EXPECT_NE(head.find("Cache-Control: no-store\r\n"), std::string::npos) << head;
    lab_->pieces->say("data: 1\n\n");
    EXPECT_EQ(client.read_until("\n\n\r\n"), "9\r\ndata: 1\n\n\r\n");
    lab_->pieces->say("data: 2\n\n");
    EXPECT_EQ(client.read_until("\n\n\r\n"), "9\r\ndata: 2\n\n\r\n");
    EXPECT_EQ(counts_.of("streams"), 1);
    EXPECT_EQ(counts_.of("in flight"), 0) << "a watch is no request under way";
    EXPECT_EQ(counts_.of("GET /watch 200"), 1) << "observed when it begins, not when it ends";
    lab_->pieces->end();
    EXPECT_EQ(client.read_all(), "0\r\n\r\n");
    EXPECT_TRUE(counts_.await("streams", 0));
    EXPECT_EQ(counts_.of("GET /watch 200"), 1);
}

TEST_F(ServerBoundsTest, AnOldClientGetsAStreamWithoutChunks) {
    start(patient());
    RawClient client(port_);
    ASSERT_TRUE(client.send("GET /watch HTTP/1.0\r\nHost: localhost\r\n\r\n"));
    lab_->pieces->say("data: 1\n\n");
    lab_->pieces->end();
    const std::string answer = client.read_all();
    EXPECT_TRUE(answer.ends_with("\r\n\r\ndata: 1\n\n")) << answer;
    EXPECT_EQ(answer.find("chunked"), std::string::npos);
}

TEST_F(ServerBoundsTest, HeadOfAStreamIsItsHead) {
    start(patient());
    const std::string answer = ask("HEAD /watch HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(status_of(answer), 200);
    EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
    EXPECT_EQ(counts_.of("streams"), 0);
}

TEST_F(ServerBoundsTest, AWatcherWhoDoesNotReadIsCut) {
    ServerOptions options = patient();
    options.write_timeout = std::chrono::milliseconds(100);
    start(options);
    RawClient deaf(port_);
    ASSERT_TRUE(deaf.send(get("/watch")));
    ASSERT_TRUE(counts_.await("streams", 1));
    lab_->pieces->say(std::string(1U << 20, 'x'), true);
    EXPECT_TRUE(counts_.await("streams", 0)) << "never buffered for ever";
}

TEST_F(ServerBoundsTest, AWatcherWhoLeavesIsNoticedInSilence) {
    start(patient());
    {
        RawClient client(port_);
        ASSERT_TRUE(client.send(get("/watch")));
        ASSERT_TRUE(counts_.await("streams", 1));
    }
    EXPECT_TRUE(counts_.await("streams", 0));
    EXPECT_TRUE(counts_.await("connections", 0));
}

TEST_F(ServerBoundsTest, WatchesAreBoundedByClientAndGiveTheirPlaceBack) {
    ServerOptions options = patient();
    options.max_streams_per_client = 2;
    start(options);
    std::vector<RawClient> watchers;
    for (int i = 0; i < 2; ++i) {
        watchers.emplace_back(port_);
        ASSERT_TRUE(watchers.back().send(get("/watch")));
        EXPECT_EQ(status_of(watchers.back().read_until("\r\n\r\n")), 200);
    }
    const std::string refused = ask(get("/watch"));
    EXPECT_EQ(status_of(refused), 429) << refused;
    EXPECT_EQ(body_of(refused).at("reason"), "TooManyWatches");
    EXPECT_NE(refused.find("Retry-After: "), std::string::npos);
    EXPECT_EQ(counts_.of("throttled streams"), 1);
    EXPECT_EQ(status_of(ask(get_and_close("/quick"))), 200);
    watchers.pop_back();
    EXPECT_TRUE(counts_.await("streams", 1));
    RawClient next(port_);
    ASSERT_TRUE(next.send(get("/watch")));
    EXPECT_EQ(status_of(next.read_until("\r\n\r\n")), 200);
}

TEST_F(ServerBoundsTest, AWatchNeverGivesWay) {
    ServerOptions options = patient();
    options.max_connections = 3;
    start(options);
    RawClient watcher(port_);
    ASSERT_TRUE(watcher.send(get("/watch")));
    ASSERT_TRUE(counts_.await("streams", 1));
    for (int i = 0; i < 30; ++i) {
        RawClient slow(port_, 2);
        slow.send("GET /qu");
    }
    EXPECT_EQ(status_of(ask(get_and_close("/quick"))), 200);
    lab_->pieces->say("still here\n");
    EXPECT_NE(watcher.read_until("still here").find("still here"), std::string::npos);
}

TEST_F(ServerBoundsTest, StopEndsStreamsAndSaysSo) {
    start(patient());
    RawClient client(port_), deaf(port_);
    ASSERT_TRUE(client.send(get("/watch")));
    client.read_until("\r\n\r\n");
    server_->stop();
    EXPECT_EQ(client.read_all(), "0\r\n\r\n");
    EXPECT_EQ(counts_.of("streams"), 0);
}

/// Lets everybody in until told otherwise.
class Door : public Authenticator {
  public:
    resources::Result<Caller> authenticate(const Credentials&) override {
        ++asked;
        if (closed) return resources::Problem{401, "TokenUnknown", "not any more", {}};
        return Caller{"somebody", Role::viewer, {}, {}};
    }
    std::atomic<bool> closed = false;
    std::atomic<int> asked = 0;
};

TEST_F(ServerBoundsTest, AWatchEndsWhenItsTokenIsTakenBack) {
    Door door;
    ServerOptions options = patient();
    options.stream_recheck = std::chrono::milliseconds(10);
    auto lab = std::make_unique<Lab>();
    lab_ = lab.get();
    server_ = std::make_unique<Server>(std::move(lab), options, &counts_, &door);
    port_ = server_->start("127.0.0.1", 0).port;
    RawClient client(port_);
    ASSERT_TRUE(client.send(get("/watch")));
    client.read_until("\r\n\r\n");
    lab_->pieces->say("x");
    client.read_until("x\r\n");
    door.closed = true;
    EXPECT_EQ(client.read_all(), "0\r\n\r\n");
    server_.reset();
}

}  // namespace
}  // namespace guideway::rest
