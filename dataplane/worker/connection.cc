// Packets of connections: known ones are forwarded, unknown ones open a connection, go to their owner, or are refused.
#include <cstring>

#include <rte_mbuf.h>
#include <rte_ring.h>

#include "dataplane/flow/tcp_state.h"
#include "dataplane/packet/checksum.h"
#include "dataplane/packet/icmp_answer.h"
#include "dataplane/packet/unfinished_checksum.h"
#include "dataplane/worker/worker.h"

namespace guideway::worker {
namespace {

using flow::ConnectionState;
using observe::DropReason;
namespace protocol = packet::protocol;

constexpr std::uint16_t kNoNextHop = flow::FlowEntryV4::kNoNextHop;

/// How long a draining backend may leave a UDP client without an answer before the client's next packet goes elsewhere.
constexpr std::uint32_t kDrainingSilenceSeconds = 5;

/// Notes when the client's oldest unanswered packet was sent, and not those after it: they would keep the entry alive.
template <typename Entry>
void watch(Entry& entry, unsigned half, std::uint32_t now_s) {
    constexpr std::uint8_t kAwaits = flow::flow_flags::kAwaitsAnswer;
    if (half == flow::kClientHalf && (entry.flags & kAwaits) != 0) return;
    entry.flags = static_cast<std::uint8_t>(half == flow::kClientHalf ? entry.flags | kAwaits : entry.flags & ~kAwaits);
    entry.last_seen = now_s;
}

bool l4_verified(const rte_mbuf* mbuf) {
    return (mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD;
}

ConnectionState opening_state(std::uint8_t number) {
    if (number == protocol::kTcp) return ConnectionState::tcp_opening;
    return number == protocol::kUdp ? ConnectionState::udp_one_way : ConnectionState::sctp_opening;
}

bool opens_connection(const packet::ParsedPacket& parsed) {
    if (parsed.protocol == protocol::kTcp) return flow::tcp_opens(parsed.tcp_flags);
    return parsed.protocol == protocol::kUdp || flow::sctp_opens(parsed.sctp_chunk);
}

}  // namespace

template <typename Family>
void Worker::act_on_flow(unsigned i) noexcept {
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    const rte_mbuf* mbuf = burst_.mbuf[i];
    if (std::memcmp(rte_pktmbuf_mtod(mbuf, const std::uint8_t*), plumbing_.ports[mbuf->port].mac.data(), 6) != 0)
        [[unlikely]] {
        act_on_other(i);
        return;
    }
    // Not from an earlier stage: a packet before this one in the burst may have ended the connection.
    const flow::FlowRef ref = table<Family>().find(Family::tuple(parsed), burst_.hash[i]);
    if (!ref || !carry_on<Family>(i, ref)) burst_.misses.add(i);
}

/// A packet of the connection `ref`, unless that is over: then false, and nothing was done.
template <typename Family>
bool Worker::carry_on(unsigned i, flow::FlowRef ref) noexcept {
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    if (is_astray(i, ref.half())) [[unlikely]] {
        drop(burst_.mbuf[i], DropReason::wrong_side);
        return true;
    }
    auto& entry = table<Family>().entry(ref.index());
    const Course course = course_of<Family>(entry, ref.half(), parsed);
    if (course >= Course::over) return false;
    if (forwarding_->some_packet_limits && ref.half() == flow::kClientHalf && over_packet_limit(entry.service_slot))
        [[unlikely]] {
        drop(burst_.mbuf[i], DropReason::service_packets_limited);
        return true;
    }
    if (parsed.ttl <= 1) [[unlikely]] {
        end_of_ttl(i);
        return true;
    }
    advance<Family>(ref, i, course);
    forward<Family>(entry, ref.half(), i, course);
    return true;
}

/// First of three steps of a miss, each over all misses of the burst: asks the memory for the place of the service's choice.
template <typename Family>
void Worker::foresee_service(unsigned i) noexcept {
    auto& flows = table<Family>();
    const auto& tuple = Family::tuple(burst_.parsed[i]);
    Opening& opening = burst_.opening[i];
    opening.service = opens_connection(burst_.parsed[i]) ? Family::find(forwarding_->services, tuple) : nullptr;
    flows.prefetch_next_entry();
    if (const flow::FlowRef over = flows.find(tuple, burst_.hash[i])) flows.prefetch_for_erase(over);
    if (opening.service == nullptr) return;
    opening.selection = flow::selection_hash(tuple);
    const bool affinity = opening.service->affinity_seconds != 0;
    if (affinity && affinity_ != nullptr) {
        const std::uint64_t place = affinity_->hash(affinity_key(tuple));
        for (const flow::AffinityTable& clients : plumbing_.affinity) clients.prefetch(place);
    }
    forwarding_->sets[opening.service->backend_set].table->prefetch(
        flow::choice_hash(tuple, opening.selection, affinity));
}

/// Second: for the bucket of the reply's tuple, if the first port that is looked at will do.
template <typename Family>
void Worker::foresee_reply(unsigned i) noexcept {
    const Opening& opening = burst_.opening[i];
    if (opening.service == nullptr) return;
    const auto* backend = choose<Family>(*opening.service, opening.selection, Family::tuple(burst_.parsed[i])).backend;
    if (backend == nullptr) return;
    const auto reply =
        snat_ports_.first_candidate(reply_of<Family>(*opening.service, *backend, burst_.parsed[i].protocol),
                                    Family::snat(*forwarding_), burst_.hash[i]);
    if (reply) table<Family>().prefetch_bucket(table<Family>().hash(*reply));
}

/// All of a reply's tuple but its destination.
template <typename Family>
typename Family::Tuple Worker::reply_of(const balancing::ServiceEntry& service, const balancing::BackendEntry& backend,
                                        std::uint8_t protocol) const noexcept {
    typename Family::Tuple reply{};
    reply.source = Family::address(backend.address);
    reply.source_port = backend.port_be != 0 ? backend.port_be : service.backend_port_be;
    reply.protocol = protocol;
    return reply;
}

/// Third.
template <typename Family>
void Worker::act_on_miss(unsigned i) noexcept {
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    auto& flows = table<Family>();
    // Again: a miss before this one may have opened the connection.
    if (const flow::FlowRef ref = flows.find(Family::tuple(parsed), burst_.hash[i])) {
        if (carry_on<Family>(i, ref)) return;
        count_end(course_of<Family>(flows.entry(ref.index()), ref.half(), parsed));
        flows.erase(ref.index());
        if (ref.half() == flow::kClientHalf &&
            !Family::contains(forwarding_->vips, Family::tuple(parsed).destination)) {
            // Its service was the last of its VIP. The kernel, which knows no such address, would leave the client hanging.
            refuse(i, DropReason::port_closed);
            return;
        }
    }
    connect<Family>(i);
}

/// The entry's backend in its service's set; null where that has it no longer. Of an entry whose service is there.
template <typename Family>
const balancing::Member* Worker::member_of(const typename Family::Entry& entry) const noexcept {
    const snapshot::ServiceRules& rules = forwarding_->service_rules[entry.service_slot];
    return forwarding_->sets[rules.backend_set].member(entry.backend_slot, entry.backend_incarnation);
}

/// Connections of any protocol end where the client is shut out, or the backend's time to drain is over.
template <typename Family>
Worker::Course Worker::course_of_any(const typename Family::Entry& entry) const noexcept {
    const guard::SourceRanges* ranges = forwarding_->service_rules[entry.service_slot].established;
    if (ranges != nullptr && !ranges->allows(entry.halves[flow::kClientHalf].source)) return Course::over_ranges;
    return is_closed(entry) ? Course::over_closed : Course::on;
}

void Worker::count_end(Course course) noexcept {
    observe::WorkerTotals& totals = counters_.totals();
    if (course == Course::over_closed) totals.ended_closed.add(1);
    if (course == Course::over_ranges) totals.ended_ranges.add(1);
    if (course == Course::elsewhere) totals.udp_redecided.add(1);
}

/// Over is a connection that ended with its service or as above, whose client opens another on the same ports, or whose backend
/// left the set and the next packet may go elsewhere: of UDP any, of TCP a SYN that was never answered.
template <typename Family>
Worker::Course Worker::course_of(typename Family::Entry& entry, unsigned half,
                                 const packet::ParsedPacket& parsed) noexcept {
    if (forwarding_->service_incarnation[entry.service_slot] != entry.service_incarnation) return Course::over;
    const bool known_good = entry.looked_over == look_;
    if (forwarding_->some_end && !known_good) [[unlikely]] {
        if (const Course course = course_of_any<Family>(entry); course != Course::on) return course;
    }
    const auto over_if = [](bool over) { return over ? Course::over : Course::on; };
    switch (parsed.protocol) {
        case protocol::kTcp:
            if (entry.state == ConnectionState::tcp_opening && flow::tcp_opens(parsed.tcp_flags))
                return over_if(half == flow::kClientHalf && member_of<Family>(entry) == nullptr);
            return over_if(flow::tcp_opens_anew(entry.state, half, parsed.tcp_flags));
        case protocol::kUdp:
            return known_good ? Course::on : course_of_udp<Family>(entry, half);
        default:
            return over_if(flow::sctp_opens_anew(entry.state, half, parsed.sctp_chunk));
    }
}

/// A client that keeps its port must not keep alive what leads nowhere (Kubernetes rule 16): what its own packets say does not
/// count where the backend left the set, nor for long where that drains and says nothing.
template <typename Family>
Worker::Course Worker::course_of_udp(typename Family::Entry& entry, unsigned half) noexcept {
    const balancing::Member* member = member_of<Family>(entry);
    if (member != nullptr && !member->draining) [[likely]] {
        if ((entry.flags & flow::flow_flags::kAwaitsAnswer) != 0)
            entry.flags = static_cast<std::uint8_t>(entry.flags & ~flow::flow_flags::kAwaitsAnswer);
        return Course::on;
    }
    if (half != flow::kClientHalf) return Course::watched;
    const bool silent = (entry.flags & flow::flow_flags::kAwaitsAnswer) != 0 &&
                        flow::idle_longer_than(now_s_, entry.last_seen, kDrainingSilenceSeconds - 1);
    return member != nullptr && !silent ? Course::watched : Course::elsewhere;
}

template <typename Family>
void Worker::advance(flow::FlowRef ref, unsigned i, Course course) noexcept {
    auto& flows = table<Family>();
    auto& entry = flows.entry(ref.index());
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    if (course == Course::watched) [[unlikely]] {
        watch(entry, ref.half(), now_s_);
    } else {
        entry.touch(now_s_);
    }
    if (parsed.protocol == protocol::kTcp) {
        advance_tcp<Family>(ref, i);
        return;
    }
    const ConnectionState next = parsed.protocol == protocol::kUdp
                                     ? flow::udp_advance(entry.state, ref.half())
                                     : flow::sctp_advance(entry.state, ref.half(), parsed.sctp_chunk);
    if (next == entry.state) return;
    flows.set_state(ref.index(), next);
    entry.looked_over = 0;
}

template <typename Family>
void Worker::advance_tcp(flow::FlowRef ref, unsigned i) noexcept {
    auto& flows = table<Family>();
    auto& entry = flows.entry(ref.index());
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    const unsigned half = ref.half();
    const std::uint8_t* header = rte_pktmbuf_mtod(burst_.mbuf[i], const std::uint8_t*) + parsed.l4_offset;
    const std::uint32_t next_sequence = packet::next_sequence(header, parsed.l4_length());

    std::uint8_t flags = parsed.tcp_flags;
    const bool tracked = list_of(entry.state) == flow::FlowList::none;
    constexpr std::uint8_t kEnds = flow::tcp_flag::kFin | flow::tcp_flag::kRst;
    if (tracked && (flags & kEnds) != 0 &&
        !flow::tcp_sequence_plausible(entry.sequence[half], packet::load_be32(header + packet::tcp::kSequence))) {
        // Passed on, for the ends to judge; not believed.
        counters_.totals().doubtful_ends.add(1);
        flags = static_cast<std::uint8_t>(flags & ~kEnds);
    } else if (tracked && !entry.track_sequence(half, next_sequence)) {
        // Not believed at once: who sees nothing of the connection could name a place here and reset it there. The other side's
        // acknowledgement tells; until then nothing of this connection goes the plain way.
        entry.flags |= flow::flow_flags::ahead(half);
        entry.looked_over = 0;
    }
    if (tracked && (entry.flags & flow::flow_flags::ahead(half ^ 1)) != 0 && (flags & flow::tcp_flag::kAck) != 0) {
        const std::uint32_t acknowledged = packet::load_be32(header + packet::tcp::kAcknowledgement);
        if (acknowledged - entry.sequence[half ^ 1] < 0x80000000U) entry.sequence[half ^ 1] = acknowledged;
        entry.flags = static_cast<std::uint8_t>(entry.flags & ~flow::flow_flags::ahead(half ^ 1));
    }
    const flow::Progress next = flow::tcp_advance({entry.state, entry.flags}, half, flags);
    if (next.flags != entry.flags) entry.flags = next.flags;
    if (next.state == entry.state) return;
    flows.set_state(ref.index(), next.state);
    entry.looked_over = 0;
    if (!tracked && list_of(next.state) == flow::FlowList::none) {
        // From here on both sides are tracked; this packet knows of both.
        entry.flags = static_cast<std::uint8_t>(entry.flags & ~flow::flow_flags::kAnyAhead);
        entry.sequence[half] = next_sequence;
        entry.sequence[half ^ 1] = packet::load_be32(header + packet::tcp::kAcknowledgement);
    }
}

template <typename Family>
void Worker::forward(typename Family::Entry& entry, unsigned half, unsigned i, Course course) noexcept {
    rte_mbuf* mbuf = burst_.mbuf[i];
    const packet::ParsedPacket& parsed = burst_.parsed[i];

    const bool same_backend = forwarding_->backend_incarnation[entry.backend_slot] == entry.backend_incarnation;
    observe::SlotCounters& service = counters_.service(entry.service_slot);
    observe::SlotCounters& backend = counters_.backend(same_backend ? entry.backend_slot : stray_backend_slot_);
    const std::uint32_t bytes = rte_pktmbuf_pkt_len(mbuf);
    service.traffic[half].add(bytes);
    backend.traffic[half].add(bytes);

    const typename Family::Tuple& other = entry.other_half(half);
    if (entry.routing_epoch != routing_->epoch) [[unlikely]]
        renew_hops(entry);
    if (last_hop_ports_ != 0 && half == flow::kClientHalf && is_believed(entry, i)) note_last_hop(entry, i);
    NextHop hop{NextHop::Kind::known, entry.next_hop[half]};
    if (hop.index >= routing_->next_hops.size()) [[unlikely]] {
        hop = look_up_next_hop(packet::to_contract(other.source), flow::selection_hash(other),
                               snapshot::side_beyond(half));
        if (hop.kind == NextHop::Kind::no_route) {
            drop(mbuf, DropReason::no_route);
            return;
        }
        if (hop.kind == NextHop::Kind::known) entry.next_hop[half] = hop.index;
    }
    if (same_backend && course == Course::on && flow::IdleLimits::is_steady(entry.state) &&
        entry.looked_over != look_ && (entry.flags & flow::flow_flags::kAnyAhead) == 0 &&
        forwarding_->service_rules[entry.service_slot].packets_per_second == 0) {
        entry.looked_over = look_;  // course_of() has seen to the service and the set; later packets go plain.cc's way
    }

    auto* frame = rte_pktmbuf_mtod(mbuf, std::uint8_t*);
    if (hop.kind == NextHop::Kind::known) [[likely]] {
        const std::uint32_t mtu = routing_->next_hops[hop.index].mtu;  // 0: no such port, send_to() sees to it
        if (parsed.l3_length > mtu && mtu != 0 && !packet::may_be_fragmented(frame, parsed)) [[unlikely]] {
            too_big(i, mtu);
            return;
        }
    }
    if (parsed.part == packet::Part::first) [[unlikely]]
        settle_first<Family>(entry, half, i);
    if (parsed.protocol == protocol::kTcp && (parsed.tcp_flags & flow::tcp_flag::kSyn) != 0) clamp_segments(i, hop);

    const packet::ChecksumDelta delta{entry.delta_addresses(half), entry.delta_all(half)};
    if (parsed.protocol == protocol::kSctp && mbuf->nb_segs != 1) [[unlikely]] {  // its checksum is over all, made anew
        const segments::Whole whole(mbuf, desk_);
        Family::rewrite(whole.bytes(), parsed, packet::swapped(other), delta);
        whole.put_back();
    } else {
        Family::rewrite(frame, parsed, packet::swapped(other), delta);
    }
    if (const std::uint32_t cut = packet::strip_vlan(frame, parsed); cut != 0) [[unlikely]] {
        rte_pktmbuf_adj(mbuf, static_cast<std::uint16_t>(cut));
    }
    if (hop.kind == NextHop::Kind::known) [[likely]] {
        send_to(routing_->next_hops[hop.index], mbuf, parsed.l3_length);
    } else {
        hold(mbuf, packet::to_contract(other.source), flow::selection_hash(other), snapshot::side_beyond(half),
             parsed.l3_length);
    }
}

/// A packet of no connection in this worker's table.
template <typename Family>
void Worker::connect(unsigned i) noexcept {
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    rte_mbuf* mbuf = burst_.mbuf[i];
    const typename Family::Tuple& tuple = Family::tuple(parsed);

    const Opening& opening = burst_.opening[i];
    const bool to_snat = opening.service == nullptr && Family::contains(forwarding_->snat, tuple.destination);
    if (opening.service == nullptr && !to_snat && !Family::contains(forwarding_->vips, tuple.destination)) {
        // Of a VIP that is no more? Only the owner can tell, by a connection that it still knows.
        const bool under_way = parsed.protocol == protocol::kTcp && !opens_connection(parsed);
        if (under_way && hand_over(owner_of(tuple, flow::selection_hash(tuple)), mbuf)) return;
        to_kernel(i);
        return;
    }
    if (is_astray(i, to_snat ? flow::kBackendHalf : flow::kClientHalf)) [[unlikely]] {
        drop(mbuf, DropReason::wrong_side);
        return;
    }
    if (const DropReason impossible = impossible_source<Family>(parsed); impossible != DropReason::none) [[unlikely]] {
        drop(mbuf, impossible);
        return;
    }
    if (to_snat) {
        if (!hand_over(ownership_.of_reply(tuple), mbuf)) drop(mbuf, DropReason::reply_unknown);
        return;
    }
    const balancing::ServiceEntry* service = opening.service;
    std::uint64_t selection = opening.selection;
    if (service == nullptr) {
        service = Family::find(forwarding_->services, tuple);
        selection = flow::selection_hash(tuple);
    }
    if (service != nullptr && hand_over(owner_of(tuple, selection), mbuf)) return;
    // Not before: to the owner it may be of a known connection, which goes on by whichever port its packets come.
    if (!forwarding_->vips_bound.empty() && !forwarding_->served_on(mbuf->port, parsed.destination())) [[unlikely]] {
        drop(mbuf, DropReason::vip_not_on_port);
        return;
    }
    if (const DropReason unroutable = source_check(i); unroutable != DropReason::none) [[unlikely]] {
        drop(mbuf, unroutable);
        return;
    }
    if (service == nullptr) {
        refuse(i, DropReason::port_closed);
        return;
    }
    if (service->source_ranges != nullptr && !service->source_ranges->allows(tuple.source)) [[unlikely]] {
        // Without a word, as kube-proxy does: whoever is shut out is not told that there is something.
        counters_.service(service->slot).source_not_allowed.add(1);
        drop(mbuf, DropReason::source_not_allowed);
        return;
    }
    if (parsed.ttl <= 1) {
        end_of_ttl(i);
    } else if (!opens_connection(parsed)) {
        refuse(i, DropReason::no_connection);
    } else if (parsed.part == packet::Part::whole && !l4_verified(mbuf) &&
               !packet::l4_checksum_ok(segments::Whole(mbuf, desk_).bytes(), parsed)) {
        // A damaged packet must not choose a backend; later ones of the connection the ends judge themselves. So of fragments:
        // no checksum tells before all are there.
        drop(mbuf, DropReason::l4_checksum_bad);
    } else {
        const DropReason over = service->limits.any() ? over_limits<Family>(*service, tuple) : DropReason::none;
        if (over != DropReason::none) [[unlikely]] {
            drop(mbuf, over);  // without a word: who floods is not told to go on
            return;
        }
        open<Family>(*service, selection, i);
    }
}

/// Of a new connection: by its five-tuple, or, with session affinity, by what is remembered of its client.
template <typename Family>
AffinityChoice Worker::choose(const balancing::ServiceEntry& service, std::uint64_t selection,
                              const typename Family::Tuple& client) const noexcept {
    const balancing::BackendSet& set = forwarding_->sets[service.backend_set];
    if (service.affinity_seconds != 0)
        return choose_by_affinity(plumbing_.affinity, set, service.affinity_seconds, client, now_s_);
    AffinityChoice choice;
    choice.backend = set.choose(flow::maglev_hash(selection));
    return choice;
}

/// The client of a service with affinity has opened a connection.
template <typename Tuple>
void Worker::remember(const balancing::ServiceEntry& service, const AffinityChoice& choice,
                      const Tuple& client) noexcept {
    using Why = AffinityChoice::Why;
    using Stored = flow::AffinityTable::Stored;
    if (affinity_ == nullptr) return;
    const balancing::BackendSet& set = forwarding_->sets[service.backend_set];
    const flow::AffinityKey key = affinity_key(client);
    const Stored how =
        affinity_->remember(key, affinity_->hash(key), affinity_backend(*choice.backend), service.affinity_seconds,
                            static_cast<std::uint16_t>(choice.backend - set.backends.data()), choice.opened_s);
    observe::WorkerTotals& totals = counters_.totals();
    if (choice.why == Why::remembered) totals.affinity_remembered.add(1);
    if (choice.why == Why::backend_gone) totals.affinity_moved.add(1);
    if (how == Stored::displaced) totals.affinity_displaced.add(1);
    if (how == Stored::after_over || (how == Stored::refreshed && choice.why == Why::over))
        totals.affinity_timed_out.add(1);
}

template <typename Family>
void Worker::open(const balancing::ServiceEntry& service, std::uint64_t selection, unsigned i) noexcept {
    using Tuple = typename Family::Tuple;
    auto& flows = table<Family>();
    const Tuple& client = Family::tuple(burst_.parsed[i]);
    observe::SlotCounters& counts = counters_.service(service.slot);

    const AffinityChoice choice = choose<Family>(service, selection, client);
    const balancing::BackendEntry* backend = choice.backend;
    if (backend == nullptr) {
        counts.refused_connections.add(1);
        refuse(i, DropReason::no_backend);
        return;
    }
    const auto addresses = Family::snat(*forwarding_);
    if (addresses.empty()) {
        counts.refused_connections.add(1);
        drop(burst_.mbuf[i], DropReason::snat_address_missing);
        return;
    }
    const Tuple reply = reply_of<Family>(service, *backend, client.protocol);
    const auto chosen = snat_ports_.choose(reply, addresses, burst_.hash[i],
                                           [&](const Tuple& wanted) { return static_cast<bool>(flows.find(wanted)); });
    if (!chosen) {
        counts.refused_connections.add(1);
        counters_.backend(backend->slot).refused_connections.add(1);
        drop(burst_.mbuf[i], DropReason::snat_ports_exhausted);
        return;
    }
    typename Family::Entry entry;
    std::memset(static_cast<void*>(&entry), 0, sizeof entry);
    entry.halves = {client, *chosen};
    const packet::ChecksumDelta delta = packet::delta_between(client, packet::swapped(*chosen));
    entry.checksum_delta_addresses = delta.addresses;
    entry.checksum_delta_all = delta.all;
    entry.last_seen = now_s_;
    entry.next_hop = {kNoNextHop, kNoNextHop};
    entry.routing_epoch = routing_->epoch;
    entry.service_slot = service.slot;
    entry.backend_slot = backend->slot;
    entry.service_incarnation = service.incarnation;
    entry.backend_incarnation = backend->incarnation;
    entry.state = opening_state(client.protocol);
    const std::uint32_t index = flows.insert(entry, burst_.hash[i], flows.hash(*chosen));
    if (index == flow::FlowTable<typename Family::Entry>::kNoEntry) {
        counts.refused_connections.add(1);
        drop(burst_.mbuf[i], DropReason::flow_table_full);
        return;
    }
    if (service.affinity_seconds != 0) remember(service, choice, client);
    // Of fragments a NIC hashes the addresses alone.
    if (burst_.parsed[i].part == packet::Part::whole) compare_rss_hash(burst_.mbuf[i], client);
    counts.new_connections.add(1);
    counters_.backend(backend->slot).new_connections.add(1);
    forward<Family>(flows.entry(index), flow::kClientHalf, i, Course::on);
}

/// Of a client's packet: whom its tuple names, or who took it over from an earlier process.
template <typename Tuple>
std::uint32_t Worker::owner_of(const Tuple& client, std::uint64_t selection) const noexcept {
    const std::uint32_t owner = ownership_.of_client(client, selection);
    return plumbing_.relocations == nullptr ? owner : plumbing_.relocations->of(selection, owner);
}

/// True where the packet was another worker's, whatever became of it.
bool Worker::hand_over(std::uint32_t owner, rte_mbuf* mbuf) noexcept {
    if (owner == plumbing_.worker || burst_.handed_over) return false;
    if (rte_ring_sp_enqueue(plumbing_.handover_out[owner], mbuf) != 0) {
        drop(mbuf, DropReason::handover_full);
    } else {
        counters_.totals().handed_over.add(1);
    }
    return true;
}

/// Does the device compute the hash by which owners and SNAT ports are chosen? Once a connection, where it tells.
template <typename Tuple>
void Worker::compare_rss_hash(const rte_mbuf* mbuf, const Tuple& client) noexcept {
    if ((mbuf->ol_flags & RTE_MBUF_F_RX_RSS_HASH) == 0) return;
    const flow::RssMap<Tuple>* rss = ownership_.rss(client);
    if (rss == nullptr) return;
    observe::WorkerTotals& totals = counters_.totals();
    if (mbuf->hash.rss == rss->hash(client)) {
        totals.rss_agreed.add(1);
    } else {
        totals.rss_disagreed.add(1);
        totals.rss_disagreed_port.set(mbuf->port);
    }
}

template Worker::Course Worker::course_of_any<V4>(const V4::Entry& entry) const noexcept;
template Worker::Course Worker::course_of_any<V6>(const V6::Entry& entry) const noexcept;
template std::uint32_t Worker::owner_of(const V4::Tuple& client, std::uint64_t selection) const noexcept;
template std::uint32_t Worker::owner_of(const V6::Tuple& client, std::uint64_t selection) const noexcept;
template void Worker::act_on_flow<V4>(unsigned i) noexcept;
template void Worker::act_on_flow<V6>(unsigned i) noexcept;
template void Worker::foresee_service<V4>(unsigned i) noexcept;
template void Worker::foresee_service<V6>(unsigned i) noexcept;
template void Worker::foresee_reply<V4>(unsigned i) noexcept;
template void Worker::foresee_reply<V6>(unsigned i) noexcept;
template bool Worker::carry_on<V4>(unsigned i, flow::FlowRef ref) noexcept;
template bool Worker::carry_on<V6>(unsigned i, flow::FlowRef ref) noexcept;
template void Worker::act_on_miss<V4>(unsigned i) noexcept;
template void Worker::act_on_miss<V6>(unsigned i) noexcept;

}  // namespace guideway::worker
