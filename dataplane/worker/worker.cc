#include "dataplane/worker/worker.h"

#include <algorithm>
#include <utility>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>
#include <rte_ring.h>

#include "dataplane/packet/unfinished_checksum.h"
#include "dataplane/worker/segments.h"
#include "dataplane/worker/vlan.h"

namespace guideway::worker {
namespace {

using observe::DropReason;

const std::uint8_t* frame_of(const rte_mbuf* mbuf) { return rte_pktmbuf_mtod(mbuf, const std::uint8_t*); }

constexpr std::uint64_t kReviewIntervalMs = 50;  // asks again where the resolve queue was full
constexpr std::uint64_t kSweepMs = 4000;         // a whole round of the ageing sweep, where time allows
constexpr std::uint64_t kForgetMs = 16'000;      // ... of that for clients remembered: only the gauge waits for it
constexpr std::uint64_t kMostAgedAPoll = 256;

}  // namespace

Worker::Worker(Plumbing plumbing, snapshot::Publisher& publisher, flow::FlowTableV4& flows_v4,
               flow::FlowTableV6& flows_v6, observe::CounterBlock& counters)
    : flows_v4_(flows_v4),
      flows_v6_(flows_v6),
      counters_(counters),
      stray_backend_slot_(static_cast<std::uint32_t>(counters.backends().size() - 1)),
      stages_(plumbing.stages),
      burst_size_(std::clamp<std::uint16_t>(plumbing.settings.burst, 1, kMostBurst)),
      apart_(plumbing.settings.sides_apart),
      plumbing_(std::move(plumbing)),
      affinity_(plumbing_.affinity.empty() ? nullptr : &plumbing_.affinity[plumbing_.worker]),
      publisher_(publisher),
      idle_limits_(table_timeouts(plumbing_.settings.timeouts)),
      ownership_(plumbing_.ownership.value_or(flow::Ownership(plumbing_.worker_count))),
      snat_ports_(plumbing_.settings.snat_port_first, plumbing_.settings.snat_port_last, plumbing_.worker, ownership_),
      refusals_(plumbing_.settings.refusals_per_second, plumbing_.settings.refusal_burst),
      service_meters_(counters.services().size()),
      kernel_budget_(plumbing_.settings.kernel_packets_per_second,
                     plumbing_.to_kernel == nullptr ? 0 : rte_ring_get_capacity(plumbing_.to_kernel)),
      icmp_forwarded_(plumbing_.settings.icmp_errors_per_second, plumbing_.settings.icmp_error_burst),
      icmp_made_(plumbing_.settings.icmp_errors_per_second, plumbing_.settings.icmp_error_burst),
      transmitter_(plumbing_.ports, counters),
      fragments_(plumbing_.settings.fragments.datagrams, plumbing_.settings.fragments.held_kilobytes * 1024ULL,
                 plumbing_.settings.fragments.held_kilobytes, flows_v4_.keys()),
      fragment_ids_(plumbing_.worker, plumbing_.worker_count, flows_v4_.keys()) {
    for (std::size_t port = 0; port < plumbing_.ports.size(); ++port) {
        const WorkerPort& vlan = plumbing_.ports[port];
        if (vlan.tags.id != 0) vlans_.at(vlan.lies_on).push_back({vlan.tags, static_cast<std::uint16_t>(port)});
    }
    for (std::size_t port = 0; port < plumbing_.ports.size(); ++port) {
        const WorkerPort& from = plumbing_.ports[port];
        const auto index = static_cast<std::uint16_t>(port);
        const bool has_vlans = !vlans_.at(port).empty();
        if (from.replies_to_last_hop) last_hop_ports_ |= 1U << port;
        sides_.at(port) = static_cast<std::uint8_t>(from.side);
        stations_.at(port) =
            packet::station_of(from.mac) | (from.unfinished_checksums_possible ? kUnfinishedPossible : 0);
        if (from.rx_queue != kNoQueue) sources_.push_back({from.ethdev, from.rx_queue, index, has_vlans});
        for (const RxQueue& further : from.further_rx)
            sources_.push_back({further.ethdev, further.queue, index, has_vlans});
    }
    counters_.totals().flow_capacity_ipv4.set(flows_v4_.capacity());
    counters_.totals().flow_capacity_ipv6.set(flows_v6_.capacity());
    counters_.totals().fragment_capacity.set(fragments_.capacity());
}

Worker::~Worker() {
    pending_.review([](const PendingPacket& packet) {
        rte_pktmbuf_free(packet.mbuf);
        return true;
    });
    for (auto* waiting = fragments_.oldest(Fragments::State::waiting); waiting != nullptr;
         waiting = fragments_.oldest(Fragments::State::waiting)) {
        for (rte_mbuf* mbuf = nullptr; fragments_.take(*waiting, mbuf);) rte_pktmbuf_free(mbuf);
        fragments_.remove(*waiting);
    }
}

std::uint32_t Worker::poll_once(std::uint64_t now_ms) noexcept {
    tell_time(now_ms);
    take_view();
    review_pending();
    if (fragments_.size() != 0) review_fragments();

    std::uint32_t packets = 0;
    for (const Source& source : sources_) packets += receive(source);
    for (rte_ring* ring : plumbing_.handover_in) {
        if (ring != nullptr) packets += take_over(ring);
    }
    packets += send_from_kernel();
    transmitter_.flush_all();
    lap(observe::Stage::transmit);

    age_flows();
    show_gauges();
    answer_question();
    counters_.totals().polls.add(1);
    if (packets == 0) counters_.totals().empty_polls.add(1);
    publisher_.quiescent(plumbing_.worker);
    lap(observe::Stage::housekeeping);
    return packets;
}

void Worker::take_view() noexcept {
    const snapshot::View& view = publisher_.view();
    forwarding_ = view.forwarding;
    routing_ = view.routing;
    tap_ = view.tap;
    yielded_ = view.yielded;
    if (view.number == view_number_) [[likely]]
        return;
    view_number_ = view.number;
    // An entry that nobody looked at for 65,535 changes would be taken for looked over: the ageing sweep clears old marks.
    if (++look_ == 0) look_ = 1;
}

void Worker::tell_time(std::uint64_t now_ms) noexcept {
    if (now_ms == now_ms_) return;
    now_ms_ = now_ms;
    now_s_ = static_cast<std::uint32_t>(now_ms / 1000);
    transmitter_.drive_bonds();
}

std::uint32_t Worker::receive(const Source& source) noexcept {
    burst_.count = rte_eth_rx_burst(source.ethdev, source.queue, burst_.mbuf.data(), burst_size_);
    if (burst_.count == 0) return 0;
    for (unsigned i = 0; i < burst_.count; ++i) rte_prefetch0(frame_of(burst_.mbuf[i]));
    burst_.port = source.port;
    counters_.totals().rx_packets.add(burst_.count);
    burst_.handed_over = false;
    burst_.ports_named = source.has_vlans;
    const std::uint32_t received = burst_.count;
    if (source.has_vlans) [[unlikely]] {
        take_tags(source.port);
        if (burst_.count == 0) return received;
    }
    go();
    return received;
}

/// Of a burst of a port with VLANs: off with the tags, so that all that follows sees untagged frames of the VLAN's own port.
[[gnu::noinline]] void Worker::take_tags(std::uint16_t port) noexcept {
    const std::vector<Vlan>& vlans = vlans_[port];
    std::uint16_t kept = 0;
    for (unsigned i = 0; i < burst_.count; ++i) {
        rte_mbuf* mbuf = burst_.mbuf[i];
        if (!segments::gather_front(mbuf, segments::kFrontAndTags)) {
            drop(mbuf, DropReason::frame_too_long);
            continue;
        }
        const VlanTags tags = vlan::take_off(mbuf);
        std::uint16_t index = tags.id == 0 ? port : static_cast<std::uint16_t>(kMaxPorts);
        for (const Vlan& one : vlans) {
            if (one.tags == tags) index = one.port;
        }
        if (index == kMaxPorts) {
            drop(mbuf, DropReason::vlan_unknown);
            continue;
        }
        mbuf->port = index;
        if (index != port) counters_.vlan(index).received.add(rte_pktmbuf_pkt_len(mbuf));
        burst_.mbuf[kept++] = mbuf;
    }
    burst_.count = kept;
}

std::uint32_t Worker::take_over(rte_ring* ring) noexcept {
    void** objects = reinterpret_cast<void**>(burst_.mbuf.data());
    burst_.count = static_cast<std::uint16_t>(rte_ring_sc_dequeue_burst(ring, objects, burst_size_, nullptr));
    if (burst_.count == 0) return 0;
    counters_.totals().taken_over.add(burst_.count);
    burst_.handed_over = true;
    burst_.ports_named = true;
    const std::uint32_t received = burst_.count;
    go();
    return received;
}

void Worker::go() noexcept {
    if (tap_ == nullptr) [[likely]] {
        process();
    } else {
        process_tapped();
    }
}

void Worker::process() noexcept {
    lap(observe::Stage::receive);
    transmitter_.prepare(burst_.count);
    sort_out();
    lap(observe::Stage::parse);
    find_candidates();
    lap(observe::Stage::find);
    if (burst_.plain_v4.count != 0) forward_plain_v4();
    if (burst_.plain_v6.count != 0) forward_plain_v6();
    lap(observe::Stage::forward);
    act_on_flows();
    act_on_others();
    lap(observe::Stage::general);
    if (burst_.misses.count != 0) act_on_misses();
    lap(observe::Stage::misses);
}

void Worker::lap(observe::Stage stage) noexcept {
    if (stages_ != nullptr) [[unlikely]]
        stages_->lap(stage, rte_rdtsc());
}

void Worker::sort_out() noexcept {
    burst_.plain_v4.count = 0;
    burst_.plain_v6.count = 0;
    burst_.flows.clear();
    burst_.others.clear();
    burst_.misses.clear();
    // Each family has a loop of its own; the first packet says which is worth it.
    const rte_mbuf* first = burst_.mbuf[0];
    constexpr std::uint16_t kIpv6 = packet::swap_if_little(packet::ethernet::kTypeIpv6);
    if (rte_pktmbuf_data_len(first) >= packet::ethernet::kHeaderSize &&
        packet::load_raw16(frame_of(first) + packet::ethernet::kType) == kIpv6) {
        sort_family<V6>();
    } else {
        sort_family<V4>();
    }
}

template <typename Family>
inline void Worker::sort_family() noexcept {
    // In registers: everything below writes bytes, which might be anything's for all the compiler knows.
    const auto& flows = table<Family>();
    const flow::HashKeys keys = flows.keys();
    auto& slots = Family::plain(burst_);
    auto* slot = slots.begin();
    std::uint64_t station = stations_[burst_.port];
    const unsigned count = burst_.count;
    for (unsigned i = 0; i < count; ++i) {
        rte_mbuf* mbuf = burst_.mbuf[i];
        if (burst_.ports_named) station = stations_[mbuf->port];
        // Bit 63 of the station, for a peer that may leave checksums unfinished, is tested with the number of segments.
        if ((mbuf->nb_segs | station >> 62) != 1 ||
            !take_plain(flows, keys, mbuf, rte_pktmbuf_data_len(mbuf), station, i, *slot)) [[unlikely]] {
            slots.count = static_cast<std::uint32_t>(slot - slots.begin());
            sort_other(i);
            slot = slots.end();
            continue;
        }
        ++slot;
    }
    slots.count = static_cast<std::uint32_t>(slot - slots.begin());
}

/// False where the packet is not plain. Else its slot is filled and its bucket asked for. `length`: of the frame, in all its segments.
template <typename Table, typename Slot>
inline bool Worker::take_plain(const Table& flows, const flow::HashKeys& keys, rte_mbuf* mbuf, std::uint32_t length,
                               std::uint64_t station, std::uint32_t position, Slot& slot) noexcept {
    auto* frame = rte_pktmbuf_mtod(mbuf, std::uint8_t*);
    const bool verified = (mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    decltype(slot.packet) packet;
    if (!packet::read_plain(frame, length, verified, station, packet)) return false;
    const auto place = flows.place_of(flow::hash_words(packet.words, keys));
    flows.prefetch_bucket(place);
    slot.packet = packet;
    slot.place.bucket = place.bucket;
    slot.place.tag = place.tag;
    slot.mbuf = mbuf;
    slot.frame = frame;
    slot.length = length;
    slot.position = position;
    return true;
}

/// Whatever is not a plain packet of the burst's family in one buffer with its checksums complete. Of frames in several buffers all
/// that is read and written on the plain way lies in the first.
[[gnu::noinline]] void Worker::sort_other(unsigned i) noexcept {
    rte_mbuf* mbuf = burst_.mbuf[i];
    name_port(i);
    if (!segments::gather_front(mbuf)) {
        drop(mbuf, DropReason::frame_too_long);
        return;
    }
    const std::uint64_t station = stations_[mbuf->port];
    if ((station & kUnfinishedPossible) != 0) {
        parse(i);
        if (burst_.parsed[i].is_flow()) complete_checksum(i);
    }
    auto& v4 = burst_.plain_v4;
    auto& v6 = burst_.plain_v6;
    const std::uint32_t length = rte_pktmbuf_pkt_len(mbuf);
    if (take_plain(flows_v6_, flows_v6_.keys(), mbuf, length, station, i, v6.at[v6.count])) {
        ++v6.count;
    } else if (take_plain(flows_v4_, flows_v4_.keys(), mbuf, length, station, i, v4.at[v4.count])) {
        ++v4.count;
    } else {
        sort_general(i);
    }
}

void Worker::name_port(unsigned i) noexcept {
    if (!burst_.ports_named) burst_.mbuf[i]->port = burst_.port;
}

void Worker::sort_general(unsigned i) noexcept {
    parse(i);
    if (burst_.parsed[i].is_flow()) {
        hash_flow(i);
        burst_.flows.add(i);
    } else {
        burst_.others.add(i);
    }
}

void Worker::parse(unsigned i) noexcept {
    const rte_mbuf* mbuf = burst_.mbuf[i];
    packet::ParseOptions options;
    options.ipv4_checksum_verified = (mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    burst_.parsed[i] = packet::parse(frame_of(mbuf), rte_pktmbuf_pkt_len(mbuf), options);
}

void Worker::complete_checksum(unsigned i) noexcept {
    rte_mbuf* mbuf = burst_.mbuf[i];
    if (!plumbing_.ports[mbuf->port].unfinished_checksums_possible) return;
    if (mbuf->nb_segs != 1 && !packet::is_checksum_unfinished(frame_of(mbuf), burst_.parsed[i])) return;  // no copy
    const segments::Whole whole(mbuf, desk_);
    if (packet::complete_unfinished_checksum(whole.bytes(), burst_.parsed[i])) {
        whole.put_back();
        counters_.totals().unfinished_checksums.add(1);
    }
}

void Worker::hash_flow(unsigned i) noexcept {
    const packet::ParsedPacket& parsed = burst_.parsed[i];
    if (parsed.kind == packet::PacketKind::ipv4_flow) {
        burst_.hash[i] = flows_v4_.hash(parsed.v4);
        flows_v4_.prefetch_bucket(burst_.hash[i]);
    } else {
        burst_.hash[i] = flows_v6_.hash(parsed.v6);
        flows_v6_.prefetch_bucket(burst_.hash[i]);
    }
}

void Worker::find_candidates() noexcept {
    for (auto& slot : burst_.plain_v4) {
        slot.candidate = flows_v4_.candidate(slot.place);
        flows_v4_.prefetch_entry(slot.candidate);
    }
    for (auto& slot : burst_.plain_v6) {
        slot.candidate = flows_v6_.candidate(slot.place);
        flows_v6_.prefetch_entry(slot.candidate);
    }
    for (const unsigned i : burst_.flows) {
        if (burst_.parsed[i].kind == packet::PacketKind::ipv4_flow) {
            flows_v4_.prefetch_entry(flows_v4_.candidate(burst_.hash[i]));
        } else {
            flows_v6_.prefetch_entry(flows_v6_.candidate(burst_.hash[i]));
        }
    }
}

void Worker::act_on_flows() noexcept {
    for (const unsigned i : burst_.flows) {
        if (burst_.parsed[i].kind == packet::PacketKind::ipv4_flow) {
            act_on_flow<V4>(i);
        } else {
            act_on_flow<V6>(i);
        }
    }
}

void Worker::act_on_misses() noexcept {
    const auto each = [this](auto&& act) {
        for (const unsigned i : burst_.misses) {
            if (burst_.parsed[i].kind == packet::PacketKind::ipv4_flow) {
                act.template operator()<V4>(i);
            } else {
                act.template operator()<V6>(i);
            }
        }
    };
    each([this]<typename Family>(unsigned i) { foresee_service<Family>(i); });
    each([this]<typename Family>(unsigned i) { foresee_reply<Family>(i); });
    each([this]<typename Family>(unsigned i) { act_on_miss<Family>(i); });
}

void Worker::act_on_others() noexcept {
    for (const unsigned i : burst_.others) act_on_other(i);
}

std::uint32_t Worker::send_from_kernel() noexcept {
    if (plumbing_.from_kernel == nullptr) return 0;
    std::array<rte_mbuf*, kMostBurst> mbufs;
    const unsigned count =
        rte_ring_sc_dequeue_burst(plumbing_.from_kernel, reinterpret_cast<void**>(mbufs.data()), burst_size_, nullptr);
    counters_.totals().from_kernel.add(count);
    for (unsigned i = 0; i < count; ++i) {
        if (mbufs[i]->port < transmitter_.ports()) {
            transmitter_.send(mbufs[i]->port, mbufs[i]);
        } else {
            drop(mbufs[i], DropReason::no_route);
        }
    }
    return count;
}

void Worker::review_pending() noexcept {
    if (pending_.size() == 0) return;
    // The address alone could be a freed snapshot's, used again: hence also by time.
    if (routing_ == reviewed_with_ && now_ms_ < next_review_ms_) return;
    reviewed_with_ = routing_;
    next_review_ms_ = now_ms_ + kReviewIntervalMs;
    pending_.review([this](const PendingPacket& packet) noexcept {
        const NextHop hop = look_up_next_hop(packet.destination, packet.flow, packet.side);
        if (hop.kind == NextHop::Kind::known) {
            send_to(routing_->next_hops[hop.index], packet.mbuf, packet.l3_length);
            return true;
        }
        if (hop.kind == NextHop::Kind::unresolved && now_ms_ < packet.deadline_ms) return false;
        drop(packet.mbuf,
             hop.kind == NextHop::Kind::unresolved ? DropReason::neighbour_unresolved : DropReason::no_route);
        return true;
    });
}

void Worker::age_flows() noexcept {
    if (now_ms_ == ageing_done_ms_) return;
    const std::uint64_t elapsed = now_ms_ - ageing_done_ms_;
    ageing_done_ms_ = now_ms_;
    const auto age = [&](auto& table) {
        const std::uint64_t share = elapsed * table.capacity() / kSweepMs + 1;
        table.age(static_cast<std::uint32_t>(std::min(share, kMostAgedAPoll)), [&](auto& entry) {
            if (entry.looked_over != look_ && entry.looked_over != 0) entry.looked_over = 0;
            if ((entry.flags & flow::flow_flags::kLastHop) != 0 && entry.routing_epoch != routing_->epoch)
                renew_hops(entry);
            const bool same_service = forwarding_->service_incarnation[entry.service_slot] == entry.service_incarnation;
            const std::uint32_t own = same_service ? forwarding_->service_idle_seconds[entry.service_slot] : 0;
            if (forwarding_->some_closed && same_service && is_closed(entry)) [[unlikely]] {
                counters_.totals().ended_closed.add(1);
                return true;
            }
            return entry.idle(now_s_, idle_limits_, own);
        });
    };
    age(flows_v4_);
    age(flows_v6_);
    if (affinity_ != nullptr && affinity_->size() != 0) forget_clients(elapsed);
}

void Worker::forget_clients(std::uint64_t elapsed_ms) noexcept {
    const std::uint64_t share = elapsed_ms * affinity_->capacity() / kForgetMs + 1;
    counters_.totals().affinity_timed_out.add(
        affinity_->forget_over(now_s_, static_cast<std::uint32_t>(std::min(share, kMostAgedAPoll))));
}

void Worker::answer_question() noexcept {
    if (plumbing_.question != nullptr && plumbing_.question->pending()) [[unlikely]]
        plumbing_.question->answer_with(flows_v4_, flows_v6_);
}

void Worker::show_gauges() noexcept {
    observe::WorkerTotals& totals = counters_.totals();
    totals.flows_ipv4.set(flows_v4_.size());
    totals.flows_ipv6.set(flows_v6_.size());
    totals.pending.set(pending_.size() + fragments_.held_packets());
    if (now_ms_ == gauges_shown_ms_) return;
    gauges_shown_ms_ = now_ms_;
    totals.flows_free_ipv4.set(flows_v4_.free());
    totals.flows_free_ipv6.set(flows_v6_.free());
    using flow::FlowList;
    totals.flows_opening.set(flows_v4_.waiting(FlowList::opening) + flows_v6_.waiting(FlowList::opening));
    totals.flows_one_way.set(flows_v4_.waiting(FlowList::one_way) + flows_v6_.waiting(FlowList::one_way));
    totals.flows_closed.set(flows_v4_.waiting(FlowList::closed) + flows_v6_.waiting(FlowList::closed));
    const flow::Evicted& v4 = flows_v4_.evicted();
    const flow::Evicted& v6 = flows_v6_.evicted();
    totals.evicted_opening.set(v4.opening + v6.opening);
    totals.evicted_one_way.set(v4.one_way + v6.one_way);
    totals.evicted_closed.set(v4.closed + v6.closed);
    totals.fragment_datagrams.set(fragments_.size());
    totals.fragment_held_bytes.set(fragments_.held_bytes());
    if (affinity_ != nullptr) {
        totals.affinity_clients.set(affinity_->size());
        totals.affinity_capacity.set(affinity_->capacity());
    }
}

}  // namespace guideway::worker
