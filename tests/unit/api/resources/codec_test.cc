#include <functional>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "api/resources/address_pool_codec.h"
#include "api/resources/load_balancer_codec.h"
#include "api/resources/names.h"
#include "api/resources/node_codec.h"
#include "api/resources/problem_codec.h"
#include "api/resources/status_codec.h"

namespace guideway::resources {
namespace {

using Tree = nlohmann::json;

IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }

Metadata full_metadata(const char* ns) {
    Metadata metadata;
    metadata.namespace_ = ns;
    metadata.name = "web";
    metadata.uid = "6c1f";
    metadata.labels = {{"app.kubernetes.io/name", "web"}, {"tier", ""}};
    metadata.resource_version = 12;
    metadata.generation = 3;
    metadata.creation_timestamp = "2024-05-01T10:00:00Z";
    return metadata;
}

LoadBalancer full_load_balancer() {
    LoadBalancer object;
    object.metadata = full_metadata("default");
    object.spec.ip_family_policy = IpFamilyPolicy::require_dual_stack;
    object.spec.ip_families = {IpFamily::ipv6, IpFamily::ipv4};
    object.metadata.cluster = "prod";
    object.spec.cluster_ips = {ip("10.96.0.7"), ip("fd00::7")};
    object.spec.load_balancer_ip = ip("203.0.113.9");
    object.spec.namespace_labels = {{"team", "shop"}};
    object.spec.address_pool = "public";
    object.spec.addresses = {ip("203.0.113.7"), ip("2001:db8::7")};
    object.spec.sharing_key = "shared";
    object.spec.idle_timeout_seconds = 600;
    object.spec.ports = {{"http", contract::Protocol::tcp, 80, 30080}, {"", contract::Protocol::udp, 80, 30081}};
    object.status.observed_generation = 3;
    object.status.ingress = {{ip("203.0.113.7"), "public"}, {ip("2001:db8::7"), "public"}};
    object.status.conditions = {{"Allocated", true, "Allocated", "has its addresses", "2024-05-01T10:00:00Z"},
                                {"Programmed", false, "NotConnected", "start the dataplane", "2024-05-01T10:00:01Z"}};
    return object;
}

std::vector<std::string> fields_of(const std::vector<contract::Fault>& faults) {
    std::vector<std::string> out;
    for (const auto& fault : faults) out.push_back(fault.field);
    return out;
}

TEST(LoadBalancerCodec, AnAnswerRoundTripsWithEverything) {
    const LoadBalancer object = full_load_balancer();
    const auto read = read_load_balancer(encode(object, true));
    ASSERT_TRUE(read.ok()) << read.faults[0].field << read.faults[0].message;
    EXPECT_EQ(*read.value, object);
    EXPECT_EQ(Tree::parse(encode(object))["metadata"]["resourceVersion"], "12");
}

TEST(LoadBalancerCodec, WhatAGetAnsweredCanBePutAgain) {
    const LoadBalancer object = full_load_balancer();
    const auto wish = decode_load_balancer(encode(object), "default", "web", "prod");
    ASSERT_TRUE(wish.ok()) << wish.faults[0].field << wish.faults[0].message;
    EXPECT_EQ(wish.value->spec, object.spec);
    EXPECT_EQ(wish.value->metadata.cluster, "prod");
    EXPECT_EQ(wish.value->metadata.labels, object.metadata.labels);
    EXPECT_EQ(wish.value->metadata.uid, "6c1f");
    EXPECT_EQ(wish.value->metadata.resource_version, 0U);
    EXPECT_EQ(wish.value->metadata.generation, 0U);
    EXPECT_EQ(wish.value->status, LoadBalancerStatus{});
}

TEST(LoadBalancerCodec, KindAndMetadataMayBeLeftOut) {
    const auto wish =
        decode_load_balancer(R"({"spec": {"ports": [{"port": 80, "nodePort": 30080}]}})", "default", "web");
    ASSERT_TRUE(wish.ok());
    EXPECT_EQ(wish.value->key(), "default/web");
    EXPECT_EQ(wish.value->spec.ports[0].protocol, contract::Protocol::tcp);
    EXPECT_EQ(wish.value->spec.ip_family_policy, IpFamilyPolicy::single_stack);
}

TEST(LoadBalancerCodec, ListsRoundTrip) {
    const std::vector<LoadBalancer> objects{full_load_balancer(), full_load_balancer()};
    const auto read = read_load_balancer_list(encode(objects));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(*read.value, objects);
    EXPECT_EQ(encode(std::vector<LoadBalancer>{}), R"({"kind":"LoadBalancerList","items":[]})");
    List<LoadBalancer> page;
    page.metadata.resource_version = 7;
    page.metadata.next_token = "opaque";
    page.metadata.remaining_item_count = 3;
    page.items = objects;
    EXPECT_EQ(*read_load_balancer_page(encode(page)).value, page);
    EXPECT_EQ(Tree::parse(encode(page))["metadata"],
              (Tree{{"resourceVersion", "7"}, {"continue", "opaque"}, {"remainingItemCount", 3}}));
    page.metadata.next_token.clear();  // the last page: nothing remains
    page.metadata.remaining_item_count = 0;
    page.metadata.remaining_item_count = 0;
    EXPECT_EQ(Tree::parse(encode(page))["metadata"], (Tree{{"resourceVersion", "7"}}));
}

struct Case {
    const char* rule;
    std::function<void(Tree&)> spoil;
    const char* field;
};

TEST(LoadBalancerCodec, EveryFaultOfAWishIsNamedByPointer) {
    const std::vector<Case> cases{
        {"kind matches", [](Tree& t) { t["kind"] = "Node"; }, "/kind"},
        {"name matches the path", [](Tree& t) { t["metadata"]["name"] = "other"; }, "/metadata/name"},
        {"namespace matches the path", [](Tree& t) { t["metadata"]["namespace"] = "other"; }, "/metadata/namespace"},
        {"cluster matches the path", [](Tree& t) { t["metadata"]["cluster"] = "test"; }, "/metadata/cluster"},
        {"label names",
         [](Tree& t) {
             t["metadata"]["labels"] = {{"a b", "c"}};
         },
         "/metadata/labels"},
        {"label values",
         [](Tree& t) {
             t["metadata"]["labels"] = {{"a", "-"}};
         },
         "/metadata/labels/a"},
        {"namespace labels", [](Tree& t) { t["spec"]["namespaceLabels"]["a"] = " "; }, "/spec/namespaceLabels/a"},
        {"cluster IPs are addresses", [](Tree& t) { t["spec"]["clusterIPs"][1] = "None"; }, "/spec/clusterIPs/1"},
        {"one cluster IP a family", [](Tree& t) { t["spec"]["clusterIPs"][1] = "10.96.0.8"; }, "/spec/clusterIPs"},
        {"the load balancer's IP is an address", [](Tree& t) { t["spec"]["loadBalancerIP"] = ""; },
         "/spec/loadBalancerIP"},
        {"labels are texts", [](Tree& t) { t["metadata"]["labels"]["a/b"] = 1; }, "/metadata/labels/a~1b"},
        {"unknown fields", [](Tree& t) { t["spec"]["port"] = 1; }, "/spec/port"},
        {"unknown fields of metadata", [](Tree& t) { t["metadata"]["finalizers"] = 1; }, "/metadata/finalizers"},
        {"spec is needed", [](Tree& t) { t.erase("spec"); }, "/spec"},
        {"at least one port", [](Tree& t) { t["spec"]["ports"] = Tree::array(); }, "/spec/ports"},
        {"ports are needed", [](Tree& t) { t["spec"].erase("ports"); }, "/spec/ports"},
        {"port range", [](Tree& t) { t["spec"]["ports"][0]["port"] = 65536; }, "/spec/ports/0/port"},
        // 0 is allowed since ports without one are served by endpoints (kubernetes-contract 12).
        {"node port range", [](Tree& t) { t["spec"]["ports"][1]["nodePort"] = 65536; }, "/spec/ports/1/nodePort"},
        {"listeners are unique", [](Tree& t) { t["spec"]["ports"][1]["protocol"] = "TCP"; }, "/spec/ports/1/port"},
        {"port names are unique", [](Tree& t) { t["spec"]["ports"][1]["name"] = "http"; }, "/spec/ports/1/name"},
        {"protocols are spelled in capitals", [](Tree& t) { t["spec"]["ports"][0]["protocol"] = "tcp"; },
         "/spec/ports/0/protocol"},
        {"policy", [](Tree& t) { t["spec"]["ipFamilyPolicy"] = "Dual"; }, "/spec/ipFamilyPolicy"},
        {"families", [](Tree& t) { t["spec"]["ipFamilies"][0] = "IPv5"; }, "/spec/ipFamilies/0"},
        {"families once each",
         [](Tree& t) {
             t["spec"]["ipFamilies"] = {"IPv4", "IPv4"};
         },
         "/spec/ipFamilies"},
        {"addresses are addresses", [](Tree& t) { t["spec"]["addresses"][0] = "203.0.113.0/24"; }, "/spec/addresses/0"},
        {"addresses are usable", [](Tree& t) { t["spec"]["addresses"][1] = "ff02::1"; }, "/spec/addresses/1"},
        {"one address a family", [](Tree& t) { t["spec"]["addresses"][1] = "203.0.113.8"; }, "/spec/addresses"},
        {"timeout range", [](Tree& t) { t["spec"]["idleTimeoutSeconds"] = 604801; }, "/spec/idleTimeoutSeconds"},
        {"pool names", [](Tree& t) { t["spec"]["addressPool"] = "No Such"; }, "/spec/addressPool"},
    };
    for (const Case& one : cases) {
        Tree tree = Tree::parse(encode(full_load_balancer()));
        one.spoil(tree);
        const auto wish = decode_load_balancer(tree.dump(), "default", "web", "prod");
        EXPECT_EQ(fields_of(wish.faults), std::vector<std::string>{one.field}) << one.rule;
        EXPECT_FALSE(wish.ok()) << one.rule;
    }
}

TEST(LoadBalancerCodec, SingleStackTakesOneFamilyAndItsAddress) {
    const auto wish = decode_load_balancer(
        R"({"spec": {"ipFamilies": ["IPv4"], "addresses": ["2001:db8::7"], "ports": [{"port": 80, "nodePort": 1}]}})",
        "default", "web");
    EXPECT_EQ(fields_of(wish.faults), std::vector<std::string>{"/spec/addresses"});
    const auto field = decode_load_balancer(
        R"({"spec": {"ipFamilies": ["IPv6"], "loadBalancerIP": "203.0.113.7", "ports": [{"port": 80, "nodePort": 1}]}})",
        "default", "web");
    EXPECT_EQ(fields_of(field.faults), std::vector<std::string>{"/spec/loadBalancerIP"});
    // Rule 12: with cluster IPs, the families are theirs.
    EXPECT_TRUE(decode_load_balancer(R"({"spec": {"ipFamilies": ["IPv4"], "clusterIPs": ["fd00::7"],
        "addresses": ["2001:db8::7"], "ports": [{"port": 80, "nodePort": 1}]}})",
                                     "default", "web")
                    .ok());
}

TEST(LoadBalancerCodec, ADocumentOfTheStoreFromBeforeThereWereClustersIsOfTheDefaultOne) {
    const auto read = read_load_balancer(
        R"({"kind":"LoadBalancer","metadata":{"namespace":"default","name":"web","resourceVersion":"4","generation":2,
        "creationTimestamp":"2024-05-01T10:00:00Z"},"spec":{"ipFamilyPolicy":"SingleStack","ipFamilies":[],
        "ports":[{"protocol":"TCP","port":80,"nodePort":30080}]},"status":{"observedGeneration":2,"ingress":[],"conditions":[]}})");
    ASSERT_TRUE(read.ok()) << read.faults[0].field << read.faults[0].message;
    EXPECT_EQ(read.value->metadata.cluster, "default");
    EXPECT_EQ(read.value->key(), "default/web");
}

TEST(LoadBalancerCodec, NamesInThePathAreChecked) {
    constexpr auto kBody = R"({"spec": {"ports": [{"port": 80, "nodePort": 1}]}})";
    EXPECT_FALSE(decode_load_balancer(kBody, "default", "Web").ok());
    EXPECT_FALSE(decode_load_balancer(kBody, "de.fault", "web").ok());
    EXPECT_FALSE(decode_load_balancer(kBody, "default", "..").ok());
}

TEST(AddressPoolCodec, RoundTripAndFreeAddresses) {
    AddressPool object;
    object.metadata = full_metadata("");
    object.spec.addresses = {"203.0.113.0/24", "2001:db8::1-2001:db8::ff"};
    object.spec.auto_assign = false;
    object.spec.avoid_buggy_ips = true;
    object.spec.share_across_namespaces = true;
    object.spec.quarantine_seconds = 60;
    object.spec.silent = true;
    object.spec.ports = {"clients", "trunk.10.100"};
    object.spec.service_allocation =
        ServiceAllocation{20,
                          {"prod"},
                          {"shop"},
                          {{{{"team", "shop"}}, {{"tier", SelectorOperator::not_in, {"test", ""}}}}},
                          {{{}, {{"example.com/public", SelectorOperator::exists, {}}}}, {}}};
    object.status = {3,
                     {256, 6, 1, 2, 250},
                     {(std::uint64_t{1} << 53) - 1, 0, 0, 0, (std::uint64_t{1} << 53) - 1},
                     7,
                     {{"prod", "shop", "web", {ip("203.0.113.7")}}}};
    const auto read = read_address_pool(encode(object));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(*read.value, object);
    EXPECT_EQ(Tree::parse(encode(object))["status"]["ipv4"]["free"], 250);
    const auto wish = decode_address_pool(encode(object), "web");
    ASSERT_TRUE(wish.ok());
    EXPECT_EQ(wish.value->spec, object.spec);
    EXPECT_EQ(read_address_pool_list(encode(std::vector<AddressPool>{object})).value->at(0), object);
}

TEST(AddressPoolCodec, ADocumentOfTheStoreFromBeforeThereWereMoreFieldsIsRead) {
    const auto read = read_address_pool(
        R"({"kind":"AddressPool","metadata":{"name":"a","labels":{"old rule":"any text"},"resourceVersion":"4","generation":2},
        "spec":{"addresses":["203.0.113.0/28"],"autoAssign":true,"avoidBuggyIPs":false},
        "status":{"ipv4":{"total":16,"allocated":1,"free":15},"ipv6":{"total":0,"allocated":0,"free":0}}})");
    ASSERT_TRUE(read.ok()) << read.faults[0].field << read.faults[0].message;
    EXPECT_EQ(read.value->metadata.resource_version, 4U);
    EXPECT_EQ(read.value->spec.quarantine_seconds, 0U);
    EXPECT_FALSE(read.value->spec.service_allocation);
}

TEST(AddressPoolCodec, FaultsOfSelectorsAreNamed) {
    const auto wish = decode_address_pool(R"({"spec": {"addresses": ["203.0.113.0/28"], "quarantineSeconds": 604801,
        "serviceAllocation": {"priority": -1, "clusters": ["A"], "namespaces": [""], "pools": 1,
        "namespaceSelectors": [{"matchLabels": {"-a": "b"}}, {"matchExpressions": [
            {"key": "a", "operator": "In"}, {"key": "a", "operator": "NotIn", "values": []},
            {"key": "a", "operator": "Exists", "values": ["x"]}, {"key": "a", "operator": "Gt", "values": ["1"]},
            {"key": "a b", "operator": "DoesNotExist"}, {"key": "a", "operator": "In", "values": ["b c"]}]}]}}})",
                                          "web");
    EXPECT_EQ(fields_of(wish.faults),
              (std::vector<std::string>{"/spec/quarantineSeconds", "/spec/serviceAllocation/priority",
                                        "/spec/serviceAllocation/clusters/0", "/spec/serviceAllocation/namespaces/0",
                                        "/spec/serviceAllocation/namespaceSelectors/0/matchLabels",
                                        "/spec/serviceAllocation/namespaceSelectors/1/matchExpressions/0/values",
                                        "/spec/serviceAllocation/namespaceSelectors/1/matchExpressions/1/values",
                                        "/spec/serviceAllocation/namespaceSelectors/1/matchExpressions/2/values",
                                        "/spec/serviceAllocation/namespaceSelectors/1/matchExpressions/3/operator",
                                        "/spec/serviceAllocation/namespaceSelectors/1/matchExpressions/4/key",
                                        "/spec/serviceAllocation/namespaceSelectors/1/matchExpressions/5/values/0",
                                        "/spec/serviceAllocation/pools"}));
}

TEST(AddressPoolCodec, FaultsAreNamed) {
    const auto wish = decode_address_pool(R"({"spec": {"addresses": [1, ""], "autoAssign": "no"}, "x": 0})", "web");
    EXPECT_EQ(fields_of(wish.faults),
              (std::vector<std::string>{"/spec/addresses/0", "/spec/addresses/1", "/spec/autoAssign", "/x"}));
    const auto ports = decode_address_pool(
        R"({"spec": {"addresses": ["203.0.113.0/24"], "ports": ["a b", "", "-x", "longer-than-12", "good"]}})", "web");
    EXPECT_EQ(fields_of(ports.faults),
              (std::vector<std::string>{"/spec/ports/0", "/spec/ports/1", "/spec/ports/2", "/spec/ports/3"}));
    const auto twice = decode_address_pool(
        R"({"spec": {"addresses": ["203.0.113.0/24"], "ports": ["good", "other", "good"]}})", "web");
    EXPECT_EQ(fields_of(twice.faults), (std::vector<std::string>{"/spec/ports"}));
}

TEST(NodeCodec, RoundTrip) {
    Node object;
    object.metadata = full_metadata("");
    object.metadata.cluster = "prod";
    object.spec = {{ip("10.0.2.11"), ip("fd00::11")}, 5, true};
    object.status = {3, {{"Ready", false, "Draining", "takes no new connections", "2024-05-01T10:00:00Z"}}};
    EXPECT_EQ(*read_node(encode(object)).value, object);
    EXPECT_EQ(decode_node(encode(object), "web", "prod").value->spec, object.spec);
    EXPECT_EQ(read_node_list(encode(std::vector<Node>{object})).value->at(0), object);
}

TEST(NodeCodec, ADocumentOfTheStoreFromBeforeThereWasAStatusIsRead) {
    const auto read = read_node(
        R"({"kind":"Node","metadata":{"name":"n","resourceVersion":"4","generation":2},"spec":{"addresses":["10.0.2.11"]}})");
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read.value->metadata.cluster, "default");
    EXPECT_EQ(read.value->status, NodeStatus{});
}

TEST(NodeCodec, FaultsAreNamed) {
    const auto wish = decode_node(R"({"kind": "Pod", "metadata": {"namespace": "x"},
        "spec": {"addresses": ["0.0.0.0"], "weight": 0, "drain": 1}})",
                                  "node-1");
    EXPECT_EQ(fields_of(wish.faults), (std::vector<std::string>{"/kind", "/metadata/namespace", "/spec/addresses/0",
                                                                "/spec/weight", "/spec/drain"}));
    EXPECT_EQ(fields_of(decode_node(R"({"spec": {"addresses": []}})", "n").faults),
              std::vector<std::string>{"/spec/addresses"});
}

TEST(StatusCodec, RoundTrip) {
    const SystemStatus status{"0.1.0", 12, true, "trouble", 8, 7, 3, 1, 2, 5, 4, 2, 1};
    EXPECT_EQ(*read_status(encode(status)).value, status);
}

TEST(ProblemCodec, IsRfc9457AndRoundTrips) {
    const Problem problem{409, "AddressInUse", "203.0.113.7 is taken", {{"/spec/addresses/0", "taken"}}};
    const Tree tree = Tree::parse(encode(problem));
    EXPECT_EQ(tree["type"], "about:blank");
    EXPECT_EQ(tree["title"], "Conflict");
    EXPECT_EQ(tree["status"], 409);
    EXPECT_EQ(*read_problem(encode(problem)).value, problem);
    EXPECT_EQ(read_problem(R"({"status": 503, "instance": "/x", "extension": 1})").value->status, 503);
    EXPECT_FALSE(read_problem("<html>").ok());
}

TEST(ProblemCodec, AnInvalidRequestTellsTheFirstFaultAndHowManyMore) {
    const Problem problem = invalid_request({{"/spec/weight", "found 0, allowed 1..1000"}, {"/x", "y"}});
    EXPECT_EQ(problem.status, 400);
    EXPECT_EQ(problem.detail, "/spec/weight: found 0, allowed 1..1000 (and 1 more)");
    EXPECT_EQ(problem.faults.size(), 2U);
}

TEST(Names, FollowRfc1123) {
    for (const char* good : {"a", "web", "a-b", "0", "a.b-c.d"}) EXPECT_TRUE(is_name(good)) << good;
    for (const char* bad : {"", "-a", "a-", "A", "a_b", "a..b", ".a", "a.", "a b", "\xc3\xa4"})
        EXPECT_FALSE(is_name(bad)) << bad;
    EXPECT_FALSE(is_label("a.b"));
    EXPECT_TRUE(is_label(std::string(63, 'a')));
    EXPECT_FALSE(is_label(std::string(64, 'a')));
}

}  // namespace
}  // namespace guideway::resources
