// Who may call, before the body is read; and what guessing and flooding cost the one who does it.
#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#include <gtest/gtest.h>

#include "api/rest/server.h"
#include "tests/unit/api/rest/fake_appliance.h"
#include "tests/unit/api/rest/raw_client.h"

namespace guideway::rest {
namespace {

class Keys : public Authenticator {
  public:
    resources::Result<Caller> authenticate(const Credentials& credentials) override {
        ++asked;
        if (!credentials.bearer) return resources::Problem{401, "TokenRequired", "send a token", {}};
        const std::lock_guard lock(mutex_);
        last_ = *credentials.bearer;
        if (*credentials.bearer == "good") return Caller{"good", Role::admin, {}, {}};
        if (*credentials.bearer == "other") return Caller{"other", Role::viewer, {}, {}};
        return resources::Problem{401, "TokenUnknown", "not known", {}};
    }
    std::string last() const {
        const std::lock_guard lock(mutex_);
        return last_;
    }
    std::atomic<int> asked = 0;

  private:
    mutable std::mutex mutex_;
    std::string last_;
};

class Counts : public RequestObserver {
  public:
    void observe(std::string_view, std::string_view route, int, double) override { add("route " + std::string(route)); }
    void login_refused(const std::string& peer, std::string_view reason) override {
        add(peer + " " + std::string(reason));
    }
    void change_refused(const Caller& caller, std::string_view method, std::string_view target,
                        const std::string& problem) override {
        add(caller.name + " " + std::string(method) + " " + std::string(target) + " " +
            nlohmann::json::parse(problem).value("reason", ""));
    }
    void throttled(std::string_view what) override { add("throttled " + std::string(what)); }
    int of(const std::string& what) {
        const std::lock_guard lock(mutex_);
        return counts_[what];
    }

  private:
    void add(const std::string& what) {
        const std::lock_guard lock(mutex_);
        ++counts_[what];
    }
    std::mutex mutex_;
    std::map<std::string, int> counts_;
};

class ServerAccessTest : public testing::Test {
  protected:
    void start(ServerOptions options = {}) {
        server_ = std::make_unique<Server>(appliance_, options, &counts_, &keys_);
        const Started started = server_->start("127.0.0.1", 0);
        ASSERT_TRUE(started.ok()) << started.error;
        port_ = started.port;
    }
    std::string ask(const std::string& bytes, std::uint8_t from = 1) {
        RawClient client(port_, from);
        EXPECT_TRUE(client.send(bytes));
        return client.read_all();
    }
    std::string ask_with(const std::string& authorization, std::uint8_t from = 1) {
        return ask(get("/v1/nodes", "Connection: close\r\nAuthorization: " + authorization + "\r\n"), from);
    }

    FakeAppliance appliance_;
    Keys keys_;
    Counts counts_;
    std::unique_ptr<Server> server_;
    std::uint16_t port_ = 0;
};

TEST_F(ServerAccessTest, OnlyHealthIsServedToAnybody) {
    ServerOptions options;
    options.failed_logins_per_minute = 0;
    start(options);
    EXPECT_EQ(status_of(ask(get_and_close("/healthz"))), 200);
    EXPECT_EQ(status_of(ask(get_and_close("/readyz"))), 200);
    EXPECT_EQ(keys_.asked, 0);
    for (const char* path : {"/v1/nodes", "/v1/status", "/metrics", "/nowhere", "/healthz/../v1/nodes", "/healthz/",
                             "//healthz", "/Healthz", "/%68ealthz", "/healthz%2f", "*"}) {
        const std::string answer = ask(get_and_close(path));
        EXPECT_EQ(status_of(answer), 401) << path << answer;
        EXPECT_NE(answer.find("WWW-Authenticate: Bearer realm=\"guideway\"\r\n"), std::string::npos) << answer;
        EXPECT_NE(answer.find("Content-Type: application/problem+json"), std::string::npos) << answer;
        EXPECT_EQ(body_of(answer).at("reason"), "TokenRequired");
    }
}

TEST_F(ServerAccessTest, ARightTokenIsServed) {
    start();
    EXPECT_EQ(status_of(ask_with("Bearer good")), 200);
    EXPECT_EQ(status_of(ask_with("bearer good")), 200) << "the scheme's case does not matter (RFC 9110 section 11.1)";
    EXPECT_EQ(status_of(ask_with("BEARER   good")), 200);
}

TEST_F(ServerAccessTest, AnotherFormIsRefusedByName) {
    start();
    const auto detail = [&](const std::string& authorization) {
        const std::string answer = ask_with(authorization);
        EXPECT_EQ(status_of(answer), 401) << answer;
        EXPECT_EQ(body_of(answer).value("reason", ""), "AuthorizationInvalid") << answer;
        return body_of(answer).value("detail", "");
    };
    EXPECT_NE(detail("Basic Z29vZA==").find("Basic"), std::string::npos);
    EXPECT_NE(detail("Bearer").find("without a token"), std::string::npos);
    EXPECT_EQ(detail("gw_0123_secret").find("secret"), std::string::npos)
        << "a token in the wrong place is not repeated";
    detail("good");
    EXPECT_EQ(keys_.asked, 0);
}

TEST_F(ServerAccessTest, TwoAuthorizationHeadersAreNeitherTheFirstNorTheLast) {
    start();
    for (const char* both : {"Authorization: Bearer good\r\nAuthorization: Bearer good\r\n",
                             "Authorization: Bearer good\r\nauthorization: Bearer bad\r\n",
                             "Authorization: Bearer bad\r\nAUTHORIZATION: Bearer good\r\n"}) {
        const std::string answer = ask(get("/v1/nodes", "Connection: close\r\n" + std::string(both)));
        EXPECT_EQ(status_of(answer), 401) << answer;
        EXPECT_NE(body_of(answer).value("detail", "").find("allowed one"), std::string::npos) << answer;
    }
    EXPECT_EQ(keys_.asked, 0);
}

TEST_F(ServerAccessTest, TricksWithTheHeaderDoNotMakeAnotherTokenGood) {
    ServerOptions options;
    options.failed_logins_per_minute = 0;
    start(options);
    const std::string zero(1, '\0');
    for (const std::string& value :
         {"Bearer good" + zero, "Bearer " + zero + "good", "Bearer good" + zero + "x", std::string("Bearer go od"),
          std::string("Bearer good,good"), std::string("Bearer good;x"), std::string("Bearer \"good\""),
          std::string("Bearer good\tx"), std::string("Bearer\tgood"),
          std::string("Bearer good") + std::string(7000, 'x'), std::string("Bearer good\xff")}) {
        EXPECT_NE(status_of(ask_with(value)), 200) << value.substr(0, 30);
        EXPECT_NE(keys_.last(), "good") << value.substr(0, 30);
    }
    for (const char* name :
         {"Authorization : Bearer good", " Authorization: Bearer good", "X-Authorization: Bearer good",
          "Proxy-Authorization: Bearer good", "Cookie: Authorization=Bearer good"}) {
        EXPECT_NE(status_of(ask(get("/v1/nodes", "Connection: close\r\n" + std::string(name) + "\r\n"))), 200) << name;
    }
    EXPECT_NE(status_of(ask(get_and_close("/v1/nodes?access_token=good"))), 200);
}

TEST_F(ServerAccessTest, AControlCharacterInTheHeadIsRefused) {
    start();
    for (const char c : {'\0', '\x01', '\x0b', '\x1f', '\x7f'}) {
        for (const std::string& request : {get("/healthz", "X: a" + std::string(1, c) + "\r\n"),
                                           "GET /healthz" + std::string(1, c) + " HTTP/1.1\r\n\r\n"}) {
            const std::string answer = ask(request);
            EXPECT_EQ(status_of(answer), 400) << answer;
        }
    }
    EXPECT_EQ(status_of(ask(get("/healthz", "X: a\tb\r\nConnection: close\r\n"))), 200) << "a tab is allowed";
}

TEST_F(ServerAccessTest, AHugeTokenIsTooLarge) {
    start();
    EXPECT_EQ(status_of(ask_with("Bearer " + std::string(9000, 'a'))), 431);
}

TEST_F(ServerAccessTest, ARequestSmuggledInABodyIsNotServed) {
    start();
    const std::string inner = get("/v1/nodes", "Authorization: Bearer good\r\n");
    const std::string answer =
        ask("GET /v1/nodes HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(inner.size()) +
            "\r\n\r\n" + inner);
    EXPECT_EQ(status_of(answer), 401);
    EXPECT_EQ(answer.find("200 OK"), std::string::npos) << answer;
}

TEST_F(ServerAccessTest, TheBodyOfAStrangerIsNotReadNorAskedFor) {
    start();
    const std::string head = "PUT /v1/nodes/n HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    // Not one byte of the body is sent, and the answer comes nevertheless.
    EXPECT_EQ(status_of(ask(head + "Content-Length: 1000000\r\n\r\n")), 401);
    EXPECT_EQ(status_of(ask(head + "Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")), 401)
        << "instead of 100";
    EXPECT_EQ(status_of(ask(head + "Transfer-Encoding: chunked\r\n\r\n")), 401);
    const std::string body = kNode;
    RawClient friendly(port_);
    friendly.send(head + "Authorization: Bearer good\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: " +
                  std::to_string(body.size()) + "\r\n\r\n");
    EXPECT_EQ(status_of(friendly.read_until("\r\n\r\n")), 100);
    friendly.send(body);
    EXPECT_EQ(status_of(friendly.read_all()), 201);
    EXPECT_EQ(keys_.asked, 4) << "once for each request, with and without Expect";
}

TEST_F(ServerAccessTest, ATokenCountsForEachRequestOfAConnection) {
    start();
    RawClient client(port_);
    ASSERT_TRUE(client.send(get("/v1/nodes", "Authorization: Bearer good\r\n")));
    EXPECT_EQ(status_of(client.read_until("\"items\"")), 200);
    client.read_until("}");
    ASSERT_TRUE(client.send(get_and_close("/v1/nodes")));
    EXPECT_EQ(status_of(client.read_all()), 401) << "the one before does not stay signed in";
}

TEST_F(ServerAccessTest, GuessingIsLimitedByAddressAndARightTokenPasses) {
    ServerOptions options;
    options.failed_logins_per_minute = 0.001;  // no further one within the test
    start(options);
    int refused = 0;
    std::string last;
    for (int i = 0; i < 30; ++i) {
        last = ask_with("Bearer guess" + std::to_string(i), 2);
        if (status_of(last) == 401) ++refused;
    }
    EXPECT_EQ(refused, 10);
    EXPECT_EQ(status_of(last), 429) << last;
    EXPECT_NE(last.find("Retry-After: "), std::string::npos);
    EXPECT_NE(last.find("Connection: close"), std::string::npos);
    EXPECT_EQ(body_of(last).at("reason"), "TooManyFailedLogins");
    EXPECT_EQ(counts_.of("127.0.0.2 TokenUnknown"), 10);
    EXPECT_EQ(counts_.of("127.0.0.2 TooManyFailedLogins"), 20);
    EXPECT_EQ(status_of(ask_with("Bearer good", 2)), 200) << "from the same address";
    EXPECT_EQ(status_of(ask_with("Bearer guess", 3)), 401) << "another address has its own limit";
    EXPECT_EQ(status_of(ask(get_and_close("/healthz"), 2)), 200);
}

TEST_F(ServerAccessTest, RequestsAreLimitedByCaller) {
    ServerOptions options;
    options.requests_per_second = 0.001;
    start(options);
    EXPECT_EQ(status_of(ask_with("Bearer good", 2)), 200);
    const std::string refused = ask_with("Bearer good", 3);
    EXPECT_EQ(status_of(refused), 429) << "the same caller, wherever from";
    EXPECT_EQ(body_of(refused).at("reason"), "TooManyRequests");
    EXPECT_NE(refused.find("Retry-After: "), std::string::npos);
    EXPECT_EQ(status_of(ask_with("Bearer other", 2)), 200);
    EXPECT_EQ(status_of(ask(get_and_close("/healthz"))), 200);
    EXPECT_EQ(counts_.of("throttled requests"), 1);
}

TEST_F(ServerAccessTest, ARefusedChangeIsToldWithItsSenderAndReason) {
    start();
    const std::string good = "Connection: close\r\nAuthorization: Bearer good\r\n";
    EXPECT_EQ(status_of(ask(put("/v1/nodes/n", "{", good))), 400);
    EXPECT_EQ(status_of(ask(put("/v1/nodes/n", kNode, good + "If-Match: \"99\"\r\n"))), 412);
    EXPECT_EQ(status_of(ask(put("/v1/nodes/n", kNode, good))), 201);
    ask(put("/v1/nodes/n", "{"));
    ask(get("/nowhere", good));
    EXPECT_EQ(counts_.of("good PUT /v1/nodes/n PreconditionFailed"), 1);
    EXPECT_EQ(counts_.of("good PUT /v1/nodes/n InvalidRequest"), 1);
    EXPECT_EQ(counts_.of(" PUT /v1/nodes/n TokenRequired"), 0) << "a refused login is told as such";
}

TEST_F(ServerAccessTest, WhereNothingMayBeChangedReadingGoesOn) {
    ServerOptions options;
    std::atomic<bool> full = true;
    options.why_no_changes = [&] { return std::string(full ? "the audit log cannot be written" : ""); };
    start(options);
    const std::string good = "Connection: close\r\nAuthorization: Bearer good\r\n";
    const std::string refused = ask(put("/v1/nodes/n", kNode, good));
    EXPECT_EQ(status_of(refused), 503);
    EXPECT_EQ(body_of(refused).at("reason"), "AuditUnavailable");
    EXPECT_EQ(status_of(ask(get("/v1/nodes", good))), 200);
    EXPECT_EQ(status_of(ask(put("/v1/nodes/n", kNode))), 401) << "strangers learn nothing of it";
    full = false;
    EXPECT_EQ(status_of(ask(put("/v1/nodes/n", kNode, good))), 201);
    server_.reset();
}

TEST_F(ServerAccessTest, AnUnknownPathIsNoLabel) {
    start();
    for (int i = 0; i < 5; ++i) ask(get_and_close("/secret/" + std::to_string(i)));
    EXPECT_EQ(counts_.of("route other"), 5);
}

TEST_F(ServerAccessTest, AServerForMetricsServesNothingElse) {
    ServerOptions options;
    options.serves = Serves::health_and_metrics;
    start(options);
    EXPECT_EQ(status_of(ask(get_and_close("/metrics"))), 401);
    EXPECT_EQ(status_of(ask(get("/metrics", "Connection: close\r\nAuthorization: Bearer good\r\n"))), 200);
    EXPECT_EQ(status_of(ask(get_and_close("/healthz"))), 200);
    EXPECT_EQ(status_of(ask_with("Bearer good")), 404);
    EXPECT_EQ(status_of(ask(put("/v1/nodes/n", kNode, "Authorization: Bearer good\r\n"))), 404);
}

TEST_F(ServerAccessTest, MetricsMayBeOpenAndNothingElseIs) {
    ServerOptions options;
    options.serves = Serves::health_and_metrics;
    options.metrics_open = true;
    start(options);
    EXPECT_EQ(status_of(ask(get_and_close("/metrics"))), 200);
    EXPECT_EQ(status_of(ask(get_and_close("/v1/nodes"))), 404);
    EXPECT_EQ(keys_.asked, 0);
}

}  // namespace
}  // namespace guideway::rest
