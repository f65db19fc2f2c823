// What is asked of packets before anything else is decided about them: whether their source can be, and whether there is room for more
// of their kind.
//
// None of it is asked of plain packets of established connections. A martian cannot be one: its source would have to stand in the
// entry's half, and an entry is opened only by a packet whose source passed here; half a tuple more cannot match. VIPs and SNAT
// addresses may be added under connections there are, but whoever then has such an address of ours is the fault to be found, not the
// connection. Services with a limit of packets never get the mark by which packets go the plain way (Worker::forward).
#include <rte_mbuf.h>

#include "dataplane/worker/worker.h"

namespace guideway::worker {
namespace {

using observe::DropReason;

/// What tells sources apart: a prefix, and `what` is asked for it. Two 64-bit words under a secret.
std::uint64_t source_hash(std::uint64_t prefix, std::uint64_t what, const flow::HashKeys& keys) noexcept {
    return flow::hash_words(std::array<std::uint64_t, 2>{prefix, what}, keys);
}

constexpr std::uint64_t kRefusals = 0;  ///< else the service's slot + 1

std::uint64_t prefix_of(const packet::FiveTupleV4& tuple, const WorkerSettings& settings) noexcept {
    return std::uint64_t{packet::swap_if_little(tuple.source)} >> (32U - settings.source_prefix_v4);
}

/// At most the upper half counts: a network has at least that much of it.
std::uint64_t prefix_of(const packet::FiveTupleV6& tuple, const WorkerSettings& settings) noexcept {
    const std::uint64_t high =
        std::uint64_t{packet::load_be32(tuple.source.data())} << 32 | packet::load_be32(tuple.source.data() + 4);
    return high & ~std::uint64_t{0} << (64U - settings.source_prefix_v6);
}

}  // namespace

/// Of a packet to a VIP or SNAT address: why its source cannot be; none where it can.
template <typename Family>
DropReason Worker::impossible_source(const packet::ParsedPacket& parsed) const noexcept {
    const auto& tuple = Family::tuple(parsed);
    if (tuple.source == tuple.destination) return DropReason::land_attack;
    if (parsed.martian) return DropReason::martian_source;
    // Where the sides are apart the other side's addresses may be somebody's here.
    const bool to_vip = apart_ && Family::contains(forwarding_->vips, tuple.destination);
    const bool to_snat = apart_ && !to_vip;
    const bool own = (!to_snat && Family::contains(forwarding_->vips, tuple.source)) ||
                     (!to_vip && Family::contains(forwarding_->snat, tuple.source));
    return own ? DropReason::own_source : DropReason::none;
}

DropReason Worker::impossible_source_of_any(const packet::ParsedPacket& parsed) const noexcept {
    return parsed.has_v4 ? impossible_source<V4>(parsed) : impossible_source<V6>(parsed);
}

/// RFC 3704 2.2 and 2.4. The route is looked up in the snapshot: new connections alone pay for it.
DropReason Worker::source_check(unsigned i) const noexcept {
    const std::uint16_t port = burst_.mbuf[i]->port;
    const SourceCheck check = plumbing_.ports[port].source_check;
    if (check == SourceCheck::off) return DropReason::none;
    const IpAddress source = burst_.parsed[i].source();
    const bool good = check == SourceCheck::strict ? routing_->has_route_through(source, port)
                                                   : routing_->has_route(source, plumbing_.ports[port].side);
    return good ? DropReason::none : DropReason::source_unroutable;
}

/// May the packet open a connection of the service? Where not, it is counted, but not yet dropped.
template <typename Family>
DropReason Worker::over_limits(const balancing::ServiceEntry& service, const typename Family::Tuple& client) noexcept {
    const guard::ServiceLimits& limits = service.limits;
    guard::ServiceMeters& meters = service_meters_[service.slot];
    const auto over = [&](guard::Meter& meter, std::uint32_t rate) {
        const std::uint32_t share = guard::share_of(rate, plumbing_.worker_count);
        return rate != 0 && !meter.take(now_ms_, share, share);
    };
    DropReason reason = DropReason::none;
    if (over(meters.packets, limits.packets)) {
        reason = DropReason::service_packets_limited;
    } else if (limits.new_connections_per_source != 0 &&
               !opening_sources_.take(
                   source_hash(prefix_of(client, plumbing_.settings), service.slot + 1U, table<Family>().keys()),
                   now_ms_, guard::share_of(limits.new_connections_per_source, plumbing_.worker_count))) {
        // Before the service's own: a source that is over its part must not use up the others'.
        reason = DropReason::source_connections_limited;
    } else if (over(meters.new_connections, limits.new_connections)) {
        reason = DropReason::service_connections_limited;
    }
    if (reason != DropReason::none) counters_.service(service.slot).limited.add(1);
    return reason;
}

/// Of a client's packet of a known connection.
bool Worker::over_packet_limit(std::uint16_t service_slot) noexcept {
    const std::uint32_t rate = forwarding_->service_rules[service_slot].packets_per_second;
    if (rate == 0) return false;
    const std::uint32_t share = guard::share_of(rate, plumbing_.worker_count);
    if (service_meters_[service_slot].packets.take(now_ms_, share, share)) return false;
    counters_.service(service_slot).limited.add(1);
    return true;
}

/// May this refusal be told? First the source's own allowance, so that one source does not use up everybody's.
bool Worker::refusal_allowed(const packet::ParsedPacket& parsed) noexcept {
    const auto silent = [&](const auto& set) {
        return parsed.has_v4 ? set.contains_v4(parsed.v4.destination) : set.contains_v6(parsed.v6.destination.data());
    };
    if (forwarding_->vips_silent.size() != 0 && silent(forwarding_->vips_silent)) return false;
    const std::uint32_t rate = plumbing_.settings.refusals_per_source;
    if (rate == 0) return false;
    const std::uint64_t hash = parsed.has_v4
                                   ? source_hash(prefix_of(parsed.v4, plumbing_.settings), kRefusals, flows_v4_.keys())
                                   : source_hash(prefix_of(parsed.v6, plumbing_.settings), kRefusals, flows_v6_.keys());
    return refusal_sources_.take(hash, now_ms_, rate) && refusals_.take(now_ms_);
}

template DropReason Worker::impossible_source<V4>(const packet::ParsedPacket& parsed) const noexcept;
template DropReason Worker::impossible_source<V6>(const packet::ParsedPacket& parsed) const noexcept;
template DropReason Worker::over_limits<V4>(const balancing::ServiceEntry& service, const V4::Tuple& client) noexcept;
template DropReason Worker::over_limits<V6>(const balancing::ServiceEntry& service, const V6::Tuple& client) noexcept;

}  // namespace guideway::worker
