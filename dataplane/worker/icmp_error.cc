// ICMP errors for VIPs and SNAT addresses: what they quote went out from here as a connection's packet, so its sender is told, in
// its own terms (packet/icmp_error.h). A connection's state, age and next hops stay as they are: whoever knows an address pair and
// guesses ports could send them (RFC 5927).
#include "dataplane/packet/icmp_error.h"

#include <rte_mbuf.h>

#include "dataplane/flow/tcp_state.h"
#include "dataplane/worker/worker.h"

namespace guideway::worker {

using observe::DropReason;

void Worker::act_on_icmp(unsigned i) noexcept {
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    rte_mbuf* mbuf = burst_.mbuf[i];
    const segments::Whole whole(mbuf, desk_);
    const std::uint8_t* frame = whole.bytes();
    if (std::memcmp(frame, plumbing_.ports[mbuf->port].mac.data(), sizeof(packet::MacAddress)) != 0) {
        drop(mbuf, DropReason::other_station);
        return;
    }
    const packet::IcmpError error = packet::read_icmp_error(frame, parsed);
    if (error.reason != DropReason::none) {
        drop(mbuf, error.reason);
    } else if (parsed.has_v4) {
        forward_icmp_error<V4>(i, error);
    } else {
        forward_icmp_error<V6>(i, error);
    }
}

/// Why the error is not passed on, none where it is. `half` is the side it comes from.
template <typename Family>
DropReason Worker::doubt(const typename Family::Entry& entry, unsigned half,
                         const packet::IcmpError& error) const noexcept {
    if (forwarding_->service_incarnation[entry.service_slot] != entry.service_incarnation ||
        list_of(entry.state) == flow::FlowList::closed ||
        (forwarding_->some_end && course_of_any<Family>(entry) != Course::on)) {
        return DropReason::icmp_unmatched;  // it is over
    }
    // During the handshake no sequence number is known; that is short.
    const bool tracked = list_of(entry.state) == flow::FlowList::none;
    if (error.protocol == packet::protocol::kTcp && tracked &&
        !flow::tcp_quote_plausible(entry.sequence[half ^ 1], error.sequence)) {
        return DropReason::icmp_doubtful;
    }
    return DropReason::none;
}

template <typename Family>
void Worker::forward_icmp_error(unsigned i, const packet::IcmpError& error) noexcept {
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    rte_mbuf* mbuf = burst_.mbuf[i];
    auto& flows = table<Family>();
    const typename Family::Tuple from = Family::flow(error);
    const flow::FlowRef ref = flows.find(from, flows.hash(from));
    if (!ref) {
        const std::uint32_t owner = Family::contains(forwarding_->snat, from.destination)
                                        ? ownership_.of_reply(from)
                                        : owner_of(from, flow::selection_hash(from));
        if (!hand_over(owner, mbuf)) drop(mbuf, DropReason::icmp_unmatched);
        return;
    }
    const auto& entry = flows.entry(ref.index());
    const unsigned half = ref.half();
    DropReason reason = is_astray(i, half) ? DropReason::wrong_side : doubt<Family>(entry, half, error);
    if (reason == DropReason::none && parsed.ttl <= 1) reason = DropReason::ttl_exceeded;  // no error about an error
    if (reason == DropReason::none && !icmp_forwarded_.take(now_ms_)) reason = DropReason::icmp_limited;
    if (reason != DropReason::none) {
        drop(mbuf, reason);
        return;
    }

    const typename Family::Tuple& sent = entry.other_half(half);
    NextHop hop{NextHop::Kind::known, hop_in_use(entry, half)};
    if (hop.index == flow::FlowEntryV4::kNoNextHop) {
        hop =
            look_up_next_hop(packet::to_contract(sent.source), flow::selection_hash(sent), snapshot::side_beyond(half));
    }
    if (hop.kind == NextHop::Kind::no_route) {
        drop(mbuf, DropReason::no_route);
        return;
    }
    const segments::Whole whole(mbuf, desk_);
    packet::translate_icmp_error(whole.bytes(), parsed, error, sent,
                                 {entry.delta_addresses(half), entry.delta_all(half)});
    whole.put_back();
    if (const std::uint32_t cut = packet::strip_vlan(rte_pktmbuf_mtod(mbuf, std::uint8_t*), parsed); cut != 0) {
        rte_pktmbuf_adj(mbuf, static_cast<std::uint16_t>(cut));
    }
    counters_.totals().icmp_forwarded[static_cast<std::size_t>(error.kind)].add(1);
    if (hop.kind == NextHop::Kind::known) {
        send_to(routing_->next_hops[hop.index], mbuf, parsed.l3_length);
    } else {
        hold(mbuf, packet::to_contract(sent.source), flow::selection_hash(sent), snapshot::side_beyond(half),
             parsed.l3_length);
    }
}

}  // namespace guideway::worker
