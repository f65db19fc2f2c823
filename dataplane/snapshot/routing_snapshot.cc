#include "dataplane/snapshot/routing_snapshot.h"

#include <algorithm>
#include <span>
#include <tuple>

namespace guideway::snapshot {

void RoutingSnapshot::finish() {
    std::stable_sort(routes.begin(), routes.end(), [this](const Route& a, const Route& b) {
        if (const Side one = side_of(a.port), other = side_of(b.port); one != other) return one < other;
        if (a.prefix.length != b.prefix.length) return a.prefix.length > b.prefix.length;
        return std::tie(a.prefix.address, a.metric) < std::tie(b.prefix.address, b.metric);
    });
    std::vector<IpPrefix> prefixes;
    prefixes.reserve(routes.size());
    for (const Route& route : routes) prefixes.push_back(route.prefix);
    const auto of_clients = static_cast<std::size_t>(
        std::ranges::count_if(routes, [this](const Route& route) { return side_of(route.port) == Side::clients; }));
    first_of_side = {0, of_clients};
    const std::span<const IpPrefix> all(prefixes);
    index = {RouteIndex(all.first(of_clients)), RouteIndex(all.subspan(of_clients))};
    list_own_addresses();
    for (Route& route : routes) {
        route.gateway_hop = -1;
        if (route.on_link) continue;
        const auto found = neighbours.find({route.port, route.gateway});
        if (found != neighbours.end()) route.gateway_hop = found->second;
    }
    for (NextHop& hop : next_hops) hop.mtu = hop.port < ports.size() ? ports[hop.port].mtu : std::uint16_t{0};
}

void RoutingSnapshot::list_own_addresses() {
    for (auto& addresses : own) addresses.clear();
    for (std::size_t port = 0; port < ports.size(); ++port) {
        auto& addresses = own[number_of(side_of(static_cast<std::uint16_t>(port)))];
        for (const IpPrefix& prefix : ports[port].addresses) {
            addresses.push_back(prefix.address);
            // The network's broadcast address is for all its hosts.
            if (prefix.address.is_v4() && prefix.length < 31)
                addresses.push_back(IpAddress::v4(prefix.address.v4_value() | 0xffffffffU >> prefix.length));
        }
    }
    for (auto& addresses : own) std::ranges::sort(addresses);
}

bool RoutingSnapshot::is_own(const IpAddress& address, Side side) const {
    return std::ranges::binary_search(own[apart ? number_of(side) : 0], address);
}

std::int32_t RoutingSnapshot::best_route(const IpAddress& destination, Side side) const {
    const std::size_t number = apart ? number_of(side) : 0;
    const std::int32_t at = index[number].find(destination);
    return at == RouteIndex::kNone ? at : at + static_cast<std::int32_t>(first_of_side[number]);
}

NextHopResult RoutingSnapshot::lookup(const IpAddress& destination, Side side) const {
    NextHopResult result;
    const std::int32_t at = best_route(destination, side);
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

bool RoutingSnapshot::has_route(const IpAddress& destination, Side side) const {
    return best_route(destination, side) != RouteIndex::kNone;
}

/// Whatever their metric: a second way of the same length is feasible (RFC 3704 2.3).
bool RoutingSnapshot::has_route_through(const IpAddress& destination, std::uint16_t port) const {
    const Side side = side_of(port);
    const std::int32_t at = best_route(destination, side);
    if (at == RouteIndex::kNone) return false;
    const auto longest = routes.begin() + at;
    const auto others = std::find_if(longest, routes.end(), [&](const Route& route) {
        return route.prefix != longest->prefix || side_of(route.port) != side;
    });
    return std::any_of(longest, others, [&](const Route& route) { return route.port == port; });
}

}  // namespace guideway::snapshot
