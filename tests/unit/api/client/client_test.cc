#include "api/client/client.h"

#include <gtest/gtest.h>

#include "api/contract/explain_codec.h"
#include "api/resources/node_codec.h"
#include "api/resources/status_codec.h"
#include "tests/unit/api/client/fake_server.h"

namespace guideway::client {
namespace {

using testing::FakeServer;

resources::Node node(std::uint64_t version) {
    resources::Node object;
    object.metadata.name = "node-1";
    object.metadata.resource_version = version;
    object.spec.addresses = {IpAddress::parse("10.0.2.11").value()};
    return object;
}

TEST(Client, EnsureTellsWhetherTheObjectIsNew) {
    FakeServer server;
    server.answer("PUT /v1/nodes/node-1", {{201, resources::encode(node(1))}, {200, resources::encode(node(1))}});
    Client client({.server = server.url()});
    auto put = client.ensure(node(0));
    ASSERT_TRUE(put.ok()) << put.problem().detail;
    EXPECT_TRUE(put.value().created);
    EXPECT_EQ(put.value().object, node(1));
    put = client.ensure(node(0), 12);
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
        const auto result = Client({.server = url}).node("node-1");
        EXPECT_TRUE(result.ok()) << url << ": " << result.problem().detail;
    }
}

TEST(Client, WhatIsNoServerIsSaidAndNotTried) {
    for (const char* url : {"", "/", "http://", "https://127.0.0.1:8870", "http://127.0.0.1:99999",
                            "http://127.0.0.1:0", "http://127.0.0.1:8870/v1", "foo bar", "unix:/run/x", "http://[::1",
                            "http://[127.0.0.1]:80", "http://:8870", "::1", "http://user@host:1"}) {
        const auto result = Client({.server = url}).nodes();
        ASSERT_FALSE(result.ok()) << url;
        EXPECT_EQ(result.problem().reason, "InvalidServer") << url;
        EXPECT_NE(result.problem().detail.find("allowed http://HOST:PORT"), std::string::npos) << url;
    }
}

TEST(Client, NoServerIsAProblemThatSaysWhatToDo) {
    const std::string url = testing::unreachable_url();
    const auto result = Client({.server = url}).nodes();
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.problem().reason, "Unreachable");
    EXPECT_NE(result.problem().detail.find("cannot reach " + url), std::string::npos);
    EXPECT_NE(result.problem().detail.find("is guideway-controlplane running"), std::string::npos);
}

TEST(Client, SomethingElseThanAGuidewayServerIsNoticed) {
    FakeServer server;
    server.answer("GET /v1/nodes", {{200, "<html>"}, {500, "<html>"}});
    Client client({.server = server.url()});
    EXPECT_EQ(client.nodes().problem().reason, "UnexpectedAnswer");
    EXPECT_EQ(client.nodes().problem().status, 500);
}

TEST(Client, TriesAgainWhileTheServerSaysUnavailable) {
    FakeServer server;
    server.answer("GET /v1/nodes", {{503, "{}"}, {503, "{}"}, {200, R"({"kind": "NodeList", "items": []})"}});
    const auto result = Client({.server = server.url(), .retry_for = std::chrono::seconds(30)}).nodes();
    EXPECT_TRUE(result.ok());
    EXPECT_EQ(server.seen().size(), 3U);
}

TEST(Client, DoesNotTryAgainUnasked) {
    FakeServer server;
    server.answer("GET /v1/nodes", {{503, R"({"status": 503, "reason": "NotReady", "detail": "soon"})"}});
    EXPECT_EQ(Client({.server = server.url()}).nodes().problem().reason, "NotReady");
    EXPECT_EQ(server.seen().size(), 1U);
}

TEST(Client, DeletingWhatIsNotThereIsFine) {
    FakeServer server;
    server.answer("DELETE /v1/nodes/node-1", {{204, ""}});
    Client client({.server = server.url()});
    EXPECT_TRUE(client.delete_node("node-1").ok());
    EXPECT_TRUE(client.delete_node("node-2").ok());
}

TEST(Client, PathsAndQueriesAreEncoded) {
    FakeServer server;
    Client client({.server = server.url()});
    client.load_balancer("a/b", "c?d");
    client.load_balancers("x&y");
    client.status(std::chrono::seconds(90));
    client.explain({contract::Protocol::udp, IpAddress::parse("2001:db8::1").value(), 5,
                    IpAddress::parse("2001:db8::2").value(), 53});
    const auto seen = server.seen();
    ASSERT_EQ(seen.size(), 4U);
    EXPECT_EQ(seen[0].what, "GET /v1/load-balancers/a%2Fb/c%3Fd");
    EXPECT_EQ(seen[1].what, "GET /v1/load-balancers?namespace=x%26y");
    EXPECT_EQ(seen[2].what, "GET /v1/status?wait=60");
    EXPECT_EQ(seen[3].what,
              "GET /v1/explain?protocol=UDP&source=2001%3Adb8%3A%3A1&source_port=5&destination=2001%3Adb8%3A%3A2"
              "&destination_port=53");
}

}  // namespace
}  // namespace guideway::client
