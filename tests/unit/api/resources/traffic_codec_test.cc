// What says where a load balancer's connections go, and what of a node that is of concern to it: policy, mode, affinity, source
// ranges, endpoints; drains, probes, pod prefixes. The cited rules are kubernetes-contract's.
#include <functional>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "api/resources/decode_limits.h"
#include "api/resources/load_balancer_codec.h"
#include "api/resources/node_codec.h"

namespace guideway::resources {
namespace {

using Tree = nlohmann::json;
using contract::Protocol;

IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }
IpPrefix prefix(const char* text) { return IpPrefix::parse(text).value(); }

LoadBalancer full() {
    LoadBalancer object;
    object.metadata.namespace_ = "default";
    object.metadata.name = "web";
    object.spec.ports = {{"http", Protocol::tcp, 80, 30080}, {"dns", Protocol::udp, 53, 0}};
    object.spec.external_traffic_policy = TrafficPolicy::local;
    object.spec.health_check_node_port = 31000;
    object.spec.mode = ForwardingMode::pod;
    object.spec.affinity_seconds = 10800;
    object.spec.source_ranges = {prefix("10.0.0.0/8"), prefix("2001:db8::/32")};
    object.spec.ranges_end_established = true;
    object.spec.silent = true;
    object.spec.limits = {1000, 10, 100'000'000};
    object.spec.endpoint_slices = {
        {{{Protocol::tcp, 80, 8080}, {Protocol::udp, 53, 5353}},
         {{ip("10.244.1.7"), "node-1", false}, {ip("10.244.2.7"), "", true}}},
        {{{Protocol::tcp, 80, 8081}}, {{ip("fd00:1::7"), "node-1", false}}},
        {{}, {}},
    };
    object.status.observed_generation = 1;
    object.status.ports = {{Protocol::tcp, 80, "", ""}, {Protocol::udp, 53, "NoNodePort", "has no node port"}};
    return object;
}

std::vector<std::string> fields_of(const std::vector<contract::Fault>& faults) {
    std::vector<std::string> out;
    for (const auto& fault : faults) out.push_back(fault.field);
    return out;
}

TEST(TrafficCodec, AnAnswerRoundTripsWithEverything) {
    const LoadBalancer object = full();
    const auto read = read_load_balancer(encode(object));
    ASSERT_TRUE(read.ok()) << read.faults[0].field << read.faults[0].message;
    EXPECT_EQ(*read.value, object);
    const auto wish = decode_load_balancer(encode(object), "default", "web");
    ASSERT_TRUE(wish.ok()) << wish.faults[0].field << wish.faults[0].message;
    EXPECT_EQ(wish.value->spec, object.spec);
    EXPECT_EQ(wish.value->status, LoadBalancerStatus{});
}

TEST(TrafficCodec, TheFieldsAreNamedAsTheDocumentationSays) {
    const Tree tree = Tree::parse(encode(full()));
    EXPECT_EQ(tree["spec"]["externalTrafficPolicy"], "Local");
    EXPECT_EQ(tree["spec"]["mode"], "pod");
    EXPECT_EQ(tree["spec"]["sessionAffinitySeconds"], 10800);
    EXPECT_EQ(tree["spec"]["sourceRanges"], (Tree{"10.0.0.0/8", "2001:db8::/32"}));
    EXPECT_EQ(tree["spec"]["sourceRangesEndEstablished"], true);
    EXPECT_EQ(tree["spec"]["silent"], true);
    EXPECT_EQ(tree["spec"]["limits"], Tree::parse(R"({"newConnectionsPerSecond": 1000, "packetsPerSecond": 100000000,
                                                       "newConnectionsPerSecondPerSource": 10})"));
    EXPECT_EQ(tree["spec"]["healthCheckNodePort"], 31000);
    EXPECT_EQ(tree["spec"]["endpointSlices"][1],
              Tree::parse(R"({"ports": [{"protocol": "TCP", "port": 80, "targetPort": 8081}],
                              "endpoints": [{"address": "fd00:1::7", "node": "node-1"}]})"));
    EXPECT_EQ(tree["spec"]["endpointSlices"][0]["endpoints"][1],
              Tree::parse(R"({"address": "10.244.2.7", "draining": true})"));
    EXPECT_EQ(tree["status"]["ports"][1],
              Tree::parse(R"({"protocol": "UDP", "port": 53, "error": "NoNodePort", "message": "has no node port"})"));
}

TEST(TrafficCodec, WhatIsLeftOutIsPolicyClusterModeNatOpenAndWithoutAffinity) {
    const auto wish = decode_load_balancer(R"({"spec": {"ports": [{"port": 80}]}})", "default", "web");
    ASSERT_TRUE(wish.ok());
    LoadBalancerSpec plain;
    plain.ports = {{"", Protocol::tcp, 80, 0}};
    EXPECT_EQ(wish.value->spec, plain);
}

TEST(TrafficCodec, ADocumentOfTheStoreFromBeforeIsRead) {
    const auto read = read_load_balancer(
        R"({"kind":"LoadBalancer","metadata":{"namespace":"default","name":"web","resourceVersion":"4","generation":2},
        "spec":{"ipFamilyPolicy":"SingleStack","ipFamilies":[],"ports":[{"protocol":"TCP","port":80,"nodePort":30080}]},
        "status":{"observedGeneration":2,"ingress":[],"conditions":[]}})");
    ASSERT_TRUE(read.ok()) << read.faults[0].field << read.faults[0].message;
    EXPECT_EQ(read.value->spec.external_traffic_policy, TrafficPolicy::cluster);
    EXPECT_TRUE(read.value->status.ports.empty());
}

struct Case {
    const char* rule;
    std::function<void(Tree&)> spoil;
    const char* field;
};

TEST(TrafficCodec, EveryFaultIsNamedByPointer) {
    const std::vector<Case> cases{
        {"policy", [](Tree& t) { t["externalTrafficPolicy"] = "local"; }, "/spec/externalTrafficPolicy"},
        {"mode", [](Tree& t) { t["mode"] = "dsr"; }, "/spec/mode"},
        {"health check port", [](Tree& t) { t["healthCheckNodePort"] = 65536; }, "/spec/healthCheckNodePort"},
        {"affinity is a day at most (13)", [](Tree& t) { t["sessionAffinitySeconds"] = 86401; },
         "/spec/sessionAffinitySeconds"},
        {"affinity is no text", [](Tree& t) { t["sessionAffinitySeconds"] = "ClientIP"; },
         "/spec/sessionAffinitySeconds"},
        {"a range without a length (11)", [](Tree& t) { t["sourceRanges"][1] = "10.0.0.1"; }, "/spec/sourceRanges/1"},
        {"a range of null", [](Tree& t) { t["sourceRanges"][0] = nullptr; }, "/spec/sourceRanges/0"},
        {"ranges are a list", [](Tree& t) { t["sourceRanges"] = "0.0.0.0/0"; }, "/spec/sourceRanges"},
        {"boolean", [](Tree& t) { t["sourceRangesEndEstablished"] = 1; }, "/spec/sourceRangesEndEstablished"},
        {"silent", [](Tree& t) { t["silent"] = "yes"; }, "/spec/silent"},
        {"limits are an object", [](Tree& t) { t["limits"] = 5; }, "/spec/limits"},
        {"a limit's bound", [](Tree& t) { t["limits"]["packetsPerSecond"] = 100000001; },
         "/spec/limits/packetsPerSecond"},
        {"a limit of less than nothing", [](Tree& t) { t["limits"]["newConnectionsPerSecond"] = -1; },
         "/spec/limits/newConnectionsPerSecond"},
        {"an unknown limit", [](Tree& t) { t["limits"]["bytesPerSecond"] = 1; }, "/spec/limits/bytesPerSecond"},
        {"slices are a list", [](Tree& t) { t["endpointSlices"] = nullptr; }, "/spec/endpointSlices"},
        {"slices are objects", [](Tree& t) { t["endpointSlices"][2] = 1; }, "/spec/endpointSlices/2"},
        {"unknown fields of a slice", [](Tree& t) { t["endpointSlices"][0]["addressType"] = "IPv4"; },
         "/spec/endpointSlices/0/addressType"},
        {"unknown fields of an endpoint", [](Tree& t) { t["endpointSlices"][0]["endpoints"][0]["ready"] = true; },
         "/spec/endpointSlices/0/endpoints/0/ready"},
        {"unknown fields of a port", [](Tree& t) { t["endpointSlices"][0]["ports"][0]["name"] = "a"; },
         "/spec/endpointSlices/0/ports/0/name"},
        {"a slice's port is one of the spec's", [](Tree& t) { t["endpointSlices"][0]["ports"][1]["port"] = 54; },
         "/spec/endpointSlices/0/ports/1/port"},
        {"... with its protocol", [](Tree& t) { t["endpointSlices"][0]["ports"][1]["protocol"] = "SCTP"; },
         "/spec/endpointSlices/0/ports/1/port"},
        {"once in a slice", [](Tree& t) { t["endpointSlices"][0]["ports"][1] = t["endpointSlices"][0]["ports"][0]; },
         "/spec/endpointSlices/0/ports/1/port"},
        {"target port", [](Tree& t) { t["endpointSlices"][0]["ports"][0]["targetPort"] = 0; },
         "/spec/endpointSlices/0/ports/0/targetPort"},
        {"an address is needed", [](Tree& t) { t["endpointSlices"][0]["endpoints"][0].erase("address"); },
         "/spec/endpointSlices/0/endpoints/0/address"},
        {"an address of hosts", [](Tree& t) { t["endpointSlices"][0]["endpoints"][1]["address"] = "127.0.0.1"; },
         "/spec/endpointSlices/0/endpoints/1/address"},
        {"one family in a slice", [](Tree& t) { t["endpointSlices"][0]["endpoints"][1]["address"] = "fd00::1"; },
         "/spec/endpointSlices/0/endpoints/1/address"},
        {"node names", [](Tree& t) { t["endpointSlices"][0]["endpoints"][0]["node"] = "No Such"; },
         "/spec/endpointSlices/0/endpoints/0/node"},
        {"draining is true or false", [](Tree& t) { t["endpointSlices"][0]["endpoints"][0]["draining"] = "no"; },
         "/spec/endpointSlices/0/endpoints/0/draining"},
    };
    for (const Case& one : cases) {
        Tree tree = Tree::parse(encode(full()));
        one.spoil(tree["spec"]);
        const auto wish = decode_load_balancer(tree.dump(), "default", "web");
        EXPECT_EQ(fields_of(wish.faults), std::vector<std::string>{one.field}) << one.rule;
        EXPECT_FALSE(wish.ok()) << one.rule;
    }
}

TEST(TrafficCodec, TheBoundsAreThoseOfTheDocumentation) {
    LoadBalancer object = full();
    object.spec.source_ranges.clear();
    for (std::uint32_t i = 0; i < kMaxSourceRanges; ++i) {
        object.spec.source_ranges.push_back({IpAddress::v4(0x0a000000 + (i << 8)), 24});
    }
    // As large as a body gets: each node has the longest name there may be.
    object.spec.endpoint_slices.assign(5, {{{Protocol::tcp, 80, 8080}}, {}});
    const std::string label(63, 'n');
    const std::string node = label + "." + label + "." + label + "." + label.substr(2);
    ASSERT_EQ(node.size(), 253U);
    for (std::uint32_t i = 0; i < kMaxEndpoints; ++i) {
        auto bytes = ip("2001:db8:1234:5678:9abc:def0::").bytes;
        bytes[14] = static_cast<std::uint8_t>(i >> 8);
        bytes[15] = static_cast<std::uint8_t>(i);
        object.spec.endpoint_slices[i / 1000].endpoints.push_back({IpAddress::v6(bytes), node, true});
    }
    const auto largest = decode_load_balancer(encode(object), "default", "web");
    ASSERT_TRUE(largest.ok()) << largest.faults[0].field << ": " << largest.faults[0].message;
    EXPECT_EQ(largest.value->spec, object.spec);
    EXPECT_TRUE(read_load_balancer(encode(object)).ok());

    LoadBalancer more = full();
    more.spec.endpoint_slices = object.spec.endpoint_slices;
    for (EndpointSlice& slice : more.spec.endpoint_slices) {
        for (Endpoint& endpoint : slice.endpoints) endpoint.node.clear();
    }
    more.spec.endpoint_slices.push_back({{}, {{ip("10.244.0.1"), "", false}}});
    EXPECT_EQ(fields_of(decode_load_balancer(encode(more), "default", "web").faults),
              std::vector<std::string>{"/spec/endpointSlices"});
    more.spec.endpoint_slices.assign(kMaxEndpointSlices + 1, {});
    EXPECT_EQ(fields_of(decode_load_balancer(encode(more), "default", "web").faults),
              std::vector<std::string>{"/spec/endpointSlices"});
    more.spec.endpoint_slices.clear();
    more.spec.source_ranges.assign(kMaxSourceRanges + 1, prefix("10.0.0.0/8"));
    EXPECT_EQ(fields_of(decode_load_balancer(encode(more), "default", "web").faults),
              std::vector<std::string>{"/spec/sourceRanges"});
}

TEST(NodeTrafficCodec, RoundTripsWithEverything) {
    Node object;
    object.metadata.name = "node-1";
    object.spec = {{ip("10.0.2.11")}, 5, true, 600, 10256, {prefix("10.244.1.0/24"), prefix("fd00:1::/64")}};
    object.status.draining_since = "2024-05-01T10:00:00Z";
    object.status.drain_ended = true;
    object.status.health = {{"node", 10256, false, "Status503", "found 503", "2024-05-01T10:00:00Z"}};
    const auto read = read_node(encode(object));
    ASSERT_TRUE(read.ok()) << read.faults[0].field << read.faults[0].message;
    EXPECT_EQ(*read.value, object);
    const auto wish = decode_node(encode(object), "node-1");
    ASSERT_TRUE(wish.ok());
    EXPECT_EQ(wish.value->spec, object.spec);
    EXPECT_EQ(wish.value->status, NodeStatus{});
    const Tree spec = Tree::parse(encode(object))["spec"];
    EXPECT_EQ(spec["drainTimeoutSeconds"], 600);
    EXPECT_EQ(spec["healthCheckPort"], 10256);
    EXPECT_EQ(spec["podCidrs"], (Tree{"10.244.1.0/24", "fd00:1::/64"}));
}

TEST(NodeTrafficCodec, FaultsAreNamed) {
    const auto faults_of = [](const char* fields) {
        return fields_of(
            decode_node(R"({"spec": {"addresses": ["10.0.2.11"], )" + std::string(fields) + "}}", "n").faults);
    };
    using Fields = std::vector<std::string>;
    EXPECT_EQ(faults_of(R"("drainTimeoutSeconds": 604801)"), Fields{"/spec/drainTimeoutSeconds"});
    EXPECT_EQ(faults_of(R"("healthCheckPort": 70000)"), Fields{"/spec/healthCheckPort"});
    EXPECT_EQ(faults_of(R"("podCidrs": ["10.244.1.0"])"), Fields{"/spec/podCidrs/0"});
    EXPECT_EQ(faults_of(R"("podCidrs": ["0.0.0.0/0"])"), Fields{"/spec/podCidrs/0"});
    EXPECT_EQ(faults_of(R"("podCidrs": ["224.0.0.0/8"])"), Fields{"/spec/podCidrs/0"});
    EXPECT_EQ(faults_of(R"("podCidrs": ["10.244.1.0/24", "10.244.1.1/24"])"), Fields{"/spec/podCidrs"});
    EXPECT_EQ(faults_of(R"("podCidrs": ["10.0.2.0/24"])"), Fields{"/spec/podCidrs"});
    EXPECT_EQ(faults_of(R"("podCidrs": ["10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24", "10.4.0.0/24", "10.5.0.0/24",
                           "10.6.0.0/24", "10.7.0.0/24", "10.8.0.0/24", "10.9.0.0/24"])"),
              Fields{"/spec/podCidrs"});
}

}  // namespace
}  // namespace guideway::resources
