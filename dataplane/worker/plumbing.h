// Plumbing: everything a worker is connected to and how it is set, decided once at start.
//
// Terms:
//   port index   position in the configuration's list of ports; everything above the driver uses it.
//   `mbuf->port` is the
//                port INDEX wherever packets cross a ring described here (drivers put the ethdev id there on
//                receive; the worker's first stage replaces it).
//   kernel rings to_kernel: what is not for us, worker -> kernel path thread; one ring for each worker, so
//   each ring has
//                one producer and one consumer. from_kernel: what the kernel sends, to be put on the wire of
//                `mbuf->port` unchanged; only worker 0 has one.
//   handover     rings between workers: handover_out[peer] of one worker is handover_in[this worker] of the
//   peer. A packet
//                that came by one is never handed over again.
//   claims       what others on the links say of our addresses, worker -> announcer thread. A full ring loses some: they come again.
//   routers      last hops (routing_snapshot.h) that are no next hop yet, worker -> netlink thread. What is lost comes again.
//   resolve      next hops whose MAC address is wanted, worker -> netlink thread. The same key may be asked
//   repeatedly.
//
// Thread contract: filled by the start-up code, then read by one worker only. All rte_rings are
// RING_F_SP_ENQ|RING_F_SC_DEQ.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dataplane/flow/affinity_table.h"
#include "dataplane/flow/connection_state.h"
#include "dataplane/flow/ownership.h"
#include "dataplane/observe/stage_cycles.h"
#include "dataplane/snapshot/routing_snapshot.h"
#include "dataplane/worker/flow_question.h"
#include "dataplane/worker/relocations.h"
#include "dataplane/worker/spsc_ring.h"

struct rte_mempool;
struct rte_ring;

namespace guideway::worker {

inline constexpr std::uint16_t kNoQueue = 0xffff;
inline constexpr std::size_t kMaxPorts = 32;
inline constexpr std::size_t kMaxWorkers = 64;

/// Somebody else says that an address of ours is theirs.
struct HeardClaim {
    IpAddress address;
    snapshot::MacAddress mac{};
    std::uint16_t port = 0;  ///< index
};
using ClaimQueue = SpscRing<HeardClaim, 64>;
/// A client's packet came from there, by a port whose replies go back to the last hop.
struct HeardRouter {
    snapshot::MacAddress mac{};
    std::uint16_t port = 0;  ///< index
};
using RouterQueue = SpscRing<HeardRouter, 64>;
using ResolveQueue = SpscRing<snapshot::NeighbourKey, 256>;

/// A receive queue besides WorkerPort::rx_queue.
struct RxQueue {
    std::uint16_t ethdev = 0;
    std::uint16_t queue = 0;
};

/// What a client's source address must have before a connection opens (RFC 3704).
enum class SourceCheck : std::uint8_t {
    off,
    loose,   ///< a route
    strict,  ///< a route through the port that the packet came by
};

/// The tags of frames of a VLAN, outermost first. A port with none of them is its wire's untagged traffic.
struct VlanTags {
    std::uint16_t outer = 0;  ///< 802.1ad's; 0: none
    std::uint16_t id = 0;     ///< 802.1Q's; 0: untagged

    constexpr std::uint32_t bytes() const noexcept { return id == 0 ? 0 : outer == 0 ? 4 : 8; }
    friend constexpr bool operator==(const VlanTags&, const VlanTags&) = default;
};

/// One port as this worker uses it. A VLAN is a port of its own: it sends by the queue of the port it lies on, whose receive
/// queues bring its frames too.
struct WorkerPort {
    std::uint16_t ethdev = 0;                    ///< DPDK's port id
    std::uint16_t rx_queue = kNoQueue;           ///< kNoQueue: this worker receives nothing here
    std::uint16_t tx_queue = kNoQueue;           ///< kNoQueue: packets for this port end as tx_full
    bool unfinished_checksums_possible = false;  ///< AF_PACKET / AF_XDP on veth: the peer may leave L4 checksums undone
    snapshot::MacAddress mac{};                  ///< of the port and its TAP twin
    SourceCheck source_check = SourceCheck::off;
    bool replies_to_last_hop =
        false;  ///< packets to a client go to the router that its last packet came from, by this port
    std::vector<RxQueue> further_rx;  ///< polled as rx_queue is: a port may have more queues than there are workers
    VlanTags tags{};                  ///< of a VLAN
    std::uint16_t lies_on = 0;        ///< of a VLAN: the index of its port
    bool drives_bond =
        false;  ///< its driver has frames of its own to send (LACP), which leave with a worker's next burst
    /// Frames in several buffers come by other ports, and this one's driver takes none.
    bool one_buffer_only = false;
    snapshot::Side side = snapshot::Side::clients;  ///< matters where WorkerSettings::sides_apart
};

enum class IdleMode : std::uint8_t {
    busy,      ///< polls without rest: lowest latency, a whole core
    adaptive,  ///< after empty polls pauses, then sleeps briefly
};

/// When an adaptive worker rests. Sleeps double from the shortest to the longest while nothing arrives.
struct IdleSettings {
    IdleMode mode = IdleMode::adaptive;
    std::uint32_t polls_before_pause = 64;
    std::uint32_t polls_before_sleep = 512;
    std::uint32_t shortest_sleep_us = 50;
    std::uint32_t longest_sleep_us = 500;
};

/// Idle time in seconds after which a connection is forgotten, by state. A service's own idle_timeout_seconds
/// replaces tcp_established, udp and sctp_established for its connections.
struct TimeoutSettings {
    std::uint32_t tcp_opening = 60;        ///< before the backend's SYN-ACK was acknowledged
    std::uint32_t tcp_established = 7440;  ///< 2 h 4 min: RFC 5382 REQ-5
    std::uint32_t tcp_closing = 120;       ///< one FIN seen: the other direction may still talk
    std::uint32_t tcp_time_wait = 60;      ///< both FINs seen
    std::uint32_t tcp_reset = 10;
    std::uint32_t udp_one_way = 30;  ///< the backend has not answered yet
    std::uint32_t udp = 300;         ///< RFC 4787 REQ-5 recommends 5 minutes
    std::uint32_t sctp_opening = 60;
    std::uint32_t sctp_established = 7440;
    std::uint32_t sctp_closing = 30;
};

/// The same as the tables take them.
inline flow::Timeouts table_timeouts(const TimeoutSettings& settings) {
    flow::Timeouts timeouts;
    timeouts.tcp_opening = settings.tcp_opening;
    timeouts.tcp_established = settings.tcp_established;
    timeouts.tcp_closing = settings.tcp_closing;
    timeouts.tcp_time_wait = settings.tcp_time_wait;
    timeouts.tcp_reset = settings.tcp_reset;
    timeouts.udp_one_way = std::min(settings.udp_one_way, settings.udp);
    timeouts.udp = settings.udp;
    timeouts.sctp_opening = settings.sctp_opening;
    timeouts.sctp_established = settings.sctp_established;
    timeouts.sctp_closing = settings.sctp_closing;
    return timeouts;
}

/// Sizes of what each worker allocates at start; nothing grows later.
struct CapacitySettings {
    std::uint32_t flows_ipv4 = 1U << 16;  ///< connections a worker, rounded up by the table
    std::uint32_t flows_ipv6 = 1U << 16;
    std::uint32_t half_open = 0;    ///< of each family and kind, a worker; 0: a quarter of the flows (flow_table.h)
    std::uint32_t services = 4096;  ///< (VIP, protocol, port) triples, all together; at most 65535
    std::uint32_t backends = 4096;  ///< (address, port) of all backend sets together; at most 65535
    /// Clients (address and service) with session affinity that each worker remembers, rounded up to a power of two; 0: none.
    std::uint32_t affinity_clients = 1U << 16;
};

/// What becomes of the MSS in SYN and SYN-ACK (packet/mss_clamp.h).
struct MssClamp {
    bool by_mtu = false;        ///< what the smaller MTU of the ports in and out takes
    std::uint16_t largest = 0;  ///< and no more than this; 0: no such bound
    bool on() const noexcept { return by_mtu || largest != 0; }
};

/// Datagrams in fragments (flow/fragment_table.h). A datagram takes 680 bytes of memory.
struct FragmentSettings {
    std::uint32_t datagrams = 4096;       ///< known at a time, a worker; half of them may wait for their first fragment
    std::uint32_t held_kilobytes = 1024;  ///< packet buffers of fragments that came before their first, a worker
    std::uint32_t hold_milliseconds = 500;       ///< for so long
    std::uint32_t remember_milliseconds = 5000;  ///< after the first fragment, for those that come late
};

/// Echo requests for VIPs. SNAT addresses always answer: they are infrastructure.
enum class Echo : std::uint8_t {
    always,
    never,
    while_serving,  ///< while a service of the VIP has a backend that takes connections
};

struct WorkerSettings {
    std::uint16_t burst = 32;  ///< packets that go through the stages together, 1..kMostBurst (burst.h)
    IdleSettings idle;
    TimeoutSettings timeouts;
    CapacitySettings capacity;
    std::uint32_t refusals_per_second = 1000;  ///< RST, port unreachable and ABORT together, a worker; 0 = silence
    std::uint32_t refusal_burst = 200;
    std::uint32_t refusals_per_source = 100;  ///< the same, to each source prefix; as many at once; 0 = silence
    std::uint8_t source_prefix_v4 = 24;       ///< bits of a source address that count, 8..32
    std::uint8_t source_prefix_v6 = 56;       ///< 32..64
    /// Packets of least priority for the kernel, a worker; others have their parts of it (kernel_class.h).
    std::uint32_t kernel_packets_per_second = 20'000;
    std::uint32_t icmp_errors_per_second = 1000;  ///< a worker: forwarded ones, and as many made here; 0: none
    std::uint32_t icmp_error_burst = 200;
    MssClamp mss_clamp;
    Echo echo = Echo::always;
    bool sides_apart = false;  ///< clients' and nodes' side (snapshot/side.h); the RoutingSnapshots then are so, too
    FragmentSettings fragments;
    std::uint32_t neighbour_wait_ms = 1000;  ///< how long a packet waits for its next hop's MAC address
    std::uint16_t snat_port_first = 1024;    ///< SNAT ports in use, inclusive
    std::uint16_t snat_port_last = 65535;
};

struct Plumbing {
    std::uint32_t worker = 0;
    std::uint32_t worker_count = 1;
    std::vector<WorkerPort> ports;       ///< by port index
    rte_ring* to_kernel = nullptr;       ///< none: such packets are counted kernel_path_full
    rte_ring* from_kernel = nullptr;     ///< worker 0 only
    std::vector<rte_ring*> handover_in;  ///< by peer worker; nullptr at this worker's own place
    std::vector<rte_ring*> handover_out;
    ResolveQueue* resolve = nullptr;
    RouterQueue* routers = nullptr;            ///< none: nobody learns of them
    ClaimQueue* claims = nullptr;              ///< none: they are not looked for
    rte_mempool* pool = nullptr;               ///< for answers
    const Relocations* relocations = nullptr;  ///< none: no connection is elsewhere than its tuple says
    /// What all workers remember of clients, by worker; this one writes its own. Empty: nobody does.
    std::span<flow::AffinityTable> affinity;
    FlowQuestion* question = nullptr;        ///< none: nobody asks for its connections
    observe::StageCycles* stages = nullptr;  ///< none: not measured
    WorkerSettings settings;
    std::optional<flow::Ownership> ownership;  ///< none: by rings (flow/ownership.h)
};

}  // namespace guideway::worker
