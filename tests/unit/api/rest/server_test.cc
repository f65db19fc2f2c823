#include "api/rest/server.h"

#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/unit/api/rest/fake_appliance.h"
#include "tests/unit/api/rest/raw_client.h"

namespace guideway::rest {
namespace {

class Observed : public RequestObserver {
  public:
    void observe(std::string_view method, std::string_view route, int status, double seconds) override {
        EXPECT_GE(seconds, 0);
        const std::lock_guard lock(mutex_);
        seen_.push_back(std::string(method) + " " + std::string(route) + " " + std::to_string(status));
        changed_.notify_all();
    }
    std::vector<std::string> await(std::size_t count) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::milliseconds(kGenerousMilliseconds),
                          [&] { return seen_.size() >= count; });
        return seen_;
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> seen_;
};

class ServerTest : public testing::Test {
  protected:
    Server& start(ServerOptions options = {}) {
        server_ = std::make_unique<Server>(appliance_, options, &observed_);
        const Started started = server_->start("127.0.0.1", 0);
        EXPECT_TRUE(started.ok()) << started.error;
        port_ = started.port;
        return *server_;
    }
    std::string ask(const std::string& bytes) {
        RawClient client(port_);
        EXPECT_TRUE(client.send(bytes));
        return client.read_all();
    }

    FakeAppliance appliance_;
    Observed observed_;
    std::unique_ptr<Server> server_;
    std::uint16_t port_ = 0;
};

TEST_F(ServerTest, AnswersOverHttp) {
    start();
    const std::string answer = ask(put("/v1/nodes/node-1", kNode, "Connection: close\r\n"));
    EXPECT_EQ(status_of(answer), 201) << answer;
    EXPECT_NE(answer.find("ETag: \"1\"\r\n"), std::string::npos) << answer;
    EXPECT_NE(answer.find("Content-Type: application/json\r\n"), std::string::npos) << answer;
    EXPECT_EQ(body_of(answer).at("metadata").at("name"), "node-1");
    EXPECT_EQ(status_of(ask(get_and_close("/v1/nodes/node-1"))), 200);
}

TEST_F(ServerTest, ServesManyRequestsOnOneConnection) {
    start();
    RawClient client(port_);
    for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(client.send(put("/v1/nodes/n" + std::to_string(i), kNode)));
        const std::string answer = client.read_until("\"spec\"");
        ASSERT_EQ(status_of(answer), 201) << answer;
        client.read_until("}}");
    }
    ASSERT_TRUE(client.send(get("/healthz") + get_and_close("/healthz")));  // two at once
    const std::string both = client.read_all();
    EXPECT_NE(both.find("ok\nHTTP/1.1 200"), std::string::npos) << both;
}

TEST_F(ServerTest, HeadAnswersLikeGetWithoutTheBody) {
    start();
    const std::string answer = ask("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(status_of(answer), 200);
    EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

TEST_F(ServerTest, DeleteAnswers204WithoutBody) {
    start();
    const std::string answer = ask("DELETE /v1/nodes/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(status_of(answer), 204) << answer;
    EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

TEST_F(ServerTest, EveryErrorIsAProblemDocument) {
    start();
    const std::string big(2'500'000, 'x');  // the bound is 2 MiB
    std::string many_fields;
    for (int i = 0; i < 10'000; ++i) many_fields += "X: y\r\n";
    const struct {
        std::string request;
        int status;
    } cases[] = {
        {get_and_close("/nowhere"), 404},
        {"GARBAGE\r\n\r\n", 400},
        {"BREW /v1/nodes HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
        {"GET /v1/nodes HTTP/1.1\r\nConnection: close\r\n\r\n", 400},
        {"GET /%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
        {"GET /v1/nodes?a=%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
        {std::string("GET /v1\0/nodes HTTP/1.1\r\nHost: localhost\r\n\r\n", 44), 400},
        {"GET /v1/nodes HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 403},
        {"POST /v1/nodes HTTP/1.1\r\nHost: [::1]:8080\r\nContent-Length: 3\r\n\r\nabc", 405},
        {put("/v1/nodes/n", big), 413},
        {"PUT /v1/nodes/n HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", 415},
        {"PUT /v1/nodes/n HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400},
        {"PUT /v1/nodes/n HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
         400},
        {"PUT /v1/nodes/n HTTP/1.1\r\nHost: localhost\r\nContent-Length: -2\r\n\r\n{}", 400},
        {"PUT /v1/nodes/n HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n",
         400},
        {"GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 414},
        {std::string(100'000, 'a'), 414},
        {get("/healthz", "X: " + std::string(9000, 'a') + "\r\n"), 431},
        {get("/healthz", many_fields), 431},
    };
    for (const auto& one : cases) {
        const std::string answer = ask(one.request);
        EXPECT_EQ(status_of(answer), one.status) << one.request.substr(0, 120) << "\n" << answer;
        EXPECT_NE(answer.find("Content-Type: application/problem+json"), std::string::npos) << answer;
        const nlohmann::json problem = body_of(answer);
        ASSERT_TRUE(problem.is_object()) << one.request.substr(0, 120) << "\n" << answer;
        EXPECT_EQ(problem.value("status", 0), one.status) << answer;
    }
}

TEST_F(ServerTest, ABodyThatIsNotReadIsNeverTakenForARequest) {
    start();
    const std::string inner = get("/metrics");
    const std::string answer =
        ask("GET /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(inner.size()) + "\r\n\r\n" +
            inner);
    EXPECT_EQ(status_of(answer), 404);
    EXPECT_EQ(answer.find("guideway_up"), std::string::npos) << answer;
    EXPECT_NE(answer.find("Connection: close"), std::string::npos) << answer;
}

TEST_F(ServerTest, TakesChunkedBodiesWithinTheBound) {
    start();
    const std::string head =
        "PUT /v1/nodes/n HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: "
        "chunked\r\n\r\n";
    const std::string body = kNode;
    char size[16];
    std::snprintf(size, sizeof size, "%zx\r\n", body.size());
    EXPECT_EQ(status_of(ask(head + size + body + "\r\n0\r\n\r\n")), 201);

    std::string endless = head;
    for (int i = 0; i < 40; ++i) endless += "10000\r\n" + std::string(0x10000, ' ') + "\r\n";
    EXPECT_EQ(status_of(ask(endless)), 413);
}

TEST_F(ServerTest, ExpectContinueIsAnsweredBeforeTheBodyComes) {
    start();
    RawClient client(port_);
    const std::string body = kNode;
    ASSERT_TRUE(
        client.send("PUT /v1/nodes/n HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    "Expect: 100-continue\r\nConnection: close\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n"));
    EXPECT_EQ(status_of(client.read_until("\r\n\r\n")), 100);
    ASSERT_TRUE(client.send(body));
    EXPECT_EQ(status_of(client.read_all()), 201);
}

TEST_F(ServerTest, RangesAreNotServed) {
    start();
    const std::string answer = ask(get("/metrics", "Range: bytes=0-1,0-1,0-1\r\nConnection: close\r\n"));
    EXPECT_EQ(status_of(answer), 200);
    EXPECT_NE(answer.find("guideway_up 1\n"), std::string::npos) << answer;
}

TEST_F(ServerTest, AFailureInsideIsA500WithoutItsWords) {
    appliance_.throws = true;
    start();
    const std::string answer = ask(get_and_close("/v1/nodes/n"));
    EXPECT_EQ(status_of(answer), 500);
    EXPECT_EQ(answer.find("the test's own failure"), std::string::npos);
    EXPECT_EQ(body_of(answer).at("reason"), "InternalError");
}

TEST_F(ServerTest, SlowClientsDoNotKeepAnotherFromItsAnswer) {
    // The slow ones fill every connection; none of them would ever finish within the test.
    ServerOptions options;
    options.max_connections = 64;
    options.request_timeout = std::chrono::minutes(10);
    options.idle_timeout = std::chrono::minutes(10);
    start(options);
    std::vector<RawClient> slow;
    for (int i = 0; i < 64; ++i) {
        slow.emplace_back(port_);
        ASSERT_TRUE(slow.back().connected());
        ASSERT_TRUE(slow.back().send("GET /v1/nodes HTTP/1.1\r\nHost: loc"));
    }
    for (int i = 0; i < 5; ++i) EXPECT_EQ(status_of(ask(get_and_close("/healthz"))), 200);
    // Some were closed for it; the youngest is still there and may finish.
    EXPECT_TRUE(std::any_of(slow.begin(), slow.end(), [](const RawClient& client) { return client.closed(); }));
    EXPECT_FALSE(slow.back().closed());
    ASSERT_TRUE(slow.back().send("alhost\r\nConnection: close\r\n\r\n"));
    EXPECT_EQ(status_of(slow.back().read_all()), 200);
}

TEST_F(ServerTest, ARequestHasOneDeadlineHoweverItTrickles) {
    ServerOptions options;
    options.request_timeout = std::chrono::milliseconds(50);
    start(options);
    for (const char* part : {"GET /heal", "GET /healthz HTTP/1.1\r\nHost: local",
                             "PUT /v1/nodes/n HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                             "Content-Length: 100\r\n\r\n{"}) {
        EXPECT_EQ(status_of(ask(part)), 408) << part;
    }
}

TEST_F(ServerTest, AnIdleConnectionIsClosed) {
    ServerOptions options;
    options.idle_timeout = std::chrono::milliseconds(20);
    start(options);
    EXPECT_EQ(ask(""), "");
}

TEST_F(ServerTest, WhereEveryConnectionIsBeingAnsweredANewOneIsToldSo) {
    std::mutex mutex;
    std::condition_variable changed;
    int inside = 0;
    bool release = false;
    appliance_.on_list_nodes = [&] {
        std::unique_lock lock(mutex);
        ++inside;
        changed.notify_all();
        changed.wait(lock, [&] { return release; });
    };
    ServerOptions options;
    options.max_connections = 2;
    start(options);
    RawClient first(port_), second(port_);
    ASSERT_TRUE(first.send(get_and_close("/v1/nodes")) && second.send(get_and_close("/v1/nodes")));
    {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return inside == 2; });
    }
    const std::string refused = RawClient(port_).read_all();
    EXPECT_EQ(status_of(refused), 503);
    EXPECT_EQ(body_of(refused).at("reason"), "TooManyConnections");
    {
        const std::lock_guard lock(mutex);
        release = true;
        changed.notify_all();
    }
    EXPECT_EQ(status_of(first.read_all()), 200);
    EXPECT_EQ(status_of(second.read_all()), 200);
}

TEST_F(ServerTest, WaitsAreBoundedOnTheirOwn) {
    ServerOptions options;
    options.max_waiting_requests = 1;
    start(options);
    RawClient waiting(port_);
    ASSERT_TRUE(waiting.send(get_and_close("/v1/status?wait=60")));
    appliance_.await_waits(1);
    const std::string refused = ask(get_and_close("/v1/status?wait=60"));
    EXPECT_EQ(status_of(refused), 503);
    EXPECT_EQ(body_of(refused).at("reason"), "TooManyWaiting");
    appliance_.set_forwarding(true);
    const std::string answer = waiting.read_all();
    EXPECT_EQ(status_of(answer), 200);
    EXPECT_NE(answer.find("Guideway-Forwarding: true"), std::string::npos);
}

TEST_F(ServerTest, StopAnswersWhatIsUnderWayAndTakesNothingNew) {
    std::mutex mutex;
    std::condition_variable changed;
    bool inside = false, release = false;
    appliance_.on_list_nodes = [&] {
        std::unique_lock lock(mutex);
        inside = true;
        changed.notify_all();
        changed.wait(lock, [&] { return release; });
    };
    Server& server = start();
    RawClient idle(port_), half(port_), busy(port_);
    ASSERT_TRUE(half.send("GET /v1/no"));
    ASSERT_TRUE(busy.send(get("/v1/nodes")));
    {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return inside; });
    }
    std::thread stopper([&] { server.stop(); });
    EXPECT_EQ(idle.read_all(), "");
    EXPECT_EQ(half.read_all(), "");
    EXPECT_FALSE(RawClient(port_).connected());
    {
        const std::lock_guard lock(mutex);
        release = true;
        changed.notify_all();
    }
    EXPECT_EQ(status_of(busy.read_all()), 200);
    stopper.join();
    server.stop();  // again: harmless
}

TEST_F(ServerTest, StopCutsWaitsShort) {
    Server& server = start();
    RawClient waiting(port_);
    ASSERT_TRUE(waiting.send(get("/v1/status?wait=60")));
    appliance_.await_waits(1);
    server.stop();
    EXPECT_EQ(status_of(waiting.read_all()), 200);
}

TEST_F(ServerTest, ManyClientsAtOnce) {
    start();
    std::atomic<int> good = 0;
    std::vector<std::thread> clients;
    for (int i = 0; i < 8; ++i) {
        clients.emplace_back([&, i] {
            for (int j = 0; j < 25; ++j) {
                const std::string path = "/v1/nodes/n" + std::to_string(i) + "-" + std::to_string(j);
                if (status_of(ask(put(path, kNode, "Connection: close\r\n"))) == 201 &&
                    status_of(ask(get_and_close(path))) == 200) {
                    ++good;
                }
            }
        });
    }
    for (std::thread& client : clients) client.join();
    EXPECT_EQ(good, 200);
}

TEST_F(ServerTest, TheObserverSeesMethodRouteAndStatus) {
    start();
    ask(put("/v1/nodes/n", kNode, "Connection: close\r\n"));
    ask(get_and_close("/v1/load-balancers/a/b"));
    ask("GARBAGE\r\n\r\n");
    EXPECT_EQ(observed_.await(3),
              (std::vector<std::string>{"PUT /v1/nodes/{name} 201", "GET /v1/load-balancers/{namespace}/{name} 404",
                                        "other other 400"}));
}

TEST(ServerStart, OnlyLoopbackIsListenedOn) {
    FakeAppliance appliance;
    Server server(appliance);
    for (const char* host : {"0.0.0.0", "192.0.2.1", "::", "example.com", ""}) {
        const Started started = server.start(host, 0);
        EXPECT_FALSE(started.ok()) << host;
        EXPECT_NE(started.error.find("listen address"), std::string::npos) << started.error;
    }
    EXPECT_TRUE(server.start("localhost", 0).ok());
}

TEST(ServerStart, AnAddressInUseIsSaid) {
    FakeAppliance appliance;
    Server one(appliance), two(appliance);
    const Started started = one.start("127.0.0.1", 0);
    ASSERT_TRUE(started.ok());
    EXPECT_EQ(two.start("127.0.0.1", started.port).error, "address in use: 127.0.0.1:" + std::to_string(started.port));
}

TEST(ServerStart, ListensOnIpv6Loopback) {
    FakeAppliance appliance;
    Server server(appliance);
    const Started started = server.start("::1", 0);
    EXPECT_TRUE(started.ok()) << started.error;
    EXPECT_GT(started.port, 0);
}

TEST(ServerStart, TheSamePortCanBeUsedAgainAfterAStop) {
    FakeAppliance appliance;
    Server first(appliance);
    const Started started = first.start("127.0.0.1", 0);
    RawClient client(started.port);
    client.send(get_and_close("/healthz"));
    client.read_all();
    first.stop();
    Server second(appliance);
    EXPECT_EQ(second.start("127.0.0.1", started.port).error, "");
}

}  // namespace
}  // namespace guideway::rest
