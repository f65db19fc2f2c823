// TLS as an attacker would try it, and the certificate that is replaced while requests go on.
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "api/rest/server.h"
#include "tests/unit/api/rest/fake_appliance.h"
#include "tests/unit/api/rest/raw_client.h"
#include "tests/unit/api/rest/tls_lab.h"

namespace guideway::rest {
namespace {

/// Lets in who shows a certificate, by its name.
class ByCertificate : public Authenticator {
  public:
    resources::Result<Caller> authenticate(const Credentials& credentials) override {
        if (credentials.client_certificate_subject.empty()) {
            return resources::Problem{401, "TokenRequired", "who are you", {}};
        }
        const std::lock_guard lock(mutex_);
        names.push_back(credentials.client_certificate_subject);
        return Caller{credentials.client_certificate_subject, Role::admin, {}, credentials.peer};
    }
    std::vector<std::string> names;

  private:
    std::mutex mutex_;
};

class Failures : public RequestObserver {
  public:
    void observe(std::string_view, std::string_view, int, double) override {}
    void handshake_failed(std::string_view why) override {
        const std::lock_guard lock(mutex_);
        whys_.emplace_back(why);
        changed_.notify_all();
    }
    /// Waits for as many, and gives the last.
    std::string await(std::size_t count) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::milliseconds(kGenerousMilliseconds),
                          [&] { return whys_.size() >= count; });
        return whys_.empty() ? "none" : whys_.back();
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> whys_;
};

class ServerTlsTest : public testing::Test {
  protected:
    void start(TlsFiles files, Authenticator* authenticator = nullptr, ServerOptions options = {}) {
        auto loaded = TlsContext::load(std::move(files));
        ASSERT_TRUE(std::holds_alternative<std::shared_ptr<TlsContext>>(loaded)) << std::get<TlsFault>(loaded).message;
        context_ = std::get<std::shared_ptr<TlsContext>>(loaded);
        options.tls = context_;
        options.tls_on_loopback = true;
        server_ = std::make_unique<Server>(appliance_, options, &failures_, authenticator);
        const Started started = server_->start("127.0.0.1", 0);
        ASSERT_TRUE(started.ok()) << started.error;
        port_ = started.port;
    }
    int ask(TlsClient& client, const std::string& bytes) {
        return client.connected() && client.send(bytes) ? status_of(client.read_all()) : 0;
    }

    TlsLab lab_;
    FakeAppliance appliance_;
    Failures failures_;
    std::shared_ptr<TlsContext> context_;
    std::unique_ptr<Server> server_;
    std::uint16_t port_ = 0;
};

TEST_F(ServerTlsTest, AnswersOverBothVersionsThatAreSafe) {
    start(lab_.files());
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        TlsClient client(port_, {.min_version = version, .max_version = version});
        ASSERT_TRUE(client.connected()) << version;
        EXPECT_EQ(ask(client, get_and_close("/healthz")), 200);
    }
}

TEST_F(ServerTlsTest, BodiesLongerThanARecordGoThroughInBothDirections) {
    start(lab_.files());
    const std::string labels = std::string(60, 'v');
    std::string body = R"({"metadata": {"labels": {"a0": "x")";
    for (int i = 1; i < 60; ++i) body += ", \"label-" + std::to_string(i) + "\": \"" + labels + "\"";
    body += R"(}}, "spec": {"addresses": ["10.0.2.11"]}})";
    for (int i = 0; i < 10; ++i) {
        TlsClient client(port_);
        ASSERT_EQ(ask(client, put("/v1/nodes/n" + std::to_string(i), body, "Connection: close\r\n")), 201);
    }
    TlsClient client(port_);
    ASSERT_TRUE(client.send(get_and_close("/v1/nodes")));
    const std::string all = client.read_all();
    EXPECT_GT(all.size(), 40'000U);
    EXPECT_EQ(body_of(all).at("items").size(), 10U);
}

TEST_F(ServerTlsTest, OldVersionsAndWeakCiphersAreRefused) {
    start(lab_.files());
    std::size_t refused = 0;
    for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
        TlsClient client(port_, {.min_version = version, .max_version = version});
        EXPECT_FALSE(client.connected()) << version;
        EXPECT_EQ(failures_.await(++refused), "version");
    }
    EXPECT_EQ(status_of([&] {
                  TlsClient client(port_);
                  client.send(get_and_close("/healthz"));
                  return client.read_all();
              }()),
              200);
}

TEST_F(ServerTlsTest, PlainHttpIsToldToSpeakTls) {
    start(lab_.files());
    RawClient client(port_);
    ASSERT_TRUE(client.send(get("/v1/nodes")));
    const std::string answer = client.read_all();
    EXPECT_EQ(status_of(answer), 400) << answer;
    EXPECT_EQ(body_of(answer).at("reason"), "TlsRequired");
    EXPECT_EQ(failures_.await(1), "not_tls");
}

TEST_F(ServerTlsTest, GarbageEndsTheConnectionAndNothingElse) {
    start(lab_.files());
    for (const std::string& bytes :
         {std::string(5000, '\xff'), std::string("\x16\x03\x01\x40\x00", 5) + std::string(20000, 'x'),
          std::string("SSH-2.0-x\r\n")}) {
        RawClient client(port_);
        client.send(bytes);
        EXPECT_EQ(client.read_all().find("HTTP"), std::string::npos);
    }
    TlsClient good(port_);
    EXPECT_EQ(ask(good, get_and_close("/healthz")), 200);
}

TEST_F(ServerTlsTest, AClientCannotRenegotiate) {
    start(lab_.files());
    TlsClient client(port_, {.min_version = TLS1_2_VERSION, .max_version = TLS1_2_VERSION});
    ASSERT_TRUE(client.connected());
    ASSERT_EQ(::SSL_renegotiate(client.ssl()), 1);
    EXPECT_NE(::SSL_do_handshake(client.ssl()), 1);
    ::ERR_clear_error();
}

TEST_F(ServerTlsTest, OnlyHttp11IsSpoken) {
    start(lab_.files());
    TlsClient http2(port_, {.protocols = "\x02h2"});
    EXPECT_FALSE(http2.connected());
    TlsClient either(port_, {.protocols = "\x02h2\x08http/1.1"});
    EXPECT_EQ(ask(either, get_and_close("/healthz")), 200);
}

TEST_F(ServerTlsTest, AHandshakeThatIsNotFinishedIsCut) {
    ServerOptions options;
    options.handshake_timeout = std::chrono::milliseconds(50);
    options.idle_timeout = options.request_timeout = std::chrono::minutes(10);
    start(lab_.files(), nullptr, options);
    RawClient silent(port_), half(port_);
    ASSERT_TRUE(half.send(std::string_view("\x16\x03\x01\x02\x00\x01", 6)));
    EXPECT_EQ(silent.read_all(), "");
    EXPECT_EQ(half.read_all(), "");
    EXPECT_EQ(failures_.await(2), "timeout");
}

TEST_F(ServerTlsTest, AFloodOfUnfinishedHandshakesDoesNotKeepAnotherOut) {
    ServerOptions options;
    options.max_connections = 32;
    options.handshake_timeout = options.idle_timeout = std::chrono::minutes(10);
    start(lab_.files(), nullptr, options);
    std::vector<RawClient> flood;
    for (int i = 0; i < 100; ++i) {
        flood.emplace_back(port_);
        flood.back().send(std::string_view("\x16\x03\x01\x02\x00\x01", 6));
        if (i % 20 != 19) continue;
        TlsClient good(port_);
        EXPECT_EQ(ask(good, get_and_close("/healthz")), 200) << i;
    }
}

TEST_F(ServerTlsTest, ARequestThatTricklesThroughTlsHasItsDeadlineToo) {
    ServerOptions options;
    options.request_timeout = std::chrono::milliseconds(50);
    start(lab_.files(), nullptr, options);
    TlsClient client(port_);
    ASSERT_TRUE(client.send("GET /heal"));
    EXPECT_EQ(status_of(client.read_all()), 408);
}

TEST_F(ServerTlsTest, ANameIsOnlyTakenFromACertificateOfTheOwnAuthority) {
    ByCertificate authenticator;
    start(lab_.files(ClientCertificates::optional), &authenticator);
    const Identity good = make_identity("prod-controller", &lab_.authority());
    TlsClient client(port_, {.identity = &good});
    EXPECT_EQ(ask(client, get_and_close("/v1/nodes")), 200);
    EXPECT_EQ(authenticator.names, std::vector<std::string>{"prod-controller"});
    TlsClient without(port_);
    EXPECT_EQ(ask(without, get_and_close("/v1/nodes")), 401) << "optional: let in, but not known";
}

TEST_F(ServerTlsTest, ExpiredForeignAndSelfMadeCertificatesAreRefused) {
    ByCertificate authenticator;
    start(lab_.files(ClientCertificates::optional), &authenticator);
    const Identity stranger = make_identity("clients", nullptr, 30, true);  // the authority's name, another key
    const Identity expired = make_identity("prod-controller", &lab_.authority(), -1);
    const Identity foreign = make_identity("prod-controller", &stranger);
    const Identity own = make_identity("prod-controller");
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        for (const Identity* bad : {&expired, &foreign, &own}) {
            TlsClient client(port_, {.min_version = version, .max_version = version, .identity = bad});
            EXPECT_EQ(ask(client, get_and_close("/v1/nodes")), 0);
        }
    }
    EXPECT_EQ(failures_.await(6), "certificate");
    EXPECT_TRUE(authenticator.names.empty());
}

TEST_F(ServerTlsTest, ANameWithAZeroByteIsNotTheNameBeforeIt) {
    ByCertificate authenticator;
    start(lab_.files(ClientCertificates::optional), &authenticator);
    const Identity trick = make_identity(std::string("admin\0.evil", 11), &lab_.authority());
    TlsClient client(port_, {.identity = &trick});
    EXPECT_EQ(ask(client, get_and_close("/v1/nodes")), 401);
    EXPECT_TRUE(authenticator.names.empty());
}

TEST_F(ServerTlsTest, WithoutTheRequiredCertificateNothingIsServed) {
    start(lab_.files(ClientCertificates::required));
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        TlsClient client(port_, {.min_version = version, .max_version = version});
        EXPECT_EQ(ask(client, get_and_close("/healthz")), 0) << "not even health";
    }
    EXPECT_EQ(failures_.await(2), "certificate");
    const Identity good = make_identity("anybody", &lab_.authority());
    TlsClient client(port_, {.identity = &good});
    EXPECT_EQ(ask(client, get_and_close("/healthz")), 200);
}

TEST_F(ServerTlsTest, ASessionIsNotTakenUpAgain) {
    start(lab_.files());
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        TlsClient client(port_, {.min_version = version, .max_version = version});
        EXPECT_EQ(ask(client, get_and_close("/healthz")), 200);
        EXPECT_EQ(::SSL_SESSION_is_resumable(::SSL_get0_session(client.ssl())), 0);
    }
}

TEST_F(ServerTlsTest, AnyHostMayBeNamed) {
    start(lab_.files());
    TlsClient client(port_);
    EXPECT_EQ(ask(client, "GET /healthz HTTP/1.1\r\nHost: guideway.example.org\r\nConnection: close\r\n\r\n"), 200);
}

TEST_F(ServerTlsTest, ReplacedWhileRequestsGoOnNotOneFails) {
    start(lab_.files());
    std::atomic<bool> stop = false;
    std::atomic<int> good = 0, bad = 0;
    std::vector<std::thread> clients;
    for (int i = 0; i < 3; ++i) {
        clients.emplace_back([&, i] {
            while (!stop) {
                // A connection for each request, and one that is kept while the certificate changes under it.
                TlsClient client(port_);
                const int requests = i == 0 ? 1 : 8;
                bool well = client.connected();
                for (int j = 0; well && j < requests; ++j) {
                    well =
                        client.send(get("/healthz")) && client.read_until("ok\n").find("200 OK") != std::string::npos;
                }
                well ? ++good : ++bad;
            }
        });
    }
    for (int i = 0; i < 20; ++i) {
        lab_.write("server", make_identity("server " + std::to_string(i)));
        ASSERT_TRUE(context_->look_again()) << i;
        const int before = good;
        while (good < before + 3 && bad == 0) std::this_thread::yield();
    }
    stop = true;
    for (std::thread& client : clients) client.join();
    EXPECT_EQ(bad, 0);
    EXPECT_EQ(context_->status().loads, 21U);
}

TEST(ServerTlsStart, OthersAreLetInOnlyWithTlsAndTokens) {
    TlsLab lab;
    FakeAppliance appliance;
    ByCertificate authenticator;
    const auto context = std::get<std::shared_ptr<TlsContext>>(TlsContext::load(lab.files()));
    ServerOptions with_tls;
    with_tls.tls = context;
    EXPECT_FALSE(Server(appliance, with_tls).start("0.0.0.0", 0).ok());
    EXPECT_FALSE(Server(appliance, {}, nullptr, &authenticator).start("0.0.0.0", 0).ok());
    Server both(appliance, with_tls, nullptr, &authenticator);
    EXPECT_EQ(both.start("0.0.0.0", 0).error, "");
    EXPECT_EQ(both.start("::", 0).error, "") << "a second address";
    const Started loopback = both.start("127.0.0.1", 0);
    RawClient plain(loopback.port);
    plain.send(get_and_close("/healthz"));
    EXPECT_EQ(status_of(plain.read_all()), 200) << "loopback stays plain unless asked for";
}

}  // namespace
}  // namespace guideway::rest
