#include "api/client/client.h"

#include <gtest/gtest.h>

#include "api/contract/explain_codec.h"
#include "api/resources/node_codec.h"
#include "api/resources/status_codec.h"
#include "api/resources/token_codec.h"
#include "tests/unit/api/client/fake_server.h"

namespace guideway::client {
namespace {

using resources::LoadBalancer;
using testing::FakeServer;
using testing::Manner;

resources::Node node(std::uint64_t version) {
    resources::Node object;
    object.metadata.name = "node-1";
    object.metadata.resource_version = version;
    object.spec.addresses = {IpAddress::parse("10.0.2.11").value()};
    return object;
}

/// Tries again, quickly.
Options patient(const FakeServer& server) {
    Options options;
    options.server = server.url();
    options.retry_for = std::chrono::seconds(10);
    options.first_pause = Milliseconds(1);
    return options;
}

std::vector<std::string> whats(const FakeServer& server) {
    std::vector<std::string> out;
    for (const auto& request : server.seen()) out.push_back(request.what);
    return out;
}

TEST(Client, EnsureTellsWhetherTheObjectIsNew) {
    FakeServer server;
    server.answer("PUT /v1/nodes/node-1", {{201, resources::encode(node(1))}, {200, resources::encode(node(1))}});
    Client client({.server = server.url()});
    auto put = client.ensure(node(0));
    ASSERT_TRUE(put.ok()) << put.problem().detail;
    EXPECT_TRUE(put.value().created);
    EXPECT_EQ(put.value().object, node(1));
    put = client.ensure(node(0), {.version = 12});
    ASSERT_TRUE(put.ok());
    EXPECT_FALSE(put.value().created);
    EXPECT_EQ(server.seen().at(0).if_match, "");
    EXPECT_EQ(server.seen().at(1).if_match, "\"12\"");
}

TEST(Client, ProblemsOfTheServerComeThroughWhole) {
    FakeServer server;
    server.answer("PUT /v1/nodes/node-1", {{400, R"({"status": 400, "reason": "InvalidRequest", "detail": "no",
                             "faults": [{"field": "/spec", "message": "missing"}]})"}});
    const auto put = Client({.server = server.url()}).ensure(node(0));
    ASSERT_FALSE(put.ok());
    EXPECT_EQ(put.problem(), (resources::Problem{400, "InvalidRequest", "no", {{"/spec", "missing"}}}));
}

TEST(Client, ASlashAtTheEndOrNoSchemeIsTheSameServer) {
    FakeServer server;
    server.answer("GET /v1/nodes/node-1", {{200, resources::encode(node(1))}});
    for (const std::string& url : {server.url() + "/", server.url().substr(7), server.url().substr(7) + "/"}) {
        const auto result = Client({.server = url}).get<resources::Node>({.name = "node-1"});
        EXPECT_TRUE(result.ok()) << url << ": " << result.problem().detail;
    }
}

TEST(Client, WhatIsNoServerIsSaidAndNotTried) {
    for (const char* url : {"", "http://127.0.0.1:8870/v1", "foo bar", "unix:/run/x"}) {
        const auto result = Client({.server = url}).list<resources::Node>();
        ASSERT_FALSE(result.ok()) << url;
        EXPECT_EQ(result.problem().reason, "InvalidServer") << url;
        EXPECT_NE(result.problem().detail.find("allowed http://HOST:PORT"), std::string::npos) << url;
    }
}

TEST(Client, NoServerIsAProblemThatSaysWhatToDo) {
    const std::string url = testing::unreachable_url();
    const auto result = Client({.server = url}).list<resources::Node>();
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.problem().reason, "Unreachable");
    EXPECT_NE(result.problem().detail.find("cannot reach " + url), std::string::npos);
    EXPECT_NE(result.problem().detail.find("is guideway-controlplane running"), std::string::npos);
}

TEST(Client, SomethingElseThanAGuidewayServerIsNoticed) {
    FakeServer server;
    server.answer("GET /v1/nodes?limit=500", {{200, "<html>"}, {500, "<html>"}});
    Client client({.server = server.url()});
    EXPECT_EQ(client.list<resources::Node>().problem().reason, "UnexpectedAnswer");
    EXPECT_EQ(client.list<resources::Node>().problem().status, 500);
}

TEST(Client, TriesAgainWhileTheServerSaysUnavailable) {
    FakeServer server;
    server.answer("GET /v1/nodes?limit=500", {{503, "{}"}, {503, "{}"}, {200, R"({"kind": "NodeList", "items": []})"}});
    const auto result = Client({.server = server.url(), .retry_for = std::chrono::seconds(30)}).list<resources::Node>();
    EXPECT_TRUE(result.ok());
    EXPECT_EQ(server.seen().size(), 3U);
}

TEST(Client, DoesNotTryAgainUnasked) {
    FakeServer server;
    server.answer("GET /v1/nodes?limit=500", {{503, R"({"status": 503, "reason": "NotReady", "detail": "soon"})"}});
    EXPECT_EQ(Client({.server = server.url()}).list<resources::Node>().problem().reason, "NotReady");
    EXPECT_EQ(server.seen().size(), 1U);
}

TEST(Client, DeletingWhatIsNotThereIsFine) {
    FakeServer server;
    server.answer("DELETE /v1/nodes/node-1", {{204, ""}});
    Client client({.server = server.url()});
    EXPECT_TRUE(client.remove<resources::Node>({.name = "node-1"}).ok());
    EXPECT_TRUE(client.remove<resources::Node>({.name = "node-2"}).ok());
}

TEST(Client, PathsAndQueriesAreEncoded) {
    FakeServer server;
    Client client({.server = server.url()});
    client.get<LoadBalancer>({.namespace_ = "a/b", .name = "c?d"});
    client.list<LoadBalancer>({.namespace_ = "x&y", .labels = "team in (a,b),!old"});
    client.status(std::chrono::seconds(90));
    client.explain({contract::Protocol::udp, IpAddress::parse("2001:db8::1").value(), 5,
                    IpAddress::parse("2001:db8::2").value(), 53});
    EXPECT_EQ(whats(server),
              (std::vector<std::string>{
                  "GET /v1/load-balancers/a%2Fb/c%3Fd",
                  "GET /v1/load-balancers?namespace=x%26y&labelSelector=team%20in%20%28a%2Cb%29%2C%21old&limit=500",
                  "GET /v1/status?wait=forwarding&timeout=60",
                  "GET /v1/explain?protocol=UDP&source=2001%3Adb8%3A%3A1&source_port=5&destination=2001%3Adb8%3A%3A2"
                  "&destination_port=53"}));
}

TEST(Client, OtherClustersHavePathsOfTheirOwn) {
    FakeServer server;
    Client client({.server = server.url()});
    client.get<LoadBalancer>({"prod", "shop", "web"});
    client.get<resources::Node>({.cluster = "prod", .name = "n"});
    client.get<resources::AddressPool>({.cluster = "prod", .name = "p"});
    client.list<resources::Node>({.cluster = "default", .namespace_ = "none of nodes"}, 0);
    client.list<resources::Event>(
        {.cluster = "prod", .namespace_ = "shop", .regarding_kind = "LoadBalancer", .regarding_name = "web"}, 0);
    client.remove<LoadBalancer>({"prod", "shop", "web"}, {.wait_forwarding = std::chrono::seconds(5)}, "uid-1");
    EXPECT_EQ(
        whats(server),
        (std::vector<std::string>{
            "GET /v1/clusters/prod/load-balancers/shop/web", "GET /v1/clusters/prod/nodes/n", "GET /v1/address-pools/p",
            "GET /v1/clusters/default/nodes", "GET /v1/events?cluster=prod&namespace=shop&kind=LoadBalancer&name=web",
            "DELETE /v1/clusters/prod/load-balancers/shop/web?wait=forwarding&timeout=5&uid=uid-1"}));
}

TEST(Client, PreconditionsAreHeaders) {
    FakeServer server;
    server.answer("PUT /v1/nodes/node-1", {{201, resources::encode(node(1))}});
    server.answer("PUT /v1/nodes/node-1?wait=forwarding&timeout=10",
                  {{200, resources::encode(node(1)), {{"Guideway-Forwarding", "false"}}}});
    Client client({.server = server.url()});
    EXPECT_TRUE(client.ensure(node(0), {.must_exist = true}).ok());
    EXPECT_TRUE(client.ensure(node(0), {.must_be_new = true}).ok());
    EXPECT_EQ(client.ensure(node(0), {.wait_forwarding = std::chrono::seconds(10)}).value().forwarding, false);
    const auto seen = server.seen();
    EXPECT_EQ(seen[0].headers.at("if-match"), "*");
    EXPECT_EQ(seen[1].headers.at("if-none-match"), "*");
    EXPECT_FALSE(seen[2].headers.contains("if-none-match"));
}

const std::string kChanged = R"({"status": 412, "reason": "PreconditionFailed", "detail": "changed"})";

TEST(Client, A412AfterALostAnswerThatOurFirstTryMadeIsItsSuccess) {
    FakeServer server;
    server.answer("PUT /v1/nodes/node-1", {{201, "{}", {}, Manner::drop}, {412, kChanged}});
    server.answer("GET /v1/nodes/node-1", {{200, resources::encode(node(7))}});
    Client client(patient(server));
    const auto put = client.ensure(node(0), {.must_be_new = true});
    ASSERT_TRUE(put.ok()) << put.problem().detail;
    EXPECT_TRUE(put.value().created);
    EXPECT_EQ(put.value().object.metadata.resource_version, 7U);
}

TEST(Client, A412AfterALostAnswerThatSomebodyElseMadeStands) {
    FakeServer server;
    resources::Node other = node(7);
    other.spec.weight = 9;
    server.answer("PUT /v1/nodes/node-1", {{201, "{}", {}, Manner::drop}, {412, kChanged}});
    server.answer("GET /v1/nodes/node-1", {{200, resources::encode(other)}});
    EXPECT_EQ(Client(patient(server)).ensure(node(0), {.version = 5}).problem().status, 412);
}

TEST(Client, A412WithoutALostAnswerIsNotLookedInto) {
    FakeServer server;
    server.answer("PUT /v1/nodes/node-1", {{412, kChanged}});
    server.answer("GET /v1/nodes/node-1", {{200, resources::encode(node(7))}});
    EXPECT_EQ(Client(patient(server)).ensure(node(0), {.version = 5}).problem().status, 412);
    EXPECT_EQ(server.seen().size(), 1U);
}

TEST(Client, ADeletionThatOurFirstTryMadeIsItsSuccess) {
    FakeServer server;
    server.answer("DELETE /v1/nodes/node-1", {{204, "", {}, Manner::drop}, {412, kChanged}});
    EXPECT_TRUE(Client(patient(server)).remove<resources::Node>({.name = "node-1"}, {.version = 5}).ok());
}

TEST(Client, ASecretWhoseAnswerWasLostIsNotAskedForTwice) {
    FakeServer server;
    resources::Token token;
    token.metadata.name = "ci";
    server.answer("PUT /v1/tokens/ci", {{201, resources::encode(token), {}, Manner::drop}});
    server.answer("POST /v1/tokens/ci/rotate", {{200, resources::encode(token), {}, Manner::drop}});
    Client client(patient(server));
    EXPECT_NE(client.ensure(token).problem().detail.find("guideway token rotate"), std::string::npos);
    EXPECT_NE(client.rotate_token("ci").problem().detail.find("guideway token rotate"), std::string::npos);
    EXPECT_EQ(server.seen().size(), 2U);
}

std::string page_of(std::uint64_t revision, const std::string& next, std::uint64_t version) {
    return resources::encode(
        resources::List<resources::Node>{{revision, next, next.empty() ? 0U : 1U}, {node(version)}});
}

TEST(Client, AListFollowsItsPagesAndStandsWhereTheFirstStood) {
    FakeServer server;
    server.answer("GET /v1/nodes?limit=1", {{200, page_of(5, "t1", 1)}});
    server.answer("GET /v1/nodes?limit=1&continue=t1", {{200, page_of(8, "", 2)}});
    const auto list = Client({.server = server.url()}).list<resources::Node>({}, 1);
    ASSERT_TRUE(list.ok()) << list.problem().detail;
    EXPECT_EQ(list.value().items.size(), 2U);
    EXPECT_EQ(list.value().metadata.resource_version, 5U);
    EXPECT_EQ(list.value().metadata.next_token, "");
}

TEST(Client, AListThatBecameTooOldBeginsAnew) {
    FakeServer server;
    server.answer("GET /v1/nodes?limit=1", {{200, page_of(5, "t1", 1)}, {200, page_of(9, "", 3)}});
    server.answer("GET /v1/nodes?limit=1&continue=t1", {{410, R"({"status": 410, "reason": "Expired"})"}});
    const auto list = Client({.server = server.url()}).list<resources::Node>({}, 1);
    ASSERT_TRUE(list.ok()) << list.problem().detail;
    EXPECT_EQ(list.value().items, std::vector{node(3)});
}

TEST(Client, ABackupIsGivenInPiecesAndARestoreSentOnce) {
    FakeServer server;
    server.answer("GET /v1/backup", {{200, "{\"a\":1}\n{\"b\":2}\n"}});
    server.answer("PUT /v1/backup", {{200, resources::encode(resources::SystemStatus{})}, {200, "", {}, Manner::drop}});
    Client client(patient(server));
    std::string got;
    const auto bytes = client.backup([&](std::string_view piece) { return got += piece, true; });
    ASSERT_TRUE(bytes.ok()) << bytes.problem().detail;
    EXPECT_EQ(bytes.value(), got.size());
    ASSERT_TRUE(client.restore(got).ok());
    EXPECT_EQ(server.seen().back().body, got);
    EXPECT_EQ(server.seen().back().if_match, "*");
    EXPECT_EQ(client.restore(got).problem().reason, "ConnectionLost");
    EXPECT_EQ(server.seen().size(), 3U);
}

}  // namespace
}  // namespace guideway::client
