#include "dataplane/snapshot/routing_snapshot.h"

#include <algorithm>
#include <tuple>

namespace guideway::snapshot {

void RoutingSnapshot::finish() {
    std::stable_sort(routes.begin(), routes.end(), [](const Route& a, const Route& b) {
        if (a.prefix.length != b.prefix.length) return a.prefix.length > b.prefix.length;
        return std::tie(a.prefix.address, a.metric) < std::tie(b.prefix.address, b.metric);
    });
    std::vector<IpPrefix> prefixes;
    prefixes.reserve(routes.size());
    for (const Route& route : routes) prefixes.push_back(route.prefix);
    index = RouteIndex(prefixes);
    for (Route& route : routes) {
        route.gateway_hop = -1;
        if (route.on_link) continue;
        const auto found = neighbours.find({route.port, route.gateway});
        if (found != neighbours.end()) route.gateway_hop = found->second;
    }
    for (NextHop& hop : next_hops) hop.mtu = hop.port < ports.size() ? ports[hop.port].mtu : std::uint16_t{0};
}

NextHopResult RoutingSnapshot::lookup(const IpAddress& destination) const {
    NextHopResult result;
    const std::int32_t at = index.find(destination);
    if (at == RouteIndex::kNone) return result;
    const Route& route = routes[static_cast<std::size_t>(at)];
    if (route.gateway_hop >= 0) {
        result.kind = NextHopResult::Kind::found;
        result.index = static_cast<std::uint16_t>(route.gateway_hop);
        return result;
    }
    const NeighbourKey neighbour{route.port, route.on_link ? destination : route.gateway};
    if (const auto found = neighbours.find(neighbour); found != neighbours.end()) {
        result.kind = NextHopResult::Kind::found;
        result.index = found->second;
    } else {
        result.kind = NextHopResult::Kind::unresolved;
        result.neighbour = neighbour;
    }
    return result;
}

bool RoutingSnapshot::has_route(const IpAddress& destination) const {
    return index.find(destination) != RouteIndex::kNone;
}

/// Whatever their metric: a second way of the same length is feasible (RFC 3704 2.3).
bool RoutingSnapshot::has_route_through(const IpAddress& destination, std::uint16_t port) const {
    const std::int32_t at = index.find(destination);
    if (at == RouteIndex::kNone) return false;
    const auto longest = routes.begin() + at;
    const auto others =
        std::find_if(longest, routes.end(), [&](const Route& route) { return route.prefix != longest->prefix; });
    return std::any_of(longest, others, [&](const Route& route) { return route.port == port; });
}

}  // namespace guideway::snapshot
