// established: packets of known connections, each and its direction at random, beside the floors in the same turns.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/flow/appliance.h"
#include "tests/bench/flow/cases.h"
#include "tests/bench/flow/floors.h"
#include "tests/bench/flow/large_array.h"
#include "tests/bench/flow/timing.h"
#include "tests/bench/flow/traffic.h"

namespace guideway::bench {
namespace {

double bytes_per_flow(int ip) {
    constexpr std::uint32_t kCapacity = 1'000'000;
    LargeArray<Connection> connections(kCapacity);
    std::ranges::fill(connections.span(), Connection{});  // its pages are there before, and not the tables'
    const std::size_t before = resident_bytes();
    Appliance appliance(
        {.capacity_v4 = ip == 4 ? kCapacity : kLeastCapacity, .capacity_v6 = ip == 6 ? kCapacity : kLeastCapacity});
    appliance.go_online();
    const std::size_t opened = establish(appliance, wire_of(ip, 6), 6, connections);
    const std::size_t grown = resident_bytes() - before;
    appliance.go_offline();
    if (opened < kCapacity / 100 * 98) {
        progress("only " + std::to_string(opened) + " of " + std::to_string(kCapacity) + " connections fit");
    }
    return static_cast<double>(grown) / static_cast<double>(opened);
}

void measure(const Options& options, Report& report, int ip, int protocol, std::uint32_t flows, double memory) {
    const Wire& wire = wire_of(ip, protocol);
    LargeArray<Connection> connections(flows);
    for (const unsigned burst : options.bursts) {
        if (!burst_possible(burst)) continue;
        Appliance appliance({.capacity_v4 = ip == 4 ? capacity_for(flows) : kLeastCapacity,
                             .capacity_v6 = ip == 6 ? capacity_for(flows) : kLeastCapacity,
                             .burst = burst,
                             .stages = options.stages});
        appliance.go_online();
        const auto drops = appliance.drops();
        const std::uint64_t fill_started = rte_rdtsc();
        if (establish(appliance, wire, protocol, connections) != flows) {
            fail("not all connections could be opened; dropped: " + appliance.drops_since(drops));
        }
        const double fill_ns = ns_between(fill_started, rte_rdtsc()) / flows;

        const LargeArray<Record> records = shuffled(connections.span());
        const RandomTraffic traffic{records.span(), 0, options.offloads, options.split};
        check_packets(appliance, wire, traffic);
        const auto clients = wire.random_source(kClientPort, traffic);
        const auto nodes = wire.random_source(kNodePort, traffic);
        const auto before = appliance.ledger();
        std::vector<double> worker, generator, swap, one, two;
        double share = 1;
        observe::StageCycles stages, turns_stages;
        double stage_packets = 0;
        {
            const Plugged plugged(0, clients.get(), nodes.get(), nullptr);
            const auto poll = [&] { return appliance.worker().poll_once(clock_ms()); };
            timed(options.turn_seconds() / 2, poll);  // warms up
            stages = appliance.stages();
            for (unsigned turn = 0; turn < options.turns(); ++turn) {
                const auto received = appliance.ledger().received;
                stages = appliance.stages();
                const Timing timing = timed(options.turn_seconds(), poll);
                for (std::size_t at = 0; at < stages.spent.size(); ++at) {
                    turns_stages.spent[at] += appliance.stages().spent[at] - stages.spent[at];
                }
                stage_packets += static_cast<double>(appliance.ledger().received - received);
                worker.push_back(timing.ns);
                share = std::min(share, timing.share);
                generator.push_back(generator_floor(0, burst, options.floor_seconds()));
                swap.push_back(swap_floor(wire, 0, burst, options.floor_seconds()));
                const auto table = appliance.table_memory(ip);
                one.push_back(miss_floor(table, 1, burst, options.floor_seconds() / 2));
                two.push_back(miss_floor(table, 2, burst, options.floor_seconds() / 2));
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
        if (share < kQuiet) row.set("core_share", share);
        if (options.stages) {
            for (std::size_t at = 0; at < stages.spent.size(); ++at) {
                const auto cycles = static_cast<double>(turns_stages.spent[at]);
                row.set(std::string(observe::kStageNames[at]) + "_ns", cycles * ns_per_cycle() / stage_packets);
            }
        }
        if (memory > 0) row.set("bytes_per_flow", memory);
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
            const double memory = flows == 1'000'000 ? bytes_per_flow(ip) : 0;
            for (const int protocol : options.protocols) measure(options, report, ip, protocol, flows, memory);
        }
    }
}

}  // namespace guideway::bench
