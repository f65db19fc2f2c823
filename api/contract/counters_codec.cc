#include "api/contract/counters_codec.h"

#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

#include "api/contract/json_form.h"
#include "api/json/object_reader.h"
#include "api/json/parse.h"

namespace guideway::contract {

namespace {

using Tree = nlohmann::ordered_json;

constexpr auto kMax64 = std::numeric_limits<std::uint64_t>::max();
constexpr auto kMax32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t kMaxBytes = 256U << 20;
constexpr std::size_t kMaxElements = 1U << 22;
constexpr json::TextRule kText{0, 4096, nullptr, nullptr};
constexpr auto kAddress = "an IPv4 or IPv6 address";

void put_traffic(Tree& out, const Traffic& traffic) {
    out["rx_packets"] = traffic.rx_packets;
    out["rx_bytes"] = traffic.rx_bytes;
    out["tx_packets"] = traffic.tx_packets;
    out["tx_bytes"] = traffic.tx_bytes;
}

std::uint64_t count(json::ObjectReader& reader, std::string_view key) {
    return reader.required_unsigned(key, 0, kMax64);
}

Traffic read_traffic(json::ObjectReader& reader) {
    Traffic traffic;
    traffic.rx_packets = count(reader, "rx_packets");
    traffic.rx_bytes = count(reader, "rx_bytes");
    traffic.tx_packets = count(reader, "tx_packets");
    traffic.tx_bytes = count(reader, "tx_bytes");
    return traffic;
}

Tree tree_of(const ServiceCounters& service) {
    Tree out = Tree::object();
    out["name"] = service.name;
    out["vip"] = service.vip.to_string();
    out["protocol"] = std::string(to_string(service.protocol));
    out["port"] = service.port;
    put_traffic(out, service.traffic);
    out["new_connections"] = service.new_connections;
    out["refused_connections"] = service.refused_connections;
    return out;
}

ServiceCounters read_service(json::ObjectReader& reader) {
    ServiceCounters service;
    service.name = reader.required_string("name", kText);
    service.vip = reader.required_value<IpAddress>("vip", IpAddress::parse, kAddress);
    service.protocol = reader.required_value<Protocol>("protocol", parse_protocol, "TCP, UDP or SCTP", Protocol::tcp);
    service.port = reader.required_integer<std::uint16_t>("port", 0, 65535);
    service.traffic = read_traffic(reader);
    service.new_connections = count(reader, "new_connections");
    service.refused_connections = count(reader, "refused_connections");
    return service;
}

Tree tree_of(const BackendCounters& backend) {
    Tree out = Tree::object();
    out["backend_set"] = backend.backend_set;
    out["name"] = backend.name;
    out["address"] = backend.address.to_string();
    out["port"] = backend.port;
    put_traffic(out, backend.traffic);
    out["new_connections"] = backend.new_connections;
    return out;
}

BackendCounters read_backend(json::ObjectReader& reader) {
    BackendCounters backend;
    backend.backend_set = reader.required_string("backend_set", kText);
    backend.name = reader.required_string("name", kText);
    backend.address = reader.required_value<IpAddress>("address", IpAddress::parse, kAddress);
    backend.port = reader.required_integer<std::uint16_t>("port", 0, 65535);
    backend.traffic = read_traffic(reader);
    backend.new_connections = count(reader, "new_connections");
    return backend;
}

/// One list for both directions, so that no counter is written and not read.
template <class Port, class Visit>
void each_port_count(Port& port, Visit visit) {
    visit("rx_packets", port.rx_packets);
    visit("rx_bytes", port.rx_bytes);
    visit("rx_missed", port.rx_missed);
    visit("rx_errors", port.rx_errors);
    visit("tx_packets", port.tx_packets);
    visit("tx_bytes", port.tx_bytes);
    visit("tx_errors", port.tx_errors);
    visit("kernel_rx_packets", port.kernel_rx_packets);
    visit("kernel_tx_packets", port.kernel_tx_packets);
}

template <class Worker, class Visit>
void each_worker_count(Worker& worker, Visit visit) {
    visit("rx_packets", worker.rx_packets);
    visit("tx_packets", worker.tx_packets);
    visit("handed_over", worker.handed_over);
    visit("rss_agreed", worker.rss_agreed);
    visit("rss_disagreed", worker.rss_disagreed);
    visit("polls", worker.polls);
    visit("empty_polls", worker.empty_polls);
    visit("flows_ipv4", worker.flows_ipv4);
    visit("flows_ipv6", worker.flows_ipv6);
    visit("flow_capacity_ipv4", worker.flow_capacity_ipv4);
    visit("flow_capacity_ipv6", worker.flow_capacity_ipv6);
}

Tree tree_of(const PortCounters& port) {
    Tree out = Tree::object();
    out["name"] = port.name;
    out["driver"] = port.driver;
    out["link_up"] = port.link_up;
    each_port_count(port, [&](const char* key, std::uint64_t value) { out[key] = value; });
    return out;
}

PortCounters read_port(json::ObjectReader& reader) {
    PortCounters port;
    port.name = reader.required_string("name", kText);
    port.driver = reader.required_string("driver", kText);
    port.link_up = reader.required_boolean("link_up");
    each_port_count(port, [&](const char* key, std::uint64_t& value) { value = count(reader, key); });
    return port;
}

Tree tree_of(const WorkerCounters& worker) {
    Tree out = Tree::object();
    out["worker"] = worker.worker;
    each_worker_count(worker, [&](const char* key, std::uint64_t value) { out[key] = value; });
    Tree drops = Tree::array();
    for (const DropCounter& drop : worker.drops) {
        Tree& one = drops.emplace_back(Tree::object());
        one["reason"] = drop.reason;
        one["packets"] = drop.packets;
    }
    out["drops"] = std::move(drops);
    return out;
}

WorkerCounters read_worker(json::ObjectReader& reader) {
    WorkerCounters worker;
    worker.worker = reader.required_integer<std::uint32_t>("worker", 0, kMax32);
    each_worker_count(worker, [&](const char* key, std::uint64_t& value) { value = count(reader, key); });
    reader.each_object("drops", {0, 1000}, [&](json::ObjectReader& one) {
        DropCounter drop;
        drop.reason = one.required_string("reason", kText);
        drop.packets = count(one, "packets");
        worker.drops.push_back(std::move(drop));
    });
    return worker;
}

Tree tree_of(const Steering& steering) {
    Tree out = Tree::object();
    out["family"] = std::string(to_string(steering.family));
    out["protocol"] = std::string(to_string(steering.protocol));
    out["way"] = steering.way;
    out["reason"] = steering.reason;
    return out;
}

Steering read_steering(json::ObjectReader& reader) {
    Steering steering;
    steering.family = reader.required_value<IpFamily>("family", parse_family, "IPv4 or IPv6", IpFamily::ipv4);
    steering.protocol = reader.required_value<Protocol>("protocol", parse_protocol, "TCP, UDP or SCTP", Protocol::tcp);
    steering.way = reader.required_string("way", kText);
    steering.reason = reader.required_string("reason", kText);
    return steering;
}

template <class T>
Tree list_of(const std::vector<T>& values) {
    Tree out = Tree::array();
    for (const T& value : values) out.push_back(tree_of(value));
    return out;
}

}  // namespace

Tree tree_of(const Counters& counters) {
    Tree out = Tree::object();
    out["generation"] = counters.generation;
    out["started_at_unix_seconds"] = counters.started_at_unix_seconds;
    out["services"] = list_of(counters.services);
    out["backends"] = list_of(counters.backends);
    out["ports"] = list_of(counters.ports);
    out["workers"] = list_of(counters.workers);
    out["steering"] = list_of(counters.steering);
    return out;
}

Counters read_counters(json::ObjectReader& reader) {
    Counters counters;
    counters.generation = count(reader, "generation");
    counters.started_at_unix_seconds = count(reader, "started_at_unix_seconds");
    const json::Count any{0, kMaxElements};
    reader.each_object("services", any,
                       [&](json::ObjectReader& one) { counters.services.push_back(read_service(one)); });
    reader.each_object("backends", any,
                       [&](json::ObjectReader& one) { counters.backends.push_back(read_backend(one)); });
    reader.each_object("ports", any, [&](json::ObjectReader& one) { counters.ports.push_back(read_port(one)); });
    reader.each_object("workers", any, [&](json::ObjectReader& one) { counters.workers.push_back(read_worker(one)); });
    reader.each_object("steering", {0, 16},
                       [&](json::ObjectReader& one) { counters.steering.push_back(read_steering(one)); });
    return counters;
}

std::string encode(const Counters& counters, bool pretty) {
    return tree_of(counters).dump(pretty ? 2 : -1, ' ', false, Tree::error_handler_t::replace);
}

Decoded<Counters> decode_counters(std::string_view text) {
    Decoded<Counters> result;
    auto tree = json::parse_strict(text, {kMaxBytes, 32});
    if (!tree.ok()) {
        result.faults = std::move(tree.faults);
        return result;
    }
    json::ObjectReader reader(*tree.value, "", result.faults);
    Counters counters = read_counters(reader);
    reader.finish();
    if (result.faults.empty()) result.value = std::move(counters);
    return result;
}

}  // namespace guideway::contract
