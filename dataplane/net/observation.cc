#include "dataplane/net/observation.h"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "dataplane/observe/drop_reason.h"

namespace guideway::net {
namespace {

using observe::DropReason;
using observe::to_string;

}  // namespace

contract::Counters all_counters(contract::Counters of_workers, const Ports& ports, const KernelPath& kernel_path,
                                const Steering& steering,
                                const std::function<contract::Traffic(std::size_t)>& vlan_traffic) {
    contract::Counters counters = std::move(of_workers);
    counters.ports = ports.counters();
    for (std::size_t i = 0; i < counters.ports.size(); ++i) {
        if (ports.all()[i].tags.id == 0) continue;
        const contract::Traffic traffic = vlan_traffic(i);
        counters.ports[i].rx_packets = traffic.rx_packets;
        counters.ports[i].rx_bytes = traffic.rx_bytes;
        counters.ports[i].tx_packets = traffic.tx_packets;
        counters.ports[i].tx_bytes = traffic.tx_bytes;
    }
    counters.steering = steering.ways;
    std::uint64_t refused = 0;
    std::uint64_t full = 0;
    const auto paths = kernel_path.counts();
    for (std::size_t port = 0; port < std::min(paths.size(), counters.ports.size()); ++port) {
        counters.ports[port].kernel_rx_packets = paths[port].to_kernel;
        counters.ports[port].kernel_tx_packets = paths[port].from_kernel;
        refused += paths[port].refused;
        full += paths[port].full;
    }
    if (counters.workers.empty()) return counters;
    for (auto& drop : counters.workers.front().drops) {
        if (drop.reason == to_string(DropReason::kernel_path_refused)) drop.packets += refused;
        if (drop.reason == to_string(DropReason::kernel_path_full)) drop.packets += full;
    }
    return counters;
}

OffloadWatch::OffloadWatch(const Ports& ports) {
    for (const Port& port : ports.all()) {
        if (port.software) names_ += (names_.empty() ? "" : ", ") + port.name;
    }
}

void OffloadWatch::look(const contract::Counters& counters) {
    std::uint64_t now = 0;
    for (const auto& worker : counters.workers) {
        for (const auto& drop : worker.drops) {
            if (drop.reason == to_string(DropReason::ip_truncated)) now += drop.packets;
        }
    }
    if (now > seen_ && !names_.empty() && !warned_) {
        spdlog::warn(
            "{} frames shorter than their IP header says: does a peer of {} send super-packets? On the peer: ethtool "
            "-K PEER "
            "tx off sg off tso off gso off gro off",
            now - seen_, names_);
    }
    warned_ = now > seen_;
    seen_ = now;
}

void SteeringWatch::look(const contract::Counters& counters, const Ports& ports, std::optional<std::size_t> port) {
    std::uint64_t agreed = 0;
    std::uint64_t disagreed = 0;
    for (const auto& worker : counters.workers) {
        agreed += worker.rss_agreed;
        disagreed += worker.rss_disagreed;
    }
    const auto percent = agreement_.look(agreed, disagreed);
    if (!percent) return;
    spdlog::warn(
        "port '{}': its RSS hash differs from what its key gives, for {} % of the new connections: packets arrive at "
        "other "
        "workers and are handed over by ring, which is right but slower",
        port && *port < ports.all().size() ? ports.all()[*port].name : "?", *percent);
}

}  // namespace guideway::net
