#include "api/contract/counters_codec.h"

#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

#include "api/contract/json_form.h"
#include "api/json/object_reader.h"
#include "api/json/parse.h"

namespace guideway::contract {

namespace {

constexpr auto kMax64 = std::numeric_limits<std::uint64_t>::max();
constexpr auto kMax32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t kMaxBytes = 256U << 20;
constexpr std::size_t kMaxElements = 1U << 22;
constexpr json::TextRule kText{0, 4096, nullptr, nullptr};
constexpr auto kAddress = "an IPv4 or IPv6 address";

void put(json::Writer& out, const Traffic& traffic) {
    out.key("rx_packets").number(traffic.rx_packets).key("rx_bytes").number(traffic.rx_bytes);
    out.key("tx_packets").number(traffic.tx_packets).key("tx_bytes").number(traffic.tx_bytes);
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

void put(json::Writer& out, const ServiceCounters& service) {
    out.begin_object().key("name").text(service.name).key("vip").text(service.vip.to_string());
    out.key("protocol").text(to_string(service.protocol)).key("port").number(service.port);
    put(out, service.traffic);
    out.key("new_connections").number(service.new_connections);
    out.key("refused_connections").number(service.refused_connections);
    out.key("source_not_allowed").number(service.source_not_allowed);
    out.key("limited").number(service.limited).end_object();
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
    service.source_not_allowed = count(reader, "source_not_allowed");
    service.limited = count(reader, "limited");
    return service;
}

void put(json::Writer& out, const BackendCounters& backend) {
    out.begin_object().key("backend_set").text(backend.backend_set).key("name").text(backend.name);
    out.key("address").text(backend.address.to_string()).key("port").number(backend.port);
    put(out, backend.traffic);
    out.key("new_connections").number(backend.new_connections);
    out.key("refused_connections").number(backend.refused_connections).end_object();
}

BackendCounters read_backend(json::ObjectReader& reader) {
    BackendCounters backend;
    backend.backend_set = reader.required_string("backend_set", kText);
    backend.name = reader.required_string("name", kText);
    backend.address = reader.required_value<IpAddress>("address", IpAddress::parse, kAddress);
    backend.port = reader.required_integer<std::uint16_t>("port", 0, 65535);
    backend.traffic = read_traffic(reader);
    backend.new_connections = count(reader, "new_connections");
    backend.refused_connections = count(reader, "refused_connections");
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
    visit("flows_free_ipv4", worker.flows_free_ipv4);
    visit("flows_free_ipv6", worker.flows_free_ipv6);
    visit("flows_opening", worker.flows_opening);
    visit("flows_one_way", worker.flows_one_way);
    visit("flows_closed", worker.flows_closed);
    visit("evicted_opening", worker.evicted_opening);
    visit("evicted_one_way", worker.evicted_one_way);
    visit("evicted_closed", worker.evicted_closed);
    visit("doubtful_ends", worker.doubtful_ends);
    visit("ended_backend_closed", worker.ended_backend_closed);
    visit("ended_source_ranges", worker.ended_source_ranges);
    visit("udp_redecided", worker.udp_redecided);
    visit("icmp_forwarded_unreachable", worker.icmp_forwarded_unreachable);
    visit("icmp_forwarded_too_big", worker.icmp_forwarded_too_big);
    visit("icmp_forwarded_time_exceeded", worker.icmp_forwarded_time_exceeded);
    visit("icmp_forwarded_parameter_problem", worker.icmp_forwarded_parameter_problem);
    visit("icmp_made_unreachable", worker.icmp_made_unreachable);
    visit("icmp_made_too_big", worker.icmp_made_too_big);
    visit("icmp_made_time_exceeded", worker.icmp_made_time_exceeded);
    visit("mss_clamped", worker.mss_clamped);
    visit("fragment_datagrams", worker.fragment_datagrams);
    visit("fragment_capacity", worker.fragment_capacity);
    visit("fragment_datagrams_forgotten", worker.fragment_datagrams_forgotten);
    visit("fragment_held_bytes", worker.fragment_held_bytes);
    visit("fragments_forwarded", worker.fragments_forwarded);
    visit("packets_cut", worker.packets_cut);
    visit("packet_parts_made", worker.packet_parts_made);
    visit("affinity_clients", worker.affinity_clients);
    visit("affinity_capacity", worker.affinity_capacity);
    visit("affinity_remembered", worker.affinity_remembered);
    visit("affinity_moved", worker.affinity_moved);
    visit("affinity_timed_out", worker.affinity_timed_out);
    visit("affinity_displaced", worker.affinity_displaced);
}

void put(json::Writer& out, const PortCounters& port) {
    out.begin_object().key("name").text(port.name).key("driver").text(port.driver);
    out.key("link_up").boolean(port.link_up);
    each_port_count(port, [&](const char* key, std::uint64_t value) { out.key(key).number(value); });
    if (port.bond) {
        out.key("bond").begin_object().key("mode").text(port.bond->mode).key("moves").number(port.bond->moves);
        out.key("members").begin_array();
        for (const BondMember& member : port.bond->members) {
            out.begin_object().key("name").text(member.name).key("link_up").boolean(member.link_up);
            out.key("carries").boolean(member.carries).key("partner").text(member.partner).end_object();
        }
        out.end_array().end_object();
    }
    out.end_object();
}

Bond read_bond(json::ObjectReader reader) {
    Bond bond;
    bond.mode = reader.required_string("mode", kText);
    bond.moves = count(reader, "moves");
    reader.each_object("members", {0, 64}, [&](json::ObjectReader& one) {
        BondMember member;
        member.name = one.required_string("name", kText);
        member.link_up = one.required_boolean("link_up");
        member.carries = one.required_boolean("carries");
        member.partner = one.required_string("partner", kText);
        bond.members.push_back(std::move(member));
    });
    reader.finish();
    return bond;
}

PortCounters read_port(json::ObjectReader& reader) {
    PortCounters port;
    port.name = reader.required_string("name", kText);
    port.driver = reader.required_string("driver", kText);
    port.link_up = reader.required_boolean("link_up");
    each_port_count(port, [&](const char* key, std::uint64_t& value) { value = count(reader, key); });
    if (reader.has("bond")) port.bond = read_bond(reader.optional_object("bond"));
    return port;
}

void put(json::Writer& out, const WorkerCounters& worker) {
    out.begin_object().key("worker").number(worker.worker);
    each_worker_count(worker, [&](const char* key, std::uint64_t value) { out.key(key).number(value); });
    out.key("drops").begin_array();
    for (const DropCounter& drop : worker.drops) {
        out.begin_object().key("reason").text(drop.reason).key("packets").number(drop.packets).end_object();
    }
    out.end_array().end_object();
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

void put(json::Writer& out, const LostConnections& lost) {
    out.begin_object().key("reason").text(lost.reason).key("connections").number(lost.connections).end_object();
}

void put(json::Writer& out, const Steering& steering) {
    out.begin_object().key("family").text(to_string(steering.family));
    out.key("protocol").text(to_string(steering.protocol));
    out.key("way").text(steering.way);
    out.key("reason").text(steering.reason);
    out.end_object();
}

Steering read_steering(json::ObjectReader& reader) {
    Steering steering;
    steering.family = reader.required_value<IpFamily>("family", parse_family, "IPv4 or IPv6", IpFamily::ipv4);
    steering.protocol = reader.required_value<Protocol>("protocol", parse_protocol, "TCP, UDP or SCTP", Protocol::tcp);
    steering.way = reader.required_string("way", kText);
    steering.reason = reader.required_string("reason", kText);
    return steering;
}

void put(json::Writer& out, const MissingRoute& route) {
    out.begin_object().key("destination").text(route.destination.to_string());
    out.key("via").text(route.via.to_string()).key("reason").text(route.reason).end_object();
}

AnnouncementStatus read_announcements(json::ObjectReader& reader) {
    AnnouncementStatus status;
    status.addresses = count(reader, "addresses");
    status.sent = count(reader, "sent");
    status.claims_heard = count(reader, "claims_heard");
    status.probes = reader.unsigned_or("probes", 0, 0, kMax64);
    reader.each_object("conflicts", {0, AnnouncementStatus::kMostTold},
                       [&](json::ObjectReader& one) { status.conflicts.push_back(read_conflict(one)); });
    return status;
}

RouteStatus read_routes(json::ObjectReader& reader) {
    RouteStatus routes;
    routes.wanted = count(reader, "wanted");
    routes.in_force = count(reader, "in_force");
    reader.each_object("missing", {0, RouteStatus::kMostTold}, [&](json::ObjectReader& one) {
        MissingRoute route;
        route.destination = one.required_value<IpPrefix>("destination", IpPrefix::parse, "a prefix");
        route.via = one.required_value<IpAddress>("via", IpAddress::parse, kAddress);
        route.reason = one.required_string("reason", kText);
        routes.missing.push_back(std::move(route));
    });
    return routes;
}

template <class T>
void put_list(json::Writer& out, const char* key, const std::vector<T>& values) {
    out.key(key).begin_array();
    for (const T& value : values) put(out, value);
    out.end_array();
}

}  // namespace

void put(json::Writer& out, const AddressConflict& conflict) {
    out.begin_object().key("address").text(conflict.address.to_string());
    out.key("mac").text(conflict.mac).key("port").text(conflict.port).key("claims").number(conflict.claims);
    out.key("last_seen_unix_seconds").number(conflict.last_seen_unix_seconds);
    // As probes: what older readers do not know is written where there is something to tell.
    if (conflict.yielded) out.key("yielded").boolean(true);
    out.end_object();
}

AddressConflict read_conflict(json::ObjectReader& reader) {
    AddressConflict conflict;
    conflict.address = reader.required_value<IpAddress>("address", IpAddress::parse, kAddress);
    conflict.mac = reader.required_string("mac", kText);
    conflict.port = reader.required_string("port", kText);
    conflict.claims = count(reader, "claims");
    conflict.last_seen_unix_seconds = count(reader, "last_seen_unix_seconds");
    conflict.yielded = reader.boolean_or("yielded", false);
    return conflict;
}

void put(json::Writer& out, const FlowFileStatus& file) {
    out.begin_object().key("path").text(file.path).key("bytes").number(file.bytes).key("kept").number(file.kept);
    put_list(out, "lost", file.lost);
    out.key("refused").begin_array();
    for (const std::string& text : file.refused) out.begin_object().key("reason").text(text).end_object();
    out.end_array().end_object();
}

FlowFileStatus read_flow_file(json::ObjectReader& reader) {
    FlowFileStatus file;
    file.path = reader.required_string("path", kText);
    file.bytes = count(reader, "bytes");
    file.kept = count(reader, "kept");
    reader.each_object("lost", {0, 1000}, [&](json::ObjectReader& one) {
        LostConnections lost;
        lost.reason = one.required_string("reason", kText);
        lost.connections = count(one, "connections");
        file.lost.push_back(std::move(lost));
    });
    reader.each_object("refused", {0, 1000},
                       [&](json::ObjectReader& one) { file.refused.push_back(one.required_string("reason", kText)); });
    return file;
}

void put(json::Writer& out, const Counters& counters) {
    out.begin_object().key("generation").number(counters.generation);
    out.key("started_at_unix_seconds").number(counters.started_at_unix_seconds);
    put_list(out, "services", counters.services);
    put_list(out, "backends", counters.backends);
    put_list(out, "ports", counters.ports);
    put_list(out, "workers", counters.workers);
    put_list(out, "steering", counters.steering);
    put(out.key("flow_file"), counters.flow_file);
    out.key("routes").begin_object().key("wanted").number(counters.routes.wanted);
    out.key("in_force").number(counters.routes.in_force);
    put_list(out, "missing", counters.routes.missing);
    out.end_object();
    const AnnouncementStatus& announcements = counters.announcements;
    out.key("announcements").begin_object().key("addresses").number(announcements.addresses);
    out.key("sent").number(announcements.sent).key("claims_heard").number(announcements.claims_heard);
    if (announcements.probes != 0) out.key("probes").number(announcements.probes);
    put_list(out, "conflicts", announcements.conflicts);
    out.end_object().end_object();
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
    json::ObjectReader file = reader.optional_object("flow_file");
    if (file.present()) {
        counters.flow_file = read_flow_file(file);
        file.finish();
    }
    json::ObjectReader routes = reader.optional_object("routes");
    if (routes.present()) {
        counters.routes = read_routes(routes);
        routes.finish();
    }
    json::ObjectReader announcements = reader.optional_object("announcements");
    if (announcements.present()) {
        counters.announcements = read_announcements(announcements);
        announcements.finish();
    }
    return counters;
}

std::string encode(const Counters& counters, bool pretty) {
    json::Writer out;
    put(out, counters);
    std::string line = out.take();
    return pretty ? json::indented(line) : line;
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
