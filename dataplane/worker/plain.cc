// Plain packets of established connections: the way of nearly all traffic. Whatever needs a decision leaves it for the general
// way, in its place among the packets of the burst.
//
// Why so little is asked here: an entry's `looked_over` says that the general way found its service and backend alive, its state
// steady and its next hops right under the very snapshots that are in force now (Worker::forward() writes it).
#include "dataplane/packet/plain.h"

#include <rte_mbuf.h>

#include "dataplane/worker/worker.h"

namespace guideway::worker {
namespace {

/// What the loop needs, out of the reach of the bytes that it writes.
template <typename Entry>
struct Surroundings {
    Entry* entries;
    const snapshot::NextHop* hops;
    observe::SlotCounters* services;
    observe::SlotCounters* backends;
    std::uint32_t now_s;
    std::uint16_t look;
    const std::uint8_t* sides;  ///< where they are apart: by port index
    std::uint16_t port;         ///< that the burst came by, unless each packet says it
    bool ports_named;
};

/// Came by a port of the side that packets of this half come by? Else the general way sees to it.
template <typename Entry, typename Slot>
inline bool is_of_its_side(const Surroundings<Entry>& around, const Slot& slot, unsigned half) noexcept {
    return around.sides[around.ports_named ? slot.mbuf->port : around.port] == half;
}

/// False, and nothing done, where the packet needs the general way.
template <bool kApart, typename Entry, typename Slot>
inline bool forward_at_once(const Surroundings<Entry>& around, const Slot& slot, Transmitter& transmitter) noexcept {
    if (!slot.candidate) [[unlikely]]
        return false;
    constexpr std::uint8_t kDecisive = packet::tcp::kFin | packet::tcp::kSyn | packet::tcp::kRst;
    Entry& entry = around.entries[slot.candidate.index()];
    const unsigned half = slot.candidate.half();
    const std::uint16_t index = entry.next_hop[half];
    const bool as_before =
        (entry.looked_over == around.look) & (index != Entry::kNoNextHop) & ((slot.packet.tcp_flags & kDecisive) == 0);
    if (!as_before || !slot.packet.is_tuple(entry.halves[half])) [[unlikely]]
        return false;
    if constexpr (kApart) {
        if (!is_of_its_side(around, slot, half)) return false;
    }
    const snapshot::NextHop& hop = around.hops[index];
    if (slot.packet.l3_length > hop.mtu) [[unlikely]]
        return false;

    std::uint8_t* frame = slot.frame;
    if (slot.packet.protocol() == packet::protocol::kTcp) [[likely]] {
        const std::uint32_t sequence =
            packet::load_be32(frame + packet::kPlainL4<typename Entry::Tuple> + packet::tcp::kSequence);
        if (!entry.track_sequence(half, sequence + slot.packet.payload)) [[unlikely]]
            return false;
    }
    entry.touch(around.now_s);
    around.services[entry.service_slot].traffic[half].add(slot.length);
    around.backends[entry.backend_slot].traffic[half].add(slot.length);
    packet::rewrite_plain(frame, entry.other_half(half), {entry.delta_addresses(half), entry.delta_all(half)});
    const auto* macs = reinterpret_cast<const std::uint8_t*>(&hop);
    packet::store_raw64(frame, packet::load_raw64(macs));
    packet::store_raw32(frame + 8, packet::load_raw32(macs + 8));
    transmitter.send_at_once(hop.port, slot.mbuf);
    return true;
}
static_assert(offsetof(snapshot::NextHop, destination_mac) == 0 && offsetof(snapshot::NextHop, source_mac) == 6);

}  // namespace

template <typename Family, bool kApart>
[[gnu::always_inline]] inline void Worker::forward_plain() noexcept {
    const Surroundings<typename Family::Entry> around{table<Family>().entries(),
                                                      routing_->next_hops.data(),
                                                      &counters_.service(0),
                                                      &counters_.backend(0),
                                                      now_s_,
                                                      look_,
                                                      sides_.data(),
                                                      burst_.port,
                                                      burst_.ports_named};
    for (auto& slot : Family::plain(burst_)) {
        if (forward_at_once<kApart>(around, slot, transmitter_)) [[likely]]
            continue;
        name_port(slot.position);
        burst_.parsed[slot.position] = packet::parsed_of(slot.packet, slot.frame);
        burst_.hash[slot.position] = flow::hash_words(slot.packet.words, table<Family>().keys());
        const auto tuple = slot.packet.tuple();
        flow::FlowRef ref = slot.candidate;
        if (!table<Family>().is(ref, tuple)) ref = table<Family>().find(tuple, burst_.hash[slot.position]);
        if (!ref || !carry_on<Family>(slot.position, ref)) burst_.misses.add(slot.position);
    }
}

/// Of functions of their own, so that the loops without sides are as if there were none.
[[gnu::noinline]] void Worker::forward_plain_apart_v4() noexcept { forward_plain<V4, true>(); }
[[gnu::noinline]] void Worker::forward_plain_apart_v6() noexcept { forward_plain<V6, true>(); }

void Worker::forward_plain_v4() noexcept {
    if (apart_) [[unlikely]]
        return forward_plain_apart_v4();
    forward_plain<V4, false>();
}

void Worker::forward_plain_v6() noexcept {
    if (apart_) [[unlikely]]
        return forward_plain_apart_v6();
    forward_plain<V6, false>();
}

}  // namespace guideway::worker
