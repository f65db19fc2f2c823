#include "api/contract/forwarding_state_codec.h"

#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

#include "api/contract/json_form.h"
#include "api/json/object_reader.h"
#include "api/json/parse.h"

namespace guideway::contract {

namespace {

Backend read_backend(json::ObjectReader& reader) {
    Backend backend;
    backend.name = reader.required_string("name", json::length(0, 4096));
    backend.address = reader.required_value<IpAddress>("address", IpAddress::parse, "an IPv4 or IPv6 address");
    backend.port = reader.integer_or<std::uint16_t>("port", 0, 0, 65535);
    backend.weight = reader.integer_or<std::uint32_t>("weight", 1, 0, kMaxWeight);
    backend.closed = reader.boolean_or("closed", false);
    return backend;
}

BackendSet read_backend_set(json::ObjectReader& reader) {
    BackendSet set;
    set.name = reader.required_string("name", json::length(0, 4096));
    set.family = reader.required_value<IpFamily>("family", parse_family, "IPv4 or IPv6", IpFamily::ipv4);
    reader.each_object("backends", {0, kMaxBackendsPerSet},
                       [&](json::ObjectReader& one) { set.backends.push_back(read_backend(one)); });
    return set;
}

SourceRangeSet read_source_ranges(json::ObjectReader& reader) {
    SourceRangeSet set;
    set.name = reader.required_string("name", json::length(0, 4096));
    set.prefixes = reader.values<IpPrefix>("prefixes", {0, kMaxSourcePrefixes}, IpPrefix::parse,
                                           "an address with its prefix length, 198.51.100.0/24");
    return set;
}

Route read_route(json::ObjectReader& reader) {
    Route route;
    route.destination = reader.required_value<IpPrefix>("destination", IpPrefix::parse,
                                                        "an address with its prefix length, 10.244.1.0/24");
    route.via = reader.required_value<IpAddress>("via", IpAddress::parse, "an IPv4 or IPv6 address");
    return route;
}

VipPorts read_vip_ports(json::ObjectReader& reader) {
    VipPorts bound;
    bound.vip = reader.required_value<IpAddress>("vip", IpAddress::parse, "an IPv4 or IPv6 address");
    bound.ports = reader.strings("ports", {1, kMaxPortsOfVip}, json::length(0, 4096));
    return bound;
}

Service read_service(json::ObjectReader& reader) {
    Service service;
    service.name = reader.required_string("name", json::length(0, 4096));
    service.vip = reader.required_value<IpAddress>("vip", IpAddress::parse, "an IPv4 or IPv6 address");
    service.protocol = reader.required_value<Protocol>("protocol", parse_protocol, "TCP, UDP or SCTP", Protocol::tcp);
    service.port = reader.required_integer<std::uint16_t>("port", 1, 65535);
    service.backend_set = reader.required_string("backend_set", json::length(0, 4096));
    service.backend_port = reader.integer_or<std::uint16_t>("backend_port", 0, 0, 65535);
    service.idle_timeout_seconds =
        reader.integer_or<std::uint32_t>("idle_timeout_seconds", 0, 0, kMaxIdleTimeoutSeconds);
    service.affinity_seconds = reader.integer_or<std::uint32_t>("affinity_seconds", 0, 0, kMaxAffinitySeconds);
    service.source_ranges = reader.string_or("source_ranges", {}, json::length(0, 4096));
    service.ranges_end_established = reader.boolean_or("ranges_end_established", false);
    service.silent = reader.boolean_or("silent", false);
    const auto limit = [&reader](const char* name) {
        return reader.integer_or<std::uint32_t>(name, 0, 0, kMaxPerSecond);
    };
    service.new_connections_per_second = limit("new_connections_per_second");
    service.packets_per_second = limit("packets_per_second");
    service.new_connections_per_second_per_source = limit("new_connections_per_second_per_source");
    return service;
}

void put_limit(json::Writer& out, std::string_view name, std::uint32_t limit) {
    if (limit != 0) out.key(name).number(limit);
}

void put_source_ranges(json::Writer& out, const std::vector<SourceRangeSet>& sets) {
    out.key("source_range_sets").begin_array();
    for (const SourceRangeSet& set : sets) {
        out.begin_object().key("name").text(set.name).key("prefixes").begin_array();
        for (const IpPrefix& prefix : set.prefixes) out.text(prefix.to_string());
        out.end_array().end_object();
    }
    out.end_array();
}

void put_routes(json::Writer& out, const std::vector<Route>& routes) {
    out.key("routes").begin_array();
    for (const Route& route : routes) {
        out.begin_object().key("destination").text(route.destination.to_string());
        out.key("via").text(route.via.to_string()).end_object();
    }
    out.end_array();
}

void put_vip_ports(json::Writer& out, const std::vector<VipPorts>& list) {
    out.key("vip_ports").begin_array();
    for (const VipPorts& bound : list) {
        out.begin_object().key("vip").text(bound.vip.to_string()).key("ports").begin_array();
        for (const std::string& port : bound.ports) out.text(port);
        out.end_array().end_object();
    }
    out.end_array();
}

}  // namespace

void put(json::Writer& out, const ForwardingState& state) {
    out.begin_object().key("format").number(ForwardingState::kFormat).key("generation").number(state.generation);
    out.key("backend_sets").begin_array();
    for (const BackendSet& set : state.backend_sets) {
        out.begin_object().key("name").text(set.name).key("family").text(to_string(set.family));
        out.key("backends").begin_array();
        for (const Backend& backend : set.backends) {
            out.begin_object().key("name").text(backend.name).key("address").text(backend.address.to_string());
            out.key("port").number(backend.port).key("weight").number(backend.weight);
            if (backend.closed) out.key("closed").boolean(true);
            out.end_object();
        }
        out.end_array().end_object();
    }
    out.end_array();
    if (!state.source_range_sets.empty()) put_source_ranges(out, state.source_range_sets);
    if (!state.routes.empty()) put_routes(out, state.routes);
    if (!state.vip_ports.empty()) put_vip_ports(out, state.vip_ports);
    out.key("services").begin_array();
    for (const Service& service : state.services) {
        out.begin_object().key("name").text(service.name).key("vip").text(service.vip.to_string());
        out.key("protocol").text(to_string(service.protocol)).key("port").number(service.port);
        out.key("backend_set").text(service.backend_set).key("backend_port").number(service.backend_port);
        out.key("idle_timeout_seconds").number(service.idle_timeout_seconds);
        if (service.affinity_seconds != 0) out.key("affinity_seconds").number(service.affinity_seconds);
        if (!service.source_ranges.empty()) out.key("source_ranges").text(service.source_ranges);
        if (service.ranges_end_established) out.key("ranges_end_established").boolean(true);
        if (service.silent) out.key("silent").boolean(true);
        put_limit(out, "new_connections_per_second", service.new_connections_per_second);
        put_limit(out, "packets_per_second", service.packets_per_second);
        put_limit(out, "new_connections_per_second_per_source", service.new_connections_per_second_per_source);
        out.end_object();
    }
    out.end_array().end_object();
}

ForwardingState read_forwarding_state(json::ObjectReader& reader) {
    ForwardingState state;
    reader.required_unsigned("format", ForwardingState::kFormat, ForwardingState::kFormat);
    state.generation = reader.required_unsigned("generation", 0, std::numeric_limits<std::uint64_t>::max());
    reader.each_object("backend_sets", {0, kMaxBackendSets},
                       [&](json::ObjectReader& one) { state.backend_sets.push_back(read_backend_set(one)); });
    reader.each_object("source_range_sets", {0, kMaxSourceRangeSets},
                       [&](json::ObjectReader& one) { state.source_range_sets.push_back(read_source_ranges(one)); });
    reader.each_object("routes", {0, kMaxRoutes},
                       [&](json::ObjectReader& one) { state.routes.push_back(read_route(one)); });
    reader.each_object("vip_ports", {0, kMaxServices},
                       [&](json::ObjectReader& one) { state.vip_ports.push_back(read_vip_ports(one)); });
    reader.each_object("services", {0, kMaxServices},
                       [&](json::ObjectReader& one) { state.services.push_back(read_service(one)); });
    return state;
}

std::string encode(const ForwardingState& state, bool pretty) {
    json::Writer out(256 + 200 * state.services.size());
    put(out, state);
    std::string line = out.take();
    return pretty ? json::indented(line) : line;
}

Decoded<ForwardingState> decode_forwarding_state(std::string_view text) {
    Decoded<ForwardingState> result;
    if (auto plain = read_plain_state(text)) {
        result.faults = validate(*plain);
        if (result.faults.empty()) result.value = std::move(plain);
        return result;
    }
    auto tree = json::parse_strict(text, {kMaxStateBytes, 32});
    if (!tree.ok()) {
        result.faults = std::move(tree.faults);
        return result;
    }
    json::ObjectReader reader(*tree.value, "", result.faults);
    ForwardingState state = read_forwarding_state(reader);
    reader.finish();
    if (result.faults.empty()) result.faults = validate(state);
    if (result.faults.empty()) result.value = std::move(state);
    return result;
}

}  // namespace guideway::contract
