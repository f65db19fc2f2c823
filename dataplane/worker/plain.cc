// Plain packets of established connections: the way of nearly all traffic. Whatever needs a decision leaves it for the general
// way, in its place among the packets of the burst.
#include "dataplane/packet/plain.h"

#include <rte_mbuf.h>

#include "dataplane/worker/worker.h"

namespace guideway::worker {
namespace {

using flow::ConnectionState;

/// Nothing that the packet could change in its connection.
bool is_steady(ConnectionState state, std::uint8_t tcp_flags) {
    constexpr std::uint8_t kDecisive = packet::tcp::kFin | packet::tcp::kSyn | packet::tcp::kRst;
    static_assert(ConnectionState::udp_both_ways != ConnectionState::tcp_established);
    const bool tcp = (state == ConnectionState::tcp_established) & ((tcp_flags & kDecisive) == 0);
    return tcp | (state == ConnectionState::udp_both_ways);
}

}  // namespace

template <typename Family>
void Worker::forward_plain() noexcept {
    for (const unsigned i : Family::plain_list(burst_)) {
        if (forward_at_once<Family>(i)) [[likely]]
            continue;
        parse(i);
        burst_.hash[i] = burst_.plain[i].hash;
        act_on_flow<Family>(i);
    }
}

/// False, and nothing done, where the packet needs the general way.
template <typename Family>
inline bool Worker::forward_at_once(unsigned i) noexcept {
    const PlainSlot& slot = burst_.plain[i];
    const auto& plain = Family::plain(burst_.plain[i]);
    auto& flows = table<Family>();
    if (!slot.candidate) return false;
    auto& entry = flows.entry(slot.candidate.index());
    const unsigned half = slot.candidate.half();
    if (!(entry.halves[half] == plain.tuple)) return false;

    const snapshot::ForwardingSnapshot& state = *forwarding_;
    const snapshot::RoutingSnapshot& routing = *routing_;
    const std::uint16_t index = entry.next_hop[half];
    const bool as_before = (state.service_incarnation[entry.service_slot] == entry.service_incarnation) &
                           (state.backend_incarnation[entry.backend_slot] == entry.backend_incarnation) &
                           (entry.routing_epoch == routing.epoch) & (index < routing.next_hops.size()) &
                           is_steady(entry.state, plain.tcp_flags);
    if (!as_before) return false;
    const snapshot::NextHop& hop = routing.next_hops[index];
    if ((plain.l3_length > hop.mtu) | (hop.port >= transmitter_.ports())) return false;

    rte_mbuf* mbuf = burst_.mbuf[i];
    auto* frame = rte_pktmbuf_mtod(mbuf, std::uint8_t*);
    entry.touch(now_s_);
    if (plain.tuple.protocol == packet::protocol::kTcp) [[likely]] {
        constexpr std::uint32_t kL4 = packet::kPlainL4<typename Family::Tuple>;
        const std::uint32_t segment = plain.l3_length - (kL4 - packet::ethernet::kHeaderSize);
        entry.track_sequence(half, packet::next_sequence(frame + kL4, segment));
    }
    const std::uint32_t bytes = rte_pktmbuf_pkt_len(mbuf);
    for (observe::SlotCounters* line :
         {&counters_.service(entry.service_slot), &counters_.backend(entry.backend_slot)}) {
        line->traffic[half].packets.add(1);
        line->traffic[half].bytes.add(bytes);
    }
    packet::rewrite_plain(frame, entry.other_half(half), {entry.delta_addresses(half), entry.delta_all(half)});
    const auto* macs = reinterpret_cast<const std::uint8_t*>(&hop);
    packet::store_raw64(frame, packet::load_raw64(macs));
    packet::store_raw32(frame + 8, packet::load_raw32(macs + 8));
    transmitter_.send(hop.port, mbuf);
    return true;
}
static_assert(offsetof(snapshot::NextHop, destination_mac) == 0 && offsetof(snapshot::NextHop, source_mac) == 6);

template void Worker::forward_plain<V4>() noexcept;
template void Worker::forward_plain<V6>() noexcept;

}  // namespace guideway::worker
