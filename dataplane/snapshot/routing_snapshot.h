// RoutingSnapshot: the kernel's routes and neighbours as the workers read them; immutable once published.
//
// net/ builds one from netlink after each change that matters and publishes it whole; workers look next hops up and keep
// the index in the flow entry together with `epoch`. Another epoch means: look up again (lazily, once a flow and direction).
//
// Terms: a NextHop is (port, destination MAC); an on-link destination is its own next hop. `usable` is false while the
// kernel has no MAC for it: the worker then asks net/ to resolve (the kernel sends ARP/NS through the TAP) and holds the
// packet for a moment.
//   ways       the routers of one prefix and metric (ECMP). Each flow goes by one of those that serve best: resolved and with a link,
//              else with a link (its address is asked for), else resolved, else any. Which one says the flow's hash against each of them
//              (rendezvous hashing, by weight): where a router goes, its flows alone go elsewhere.
//   last hop   the router that a client's packet came from: (port, source MAC). Where it is a next hop, replies may go there without a route.
//   flow       64 bits of the five-tuple, the same for all packets of a direction (flow/hash.h: selection_hash).
// Where clients' and nodes' side are kept apart (`apart`) a route is of its port's side, and a lookup sees the routes of one side alone.
// Thread contract: built by one control thread; const afterwards, read by all workers; freed after the QSBR grace period.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "api/contract/ip_address.h"
#include "dataplane/snapshot/route_index.h"
#include "dataplane/snapshot/side.h"

namespace guideway::snapshot {

using MacAddress = std::array<std::uint8_t, 6>;

struct NextHop {
    MacAddress destination_mac{};
    MacAddress source_mac{};  ///< of the outgoing port
    std::uint8_t port = 0;    ///< index into the configured ports (not the ethdev id)
    bool usable = false;
    std::uint16_t mtu =
        0;  ///< of the port, by RoutingSnapshot::finish(): largest IP packet; 0 where there is no such port
};
static_assert(sizeof(NextHop) == 16);

struct Route {
    IpPrefix prefix;  ///< host bits clear
    std::uint16_t port = 0;
    bool on_link = false;           ///< the destination itself is the next hop
    IpAddress gateway;              ///< where not on_link
    std::uint32_t metric = 0;       ///< lower wins among equal prefixes
    std::int32_t gateway_hop = -1;  ///< by RoutingSnapshot::finish(): the gateway's next hop, where it is resolved
    std::uint16_t weight = 1;       ///< from 1: its share among several ways
    /// By finish(), of the first route of a prefix: so many, from this one on, are the ways that flows may take.
    std::uint32_t ways = 1;
};

struct PortState {
    MacAddress mac{};
    std::uint16_t mtu = 1500;  ///< largest IP packet
    bool link_up = false;
    std::vector<IpPrefix> addresses;  ///< the kernel's, on the TAP twin
    Side side = Side::clients;        ///< matters where the sides are apart
};

struct NeighbourKey {
    std::uint16_t port = 0;
    IpAddress address;
    friend bool operator==(const NeighbourKey&, const NeighbourKey&) = default;
};

struct NeighbourKeyHash {
    std::size_t operator()(const NeighbourKey& key) const noexcept {
        return IpAddressHash{}(key.address) ^ (std::size_t{key.port} * 0x9e3779b97f4a7c15ULL);
    }
};

/// What a lookup found.
struct NextHopResult {
    enum class Kind : std::uint8_t { found, unresolved, no_route };
    Kind kind = Kind::no_route;
    std::uint16_t index = 0;  ///< found: into next_hops
    NeighbourKey neighbour;   ///< who it is; unresolved: whom to resolve
    std::uint32_t ways = 1;   ///< among so many the flow decided
};

class RoutingSnapshot {
  public:
    std::uint16_t epoch = 0;         ///< differs from the previous snapshot's whenever an index changed its meaning
    bool apart = false;              ///< the sides are
    std::vector<PortState> ports;    ///< by port index
    std::vector<NextHop> next_hops;  ///< at most 65535
    /// Those of a side together; of it the longest prefix first, those of one prefix together, by metric, of one metric the ways that
    /// serve best first: call finish() after filling.
    std::vector<Route> routes;
    std::array<RouteIndex, kSides> index;  ///< of the routes' prefixes, by side, from the side's first; by finish()
    std::array<std::size_t, kSides> first_of_side{};  ///< into `routes`; by finish()
    std::array<std::vector<IpAddress>, kSides> own;   ///< the kernel's, and broadcasts, by side, sorted; by finish()
    std::unordered_map<NeighbourKey, std::uint16_t, NeighbourKeyHash>
        neighbours;  ///< usable ones, to index in next_hops
    /// By index in next_hops: the epoch in which it began to mean what it means, or a later one, kMostEpochsBack before the present. finish()
    /// sees to that, and gives those that have none the present one.
    std::vector<std::uint16_t> since;

    /// Sorts the routes and tells the next hops their port's MTU. Call before publishing, after the last change.
    void finish();
    /// Longest-prefix match, of several ways the flow's, then the neighbour. A search in the routes: called once a flow and epoch, not
    /// once a packet.
    NextHopResult lookup(const IpAddress& destination, std::uint64_t flow = 0, Side side = Side::clients) const;
    /// Those that lookup() chooses among; none without a route.
    std::span<const Route> ways_to(const IpAddress& destination, Side side = Side::clients) const;
    /// Has a route, of those of the longest matching prefix any. Costs as lookup() does.
    bool has_route(const IpAddress& destination, Side side = Side::clients) const;
    bool has_route_through(const IpAddress& destination, std::uint16_t port) const;
    /// The usable next hop with this MAC address (6 bytes), by whichever neighbour it is one; kNoHop: none.
    std::uint16_t hop_to(std::uint16_t port, const std::uint8_t* mac) const noexcept;
    static constexpr std::uint16_t kNoHop = 0xffff;
    static constexpr std::uint16_t kMostEpochsBack = 16'384;
    /// Whether an index that was looked up in that epoch, at most kMostEpochsBack before the present, means the same now, and serves.
    bool still_means(std::uint16_t hop, std::uint16_t epoch_then) const noexcept {
        return hop < next_hops.size() && hop < since.size() && next_hops[hop].usable &&
               static_cast<std::int16_t>(epoch_then - since[hop]) >= 0;
    }

    /// The side of a route or its like by its port; one and the same for all where the sides are not apart.
    Side side_of(std::uint16_t port) const { return apart && port < ports.size() ? ports[port].side : Side::clients; }
    /// An address of the kernel's on a port of that side, or its network's broadcast address.
    bool is_own(const IpAddress& address, Side side) const;

    /// Position of the best route in `routes`; RouteIndex::kNone: there is none.
    std::int32_t best_route(const IpAddress& destination, Side side) const;

  private:
    void list_own_addresses();
    void order_ways();

    std::vector<std::pair<std::uint64_t, std::uint16_t>> by_mac_;  ///< (port and MAC, index), ascending; by finish()
};

}  // namespace guideway::snapshot
