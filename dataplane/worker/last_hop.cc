// Replies go back where the client's packets come from: to the router (port and source MAC) of its last packet, by ports that are so
// configured. Routers that keep the state of connections (firewalls, NAT) want to see both directions; and no route to the client is needed.
//
// The router is an index in next_hop like any other, marked kLastHop in the entry, and found in the routing snapshot by its MAC address. One
// that is no next hop there is reported to the netlink thread, which makes it one; until then, a few milliseconds, the routing table decides. Each
// client's packet is compared with the index (plain.cc: six bytes), so that a router that was replaced, or an ECMP that moved, is followed by the
// very next packet.
//
// A new routing epoch takes the looked up indices away, but leaves a last hop that means the same as before. The ageing sweep does this for
// entries without packets, so that no epoch is compared with one that is long past.
#include <cstring>

#include <rte_mbuf.h>

#include "dataplane/flow/tcp_state.h"
#include "dataplane/worker/worker.h"

namespace guideway::worker {

/// Of an entry that was looked at in another epoch.
template <typename Entry>
void Worker::renew_hops(Entry& entry) noexcept {
    const std::uint16_t back = hop_in_use(entry, flow::kBackendHalf);
    entry.next_hop = {Entry::kNoNextHop, back};
    if (back == Entry::kNoNextHop) entry.flags = static_cast<std::uint8_t>(entry.flags & ~flow::flow_flags::kLastHop);
    entry.routing_epoch = routing_->epoch;
}

/// kNoNextHop: to be looked up.
template <typename Entry>
std::uint16_t Worker::hop_in_use(const Entry& entry, unsigned half) const noexcept {
    const std::uint16_t index = entry.next_hop[half];
    if (entry.routing_epoch == routing_->epoch) return index < routing_->next_hops.size() ? index : Entry::kNoNextHop;
    const bool stays = half == flow::kBackendHalf && (entry.flags & flow::flow_flags::kLastHop) != 0 &&
                       routing_->still_means(index, entry.routing_epoch);
    return stays ? index : Entry::kNoNextHop;
}

/// Whether the client itself may have sent the packet, after advance(). Of TCP whoever sees nothing of the connection does not know the
/// sequence number (as of FIN and RST, flow/tcp_state.h); of others nothing tells.
template <typename Entry>
bool Worker::is_believed(const Entry& entry, unsigned i) const noexcept {
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    if (parsed.protocol != packet::protocol::kTcp || list_of(entry.state) != flow::FlowList::none) return true;
    if ((entry.flags & flow::flow_flags::ahead(flow::kClientHalf)) != 0) return false;
    const auto* header = rte_pktmbuf_mtod_offset(burst_.mbuf[i], const std::uint8_t*, parsed.l4_offset);
    return flow::tcp_sequence_plausible(entry.sequence[flow::kClientHalf],
                                        packet::load_be32(header + packet::tcp::kSequence));
}

/// Of a client's packet, not rewritten yet, and an entry of this epoch.
template <typename Entry>
void Worker::note_last_hop(Entry& entry, unsigned i) noexcept {
    const rte_mbuf* mbuf = burst_.mbuf[i];
    const std::uint16_t port = mbuf->port;
    std::uint16_t& back = entry.next_hop[flow::kBackendHalf];
    const bool marked = (entry.flags & flow::flow_flags::kLastHop) != 0;
    std::uint16_t found = Entry::kNoNextHop;
    if ((last_hop_ports_ >> port & 1U) != 0) {
        const auto* mac = rte_pktmbuf_mtod(mbuf, const std::uint8_t*) + sizeof(packet::MacAddress);
        if (marked && back < routing_->next_hops.size()) {
            const snapshot::NextHop& hop = routing_->next_hops[back];
            if (hop.port == port && std::memcmp(hop.destination_mac.data(), mac, hop.destination_mac.size()) == 0)
                return;
        }
        found = routing_->hop_to(port, mac);
        if (found == Entry::kNoNextHop && plumbing_.routers != nullptr) {
            HeardRouter heard{{}, port};
            std::memcpy(heard.mac.data(), mac, heard.mac.size());
            plumbing_.routers->push(heard);
        }
    }
    if (found != Entry::kNoNextHop) {
        back = found;
        entry.flags |= flow::flow_flags::kLastHop;
    } else if (marked) {
        back = Entry::kNoNextHop;
        entry.flags = static_cast<std::uint8_t>(entry.flags & ~flow::flow_flags::kLastHop);
    }
}
static_assert(snapshot::RoutingSnapshot::kNoHop == flow::FlowEntryV4::kNoNextHop);

template void Worker::renew_hops(flow::FlowEntryV4& entry) noexcept;
template void Worker::renew_hops(flow::FlowEntryV6& entry) noexcept;
template std::uint16_t Worker::hop_in_use(const flow::FlowEntryV4& entry, unsigned half) const noexcept;
template std::uint16_t Worker::hop_in_use(const flow::FlowEntryV6& entry, unsigned half) const noexcept;
template bool Worker::is_believed(const flow::FlowEntryV4& entry, unsigned i) const noexcept;
template bool Worker::is_believed(const flow::FlowEntryV6& entry, unsigned i) const noexcept;
template void Worker::note_last_hop(flow::FlowEntryV4& entry, unsigned i) noexcept;
template void Worker::note_last_hop(flow::FlowEntryV6& entry, unsigned i) noexcept;

}  // namespace guideway::worker
