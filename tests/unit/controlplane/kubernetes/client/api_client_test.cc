// One call to the API server: what is tried again, what is told, whom it trusts.
#include "controlplane/kubernetes/client/api_client.h"

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <future>
#include <thread>

#include <gtest/gtest.h>

#include "controlplane/kubernetes/client/resource_path.h"
#include "tests/unit/api/client/test_certificates.h"
#include "tests/unit/controlplane/kubernetes/client/fake_api_server.h"

namespace guideway::kubernetes {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using testing::FakeApiServer;
using testing::TestCertificates;

const std::string kWeb = kServices.object("prod", "web");

ApiClientOptions quick(const FakeApiServer& server) {
    ApiClientOptions options;
    options.access.server = server.url();
    options.first_pause = options.longest_pause = Milliseconds(1);
    options.metrics = std::make_shared<ClientMetrics>();
    return options;
}

std::string slurp(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST(ResourcePath, NamesCollectionsObjectsAndSubresources) {
    EXPECT_EQ(kServices.collection(), "/api/v1/services");
    EXPECT_EQ(kServices.collection("prod"), "/api/v1/namespaces/prod/services");
    EXPECT_EQ(kServices.object("prod", "web", "status"), "/api/v1/namespaces/prod/services/web/status");
    EXPECT_EQ(kNodes.object("", "a b/c"), "/api/v1/nodes/a%20b%2Fc");
    EXPECT_EQ(kEndpointSlices.collection("x"), "/apis/discovery.k8s.io/v1/namespaces/x/endpointslices");
}

TEST(ApiClient, MakesReadsPatchesAndRemovesObjects) {
    FakeApiServer server;
    const ApiClientOptions options = quick(server);
    ApiClient client(options);
    const json body = {{"metadata", {{"name", "web"}, {"namespace", "prod"}}}, {"a", 1}};
    ASSERT_TRUE(client.create(kServices.collection("prod"), body).ok());
    EXPECT_TRUE(client.create(kServices.collection("prod"), body).error().already_exists());
    auto patched = client.patch(kWeb, PatchType::merge, {{"a", 2}});
    ASSERT_TRUE(patched.ok()) << patched.error().text();
    EXPECT_EQ(patched.value()["a"], 2);
    json stale = patched.value();
    stale["metadata"]["resourceVersion"] = "1";
    EXPECT_TRUE(client.update(kWeb, stale).error().conflict());
    EXPECT_TRUE(client.remove(kWeb, "another-uid").error().conflict());
    EXPECT_TRUE(client.remove(kWeb, patched.value()["metadata"]["uid"]).ok());
    const auto gone = client.get(kWeb);
    ASSERT_FALSE(gone.ok());
    EXPECT_TRUE(gone.error().not_found());
    EXPECT_EQ(gone.error().text(), "404 NotFound: \"web\" not found");
    EXPECT_EQ(options.metrics->requests(Verb::create, 409), 1U);
    EXPECT_EQ(options.metrics->requests(Verb::patch, 200), 1U);
    EXPECT_EQ(options.metrics->requests(Verb::get, 404), 1U);
    const auto seen = server.seen();
    EXPECT_EQ(seen[2].content_type, "application/merge-patch+json");
    EXPECT_EQ(seen[0].user_agent, "guideway-cloud-controller/" GUIDEWAY_VERSION);
    EXPECT_EQ("http://" + seen[0].host, server.url());
}

TEST(ApiClient, WaitsAsLongAsRetryAfterSays) {
    FakeApiServer server;
    server.put("/api/v1/services", "prod", "web");
    server.refuse({{.status = 429, .retry_after = "3"}, {.status = 503, .retry_after = "2"}});
    ApiClientOptions options = quick(server);
    std::vector<std::int64_t> pauses;
    std::chrono::steady_clock::time_point now{seconds(1000)};
    options.clock.now = [&] { return now; };
    options.clock.sleep = [&](Milliseconds time) {
        pauses.push_back(time.count());
        now += time;
    };
    ApiClient client(options);
    EXPECT_TRUE(client.get(kWeb).ok());
    EXPECT_EQ(pauses, (std::vector<std::int64_t>{3000, 2000}));
    EXPECT_EQ(options.metrics->retries, 2U);
    server.refuse({{.status = 429,
                    .body = R"({"kind":"Status","reason":"TooManyRequests","message":"busy"})",
                    .retry_after = "3600"}});
    const auto refused = client.get(kWeb);
    ASSERT_FALSE(refused.ok()) << "an hour is not waited";
    EXPECT_EQ(refused.error().retry_after, seconds(3600));
    EXPECT_EQ(refused.error().text(), "429 TooManyRequests: busy");
}

TEST(ApiClient, ACreateThatMayHaveBeenCarriedOutIsNotRepeated) {
    FakeApiServer server;
    ApiClient client(quick(server));
    server.refuse({{.drop = true}});
    const auto lost = client.create(kServices.collection("prod"), {{"metadata", {{"name", "web"}}}});
    ASSERT_FALSE(lost.ok());
    EXPECT_TRUE(lost.error().unsure()) << lost.error().text();
    EXPECT_EQ(server.seen().size(), 1U);
    server.refuse({{.drop = true}});
    EXPECT_TRUE(client.get(kWeb).ok()) << "a read is";
    server.refuse({{.drop = true}});
    EXPECT_TRUE(client.patch(kWeb, PatchType::merge, {{"a", 1}}).ok());
}

TEST(ApiClient, ATokenThatWasRotatedIsReadAtOnceAfterA401) {
    FakeApiServer server;
    server.put("/api/v1/services", "prod", "web");
    const TestCertificates folder;
    const std::string file = folder.folder() / "token";
    std::ofstream(file) << "old-token";
    ApiClientOptions options = quick(server);
    options.access.token_file = file;
    server.require_token("old-token");
    ApiClient client(options);
    ASSERT_TRUE(client.get(kWeb).ok());
    // The server's turns first: refused until the new one is in the file.
    server.require_token("new-token");
    const auto refused = client.get(kWeb);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().status, 401);
    EXPECT_NE(refused.error().message.find("the token in " + file), std::string::npos) << refused.error().message;
    EXPECT_EQ(refused.error().message.find("old-token"), std::string::npos) << "a secret is not told";
    std::ofstream(file) << "new-token";
    EXPECT_TRUE(client.get(kWeb).ok());
    // Rotated while a request with the former one is under way: that very call succeeds.
    server.hold();
    const std::size_t before = server.seen().size();
    auto call = std::async(std::launch::async, [&] { return client.get(kWeb).ok(); });
    ASSERT_TRUE(server.wait_for([&] { return server.seen().size() > before; }));
    std::ofstream(file) << "newest-token";
    server.require_token("newest-token");
    server.release();
    EXPECT_TRUE(call.get());
    EXPECT_EQ(server.seen().back().authorization, "Bearer newest-token");
}

TEST(ApiClient, NobodyThereAndNonsenseAreToldApart) {
    ApiClientOptions options;
    options.retry_for = Milliseconds(0);
    options.access.server = "http://127.0.0.1:1";
    EXPECT_EQ(ApiClient(options).get("/x").error().reason, "Unreachable");
    options.access.server = "nonsense://";
    EXPECT_EQ(ApiClient(options).get("/x").error().reason, "InvalidAccess");
    options.access.server = "http://192.0.2.1:80";
    options.access.token = "secret";
    EXPECT_EQ(ApiClient(options).get("/x").error().reason, "InvalidAccess") << "a token in the clear";
    FakeApiServer server;
    server.refuse({{.status = 200, .body = "<html>login</html>"}, {.status = 502, .body = "<html>bad gateway</html>"}});
    options = quick(server);
    options.retry_for = Milliseconds(0);
    ApiClient client(options);
    EXPECT_EQ(client.get(kWeb).error().reason, "UnexpectedAnswer");
    EXPECT_EQ(client.get(kWeb).error().text(), "502 InternalError: <html>bad gateway</html>");
    options.max_answer_bytes = 10;
    server.put("/api/v1/services", "prod", "web");
    EXPECT_EQ(ApiClient(options).get(kWeb).error().reason, "UnexpectedAnswer") << "an answer without end";
}

TEST(ApiClient, ASlowServerIsGivenUpAndACallCancelled) {
    FakeApiServer server;
    server.hold();
    ApiClientOptions options = quick(server);
    options.read_timeout = Milliseconds(30);
    options.retry_for = Milliseconds(0);
    EXPECT_EQ(ApiClient(options).get(kWeb).error().reason, "Timeout");
    options.read_timeout = Milliseconds(60000);
    ApiClient client(options);
    auto call = std::async(std::launch::async, [&] { return client.get(kWeb); });
    ASSERT_TRUE(server.wait_for([&] { return server.seen().size() == 2; }));
    while (call.wait_for(Milliseconds(2)) != std::future_status::ready) client.cancel();
    EXPECT_TRUE(call.get().error().cancelled());
    EXPECT_TRUE(client.get(kWeb).error().cancelled());
    server.release();
}

TEST(RateLimiter, LetsABurstThroughAndThenSoManyASecond) {
    RateLimiter limiter(10, 3);
    const std::chrono::steady_clock::time_point begin{seconds(1000)};
    for (int i = 0; i < 3; ++i) EXPECT_EQ(limiter.reserve(begin).count(), 0);
    EXPECT_EQ(std::chrono::round<Milliseconds>(limiter.reserve(begin)).count(), 100);
    EXPECT_EQ(std::chrono::round<Milliseconds>(limiter.reserve(begin)).count(), 200) << "behind the one before";
    EXPECT_EQ(limiter.reserve(begin + seconds(1)).count(), 0);
    EXPECT_EQ(RateLimiter(0, 1).reserve(begin).count(), 0);
}

class Tls : public ::testing::TestWithParam<std::string> {
  protected:
    TestCertificates certificates;
    testing::CertificateFiles own = certificates.make("server", "IP:127.0.0.1,IP:::1,DNS:kubernetes.default");
    testing::CertificateFiles user = certificates.make("user", "DNS:user");

    static ApiError error_of(const ApiClientOptions& options) {
        auto answer = ApiClient(options).get(kServices.collection());
        return answer.ok() ? ApiError{} : answer.error();
    }
};

TEST_P(Tls, TheServerIsVerifiedAgainstTheAuthorityInDataOrFile) {
    const FakeApiServer::Tls tls{own.certificate, own.key, {}};
    FakeApiServer server(GetParam(), &tls);
    ApiClientOptions options = quick(server);
    options.retry_for = Milliseconds(0);
    EXPECT_EQ(error_of(options).reason, "TlsFailed") << "nobody in the system signed it";
    options.access.authority.data = slurp(certificates.ca_file());
    EXPECT_EQ(error_of(options), ApiError{});
    options.access.server_name = "kubernetes.default";
    EXPECT_EQ(error_of(options), ApiError{});
    options.access.server_name = "another.name";
    EXPECT_EQ(error_of(options).reason, "TlsFailed");
    options.access.server_name.clear();
    options.access.authority = {.file = certificates.ca_file()};
    EXPECT_EQ(error_of(options), ApiError{});
    const TestCertificates others;
    options.access.authority = {.file = others.ca_file()};
    EXPECT_EQ(error_of(options).reason, "TlsFailed");
    // What the system trusts does not count beside an authority that is given.
    ::setenv("SSL_CERT_FILE", certificates.ca_file().c_str(), 1);
    EXPECT_EQ(error_of(options).reason, "TlsFailed");
    options.access.authority = {};
    EXPECT_EQ(error_of(options), ApiError{}) << "it does where none is";
    ::unsetenv("SSL_CERT_FILE");
    options.access.insecure = true;
    EXPECT_EQ(error_of(options), ApiError{});
}

TEST_P(Tls, AClientCertificateIsShownAndReadAgainWhenRenewed) {
    const FakeApiServer::Tls tls{own.certificate, own.key, certificates.ca_file()};
    FakeApiServer server(GetParam(), &tls);
    ApiClientOptions options = quick(server);
    options.retry_for = Milliseconds(0);
    options.access.authority.file = certificates.ca_file();
    EXPECT_EQ(error_of(options).status, 0) << "refused without one";
    EXPECT_NE(error_of(options).reason, "");
    options.access.client_certificate.data = slurp(user.certificate);
    options.access.client_key.data = slurp(user.key);
    EXPECT_EQ(error_of(options), ApiError{});
    options.access.client_key.data = slurp(own.key);
    EXPECT_EQ(error_of(options).reason, "CredentialsUnreadable");
    // Of another authority first, then renewed to the right one in the same files.
    const TestCertificates others;
    const auto wrong = others.make("user", "DNS:user");
    options.access.client_certificate = {.file = certificates.folder() / "live.pem"};
    options.access.client_key = {.file = certificates.folder() / "live.key"};
    const auto install = [&](const testing::CertificateFiles& from) {
        std::ofstream(options.access.client_certificate.file) << slurp(from.certificate);
        std::ofstream(options.access.client_key.file) << slurp(from.key);
    };
    install(wrong);
    ApiClient client(options);
    EXPECT_FALSE(client.get(kServices.collection()).ok());
    install(user);
    const auto renewed = client.get(kServices.collection());
    EXPECT_TRUE(renewed.ok()) << renewed.error().text();
}

INSTANTIATE_TEST_SUITE_P(BothFamilies, Tls, ::testing::Values("127.0.0.1", "::1"),
                         [](const auto& parameter) { return parameter.param == "::1" ? "IPv6" : "IPv4"; });

}  // namespace
}  // namespace guideway::kubernetes
