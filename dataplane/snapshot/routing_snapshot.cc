#include "dataplane/snapshot/routing_snapshot.h"

#include <algorithm>

namespace guideway::snapshot {

void RoutingSnapshot::finish() {
    std::stable_sort(routes.begin(), routes.end(), [](const Route& a, const Route& b) {
        if (a.prefix.length != b.prefix.length) return a.prefix.length > b.prefix.length;
        return a.metric < b.metric;
    });
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
    for (const Route& route : routes) {
        if (!route.prefix.contains(destination)) continue;
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
    return result;
}

bool RoutingSnapshot::has_route(const IpAddress& destination) const {
    return std::ranges::any_of(routes, [&](const Route& route) { return route.prefix.contains(destination); });
}

/// Whatever their metric: a second way of the same length is feasible (RFC 3704 2.3).
bool RoutingSnapshot::has_route_through(const IpAddress& destination, std::uint16_t port) const {
    const auto longest =
        std::ranges::find_if(routes, [&](const Route& route) { return route.prefix.contains(destination); });
    if (longest == routes.end()) return false;
    return std::any_of(longest, routes.end(), [&](const Route& route) {
        return route.port == port && route.prefix.length == longest->prefix.length &&
               route.prefix.contains(destination);
    });
}

}  // namespace guideway::snapshot
