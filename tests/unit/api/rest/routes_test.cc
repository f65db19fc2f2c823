#include "api/rest/routes.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/unit/api/rest/routes_fixture.h"

namespace guideway::rest {
namespace {

TEST_F(RoutesTest, PutCreatesThenChangesThenLeavesAlone) {
    const Response created = ask("PUT", "/v1/nodes/node-1", kNode);
    EXPECT_EQ(created.status, 201) << created.body;
    EXPECT_EQ(created.content_type, "application/json");
    EXPECT_EQ(header(created, "ETag"), "\"1\"");
    const Response again = ask("PUT", "/v1/nodes/node-1", kNode);
    EXPECT_EQ(again.status, 200);
    EXPECT_EQ(header(again, "ETag"), "\"1\"");
    const Response changed = ask("PUT", "/v1/nodes/node-1", R"({"spec": {"addresses": ["10.0.2.12"]}})");
    EXPECT_EQ(changed.status, 200);
    EXPECT_EQ(header(changed, "ETag"), "\"2\"");
}

TEST_F(RoutesTest, EveryKindIsPutGotListedAndDeleted) {
    const struct {
        const char* list;
        const char* path;
        const char* body;
        const char* kind;
    } kinds[] = {
        {"/v1/nodes", "/v1/nodes/n", kNode, "Node"},
        {"/v1/address-pools", "/v1/address-pools/p", R"({"spec": {"addresses": ["203.0.113.0/28"]}})", "AddressPool"},
        {"/v1/load-balancers", "/v1/load-balancers/default/web",
         R"({"spec": {"ports": [{"name": "http", "protocol": "TCP", "port": 80, "nodePort": 30080}]}})",
         "LoadBalancer"},
    };
    for (const auto& kind : kinds) {
        EXPECT_EQ(ask("GET", kind.path).status, 404);
        const Response put = ask("PUT", kind.path, kind.body);
        ASSERT_EQ(put.status, 201) << put.body;
        const Response got = ask("GET", kind.path);
        EXPECT_EQ(got.status, 200);
        EXPECT_EQ(got.body, put.body);
        EXPECT_EQ(header(got, "ETag"), header(put, "ETag"));
        EXPECT_EQ(nlohmann::json::parse(got.body).at("kind"), kind.kind);
        // What a GET answered can be PUT again and changes nothing.
        const Response again = ask("PUT", kind.path, got.body);
        EXPECT_EQ(again.status, 200) << again.body;
        EXPECT_EQ(header(again, "ETag"), header(put, "ETag"));
        const nlohmann::json list = nlohmann::json::parse(ask("GET", kind.list).body);
        EXPECT_EQ(list.at("items").size(), 1U);
        EXPECT_EQ(list.at("kind"), std::string(kind.kind) + "List");
        for (int i = 0; i < 2; ++i) {
            const Response deleted = ask("DELETE", kind.path);
            EXPECT_EQ(deleted.status, 204);
            EXPECT_TRUE(deleted.body.empty());
        }
        problem(ask("GET", kind.path), 404);
    }
}

TEST_F(RoutesTest, ListsOfLoadBalancersAreOfTheNamespaceAskedFor) {
    const char* body = R"({"spec": {"ports": [{"protocol": "TCP", "port": 80, "nodePort": 30080}]}})";
    ASSERT_EQ(ask("PUT", "/v1/load-balancers/a/x", body).status, 201);
    ASSERT_EQ(ask("PUT", "/v1/load-balancers/b/x", body).status, 201);
    EXPECT_EQ(nlohmann::json::parse(ask("GET", "/v1/load-balancers?namespace=b").body).at("items").size(), 1U);
    EXPECT_EQ(nlohmann::json::parse(ask("GET", "/v1/load-balancers").body).at("items").size(), 2U);
}

TEST_F(RoutesTest, IfMatchGuardsEdits) {
    ASSERT_EQ(ask("PUT", "/v1/nodes/n", kNode).status, 201);
    EXPECT_EQ(ask("PUT", "/v1/nodes/n", kNode, "\"1\"").status, 200);
    problem(ask("PUT", "/v1/nodes/n", kNode, "\"7\""), 412);
    problem(ask("PUT", "/v1/nodes/n", kNode, "\"abc\""), 412);
    problem(ask("DELETE", "/v1/nodes/n", "", "\"99999999999999999999999\""), 412);
    for (const char* malformed : {"1", "**", "W/\"1\"", "\"1\", \"2\"", "\"\"", ""}) {
        problem(ask("PUT", "/v1/nodes/n", kNode, malformed), 400);
    }
    EXPECT_EQ(ask("PUT", "/v1/nodes/n", kNode, "*").status, 200);
    EXPECT_EQ(ask("DELETE", "/v1/nodes/n", "", "\"1\"").status, 204);
    problem(ask("PUT", "/v1/nodes/n", kNode, "*"), 412);
}

// The contract grew: "If-None-Match: *" on a PUT means "make it only where it is not there yet"; before, it was refused.
TEST_F(RoutesTest, IfNoneMatchMakesOnlyWhatIsNotThereYet) {
    Request request;
    request.method = "PUT";
    request.target = "/v1/nodes/n";
    request.content_type = "application/json";
    request.if_none_match = "*";
    request.body = kNode;
    EXPECT_EQ(routes_.answer(request).status, 201);
    problem(routes_.answer(request), 412);
    request.target = "/v1/nodes/other";
    request.if_none_match = "\"1\"";
    problem(routes_.answer(request), 400);
    request.if_none_match = "*";
    request.if_match = "*";
    problem(routes_.answer(request), 400);
    request.if_match.reset();
    request.method = "DELETE";
    problem(routes_.answer(request), 400);
    EXPECT_EQ(ask("GET", "/v1/nodes/other").status, 404);
}

TEST_F(RoutesTest, ABadBodyNamesEveryFaultByItsPointer) {
    const Response response =
        ask("PUT", "/v1/load-balancers/default/web",
            R"({"spec": {"ports": [{"protocol": "TCP", "port": 0, "nodePort": 70000}], "surprise": 1}})");
    const nlohmann::json answer = problem(response, 400);
    std::vector<std::string> fields;
    for (const auto& fault : answer.at("faults")) fields.push_back(fault.at("field"));
    std::sort(fields.begin(), fields.end());
    EXPECT_EQ(fields, (std::vector<std::string>{"/spec/ports/0/nodePort", "/spec/ports/0/port", "/spec/surprise"}));
}

TEST_F(RoutesTest, AnUnknownPathIs404) {
    for (const char* path :
         {"/", "/v1", "/v2/nodes", "/v1/nodes/", "/v1/nodes/a/b", "/v1/load-balancers/a", "/v1/load-balancers//x",
          "/v1/load-balancers/a/", "/metrics/", "/V1/nodes", "//v1/nodes"}) {
        const Response response = ask("GET", path);
        EXPECT_EQ(problem(response, 404).at("reason"), "NotFound") << path;
        EXPECT_EQ(response.route, "other") << path;
    }
}

TEST_F(RoutesTest, AnotherMethodIs405WithAllow) {
    const Response response = ask("POST", "/v1/nodes/n");
    problem(response, 405);
    EXPECT_EQ(header(response, "Allow"), "GET, HEAD, PUT, DELETE");
    EXPECT_EQ(response.route, "/v1/nodes/{name}");
    EXPECT_EQ(header(ask("PUT", "/v1/nodes", kNode), "Allow"), "GET, HEAD");
    problem(ask("OPTIONS", "/metrics"), 405);
}

TEST_F(RoutesTest, AnotherContentTypeIs415) {
    for (const char* type : {"text/plain", "application/jsonx", "application/json;charset=latin1", ""}) {
        Request request;
        request.method = "PUT";
        request.target = "/v1/nodes/n";
        request.content_type = type;
        request.body = kNode;
        problem(routes_.answer(request), 415);
        EXPECT_TRUE(routes_.answer_early(request)) << "the body need not be read";
    }
    Request request;
    request.method = "PUT";
    request.target = "/v1/nodes/n";
    request.body = kNode;
    problem(routes_.answer(request), 415);
    request.content_type = "Application/JSON; charset=\"UTF-8\"";
    EXPECT_EQ(routes_.answer(request).status, 201);
    request.content_encoding = "gzip";
    problem(routes_.answer(request), 415);
}

TEST_F(RoutesTest, UnknownQueryParametersAreRefusedByName) {
    const nlohmann::json answer = problem(ask("GET", "/v1/counters?wait=1&x=2"), 400);
    ASSERT_EQ(answer.at("faults").size(), 2U);
    EXPECT_EQ(answer.at("faults")[0].at("field"), "?wait");
    EXPECT_EQ(answer.at("faults")[1].at("field"), "?x");
    EXPECT_EQ(answer.at("faults")[1].at("message"), "unknown parameter, allowed none");
    problem(ask("GET", "/v1/nodes?=1"), 400);
}

TEST_F(RoutesTest, WaitIsHeldToItsRangeBeforeAnythingIsChanged) {
    for (const char* wait : {"61", "-1", "", "1.5", "1s", "99999999999999999999"}) {
        problem(ask("PUT", std::string("/v1/nodes/n?wait=") + wait, kNode), 400);
    }
    EXPECT_EQ(ask("GET", "/v1/nodes/n").status, 404);
}

TEST_F(RoutesTest, WaitSaysWhetherTheChangeIsForwarding) {
    appliance_.set_forwarding(true);
    EXPECT_EQ(header(ask("PUT", "/v1/nodes/n?wait=60", kNode), "Guideway-Forwarding"), "true");
    EXPECT_EQ(header(ask("GET", "/v1/status?wait=60"), "Guideway-Forwarding"), "true");
    appliance_.set_forwarding(false);
    EXPECT_EQ(header(ask("PUT", "/v1/nodes/n?wait=0", kNode), "Guideway-Forwarding"), "false");
    EXPECT_EQ(header(ask("DELETE", "/v1/nodes/n?wait=0"), "Guideway-Forwarding"), "false");
    EXPECT_EQ(header(ask("PUT", "/v1/nodes/n", kNode), "Guideway-Forwarding"), "") << "only where it was asked for";
}

TEST_F(RoutesTest, WaitsEndWhenTheServerStops) {
    routes_.end_waits();
    EXPECT_EQ(header(ask("GET", "/v1/status?wait=60"), "Guideway-Forwarding"), "false");
}

TEST_F(RoutesTest, ExplainReadsItsQuery) {
    const Response response =
        ask("GET",
            "/v1/explain?protocol=TCP&source=2001:db8::9&source_port=1234&destination=2001:db8::1&destination_port=80");
    ASSERT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(nlohmann::json::parse(response.body).at("steps")[0], "source 2001:db8::9 port 1234");
}

TEST_F(RoutesTest, ExplainNamesEveryFaultOfItsQuery) {
    const nlohmann::json none = problem(ask("GET", "/v1/explain"), 400);
    EXPECT_EQ(none.at("faults").size(), 5U);
    EXPECT_EQ(none.at("faults")[1].at("message"), "missing, allowed an IPv4 or IPv6 address");
    const nlohmann::json mixed = problem(
        ask("GET",
            "/v1/explain?protocol=TCP&source=10.0.0.1&source_port=1&destination=2001:db8::1&destination_port=80"),
        400);
    EXPECT_EQ(mixed.at("faults")[0].at("field"), "?source");
    EXPECT_EQ(
        problem(ask("GET", "/v1/explain?protocol=tls&source=1&source_port=0&destination=x&destination_port=65536"), 400)
            .at("faults")
            .size(),
        5U);
}

TEST_F(RoutesTest, TheSystemsPathsAnswer) {
    EXPECT_EQ(nlohmann::json::parse(ask("GET", "/v1/status").body).at("version"), "0.1.0");
    EXPECT_EQ(problem(ask("GET", "/v1/counters"), 503).at("reason"), "DataplaneUnavailable");
    EXPECT_EQ(ask("GET", "/metrics").content_type, "text/plain; version=0.0.4");
    EXPECT_EQ(ask("GET", "/healthz").body, "ok\n");
    EXPECT_EQ(ask("GET", "/readyz").body, "ready\n");
    appliance_.set_not_ready("the store is closed");
    EXPECT_EQ(problem(ask("GET", "/readyz"), 503).at("detail"), "the store is closed");
}

TEST_F(RoutesTest, MaintenanceIsPutAndGot) {
    EXPECT_EQ(got("/v1/maintenance").at("on"), false);
    const Response begun = ask("PUT", "/v1/maintenance", R"({"on": true, "reason": "new NIC"})");
    EXPECT_EQ(begun.status, 200) << begun.body;
    EXPECT_EQ(nlohmann::json::parse(begun.body).at("reason"), "new NIC");
    EXPECT_EQ(ask("GET", "/v1/maintenance").body, begun.body);
    EXPECT_EQ(ask("PUT", "/v1/maintenance", begun.body).status, 200) << "what GET answers can be PUT back";
    EXPECT_EQ(got("/v1/bgp").at("peers").at(0).at("state"), "Established");
}

TEST_F(RoutesTest, ABadWishForMaintenanceNamesItsFaultsAndChangesNothing) {
    using Fields = std::vector<std::string>;
    const std::string long_reason(1025, 'x');
    const std::pair<std::string, Fields> table[] = {
        {"{}", {"/on"}},
        {R"({"on": "yes"})", {"/on"}},
        {R"({"on": 1, "reason": 5})", {"/on", "/reason"}},
        {R"({"on": true, "reason": "two\nlines"})", {"/reason"}},
        {R"({"on": true, "reason": ")" + long_reason + "\"}", {"/reason"}},
        {R"({"on": true, "until": "tomorrow"})", {"/until"}},
        {R"({"on": true, "kind": "BgpStatus"})", {"/kind"}},
    };
    for (const auto& [body, wrong] : table) {
        EXPECT_EQ(fields(problem(ask("PUT", "/v1/maintenance", body), 400)), wrong) << body;
    }
    EXPECT_EQ(problem(ask("PUT", "/v1/maintenance", R"({"on": true})", "\"1\""), 400).at("reason"), "InvalidRequest");
    EXPECT_EQ(got("/v1/maintenance").at("on"), false);
    EXPECT_EQ(header(ask("DELETE", "/v1/maintenance"), "Allow"), "GET, HEAD, PUT");
}

TEST_F(RoutesTest, OnlyAWellFormedPutNeedsItsBody) {
    Request request;
    request.method = "PUT";
    request.target = "/v1/nodes/n";
    request.content_type = "application/json";
    EXPECT_FALSE(routes_.answer_early(request));
    for (const char* target : {"/v1/nodes", "/nowhere", "/%"}) {
        request.target = target;
        EXPECT_TRUE(routes_.answer_early(request)) << target;
    }
    request.method = "GET";
    request.target = "/v1/nodes/n";
    EXPECT_EQ(routes_.answer_early(request)->status, 404);
}

TEST_F(RoutesTest, TheRouteIsATemplateSoThatMetricsStayFew) {
    EXPECT_EQ(ask("GET", "/v1/load-balancers/a/b").route, "/v1/load-balancers/{namespace}/{name}");
    EXPECT_EQ(ask("HEAD", "/v1/nodes/a?x=1").route, "/v1/nodes/{name}");
}

}  // namespace
}  // namespace guideway::rest
