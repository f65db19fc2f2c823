// Who may do what, preconditions that are asked for, tokens, backups, waiting.
#include <set>
#include <string>
#include <vector>

#include "tests/unit/api/rest/routes_fixture.h"

namespace guideway::rest {
namespace {

using Names = std::vector<std::string>;

const Caller kAdmin{"root", Role::admin, {}, {}};
const Caller kViewer{"eye", Role::viewer, {}, {}};
const Caller kProd{"prod-controller", Role::controller, "prod", {}};

class RoutesAccessTest : public RoutesTest {
  protected:
    /// Whether the caller is let in: everything but 403.
    bool served(const Caller& caller, const std::string& method, const std::string& target) {
        caller_ = caller;
        std::string_view body;
        if (target.find("load-balancers") != std::string::npos) body = kBalancer;
        if (target.find("address-pools") != std::string::npos) body = kPool;
        if (target.find("nodes") != std::string::npos) body = kNode;
        if (target.find("tokens") != std::string::npos) body = R"({"spec": {"role": "viewer"}})";
        Request one = request(method, target, method == "PUT" || method == "POST" ? body : "");
        if (target == "/v1/backup") one.content_type = "application/x-ndjson";
        const Response response = routes_.answer(one);
        if (response.status == 403) {
            EXPECT_EQ(problem(response, 403).at("reason"), "Forbidden");
            const auto early = routes_.answer_early(one);
            EXPECT_TRUE(early && early->status == 403) << "nobody reads the body of " << method << " " << target;
        }
        return response.status != 403;
    }
};

TEST_F(RoutesAccessTest, EachRoleMayDoWhatTheTableSays) {
    const struct {
        const char* method;
        const char* target;
        bool viewer, own_controller;
    } table[] = {
        {"GET", "/v1/clusters/prod/load-balancers", true, true},
        {"GET", "/v1/clusters/prod/load-balancers/a/x", true, true},
        {"PUT", "/v1/clusters/prod/load-balancers/a/x", false, true},
        {"POST", "/v1/clusters/prod/load-balancers/a/x/preview", true, true},
        {"DELETE", "/v1/clusters/prod/load-balancers/a/x", false, true},
        {"GET", "/v1/load-balancers", true, true},  // narrowed to its own
        {"GET", "/v1/load-balancers?cluster=test", true, false},
        {"GET", "/v1/clusters/test/load-balancers", true, false},
        {"GET", "/v1/clusters/test/load-balancers?watch=true", true, false},
        {"GET", "/v1/clusters/test/load-balancers/a/x", true, false},
        {"GET", "/v1/load-balancers/a/x", true, false},
        {"PUT", "/v1/load-balancers/a/x", false, false},
        {"PUT", "/v1/clusters/test/load-balancers/a/x", false, false},
        {"POST", "/v1/clusters/test/load-balancers/a/x/preview", true, false},
        {"DELETE", "/v1/clusters/test/load-balancers/a/x", false, false},
        {"GET", "/v1/clusters/prod/nodes", true, true},
        {"GET", "/v1/nodes", true, true},
        {"PUT", "/v1/clusters/prod/nodes/n", false, true},
        {"DELETE", "/v1/clusters/prod/nodes/n", false, true},
        {"GET", "/v1/nodes/n", true, false},
        {"PUT", "/v1/nodes/n", false, false},
        {"DELETE", "/v1/clusters/test/nodes/n", false, false},
        {"GET", "/v1/address-pools", true, true},
        {"GET", "/v1/address-pools/p", true, true},
        {"PUT", "/v1/address-pools/p", false, false},
        {"DELETE", "/v1/address-pools/p", false, false},
        {"GET", "/v1/tokens", false, false},
        {"GET", "/v1/tokens/t", false, false},
        {"PUT", "/v1/tokens/t", false, false},
        {"DELETE", "/v1/tokens/t", false, false},
        {"POST", "/v1/tokens/t/rotate", false, false},
        {"GET", "/v1/backup", false, false},
        {"PUT", "/v1/backup", false, false},
        {"GET", "/v1/status", true, true},
        {"GET", "/v1/events", true, true},
        {"GET", "/v1/events?cluster=test", true, false},
        {"GET", "/v1/snat-addresses", true, true},
        {"GET", "/v1/explain", true, false},
        {"GET", "/v1/counters", true, false},
        {"GET", "/v1/bgp", true, false},
        {"GET", "/v1/maintenance", true, false},
        {"PUT", "/v1/maintenance", false, false},
        {"GET", "/v1/openapi.yaml", true, true},
        {"GET", "/metrics", true, false},
        {"GET", "/healthz", true, true},
        {"GET", "/readyz", true, true},
    };
    for (const auto& one : table) {
        const std::string what = std::string(one.method) + " " + one.target;
        EXPECT_TRUE(served(kAdmin, one.method, one.target)) << what;
        EXPECT_EQ(served(kViewer, one.method, one.target), one.viewer) << what;
        EXPECT_EQ(served(kProd, one.method, one.target), one.own_controller) << what;
    }
}

TEST_F(RoutesAccessTest, ARefusalSaysWhatIsNeededAndWhatTheCallerHas) {
    caller_ = kProd;
    EXPECT_EQ(problem(ask("PUT", "/v1/nodes/n", kNode), 403).at("detail"),
              "this needs the role controller of cluster \"default\", or admin; \"prod-controller\" has the role "
              "controller of cluster \"prod\"");
    caller_ = kViewer;
    EXPECT_EQ(problem(ask("GET", "/v1/tokens"), 403).at("detail"),
              "this needs the role admin; \"eye\" has the role viewer");
    EXPECT_EQ(ask("PUT", "/v1/nodes/n?nonsense=1", "{").status, 403) << "before what the request says is looked at";
}

TEST_F(RoutesAccessTest, AControllerSeesNothingOfOtherClusters) {
    for (const char* cluster : {"prod", "test"}) {
        const std::string base = "/v1/clusters/" + std::string(cluster);
        ASSERT_EQ(ask("PUT", base + "/load-balancers/a/" + cluster, kBalancer).status, 201);
        ASSERT_EQ(ask("PUT", base + "/nodes/" + cluster, kNode).status, 201);
        resources::Event event;
        event.reason = "IPAllocated";
        event.regarding = {"LoadBalancer", cluster, "a", cluster};
        appliance_.add_event(event);
    }
    ASSERT_EQ(ask("PUT", "/v1/address-pools/p", kPool).status, 201);
    const IpAddress address = IpAddress::parse("203.0.113.1").value();
    appliance_.set_pool_users("p", {{"prod", "a", "prod", {address}}, {"test", "a", "test", {address}}});
    caller_ = kProd;
    EXPECT_EQ(names("/v1/load-balancers"), Names{"prod"});
    EXPECT_EQ(names("/v1/nodes"), Names{"prod"});
    EXPECT_EQ(got("/v1/events").at("items").size(), 1U);
    EXPECT_EQ(got("/v1/events").at("items")[0].at("regarding").at("cluster"), "prod");
    for (const nlohmann::json& pool : {got("/v1/address-pools/p"), got("/v1/address-pools").at("items")[0]}) {
        ASSERT_EQ(pool.at("status").at("users").size(), 1U);
        EXPECT_EQ(pool.at("status").at("users")[0].at("cluster"), "prod");
    }
    const Response watch = ask("GET", "/v1/load-balancers?watch=true");
    const std::string text = watch.stream->next(std::chrono::milliseconds(0)).value_or("");
    EXPECT_NE(text.find("\"prod\""), std::string::npos);
    EXPECT_EQ(text.find("\"test\""), std::string::npos) << text;
    const Response pools = ask("GET", "/v1/address-pools?watch=true");
    EXPECT_EQ(pools.stream->next(std::chrono::milliseconds(0)).value_or("\"test\"").find("\"test\""),
              std::string::npos);
}

TEST_F(RoutesAccessTest, HealthIsOpenAndNothingElse) {
    EXPECT_TRUE(Routes::is_open(request("GET", "/healthz")));
    EXPECT_TRUE(Routes::is_open(request("GET", "/readyz?x=1")));
    for (const char* target :
         {"/metrics", "/v1/status", "/healthz/", "/healthz/../v1/tokens", "/%68ealthz", "/HEALTHZ"}) {
        EXPECT_FALSE(Routes::is_open(request("GET", target))) << target;
    }
}

TEST_F(RoutesAccessTest, APoolInUseIsDeletedOnlyByWhoSaysWhichOne) {
    ASSERT_EQ(ask("PUT", "/v1/address-pools/p", kPool).status, 201);
    appliance_.set_pool_users("p", {{"prod", "a", "x", {}}, {"prod", "a", "y", {}}});
    const Response refused = ask("DELETE", "/v1/address-pools/p");
    EXPECT_EQ(problem(refused, 428).at("reason"), "PreconditionRequired");
    EXPECT_EQ(header(refused, "ETag"), "\"1\"");
    EXPECT_EQ(problem(refused, 428).at("detail"),
              "found the pool in use by 2 load balancers, which would lose their addresses; to delete it all the same "
              "send If-Match: \"1\"");
    problem(ask("DELETE", "/v1/address-pools/p", "", "\"9\""), 412);
    EXPECT_EQ(ask("DELETE", "/v1/address-pools/p", "", "\"1\"").status, 204);
    EXPECT_EQ(ask("DELETE", "/v1/address-pools/p").status, 204) << "what is not there is not in use";
    ASSERT_EQ(ask("PUT", "/v1/address-pools/p", kPool).status, 201);
    EXPECT_EQ(ask("DELETE", "/v1/address-pools/p").status, 204) << "nobody has an address of it";
}

TEST_F(RoutesAccessTest, PreconditionsAreRefusedWhereTheyMeanNothing) {
    problem(ask("POST", "/v1/load-balancers/a/x/preview", kBalancer, "*"), 400);
    EXPECT_EQ(ask("GET", "/v1/nodes", "", "\"1\"").status, 200) << "reading depends on nothing";
}

TEST_F(RoutesAccessTest, ASecretIsInTheAnswersThatMadeItAlone) {
    const Response made = ask("PUT", "/v1/tokens/t", R"({"spec": {"role": "controller", "cluster": "prod"}})");
    ASSERT_EQ(made.status, 201) << made.body;
    EXPECT_EQ(nlohmann::json::parse(made.body).at("status").at("token"), "gw_secret");
    EXPECT_EQ(header(made, "Cache-Control"), "no-store");
    EXPECT_FALSE(got("/v1/tokens/t").at("status").contains("token"));
    EXPECT_EQ(got("/v1/tokens").at("items").size(), 1U);
    const Response rotated = ask("POST", "/v1/tokens/t/rotate");
    ASSERT_EQ(rotated.status, 200) << rotated.body;
    EXPECT_EQ(nlohmann::json::parse(rotated.body).at("status").at("token"), "gw_secret_2");
    EXPECT_EQ(header(rotated, "Cache-Control"), "no-store");
    EXPECT_EQ(fields(problem(ask("PUT", "/v1/tokens/t", R"({"spec": {"role": "controller"}})"), 400)),
              Names{"/spec/cluster"});
    problem(ask("POST", "/v1/tokens/none/rotate"), 404);
    EXPECT_EQ(ask("DELETE", "/v1/tokens/t").status, 204);
}

TEST_F(RoutesAccessTest, RestoringReplacesEverythingAndSoWantsToBeMeant) {
    const Response backup = ask("GET", "/v1/backup");
    EXPECT_EQ(backup.content_type, "application/x-ndjson");
    Request restore = request("PUT", "/v1/backup", backup.body);
    problem(routes_.answer(restore), 415);
    restore.content_type = "application/x-ndjson";
    EXPECT_EQ(problem(routes_.answer(restore), 428).at("reason"), "PreconditionRequired");
    restore.if_none_match = "*";
    problem(routes_.answer(restore), 428);
    restore.if_none_match.reset();
    restore.if_match = "\"9\"";
    problem(routes_.answer(restore), 412);
    EXPECT_EQ(appliance_.restores, 0);
    restore.if_match = "*";
    const Response restored = routes_.answer(restore);
    ASSERT_EQ(restored.status, 200) << restored.body;
    EXPECT_EQ(appliance_.restored, backup.body);
    EXPECT_EQ(nlohmann::json::parse(restored.body).at("kind"), "SystemStatus");
}

TEST_F(RoutesAccessTest, OnlyABackupMayBeLarge) {
    EXPECT_EQ(Routes::max_body(request("PUT", "/v1/backup"), 100), std::size_t{256} << 20);
    EXPECT_EQ(Routes::max_body(request("PUT", "/v1/nodes/n"), 100), 100U);
    EXPECT_EQ(Routes::max_body(request("POST", "/v1/backup"), 100), 100U);
    EXPECT_EQ(Routes::max_body(request("PUT", "/v1/backup/"), 100), 100U);
}

TEST_F(RoutesAccessTest, WaitingForForwardingHasItsTimeInAParameterOfItsOwn) {
    appliance_.set_forwarding(true);
    EXPECT_EQ(header(ask("PUT", "/v1/nodes/n?wait=forwarding", kNode), "Guideway-Forwarding"), "true");
    appliance_.set_forwarding(false);
    EXPECT_EQ(header(ask("DELETE", "/v1/nodes/n?wait=forwarding&timeout=0"), "Guideway-Forwarding"), "false");
    for (const char* query :
         {"wait=forwarding&timeout=61", "wait=forwarding&timeout=", "timeout=1", "wait=1&timeout=1"}) {
        EXPECT_EQ(fields(problem(ask("PUT", std::string("/v1/nodes/n?") + query, kNode), 400)), Names{"?timeout"})
            << query;
    }
    EXPECT_EQ(fields(problem(ask("PUT", "/v1/nodes/n?wait=programmed", kNode), 400)), Names{"?wait"});
    EXPECT_EQ(ask("GET", "/v1/nodes/n").status, 404) << "nothing was changed";
}

TEST_F(RoutesAccessTest, TooManyWaitsAreToldWhenToComeAgain) {
    Routes none(appliance_, 0);
    Request one = request("GET", "/v1/status?wait=forwarding");
    const Response response = none.answer(one);
    EXPECT_EQ(problem(response, 503).at("reason"), "TooManyWaiting");
    EXPECT_EQ(header(response, "Retry-After"), "1");
}

TEST_F(RoutesAccessTest, TheApiDescribesItself) {
    const Response response = ask("GET", "/v1/openapi.yaml");
    EXPECT_EQ(response.content_type, "application/yaml");
    EXPECT_NE(response.body.find("\nopenapi: 3.1.0\n"), std::string::npos);
}

}  // namespace
}  // namespace guideway::rest
