// apply: a ForwardingState of 10k services x 1k nodes, and one node's change in it, put in force while a worker forwards.
//
// The main thread polls on its core; another thread, on another core where there is one, decodes, builds and publishes, as the control
// thread does. No packet may be lost meanwhile.
#include <algorithm>
#include <atomic>
#include <pthread.h>
#include <string>
#include <thread>
#include <vector>

#include "api/contract/forwarding_state_codec.h"
#include "tests/bench/flow/appliance.h"
#include "tests/bench/flow/cases.h"
#include "tests/bench/flow/cores.h"
#include "tests/bench/flow/large_array.h"
#include "tests/bench/flow/timing.h"
#include "tests/bench/flow/traffic.h"

namespace guideway::bench {
namespace {

struct Size {
    std::uint32_t services, nodes;
};

/// The plan's own services go on; the others, on VIPs 203.0.113.100 and up, share one set of all nodes.
contract::ForwardingState large_state(Size size, int ip) {
    contract::ForwardingState state = forwarding_state();
    contract::BackendSet set;
    set.name = "all-nodes";
    set.family = ip == 4 ? IpFamily::ipv4 : IpFamily::ipv6;
    for (std::uint32_t i = 0; i < size.nodes; ++i) {
        set.backends.push_back({"big-node-" + std::to_string(i), address(ip, kNodePrefix, low(0x0a010001U + i)), 0, 1});
    }
    state.backend_sets.push_back(std::move(set));
    for (std::uint32_t i = 0; i < size.services; ++i) {
        contract::Service service;
        service.name = "bench/service-" + std::to_string(i);
        service.vip = address(ip, kVipPrefix, low(0xcb007164U + i / 100));
        service.protocol = contract::Protocol::tcp;
        service.port = static_cast<std::uint16_t>(1000 + i % 100);
        service.backend_set = "all-nodes";
        service.backend_port = static_cast<std::uint16_t>(30000 + i % 2768);
        state.services.push_back(std::move(service));
    }
    return state;
}

struct Times {
    double decode_ms = 0, build_ms = 0, publish_ms = 0;
};

/// What the control thread does with a state that arrived as JSON.
Times put_in_force(Appliance& appliance, const std::string& text) {
    Times times;
    contract::Decoded<contract::ForwardingState> decoded;
    times.decode_ms = ns_of([&] { decoded = contract::decode_forwarding_state(text); }) / 1e6;
    if (!decoded.ok())
        fail("the state is refused: " + decoded.faults.front().field + ": " + decoded.faults.front().message);
    snapshot::BuildResult built;
    times.build_ms = ns_of([&] { built = appliance.build(*decoded.value); }) / 1e6;
    if (!built) fail("the state is refused: " + built.faults.front().field + ": " + built.faults.front().message);
    times.publish_ms = ns_of([&] { appliance.publish(std::move(built.snapshot)); }) / 1e6;
    return times;
}

void measure(const Options& options, Report& report, int ip, Size size, std::uint32_t flows) {
    Appliance appliance({.capacity_v4 = ip == 4 ? capacity_for(flows) : kLeastCapacity,
                         .capacity_v6 = ip == 6 ? capacity_for(flows) : kLeastCapacity,
                         .services = size.services + 64,
                         .backends = size.nodes + 256});
    appliance.go_online();
    const Wire& wire = wire_of(ip, 6);
    LargeArray<Connection> connections(flows);
    if (establish(appliance, wire, 6, connections) != flows) fail("cannot open the connections");
    const LargeArray<Record> records = shuffled(connections.span());
    const RandomTraffic traffic{records.span(), 0, options.offloads, options.split};
    const auto clients = wire.random_source(kClientPort, traffic);
    const auto nodes = wire.random_source(kNodePort, traffic);

    contract::ForwardingState state = large_state(size, ip);
    const std::string whole = contract::encode(state);
    std::vector<Times> whole_times, node_times;
    std::atomic<bool> done{false};
    std::thread control([&] {
        leave_core(options.core);
        for (unsigned turn = 0; turn < std::min(options.turns(), 3U); ++turn) {
            whole_times.push_back(put_in_force(appliance, whole));
            // One node drains and comes back, is taken out and comes back.
            auto& nodes_of_set = state.backend_sets.back().backends;
            for (const bool take_out : {false, true}) {
                const contract::Backend kept = nodes_of_set.back();
                if (take_out) {
                    nodes_of_set.pop_back();
                } else {
                    nodes_of_set.back().weight = 0;
                }
                ++state.generation;
                node_times.push_back(put_in_force(appliance, contract::encode(state)));
                if (take_out) {
                    nodes_of_set.push_back(kept);
                } else {
                    nodes_of_set.back() = kept;
                }
                ++state.generation;
                node_times.push_back(put_in_force(appliance, contract::encode(state)));
            }
            // Back to what the plan has, so that the whole state is new again.
            contract::ForwardingState small = forwarding_state();
            small.generation = ++state.generation;
            put_in_force(appliance, contract::encode(small));
        }
        done.store(true);
    });

    const auto before = appliance.ledger();
    const auto drops = appliance.drops();
    Timing timing;
    {
        const Plugged plugged(0, clients.get(), nodes.get(), nullptr);
        std::vector<double> ns;
        while (!done.load())
            ns.push_back(timed_once(0.02, [&] { return appliance.worker().poll_once(clock_ms()); }).ns);
        timing.ns = spread_of(ns).median;
    }
    control.join();
    const auto after = appliance.ledger();
    const double lost =
        static_cast<double>(after.received - before.received) - static_cast<double>(after.sent - before.sent);
    if (lost != 0) fail("packets were lost while states changed: " + appliance.drops_since(drops));
    check_packets(appliance, wire, traffic);
    appliance.go_offline();

    const auto add = [&](const char* change, const std::vector<Times>& times) {
        std::vector<double> in_force, decode, build, publish;
        for (const Times& time : times) {
            in_force.push_back(time.build_ms + time.publish_ms);
            decode.push_back(time.decode_ms);
            build.push_back(time.build_ms);
            publish.push_back(time.publish_ms);
        }
        Row row("apply");
        row.set("ip", ip).set("services", size.services).set("nodes", size.nodes).set("change", change);
        row.set("flows", flows).set("workers", 1).set("apply_ms", spread_of(in_force));
        row.set("build_ms", spread_of(build).median).set("publish_ms", spread_of(publish).median);
        row.set("decode_ms", spread_of(decode).median).set("json_bytes", static_cast<double>(whole.size()));
        row.set("lost", lost).set("packets", static_cast<double>(after.received - before.received));
        row.set("ns_per_packet", timing.ns);
        report.add(std::move(row));
    };
    add("whole state", whole_times);
    add("one node", node_times);
}

}  // namespace

void run_apply(const Options& options, Report& report) {
    const std::uint32_t flows = options.flows.empty() ? 100'000 : options.flows.front();
    const Size size = options.quick ? Size{1000, 100} : Size{10'000, 1000};
    measure(options, report, options.ip.front(), size, flows);
}

}  // namespace guideway::bench
