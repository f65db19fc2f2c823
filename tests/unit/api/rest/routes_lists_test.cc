// Clusters, lists in pages, label queries, fields.
#include <string>
#include <vector>

#include "tests/unit/api/rest/routes_fixture.h"

namespace guideway::rest {
namespace {

using Names = std::vector<std::string>;

class RoutesListsTest : public RoutesTest {
  protected:
    void put_labelled(const std::string& path, const std::string& labels) {
        const Response response =
            ask("PUT", path,
                R"({"metadata": {"labels": )" + labels +
                    R"(}, "spec": {"ports": [{"port": 80, "nodePort": 30080}], "idleTimeoutSeconds": 30}})");
        ASSERT_EQ(response.status, 201) << response.body;
    }
};

TEST_F(RoutesListsTest, ObjectsOfTwoClustersWithOneNameAreTwo) {
    for (const char* path : {"/v1/load-balancers/a/x", "/v1/clusters/prod/load-balancers/a/x"}) {
        EXPECT_EQ(ask("PUT", path, kBalancer).status, 201) << path;
    }
    EXPECT_EQ(ask("PUT", "/v1/clusters/default/load-balancers/a/x", kBalancer).status, 200) << "the default cluster";
    EXPECT_EQ(got("/v1/clusters/prod/load-balancers/a/x").at("metadata").at("cluster"), "prod");
    EXPECT_EQ(got("/v1/load-balancers/a/x").at("metadata").at("cluster"), "default");
    EXPECT_EQ(names("/v1/load-balancers").size(), 2U);
    EXPECT_EQ(names("/v1/load-balancers?cluster=prod").size(), 1U);
    EXPECT_EQ(names("/v1/clusters/prod/load-balancers").size(), 1U);
    EXPECT_EQ(names("/v1/clusters/other/load-balancers").size(), 0U);
    EXPECT_EQ(ask("PUT", "/v1/clusters/prod/nodes/n", kNode).status, 201);
    EXPECT_EQ(ask("GET", "/v1/nodes/n").status, 404);
    EXPECT_EQ(names("/v1/nodes?cluster=prod"), Names{"n"});
    EXPECT_EQ(ask("DELETE", "/v1/clusters/prod/load-balancers/a/x").status, 204);
    EXPECT_EQ(ask("GET", "/v1/load-balancers/a/x").status, 200);
}

TEST_F(RoutesListsTest, OnlyWhatIsOfAClusterHasAClusterForm) {
    for (const char* path : {"/v1/clusters/prod/address-pools", "/v1/clusters/prod/tokens", "/v1/clusters/prod/status",
                             "/v1/clusters", "/v1/clusters/prod", "/v1/clusters//nodes", "/v1/clusters/prod/nodes/"}) {
        problem(ask("GET", path), 404);
    }
    EXPECT_EQ(fields(problem(ask("GET", "/v1/clusters/prod/nodes?cluster=prod"), 400)), Names{"?cluster"});
    EXPECT_EQ(fields(problem(ask("PUT", "/v1/clusters/Prod/nodes/n", kNode), 400)), Names{"/metadata"});
    EXPECT_EQ(fields(problem(ask("PUT", "/v1/nodes/n",
                                 R"({"metadata": {"cluster": "prod"}, "spec": {"addresses": ["10.0.2.11"]}})"),
                             400)),
              Names{"/metadata/cluster"});
}

TEST_F(RoutesListsTest, TheRouteOfAClusterFormIsThatOfTheShortOne) {
    EXPECT_EQ(ask("GET", "/v1/clusters/prod/nodes/n").route, "/v1/nodes/{name}");
    EXPECT_EQ(header(ask("POST", "/v1/clusters/prod/nodes/n"), "Allow"), "GET, HEAD, PUT, DELETE");
}

TEST_F(RoutesListsTest, PagesLeadToEachOtherAndEnd) {
    for (const char* name : {"a", "b", "c"}) {
        ASSERT_EQ(ask("PUT", std::string("/v1/nodes/") + name, kNode).status, 201);
    }
    const nlohmann::json first = got("/v1/nodes?limit=2");
    EXPECT_EQ(first.at("metadata").at("resourceVersion"), "3");
    EXPECT_EQ(first.at("metadata").at("remainingItemCount"), 1);
    const std::string next = first.at("metadata").at("continue");
    const nlohmann::json last = got("/v1/nodes?limit=2&continue=" + next);
    ASSERT_EQ(last.at("items").size(), 1U);
    EXPECT_EQ(last.at("items")[0].at("metadata").at("name"), "c");
    EXPECT_FALSE(last.at("metadata").contains("continue"));
    EXPECT_EQ(got("/v1/nodes?limit=0").at("items").size(), 3U);
    for (const char* limit : {"-1", "", "x", "1000001"}) {
        EXPECT_EQ(fields(problem(ask("GET", std::string("/v1/nodes?limit=") + limit), 400)), Names{"?limit"});
    }
}

TEST_F(RoutesListsTest, LabelQueriesSelect) {
    put_labelled("/v1/load-balancers/a/x", R"({"team": "shop", "tier": "test"})");
    put_labelled("/v1/load-balancers/a/y", R"({"team": "shop"})");
    put_labelled("/v1/load-balancers/b/z", R"({"team": "bank"})");
    EXPECT_EQ(names("/v1/load-balancers?labelSelector=team%3Dshop"), (Names{"x", "y"}));
    EXPECT_EQ(names("/v1/load-balancers?labelSelector=team+in+(shop,bank),!tier"), (Names{"y", "z"}));
    EXPECT_EQ(names("/v1/load-balancers?labelSelector=team!=shop"), Names{"z"});
    EXPECT_EQ(names("/v1/load-balancers?labelSelector="), (Names{"x", "y", "z"}));
    const nlohmann::json refused = problem(ask("GET", "/v1/load-balancers?labelSelector=team%3E1"), 400);
    EXPECT_EQ(fields(refused), Names{"?labelSelector"});
    EXPECT_EQ(refused.at("faults")[0].at("message"),
              "found \">1\" at character 5, allowed '=', '==', '!=', 'in', 'notin', ',' or the end");
}

TEST_F(RoutesListsTest, FieldsLeaveOutWhatIsNotAskedFor) {
    put_labelled("/v1/load-balancers/a/x", "{}");
    EXPECT_EQ(got("/v1/load-balancers/a/x?fields=spec.ports.port,metadata.namespace"),
              nlohmann::json::parse(R"({"kind": "LoadBalancer", "metadata": {"name": "x", "namespace": "a"},
                  "spec": {"ports": [{"port": 80}]}})"));
    const nlohmann::json list = got("/v1/load-balancers?fields=spec.idleTimeoutSeconds");
    EXPECT_EQ(list.at("metadata").at("resourceVersion"), "1");
    EXPECT_EQ(list.at("items")[0], nlohmann::json::parse(R"({"kind": "LoadBalancer", "metadata": {"name": "x"},
        "spec": {"idleTimeoutSeconds": 30}})"));
    const nlohmann::json refused =
        problem(ask("GET", "/v1/load-balancers?fields=spec.prots,metadata.name,status.ingress.ip.x"), 400);
    EXPECT_EQ(fields(refused), (Names{"?fields", "?fields"}));
    EXPECT_EQ(refused.at("faults")[0].at("message"),
              "found \"spec.prots\", allowed spec.ipFamilyPolicy, spec.ipFamilies, spec.clusterIPs, spec.addressPool, "
              "spec.addresses, spec.loadBalancerIP, spec.sharingKey, spec.namespaceLabels, spec.idleTimeoutSeconds, "
              "spec.externalTrafficPolicy, spec.healthCheckNodePort, spec.mode, spec.sessionAffinitySeconds, "
              "spec.sourceRanges, spec.sourceRangesEndEstablished, spec.silent, spec.limits, spec.endpointSlices, "
              "spec.ports");
    EXPECT_EQ(refused.at("faults")[1].at("message"),
              "found \"status.ingress.ip.x\", allowed nothing below status.ingress.ip");
    EXPECT_EQ(fields(problem(ask("GET", "/v1/load-balancers/a/x?fields="), 400)), Names{"?fields"});
}

TEST_F(RoutesListsTest, ADeletionOfANameThatNoObjectCanHaveIsASlip) {
    EXPECT_EQ(fields(problem(ask("DELETE", "/v1/nodes/Web"), 400)), Names{"{name}"});
    EXPECT_EQ(fields(problem(ask("DELETE", "/v1/clusters/A/load-balancers/a.b/web_1"), 400)),
              (Names{"{cluster}", "{namespace}", "{name}"}));
    EXPECT_EQ(ask("DELETE", "/v1/nodes/web.example").status, 204);
    problem(ask("GET", "/v1/nodes/Web"), 404);
}

TEST_F(RoutesListsTest, ADeletionMayNameTheUid) {
    ASSERT_EQ(ask("PUT", "/v1/load-balancers/a/x",
                  R"({"metadata": {"uid": "u1"}, "spec": {"ports": [{"port": 80, "nodePort": 30080}]}})")
                  .status,
              201);
    problem(ask("DELETE", "/v1/load-balancers/a/x?uid=u2"), 409);
    EXPECT_EQ(ask("DELETE", "/v1/load-balancers/a/x?uid=u1").status, 204);
    EXPECT_EQ(ask("DELETE", "/v1/load-balancers/a/x?uid=u1").status, 204);
}

TEST_F(RoutesListsTest, APreviewIsMadeOfTheBodyOfAPutAndChangesNothing) {
    const Response response = ask("POST", "/v1/load-balancers/a/x/preview", kBalancer);
    ASSERT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(nlohmann::json::parse(response.body).at("message"), "nothing is free for a/x");
    EXPECT_EQ(nlohmann::json::parse(ask("POST", "/v1/clusters/prod/load-balancers/a/x/preview", kBalancer).body)
                  .at("message"),
              "nothing is free for prod/a/x");
    EXPECT_EQ(ask("GET", "/v1/load-balancers/a/x").status, 404);
    EXPECT_EQ(fields(problem(ask("POST", "/v1/load-balancers/a/x/preview", R"({"spec": {}})"), 400)),
              Names{"/spec/ports"});
    problem(ask("POST", "/v1/load-balancers/a/x/preview"), 415);
    EXPECT_FALSE(routes_.answer_early(request("POST", "/v1/load-balancers/a/x/preview", kBalancer)));
}

TEST_F(RoutesListsTest, EventsAreOfTheObjectAskedFor) {
    resources::Event event;
    event.reason = "IPAllocated";
    event.regarding = {"LoadBalancer", "prod", "a", "x"};
    appliance_.add_event(event);
    event.regarding = {"AddressPool", "", "", "x"};
    appliance_.add_event(event);
    EXPECT_EQ(got("/v1/events").at("items").size(), 2U);
    EXPECT_EQ(got("/v1/events?kind=AddressPool").at("items").size(), 1U);
    EXPECT_EQ(got("/v1/events?name=x").at("items").size(), 2U);
    EXPECT_EQ(got("/v1/events?name=y").at("items").size(), 0U);
    EXPECT_EQ(got("/v1/events?cluster=prod&namespace=a").at("items").size(), 1U);
    EXPECT_EQ(got("/v1/events?kind=AddressPool&fields=reason").at("items")[0],
              nlohmann::json::parse(R"({"kind": "Event", "reason": "IPAllocated"})"));
}

TEST_F(RoutesListsTest, ListsThatAreNoWatchTakeNothingOfWatches) {
    const nlohmann::json refused = problem(ask("GET", "/v1/nodes?resourceVersion=1&allowBookmarks=true"), 400);
    EXPECT_EQ(fields(refused), (Names{"?resourceVersion", "?allowBookmarks"}));
    EXPECT_EQ(fields(problem(ask("GET", "/v1/nodes?watch=yes"), 400)), Names{"?watch"});
    EXPECT_EQ(got("/v1/nodes?watch=false").at("kind"), "NodeList");
}

}  // namespace
}  // namespace guideway::rest
