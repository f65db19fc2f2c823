#include "api/resources/node_codec.h"

#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "api/resources/decode_limits.h"
#include "api/resources/metadata_codec.h"

namespace guideway::resources {

namespace {

constexpr std::string_view kKind = "Node";

nlohmann::ordered_json tree_of_health(const NodeHealth& health) {
    nlohmann::ordered_json out;
    out["check"] = health.check;
    out["port"] = health.port;
    out["healthy"] = health.healthy;
    out["reason"] = health.reason;
    out["message"] = health.message;
    out["since"] = health.since;
    return out;
}

nlohmann::ordered_json tree_of_node(const Node& object) {
    auto out = head_of(kKind, Scope::cluster, object.metadata);
    auto& spec = out["spec"] = nlohmann::ordered_json::object();
    auto& addresses = spec["addresses"] = nlohmann::ordered_json::array();
    for (const IpAddress& address : object.spec.addresses) addresses.push_back(address.to_string());
    spec["weight"] = object.spec.weight;
    spec["drain"] = object.spec.drain;
    if (object.spec.drain_timeout_seconds != 0) spec["drainTimeoutSeconds"] = object.spec.drain_timeout_seconds;
    if (object.spec.health_check_port != 0) spec["healthCheckPort"] = object.spec.health_check_port;
    for (const IpPrefix& cidr : object.spec.pod_cidrs) spec["podCidrs"].push_back(cidr.to_string());
    auto& status = out["status"] = nlohmann::ordered_json::object();
    status["observedGeneration"] = object.status.observed_generation;
    if (!object.status.draining_since.empty()) status["drainingSince"] = object.status.draining_since;
    if (object.status.drain_ended) status["drainEnded"] = true;
    status["conditions"] = tree_of(object.status.conditions);
    for (const NodeHealth& health : object.status.health) status["health"].push_back(tree_of_health(health));
    return out;
}

constexpr std::string_view kPodCidr =
    "a prefix of unicast addresses, at least /8 (IPv4) or /16 (IPv6), as 10.244.1.0/24";

/// A route to it is made: one that holds nearly everything would take the appliance's own ways.
std::optional<IpPrefix> parse_pod_cidr(std::string_view text) {
    const auto prefix = IpPrefix::parse(text);
    if (!prefix || prefix->length < (prefix->address.is_v4() ? 8 : 16)) return std::nullopt;
    const IpAddress base = prefix->network().address;
    if (base.is_unspecified() || base.is_loopback() || base.is_multicast() || base.is_link_local()) return std::nullopt;
    return prefix;
}

void check_pod_cidrs(json::ObjectReader& part, const NodeSpec& spec) {
    std::set<IpPrefix> seen;
    for (const IpPrefix& cidr : spec.pod_cidrs) {
        if (!seen.insert(cidr.network()).second) {
            part.fault("podCidrs", "found " + cidr.to_string() + " again, allowed once");
        }
        for (const IpAddress& address : spec.addresses) {
            if (!cidr.contains(address)) continue;
            part.fault("podCidrs", "found " + cidr.to_string() + ", which holds the node's own address " +
                                       address.to_string() + ": allowed a prefix of its pods alone");
        }
    }
}

std::vector<NodeHealth> read_health(json::ObjectReader& status) {
    std::vector<NodeHealth> out;
    status.each_object("health", {0, 1U << 20}, [&](json::ObjectReader& one) {
        NodeHealth health;
        health.check = one.required_string("check", json::length(0, 1024));
        health.port = one.required_integer<std::uint16_t>("port", 0, 65535);
        health.healthy = one.required_boolean("healthy");
        health.reason = one.string_or("reason", {}, json::length(0, 253));
        health.message = one.string_or("message", {}, json::length(0, 4096));
        health.since = one.string_or("since", {}, json::length(0, 64));
        out.push_back(std::move(health));
    });
    return out;
}

NodeSpec read_spec(json::ObjectReader& reader) {
    NodeSpec spec;
    json::ObjectReader part = reader.required_object("spec");
    spec.addresses = read_addresses(part, "addresses", 1);
    spec.weight = part.integer_or<std::uint32_t>("weight", 1, 1, kMaxNodeWeight);
    spec.drain = part.boolean_or("drain", false);
    spec.drain_timeout_seconds = part.integer_or<std::uint32_t>("drainTimeoutSeconds", 0, 0, kMaxDrainTimeout);
    spec.health_check_port = part.integer_or<std::uint16_t>("healthCheckPort", 0, 0, 65535);
    spec.pod_cidrs = part.values<IpPrefix>("podCidrs", {0, kMaxPodCidrs}, parse_pod_cidr, kPodCidr);
    check_pod_cidrs(part, spec);
    part.finish();
    return spec;
}

Node read_answer(json::ObjectReader& reader) {
    Node object;
    object.metadata = read_answer_head(reader, kKind, Scope::cluster);
    object.spec = read_spec(reader);
    json::ObjectReader status = reader.optional_object("status");
    object.status.observed_generation = read_count(status, "observedGeneration");
    object.status.draining_since = status.string_or("drainingSince", {}, json::length(0, 64));
    object.status.drain_ended = status.boolean_or("drainEnded", false);
    object.status.conditions = read_conditions(status);
    object.status.health = read_health(status);
    status.finish();
    return object;
}

}  // namespace

std::string encode(const Node& object, bool pretty) { return text_of(tree_of_node(object), pretty); }

std::string encode(const std::vector<Node>& objects, bool pretty) {
    return list_text_of(kKind, nullptr, objects, tree_of_node, pretty);
}

std::string encode(const List<Node>& list, bool pretty) {
    return list_text_of(kKind, &list.metadata, list.items, tree_of_node, pretty);
}

contract::Decoded<Node> decode_node(std::string_view body, std::string_view name, std::string_view cluster) {
    return decode_document<Node>(body, kMaxBodyBytes, [&](json::ObjectReader& reader) {
        Node object;
        object.metadata = read_wish_head(reader, kKind, Scope::cluster, {cluster, {}, name});
        object.spec = read_spec(reader);
        reader.ignore("status");
        return object;
    });
}

contract::Decoded<Node> read_node(std::string_view body) {
    return decode_document<Node>(body, kMaxBodyBytes, read_answer);
}

contract::Decoded<std::vector<Node>> read_node_list(std::string_view body) { return items_of(read_node_page(body)); }

contract::Decoded<List<Node>> read_node_page(std::string_view body) {
    return decode_list<Node>(body, kMaxListBytes, "NodeList", read_answer);
}

}  // namespace guideway::resources
