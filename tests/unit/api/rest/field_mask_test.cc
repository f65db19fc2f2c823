#include "api/rest/field_mask.h"

#include <algorithm>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "api/resources/address_pool_codec.h"
#include "api/resources/event_codec.h"
#include "api/resources/load_balancer_codec.h"
#include "api/resources/node_codec.h"
#include "api/resources/token_codec.h"

namespace guideway::rest {
namespace {

using Paths = std::set<std::string>;

IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }

/// Those of maps are left out: their members have no names of ours.
void collect(const nlohmann::json& tree, const std::string& place, Paths& out) {
    static const Paths kMaps{"metadata.labels", "spec.namespaceLabels", "spec.serviceAllocation.namespaceSelectors",
                             "spec.serviceAllocation.serviceSelectors"};
    if (!place.empty()) out.insert(place);
    if (kMaps.contains(place)) return;
    if (tree.is_array()) {
        for (const auto& element : tree) collect(element, place, out);
    } else if (tree.is_object()) {
        for (const auto& [key, value] : tree.items()) collect(value, place.empty() ? key : place + "." + key, out);
    }
}

void expect_all_paths(const char* kind, const std::string& full) {
    Paths wanted;
    collect(nlohmann::json::parse(full), "", wanted);
    const auto known = FieldMask::paths_of(kind);
    EXPECT_EQ(Paths(known.begin(), known.end()), wanted) << kind;
}

resources::Metadata metadata() {
    resources::Metadata out;
    out.namespace_ = "a";
    out.name = "x";
    out.uid = "u";
    out.labels = {{"a", "b"}};
    out.creation_timestamp = "2026-01-02T03:04:05Z";
    return out;
}

TEST(FieldMask, KnowsEveryMemberThatTheCodecsWrite) {
    const resources::Condition condition{"Ready", true, "Ready", "", ""};
    resources::LoadBalancer balancer;
    balancer.metadata = metadata();
    balancer.spec.cluster_ips = balancer.spec.addresses = {ip("10.96.0.1")};
    balancer.spec.load_balancer_ip = ip("203.0.113.1");
    balancer.spec.address_pool = balancer.spec.sharing_key = "p";
    balancer.spec.namespace_labels = {{"a", "b"}};
    balancer.spec.idle_timeout_seconds = 1;
    balancer.spec.ports = {{"http", contract::Protocol::tcp, 80, 30080}};
    balancer.spec.external_traffic_policy = resources::TrafficPolicy::local;
    balancer.spec.health_check_node_port = 31000;
    balancer.spec.mode = resources::ForwardingMode::pod;
    balancer.spec.affinity_seconds = 1;
    balancer.spec.source_ranges = {*IpPrefix::parse("10.0.0.0/8")};
    balancer.spec.ranges_end_established = true;
    balancer.spec.silent = true;
    balancer.spec.limits = {1, 2, 3};
    balancer.spec.endpoint_slices = {{{{contract::Protocol::tcp, 80, 8080}}, {{ip("10.244.1.2"), "node-1", true}}}};
    balancer.status.ports = {{contract::Protocol::tcp, 80, "NoNodePort", "none"}};
    balancer.status.ingress = {{ip("203.0.113.1"), "p"}};
    balancer.status.conditions = {condition};
    expect_all_paths("LoadBalancer", encode(balancer));

    resources::AddressPool pool;
    pool.metadata = metadata();
    pool.spec.silent = true;
    pool.spec.ports = {"clients"};
    pool.spec.service_allocation.emplace();
    pool.spec.service_allocation->clusters = pool.spec.service_allocation->namespaces = {"a"};
    pool.spec.service_allocation->namespace_selectors = pool.spec.service_allocation->service_selectors = {{}};
    pool.status.users = {{"c", "a", "x", {}}};
    expect_all_paths("AddressPool", encode(pool));

    resources::Node node;
    node.metadata = metadata();
    node.spec.drain_timeout_seconds = 1;
    node.spec.health_check_port = 10256;
    node.spec.pod_cidrs = {*IpPrefix::parse("10.244.1.0/24")};
    node.status.draining_since = "2026-01-02T03:04:05Z";
    node.status.drain_ended = true;
    node.status.health = {{"node", 10256, true, "Ok", "m", "2026-01-02T03:04:05Z"}};
    node.status.conditions = {condition};
    expect_all_paths("Node", encode(node));

    resources::Token token;
    token.metadata = metadata();
    token.spec.cluster = token.spec.expires_at = "x";
    token.status.secrets = {{"a", "b", "c"}};
    expect_all_paths("Token", encode(token));  // status.token is in no answer to a GET

    resources::Event event;
    event.regarding = {"k", "c", "n", "x"};
    expect_all_paths("Event", encode(event));
}

TEST(FieldMask, AnEmptyListStaysAndAnAbsentMemberIsNotMade) {
    const auto mask = FieldMask::parse("LoadBalancer", "status.ingress.ip,metadata.uid");
    ASSERT_TRUE(mask.ok());
    EXPECT_EQ(
        mask.value->apply(R"({"kind":"LoadBalancer","metadata":{"name":"x"},"status":{"ingress":[],"conditions":[]}})"),
        R"({"kind":"LoadBalancer","metadata":{"name":"x"},"status":{"ingress":[]}})");
}

TEST(FieldMask, TheNumberOfPathsIsBounded) {
    std::string many = "kind";
    for (int i = 0; i < 64; ++i) many += ",kind";
    EXPECT_EQ(FieldMask::parse("Node", many).faults.at(0).message, "found more than 64 paths, allowed 64");
}

}  // namespace
}  // namespace guideway::rest
