// Clients' and nodes' side where they are kept apart (snapshot/side.h): VIPs are on the one, SNAT addresses on the other, and the kernel is a
// host on each, but a router on neither: it gets what is for its own addresses on the side that a packet came by.
#include <rte_mbuf.h>

#include "dataplane/flow/flow_entry.h"
#include "dataplane/worker/worker.h"

namespace guideway::worker {

using packet::PacketKind;

static_assert(snapshot::number_of(snapshot::Side::clients) == flow::kClientHalf &&
              snapshot::number_of(snapshot::Side::nodes) == flow::kBackendHalf);

/// Did the packet come by a port of another side than packets of this half of a connection come by?
bool Worker::is_astray(unsigned i, unsigned half) const noexcept {
    return apart_ && sides_[burst_.mbuf[i]->port] != half;
}

/// Of a packet to a VIP or a SNAT address: is that on the other side than the packet?
bool Worker::is_other_sides(unsigned i) const noexcept {
    if (!apart_) return false;
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    const bool to_vip = parsed.has_v4 ? forwarding_->vips.contains_v4(parsed.v4.destination)
                                      : forwarding_->vips.contains_v6(parsed.v6.destination.data());
    return is_astray(i, to_vip ? flow::kClientHalf : flow::kBackendHalf);
}

/// What has no address (LLDP), groups and neighbour discovery are of the link itself; the twin answers for its own addresses alone.
bool Worker::kernel_may_have(unsigned i) const noexcept {
    if (!apart_) return true;
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    if (!parsed.has_destination() || parsed.kind == PacketKind::arp ||
        parsed.kind == PacketKind::neighbour_solicitation) {
        return true;
    }
    const IpAddress destination = parsed.destination();
    return destination.is_multicast() || destination.is_broadcast() ||
           routing_->is_own(destination, plumbing_.ports[burst_.mbuf[i]->port].side);
}

}  // namespace guideway::worker
