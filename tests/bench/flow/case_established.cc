// established: packets of known connections, each and its direction at random, beside the floors in the same turns.
#include <algorithm>
#include <vector>

#include <rte_cycles.h>

#include "tests/bench/flow/appliance.h"
#include "tests/bench/flow/cases.h"
#include "tests/bench/flow/floors.h"
#include "tests/bench/flow/traffic.h"

namespace guideway::bench {
namespace {

double worker_turn(worker::Worker& worker, double seconds) {
    const std::uint64_t started = rte_rdtsc();
    const std::uint64_t until = started + static_cast<std::uint64_t>(seconds * 1e9 / ns_per_cycle());
    std::uint64_t packets = 0, now = started;
    while (now < until) {
        for (unsigned i = 0; i < 16; ++i) packets += worker.poll_once(clock_ms());
        now = rte_rdtsc();
    }
    return ns_between(started, now) / static_cast<double>(packets);
}

void measure(const Options& options, Report& report, int ip, int protocol, std::uint32_t flows) {
    const Wire& wire = wire_of(ip, protocol);
    std::vector<Connection> connections(flows);
    const std::span<const Connection> known(connections);
    for (const unsigned burst : options.bursts) {
        if (!burst_possible(burst)) continue;
        Appliance appliance({.capacity_v4 = ip == 4 ? capacity_for(flows) : kLeastCapacity,
                             .capacity_v6 = ip == 6 ? capacity_for(flows) : kLeastCapacity,
                             .burst = burst});
        appliance.go_online();
        const auto drops = appliance.drops();
        const std::uint64_t fill_started = rte_rdtsc();
        if (establish(appliance, wire, protocol, connections) != flows) {
            fail("not all connections could be opened; dropped: " + appliance.drops_since(drops));
        }
        const double fill_ns = ns_between(fill_started, rte_rdtsc()) / flows;

        const RandomTraffic traffic{known, {}, 0, options.offloads, options.split};
        check_packets(appliance, wire, traffic);
        const auto clients = wire.random_source(kClientPort, traffic);
        const auto nodes = wire.random_source(kNodePort, traffic);
        const auto before = appliance.ledger();
        std::vector<double> worker, generator, swap, one, two;
        {
            const Plugged plugged(0, clients.get(), nodes.get(), nullptr);
            worker_turn(appliance.worker(), options.turn_seconds() / 2);  // warms up
            for (unsigned turn = 0; turn < options.turns(); ++turn) {
                worker.push_back(worker_turn(appliance.worker(), options.turn_seconds()));
                generator.push_back(generator_floor(0, burst, options.floor_seconds()));
                swap.push_back(swap_floor(wire, 0, burst, options.floor_seconds()));
                const auto memory = appliance.table_memory(ip);
                one.push_back(miss_floor(memory, 1, burst, options.floor_seconds() / 2));
                two.push_back(miss_floor(memory, 2, burst, options.floor_seconds() / 2));
            }
        }
        const auto after = appliance.ledger();
        if (after.dropped != before.dropped || after.received - before.received != after.sent - before.sent) {
            fail("packets were lost while measuring: " + appliance.drops_since(drops));
        }
        const std::uint64_t checked = check_packets(appliance, wire, traffic);
        appliance.go_offline();

        const Spread ns = spread_of(worker);
        const double floor = spread_of(generator).median, swapped = spread_of(swap).median;
        Row row("established");
        row.set("ip", ip).set("proto", protocol == 6 ? "tcp" : "udp").set("flows", flows).set("burst", burst);
        row.set("workers", 1).set("ns_per_packet", ns).set("generator_ns", floor).set("swap_ns", swapped);
        row.set("miss_ns", spread_of(one).median).set("miss2_ns", spread_of(two).median);
        row.set("above_generator_ns", ns.median - floor).set("ratio_to_swap", ns.median / swapped);
        row.set("mpps", 1000 / ns.median).set("fill_ns", fill_ns).set("checked", static_cast<double>(checked));
        report.add(std::move(row));
    }
}

}  // namespace

void run_established(const Options& options, Report& report) {
    std::vector<std::uint32_t> sizes = options.flows;
    if (sizes.empty()) {
        sizes = options.quick ? std::vector<std::uint32_t>{1, 10'000, 100'000}
                              : std::vector<std::uint32_t>{1, 10'000, 100'000, 1'000'000, 10'000'000};
    }
    for (const std::uint32_t flows : sizes) {
        for (const int ip : options.ip) {
            for (const int protocol : options.protocols) measure(options, report, ip, protocol, flows);
        }
    }
}

}  // namespace guideway::bench
