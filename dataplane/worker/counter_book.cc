#include "dataplane/worker/counter_book.h"

#include <string>
#include <utility>

#include "dataplane/observe/drop_reason.h"
#include "dataplane/packet/icmp_error.h"

namespace guideway::worker {

using observe::CounterBlock;

CounterBook::CounterBook(std::vector<const CounterBlock*> workers) : workers_(std::move(workers)) {
    if (workers_.empty()) return;
    services_.resize(workers_.front()->services().size());
    backends_.resize(workers_.front()->backends().size());
}

CounterBook::Sum& CounterBook::Sum::operator-=(const Sum& base) {
    traffic.rx_packets -= base.traffic.rx_packets;
    traffic.rx_bytes -= base.traffic.rx_bytes;
    traffic.tx_packets -= base.traffic.tx_packets;
    traffic.tx_bytes -= base.traffic.tx_bytes;
    new_connections -= base.new_connections;
    refused_connections -= base.refused_connections;
    source_not_allowed -= base.source_not_allowed;
    limited -= base.limited;
    return *this;
}

CounterBook::Sum CounterBook::sum(Lines lines, std::size_t slot) const {
    Sum total;
    for (const CounterBlock* worker : workers_) {
        const observe::SlotCounters& line = (worker->*lines)()[slot];
        total.traffic.rx_packets += line.traffic[0].packets.read();
        total.traffic.rx_bytes += line.traffic[0].bytes.read();
        total.traffic.tx_packets += line.traffic[1].packets.read();
        total.traffic.tx_bytes += line.traffic[1].bytes.read();
        total.new_connections += line.new_connections.read();
        total.refused_connections += line.refused_connections.read();
        total.source_not_allowed += line.source_not_allowed.read();
        total.limited += line.limited.read();
    }
    return total;
}

void CounterBook::begin_where_new(std::vector<SlotUser>& users, std::size_t slot, std::uint8_t incarnation,
                                  Lines lines) {
    SlotUser& user = users[slot];
    if (user.used && user.incarnation == incarnation) return;
    user = {true, incarnation, sum(lines, slot)};
}

void CounterBook::before_publish(const snapshot::ForwardingSnapshot& next) {
    for (const snapshot::ServiceLabel& service : next.service_labels) {
        begin_where_new(services_, service.slot, next.service_incarnation[service.slot], &CounterBlock::services);
    }
    for (const snapshot::BackendLabel& backend : next.backend_labels) {
        begin_where_new(backends_, backend.slot, next.backend_incarnation[backend.slot], &CounterBlock::backends);
    }
}

contract::Traffic CounterBook::vlan_traffic(std::size_t port) const {
    contract::Traffic total;
    for (const CounterBlock* worker : workers_) {
        const observe::VlanTraffic& one = worker->vlan(port);
        total.rx_packets += one.received.packets.read();
        total.rx_bytes += one.received.bytes.read();
        total.tx_packets += one.sent.packets.read();
        total.tx_bytes += one.sent.bytes.read();
    }
    return total;
}

contract::Counters CounterBook::collect(const snapshot::ForwardingSnapshot& in_force) const {
    contract::Counters counters;
    counters.generation = in_force.generation;
    const auto entries = in_force.services.services();
    for (std::size_t i = 0; i < entries.size(); ++i) {
        Sum total = sum(&CounterBlock::services, entries[i].slot);
        total -= services_[entries[i].slot].base;
        counters.services.push_back({in_force.service_labels[i].name, entries[i].vip,
                                     static_cast<contract::Protocol>(entries[i].protocol),
                                     __builtin_bswap16(entries[i].port_be), total.traffic, total.new_connections,
                                     total.refused_connections, total.source_not_allowed, total.limited});
    }
    for (const snapshot::BackendLabel& backend : in_force.backend_labels) {
        Sum total = sum(&CounterBlock::backends, backend.slot);
        total -= backends_[backend.slot].base;
        counters.backends.push_back({backend.backend_set, backend.name, backend.address, backend.port, total.traffic,
                                     total.new_connections, total.refused_connections});
    }
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        const observe::WorkerTotals& totals = workers_[i]->totals();
        contract::WorkerCounters worker;
        worker.worker = static_cast<std::uint32_t>(i);
        worker.rx_packets = totals.rx_packets.read();
        worker.tx_packets = totals.tx_packets.read();
        worker.handed_over = totals.handed_over.read();
        worker.rss_agreed = totals.rss_agreed.read();
        worker.rss_disagreed = totals.rss_disagreed.read();
        worker.polls = totals.polls.read();
        worker.empty_polls = totals.empty_polls.read();
        worker.flows_ipv4 = totals.flows_ipv4.read();
        worker.flows_ipv6 = totals.flows_ipv6.read();
        worker.flow_capacity_ipv4 = totals.flow_capacity_ipv4.read();
        worker.flow_capacity_ipv6 = totals.flow_capacity_ipv6.read();
        worker.flows_free_ipv4 = totals.flows_free_ipv4.read();
        worker.flows_free_ipv6 = totals.flows_free_ipv6.read();
        worker.flows_opening = totals.flows_opening.read();
        worker.flows_one_way = totals.flows_one_way.read();
        worker.flows_closed = totals.flows_closed.read();
        worker.evicted_opening = totals.evicted_opening.read();
        worker.evicted_one_way = totals.evicted_one_way.read();
        worker.evicted_closed = totals.evicted_closed.read();
        worker.doubtful_ends = totals.doubtful_ends.read();
        worker.ended_backend_closed = totals.ended_closed.read();
        worker.ended_source_ranges = totals.ended_ranges.read();
        worker.udp_redecided = totals.udp_redecided.read();
        const auto forwarded = [&](packet::IcmpErrorKind kind) {
            return totals.icmp_forwarded[static_cast<std::size_t>(kind)].read();
        };
        worker.icmp_forwarded_unreachable = forwarded(packet::IcmpErrorKind::unreachable);
        worker.icmp_forwarded_too_big = forwarded(packet::IcmpErrorKind::packet_too_big);
        worker.icmp_forwarded_time_exceeded = forwarded(packet::IcmpErrorKind::time_exceeded);
        worker.icmp_forwarded_parameter_problem = forwarded(packet::IcmpErrorKind::parameter_problem);
        worker.icmp_made_unreachable = totals.icmp_made_unreachable.read();
        worker.icmp_made_too_big = totals.icmp_made_too_big.read();
        worker.icmp_made_time_exceeded = totals.icmp_made_time_exceeded.read();
        worker.mss_clamped = totals.mss_clamped.read();
        worker.fragment_datagrams = totals.fragment_datagrams.read();
        worker.fragment_capacity = totals.fragment_capacity.read();
        worker.fragment_datagrams_forgotten = totals.fragments_displaced.read();
        worker.fragment_held_bytes = totals.fragment_held_bytes.read();
        worker.fragments_forwarded = totals.fragments_forwarded.read();
        worker.packets_cut = totals.packets_cut.read();
        worker.packet_parts_made = totals.parts_made.read();
        worker.affinity_clients = totals.affinity_clients.read();
        worker.affinity_capacity = totals.affinity_capacity.read();
        worker.affinity_remembered = totals.affinity_remembered.read();
        worker.affinity_moved = totals.affinity_moved.read();
        worker.affinity_timed_out = totals.affinity_timed_out.read();
        worker.affinity_displaced = totals.affinity_displaced.read();
        for (std::size_t reason = 0; reason < observe::kDropReasonCount; ++reason) {
            worker.drops.push_back({std::string(observe::kDropReasonNames[reason]),
                                    workers_[i]->dropped(static_cast<observe::DropReason>(reason))});
        }
        counters.workers.push_back(std::move(worker));
    }
    return counters;
}

}  // namespace guideway::worker
