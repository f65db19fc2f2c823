#include "dataplane/worker/worker.h"

#include <algorithm>
#include <utility>

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>
#include <rte_ring.h>

#include "dataplane/packet/unfinished_checksum.h"

namespace guideway::worker {
namespace {

using observe::DropReason;

flow::Timeouts table_timeouts(const TimeoutSettings& settings) {
    flow::Timeouts timeouts;
    timeouts.tcp_opening = settings.tcp_opening;
    timeouts.tcp_established = settings.tcp_established;
    timeouts.tcp_closing = settings.tcp_closing;
    timeouts.tcp_time_wait = settings.tcp_time_wait;
    timeouts.tcp_reset = settings.tcp_reset;
    timeouts.udp_one_way = std::min(timeouts.udp_one_way, settings.udp);
    timeouts.udp = settings.udp;
    timeouts.sctp_opening = settings.sctp_opening;
    timeouts.sctp_established = settings.sctp_established;
    timeouts.sctp_closing = settings.sctp_closing;
    return timeouts;
}

const std::uint8_t* frame_of(const rte_mbuf* mbuf) { return rte_pktmbuf_mtod(mbuf, const std::uint8_t*); }

constexpr std::uint64_t kReviewIntervalMs = 50;  // asks again where the resolve queue was full
constexpr std::uint64_t kSweepMs = 4000;         // a whole round of the ageing sweep, where time allows
constexpr std::uint64_t kMostAgedAPoll = 256;

}  // namespace

Worker::Worker(Plumbing plumbing, snapshot::Publisher& publisher, flow::FlowTableV4& flows_v4,
               flow::FlowTableV6& flows_v6, observe::CounterBlock& counters)
    : flows_v4_(flows_v4),
      flows_v6_(flows_v6),
      counters_(counters),
      stray_backend_slot_(static_cast<std::uint32_t>(counters.backends().size() - 1)),
      plumbing_(std::move(plumbing)),
      publisher_(publisher),
      idle_limits_(table_timeouts(plumbing_.settings.timeouts)),
      ownership_(plumbing_.ownership.value_or(flow::Ownership(plumbing_.worker_count))),
      snat_ports_(plumbing_.settings.snat_port_first, plumbing_.settings.snat_port_last, plumbing_.worker, ownership_),
      refusals_(plumbing_.settings.refusals_per_second, plumbing_.settings.refusal_burst),
      transmitter_(plumbing_.ports, counters) {
    for (std::size_t port = 0; port < plumbing_.ports.size(); ++port) {
        const WorkerPort& from = plumbing_.ports[port];
        const auto index = static_cast<std::uint16_t>(port);
        if (from.rx_queue != kNoQueue) sources_.push_back({from.ethdev, from.rx_queue, index});
        for (const RxQueue& further : from.further_rx) sources_.push_back({further.ethdev, further.queue, index});
    }
    counters_.totals().flow_capacity_ipv4.set(flows_v4_.capacity());
    counters_.totals().flow_capacity_ipv6.set(flows_v6_.capacity());
}

Worker::~Worker() {
    pending_.review([](const PendingPacket& packet) {
        rte_pktmbuf_free(packet.mbuf);
        return true;
    });
}

std::uint32_t Worker::poll_once(std::uint64_t now_ms) noexcept {
    tell_time(now_ms);
    forwarding_ = publisher_.forwarding();
    routing_ = publisher_.routing();
    review_pending();

    std::uint32_t packets = 0;
    for (const Source& source : sources_) packets += receive(source);
    for (rte_ring* ring : plumbing_.handover_in) {
        if (ring != nullptr) packets += take_over(ring);
    }
    packets += send_from_kernel();
    transmitter_.flush_all();

    age_flows();
    show_gauges();
    counters_.totals().polls.add(1);
    if (packets == 0) counters_.totals().empty_polls.add(1);
    publisher_.quiescent(plumbing_.worker);
    return packets;
}

void Worker::tell_time(std::uint64_t now_ms) noexcept {
    if (now_ms == now_ms_) return;
    now_ms_ = now_ms;
    now_s_ = static_cast<std::uint32_t>(now_ms / 1000);
}

std::uint32_t Worker::receive(const Source& source) noexcept {
    burst_.count = rte_eth_rx_burst(source.ethdev, source.queue, burst_.mbuf.data(), kBurstSize);
    if (burst_.count == 0) return 0;
    for (unsigned i = 0; i < burst_.count; ++i) burst_.mbuf[i]->port = source.port;
    counters_.totals().rx_packets.add(burst_.count);
    burst_.handed_over = false;
    const std::uint32_t received = burst_.count;
    process();
    return received;
}

std::uint32_t Worker::take_over(rte_ring* ring) noexcept {
    void** objects = reinterpret_cast<void**>(burst_.mbuf.data());
    burst_.count = static_cast<std::uint16_t>(rte_ring_sc_dequeue_burst(ring, objects, kBurstSize, nullptr));
    if (burst_.count == 0) return 0;
    counters_.totals().taken_over.add(burst_.count);
    burst_.handed_over = true;
    const std::uint32_t received = burst_.count;
    process();
    return received;
}

void Worker::process() noexcept {
    parse();
    complete_checksums();
    hash_flows();
    prefetch_entries();
    act_on_flows();
    act_on_others();
}

void Worker::parse() noexcept {
    burst_.flows.clear();
    burst_.others.clear();
    for (unsigned i = 0; i < burst_.count; ++i) rte_prefetch0(frame_of(burst_.mbuf[i]));
    for (unsigned i = 0; i < burst_.count; ++i) {
        rte_mbuf* mbuf = burst_.mbuf[i];
        if (mbuf->nb_segs != 1 && rte_pktmbuf_linearize(mbuf) != 0) {
            drop(mbuf, DropReason::frame_too_long);
            continue;
        }
        packet::ParseOptions options;
        options.ipv4_checksum_verified = (mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;
        burst_.parsed[i] = packet::parse(frame_of(mbuf), rte_pktmbuf_data_len(mbuf), options);
        (burst_.parsed[i].is_flow() ? burst_.flows : burst_.others).add(i);
    }
}

void Worker::complete_checksums() noexcept {
    for (const unsigned i : burst_.flows) {
        rte_mbuf* mbuf = burst_.mbuf[i];
        if (!plumbing_.ports[mbuf->port].unfinished_checksums_possible) continue;
        if (packet::complete_unfinished_checksum(rte_pktmbuf_mtod(mbuf, std::uint8_t*), burst_.parsed[i])) {
            counters_.totals().unfinished_checksums.add(1);
        }
    }
}

void Worker::hash_flows() noexcept {
    for (const unsigned i : burst_.flows) {
        const packet::ParsedPacket& parsed = burst_.parsed[i];
        if (parsed.kind == packet::PacketKind::ipv4_flow) {
            burst_.hash[i] = flows_v4_.hash(parsed.v4);
            flows_v4_.prefetch_bucket(burst_.hash[i]);
        } else {
            burst_.hash[i] = flows_v6_.hash(parsed.v6);
            flows_v6_.prefetch_bucket(burst_.hash[i]);
        }
    }
}

void Worker::prefetch_entries() noexcept {
    for (const unsigned i : burst_.flows) {
        if (burst_.parsed[i].kind == packet::PacketKind::ipv4_flow) {
            flows_v4_.prefetch_entry(burst_.hash[i]);
        } else {
            flows_v6_.prefetch_entry(burst_.hash[i]);
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

void Worker::act_on_others() noexcept {
    for (const unsigned i : burst_.others) act_on_other(i);
}

std::uint32_t Worker::send_from_kernel() noexcept {
    if (plumbing_.from_kernel == nullptr) return 0;
    std::array<rte_mbuf*, kBurstSize> mbufs;
    const unsigned count =
        rte_ring_sc_dequeue_burst(plumbing_.from_kernel, reinterpret_cast<void**>(mbufs.data()), kBurstSize, nullptr);
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
        const NextHop hop = look_up_next_hop(packet.destination);
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
        table.age(static_cast<std::uint32_t>(std::min(share, kMostAgedAPoll)),
                  [&](const auto& entry) { return entry.idle(now_s_, idle_limits_); });
    };
    age(flows_v4_);
    age(flows_v6_);
}

void Worker::show_gauges() noexcept {
    observe::WorkerTotals& totals = counters_.totals();
    totals.flows_ipv4.set(flows_v4_.size());
    totals.flows_ipv6.set(flows_v6_.size());
    totals.pending.set(pending_.size());
}

}  // namespace guideway::worker
