#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <ostream>
#include <tuple>
#include <utility>

#include "api/cli/show.h"
#include "api/cli/table.h"
#include "api/cli/text.h"

namespace guideway::cli {

namespace {

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

}  // namespace guideway::cli
