// Datagrams in fragments. Only the first fragment has ports, so only it can say which connection the datagram is of, and which worker
// owns that. Two steps, each at one worker that the fragment alone or the first names:
//
//   receive -> gather at gatherer_of(source, destination, id): overlaps, duplicates; those before the first are held
//           -> serve at the owner of the first's connection: the first goes the way of any packet and leaves behind, in the owner's
//              table, where the datagram goes; the others go there
//
// From step to step by the rings that hand over misses. One worker gathers all of a datagram and its ring to the owner keeps the
// order, so the owner has seen the first before any other. A fragment is handed over twice at most: one that was handed over to a
// worker that does not gather it is there to be served.
#include <cstring>

#include <rte_mbuf.h>
#include <rte_ring.h>

#include "dataplane/packet/fragment.h"
#include "dataplane/worker/worker.h"

namespace guideway::worker {

using observe::DropReason;
using packet::Part;

namespace {

static_assert(RTE_PKTMBUF_HEADROOM >= 14 + 60 + 8, "headers of a part, and two VLAN tags");
constexpr unsigned kMostForgottenAPoll = 32;
static_assert(sizeof(flow::FragmentTable<rte_mbuf*>::Datagram) == 672);

template <typename Address>
std::array<std::uint8_t, 16> sixteen(const Address& address) noexcept {
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &address, sizeof address);
    return bytes;
}

flow::DatagramKey key_of(const packet::ParsedPacket& parsed, std::uint32_t id) noexcept {
    flow::DatagramKey key;
    key.id = id;
    key.is_v6 = parsed.has_v6 ? 1 : 0;
    if (parsed.has_v6) {
        key.source = parsed.v6.source;
        key.destination = parsed.v6.destination;
    } else {
        key.source = sixteen(parsed.v4.source);
        key.destination = sixteen(parsed.v4.destination);
        key.protocol = parsed.protocol;
    }
    return key;
}

/// SCTP's checksum counts every byte by its distance from the end, which the first fragment does not know.
bool is_served(std::uint8_t protocol) noexcept {
    return protocol == packet::protocol::kTcp || protocol == packet::protocol::kUdp;
}

}  // namespace

/// For a VIP or SNAT address.
void Worker::act_on_fragment(unsigned i) noexcept {
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    rte_mbuf* mbuf = burst_.mbuf[i];
    const auto* frame = rte_pktmbuf_mtod(mbuf, const std::uint8_t*);
    if (std::memcmp(frame, plumbing_.ports[mbuf->port].mac.data(), sizeof(packet::MacAddress)) != 0) {
        drop(mbuf, DropReason::other_station);
        return;
    }
    const packet::Fragment piece = packet::read_fragment(frame, parsed);
    if (piece.reason != DropReason::none) {
        drop(mbuf, piece.reason);
        return;
    }
    if (parsed.has_v4 && !is_served(parsed.protocol)) {
        drop(mbuf, DropReason::fragment);
        return;
    }
    const flow::DatagramKey key = key_of(parsed, piece.id);
    const std::uint32_t gatherer = flow::gatherer_of(key, plumbing_.worker_count);
    if (gatherer == plumbing_.worker) {
        gather(i, piece, key);
    } else if (!hand_over(gatherer, mbuf)) {
        serve_fragment(i, key);
    }
}

void Worker::gather(unsigned i, const packet::Fragment& piece, const flow::DatagramKey& key) noexcept {
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    rte_mbuf* mbuf = burst_.mbuf[i];
    Fragments::Datagram* datagram = fragments_.find(key);
    if (datagram == nullptr) {
        make_room(Fragments::State::waiting);
        datagram = &fragments_.add(key, Fragments::State::waiting, now_ms_);
    }
    switch (fragments_.note(*datagram, {piece.offset, piece.length, piece.more})) {
        case Fragments::Verdict::fresh:
            break;
        case Fragments::Verdict::duplicate:
            drop(mbuf, DropReason::fragment_duplicate);
            return;
        case Fragments::Verdict::too_many:
            drop(mbuf, DropReason::fragment_too_many);
            return;
        default:
            drop_held(*datagram, DropReason::fragment_overlap);
            drop(mbuf, DropReason::fragment_overlap);
            return;
    }
    if (parsed.part == Part::first) {
        make_room(Fragments::State::settled);
        fragments_.settle(*datagram, now_ms_);
        datagram->owner = is_served(parsed.protocol) ? owner_of_first(parsed) : plumbing_.worker;
        if (is_served(parsed.protocol)) {
            pass_fragment(i, *datagram);
        } else {
            drop(mbuf, DropReason::fragment);
        }
        release_held(i, *datagram);
    } else if (datagram->state == Fragments::State::settled) {
        pass_fragment(i, *datagram);
    } else {
        hold_fragment(i, *datagram);
        return;
    }
    // Its identification may be used again at once.
    if (Fragments::complete(*datagram)) fragments_.remove(*datagram);
}

/// To the worker that owns the connection.
void Worker::pass_fragment(unsigned i, const Fragments::Datagram& datagram) noexcept {
    rte_mbuf* mbuf = burst_.mbuf[i];
    if (datagram.owner == plumbing_.worker) {
        serve_fragment(i, datagram.key);
    } else if (rte_ring_sp_enqueue(plumbing_.handover_out[datagram.owner], mbuf) != 0) {
        drop(mbuf, DropReason::handover_full);
    } else {
        counters_.totals().handed_over.add(1);
    }
}

/// In the place of the packet `i` of the burst, which is done with.
void Worker::release_held(unsigned i, Fragments::Datagram& datagram) noexcept {
    for (rte_mbuf* mbuf = nullptr; fragments_.take(datagram, mbuf);) {
        burst_.mbuf[i] = mbuf;
        parse(i);
        pass_fragment(i, datagram);
    }
}

void Worker::hold_fragment(unsigned i, Fragments::Datagram& datagram) noexcept {
    rte_mbuf* mbuf = burst_.mbuf[i];
    const std::uint32_t bytes = segments::bytes_held(mbuf);
    while (!fragments_.room_to_hold(bytes)) {
        Fragments::Datagram* oldest = fragments_.oldest(Fragments::State::waiting);
        if (oldest == &datagram) {  // all that is held is its own
            drop(mbuf, DropReason::fragment_displaced);
            return;
        }
        drop_held(*oldest, DropReason::fragment_displaced);
        fragments_.remove(*oldest);
        counters_.totals().fragments_displaced.add(1);
    }
    fragments_.hold(datagram, mbuf, bytes);
}

void Worker::drop_held(Fragments::Datagram& datagram, DropReason reason) noexcept {
    for (rte_mbuf* mbuf = nullptr; fragments_.take(datagram, mbuf);) drop(mbuf, reason);
}

void Worker::make_room(Fragments::State state) noexcept {
    while (!fragments_.room(state)) {
        Fragments::Datagram* oldest = fragments_.oldest(state);
        drop_held(*oldest, DropReason::fragment_displaced);
        fragments_.remove(*oldest);
        counters_.totals().fragments_displaced.add(1);
    }
}

template <typename Family>
std::uint32_t Worker::owner_of_any(const typename Family::Tuple& tuple) const noexcept {
    if (Family::contains(forwarding_->snat, tuple.destination)) return ownership_.of_reply(tuple);
    return owner_of(tuple, flow::selection_hash(tuple));
}

std::uint32_t Worker::owner_of_first(const packet::ParsedPacket& parsed) const noexcept {
    return parsed.has_v4 ? owner_of_any<V4>(parsed.v4) : owner_of_any<V6>(parsed.v6);
}

/// At the owner of the connection. Where another worker gathers, this one has a place for the datagram from the first fragment on until all
/// have passed: what the other lets through is neither twice nor over another.
void Worker::serve_fragment(unsigned i, const flow::DatagramKey& key) noexcept {
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    const bool gathered_elsewhere = flow::gatherer_of(key, plumbing_.worker_count) != plumbing_.worker;
    if (parsed.part == Part::first) {
        // Of an earlier datagram that did not come whole; what follows now is not its.
        if (Fragments::Datagram* old = gathered_elsewhere ? fragments_.find(key) : nullptr) fragments_.remove(*old);
        if (!is_served(parsed.protocol)) {
            drop(burst_.mbuf[i], DropReason::fragment);
        } else if (parsed.has_v4) {
            carry_first<V4>(i);
        } else {
            carry_first<V6>(i);
        }
        return;
    }
    Fragments::Datagram* datagram = fragments_.find(key);
    if (datagram == nullptr || !datagram->translated) {
        drop(burst_.mbuf[i], DropReason::fragment_orphan);
        return;
    }
    if (gathered_elsewhere) {
        const packet::Fragment piece =
            packet::read_fragment(rte_pktmbuf_mtod(burst_.mbuf[i], const std::uint8_t*), parsed);
        fragments_.note(*datagram, {piece.offset, piece.length, piece.more});
    }
    if (parsed.has_v4) {
        follow_first<V4>(i, datagram->out);
    } else {
        follow_first<V6>(i, datagram->out);
    }
    if (gathered_elsewhere && Fragments::complete(*datagram)) fragments_.remove(*datagram);
}

/// As any packet, at once: others of its datagram may stand behind it in the burst.
template <typename Family>
void Worker::carry_first(unsigned i) noexcept {
    packet::ParsedPacket& parsed = burst_.parsed[i];
    parsed.kind = parsed.has_v4 ? packet::PacketKind::ipv4_flow : packet::PacketKind::ipv6_flow;
    hash_flow(i);
    const flow::FlowRef ref = table<Family>().find(Family::tuple(parsed), burst_.hash[i]);
    if (ref && carry_on<Family>(i, ref)) return;
    foresee_service<Family>(i);
    act_on_miss<Family>(i);
}

std::uint32_t Worker::fresh_id(const flow::Translation& out, bool is_v6) noexcept {
    flow::DatagramKey pair;
    pair.source = out.source;
    pair.destination = out.destination;
    const std::uint64_t hash = flow::hash_datagram(pair, flows_v4_.keys());
    return is_v6 ? fragment_ids_.next_v6(hash) : fragment_ids_.next_v4(hash);
}

/// The first fragment of a datagram is about to be rewritten as a packet of `half`; others will go its way.
template <typename Family>
void Worker::settle_first(const typename Family::Entry& entry, unsigned half, unsigned i) noexcept {
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    auto* frame = rte_pktmbuf_mtod(burst_.mbuf[i], std::uint8_t*);
    const packet::Fragment piece = packet::read_fragment(frame, parsed);
    const flow::DatagramKey key = key_of(parsed, piece.id);
    Fragments::Datagram* datagram = fragments_.find(key);
    if (datagram == nullptr) {  // another worker gathers it
        make_room(Fragments::State::settled);
        datagram = &fragments_.add(key, Fragments::State::settled, now_ms_);
        fragments_.note(*datagram, {piece.offset, piece.length, piece.more});
    } else if (datagram->state == Fragments::State::settled) {
        fragments_.settle(*datagram, now_ms_);
    }
    const typename Family::Tuple& other = entry.other_half(half);
    flow::Translation& out = datagram->out;
    out.source = sixteen(other.destination);
    out.destination = sixteen(other.source);
    out.flow = flow::selection_hash(other);
    out.next_hop = entry.next_hop[half];
    out.routing_epoch = entry.routing_epoch;
    out.last_hop = half == flow::kBackendHalf && (entry.flags & flow::flow_flags::kLastHop) != 0;
    out.id = fresh_id(out, parsed.has_v6);
    out.half = half;
    out.service_slot = entry.service_slot;
    out.service_incarnation = entry.service_incarnation;
    out.backend_slot = entry.backend_slot;
    out.backend_incarnation = entry.backend_incarnation;
    datagram->translated = true;
    packet::set_fragment_id(frame, parsed, out.id);
}

template <typename Family>
void Worker::follow_first(unsigned i, const flow::Translation& out) noexcept {
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    rte_mbuf* mbuf = burst_.mbuf[i];
    if (parsed.ttl <= 1) {
        drop(mbuf, DropReason::ttl_exceeded);  // no ICMP error about a later fragment (RFC 1122 3.2.2)
        return;
    }
    if (forwarding_->some_packet_limits && out.half == flow::kClientHalf &&
        forwarding_->service_incarnation[out.service_slot] == out.service_incarnation &&
        over_packet_limit(static_cast<std::uint16_t>(out.service_slot))) {
        drop(mbuf, DropReason::service_packets_limited);
        return;
    }
    typename Family::Tuple to{};
    std::memcpy(&to.source, out.source.data(), sizeof to.source);
    std::memcpy(&to.destination, out.destination.data(), sizeof to.destination);
    const IpAddress destination = packet::to_contract(to.destination);
    const bool as_first = out.last_hop
                              ? routing_->still_means(out.next_hop, out.routing_epoch)
                              : out.routing_epoch == routing_->epoch && out.next_hop < routing_->next_hops.size();
    const snapshot::Side side = snapshot::side_beyond(out.half);
    const NextHop hop =
        as_first ? NextHop{NextHop::Kind::known, out.next_hop} : look_up_next_hop(destination, out.flow, side);
    if (hop.kind == NextHop::Kind::no_route) {
        drop(mbuf, DropReason::no_route);
        return;
    }
    const std::uint32_t bytes = rte_pktmbuf_pkt_len(mbuf);
    if (forwarding_->service_incarnation[out.service_slot] == out.service_incarnation) {
        counters_.service(out.service_slot).traffic[out.half].add(bytes);
    }
    const bool same_backend = forwarding_->backend_incarnation[out.backend_slot] == out.backend_incarnation;
    counters_.backend(same_backend ? out.backend_slot : stray_backend_slot_).traffic[out.half].add(bytes);
    counters_.totals().fragments_forwarded.add(1);
    auto* frame = rte_pktmbuf_mtod(mbuf, std::uint8_t*);
    packet::rewrite_following(frame, parsed, to, out.id);
    if (const std::uint32_t cut = packet::strip_vlan(frame, parsed); cut != 0) {
        rte_pktmbuf_adj(mbuf, static_cast<std::uint16_t>(cut));
    }
    if (hop.kind == NextHop::Kind::known) {
        send_to(routing_->next_hops[hop.index], mbuf, parsed.l3_length);
    } else {
        hold(mbuf, destination, out.flow, side, parsed.l3_length);
    }
}

void Worker::review_fragments() noexcept {
    const FragmentSettings& settings = plumbing_.settings.fragments;
    for (unsigned n = 0; n < kMostForgottenAPoll; ++n) {
        Fragments::Datagram* waiting = fragments_.oldest(Fragments::State::waiting);
        if (waiting == nullptr || now_ms_ - waiting->since_ms < settings.hold_milliseconds) break;
        drop_held(*waiting, DropReason::fragment_timed_out);
        fragments_.remove(*waiting);
    }
    for (unsigned n = 0; n < kMostForgottenAPoll; ++n) {
        Fragments::Datagram* settled = fragments_.oldest(Fragments::State::settled);
        if (settled == nullptr || now_ms_ - settled->since_ms < settings.remember_milliseconds) break;
        fragments_.remove(*settled);
    }
}

/// A packet ready to leave, larger than the port's MTU. IPv4 without DF is cut (RFC 791 3.2), others end here.
void Worker::send_in_parts(const snapshot::NextHop& hop, rte_mbuf* mbuf, std::uint32_t l3_length,
                           std::uint32_t mtu) noexcept {
    std::uint8_t* ip = rte_pktmbuf_mtod(mbuf, std::uint8_t*) + packet::ethernet::kHeaderSize;
    const std::uint16_t place = packet::load_be16(ip + packet::ipv4::kFragment);
    const bool is_v4 = ip[packet::ipv4::kVersionIhl] >> 4 == 4;
    if (!is_v4 || (place & packet::ipv4::kDontFragment) != 0) {
        drop(mbuf, DropReason::packet_too_big);
        return;
    }
    const packet::PartPlan plan = packet::plan_parts(ip, l3_length, mtu);
    if (plan.parts == 0) {
        drop(mbuf, DropReason::fragmentation_wanted);
        return;
    }
    // Of a fragment the identification is ours already. The reserved bit says nothing (RFC 791).
    if ((place & (packet::ipv4::kMoreFragments | packet::ipv4::kFragmentOffset)) == 0) {
        flow::Translation between;
        std::memcpy(between.source.data(), ip + packet::ipv4::kSource, 4);
        std::memcpy(between.destination.data(), ip + packet::ipv4::kDestination, 4);
        packet::store_be16(ip + packet::ipv4::kIdentification, static_cast<std::uint16_t>(fresh_id(between, false)));
    }
    packet::set_ethernet(ip - packet::ethernet::kHeaderSize, hop.destination_mac, hop.source_mac);
    // The data, in as many buffers as they take, then the headers in front.
    std::array<rte_mbuf*, packet::kMostParts> parts;
    for (std::uint32_t part = 1; part < plan.parts; ++part) {
        rte_mbuf* copy =
            plumbing_.pool == nullptr
                ? nullptr
                : rte_pktmbuf_copy(mbuf, plumbing_.pool,
                                   packet::ethernet::kHeaderSize + plan.header + plan.offset(part), plan.length(part));
        if (copy == nullptr) {
            rte_pktmbuf_free_bulk(parts.data(), part - 1);
            drop(mbuf, DropReason::mbuf_exhausted);
            return;
        }
        auto* out = reinterpret_cast<std::uint8_t*>(
            rte_pktmbuf_prepend(copy, static_cast<std::uint16_t>(packet::ethernet::kHeaderSize + plan.later_header)));
        std::memcpy(out, ip - packet::ethernet::kHeaderSize, packet::ethernet::kHeaderSize);
        packet::write_part_header({out + packet::ethernet::kHeaderSize, plan.later_header}, ip, plan, part);
        parts[part - 1] = copy;
    }
    packet::write_first_part(ip, plan);
    segments::cut_to(mbuf, packet::ethernet::kHeaderSize + plan.packet(0));
    counters_.totals().packets_cut.add(1);
    counters_.totals().parts_made.add(plan.parts - 1);
    transmitter_.send(hop.port, mbuf);
    for (std::uint32_t part = 1; part < plan.parts; ++part) transmitter_.send(hop.port, parts[part - 1]);
    transmitter_.prepare(burst_.count);  // plain packets behind this one in the burst send without asking for room
}

template void Worker::settle_first<V4>(const V4::Entry& entry, unsigned half, unsigned i) noexcept;
template void Worker::settle_first<V6>(const V6::Entry& entry, unsigned half, unsigned i) noexcept;

}  // namespace guideway::worker
