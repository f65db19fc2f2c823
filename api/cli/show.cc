#include "api/cli/show.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <map>
#include <ostream>
#include <tuple>
#include <utility>

#include "api/cli/table.h"

namespace guideway::cli {

namespace {

std::string joined(const std::vector<std::string>& parts, const char* separator = ", ") {
    std::string out;
    for (const std::string& part : parts) out += (out.empty() ? "" : separator) + part;
    return out;
}

std::string yes_no(bool value) { return value ? "yes" : "no"; }

/// "12s", "5m", "3h", "9d".
std::string duration_text(std::uint64_t seconds) {
    if (seconds < 120) return std::to_string(seconds) + "s";
    if (seconds < 7200) return std::to_string(seconds / 60) + "m";
    if (seconds < 172800) return std::to_string(seconds / 3600) + "h";
    return std::to_string(seconds / 86400) + "d";
}

std::string age_text(const std::string& timestamp) {
    std::tm time{};
    if (strptime(timestamp.c_str(), "%Y-%m-%dT%H:%M:%S", &time) == nullptr) return {};
    const std::time_t age = std::time(nullptr) - timegm(&time);
    return duration_text(age > 0 ? static_cast<std::uint64_t>(age) : 0);
}

std::string endpoint(const IpAddress& address, std::uint16_t port) {
    const std::string host = address.is_v4() ? address.to_string() : "[" + address.to_string() + "]";
    return port == 0 ? host : host + ":" + std::to_string(port);
}

/// What stands in the way, or the last thing that went well.
std::string state_text(const resources::LoadBalancer& object) {
    if (object.status.conditions.empty()) return object.status.ingress.empty() ? "Waiting" : "Allocated";
    for (const resources::Condition& condition : object.status.conditions) {
        if (!condition.status) return condition.reason.empty() ? "Not" + condition.type : condition.reason;
    }
    return object.status.conditions.back().type;
}

std::string ports_text(const resources::LoadBalancerSpec& spec, bool node_ports) {
    std::vector<std::string> parts;
    for (const resources::LoadBalancerPort& port : spec.ports) {
        parts.push_back(std::to_string(port.port) + (node_ports ? ":" + std::to_string(port.node_port) : "") + "/" +
                        std::string(contract::to_string(port.protocol)));
    }
    return joined(parts, ",");
}

std::vector<std::string> texts_of(const std::vector<IpAddress>& addresses) {
    std::vector<std::string> out;
    for (const IpAddress& address : addresses) out.push_back(address.to_string());
    return out;
}

std::string pools_text(const resources::LoadBalancer& object) {
    std::vector<std::string> pools;
    for (const resources::Ingress& ingress : object.status.ingress) {
        if (std::find(pools.begin(), pools.end(), ingress.pool) == pools.end()) pools.push_back(ingress.pool);
    }
    return joined(pools);
}

std::string policy_text(resources::IpFamilyPolicy policy) {
    switch (policy) {
        case resources::IpFamilyPolicy::single_stack:
            return "SingleStack";
        case resources::IpFamilyPolicy::prefer_dual_stack:
            return "PreferDualStack";
        case resources::IpFamilyPolicy::require_dual_stack:
            return "RequireDualStack";
    }
    return {};
}

std::string count_text(std::uint64_t allocated, std::uint64_t total) {
    if (total == 0) return {};
    return std::to_string(allocated) + "/" + std::to_string(total);
}

/// "Name:        value"
void line(std::ostream& out, const std::string& name, const std::string& value) {
    std::string text = name + ":";
    text.resize(std::max<std::size_t>(text.size() + 1, 18), ' ');
    out << text << (value.empty() ? "-" : value) << '\n';
}

void describe_metadata(std::ostream& out, const resources::Metadata& metadata) {
    line(out, "Name", metadata.name);
    if (!metadata.namespace_.empty()) line(out, "Namespace", metadata.namespace_);
    if (!metadata.uid.empty()) line(out, "UID", metadata.uid);
    for (const auto& [name, value] : metadata.labels) line(out, "Label", name + "=" + value);
    const std::string age = age_text(metadata.creation_timestamp);
    line(out, "Created", metadata.creation_timestamp + (age.empty() ? "" : " (" + age + " ago)"));
    line(out, "Generation", std::to_string(metadata.generation));
}

/// "1.25 M", for rates.
std::string si(double value) {
    constexpr std::array<const char*, 5> kUnits{"", "k", "M", "G", "T"};
    std::size_t unit = 0;
    while (value >= 1000 && unit + 1 < kUnits.size()) {
        value /= 1000;
        ++unit;
    }
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f%s" : "%.2f%s", value, kUnits[unit]);
    return text.data();
}

/// Growth of a counter, a second. A smaller one began anew.
double rate(std::uint64_t before, std::uint64_t after, double seconds) {
    return static_cast<double>(after >= before ? after - before : after) / seconds;
}

struct Row {
    double weight = 0;
    std::vector<std::string> cells;
};

void print_busiest(std::ostream& out, std::vector<std::string> header, std::vector<Row> rows) {
    std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.weight > b.weight; });
    Table table(std::move(header));
    for (Row& row : rows) table.add(std::move(row.cells));
    table.print(out);
}

Row rate_row(std::vector<std::string> names, const contract::Traffic& before, const contract::Traffic& after,
             double connections, double seconds) {
    const double in = rate(before.rx_packets, after.rx_packets, seconds);
    const double back = rate(before.tx_packets, after.tx_packets, seconds);
    Row row{in + back, std::move(names)};
    row.cells.insert(row.cells.end(), {si(connections), si(in), si(8 * rate(before.rx_bytes, after.rx_bytes, seconds)),
                                       si(back), si(8 * rate(before.tx_bytes, after.tx_bytes, seconds))});
    return row;
}

}  // namespace

std::string addresses_text(const resources::LoadBalancer& object) {
    std::vector<std::string> parts;
    for (const resources::Ingress& ingress : object.status.ingress) parts.push_back(ingress.ip.to_string());
    return parts.empty() ? "waiting for an address" : joined(parts);
}

std::string outcome_text(const resources::LoadBalancer& object) {
    for (const resources::Condition& condition : object.status.conditions) {
        if (condition.type == "Allocated" && !condition.status) {
            return addresses_text(object) + ": " + condition.reason + ", " + condition.message;
        }
    }
    return addresses_text(object);
}

void show_table(std::ostream& out, const std::vector<resources::LoadBalancer>& objects, bool wide) {
    std::vector<std::string> header{"NAMESPACE", "NAME", "ADDRESSES", "PORTS", "STATE", "AGE"};
    if (wide) header.insert(header.end(), {"POOL", "POLICY", "SHARING KEY", "MESSAGE"});
    Table table(header);
    for (const auto& object : objects) {
        std::vector<std::string> cells{object.metadata.namespace_,
                                       object.metadata.name,
                                       object.status.ingress.empty() ? "" : addresses_text(object),
                                       ports_text(object.spec, wide),
                                       state_text(object),
                                       age_text(object.metadata.creation_timestamp)};
        if (wide) {
            std::string message;
            for (const auto& condition : object.status.conditions) {
                if (!condition.status && message.empty()) message = condition.message;
            }
            cells.insert(cells.end(), {pools_text(object), policy_text(object.spec.ip_family_policy),
                                       object.spec.sharing_key, message});
        }
        table.add(std::move(cells));
    }
    table.print(out);
}

void show_table(std::ostream& out, const std::vector<resources::AddressPool>& objects, bool wide) {
    std::vector<std::string> header{"NAME", "IPV4 USED", "IPV6 USED", "AUTO-ASSIGN", "ADDRESSES", "AGE"};
    if (wide) header.insert(header.end(), {"AVOID BUGGY"});
    Table table(header);
    for (const auto& object : objects) {
        std::vector<std::string> cells{object.metadata.name,
                                       count_text(object.status.ipv4_allocated, object.status.ipv4_total),
                                       count_text(object.status.ipv6_allocated, object.status.ipv6_total),
                                       yes_no(object.spec.auto_assign),
                                       joined(object.spec.addresses),
                                       age_text(object.metadata.creation_timestamp)};
        if (wide) cells.push_back(yes_no(object.spec.avoid_buggy_ips));
        table.add(std::move(cells));
    }
    table.print(out);
}

void show_table(std::ostream& out, const std::vector<resources::Node>& objects, bool wide) {
    std::vector<std::string> header{"NAME", "ADDRESSES", "WEIGHT", "STATE", "AGE"};
    if (wide) header.emplace_back("GENERATION");
    Table table(header);
    for (const auto& object : objects) {
        std::vector<std::string> cells{object.metadata.name, joined(texts_of(object.spec.addresses)),
                                       std::to_string(object.spec.weight), object.spec.drain ? "Draining" : "Ready",
                                       age_text(object.metadata.creation_timestamp)};
        if (wide) cells.push_back(std::to_string(object.metadata.generation));
        table.add(std::move(cells));
    }
    table.print(out);
}

void describe(std::ostream& out, const resources::LoadBalancer& object) {
    describe_metadata(out, object.metadata);
    line(out, "Family policy", policy_text(object.spec.ip_family_policy));
    if (!object.spec.address_pool.empty()) line(out, "Wanted pool", object.spec.address_pool);
    if (!object.spec.addresses.empty()) line(out, "Wanted addresses", joined(texts_of(object.spec.addresses)));
    if (!object.spec.sharing_key.empty()) line(out, "Sharing key", object.spec.sharing_key);
    if (object.spec.idle_timeout_seconds != 0) {
        line(out, "Idle timeout", std::to_string(object.spec.idle_timeout_seconds) + " s");
    }
    for (const auto& ingress : object.status.ingress) {
        line(out, "Address", ingress.ip.to_string() + (ingress.pool.empty() ? "" : " (pool " + ingress.pool + ")"));
    }
    if (object.status.ingress.empty()) line(out, "Address", "none yet");
    out << "Ports:\n";
    Table ports({"  NAME", "PROTOCOL", "PORT", "NODE PORT"});
    for (const auto& port : object.spec.ports) {
        ports.add({"  " + (port.name.empty() ? "-" : port.name), std::string(contract::to_string(port.protocol)),
                   std::to_string(port.port), std::to_string(port.node_port)});
    }
    ports.print(out);
    if (object.status.conditions.empty()) return;
    out << "Conditions:\n";
    Table conditions({"  TYPE", "STATUS", "SINCE", "REASON", "MESSAGE"});
    for (const auto& condition : object.status.conditions) {
        conditions.add({"  " + condition.type, condition.status ? "True" : "False",
                        age_text(condition.last_transition_time), condition.reason, condition.message});
    }
    conditions.print(out);
}

void describe(std::ostream& out, const resources::AddressPool& object) {
    describe_metadata(out, object.metadata);
    for (const std::string& range : object.spec.addresses) line(out, "Addresses", range);
    line(out, "Auto-assign", yes_no(object.spec.auto_assign));
    line(out, "Avoid buggy IPs", yes_no(object.spec.avoid_buggy_ips));
    line(out, "IPv4 used", count_text(object.status.ipv4_allocated, object.status.ipv4_total));
    line(out, "IPv6 used", count_text(object.status.ipv6_allocated, object.status.ipv6_total));
}

void describe(std::ostream& out, const resources::Node& object) {
    describe_metadata(out, object.metadata);
    for (const IpAddress& address : object.spec.addresses) line(out, "Address", address.to_string());
    line(out, "Weight", std::to_string(object.spec.weight));
    line(out, "State", object.spec.drain ? "Draining: no new connections, old ones go on" : "Ready");
}

bool is_forwarding(const resources::SystemStatus& status) {
    return status.dataplane_connected && status.forwarding_generation >= status.desired_generation;
}

void show_status(std::ostream& out, const resources::SystemStatus& status, const std::string& server) {
    line(out, "Server", server);
    line(out, "Version", status.version + ", up for " + duration_text(status.uptime_seconds));
    line(out, "Dataplane", status.dataplane_connected ? "connected" : "NOT CONNECTED");
    const std::string in_force = status.dataplane_connected
                                     ? "generation " + std::to_string(status.forwarding_generation) + " in force, "
                                     : "what is in force is not known, generation ";
    const std::string generations = in_force + std::to_string(status.desired_generation) + " wanted";
    line(out, "Forwarding", (is_forwarding(status) ? "as wanted (" : "NOT AS WANTED (") + generations + ")");
    if (!status.dataplane_error.empty()) line(out, "Last trouble", status.dataplane_error);
    line(out, "Load balancers",
         std::to_string(status.load_balancers) +
             (status.load_balancers_waiting == 0 ? ""
                                                 : " (" + std::to_string(status.load_balancers_waiting) +
                                                       " without what it asked for, see `guideway get lb -o wide`)"));
    line(out, "Address pools", std::to_string(status.address_pools));
    line(out, "Nodes",
         std::to_string(status.nodes) +
             (status.nodes_draining == 0 ? "" : " (" + std::to_string(status.nodes_draining) + " draining)"));
}

void show_explain(std::ostream& out, const contract::ExplainRequest& request, const contract::ExplainAnswer& answer) {
    out << contract::to_string(request.protocol) << ' ' << endpoint(request.source, request.source_port) << " -> "
        << endpoint(request.destination, request.destination_port) << "   (generation " << answer.generation << ")\n";
    for (std::size_t i = 0; i < answer.steps.size(); ++i) out << "  " << i + 1 << ". " << answer.steps[i] << '\n';
    out << "Verdict: " << answer.verdict;
    if (!answer.backend.empty()) {
        out << " to " << answer.backend << " (" << answer.backend_address << " port " << answer.backend_port << ")";
    }
    if (!answer.service.empty()) out << " for " << answer.service;
    out << '\n';
}

void show_rates(std::ostream& out, const contract::Counters& before, const contract::Counters& after, double seconds) {
    using ServiceKey = std::tuple<std::string, IpAddress, contract::Protocol, std::uint16_t>;
    using BackendKey = std::tuple<std::string, IpAddress, std::uint16_t>;
    std::map<ServiceKey, const contract::ServiceCounters*> services;
    std::map<BackendKey, const contract::BackendCounters*> backends;
    std::map<std::pair<std::uint32_t, std::string>, std::uint64_t> drops;
    if (before.started_at_unix_seconds == after.started_at_unix_seconds) {
        for (const auto& one : before.services) services[{one.name, one.vip, one.protocol, one.port}] = &one;
        for (const auto& one : before.backends) backends[{one.backend_set, one.address, one.port}] = &one;
        for (const auto& worker : before.workers) {
            for (const auto& drop : worker.drops) drops[{worker.worker, drop.reason}] = drop.packets;
        }
    }
    std::vector<Row> rows;
    for (const auto& one : after.services) {
        const auto found = services.find({one.name, one.vip, one.protocol, one.port});
        const contract::ServiceCounters none;
        const contract::ServiceCounters& old = found == services.end() ? none : *found->second;
        rows.push_back(
            rate_row({one.name, endpoint(one.vip, one.port) + "/" + std::string(contract::to_string(one.protocol))},
                     old.traffic, one.traffic, rate(old.new_connections, one.new_connections, seconds), seconds));
        rows.back().cells.push_back(si(rate(old.refused_connections, one.refused_connections, seconds)));
    }
    print_busiest(out, {"SERVICE", "VIP", "CONN/S", "IN PKT/S", "IN BIT/S", "OUT PKT/S", "OUT BIT/S", "REFUSED/S"},
                  std::move(rows));
    out << '\n';
    rows.clear();
    for (const auto& one : after.backends) {
        const auto found = backends.find({one.backend_set, one.address, one.port});
        const contract::BackendCounters none;
        const contract::BackendCounters& old = found == backends.end() ? none : *found->second;
        rows.push_back(rate_row({one.name, endpoint(one.address, one.port)}, old.traffic, one.traffic,
                                rate(old.new_connections, one.new_connections, seconds), seconds));
    }
    print_busiest(out, {"BACKEND", "ADDRESS", "CONN/S", "IN PKT/S", "IN BIT/S", "OUT PKT/S", "OUT BIT/S"},
                  std::move(rows));
    std::map<std::string, double> by_reason;
    std::uint64_t flows = 0, capacity = 0;
    for (const auto& worker : after.workers) {
        flows += worker.flows_ipv4 + worker.flows_ipv6;
        capacity += worker.flow_capacity_ipv4 + worker.flow_capacity_ipv6;
        for (const auto& drop : worker.drops) {
            const auto old = drops.find({worker.worker, drop.reason});
            by_reason[drop.reason] += rate(old == drops.end() ? 0 : old->second, drop.packets, seconds);
        }
    }
    out << "\nConnections: " << flows << " of " << capacity << '\n';
    for (const auto& [reason, packets] : by_reason) {
        if (packets > 0) out << "Dropped: " << reason << ' ' << si(packets) << " packets/s\n";
    }
}

void show_problem(std::ostream& err, const resources::Problem& problem) {
    err << "guideway: " << (problem.detail.empty() ? problem.reason : problem.detail) << '\n';
    if (problem.faults.size() == 1 && problem.detail.find(problem.faults[0].message) != std::string::npos) return;
    for (const contract::Fault& fault : problem.faults) {
        err << "  " << (fault.field.empty() ? "" : fault.field + ": ") << fault.message << '\n';
    }
}

}  // namespace guideway::cli
