// What the dataplane counts, as metrics.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "api/resources/metadata.h"
#include "controlplane/metric_families.h"

namespace guideway::controlplane {
namespace {

/// "namespace/name", or "cluster/namespace/name".
Labels labels_of(const contract::ServiceCounters& service) {
    const std::size_t last = service.name.rfind('/');
    const std::string front = last == std::string::npos ? "" : service.name.substr(0, last);
    const std::size_t first = front.find('/');
    return {{"cluster", first == std::string::npos ? resources::kDefaultCluster : front.substr(0, first)},
            {"namespace", first == std::string::npos ? front : front.substr(first + 1)},
            {"service", last == std::string::npos ? service.name : service.name.substr(last + 1)},
            {"vip", service.vip.to_string()},
            {"protocol", std::string(contract::to_string(service.protocol))},
            {"port", std::to_string(service.port)}};
}

struct TrafficFamilies {
    explicit TrafficFamilies(const std::string& of, const std::string& what)
        : packets(MetricType::Counter, "guideway_" + of + "_packets_total",
                  "Packets " + what + ", by direction as the client sees it: rx from the client, tx to it."),
          bytes(MetricType::Counter, "guideway_" + of + "_bytes_total",
                "Bytes of Ethernet frames " + what + ", by direction as the client sees it.") {}
    void add(const Labels& labels, const contract::Traffic& traffic) {
        packets.add(with(labels, "direction", "rx"), traffic.rx_packets);
        packets.add(with(labels, "direction", "tx"), traffic.tx_packets);
        bytes.add(with(labels, "direction", "rx"), traffic.rx_bytes);
        bytes.add(with(labels, "direction", "tx"), traffic.tx_bytes);
    }
    void into(std::vector<MetricFamily>& families) {
        packets.into(families);
        bytes.into(families);
    }
    Filled packets;
    Filled bytes;
};

void add_services(const contract::Counters& counters, std::vector<MetricFamily>& families) {
    TrafficFamilies traffic("service", "forwarded for the service");
    Filled connections(MetricType::Counter, "guideway_service_connections_total", "New connections of the service.");
    Filled refused(MetricType::Counter, "guideway_service_refused_connections_total",
                   "Connections refused: no backend, no free SNAT port, or the connection table is full.");
    Filled shut_out(MetricType::Counter, "guideway_service_source_not_allowed_packets_total",
                    "Packets of clients outside the service's source ranges, dropped.");
    Filled limited(MetricType::Counter, "guideway_service_limited_packets_total",
                   "Packets of clients over one of the service's limits, dropped.");
    for (const contract::ServiceCounters& service : counters.services) {
        const Labels labels = labels_of(service);
        limited.add(labels, service.limited);
        shut_out.add(labels, service.source_not_allowed);
        traffic.add(labels, service.traffic);
        connections.add(labels, service.new_connections);
        refused.add(labels, service.refused_connections);
    }
    traffic.into(families);
    connections.into(families);
    refused.into(families);
    shut_out.into(families);
    limited.into(families);
}

void add_backends(const contract::Counters& counters, std::vector<MetricFamily>& families) {
    TrafficFamilies traffic("backend", "exchanged with the backend");
    Filled connections(MetricType::Counter, "guideway_backend_connections_total",
                       "New connections given to the backend.");
    Filled refused(MetricType::Counter, "guideway_backend_refused_connections_total",
                   "Connections refused because no SNAT port was free towards the backend.");
    for (const contract::BackendCounters& backend : counters.backends) {
        const Labels labels{{"backend_set", backend.backend_set},
                            {"backend", backend.name},
                            {"address", backend.address.to_string()},
                            {"port", std::to_string(backend.port)}};
        traffic.add(labels, backend.traffic);
        connections.add(labels, backend.new_connections);
        refused.add(labels, backend.refused_connections);
    }
    traffic.into(families);
    connections.into(families);
    refused.into(families);
}

void add_ports(const contract::Counters& counters, std::vector<MetricFamily>& families) {
    Filled up(MetricType::Gauge, "guideway_port_up", "1 while the port has a link.");
    Filled packets(MetricType::Counter, "guideway_port_packets_total",
                   "Packets received (rx) and sent (tx) by the port.");
    Filled bytes(MetricType::Counter, "guideway_port_bytes_total", "Bytes received (rx) and sent (tx) by the port.");
    Filled errors(MetricType::Counter, "guideway_port_errors_total", "Packets the port could not receive or send.");
    Filled missed(MetricType::Counter, "guideway_port_missed_packets_total",
                  "Packets the port dropped because no worker took them in time.");
    Filled kernel(MetricType::Counter, "guideway_port_kernel_packets_total",
                  "Packets handed to the kernel (rx) and sent by it (tx) through the port's TAP twin.");
    for (const contract::PortCounters& port : counters.ports) {
        const Labels name{{"port", port.name}};
        const Labels rx = with(name, "direction", "rx");
        const Labels tx = with(name, "direction", "tx");
        up.add(with(name, "driver", port.driver), std::uint64_t{port.link_up ? 1U : 0U});
        packets.add(rx, port.rx_packets);
        packets.add(tx, port.tx_packets);
        bytes.add(rx, port.rx_bytes);
        bytes.add(tx, port.tx_bytes);
        errors.add(rx, port.rx_errors);
        errors.add(tx, port.tx_errors);
        missed.add(name, port.rx_missed);
        kernel.add(rx, port.kernel_rx_packets);
        kernel.add(tx, port.kernel_tx_packets);
    }
    for (Filled* family : {&up, &packets, &bytes, &errors, &missed, &kernel}) family->into(families);
}

/// The way by which a bonded port goes: absent where there is none.
void add_bonds(const contract::Counters& counters, std::vector<MetricFamily>& families) {
    Filled up(MetricType::Gauge, "guideway_bond_member_up", "1 while the member of the bonded port has a link.");
    Filled carries(
        MetricType::Gauge, "guideway_bond_member_carries",
        "1 while the bonded port's traffic goes by the member: one of them, or with LACP all that the partner takes.");
    Filled moves(MetricType::Counter, "guideway_bond_moves_total",
                 "How often other members than before carried the port's traffic.");
    for (const contract::PortCounters& port : counters.ports) {
        if (!port.bond) continue;
        const Labels name{{"port", port.name}};
        for (const contract::BondMember& member : port.bond->members) {
            const Labels labels = with(with(name, "member", member.name), "mode", port.bond->mode);
            up.add(labels, std::uint64_t{member.link_up ? 1U : 0U});
            carries.add(labels, std::uint64_t{member.carries ? 1U : 0U});
        }
        moves.add(name, port.bond->moves);
    }
    for (Filled* family : {&up, &carries, &moves}) family->into(families);
}

void add_workers(const contract::Counters& counters, std::vector<MetricFamily>& families) {
    Filled packets(MetricType::Counter, "guideway_dataplane_packets_total",
                   "Packets received (rx) and sent (tx) by the worker.");
    Filled handed(MetricType::Counter, "guideway_dataplane_handed_over_packets_total",
                  "Packets the worker gave to the one that owns their connection.");
    Filled hashes(MetricType::Counter, "guideway_dataplane_rss_hashes_total",
                  "New connections by whether the port's RSS hash was the one the worker computed.");
    Filled polls(MetricType::Counter, "guideway_dataplane_polls_total",
                 "Polls of the worker, by whether they found a packet.");
    Filled flows(MetricType::Gauge, "guideway_dataplane_flows", "Connections in the worker's table now.");
    Filled capacity(MetricType::Gauge, "guideway_dataplane_flow_capacity", "Connections that fit the worker's table.");
    Filled free(MetricType::Gauge, "guideway_dataplane_flows_free",
                "Places for connections left; with guideway_dataplane_flows always the capacity.");
    Filled waiting(
        MetricType::Gauge, "guideway_dataplane_flows_waiting",
        "Connections that may have to give way: opening (handshake under way), one_way (UDP without an answer), "
        "closed (over).");
    Filled evicted(MetricType::Counter, "guideway_dataplane_flows_evicted_total",
                   "Such connections that gave way to newer ones, oldest first.");
    Filled doubtful(MetricType::Counter, "guideway_dataplane_doubtful_ends_total",
                    "FIN and RST that were passed on but not believed: their sequence number is far off.");
    Filled ended(MetricType::Counter, "guideway_dataplane_connections_ended_total",
                 "Connections that a change ended: backend_closed (its time to drain was over), source_ranges (the "
                 "client was shut out).");
    Filled redecided(MetricType::Counter, "guideway_dataplane_udp_redecided_total",
                     "UDP that went to another backend: its own left the set, or drains and did not answer.");
    Filled clients(MetricType::Gauge, "guideway_dataplane_affinity_clients",
                   "Clients remembered for session affinity, by each worker that their connections came to.");
    Filled client_capacity(MetricType::Gauge, "guideway_dataplane_affinity_capacity",
                           "How many clients each worker can remember for session affinity (flows.affinity_clients).");
    Filled client_choices(MetricType::Counter, "guideway_dataplane_affinity_connections_total",
                          "New connections of clients that were remembered: remembered (went to the same backend), "
                          "moved (that takes no new connections any more).");
    Filled forgotten(MetricType::Counter, "guideway_dataplane_affinity_forgotten_total",
                     "Clients forgotten: timed_out (their time was over), displaced (it was not, but newer clients "
                     "needed the place).");
    Filled icmp(
        MetricType::Counter, "guideway_dataplane_icmp_errors_total",
        "ICMP errors that left the worker, by kind and origin: forwarded (about a connection, translated) or made "
        "here.");
    Filled clamped(MetricType::Counter, "guideway_dataplane_mss_clamped_total",
                   "SYN and SYN-ACK whose maximum segment size was lowered.");
    Filled datagrams(MetricType::Gauge, "guideway_dataplane_fragment_datagrams",
                     "Datagrams in fragments that the worker knows.");
    Filled datagram_capacity(MetricType::Gauge, "guideway_dataplane_fragment_datagram_capacity",
                             "Datagrams in fragments that the worker has places for.");
    Filled datagrams_forgotten(MetricType::Counter, "guideway_dataplane_fragment_datagrams_forgotten_total",
                               "Datagrams in fragments that gave way to newer ones before their time.");
    Filled held(MetricType::Gauge, "guideway_dataplane_fragment_held_bytes",
                "Packet buffers that wait for their datagram's first fragment.");
    Filled followed(MetricType::Counter, "guideway_dataplane_fragments_forwarded_total",
                    "Fragments that went where their datagram's first went, those not counted.");
    Filled cut(MetricType::Counter, "guideway_dataplane_packets_cut_total",
               "IPv4 packets larger than the outgoing port's MTU that left in parts.");
    Filled parts(MetricType::Counter, "guideway_dataplane_packet_parts_made_total",
                 "Parts that they became, without each first.");
    Filled drops(MetricType::Counter, "guideway_dataplane_dropped_packets_total", "Packets dropped, by reason.");
    for (const contract::WorkerCounters& worker : counters.workers) {
        const Labels number{{"worker", std::to_string(worker.worker)}};
        packets.add(with(number, "direction", "rx"), worker.rx_packets);
        packets.add(with(number, "direction", "tx"), worker.tx_packets);
        handed.add(number, worker.handed_over);
        hashes.add(with(number, "result", "agreed"), worker.rss_agreed);
        hashes.add(with(number, "result", "disagreed"), worker.rss_disagreed);
        polls.add(with(number, "result", "empty"), worker.empty_polls);
        polls.add(with(number, "result", "busy"), worker.polls - std::min(worker.polls, worker.empty_polls));
        flows.add(with(number, "family", "ipv4"), worker.flows_ipv4);
        flows.add(with(number, "family", "ipv6"), worker.flows_ipv6);
        capacity.add(with(number, "family", "ipv4"), worker.flow_capacity_ipv4);
        capacity.add(with(number, "family", "ipv6"), worker.flow_capacity_ipv6);
        free.add(with(number, "family", "ipv4"), worker.flows_free_ipv4);
        free.add(with(number, "family", "ipv6"), worker.flows_free_ipv6);
        waiting.add(with(number, "kind", "opening"), worker.flows_opening);
        waiting.add(with(number, "kind", "one_way"), worker.flows_one_way);
        waiting.add(with(number, "kind", "closed"), worker.flows_closed);
        evicted.add(with(number, "kind", "opening"), worker.evicted_opening);
        evicted.add(with(number, "kind", "one_way"), worker.evicted_one_way);
        evicted.add(with(number, "kind", "closed"), worker.evicted_closed);
        doubtful.add(number, worker.doubtful_ends);
        ended.add(with(number, "reason", "backend_closed"), worker.ended_backend_closed);
        ended.add(with(number, "reason", "source_ranges"), worker.ended_source_ranges);
        redecided.add(number, worker.udp_redecided);
        const auto add_icmp = [&](const char* origin, const char* kind, std::uint64_t count) {
            icmp.add(with(with(number, "origin", origin), "kind", kind), count);
        };
        add_icmp("forwarded", "unreachable", worker.icmp_forwarded_unreachable);
        add_icmp("forwarded", "packet_too_big", worker.icmp_forwarded_too_big);
        add_icmp("forwarded", "time_exceeded", worker.icmp_forwarded_time_exceeded);
        add_icmp("forwarded", "parameter_problem", worker.icmp_forwarded_parameter_problem);
        add_icmp("made", "unreachable", worker.icmp_made_unreachable);
        add_icmp("made", "packet_too_big", worker.icmp_made_too_big);
        add_icmp("made", "time_exceeded", worker.icmp_made_time_exceeded);
        clamped.add(number, worker.mss_clamped);
        datagrams.add(number, worker.fragment_datagrams);
        datagram_capacity.add(number, worker.fragment_capacity);
        datagrams_forgotten.add(number, worker.fragment_datagrams_forgotten);
        held.add(number, worker.fragment_held_bytes);
        followed.add(number, worker.fragments_forwarded);
        cut.add(number, worker.packets_cut);
        parts.add(number, worker.packet_parts_made);
        clients.add(number, worker.affinity_clients);
        client_capacity.add(number, worker.affinity_capacity);
        client_choices.add(with(number, "result", "remembered"), worker.affinity_remembered);
        client_choices.add(with(number, "result", "moved"), worker.affinity_moved);
        forgotten.add(with(number, "reason", "timed_out"), worker.affinity_timed_out);
        forgotten.add(with(number, "reason", "displaced"), worker.affinity_displaced);
        for (const contract::DropCounter& drop : worker.drops) {
            drops.add(with(number, "reason", drop.reason), drop.packets);
        }
    }
    for (Filled* family : {&packets,
                           &handed,
                           &hashes,
                           &polls,
                           &flows,
                           &capacity,
                           &free,
                           &waiting,
                           &evicted,
                           &doubtful,
                           &ended,
                           &redecided,
                           &icmp,
                           &clamped,
                           &datagrams,
                           &datagram_capacity,
                           &datagrams_forgotten,
                           &held,
                           &followed,
                           &cut,
                           &parts,
                           &clients,
                           &client_capacity,
                           &client_choices,
                           &forgotten,
                           &drops}) {
        family->into(families);
    }
    Filled steering(MetricType::Gauge, "guideway_dataplane_steering",
                    "How packets find their connection's worker: way rss, the port brings them, or rings, handed over; "
                    "always 1.");
    for (const contract::Steering& one : counters.steering) {
        steering.add({{"family", one.family == IpFamily::ipv4 ? "ipv4" : "ipv6"},
                      {"protocol", std::string(contract::to_string(one.protocol))},
                      {"way", one.way}},
                     std::uint64_t{1});
    }
    steering.into(families);
    Filled taken(MetricType::Gauge, "guideway_dataplane_connections_at_start",
                 "Connections of the earlier process found at the dataplane's start, by what became of them.");
    if (!counters.flow_file.lost.empty()) taken.add({{"result", "kept"}}, counters.flow_file.kept);
    for (const contract::LostConnections& lost : counters.flow_file.lost)
        taken.add({{"result", lost.reason}}, lost.connections);
    Filled file(MetricType::Gauge, "guideway_dataplane_flow_file_bytes",
                "Size of the file where connections outlive the dataplane; 0: there is none, a restart ends them.");
    file.add({}, counters.flow_file.path.empty() ? std::uint64_t{0} : counters.flow_file.bytes);
    taken.into(families);
    file.into(families);
    Filled routes(MetricType::Gauge, "guideway_dataplane_routes",
                  "Routes to backends that the dataplane keeps in its kernel, by whether they are there.");
    routes.add({{"state", "in_force"}}, counters.routes.in_force);
    routes.add({{"state", "missing"}},
               counters.routes.wanted - std::min(counters.routes.wanted, counters.routes.in_force));
    routes.into(families);
    const contract::AnnouncementStatus& announced = counters.announcements;
    Filled addresses(MetricType::Gauge, "guideway_dataplane_announced_addresses",
                     "Addresses in use that are in a subnet of a port whose link is up: announced there when they "
                     "came into use.");
    addresses.add({}, announced.addresses);
    addresses.into(families);
    Filled sent(MetricType::Counter, "guideway_dataplane_announcements_total",
                "Gratuitous ARP and unsolicited neighbour advertisements sent.");
    sent.add({}, announced.sent);
    sent.into(families);
    Filled claims(
        MetricType::Counter, "guideway_dataplane_address_claims_total",
        "ARP packets and neighbour advertisements in which another machine called an address of ours its own.");
    claims.add({}, announced.claims_heard);
    claims.into(families);
    Filled conflicts(MetricType::Gauge, "guideway_dataplane_address_conflict",
                     "1 for each address in use here that another machine called its own within two minutes.");
    for (const contract::AddressConflict& one : announced.conflicts)
        conflicts.add({{"address", one.address.to_string()}, {"mac", one.mac}, {"port", one.port}}, 1.0);
    conflicts.into(families);
    Filled yielded(MetricType::Gauge, "guideway_dataplane_address_yielded",
                   "1 for each address in use here that is left to another machine, which goes on claiming it.");
    for (const contract::AddressConflict& one : announced.conflicts) {
        if (one.yielded) yielded.add({{"address", one.address.to_string()}, {"mac", one.mac}, {"port", one.port}}, 1.0);
    }
    yielded.into(families);
    Filled probes(
        MetricType::Counter, "guideway_dataplane_address_probes_total",
        "ARP probes and neighbour solicitations sent for addresses that are yielded: does anybody have them?");
    probes.add({}, announced.probes);
    probes.into(families);
    Filled started(MetricType::Gauge, "guideway_dataplane_start_time_seconds",
                   "Unix time at which the dataplane's counters began.");
    started.add({}, counters.started_at_unix_seconds);
    started.into(families);
}

}  // namespace

void add_dataplane(const contract::Counters& counters, std::vector<MetricFamily>& families) {
    add_services(counters, families);
    add_backends(counters, families);
    add_ports(counters, families);
    add_bonds(counters, families);
    add_workers(counters, families);
}

}  // namespace guideway::controlplane
