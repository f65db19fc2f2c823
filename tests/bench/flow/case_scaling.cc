// scaling: one worker and two, each on its core with its own queues, generator and table, in one process.
#include <algorithm>
#include <array>
#include <atomic>
#include <vector>

#include <rte_launch.h>
#include <rte_lcore.h>

#include "tests/bench/flow/appliance.h"
#include "tests/bench/flow/cases.h"
#include "tests/bench/flow/cores.h"
#include "tests/bench/flow/large_array.h"
#include "tests/bench/flow/timing.h"
#include "tests/bench/flow/traffic.h"

namespace guideway::bench {
namespace {

constexpr std::uint32_t kWorkers = 2;

/// Connections of one worker: those that it owns, whichever they are.
struct Owned {
    std::vector<Connection> connections;
    std::vector<std::uint32_t> indices;
};

/// Every SYN goes to worker 0; whoever sends it on owns it, and sees the rest of the handshake.
void establish_spread(Appliance& appliance, const Wire& wire, std::uint32_t flows, std::array<Owned, kWorkers>& owned) {
    constexpr std::uint32_t kAtOnce = 512;
    std::uint32_t next = 0;
    const auto missing = [&] {
        return std::ranges::any_of(owned, [&](const Owned& part) { return part.indices.size() < flows; });
    };
    std::array<std::array<std::unique_ptr<ScriptSource>, kPorts>, kWorkers> scripts;
    std::array<std::unique_ptr<ReadSink>, kWorkers> sinks;
    std::array<std::unique_ptr<Plugged>, kWorkers> plugged;
    for (std::uint32_t w = 0; w < kWorkers; ++w) {
        const auto queue = static_cast<std::uint16_t>(w);
        for (const Port port : {kClientPort, kNodePort}) {
            scripts[w][port] = std::make_unique<ScriptSource>(wire, port, queue);
        }
        sinks[w] = std::make_unique<ReadSink>(wire, [&, w](Port port, const Seen* seen, std::uint16_t count) {
            for (unsigned k = 0; port == kNodePort && k < count; ++k) {
                if (seen[k].flags != flag::kSyn) continue;
                owned[w].connections.push_back(seen[k].connection());
                owned[w].indices.push_back(seen[k].mark);
            }
        });
        plugged[w] = std::make_unique<Plugged>(queue, scripts[w][kClientPort].get(), scripts[w][kNodePort].get(),
                                               sinks[w].get());
    }
    const auto deliver = [&] {
        for (;;) {
            std::uint32_t packets = 0;
            for (std::uint32_t w = 0; w < kWorkers; ++w) packets += appliance.worker(w).poll_once(clock_ms());
            if (packets == 0) return;
        }
    };
    while (missing()) {
        std::array<std::size_t, kWorkers> from{};
        for (std::uint32_t w = 0; w < kWorkers; ++w) from[w] = owned[w].indices.size();
        const std::uint32_t until = next + kAtOnce;
        for (; next < until; ++next) {
            scripts[0][kClientPort]->add({client_low(next), next, client_port_be(next), {}, kRequest, flag::kSyn});
        }
        deliver();
        if (from[0] == owned[0].indices.size() && from[1] == owned[1].indices.size()) fail("no connection opens");
        for (const Direction direction : {kReply, kRequest}) {
            for (std::uint32_t w = 0; w < kWorkers; ++w) {
                for (std::size_t at = from[w]; at < owned[w].indices.size(); ++at) {
                    const std::uint32_t index = owned[w].indices[at];
                    const auto flags =
                        static_cast<std::uint8_t>(direction == kReply ? flag::kSyn | flag::kAck : flag::kAck);
                    scripts[w][direction == kReply ? kNodePort : kClientPort]->add(
                        {client_low(index), index, client_port_be(index), owned[w].connections[at], direction, flags});
                }
            }
            deliver();
        }
    }
    for (Owned& part : owned) {
        part.connections.resize(flows);
        part.indices.resize(flows);
    }
}

/// Both workers side by side for the time, or one of them.
struct Run {
    Appliance* appliance;
    double seconds;
    std::atomic<unsigned> waiting;
    std::array<Timing, kWorkers> timing;

    void turn(std::uint32_t worker) {
        waiting.fetch_sub(1);
        while (waiting.load() != 0) {
        }
        timing[worker] = timed_once(seconds, [&] { return appliance->worker(worker).poll_once(clock_ms()); });
    }
};

int second_worker(void* run) {
    static_cast<Run*>(run)->turn(1);
    return 0;
}

void measure(const Options& options, Report& report, int ip, int protocol, std::uint32_t flows, unsigned burst) {
    const Wire& wire = wire_of(ip, protocol);
    const unsigned other = rte_get_next_lcore(static_cast<unsigned>(-1), 1, 0);
    // Owners are drawn by a hash: some more than the wanted number open until each has enough.
    const std::uint32_t capacity = capacity_for(flows) + 4096;
    Appliance appliance({.capacity_v4 = ip == 4 ? capacity : kLeastCapacity,
                         .capacity_v6 = ip == 6 ? capacity : kLeastCapacity,
                         .burst = burst,
                         .workers = kWorkers});
    std::array<Owned, kWorkers> owned;
    for (std::uint32_t w = 0; w < kWorkers; ++w) appliance.go_online(w);
    establish_spread(appliance, wire, flows, owned);
    std::array<LargeArray<Record>, kWorkers> records;
    std::array<std::array<std::unique_ptr<RandomSource>, kPorts>, kWorkers> sources;
    std::array<RandomTraffic, kWorkers> traffic;
    for (std::uint16_t w = 0; w < kWorkers; ++w) {
        records[w] = shuffled(owned[w].connections, owned[w].indices);
        traffic[w] = {records[w].span(), w, options.offloads, options.split};
        check_packets(appliance, wire, traffic[w]);
        for (const Port port : {kClientPort, kNodePort}) sources[w][port] = wire.random_source(port, traffic[w]);
    }
    std::vector<double> alone, both, ratios;
    double share = 1;
    std::array<std::uint64_t, kWorkers> handed{};
    for (std::uint32_t w = 0; w < kWorkers; ++w) handed[w] = appliance.ledger(w).handed_over;
    {
        const Plugged first(0, sources[0][kClientPort].get(), sources[0][kNodePort].get(), nullptr);
        const Plugged second(1, sources[1][kClientPort].get(), sources[1][kNodePort].get(), nullptr);
        // Others may have one of the cores now and then: such turns are repeated, up to a limit.
        for (unsigned turn = 0, disturbed = 0; turn <= options.turns(); ++turn) {
            Run run{&appliance, options.turn_seconds(), 1, {}};
            run.turn(0);
            const double first_alone = run.timing[0].ns;
            run.waiting = 1;
            rte_eal_remote_launch(second_worker, &run, other);
            rte_eal_wait_lcore(other);
            const double second_alone = run.timing[1].ns;
            run.waiting = 2;
            rte_eal_remote_launch(second_worker, &run, other);
            run.turn(0);
            rte_eal_wait_lcore(other);
            if (turn == 0) continue;  // warm-up
            if (std::min(run.timing[0].share, run.timing[1].share) < kQuiet && disturbed < 2 * options.turns()) {
                ++disturbed;
                --turn;
                continue;
            }
            const double one = (1 / first_alone + 1 / second_alone) / 2;
            const double two = 1 / run.timing[0].ns + 1 / run.timing[1].ns;
            alone.push_back(1 / one);
            both.push_back(2 / two);
            ratios.push_back(two / one);
            share = std::min({share, run.timing[0].share, run.timing[1].share});
        }
    }
    for (std::uint32_t w = 0; w < kWorkers; ++w) {
        const auto ledger = appliance.ledger(w);
        if (ledger.handed_over != handed[w]) progress("packets came to the wrong worker and were handed over");
        check_packets(appliance, wire, traffic[w]);
    }
    for (std::uint32_t w = 0; w < kWorkers; ++w) appliance.go_offline(w);

    const char* name = protocol == 6 ? "tcp" : "udp";
    const auto add = [&](unsigned workers, const std::vector<double>& ns) {
        Row row("scaling");
        row.set("ip", ip).set("proto", name).set("flows", flows).set("burst", burst).set("workers", workers);
        row.set("ns_per_packet", spread_of(ns)).set("mpps", workers * 1000 / spread_of(ns).median);
        if (workers == 2) row.set("ratio", spread_of(ratios).median).set("ratio_low", spread_of(ratios).low);
        if (share < kQuiet) row.set("core_share", share);
        report.add(std::move(row));
    };
    add(1, alone);
    add(2, both);
}

}  // namespace

void run_scaling(const Options& options, Report& report) {
    if (rte_lcore_count() < 2) {
        progress("scaling left out: only one core");
        return;
    }
    std::vector<std::uint32_t> sizes = options.flows;
    if (sizes.empty())
        sizes = options.quick ? std::vector<std::uint32_t>{100'000} : std::vector<std::uint32_t>{100'000, 1'000'000};
    for (const std::uint32_t flows : sizes) {
        measure(options, report, options.ip.front(), options.protocols.front(), flows, 32);
    }
}

}  // namespace guideway::bench
