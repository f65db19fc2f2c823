// FlowEntry: everything a packet of a known connection needs, in one cache line (IPv4) or two (IPv6).
//
// Terms:
//   half       the five-tuple of a packet of one side, as it stands in the packet. halves[kClientHalf] is the client's
//              (client, VIP, client port, VIP port), halves[kBackendHalf] the backend's (backend, SNAT address, ports).
//   rewriting  a packet that equals halves[h] leaves with halves[h ^ 1], source and destination exchanged.
//   delta      ones'-complement sum (16 bits, in the packet's byte order) to add to a checksum's data for client ->
//              backend; the other direction's is its complement (RFC 1624).
//
// Worked example: client 198.51.100.7:40000 -> VIP 203.0.113.10:80, backend 10.0.2.11:30080, SNAT 10.0.2.1:5000
//   halves[0] = {198.51.100.7, 203.0.113.10, 40000, 80}     halves[1] = {10.0.2.11, 10.0.2.1, 30080, 5000}
//   request matches half 0, leaves as 10.0.2.1:5000 -> 10.0.2.11:30080   (half 1, exchanged)
//   reply   matches half 1, leaves as 203.0.113.10:80 -> 198.51.100.7:40000  (half 0, exchanged)
//
// Entries hold no pointers and no addresses of memory: a table may be mapped elsewhere and read on.
// Thread contract: the worker that owns the table.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "dataplane/flow/connection_state.h"
#include "dataplane/packet/five_tuple.h"

namespace guideway::flow {

inline constexpr unsigned kClientHalf = 0;
inline constexpr unsigned kBackendHalf = 1;

template <typename TupleType>
struct alignas(64) FlowEntry {
    using Tuple = TupleType;

    std::array<Tuple, 2> halves;
    std::uint32_t last_seen;             ///< coarse seconds; write only when it changes, so that the line stays clean
    std::uint32_t idle_timeout_seconds;  ///< the service's own; 0: the default of the state
    std::uint32_t next_free;             ///< the table's, while the entry is free
    std::array<std::uint16_t, 2> next_hop;       ///< [h]: where packets that match halves[h] go
    std::array<std::uint16_t, 2> routing_epoch;  ///< [h]: of the RoutingSnapshot next_hop[h] was looked up in
    std::uint16_t checksum_delta_addresses;      ///< for the IPv4 header
    std::uint16_t checksum_delta_all;            ///< addresses and ports, for TCP and UDP
    std::uint16_t service_slot;
    std::uint16_t backend_slot;
    std::uint8_t service_incarnation;
    std::uint8_t backend_incarnation;
    ConnectionState state;
    std::uint8_t flags;  ///< flow_flags

    /// Free entries have no protocol.
    bool in_use() const { return halves[kClientHalf].protocol != 0; }
    const Tuple& half(unsigned half) const { return halves[half]; }
    const Tuple& other_half(unsigned half) const { return halves[half ^ 1]; }
    /// Deltas for a packet that matched `half`, without a branch: complemented for the backend's.
    std::uint16_t delta_addresses(unsigned half) const {
        return static_cast<std::uint16_t>(checksum_delta_addresses ^ (0U - half));
    }
    std::uint16_t delta_all(unsigned half) const {
        return static_cast<std::uint16_t>(checksum_delta_all ^ (0U - half));
    }
    /// Whether the ageing sweep should forget it.
    bool idle(std::uint32_t now, const IdleLimits& limits) const {
        return idle_longer_than(now, last_seen, limits.seconds(state, idle_timeout_seconds));
    }
    /// Stores the time of a packet; leaves the line untouched within one second.
    void touch(std::uint32_t now) {
        if (last_seen != now) last_seen = now;
    }
};

using FlowEntryV4 = FlowEntry<packet::FiveTupleV4>;
using FlowEntryV6 = FlowEntry<packet::FiveTupleV6>;

static_assert(sizeof(FlowEntryV4) == 64 && alignof(FlowEntryV4) == 64 && std::is_trivially_copyable_v<FlowEntryV4>);
static_assert(sizeof(FlowEntryV6) == 128 && alignof(FlowEntryV6) == 64 && std::is_trivially_copyable_v<FlowEntryV6>);
static_assert(offsetof(FlowEntryV4, last_seen) == 32 && offsetof(FlowEntryV4, next_hop) == 44 &&
              offsetof(FlowEntryV4, checksum_delta_addresses) == 52 && offsetof(FlowEntryV4, flags) == 63);
static_assert(offsetof(FlowEntryV6, last_seen) == 80 && offsetof(FlowEntryV6, flags) == 111);

}  // namespace guideway::flow
