// Counters: what the dataplane counted, as it crosses the Unix socket.
//
// All counts are since the dataplane's start and only grow; `started_at_unix_seconds` changes when they begin anew.
// Services and backends are named as in the ForwardingState in force. Packets and bytes are those of the Ethernet frame
// without FCS. Direction is the client's: rx is client to backend, tx is backend to client.
// Thread contract: plain values, summed over the workers by the dataplane's control thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/contract/forwarding_state.h"

namespace guideway::contract {

struct Traffic {
    std::uint64_t rx_packets = 0;
    std::uint64_t rx_bytes = 0;
    std::uint64_t tx_packets = 0;
    std::uint64_t tx_bytes = 0;
    friend bool operator==(const Traffic&, const Traffic&) = default;
};

struct ServiceCounters {
    std::string name;
    IpAddress vip;
    Protocol protocol = Protocol::tcp;
    std::uint16_t port = 0;
    Traffic traffic;
    std::uint64_t new_connections = 0;
    std::uint64_t refused_connections = 0;  ///< no backend, no SNAT port, table full
    std::uint64_t source_not_allowed = 0;   ///< packets of clients outside its source ranges, dropped
    std::uint64_t limited = 0;              ///< packets of clients over one of its limits, dropped
    friend bool operator==(const ServiceCounters&, const ServiceCounters&) = default;
};

struct BackendCounters {
    std::string backend_set;
    std::string name;
    IpAddress address;
    std::uint16_t port = 0;  ///< 0: the services' node ports
    Traffic traffic;
    std::uint64_t new_connections = 0;
    std::uint64_t refused_connections = 0;  ///< no SNAT port was free towards it
    friend bool operator==(const BackendCounters&, const BackendCounters&) = default;
};

/// One of the devices that a bonded port is made of.
struct BondMember {
    std::string name;  ///< the interface or the PCI address
    bool link_up = false;
    bool carries = false;  ///< the port's traffic goes by it: one of them, or with LACP all that the partner takes
    std::string partner;   ///< LACP: the MAC address of the system at its other end; empty: it is silent
    friend bool operator==(const BondMember&, const BondMember&) = default;
};

struct Bond {
    std::string mode;         ///< "active-backup" or "lacp"
    std::uint64_t moves = 0;  ///< how often other members than before carried
    std::vector<BondMember> members;
    friend bool operator==(const Bond&, const Bond&) = default;
};

struct PortCounters {
    std::string name;
    /// In use: "af_xdp", "af_packet", a PMD's name ("net_bonding" of a bond); "vlan": of another port, which counts its frames too.
    std::string driver;
    bool link_up = false;
    std::uint64_t rx_packets = 0, rx_bytes = 0, rx_missed = 0, rx_errors = 0;
    std::uint64_t tx_packets = 0, tx_bytes = 0, tx_errors = 0;
    std::uint64_t kernel_rx_packets = 0;  ///< handed to the kernel through the TAP twin
    std::uint64_t kernel_tx_packets = 0;  ///< sent by the kernel
    std::optional<Bond> bond{};           ///< of a bonded port
    friend bool operator==(const PortCounters&, const PortCounters&) = default;
};

struct DropCounter {
    std::string reason;  ///< snake_case name of the dataplane's DropReason
    std::uint64_t packets = 0;
    friend bool operator==(const DropCounter&, const DropCounter&) = default;
};

struct WorkerCounters {
    std::uint32_t worker = 0;
    std::uint64_t rx_packets = 0;
    std::uint64_t tx_packets = 0;
    std::uint64_t handed_over = 0;  ///< packets given to the worker that owns their connection
    std::uint64_t polls = 0, empty_polls = 0;
    std::uint64_t flows_ipv4 = 0, flows_ipv6 = 0;  ///< connections in the table now
    std::uint64_t flow_capacity_ipv4 = 0, flow_capacity_ipv6 = 0;
    std::uint64_t flows_free_ipv4 = 0, flows_free_ipv6 = 0;  ///< with flows_* the capacity, always
    /// Of both families' connections now: handshakes under way, UDP without an answer, over and kept for late packets.
    std::uint64_t flows_opening = 0, flows_one_way = 0, flows_closed = 0;
    /// Those of these that gave way to newer connections, oldest first.
    std::uint64_t evicted_opening = 0, evicted_one_way = 0, evicted_closed = 0;
    std::uint64_t doubtful_ends = 0;  ///< FIN and RST passed on but not believed: sequence number far off
    std::vector<DropCounter> drops;   ///< every reason, zeros too
    /// New connections whose RSS hash the device told: the one computed here, or another (steering then misses).
    std::uint64_t rss_agreed = 0, rss_disagreed = 0;
    /// Connections that a change ended: their backend's time to drain was over; their client was shut out by source ranges.
    std::uint64_t ended_backend_closed = 0, ended_source_ranges = 0;
    /// UDP that went to another backend because its own left the set, or drains and did not answer.
    std::uint64_t udp_redecided = 0;
    /// ICMP errors that were translated and sent on to the connection's other end, and those made here, by what they say.
    std::uint64_t icmp_forwarded_unreachable = 0, icmp_forwarded_too_big = 0, icmp_forwarded_time_exceeded = 0,
                  icmp_forwarded_parameter_problem = 0;
    std::uint64_t icmp_made_unreachable = 0, icmp_made_too_big = 0, icmp_made_time_exceeded = 0;
    std::uint64_t mss_clamped = 0;  ///< SYN and SYN-ACK whose MSS was lowered
    /// Datagrams in fragments that are known now, for how many there is room, and how many gave way to newer ones before their time.
    std::uint64_t fragment_datagrams = 0, fragment_capacity = 0, fragment_datagrams_forgotten = 0;
    std::uint64_t fragment_held_bytes = 0;  ///< packet buffers now that wait for their datagram's first fragment
    std::uint64_t fragments_forwarded = 0;  ///< those behind the first, which counts as any packet
    std::uint64_t packets_cut = 0,
                  packet_parts_made = 0;  ///< larger than the way on; parts they became, without each first
    /// Session affinity: clients (address and service) remembered now, and for how many there is room. A client is remembered by
    /// every worker that its connections came to.
    std::uint64_t affinity_clients = 0, affinity_capacity = 0;
    /// New connections that went where their client had gone before; elsewhere, because that takes no new ones any more.
    std::uint64_t affinity_remembered = 0, affinity_moved = 0;
    /// Clients forgotten: their time-out was over; it was not, but newer ones needed the place.
    std::uint64_t affinity_timed_out = 0, affinity_displaced = 0;
    friend bool operator==(const WorkerCounters&, const WorkerCounters&) = default;
};

struct LostConnections {
    std::string reason;  ///< snake_case: "service_gone", "snat_gone", "idle", ...
    std::uint64_t connections = 0;
    friend bool operator==(const LostConnections&, const LostConnections&) = default;
};

/// Where connections outlive the dataplane, and what it found there at its start.
struct FlowFileStatus {
    std::string path;  ///< empty: memory alone, a restart ends every connection
    std::uint64_t bytes = 0;
    std::uint64_t kept = 0;             ///< connections of the earlier process
    std::vector<LostConnections> lost;  ///< every reason, zeros too; empty where there was nothing to take over
    std::vector<std::string> refused;   ///< files that were not used, "another boot: ..."
    friend bool operator==(const FlowFileStatus&, const FlowFileStatus&) = default;
};

/// A route of the ForwardingState that is not in the kernel.
struct MissingRoute {
    IpPrefix destination;
    IpAddress via;
    std::string reason;
    friend bool operator==(const MissingRoute&, const MissingRoute&) = default;
};

/// The ForwardingState's routes in the dataplane's kernel.
struct RouteStatus {
    static constexpr std::size_t kMostTold = 100;
    std::uint64_t wanted = 0;
    std::uint64_t in_force = 0;
    std::vector<MissingRoute> missing;  ///< kMostTold at most
    friend bool operator==(const RouteStatus&, const RouteStatus&) = default;
};

/// How packets of one IP family and protocol find the worker that owns their connection.
struct Steering {
    IpFamily family = IpFamily::ipv4;
    Protocol protocol = Protocol::tcp;
    std::string way;     ///< "rss": the NIC brings them there; "rings": they are handed over
    std::string reason;  ///< why not rss; empty where it is
    friend bool operator==(const Steering&, const Steering&) = default;
};

/// Somebody else on the link says that an address in use here is theirs.
struct AddressConflict {
    IpAddress address;
    std::string mac;   ///< "02:00:00:00:00:01": who said so last
    std::string port;  ///< where it was heard
    std::uint64_t claims = 0;
    std::uint64_t last_seen_unix_seconds = 0;
    bool yielded = false;  ///< left to them: nobody on that link is told that it is here, until nobody else has it
    friend bool operator==(const AddressConflict&, const AddressConflict&) = default;
};

/// Gratuitous ARP and unsolicited neighbour advertisements.
struct AnnouncementStatus {
    static constexpr std::size_t kMostTold = 256;
    std::uint64_t addresses = 0;     ///< that are on a link of a port and announced there, now
    std::uint64_t sent = 0;          ///< announcements
    std::uint64_t claims_heard = 0;  ///< of our addresses by others
    /// Not yet over: heard of within two minutes, or yielded; kMostTold at most.
    std::vector<AddressConflict> conflicts;
    std::uint64_t probes = 0;  ///< sent, for addresses that are yielded: does anybody have them?
    friend bool operator==(const AnnouncementStatus&, const AnnouncementStatus&) = default;
};

struct Counters {
    std::uint64_t generation = 0;  ///< of the ForwardingState in force
    std::uint64_t started_at_unix_seconds = 0;
    std::vector<ServiceCounters> services;
    std::vector<BackendCounters> backends;
    std::vector<PortCounters> ports;
    std::vector<WorkerCounters> workers;
    std::vector<Steering> steering;  ///< each family and protocol once
    FlowFileStatus flow_file;
    RouteStatus routes;
    AnnouncementStatus announcements;
    friend bool operator==(const Counters&, const Counters&) = default;
};

}  // namespace guideway::contract
