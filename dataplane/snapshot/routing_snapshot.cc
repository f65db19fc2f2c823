#include "dataplane/snapshot/routing_snapshot.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <tuple>

namespace guideway::snapshot {
namespace {

/// Each bit of the result depends on each bit of the value (splitmix64).
std::uint64_t stir(std::uint64_t value) noexcept {
    value = (value ^ value >> 30U) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ value >> 27U) * 0x94d049bb133111ebULL;
    return value ^ value >> 31U;
}

/// The flow's number for this way. It knows the router by port and address, not by index: so it is the same in all snapshots.
std::uint64_t draw(const Route& way, std::uint64_t flow) noexcept {
    std::array<std::uint64_t, 2> halves;
    std::memcpy(halves.data(), way.gateway.bytes.data(), sizeof halves);
    return stir(flow ^ stir(halves[0] ^ stir(halves[1] + way.port + 0x9e3779b97f4a7c15ULL)));
}

/// Port and MAC address as one number.
std::uint64_t station_key(std::uint16_t port, const std::uint8_t* mac) noexcept {
    std::uint64_t key = port;
    for (int i = 0; i < 6; ++i) key = key << 8U | mac[i];
    return key;
}

/// Rendezvous hashing. With equal weights the largest number wins; else the largest u^(1/weight), u being the number between 0 and 1.
const Route& chosen_of(std::span<const Route> ways, std::uint64_t flow) noexcept {
    const bool equal = std::ranges::all_of(ways, [&](const Route& way) { return way.weight == ways.front().weight; });
    const Route* best = nullptr;
    std::uint64_t largest = 0;
    double lightest = 0;
    for (const Route& way : ways) {
        const std::uint64_t number = draw(way, flow);
        if (equal) {
            if (best != nullptr && number <= largest) continue;
            largest = number;
        } else {
            const double u = (static_cast<double>(number >> 11U) + 0.5) * 0x1p-53;
            const double burden = -std::log(u) / way.weight;
            if (best != nullptr && burden >= lightest) continue;
            lightest = burden;
        }
        best = &way;
    }
    return *best;
}

}  // namespace

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
    order_ways();
    for (NextHop& hop : next_hops) hop.mtu = hop.port < ports.size() ? ports[hop.port].mtu : std::uint16_t{0};
    since.resize(next_hops.size(), epoch);
    for (std::uint16_t& then : since) {
        if (static_cast<std::uint16_t>(epoch - then) > kMostEpochsBack)
            then = static_cast<std::uint16_t>(epoch - kMostEpochsBack);
    }
    by_mac_.clear();
    for (std::size_t i = 0; i < next_hops.size(); ++i) {
        const NextHop& hop = next_hops[i];
        if (hop.usable)
            by_mac_.emplace_back(station_key(hop.port, hop.destination_mac.data()), static_cast<std::uint16_t>(i));
    }
    std::ranges::sort(by_mac_);
}

/// Where the destination itself is the next hop there is nothing to choose: it is on one link.
void RoutingSnapshot::order_ways() {
    const auto rank = [this](const Route& way) {
        if (way.on_link) return 4;
        const bool link = way.port < ports.size() && ports[way.port].link_up;
        if (!link) return way.gateway_hop >= 0 ? 2 : 3;
        return way.gateway_hop >= 0 ? 0 : 1;
    };
    for (auto first = routes.begin(); first != routes.end();) {
        const auto end = std::find_if(first + 1, routes.end(), [&](const Route& other) {
            return other.prefix != first->prefix || other.metric != first->metric ||
                   side_of(other.port) != side_of(first->port);
        });
        first->ways = 1;
        if (end - first > 1 && !first->on_link) {
            std::stable_sort(first, end, [&](const Route& a, const Route& b) { return rank(a) < rank(b); });
            const auto worse = std::find_if(first, end, [&](const Route& way) { return rank(way) != rank(*first); });
            first->ways = static_cast<std::uint32_t>(worse - first);
        }
        first = end;
    }
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

std::span<const Route> RoutingSnapshot::ways_to(const IpAddress& destination, Side side) const {
    const std::int32_t at = best_route(destination, side);
    if (at == RouteIndex::kNone) return {};
    const Route& first = routes[static_cast<std::size_t>(at)];
    return {&first, first.ways};
}

NextHopResult RoutingSnapshot::lookup(const IpAddress& destination, std::uint64_t flow, Side side) const {
    NextHopResult result;
    const std::span<const Route> ways = ways_to(destination, side);
    if (ways.empty()) return result;
    const Route& route = ways.size() == 1 ? ways.front() : chosen_of(ways, flow);
    result.ways = static_cast<std::uint32_t>(ways.size());
    result.neighbour = {route.port, route.on_link ? destination : route.gateway};
    result.kind = NextHopResult::Kind::found;
    if (route.gateway_hop >= 0) {
        result.index = static_cast<std::uint16_t>(route.gateway_hop);
    } else if (const auto found = neighbours.find(result.neighbour); found != neighbours.end()) {
        result.index = found->second;
    } else {
        result.kind = NextHopResult::Kind::unresolved;
    }
    return result;
}

std::uint16_t RoutingSnapshot::hop_to(std::uint16_t port, const std::uint8_t* mac) const noexcept {
    const std::uint64_t key = station_key(port, mac);
    const auto found = std::lower_bound(by_mac_.begin(), by_mac_.end(), std::pair{key, std::uint16_t{0}});
    return found != by_mac_.end() && found->first == key ? found->second : kNoHop;
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
