#include "api/resources/load_balancer_codec.h"

#include <algorithm>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "api/resources/decode_limits.h"
#include "api/resources/endpoint_slice_codec.h"
#include "api/resources/metadata_codec.h"
#include "api/resources/names.h"
#include "api/resources/traffic_words.h"

namespace guideway::resources {

namespace {

using Tree = nlohmann::ordered_json;

constexpr std::string_view kKind = "LoadBalancer";
constexpr std::string_view kPreviewKind = "AllocationPreview";

std::string text_of_policy(IpFamilyPolicy policy) {
    switch (policy) {
        case IpFamilyPolicy::single_stack:
            return "SingleStack";
        case IpFamilyPolicy::prefer_dual_stack:
            return "PreferDualStack";
        case IpFamilyPolicy::require_dual_stack:
            return "RequireDualStack";
    }
    return "SingleStack";
}

std::optional<IpFamilyPolicy> parse_policy(std::string_view text) {
    for (const auto policy :
         {IpFamilyPolicy::single_stack, IpFamilyPolicy::prefer_dual_stack, IpFamilyPolicy::require_dual_stack}) {
        if (text == text_of_policy(policy)) return policy;
    }
    return std::nullopt;
}

std::optional<IpFamily> parse_family(std::string_view text) {
    if (text == "IPv4") return IpFamily::ipv4;
    if (text == "IPv6") return IpFamily::ipv6;
    return std::nullopt;
}

using json::Writer;

void write_texts(Writer& out, std::string_view name, const std::vector<IpAddress>& addresses) {
    out.key(name).begin_array();
    for (const IpAddress& address : addresses) out.text(address.to_string());
    out.end_array();
}

/// Where connections go, and whose. What nobody asked for is left out.
void write_traffic(Writer& out, const LoadBalancerSpec& spec) {
    out.key("externalTrafficPolicy").text(to_string(spec.external_traffic_policy));
    if (spec.health_check_node_port != 0) out.key("healthCheckNodePort").number(spec.health_check_node_port);
    out.key("mode").text(to_string(spec.mode));
    if (spec.affinity_seconds != 0) out.key("sessionAffinitySeconds").number(spec.affinity_seconds);
    if (!spec.source_ranges.empty()) {
        out.key("sourceRanges").begin_array();
        for (const IpPrefix& range : spec.source_ranges) out.text(range.to_string());
        out.end_array();
    }
    if (spec.ranges_end_established) out.key("sourceRangesEndEstablished").boolean(true);
    if (spec.silent) out.key("silent").boolean(true);
    if (spec.limits != Limits{}) {
        const auto put = [&out](const char* name, std::uint32_t limit) {
            if (limit != 0) out.key(name).number(limit);
        };
        out.key("limits").begin_object();
        put("newConnectionsPerSecond", spec.limits.new_connections_per_second);
        put("newConnectionsPerSecondPerSource", spec.limits.new_connections_per_second_per_source);
        put("packetsPerSecond", spec.limits.packets_per_second);
        out.end_object();
    }
    if (!spec.endpoint_slices.empty()) {
        out.key("endpointSlices");
        write_endpoint_slices(out, spec.endpoint_slices);
    }
}

void write(Writer& out, const LoadBalancerSpec& spec) {
    out.begin_object().key("ipFamilyPolicy").text(text_of_policy(spec.ip_family_policy));
    out.key("ipFamilies").begin_array();
    for (const IpFamily family : spec.ip_families) out.text(to_string(family));
    out.end_array();
    if (!spec.cluster_ips.empty()) write_texts(out, "clusterIPs", spec.cluster_ips);
    if (!spec.address_pool.empty()) out.key("addressPool").text(spec.address_pool);
    if (!spec.addresses.empty()) write_texts(out, "addresses", spec.addresses);
    if (spec.load_balancer_ip) out.key("loadBalancerIP").text(spec.load_balancer_ip->to_string());
    if (!spec.sharing_key.empty()) out.key("sharingKey").text(spec.sharing_key);
    if (!spec.namespace_labels.empty()) write_labels(out, "namespaceLabels", spec.namespace_labels);
    if (spec.idle_timeout_seconds != 0) out.key("idleTimeoutSeconds").number(spec.idle_timeout_seconds);
    write_traffic(out, spec);
    out.key("ports").begin_array();
    for (const LoadBalancerPort& port : spec.ports) {
        out.begin_object();
        if (!port.name.empty()) out.key("name").text(port.name);
        out.key("protocol").text(contract::to_string(port.protocol));
        out.key("port").number(port.port).key("nodePort").number(port.node_port).end_object();
    }
    out.end_array().end_object();
}

void write(Writer& out, const std::vector<Ingress>& ingress) {
    out.begin_array();
    for (const Ingress& one : ingress) {
        out.begin_object().key("ip").text(one.ip.to_string()).key("pool").text(one.pool).end_object();
    }
    out.end_array();
}

void write(Writer& out, const std::vector<PortStatus>& ports) {
    out.begin_array();
    for (const PortStatus& port : ports) {
        out.begin_object().key("protocol").text(contract::to_string(port.protocol)).key("port").number(port.port);
        if (!port.error.empty()) out.key("error").text(port.error);
        if (!port.message.empty()) out.key("message").text(port.message);
        out.end_object();
    }
    out.end_array();
}

std::size_t size_hint(const LoadBalancerSpec& spec) {
    std::size_t bytes = 1024 + 160 * spec.ports.size() + 24 * spec.source_ranges.size();
    for (const EndpointSlice& slice : spec.endpoint_slices) {
        bytes += 64 + 64 * slice.ports.size() + 64 * slice.endpoints.size();
    }
    return bytes;
}

/// Without a tree: a commit of many writes each of them, and so does each answer.
std::string line_of(const LoadBalancer& object) {
    Writer out(size_hint(object.spec));
    write_head(out, kKind, Scope::name_space, object.metadata);
    out.key("spec");
    write(out, object.spec);
    out.key("status").begin_object().key("observedGeneration").number(object.status.observed_generation);
    out.key("ingress");
    write(out, object.status.ingress);
    if (!object.status.ports.empty()) {
        out.key("ports");
        write(out, object.status.ports);
    }
    out.key("conditions");
    write_conditions(out, object.status.conditions);
    out.end_object().end_object();
    return out.take();
}

Tree tree_of(const std::vector<Ingress>& ingress) {
    Writer out;
    write(out, ingress);
    return Tree::parse(out.take());
}

std::string list_line_of(const ListMetadata* metadata, const std::vector<LoadBalancer>& objects, bool pretty) {
    std::string text = list_text_of(kKind, metadata, Tree::array(), false);
    text.resize(text.size() - std::string_view("]}").size());
    for (const LoadBalancer& object : objects) {
        if (text.back() != '[') text += ',';
        text += line_of(object);
    }
    text += "]}";
    return pretty ? json::indented(text) : text;
}

LoadBalancerPort read_port(json::ObjectReader& reader) {
    LoadBalancerPort port;
    port.name = reader.string_or("name", {},
                                 {0, 63, [](std::string_view text) { return text.empty() || is_label(text); },
                                  "lower-case letters, digits and '-' (RFC 1123 label)"});
    port.protocol = reader.value_or<contract::Protocol>("protocol", contract::Protocol::tcp, contract::parse_protocol,
                                                        "TCP, UDP or SCTP");
    port.port = reader.required_integer<std::uint16_t>("port", 1, 65535);
    // 0 or absent: the port has none, and is served by the endpoints.
    port.node_port = reader.integer_or<std::uint16_t>("nodePort", 0, 0, 65535);
    return port;
}

void read_ports(json::ObjectReader& spec, LoadBalancerSpec& out) {
    std::set<std::pair<contract::Protocol, std::uint16_t>> listeners;
    std::set<std::string> names;
    spec.each_object("ports", {1, kMaxPorts}, [&](json::ObjectReader& one) {
        LoadBalancerPort port = read_port(one);
        if (!listeners.emplace(port.protocol, port.port).second) {
            one.fault("port", "found " + std::string(contract::to_string(port.protocol)) + " " +
                                  std::to_string(port.port) + " again, allowed once");
        }
        if (!port.name.empty() && !names.insert(port.name).second) {
            one.fault("name", "found \"" + port.name + "\" again, allowed once");
        }
        out.ports.push_back(std::move(port));
    });
}

/// Families, policy and requested addresses must not contradict each other.
void check_families(json::ObjectReader& spec, const LoadBalancerSpec& wanted) {
    const auto& families = wanted.ip_families;
    const bool single = wanted.ip_family_policy == IpFamilyPolicy::single_stack;
    if (families.size() == 2 && families[0] == families[1]) {
        spec.fault("ipFamilies", "found " + std::string(to_string(families[0])) + " twice, allowed each family once");
    }
    if (single && families.size() > 1) {
        spec.fault("ipFamilies", "found 2 families, allowed one where ipFamilyPolicy is SingleStack");
    }
    if (single && wanted.addresses.size() > 1) {
        spec.fault("addresses", "found 2 addresses, allowed one where ipFamilyPolicy is SingleStack");
    }
    // With cluster IPs the families are theirs, whatever ipFamilies says (rule 12).
    if (!single || !wanted.cluster_ips.empty()) return;
    // Without ipFamilies, a requested address says which family is meant.
    const auto check = [&](const char* key, const IpAddress& address) {
        if (families.empty() || std::find(families.begin(), families.end(), address.family) != families.end()) return;
        spec.fault(key, "found " + address.to_string() + ", allowed an address of ipFamilies (" +
                            std::string(to_string(families[0])) + ")");
    };
    for (const IpAddress& address : wanted.addresses) check("addresses", address);
    if (wanted.load_balancer_ip) check("loadBalancerIP", *wanted.load_balancer_ip);
}

Limits read_limits(json::ObjectReader& spec) {
    Limits out;
    json::ObjectReader limits = spec.optional_object("limits");
    const auto limit = [&limits](const char* name) {
        return limits.integer_or<std::uint32_t>(name, 0, 0, kMaxPerSecond);
    };
    out.new_connections_per_second = limit("newConnectionsPerSecond");
    out.new_connections_per_second_per_source = limit("newConnectionsPerSecondPerSource");
    out.packets_per_second = limit("packetsPerSecond");
    limits.finish();
    return out;
}

void read_traffic(json::ObjectReader& spec, LoadBalancerSpec& out) {
    out.external_traffic_policy = spec.value_or<TrafficPolicy>("externalTrafficPolicy", TrafficPolicy::cluster,
                                                               parse_traffic_policy, "Cluster or Local");
    out.health_check_node_port = spec.integer_or<std::uint16_t>("healthCheckNodePort", 0, 0, 65535);
    out.mode = spec.value_or<ForwardingMode>("mode", ForwardingMode::nat, parse_forwarding_mode, "nat or pod");
    out.affinity_seconds = spec.integer_or<std::uint32_t>("sessionAffinitySeconds", 0, 0, kMaxAffinitySeconds);
    out.source_ranges = spec.values<IpPrefix>("sourceRanges", {0, kMaxSourceRanges}, IpPrefix::parse,
                                              "an IPv4 or IPv6 prefix, as 10.0.0.0/8");
    out.ranges_end_established = spec.boolean_or("sourceRangesEndEstablished", false);
    out.silent = spec.boolean_or("silent", false);
    out.limits = read_limits(spec);
    out.endpoint_slices = read_endpoint_slices(spec, out.ports);
}

LoadBalancerSpec read_spec(json::ObjectReader& reader) {
    LoadBalancerSpec out;
    json::ObjectReader spec = reader.required_object("spec");
    if (spec.has("ipFamilyPolicy")) {
        // A misspelt policy must not draw faults of families that its right spelling would allow.
        out.ip_family_policy = spec.required_value<IpFamilyPolicy>("ipFamilyPolicy", parse_policy,
                                                                   "SingleStack, PreferDualStack or RequireDualStack",
                                                                   IpFamilyPolicy::prefer_dual_stack);
    }
    out.ip_families = spec.values<IpFamily>("ipFamilies", {0, 2}, parse_family, "IPv4 or IPv6");
    out.address_pool = spec.string_or(
        "addressPool", {},
        {0, 253, [](std::string_view text) { return text.empty() || is_name(text); }, "the name of an address pool"});
    out.addresses = read_addresses(spec, "addresses", 0);
    out.cluster_ips = read_addresses(spec, "clusterIPs", 0);
    if (spec.has("loadBalancerIP")) out.load_balancer_ip = read_address(spec, "loadBalancerIP");
    out.namespace_labels = read_labels(spec, "namespaceLabels");
    out.sharing_key = spec.string_or("sharingKey", {}, json::length(0, 253));
    out.idle_timeout_seconds = spec.integer_or<std::uint32_t>("idleTimeoutSeconds", 0, 0, kMaxIdleTimeout);
    read_ports(spec, out);
    read_traffic(spec, out);
    check_families(spec, out);
    spec.finish();
    return out;
}

std::vector<Ingress> read_ingress(json::ObjectReader& reader) {
    std::vector<Ingress> out;
    reader.each_object("ingress", {0, 2}, [&](json::ObjectReader& one) {
        Ingress ingress;
        ingress.ip = one.required_value<IpAddress>("ip", IpAddress::parse, "an IPv4 or IPv6 address");
        ingress.pool = one.string_or("pool", {}, json::length(0, 253));
        out.push_back(std::move(ingress));
    });
    return out;
}

std::vector<PortStatus> read_port_status(json::ObjectReader& reader) {
    std::vector<PortStatus> out;
    reader.each_object("ports", {0, kMaxPorts}, [&](json::ObjectReader& one) {
        PortStatus port;
        port.protocol = one.required_value<contract::Protocol>("protocol", contract::parse_protocol, "TCP, UDP or SCTP",
                                                               contract::Protocol::tcp);
        port.port = one.required_integer<std::uint16_t>("port", 1, 65535);
        port.error = one.string_or("error", {}, json::length(0, kMaxPortErrorBytes));
        port.message = one.string_or("message", {}, json::length(0, 4096));
        out.push_back(std::move(port));
    });
    return out;
}

LoadBalancerStatus read_status_part(json::ObjectReader& reader) {
    LoadBalancerStatus out;
    json::ObjectReader status = reader.optional_object("status");
    out.observed_generation = read_count(status, "observedGeneration");
    out.ingress = read_ingress(status);
    out.ports = read_port_status(status);
    out.conditions = read_conditions(status);
    status.finish();
    return out;
}

LoadBalancer read_answer(json::ObjectReader& reader) {
    LoadBalancer object;
    object.metadata = read_answer_head(reader, kKind, Scope::name_space);
    object.spec = read_spec(reader);
    object.status = read_status_part(reader);
    return object;
}

}  // namespace

std::string encode(const LoadBalancer& object, bool pretty) {
    return pretty ? json::indented(line_of(object)) : line_of(object);
}

std::string encode(const std::vector<LoadBalancer>& objects, bool pretty) {
    return list_line_of(nullptr, objects, pretty);
}

std::string encode(const List<LoadBalancer>& list, bool pretty) {
    return list_line_of(&list.metadata, list.items, pretty);
}

std::string encode(const AllocationPreview& preview, bool pretty) {
    Tree out = Tree::object();
    out["kind"] = std::string(kPreviewKind);
    out["ingress"] = tree_of(preview.ingress);
    out["reason"] = preview.reason;
    out["message"] = preview.message;
    Tree& pools = out["pools"] = Tree::array();
    for (const PoolVerdict& verdict : preview.pools) {
        Tree& one = pools.emplace_back(Tree::object());
        one["pool"] = verdict.pool;
        one["used"] = verdict.used;
        one["reason"] = verdict.reason;
        one["message"] = verdict.message;
    }
    return text_of(out, pretty);
}

contract::Decoded<LoadBalancer> decode_load_balancer(std::string_view body, std::string_view ns, std::string_view name,
                                                     std::string_view cluster) {
    return decode_document<LoadBalancer>(body, kMaxLoadBalancerBytes, [&](json::ObjectReader& reader) {
        LoadBalancer object;
        object.metadata = read_wish_head(reader, kKind, Scope::name_space, {cluster, ns, name});
        object.spec = read_spec(reader);
        reader.ignore("status");
        return object;
    });
}

contract::Decoded<LoadBalancer> read_load_balancer(std::string_view body) {
    return decode_document<LoadBalancer>(body, kMaxLoadBalancerAnswerBytes, read_answer);
}

contract::Decoded<std::vector<LoadBalancer>> read_load_balancer_list(std::string_view body) {
    return items_of(read_load_balancer_page(body));
}

contract::Decoded<List<LoadBalancer>> read_load_balancer_page(std::string_view body) {
    return decode_list<LoadBalancer>(body, kMaxListBytes, "LoadBalancerList", read_answer);
}

contract::Decoded<AllocationPreview> read_preview(std::string_view body) {
    return decode_document<AllocationPreview>(body, kMaxListBytes, [](json::ObjectReader& reader) {
        AllocationPreview out;
        check_kind(reader, kPreviewKind);
        out.ingress = read_ingress(reader);
        out.reason = reader.required_string("reason", json::length(0, 253));
        out.message = reader.string_or("message", {}, json::length(0, 1U << 16));
        reader.each_object("pools", {0, 1U << 20}, [&](json::ObjectReader& one) {
            PoolVerdict verdict;
            verdict.pool = one.required_string("pool", json::length(0, 253));
            verdict.used = one.required_boolean("used");
            verdict.reason = one.required_string("reason", json::length(0, 253));
            verdict.message = one.string_or("message", {}, json::length(0, 1U << 16));
            out.pools.push_back(std::move(verdict));
        });
        return out;
    });
}

}  // namespace guideway::resources
