// MSS clamping, where the configuration wants it: SYN and SYN-ACK of both directions, before they are rewritten.
#include <algorithm>

#include <rte_mbuf.h>

#include "dataplane/packet/mss_clamp.h"
#include "dataplane/worker/worker.h"

namespace guideway::worker {

void Worker::clamp_segments(unsigned i, NextHop out) noexcept {
    const MssClamp& clamp = plumbing_.settings.mss_clamp;
    if (!clamp.on()) return;
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    std::uint32_t largest = clamp.largest != 0 ? clamp.largest : 0xffff;
    if (clamp.by_mtu) {
        const auto& ports = routing_->ports;
        std::uint32_t mtu = 0xffff;
        const std::uint16_t in = burst_.mbuf[i]->port;
        if (in < ports.size()) mtu = ports[in].mtu;
        if (out.kind == NextHop::Kind::known) {
            const std::uint32_t way_out = routing_->next_hops[out.index].mtu;
            if (way_out != 0) mtu = std::min(mtu, way_out);
        } else {
            // Which port it will be is not known yet: what fits all of them.
            for (const snapshot::PortState& port : ports) mtu = std::min<std::uint32_t>(mtu, port.mtu);
        }
        largest = std::min<std::uint32_t>(largest, packet::largest_segment(mtu, parsed.has_v4));
    }
    auto* frame = rte_pktmbuf_mtod(burst_.mbuf[i], std::uint8_t*);
    if (packet::clamp_mss(frame, parsed, static_cast<std::uint16_t>(largest))) counters_.totals().mss_clamped.add(1);
}

}  // namespace guideway::worker
