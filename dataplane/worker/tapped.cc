// Packets that an operator looks at. What goes on in the stages is not asked: a packet alone in its burst is the one that was counted,
// sent, held or answered meanwhile, so the stages know nothing of taps and cost nothing more while there is none.
#include <algorithm>
#include <cstring>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "dataplane/packet/fragment.h"
#include "dataplane/worker/worker.h"

namespace guideway::worker {

using observe::DropReason;
using packet::PacketKind;

namespace {

using DropCounts = std::array<std::uint64_t, observe::kDropReasonCount>;

DropCounts drops_of(const observe::CounterBlock& counters) noexcept {
    DropCounts counts;
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = counters.dropped(static_cast<DropReason>(i));
    return counts;
}

std::array<std::uint64_t, 2> end_of(std::uint32_t address) noexcept {
    std::array<std::uint8_t, 16> bytes{};
    bytes[10] = bytes[11] = 0xff;
    std::memcpy(bytes.data() + 12, &address, sizeof address);
    return {packet::load_raw64(bytes.data()), packet::load_raw64(bytes.data() + 8)};
}

std::array<std::uint64_t, 2> end_of(const std::array<std::uint8_t, 16>& address) noexcept {
    return {packet::load_raw64(address.data()), packet::load_raw64(address.data() + 8)};
}

template <typename Tuple>
observe::TapEnds ends_of(const Tuple& tuple, std::uint8_t protocol) noexcept {
    const std::uint8_t of_both =
        protocol == packet::protocol::kIcmpv6 ? std::uint8_t{packet::protocol::kIcmp} : protocol;
    return {end_of(tuple.source), end_of(tuple.destination), tuple.source_port, tuple.destination_port, of_both};
}

observe::TapEnds ends_of(const packet::ParsedPacket& parsed) noexcept {
    return parsed.has_v6 ? ends_of(parsed.v6, parsed.protocol) : ends_of(parsed.v4, parsed.protocol);
}

/// Has ports, so that a connection of it may be known.
bool has_tuple(const packet::ParsedPacket& parsed) noexcept {
    return parsed.is_flow() ||
           (parsed.kind == PacketKind::fragment && parsed.part == packet::Part::first &&
            (parsed.protocol == packet::protocol::kTcp || parsed.protocol == packet::protocol::kUdp));
}

std::uint16_t keep_beginning(std::byte*& to, const rte_mbuf* mbuf, std::uint32_t most) noexcept {
    const std::uint32_t kept = segments::copy(mbuf, {reinterpret_cast<std::uint8_t*>(to), most});
    to += kept;
    return static_cast<std::uint16_t>(kept);
}

}  // namespace

/// Of the packet's connection before its step, if one is known.
struct Worker::Looked {
    std::optional<FlowTuple> tuple;  ///< by which a connection is found
    bool known = false;
    flow::ConnectionState state = flow::ConnectionState::none;
};

/// In the place of process(): the burst in parts, in order.
[[gnu::noinline]] void Worker::process_tapped() noexcept {
    observe::TapLane& lane = tap_->lane(plumbing_.worker);
    if (lane.left == 0 || now_ms_ >= tap_->bounds.deadline_ms) {
        process();
        return;
    }
    const std::array<rte_mbuf*, kMostBurst> all = burst_.mbuf;
    const unsigned count = burst_.count;
    unsigned first = 0;  // of those not worked on yet
    for (unsigned i = 0; i < count; ++i) {
        Looked look;
        if (lane.left == 0 || !is_tapped(all[i], look)) continue;
        lane.matched.add(1);
        if (!lane.looks.take(now_ms_)) {
            lane.not_looked_at.add(1);
            continue;
        }
        process_some(all.data() + first, i - first);
        // Again: what was before it may have opened or ended its connection.
        if (i != first) is_tapped(all[i], look);
        take_down(all[i], look, lane);
        first = i + 1;
    }
    process_some(all.data() + first, count - first);
}

void Worker::process_some(rte_mbuf* const* mbufs, unsigned count) noexcept {
    if (count == 0) return;
    std::copy_n(mbufs, count, burst_.mbuf.begin());
    burst_.count = static_cast<std::uint16_t>(count);
    process();
}

template <typename Family>
bool Worker::match_flow(const typename Family::Tuple& tuple, Looked& look) noexcept {
    look.tuple = tuple;
    const flow::FlowRef ref = table<Family>().find(tuple);
    look.known = static_cast<bool>(ref);
    if (!ref) return false;
    const auto& entry = table<Family>().entry(ref.index());
    look.state = entry.state;
    return std::ranges::any_of(entry.halves,
                               [&](const auto& half) { return tap_->filter.matches(ends_of(half, half.protocol)); });
}

bool Worker::is_tapped(rte_mbuf* mbuf, Looked& look) noexcept {
    const std::uint16_t port = burst_.ports_named ? mbuf->port : burst_.port;
    // As the stages do.
    if (!segments::gather_front(mbuf)) return false;
    const packet::ParsedPacket parsed =
        packet::parse(rte_pktmbuf_mtod(mbuf, const std::uint8_t*), rte_pktmbuf_pkt_len(mbuf));
    const observe::TapFilter& filter = tap_->filter;
    look = {};
    bool matches = filter.all;
    if (parsed.has_destination() && !matches) matches = filter.matches(ends_of(parsed));
    const auto match = [&](const auto& v4, const auto& v6) {
        const bool known_matches = parsed.has_v6 ? match_flow<V6>(v6, look) : match_flow<V4>(v4, look);
        matches = matches || known_matches;
    };
    if (has_tuple(parsed)) {
        match(parsed.v4, parsed.v6);
    } else if (parsed.kind == PacketKind::icmp_other) {
        const packet::IcmpError error = packet::read_icmp_error(segments::Whole(mbuf, desk_).bytes(), parsed);
        if (error.reason == DropReason::none) {
            if (parsed.has_v6 ? filter.matches(ends_of(error.v6, error.protocol))
                              : filter.matches(ends_of(error.v4, error.protocol)))
                matches = true;
            match(error.flow_v4(), error.flow_v6());
        }
    }
    // By which port it leaves is only known afterwards.
    return matches && (filter.device == observe::TapFilter::kAnyPort || filter.device == port || look.tuple);
}

void Worker::find_flow(const Looked& look, std::optional<AnyFlowFinding>& finding) const noexcept {
    if (!look.tuple) return;
    const auto find = [&](const auto& flows, const auto& tuple) {
        using Table = std::remove_cvref_t<decltype(flows)>;
        if (const flow::FlowRef ref = flows.find(tuple))
            finding = FlowFinding<typename Table::Entry>{flows.entry(ref.index()), ref.half()};
    };
    if (const auto* v4 = std::get_if<packet::FiveTupleV4>(&*look.tuple)) {
        find(flows_v4_, *v4);
    } else if (const auto* v6 = std::get_if<packet::FiveTupleV6>(&*look.tuple)) {
        find(flows_v6_, *v6);
    }
}

/// Works on the packet alone and writes down what became of it.
void Worker::take_down(rte_mbuf* mbuf, const Looked& look, observe::TapLane& lane) noexcept {
    const observe::TapFilter& filter = tap_->filter;
    const std::uint32_t most = tap_->bounds.bytes;
    std::byte* room = lane.ring.reserve(sizeof(TapNote) + (1 + TapNote::kMostFrames) * std::size_t{most});
    if (room == nullptr) {
        lane.lost.add(1);
        process_some(&mbuf, 1);
        return;
    }
    TapNote note;
    note.cycles = rte_rdtsc();
    note.taken_over = burst_.handed_over;
    note.known_before = look.known;
    note.state_before = look.state;
    note.in.port = burst_.ports_named ? mbuf->port : burst_.port;
    note.in.length = rte_pktmbuf_pkt_len(mbuf);
    std::byte* at = room + sizeof note;
    note.in.kept = keep_beginning(at, mbuf, most);

    // As it is, so that what is put there is the packet's.
    transmitter_.prepare(packet::kMostParts);
    std::array<std::size_t, kMaxPorts> waiting{};
    for (std::size_t port = 0; port < transmitter_.ports(); ++port) waiting[port] = transmitter_.waiting(port).size();
    const DropCounts drops = drops_of(counters_);
    const observe::WorkerTotals& totals = counters_.totals();
    const std::uint64_t kernel = totals.to_kernel.read();
    const std::uint64_t handed_over = totals.handed_over.read();
    const std::uint64_t remembered = totals.affinity_remembered.read();
    const std::uint64_t moved = totals.affinity_moved.read();
    const std::uint32_t pending = pending_.size();
    const std::uint32_t held = fragments_.held_packets();

    process_some(&mbuf, 1);

    for (std::size_t port = 0; port < transmitter_.ports(); ++port) {
        const auto queue = transmitter_.waiting(port);
        for (std::size_t i = std::min(waiting[port], queue.size()); i < queue.size(); ++i) {
            if (note.outs == TapNote::kMostFrames) {
                ++note.more_out;
                continue;
            }
            TapFrameNote& out = note.out[note.outs++];
            out.port = static_cast<std::uint16_t>(port);
            out.length = rte_pktmbuf_pkt_len(queue[i]);
            out.kept = keep_beginning(at, queue[i], most);
        }
    }
    DropReason dropped = DropReason::none;
    bool refused = false;
    bool answered = false;
    for (std::size_t i = 1; i < drops.size(); ++i) {
        const auto reason = static_cast<DropReason>(i);
        if (counters_.dropped(reason) == drops[i]) continue;
        if (reason == DropReason::refused) {
            refused = true;
        } else if (reason == DropReason::answered) {
            answered = true;
        } else {
            dropped = reason;
        }
    }
    if (dropped != DropReason::none) {
        note.verdict = TapVerdict::dropped;
        note.reason = dropped;
    } else if (refused) {
        note.verdict = TapVerdict::refused;
        note.reason = DropReason::refused;
        note.refused_for = refused_for_;
    } else if (answered) {
        note.verdict = TapVerdict::answered;
    } else if (totals.to_kernel.read() != kernel) {
        note.verdict = TapVerdict::kernel;
    } else if (totals.handed_over.read() != handed_over) {
        note.verdict = TapVerdict::handed_over;
    } else if (pending_.size() > pending) {
        note.verdict = TapVerdict::held;
        note.wait = TapWait::neighbour;
        if (note.outs < TapNote::kMostFrames) {
            const rte_mbuf* waits = pending_.newest().mbuf;
            TapFrameNote& out = note.out[note.outs++];
            out.port = TapNote::kNotSent;
            out.length = rte_pktmbuf_pkt_len(waits);
            out.kept = keep_beginning(at, waits, most);
        }
    } else if (fragments_.held_packets() > held) {
        note.verdict = TapVerdict::held;
        note.wait = TapWait::first_fragment;
    } else if (note.outs != 0) {
        note.verdict = TapVerdict::forwarded;
    }
    if (totals.affinity_remembered.read() != remembered) note.choice = TapChoice::remembered;
    if (totals.affinity_moved.read() != moved) note.choice = TapChoice::remembered_gone;

    const bool lost = note.verdict == TapVerdict::dropped || note.verdict == TapVerdict::refused;
    if (filter.drops && !lost) return;
    if (filter.reason != DropReason::none && note.reason != filter.reason && note.refused_for != filter.reason) return;
    if (filter.device != observe::TapFilter::kAnyPort && note.in.port != filter.device &&
        std::none_of(note.out.begin(), note.out.begin() + note.outs,
                     [&](const TapFrameNote& out) { return out.port == filter.device; }))
        return;
    if (!lane.records.take(now_ms_)) {
        lane.over_rate.add(1);
        return;
    }
    find_flow(look, note.finding);
    std::memcpy(room, &note, sizeof note);
    lane.ring.commit(static_cast<std::size_t>(at - room));
    --lane.left;
}

}  // namespace guideway::worker
