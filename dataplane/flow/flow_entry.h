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
//   sequence   TCP: [h] is about the sequence number that follows the last byte half h's side has sent, kSequenceStep behind at
//              the most. What a RST is judged by (tcp_state.h).
//   links      the same bytes while the connection waits in one of the table's lists (half open, one way, closed).
//   stamp      last_seen is at most kStampSeconds old while packets come, so that most packets write nothing here.
//
// Entries hold no pointers and no addresses of memory: a table may be mapped elsewhere and read on. An entry is in use if the
// client half has a protocol; that half is written last when a connection begins, and its protocol first when it ends, so that
// a process killed between any two stores leaves whole entries.
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
/// How old last_seen may be while packets come; idle time-outs end so much later at the most, never earlier.
inline constexpr std::uint32_t kStampSeconds = 4;
/// How far a side's sequence number may be ahead of the entry's, beyond one packet.
inline constexpr std::uint32_t kSequenceStep = 16384;
/// How far one packet may take it: more than is lost at once, and one in 4096 of what somebody who sees nothing may guess.
inline constexpr std::uint32_t kSequenceBelieved = 1U << 20;

template <typename TupleType>
struct alignas(64) FlowEntry {
    using Tuple = TupleType;

    struct Links {
        std::uint32_t older;  ///< FlowTable::kNoEntry: the oldest
        std::uint32_t newer;
    };

    std::array<Tuple, 2> halves;
    union {
        std::array<std::uint32_t, 2> sequence{};
        Links links;
    };
    std::uint32_t last_seen;                ///< coarse seconds
    std::array<std::uint16_t, 2> next_hop;  ///< [h]: where packets that match halves[h] go; kNoNextHop: to be looked up
    std::uint16_t routing_epoch;            ///< of the RoutingSnapshot that next_hop was looked up in
    std::uint16_t checksum_delta_addresses;  ///< for the IPv4 header
    std::uint16_t checksum_delta_all;        ///< addresses and ports, for TCP and UDP
    std::uint16_t service_slot;
    std::uint16_t backend_slot;
    /// Worker::look_over()'s mark: service, backend and next hops are as in the snapshots of this number, and the state is
    /// steady. 0: to be looked at.
    std::uint16_t looked_over;
    std::uint8_t service_incarnation;
    std::uint8_t backend_incarnation;
    ConnectionState state;  ///< written by the table: FlowTable::set_state
    std::uint8_t flags;     ///< flow_flags

    static constexpr std::uint16_t kNoNextHop = 0xffff;

    /// Free entries have no protocol.
    bool in_use() const { return halves[kClientHalf].protocol != 0; }
    /// Whether it can have been written by insert(): what a restart checks before it believes an entry.
    bool whole() const {
        const Tuple& client = halves[kClientHalf];
        const Tuple& backend = halves[kBackendHalf];
        const auto padded_with_zeros = [](const Tuple& t) {
            return t.zero[0] == 0 && t.zero[1] == 0 && t.zero[2] == 0;
        };
        return client.protocol == backend.protocol && padded_with_zeros(client) && padded_with_zeros(backend) &&
               !(client == backend) && fits(state, client.protocol);
    }
    const Tuple& half(unsigned half) const { return halves[half]; }
    const Tuple& other_half(unsigned half) const { return halves[half ^ 1]; }
    /// Deltas for a packet that matched `half`, without a branch: complemented for the backend's.
    std::uint16_t delta_addresses(unsigned half) const {
        return static_cast<std::uint16_t>(checksum_delta_addresses ^ (0U - half));
    }
    std::uint16_t delta_all(unsigned half) const {
        return static_cast<std::uint16_t>(checksum_delta_all ^ (0U - half));
    }
    /// Whether the ageing sweep should forget it. `own_seconds`: its service's own time-out, 0 for none.
    bool idle(std::uint32_t now, const IdleLimits& limits, std::uint32_t own_seconds = 0) const {
        return idle_longer_than(now, last_seen, limits.seconds(state, own_seconds) + kStampSeconds - 1);
    }
    /// Stores the time of a packet; leaves the line untouched within kStampSeconds.
    void touch(std::uint32_t now) {
        if (now - last_seen >= kStampSeconds) last_seen = now;
    }
    /// `next` follows the last byte of a packet from `half`; older ones change nothing. False, and nothing changed, where it is too far
    /// ahead to be believed of one packet: the general way asks the other side (Worker::advance_tcp).
    bool track_sequence(unsigned half, std::uint32_t next) {
        const std::uint32_t ahead = next - sequence[half];
        if (ahead <= kSequenceStep) [[likely]]
            return true;
        if (ahead <= kSequenceBelieved) {
            sequence[half] = next;
            return true;
        }
        return ahead >= 0x80000000U;
    }
};

using FlowEntryV4 = FlowEntry<packet::FiveTupleV4>;
using FlowEntryV6 = FlowEntry<packet::FiveTupleV6>;

static_assert(sizeof(FlowEntryV4) == 64 && alignof(FlowEntryV4) == 64 && std::is_trivially_copyable_v<FlowEntryV4>);
static_assert(sizeof(FlowEntryV6) == 128 && alignof(FlowEntryV6) == 64 && std::is_trivially_copyable_v<FlowEntryV6>);
static_assert(offsetof(FlowEntryV4, sequence) == 32 && offsetof(FlowEntryV4, last_seen) == 40 &&
              offsetof(FlowEntryV4, next_hop) == 44 && offsetof(FlowEntryV4, checksum_delta_addresses) == 50 &&
              offsetof(FlowEntryV4, flags) == 63);
static_assert(offsetof(FlowEntryV6, sequence) == 80 && offsetof(FlowEntryV6, last_seen) == 88 &&
              offsetof(FlowEntryV6, flags) == 111);

}  // namespace guideway::flow
