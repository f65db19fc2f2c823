// Worker: the packet's way.
//
//   receive -> sort out (plain | general) -> hash, prefetch buckets -> match tags, prefetch entries
//     -> plain packets of established connections: rewrite and send              the way of nearly all traffic
//     -> other packets of connections: advance their state, rewrite and send
//     -> other packets: answer | kernel | drop by name
//     -> misses: prefetch what opening needs, then connect | hand over | refuse
//     -> fragments: to the worker that gathers their datagram, then as the first goes
//   (while an operator looks, a tap: packets that it is about go through these stages one by one, tapped.cc)
//   then: what came from the kernel -> packets that waited for a MAC -> transmit -> age -> report quiescence
//
// Each stage is a loop over a burst of at most 64 packets. Every packet ends in exactly one of: sent, given to the kernel, handed
// over to the worker that owns its connection, pending for its next hop or its datagram's first fragment, counted under a DropReason (invariant I4).
//
// Worked example, one TCP connection with two workers (client 198.51.100.7:40000, VIP 203.0.113.10:80):
//   SYN    worker 0: no entry; a VIP's service; the hash says worker 1 owns it: handed over. Worker 1: Maglev gives
//          10.0.2.11:30080, SNAT 10.0.2.1:5001 (odd: worker 1's), entry inserted, rewritten, next hop looked up, sent.
//   SYN-ACK from 10.0.2.11 to 10.0.2.1:5001, at worker 0: no entry; a SNAT address; 5001 % 2: handed over to worker 1: the entry's
//          backend half matches, leaves as 203.0.113.10:80 -> 198.51.100.7:40000.
//   data   as above; nothing on the way asks for the direction.
//
// Thread contract: constructed by the start-up code; poll_once() and pending() from one thread, which is registered and online at
// the publisher. No lock, atomic read-modify-write, allocation, exception, system call (but the driver's) or log line.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/flow/flow_table.h"
#include "dataplane/flow/fragment_ids.h"
#include "dataplane/flow/fragment_table.h"
#include "dataplane/flow/snat_ports.h"
#include "dataplane/guard/meter.h"
#include "dataplane/guard/token_bucket.h"
#include "dataplane/observe/counters.h"
#include "dataplane/observe/tap.h"
#include "dataplane/packet/fragment.h"
#include "dataplane/packet/icmp_error.h"
#include "dataplane/snapshot/publisher.h"
#include "dataplane/worker/affinity.h"
#include "dataplane/worker/burst.h"
#include "dataplane/worker/family.h"
#include "dataplane/worker/kernel_budget.h"
#include "dataplane/worker/pending_queue.h"
#include "dataplane/worker/plumbing.h"
#include "dataplane/worker/segments.h"
#include "dataplane/worker/tap_note.h"
#include "dataplane/worker/transmitter.h"

namespace guideway::worker {

class Worker {
  public:
    /// All references must outlive the worker. `counters` has as many slots as the snapshots' limits, and one backend more: that
    /// one takes what belongs to no backend any longer.
    Worker(Plumbing plumbing, snapshot::Publisher& publisher, flow::FlowTableV4& flows_v4, flow::FlowTableV6& flows_v6,
           observe::CounterBlock& counters);
    ~Worker();  ///< frees what still waits
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// Everything that is there, once. Returns how many packets there were. `now_ms` is any monotonic clock.
    std::uint32_t poll_once(std::uint64_t now_ms) noexcept;

  private:
    struct NextHop {
        enum class Kind : std::uint8_t { known, unresolved, no_route } kind;
        std::uint16_t index;
    };
    struct Source {
        std::uint16_t ethdev;
        std::uint16_t queue;
        std::uint16_t port;  ///< index
        bool has_vlans;      ///< frames of several ports come by it
    };

    struct Vlan {
        VlanTags tags;
        std::uint16_t port;  ///< index
    };

    // worker.cc: the stages, in their order
    void tell_time(std::uint64_t now_ms) noexcept;
    void take_view() noexcept;
    std::uint32_t receive(const Source& source) noexcept;
    void take_tags(std::uint16_t port) noexcept;
    std::uint32_t take_over(rte_ring* ring) noexcept;
    void go() noexcept;
    void process() noexcept;
    void sort_out() noexcept;
    template <typename Family>
    void sort_family() noexcept;
    template <typename Table, typename Slot>
    static bool take_plain(const Table& flows, const flow::HashKeys& keys, rte_mbuf* mbuf, std::uint32_t length,
                           std::uint64_t station, std::uint32_t position, Slot& slot) noexcept;
    void sort_other(unsigned i) noexcept;
    /// What everything but the plain way goes by.
    void name_port(unsigned i) noexcept;
    void sort_general(unsigned i) noexcept;
    void parse(unsigned i) noexcept;
    void complete_checksum(unsigned i) noexcept;
    void hash_flow(unsigned i) noexcept;
    void find_candidates() noexcept;
    void act_on_flows() noexcept;
    void act_on_others() noexcept;
    void act_on_misses() noexcept;
    std::uint32_t send_from_kernel() noexcept;
    void review_pending() noexcept;
    void age_flows() noexcept;
    void forget_clients(std::uint64_t elapsed_ms) noexcept;
    void show_gauges() noexcept;
    void answer_question() noexcept;

    // plain.cc: plain packets of established connections
    template <typename Family, bool kByPort>
    void forward_plain() noexcept;
    void forward_plain_v4() noexcept;
    void forward_plain_v6() noexcept;
    void forward_plain_by_port_v4() noexcept;
    void forward_plain_by_port_v6() noexcept;

    // connection.cc: packets of connections
    template <typename Family>
    void act_on_flow(unsigned i) noexcept;
    template <typename Family>
    bool carry_on(unsigned i, flow::FlowRef ref) noexcept;
    template <typename Family>
    void foresee_service(unsigned i) noexcept;
    template <typename Family>
    void foresee_reply(unsigned i) noexcept;
    template <typename Family>
    typename Family::Tuple reply_of(const balancing::ServiceEntry& service, const balancing::BackendEntry& backend,
                                    std::uint8_t protocol) const noexcept;
    template <typename Family>
    void act_on_miss(unsigned i) noexcept;
    /// What is to become of a known connection's packet, under the snapshots in force.
    enum class Course : std::uint8_t {
        on,
        watched,  ///< goes on, but each packet is to be looked at: UDP whose backend drains or left the set
        // From here on the packet is of no known connection any more.
        over,
        over_closed,  ///< its backend's time to drain was over
        over_ranges,  ///< its client is shut out
        elsewhere,    ///< UDP that another backend is to have
    };
    void count_end(Course course) noexcept;
    template <typename Family>
    Course course_of(typename Family::Entry& entry, unsigned half, const packet::ParsedPacket& parsed) noexcept;
    template <typename Family>
    Course course_of_udp(typename Family::Entry& entry, unsigned half) noexcept;
    template <typename Family>
    const balancing::Member* member_of(const typename Family::Entry& entry) const noexcept;
    template <typename Family>
    Course course_of_any(const typename Family::Entry& entry) const noexcept;
    template <typename Entry>
    bool is_closed(const Entry& entry) const noexcept;
    template <typename Family>
    void advance(flow::FlowRef ref, unsigned i, Course course) noexcept;
    template <typename Family>
    void advance_tcp(flow::FlowRef ref, unsigned i) noexcept;
    template <typename Family>
    void forward(typename Family::Entry& entry, unsigned half, unsigned i, Course course) noexcept;
    template <typename Family>
    void connect(unsigned i) noexcept;
    template <typename Family>
    AffinityChoice choose(const balancing::ServiceEntry& service, std::uint64_t selection,
                          const typename Family::Tuple& client) const noexcept;
    template <typename Tuple>
    void remember(const balancing::ServiceEntry& service, const AffinityChoice& choice, const Tuple& client) noexcept;
    template <typename Family>
    void open(const balancing::ServiceEntry& service, std::uint64_t selection, unsigned i) noexcept;
    template <typename Tuple>
    std::uint32_t owner_of(const Tuple& client, std::uint64_t selection) const noexcept;
    bool hand_over(std::uint32_t owner, rte_mbuf* mbuf) noexcept;
    template <typename Tuple>
    void compare_rss_hash(const rte_mbuf* mbuf, const Tuple& client) noexcept;

    // local.cc: packets for this machine, and refusals
    void act_on_other(unsigned i) noexcept;
    bool is_ours(const packet::ParsedPacket& parsed) const noexcept;
    bool told_here(unsigned i) const noexcept;
    void hear_claim(unsigned i) noexcept;
    void answer_in_place(unsigned i) noexcept;
    void to_kernel(unsigned i) noexcept;
    void refuse(unsigned i, observe::DropReason reason) noexcept;
    void drop(rte_mbuf* mbuf, observe::DropReason reason) noexcept;

    // fragments.cc: datagrams in fragments, and packets that are cut here
    using Fragments = flow::FragmentTable<rte_mbuf*>;
    void act_on_fragment(unsigned i) noexcept;
    void gather(unsigned i, const packet::Fragment& piece, const flow::DatagramKey& key) noexcept;
    void pass_fragment(unsigned i, const Fragments::Datagram& datagram) noexcept;
    void serve_fragment(unsigned i, const flow::DatagramKey& key) noexcept;
    void release_held(unsigned i, Fragments::Datagram& datagram) noexcept;
    void hold_fragment(unsigned i, Fragments::Datagram& datagram) noexcept;
    void drop_held(Fragments::Datagram& datagram, observe::DropReason reason) noexcept;
    void make_room(Fragments::State state) noexcept;
    std::uint32_t owner_of_first(const packet::ParsedPacket& parsed) const noexcept;
    template <typename Family>
    std::uint32_t owner_of_any(const typename Family::Tuple& tuple) const noexcept;
    template <typename Family>
    void carry_first(unsigned i) noexcept;
    template <typename Family>
    void settle_first(const typename Family::Entry& entry, unsigned half, unsigned i) noexcept;
    template <typename Family>
    void follow_first(unsigned i, const flow::Translation& out) noexcept;
    std::uint32_t fresh_id(const flow::Translation& out, bool is_v6) noexcept;
    void review_fragments() noexcept;
    void send_in_parts(const snapshot::NextHop& hop, rte_mbuf* mbuf, std::uint32_t l3_length,
                       std::uint32_t mtu) noexcept;

    // guards.cc: what is asked before anything else is decided
    template <typename Family>
    observe::DropReason impossible_source(const packet::ParsedPacket& parsed) const noexcept;
    observe::DropReason impossible_source_of_any(const packet::ParsedPacket& parsed) const noexcept;
    observe::DropReason source_check(unsigned i) const noexcept;
    template <typename Family>
    observe::DropReason over_limits(const balancing::ServiceEntry& service,
                                    const typename Family::Tuple& client) noexcept;
    bool over_packet_limit(std::uint16_t service_slot) noexcept;
    bool refusal_allowed(const packet::ParsedPacket& parsed) noexcept;

    // sides.cc: clients' and nodes' side, where they are kept apart
    bool is_astray(unsigned i, unsigned half) const noexcept;
    bool is_other_sides(unsigned i) const noexcept;
    bool kernel_may_have(unsigned i) const noexcept;

    // icmp_error.cc: what others tell of packets that went out from here
    void act_on_icmp(unsigned i) noexcept;
    template <typename Family>
    void forward_icmp_error(unsigned i, const packet::IcmpError& error) noexcept;
    template <typename Family>
    observe::DropReason doubt(const typename Family::Entry& entry, unsigned half,
                              const packet::IcmpError& error) const noexcept;

    // icmp_answer.cc: what is told here of packets that end here
    void end_of_ttl(unsigned i) noexcept;
    void too_big(unsigned i, std::uint32_t mtu) noexcept;
    template <typename Build>
    void tell(unsigned i, observe::DropReason reason, observe::Count& told, Build&& build) noexcept;
    bool echo_wanted(const packet::ParsedPacket& parsed) const noexcept;

    // tapped.cc: packets that an operator looks at
    struct Looked;
    void process_tapped() noexcept;
    void process_some(rte_mbuf* const* mbufs, unsigned count) noexcept;
    bool is_tapped(rte_mbuf* mbuf, Looked& look) noexcept;
    template <typename Family>
    bool match_flow(const typename Family::Tuple& tuple, Looked& look) noexcept;
    void find_flow(const Looked& look, std::optional<AnyFlowFinding>& finding) const noexcept;
    void take_down(rte_mbuf* mbuf, const Looked& look, observe::TapLane& lane) noexcept;

    // segment_size.cc: of handshakes
    void clamp_segments(unsigned i, NextHop out) noexcept;

    // last_hop.cc: back to the router that the client's packets come from
    template <typename Entry>
    void renew_hops(Entry& entry) noexcept;
    template <typename Entry>
    std::uint16_t hop_in_use(const Entry& entry, unsigned half) const noexcept;
    template <typename Entry>
    bool is_believed(const Entry& entry, unsigned i) const noexcept;
    template <typename Entry>
    void note_last_hop(Entry& entry, unsigned i) noexcept;

    // next_hop.cc: where a rewritten packet goes
    NextHop look_up_next_hop(const IpAddress& destination, std::uint64_t flow, snapshot::Side side) noexcept;
    void ask_for(const snapshot::NextHopResult& unresolved, const IpAddress& destination) noexcept;
    void send_to(const snapshot::NextHop& hop, rte_mbuf* mbuf, std::uint32_t l3_length) noexcept;
    void hold(rte_mbuf* mbuf, const IpAddress& destination, std::uint64_t flow, snapshot::Side side,
              std::uint32_t l3_length) noexcept;

    template <typename Family>
    auto& table() noexcept {
        if constexpr (std::is_same_v<Family, V4>) {
            return flows_v4_;
        } else {
            return flows_v6_;
        }
    }

    void lap(observe::Stage stage) noexcept;

    // Read by every packet or burst.
    std::uint64_t view_number_ = 0;  ///< of the snapshots in force for this poll
    std::uint16_t look_ = 0;         ///< the same in 16 bits, never 0: FlowEntry::looked_over
    const snapshot::ForwardingSnapshot* forwarding_ = nullptr;  ///< in force for this poll
    const snapshot::RoutingSnapshot* routing_ = nullptr;
    observe::Tap* tap_ = nullptr;                    ///< for this poll; null: nobody looks at packets
    const snapshot::YieldedSet* yielded_ = nullptr;  ///< for this poll; null: every address of ours is answered for
    std::uint32_t now_s_ = 0;
    std::uint64_t now_ms_ = 0;
    flow::FlowTableV4& flows_v4_;
    flow::FlowTableV6& flows_v6_;
    observe::CounterBlock& counters_;
    std::uint32_t stray_backend_slot_;  ///< counts for backends that left the state
    observe::StageCycles* stages_;
    std::uint16_t burst_size_;
    /// By port index: packet::station_of(its MAC address), and above it whether peers may leave checksums unfinished.
    std::array<std::uint64_t, kMaxPorts> stations_{};
    static constexpr std::uint64_t kUnfinishedPossible = 1ULL << 63;
    std::uint32_t last_hop_ports_ = 0;  ///< bit by port index: whose replies go back to the last hop
    static_assert(kMaxPorts <= 32);
    bool apart_;                                   ///< the sides are
    std::array<std::uint8_t, kMaxPorts> sides_{};  ///< by port index: snapshot::number_of(its side)

    Plumbing plumbing_;
    flow::AffinityTable* affinity_;  ///< this worker's own; null: nobody is remembered
    std::vector<Source> sources_;
    std::array<std::vector<Vlan>, kMaxPorts> vlans_;  ///< by the index of the port they lie on
    snapshot::Publisher& publisher_;
    flow::IdleLimits idle_limits_;
    flow::Ownership ownership_;
    flow::SnatPorts snat_ports_;
    guard::TokenBucket refusals_;
    guard::SourceMeters refusal_sources_;
    guard::SourceMeters opening_sources_;               ///< of connections, by source prefix and service
    std::vector<guard::ServiceMeters> service_meters_;  ///< by slot
    KernelBudget kernel_budget_;
    guard::TokenBucket icmp_forwarded_;
    guard::TokenBucket icmp_made_;  ///< apart: forged errors of others must not silence ours
    Transmitter transmitter_;
    Burst burst_;
    PendingQueue pending_;
    const snapshot::RoutingSnapshot* reviewed_with_ = nullptr;  ///< only compared
    std::uint64_t next_review_ms_ = 0;
    std::uint64_t ageing_done_ms_ = 0;
    struct KnownHop {
        IpAddress destination;
        snapshot::Side side = snapshot::Side::clients;
        std::uint16_t index = 0;
        std::uint64_t view_number = 0;  ///< of the snapshots it was found in; 0: never
    };
    /// By a hash of the destination: backends are few and met again. Only where there is one way.
    std::array<KnownHop, 256> known_hops_;
    std::uint64_t gauges_shown_ms_ = ~std::uint64_t{0};
    Fragments fragments_;
    flow::FragmentIds fragment_ids_;
    segments::Desk desk_;
    observe::DropReason refused_for_ = observe::DropReason::none;  ///< the last refusal; for a tap
};

/// Its backend's time to drain is over. Of an entry whose service is there.
template <typename Entry>
bool Worker::is_closed(const Entry& entry) const noexcept {
    const balancing::BackendSet& set = forwarding_->sets[forwarding_->service_rules[entry.service_slot].backend_set];
    if (!set.some_closed) return false;
    const balancing::Member* member = set.member(entry.backend_slot, entry.backend_incarnation);
    return member != nullptr && member->closed;
}

}  // namespace guideway::worker
