// CounterBlock: what one worker counts. The worker writes, the control thread reads and sums; nothing is ever
// reset.
//
// Terms: rx is client to backend, tx backend to client (the contract's direction). Bytes are those of the
// Ethernet frame without FCS, as it came in. A counter has one writer, so it is bumped by a relaxed load and
// a relaxed store (two plain instructions): never torn for the reader, no locked instruction for the writer.
// A reader may see one counter of a packet before another.
//
// Layout: service and backend lines are 64 bytes, one cache line a packet each, indexed by slot. Memory is
// the caller's (huge pages, the worker's NUMA node), zeroed. Thread contract: one writing worker; any number
// of readers.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#if defined(__has_feature)
#define GUIDEWAY_CLANG_TSAN __has_feature(thread_sanitizer)
#else
#define GUIDEWAY_CLANG_TSAN 0
#endif

#include "dataplane/observe/drop_reason.h"

namespace guideway::observe {

/// A 64-bit count with one writer.
class Count {
  public:
    void add(std::uint64_t amount) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }
    /// For gauges, "now" instead of "so far".
    void set(std::uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
    std::uint64_t read() const noexcept { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};
static_assert(sizeof(Count) == 8 && std::atomic<std::uint64_t>::is_always_lock_free);

/// Of a service or a backend.
struct alignas(64) SlotCounters {
    /// Indexed by direction, so that counting needs no branch: 0 client to backend (rx), 1 backend to client
    /// (tx).
    struct alignas(16) Direction {
        Count packets;
        Count bytes;

        /// One packet.
        void add(std::uint64_t length) noexcept {
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__) && !GUIDEWAY_CLANG_TSAN
            // Both at once: each half of an aligned 16-byte store is as whole for the reader as two stores of 8.
            auto* both = reinterpret_cast<__m128i*>(this);
            const __m128i more = _mm_set_epi64x(static_cast<long long>(length), 1);
            _mm_store_si128(both, _mm_add_epi64(_mm_load_si128(both), more));
#else
            packets.add(1);
            bytes.add(length);
#endif
        }
    };
    std::array<Direction, 2> traffic;
    Count new_connections;
    Count refused_connections;  ///< services: for any reason; backends: no SNAT port was free towards it
    Count source_not_allowed;   ///< services: packets of clients outside its source ranges
    Count limited;              ///< services: packets over one of its limits
};
static_assert(sizeof(SlotCounters) == 64);

struct alignas(64) WorkerTotals {
    Count rx_packets;   ///< received from ports, the kernel and peers' rings excluded
    Count tx_packets;   ///< accepted by a port's driver
    Count handed_over;  ///< to peers
    Count taken_over;   ///< from peers
    Count to_kernel;
    Count from_kernel;
    Count polls;
    Count empty_polls;
    Count pending;     ///< gauge: packets that wait for a next hop, or for their datagram's first fragment
    Count answers;     ///< ARP, NDP, echo, RST, unreachable made here (their requests count as answered or
                       ///< refused)
    Count flows_ipv4;  ///< gauge
    Count flows_ipv6;  ///< gauge
    Count flow_capacity_ipv4;
    Count flow_capacity_ipv6;
    Count unfinished_checksums;  ///< completed here
    Count next_hop_lookups;      ///< by routing lookup, not from the flow entry
    Count doubtful_ends;         ///< FIN or RST passed on but not believed: its sequence number is far off
    Count flows_free_ipv4;       ///< gauge; with flows_ipv4 always the capacity
    Count flows_free_ipv6;       ///< gauge
    Count flows_opening;         ///< gauge, both families: TCP and SCTP handshakes under way
    Count flows_one_way;         ///< gauge: UDP without an answer yet
    Count flows_closed;          ///< gauge: over, kept for late packets
    Count evicted_opening;       ///< gave way to newer connections, oldest first
    Count evicted_one_way;
    Count evicted_closed;
    Count rss_agreed;           ///< new connections whose RSS hash of the device was the one computed here
    Count rss_disagreed;        ///< ... was another one
    Count rss_disagreed_port;   ///< gauge: index of the port of the last such one
    Count ended_closed;         ///< connections ended because their backend's time to drain was over
    Count ended_ranges;         ///< ... because their client is no longer within the service's source ranges
    Count affinity_clients;     ///< gauge: clients that this worker remembers
    Count affinity_capacity;    ///< lines for them
    Count affinity_remembered;  ///< new connections that went where their client went before
    Count affinity_moved;       ///< ... elsewhere: that backend takes no new connections any more
    Count affinity_timed_out;   ///< clients forgotten: their time was over
    Count affinity_displaced;   ///< clients forgotten before that: their bucket was full
    Count udp_redecided;        ///< UDP that went to another backend: its own left the set, or drains and is silent
    std::array<Count, 4> icmp_forwarded;  ///< ICMP errors translated and sent on, by packet::IcmpErrorKind
    Count icmp_made_unreachable;          ///< ICMP errors made here
    Count icmp_made_too_big;
    Count icmp_made_time_exceeded;
    Count fragment_datagrams;   ///< gauge: datagrams in fragments that are known
    Count fragment_capacity;    ///< places for them
    Count fragment_held_bytes;  ///< gauge: packet buffers that wait for their datagram's first fragment
    Count fragments_forwarded;  ///< all but the first of a datagram, which count as any packet
    Count fragments_displaced;  ///< datagrams forgotten before their time: newer ones needed the place
    Count packets_cut;          ///< larger than the MTU of the way on: left in several parts
    Count parts_made;           ///< ... all parts but the first
    Count mss_clamped;          ///< SYN and SYN-ACK whose MSS was lowered
};
static_assert(sizeof(WorkerTotals) == 448);

/// Frames of one VLAN, without their tags.
struct VlanTraffic {
    SlotCounters::Direction received;
    SlotCounters::Direction sent;
};
inline constexpr std::size_t kMostVlanPorts = 32;  ///< all ports, in fact

/// The worker's lines: totals, drop reasons and VLANs inside, slots in memory given from outside.
class alignas(64) CounterBlock {
  public:
    CounterBlock(std::span<SlotCounters> services, std::span<SlotCounters> backends)
        : services_(services), backends_(backends) {}

    WorkerTotals& totals() noexcept { return totals_; }
    const WorkerTotals& totals() const noexcept { return totals_; }
    void drop(DropReason reason) noexcept { drops_[static_cast<std::size_t>(reason)].add(1); }
    std::uint64_t dropped(DropReason reason) const noexcept { return drops_[static_cast<std::size_t>(reason)].read(); }
    /// `slot` below the capacity given at start.
    SlotCounters& service(std::size_t slot) noexcept { return services_[slot]; }
    SlotCounters& backend(std::size_t slot) noexcept { return backends_[slot]; }
    /// By port index; of ports that are VLANs.
    VlanTraffic& vlan(std::size_t port) noexcept { return vlans_[port]; }
    const VlanTraffic& vlan(std::size_t port) const noexcept { return vlans_[port]; }
    std::span<const SlotCounters> services() const noexcept { return services_; }
    std::span<const SlotCounters> backends() const noexcept { return backends_; }

  private:
    WorkerTotals totals_;
    std::array<Count, kDropReasonCount> drops_;
    std::array<VlanTraffic, kMostVlanPorts> vlans_;
    std::span<SlotCounters> services_;
    std::span<SlotCounters> backends_;
};

}  // namespace guideway::observe
