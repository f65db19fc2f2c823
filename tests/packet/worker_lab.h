// Lab: one or more workers between rings instead of NICs: frame in, poll, frame out.
//
//   client 198.51.100.7, 2001:db8:c::7 --(router 192.0.2.254, fe80::1)-- port 0 [workers] port 1 -- nodes 10.0.2.11..13,
//   2001:db8:2::11..13
//   VIPs 203.0.113.10 and 2001:db8:1::10, SNAT addresses 10.0.2.1 and 2001:db8:2::1
//
// Worked example:
//   Lab lab;
//   lab.apply(lab.web());
//   const Frame out = lab.pass(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(40000, 80, tcp::kSyn).build());
//   EXPECT_EQ(summary(out), ...)
//
// The destructor checks that every packet ended in exactly one place (I4) and that no buffer leaked.
// Thread contract: one thread plays all workers; they are never online at the publisher, so nothing waits.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/contract/counters.h"
#include "dataplane/flow/ownership.h"
#include "dataplane/snapshot/builder.h"
#include "dataplane/worker/counter_book.h"
#include "dataplane/worker/flow_view.h"
#include "dataplane/worker/takeover.h"
#include "dataplane/worker/worker.h"
#include "tests/packet/packet_builder.h"

namespace guideway::worker::testing {

using packet::MacAddress;
using packet::testing::Frame;
using packet::testing::PacketBuilder;

inline constexpr std::uint16_t kClientPort = 0;
inline constexpr std::uint16_t kNodePort = 1;
inline constexpr const char* kClient = "198.51.100.7";
inline constexpr const char* kVip = "203.0.113.10";
inline constexpr const char* kSnat = "10.0.2.1";
inline constexpr const char* kClientV6 = "2001:db8:c::7";
inline constexpr const char* kVipV6 = "2001:db8:1::10";
inline constexpr const char* kSnatV6 = "2001:db8:2::1";
inline constexpr MacAddress kPortMac0{0x02, 0, 0, 0, 0, 0x01};  ///< PacketBuilder's default destination
inline constexpr MacAddress kPortMac1{0x02, 0, 0, 0, 0, 0x02};
inline constexpr MacAddress kRouterMac{0x02, 0, 0, 0, 0, 0xfe};

inline IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }

/// "tcp 198.51.100.7:40000 > 203.0.113.10:80 S ttl 63 02:..:01 > 02:..:0b"; checksum faults stand at the end.
std::string summary(const Frame& frame);
packet::ParsedPacket parsed(const Frame& frame);

/// How a frame lies in packet buffers: `sizes` bytes in the first ones, all that is left in full ones.
struct Split {
    std::vector<std::uint16_t> sizes;
    bool exact = false;                             ///< the buffers of `sizes` have no room behind
    std::uint16_t headroom = RTE_PKTMBUF_HEADROOM;  ///< before the frame
};

/// A worker's entries in memory that outlives the lab: aligned, as long as its capacity wants.
struct EntryMemory {
    std::span<std::byte> v4;
    std::span<std::byte> v6;
    OldEntries old() const { return {v4, v6}; }
};

struct LabSettings {
    std::uint32_t workers = 1;
    WorkerSettings worker;
    bool unfinished_checksums = false;
    bool snat_v6 = true;
    SourceCheck source_check = SourceCheck::off;  ///< of all ports
    std::uint32_t last_hop_ports = 0;             ///< bit by port index: WorkerPort::replies_to_last_hop
    bool sides_apart = false;                     ///< port 0 is of the clients' side, port 1 of the nodes'
    std::uint32_t handover_ring = 64;
    std::uint32_t kernel_ring = 64;
    std::vector<EntryMemory> entries;  ///< by worker; none: the lab's own
    /// The ports' NICs hash with this and lead to workers so; TCP and UDP then go by rss, SCTP by rings. None: all by rings.
    std::optional<flow::RssLayout> rss;
    /// What workers remember of clients, of an earlier lab: attached already, by worker. None: the lab's own, empty.
    std::span<flow::AffinityTable> affinity;
    /// Ports behind the two: VLANs of one of them (WorkerPort::tags, lies_on). From index 2.
    std::vector<WorkerPort> vlans;
    bool one_buffer_only = false;  ///< of the nodes' port: its driver takes no frames in several buffers
    bool rss_hash_told = true;     ///< NICs write the hash into the packet's buffer
};

class Lab {
  public:
    explicit Lab(LabSettings settings = {});
    ~Lab();
    Lab(const Lab&) = delete;
    Lab& operator=(const Lab&) = delete;

    // What is desired.

    /// TCP 80, UDP 53 and SCTP 9000 on both VIPs, node ports 30080, 30053 and 39000 of nodes 11..13.
    contract::ForwardingState web() const;
    void apply(const contract::ForwardingState& state);
    /// The kernel's tables as drawn above; change and publish().
    snapshot::RoutingSnapshot& routing() { return routing_; }
    void publish_routing();
    void forget_neighbour(std::uint16_t port, std::string_view address);
    void learn_neighbour(std::uint16_t port, std::string_view address, const MacAddress& mac);

    // Connections of an earlier lab; after apply(), before packets.

    /// Those in LabSettings::entries.
    std::vector<Outcome> adopt_connections();
    std::vector<Outcome> import_connections(std::span<const OldEntries> old);

    // Packets.

    void inject(std::uint16_t port, const Frame& frame, std::uint32_t worker = 0);
    /// In several buffers. Without, frames that are longer than a buffer come as from a NIC that scatters, in full ones.
    void inject_split(std::uint16_t port, const Frame& frame, const Split& split, std::uint32_t worker = 0);
    Frame pass_split(std::uint16_t port, const Frame& frame, const Split& split, std::uint32_t worker = 0);
    /// The driver took the tags off and tells them so: the inner one and, where it took two, the outer.
    void inject_stripped(std::uint16_t port, const Frame& untagged, std::uint16_t tci, std::uint16_t outer_tci = 0);
    /// As the NIC of `settings.rss` does: at the worker its hash leads to, which is returned.
    std::uint32_t inject_by_rss(std::uint16_t port, const Frame& frame);
    /// The worker it would lead the frame to, and by which hash.
    std::uint32_t rss_worker(const Frame& frame) const;
    std::uint32_t rss_hash(const Frame& frame) const;
    /// The NIC tells a hash of its own.
    void inject_with_hash(std::uint16_t port, const Frame& frame, std::uint32_t worker, std::uint32_t hash);
    const flow::Ownership& ownership() const { return ownership_; }
    void inject_from_kernel(std::uint16_t port, const Frame& frame);
    void inject_handed_over(const Frame& frame, std::uint16_t port, std::uint32_t from, std::uint32_t to);
    void poll(std::uint32_t worker = 0);
    void poll_all();
    /// What left through the port since the last call, of all workers.
    std::vector<Frame> sent(std::uint16_t port);
    std::vector<Frame> to_kernel(std::uint16_t* port = nullptr);
    /// inject, poll all until handed-over packets have come through, and the one frame that left; empty if none or several did.
    Frame pass(std::uint16_t port, const Frame& frame, std::uint32_t worker = 0);
    /// Time goes by, with polls.
    void wait_ms(std::uint64_t milliseconds);

    // What is counted.

    std::uint64_t dropped(observe::DropReason reason) const;
    /// Every drop but those that were answered.
    std::uint64_t dropped() const;
    const observe::WorkerTotals& totals(std::uint32_t worker = 0) const;
    contract::Counters counters() const;
    contract::Traffic vlan_traffic(std::uint16_t port) const;
    /// Connections that found no SNAT port towards this backend of the state in force, of all workers.
    std::uint64_t refused_towards(const IpAddress& backend) const;
    std::size_t connections() const;
    /// What the workers remember of clients.
    std::span<flow::AffinityTable> affinity() { return affinity_; }
    ResolveQueue& resolve(std::uint32_t worker = 0);
    RouterQueue& routers(std::uint32_t worker = 0);
    ClaimQueue& claims(std::uint32_t worker = 0);
    const snapshot::ForwardingSnapshot& state() const;
    snapshot::Publisher& publisher() { return *publisher_; }
    /// What the worker's flow table holds of a packet's five-tuple; polls it once.
    std::optional<contract::FlowView> look_up(const contract::ExplainRequest& request, std::uint32_t worker = 0);
    /// Where a TCP connection of the client's port stands: the request as it left, the reply's frame ready to inject.
    Frame reply_to(const Frame& request, std::uint8_t tcp_flags = packet::tcp::kSyn | packet::tcp::kAck) const;
    /// Opens and establishes a TCP connection from `source_port`; returns the SYN as it left to the node.
    Frame establish(std::uint16_t source_port);

    std::uint64_t now_ms = 5000;

  private:
    Frame poll_for_one();
    struct Place;
    LabSettings settings_;
    flow::Ownership ownership_;
    std::unique_ptr<snapshot::Publisher> publisher_;
    std::unique_ptr<snapshot::Builder> builder_;
    std::unique_ptr<CounterBook> book_;
    std::vector<std::byte> affinity_memory_;
    std::vector<flow::AffinityTable> own_affinity_;
    std::span<flow::AffinityTable> affinity_;
    std::vector<std::unique_ptr<Place>> places_;
    template <typename Take>
    std::vector<Outcome> take_over(Take&& take);
    snapshot::RoutingSnapshot routing_;
    Relocations relocations_;
};

}  // namespace guideway::worker::testing
