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
    // Of workers with a port whose replies go back to the last hop, or with two sides.
    std::uint32_t last_hop_ports;
    const std::uint8_t* sides;  ///< by port index; null: they are not apart
};

/// Came by a port of the side that packets of this half come by? Else the general way sees to it.
template <typename Entry>
inline bool is_of_its_side(const Surroundings<Entry>& around, unsigned half, std::uint16_t port) noexcept {
    return around.sides == nullptr || around.sides[port] == half;
}

/// The packet came from the router that replies go to, or by a port without that option.
template <typename Entry>
inline bool by_the_same_router(const Surroundings<Entry>& around, const Entry& entry, const std::uint8_t* frame,
                               std::uint16_t port) noexcept {
    if ((around.last_hop_ports >> port & 1U) == 0) return (entry.flags & flow::flow_flags::kLastHop) == 0;
    const std::uint16_t index = entry.next_hop[flow::kBackendHalf];
    if (index == Entry::kNoNextHop) return false;
    const snapshot::NextHop& hop = around.hops[index];
    const std::uint8_t* mac = hop.destination_mac.data();
    constexpr std::size_t kSource = sizeof(packet::MacAddress);
    return ((packet::load_raw32(frame + kSource) ^ packet::load_raw32(mac)) |
            std::uint32_t{
                static_cast<std::uint16_t>(packet::load_raw16(frame + kSource + 4) ^ packet::load_raw16(mac + 4))} |
            static_cast<std::uint32_t>(hop.port ^ port)) == 0;
}

/// False, and nothing done, where the packet needs the general way.
template <bool kByPort, typename Entry, typename Slot>
inline bool forward_at_once(const Surroundings<Entry>& around, const Slot& slot, Transmitter& transmitter,
                            [[maybe_unused]] std::uint16_t port) noexcept {
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
    if constexpr (kByPort) {
        if (!is_of_its_side(around, half, port)) [[unlikely]]
            return false;
    }
    const snapshot::NextHop& hop = around.hops[index];
    // Of the frame: padding behind the packet must fit as well, or be cut off.
    if (slot.length > packet::ethernet::kHeaderSize + std::uint32_t{hop.mtu}) [[unlikely]]
        return false;

    std::uint8_t* frame = slot.frame;
    if constexpr (kByPort) {
        if (half == flow::kClientHalf && !by_the_same_router(around, entry, frame, port)) [[unlikely]]
            return false;
    }
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

/// `kByPort`: some port's replies go back to the last hop, or the sides are apart. Other workers pay nothing.
template <typename Family, bool kByPort>
[[gnu::always_inline]] inline void Worker::forward_plain() noexcept {
    const Surroundings<typename Family::Entry> around{table<Family>().entries(),
                                                      routing_->next_hops.data(),
                                                      &counters_.service(0),
                                                      &counters_.backend(0),
                                                      now_s_,
                                                      look_,
                                                      last_hop_ports_,
                                                      apart_ ? sides_.data() : nullptr};
    for (auto& slot : Family::plain(burst_)) {
        std::uint16_t port = burst_.port;
        if constexpr (kByPort) {
            if (burst_.ports_named) port = slot.mbuf->port;
        }
        if (forward_at_once<kByPort>(around, slot, transmitter_, port)) [[likely]]
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

/// Of functions of their own, so that the loops without these options are as if there were none.
[[gnu::noinline]] void Worker::forward_plain_by_port_v4() noexcept { forward_plain<V4, true>(); }
[[gnu::noinline]] void Worker::forward_plain_by_port_v6() noexcept { forward_plain<V6, true>(); }

void Worker::forward_plain_v4() noexcept {
    if (apart_ || last_hop_ports_ != 0) [[unlikely]]
        return forward_plain_by_port_v4();
    forward_plain<V4, false>();
}

void Worker::forward_plain_v6() noexcept {
    if (apart_ || last_hop_ports_ != 0) [[unlikely]]
        return forward_plain_by_port_v6();
    forward_plain<V6, false>();
}

}  // namespace guideway::worker
