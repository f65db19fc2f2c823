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
    return service;
}

}  // namespace

nlohmann::ordered_json tree_of(const ForwardingState& state) {
    using Tree = nlohmann::ordered_json;
    Tree sets = Tree::array();
    for (const BackendSet& set : state.backend_sets) {
        Tree backends = Tree::array();
        for (const Backend& backend : set.backends) {
            Tree& one = backends.emplace_back(Tree::object());
            one["name"] = backend.name;
            one["address"] = backend.address.to_string();
            one["port"] = backend.port;
            one["weight"] = backend.weight;
        }
        Tree& one = sets.emplace_back(Tree::object());
        one["name"] = set.name;
        one["family"] = std::string(to_string(set.family));
        one["backends"] = std::move(backends);
    }
    Tree services = Tree::array();
    for (const Service& service : state.services) {
        Tree& one = services.emplace_back(Tree::object());
        one["name"] = service.name;
        one["vip"] = service.vip.to_string();
        one["protocol"] = std::string(to_string(service.protocol));
        one["port"] = service.port;
        one["backend_set"] = service.backend_set;
        one["backend_port"] = service.backend_port;
        one["idle_timeout_seconds"] = service.idle_timeout_seconds;
    }
    Tree out = Tree::object();
    out["format"] = ForwardingState::kFormat;
    out["generation"] = state.generation;
    out["backend_sets"] = std::move(sets);
    out["services"] = std::move(services);
    return out;
}

ForwardingState read_forwarding_state(json::ObjectReader& reader) {
    ForwardingState state;
    reader.required_unsigned("format", ForwardingState::kFormat, ForwardingState::kFormat);
    state.generation = reader.required_unsigned("generation", 0, std::numeric_limits<std::uint64_t>::max());
    reader.each_object("backend_sets", {0, kMaxBackendSets},
                       [&](json::ObjectReader& one) { state.backend_sets.push_back(read_backend_set(one)); });
    reader.each_object("services", {0, kMaxServices},
                       [&](json::ObjectReader& one) { state.services.push_back(read_service(one)); });
    return state;
}

std::string encode(const ForwardingState& state, bool pretty) {
    return tree_of(state).dump(pretty ? 2 : -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Decoded<ForwardingState> decode_forwarding_state(std::string_view text) {
    Decoded<ForwardingState> result;
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
