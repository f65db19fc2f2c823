// Packets that no connection carries on: answered here, given to the kernel, refused, or dropped by name.
#include <cstring>
#include <span>

#include <rte_mbuf.h>
#include <rte_ring.h>

#include "dataplane/flow/tcp_state.h"
#include "dataplane/packet/announcement.h"
#include "dataplane/packet/arp_reply.h"
#include "dataplane/packet/echo_reply.h"
#include "dataplane/packet/neighbour_advertisement.h"
#include "dataplane/packet/port_unreachable.h"
#include "dataplane/packet/sctp_abort.h"
#include "dataplane/packet/tcp_reset.h"
#include "dataplane/worker/worker.h"

namespace guideway::worker {

using observe::DropReason;
using packet::PacketKind;

void Worker::drop(rte_mbuf* mbuf, DropReason reason) noexcept {
    counters_.drop(reason);
    rte_pktmbuf_free(mbuf);
}

void Worker::to_kernel(unsigned i) noexcept {
    rte_mbuf* mbuf = burst_.mbuf[i];
    if (!kernel_may_have(i)) {
        drop(mbuf, DropReason::wrong_side);
        return;
    }
    rte_ring* ring = plumbing_.to_kernel;
    if (ring == nullptr) {
        drop(mbuf, DropReason::kernel_path_full);
        return;
    }
    const KernelClass kind = kernel_class_of(burst_.parsed[i], rte_pktmbuf_mtod(mbuf, const std::uint8_t*));
    const bool admitted = kernel_budget_.admits(kind, rte_ring_count(ring), rte_ring_get_capacity(ring), now_ms_);
    if (!admitted || rte_ring_sp_enqueue(ring, mbuf) != 0) {
        drop(mbuf, KernelBudget::reason_of(kind));
        return;
    }
    counters_.totals().to_kernel.add(1);
}

bool Worker::is_ours(const packet::ParsedPacket& parsed) const noexcept {
    if (parsed.has_v4) {
        return forwarding_->vips.contains_v4(parsed.v4.destination) ||
               forwarding_->snat.contains_v4(parsed.v4.destination);
    }
    if (!parsed.has_v6) return false;
    return forwarding_->vips.contains_v6(parsed.v6.destination.data()) ||
           forwarding_->snat.contains_v6(parsed.v6.destination.data());
}

/// Who asks on this link for an address of ours is told that it is here: unless it is served on other ports alone, or left to another
/// machine for now. Then it is as any address that is not ours.
bool Worker::told_here(unsigned i) const noexcept {
    if (yielded_ == nullptr && forwarding_->vips_bound.empty()) return true;
    const IpAddress address = burst_.parsed[i].destination();
    const std::uint16_t port = burst_.mbuf[i]->port;
    return forwarding_->served_on(port, address) && (yielded_ == nullptr || !yielded_->contains(port, address));
}

void Worker::act_on_other(unsigned i) noexcept {
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    rte_mbuf* mbuf = burst_.mbuf[i];
    if (parsed.kind == PacketKind::arp || (parsed.kind == PacketKind::icmp_other && parsed.has_v6)) hear_claim(i);
    const bool question = parsed.kind == PacketKind::arp || parsed.kind == PacketKind::neighbour_solicitation;
    if (!is_ours(parsed) || (question && !told_here(i))) {
        // Where not even an address could be read there is nothing the kernel could do with it.
        if (parsed.kind == PacketKind::bad && !parsed.has_destination()) {
            drop(mbuf, parsed.reason);
        } else {
            to_kernel(i);
        }
        return;
    }
    if (is_other_sides(i)) [[unlikely]] {
        // Whoever asks for it here asks for somebody of the network here that has the same address.
        if (parsed.kind == PacketKind::arp || parsed.kind == PacketKind::neighbour_solicitation) {
            to_kernel(i);
        } else {
            drop(mbuf, DropReason::wrong_side);
        }
        return;
    }
    // ARP and neighbour discovery are judged by their builders: DAD asks from the unspecified address.
    if (!question) {
        if (const DropReason impossible = impossible_source_of_any(parsed); impossible != DropReason::none) {
            drop(mbuf, impossible);
            return;
        }
    }
    switch (parsed.kind) {
        case PacketKind::arp:
        case PacketKind::neighbour_solicitation:
            answer_in_place(i);
            return;
        case PacketKind::icmpv4_echo_request:
        case PacketKind::icmpv6_echo_request:
            if (!forwarding_->served_on(mbuf->port, parsed.destination())) {
                drop(mbuf, DropReason::vip_not_on_port);
            } else if (echo_wanted(parsed)) {
                answer_in_place(i);
            } else {
                drop(mbuf, DropReason::echo_silent);
            }
            return;
        case PacketKind::icmp_other:
            act_on_icmp(i);
            return;
        case PacketKind::fragment:
            act_on_fragment(i);
            return;
        case PacketKind::bad:
            drop(mbuf, parsed.reason);
            return;
        case PacketKind::ipv4_flow:
        case PacketKind::ipv6_flow:
            drop(mbuf, DropReason::other_station);
            return;
        default:
            drop(mbuf, DropReason::protocol_unsupported);
            return;
    }
}

/// Whatever becomes of the packet: does it say that an address of ours is somebody else's?
void Worker::hear_claim(unsigned i) noexcept {
    if (plumbing_.claims == nullptr) return;
    rte_mbuf* mbuf = burst_.mbuf[i];
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    if (parsed.kind != PacketKind::arp) {  // before a long one is copied
        if (parsed.l4_offset == 0 || parsed.l4_length() < packet::icmpv6::kNeighbourSize) return;
        const auto* type = rte_pktmbuf_mtod_offset(mbuf, const std::uint8_t*, parsed.l4_offset + packet::icmp::kType);
        if (*type != packet::icmpv6::kNeighbourAdvertisement) return;
    }
    const segments::Whole whole(mbuf, desk_);
    const auto claim = packet::claim_of(whole.bytes(), whole.length(), parsed);
    if (!claim) return;
    const bool is_vip = forwarding_->vips.contains(claim->address);
    if (!is_vip && !forwarding_->snat.contains(claim->address)) return;
    // Of another network, or on this link anybody's.
    if (is_astray(i, is_vip ? flow::kClientHalf : flow::kBackendHalf)) return;
    if (!forwarding_->served_on(mbuf->port, claim->address)) return;
    for (const WorkerPort& port : plumbing_.ports) {
        if (port.mac == claim->mac) return;  // our own, come back by a loop or a hub
    }
    plumbing_.claims->push({claim->address, claim->mac, mbuf->port});
}

void Worker::answer_in_place(unsigned i) noexcept {
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    rte_mbuf* mbuf = burst_.mbuf[i];
    const segments::Whole whole(mbuf, desk_);
    std::uint8_t* frame = whole.bytes();
    const std::uint32_t length = whole.length();
    const std::uint32_t capacity = length + (mbuf->nb_segs == 1 ? rte_pktmbuf_tailroom(mbuf) : 0U);
    const packet::MacAddress& mac = plumbing_.ports[mbuf->port].mac;

    packet::Answer answer;
    if (parsed.kind == PacketKind::arp) {
        answer = packet::build_arp_reply(frame, length, parsed, mac);
    } else if (parsed.kind == PacketKind::neighbour_solicitation) {
        answer = packet::build_neighbour_advertisement(frame, length, capacity, parsed, mac);
    } else if (plumbing_.ports[mbuf->port].mac !=
               packet::MacAddress{frame[0], frame[1], frame[2], frame[3], frame[4], frame[5]}) {
        answer.reason = DropReason::other_station;
    } else {
        answer = packet::build_echo_reply(frame, length, parsed, mac);
    }
    if (!answer.built()) {
        if (answer.reason != DropReason::none) {
            drop(mbuf, answer.reason);
        } else if (parsed.kind == PacketKind::arp || parsed.kind == PacketKind::neighbour_solicitation) {
            to_kernel(i);  // an announcement, not a question
        } else {
            drop(mbuf, DropReason::icmp_unhandled);
        }
        return;
    }
    whole.put_back();
    if (answer.length <= length) {
        segments::cut_to(mbuf, answer.length);
    } else {
        rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(answer.length - length));
    }
    counters_.drop(DropReason::answered);
    counters_.totals().answers.add(1);
    transmitter_.send(mbuf->port, mbuf);
}

void Worker::refuse(unsigned i, DropReason reason) noexcept {
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    rte_mbuf* mbuf = burst_.mbuf[i];
    refused_for_ = reason;
    // A RST is never answered: it must not use up the others' share.
    const bool is_reset = parsed.protocol == packet::protocol::kTcp && (parsed.tcp_flags & flow::tcp_flag::kRst) != 0;
    if (is_reset || !refusal_allowed(parsed)) {
        drop(mbuf, reason);
        return;
    }
    rte_mbuf* reply = rte_pktmbuf_alloc(plumbing_.pool);
    if (reply == nullptr) {
        drop(mbuf, DropReason::mbuf_exhausted);
        return;
    }
    const std::span<std::uint8_t> out(rte_pktmbuf_mtod(reply, std::uint8_t*), rte_pktmbuf_tailroom(reply));
    const segments::Whole whole(mbuf, desk_);
    const std::uint8_t* frame = whole.bytes();
    const packet::MacAddress& mac = plumbing_.ports[mbuf->port].mac;
    packet::Answer answer;
    if (parsed.protocol == packet::protocol::kTcp) {
        answer = packet::build_tcp_reset(out, frame, parsed, mac);
    } else if (parsed.protocol == packet::protocol::kUdp) {
        answer = packet::build_port_unreachable(out, frame, parsed, mac);
        if (answer.built()) counters_.totals().icmp_made_unreachable.add(1);
    } else {
        answer = packet::build_sctp_abort(out, frame, parsed, mac);
    }
    if (!answer.built()) {
        rte_pktmbuf_free(reply);
        drop(mbuf, answer.reason == DropReason::none ? reason : answer.reason);
        return;
    }
    rte_pktmbuf_append(reply, static_cast<std::uint16_t>(answer.length));
    counters_.totals().answers.add(1);
    transmitter_.send(mbuf->port, reply);
    drop(mbuf, DropReason::refused);
}

}  // namespace guideway::worker
