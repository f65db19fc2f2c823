// What senders are told of packets that cannot go on from here, and whether pings are answered.
#include "dataplane/packet/icmp_answer.h"

#include <span>

#include <rte_mbuf.h>

#include "dataplane/worker/worker.h"

namespace guideway::worker {

using observe::DropReason;

/// The packet ends as `reason`, whether its sender is told or not; `told` counts those that are.
template <typename Build>
void Worker::tell(unsigned i, DropReason reason, observe::Count& told, Build&& build) noexcept {
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    rte_mbuf* mbuf = burst_.mbuf[i];
    if (!icmp_made_.take(now_ms_)) {
        drop(mbuf, reason);
        return;
    }
    rte_mbuf* message = rte_pktmbuf_alloc(plumbing_.pool);
    if (message == nullptr) {
        drop(mbuf, DropReason::mbuf_exhausted);
        return;
    }
    const std::span<std::uint8_t> out(rte_pktmbuf_mtod(message, std::uint8_t*), rte_pktmbuf_tailroom(message));
    const packet::Answer answer =
        build(out, rte_pktmbuf_mtod(mbuf, const std::uint8_t*), parsed, plumbing_.ports[mbuf->port].mac);
    if (!answer.built()) {
        rte_pktmbuf_free(message);
        drop(mbuf, answer.reason == DropReason::none ? reason : answer.reason);
        return;
    }
    rte_pktmbuf_append(message, static_cast<std::uint16_t>(answer.length));
    counters_.totals().answers.add(1);
    told.add(1);
    transmitter_.send(mbuf->port, message);
    drop(mbuf, reason);
}

void Worker::end_of_ttl(unsigned i) noexcept {
    tell(i, DropReason::ttl_exceeded, counters_.totals().icmp_made_time_exceeded,
         [](std::span<std::uint8_t> out, const std::uint8_t* frame, const packet::ParsedPacket& parsed,
            const packet::MacAddress& mac) noexcept { return packet::build_time_exceeded(out, frame, parsed, mac); });
}

/// Before the packet is rewritten: it is quoted as its sender knows it.
void Worker::too_big(unsigned i, std::uint32_t mtu) noexcept {
    tell(i, DropReason::packet_too_big, counters_.totals().icmp_made_too_big,
         [mtu](std::span<std::uint8_t> out, const std::uint8_t* frame, const packet::ParsedPacket& parsed,
               const packet::MacAddress& mac) noexcept {
             return packet::build_packet_too_big(out, frame, parsed, mac, mtu);
         });
}

bool Worker::echo_wanted(const packet::ParsedPacket& parsed) const noexcept {
    const Echo echo = plumbing_.settings.echo;
    if (echo == Echo::always) return true;
    const auto has = [&](const balancing::AddressSet& set) {
        return parsed.has_v4 ? set.contains_v4(parsed.v4.destination) : set.contains_v6(parsed.v6.destination.data());
    };
    if (!has(forwarding_->vips)) return true;  // a SNAT address
    return echo == Echo::while_serving && has(forwarding_->vips_serving);
}

}  // namespace guideway::worker
