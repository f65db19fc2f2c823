// Where a rewritten packet goes: through a port to a MAC address, into the pending queue, or nowhere.
#include <bit>

#include <rte_mbuf.h>

#include "dataplane/packet/plain.h"
#include "dataplane/packet/rewrite.h"
#include "dataplane/worker/segments.h"
#include "dataplane/worker/worker.h"

namespace guideway::worker {

using observe::DropReason;

namespace {

/// 0..255; four multiplications less than a hash against attackers, which would only make us search.
std::size_t place_of(const IpAddress& destination, snapshot::Side side) noexcept {
    const std::uint64_t mixed = packet::load_raw64(destination.bytes.data()) ^
                                std::rotl(packet::load_raw64(destination.bytes.data() + 8), 23) ^
                                snapshot::number_of(side);
    return static_cast<std::size_t>((mixed * 0x9e3779b97f4a7c15ULL) >> 56);
}

}  // namespace

Worker::NextHop Worker::look_up_next_hop(const IpAddress& destination, std::uint64_t flow,
                                         snapshot::Side side) noexcept {
    KnownHop& known = known_hops_[place_of(destination, side)];
    if (known.view_number == view_number_ && known.destination == destination && known.side == side) {
        return {NextHop::Kind::known, known.index};
    }
    counters_.totals().next_hop_lookups.add(1);
    const snapshot::NextHopResult found = routing_->lookup(destination, flow, side);
    switch (found.kind) {
        case snapshot::NextHopResult::Kind::found:
            if (!routing_->next_hops[found.index].usable) return {NextHop::Kind::unresolved, 0};
            // Of several ways another flow to the same destination may take another.
            if (found.ways == 1) known = {destination, side, found.index, view_number_};
            return {NextHop::Kind::known, found.index};
        case snapshot::NextHopResult::Kind::unresolved:
            ask_for(found, destination);
            return {NextHop::Kind::unresolved, 0};
        default:
            return {NextHop::Kind::no_route, 0};
    }
}

/// Of several ways for all: whichever answers first serves. A full queue is no loss: the packet is reviewed again and asks again.
void Worker::ask_for(const snapshot::NextHopResult& unresolved, const IpAddress& destination) noexcept {
    if (plumbing_.resolve == nullptr) return;
    plumbing_.resolve->push(unresolved.neighbour);
    if (unresolved.ways == 1) return;
    for (const snapshot::Route& way : routing_->ways_to(destination, routing_->side_of(unresolved.neighbour.port))) {
        if (way.gateway != unresolved.neighbour.address || way.port != unresolved.neighbour.port)
            plumbing_.resolve->push({way.port, way.gateway});
    }
}

void Worker::send_to(const snapshot::NextHop& hop, rte_mbuf* mbuf, std::uint32_t l3_length) noexcept {
    if (hop.port >= transmitter_.ports() || hop.port >= routing_->ports.size()) {
        drop(mbuf, DropReason::no_route);
        return;
    }
    if (l3_length > routing_->ports[hop.port].mtu) [[unlikely]] {
        send_in_parts(hop, mbuf, l3_length, routing_->ports[hop.port].mtu);
        return;
    }
    constexpr std::uint32_t kHeader = packet::ethernet::kHeaderSize;
    if (rte_pktmbuf_pkt_len(mbuf) > kHeader + routing_->ports[hop.port].mtu) [[unlikely]]
        segments::cut_to(mbuf, kHeader + l3_length);  // padding
    packet::set_ethernet(rte_pktmbuf_mtod(mbuf, std::uint8_t*), hop.destination_mac, hop.source_mac);
    transmitter_.send(hop.port, mbuf);
}

void Worker::hold(rte_mbuf* mbuf, const IpAddress& destination, std::uint64_t flow, snapshot::Side side,
                  std::uint32_t l3_length) noexcept {
    const PendingPacket packet{mbuf, destination, flow,
                               side, l3_length,   now_ms_ + plumbing_.settings.neighbour_wait_ms};
    if (!pending_.hold(packet)) drop(mbuf, DropReason::neighbour_queue_full);
}

}  // namespace guideway::worker
