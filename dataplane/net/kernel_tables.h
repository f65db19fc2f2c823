// KernelTables: what the kernel said about links, addresses, routes and neighbours, and the RoutingSnapshot made of it.
//
// Terms:
//   twin       a port's TAP device; everything that is not on a twin is ignored, but the link of the Linux interface a port drives: a
//              twin has a carrier however the cable is.
//   usable     a neighbour with a MAC address that the kernel has not declared failed: REACHABLE, STALE, DELAY, PROBE,
//              PERMANENT, NOARP. A stale one keeps being used while the kernel probes it.
//   matters    a change that changes what workers do. REACHABLE -> STALE of the same MAC does not.
//   way        one next hop of a route. A route has several where the kernel says so in one message (RTA_MULTIPATH), one after the other
//              (IPv6 siblings, `ip route append`), or by the number of a next-hop object (RTA_NH_ID): those are followed for
//              themselves (next_hop_objects.h), since the kernel changes a group without a word about its routes.
//
// Links that go down: IPv4 routes with no other way go without a message for each. Of several ways those by such a link stay, in the
// kernel too, are not used meanwhile, and are there again with the link, without a message.
//
// Indices of next hops are stable: a neighbour keeps its index as long as it is usable, a new one takes a free index. The epoch
// moves on when an index may mean something else or another route may win, so flows look up again.
//
// Worked example: neighbour 10.0.2.11 resolves -> index 0, epoch as before (nobody used 0); its MAC changes -> index 0,
// epoch + 1; it fails -> gone, epoch + 1; a route is added -> epoch + 1.
//
// Routers whose MAC address the kernel does not know, since it never sent them anything, are learned from the packets that came by them
// (`replies = "last_hop"`), at most kMostLearned. They are next hops like neighbours. Where there are more, the older half is forgotten,
// each ten seconds at most: those that are in use are heard of again.
//
// Pure: fed with netlink messages, no socket. Thread contract: one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "dataplane/net/leftovers.h"
#include "dataplane/net/next_hop_objects.h"
#include "dataplane/snapshot/routing_snapshot.h"

struct nlmsghdr;

namespace guideway::net {

/// A port as this module needs it, by port index.
struct TwinIdentity {
    unsigned ifindex = 0;  ///< of the TAP twin
    snapshot::MacAddress mac{};
    std::uint16_t mtu = 1500;
    unsigned device = 0;  ///< ifindex of the Linux interface that the port, or the port of the VLAN, drives; 0: none
    std::uint32_t table = kMainTable;  ///< of the kernel: routes through the twin count in this one alone
    snapshot::Side side = snapshot::Side::clients;
};

class KernelTables {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;
    static constexpr std::size_t kMostLearned = 4096;
    static constexpr auto kForgetLearnedEach = std::chrono::seconds(10);

    /// Twins of two sides (snapshot/side.h) have two tables; else all have the main one.
    explicit KernelTables(std::vector<TwinIdentity> twins);

    /// Any RTM_NEW* / RTM_DEL* message; damaged and foreign ones are ignored.
    void apply(const nlmsghdr& message);
    /// Forgets everything the kernel said, before it is asked again. Indices and the epoch stay.
    void clear();

    /// A worker heard a router that is no next hop. True where that is news.
    bool learn(std::uint16_t port, const snapshot::MacAddress& mac, TimePoint now);
    std::size_t learned() const { return learned_.size(); }

    /// A new snapshot if something changed that matters since the last call (or nothing was built yet), else null.
    std::shared_ptr<const snapshot::RoutingSnapshot> build();

    /// Gateways of the routes: wanted before the first packet needs them.
    std::set<std::pair<std::uint16_t, IpAddress>> gateways() const;
    /// The last snapshot has routers more than the one before, that were learned, and is the same in all else.
    bool only_learned() const { return only_learned_; }
    /// Neighbours without a fresh confirmation by the kernel: worth a question if they are in use.
    bool is_stale(const snapshot::NeighbourKey& key) const;

  private:
    using Key = std::pair<std::uint16_t, IpAddress>;
    struct Neighbour {
        snapshot::MacAddress mac{};
        std::uint16_t state = 0;
    };
    /// Identity of a way in the kernel: (prefix, metric, port); what it leads to, and its weight.
    using RouteKey = std::tuple<IpPrefix, std::uint32_t, std::uint16_t, std::optional<IpAddress>, std::uint16_t>;
    /// Of a route by next-hop objects: (prefix, metric, table).
    using ObjectRouteKey = std::tuple<IpPrefix, std::uint32_t, std::uint32_t>;

    std::optional<std::uint16_t> port_of(int ifindex) const;
    void apply_link(const nlmsghdr& message);
    void apply_device_link(int ifindex, bool running);
    void apply_address(const nlmsghdr& message);
    void apply_route(const nlmsghdr& message);
    void apply_neighbour(const nlmsghdr& message);
    void apply_next_hop_object(const nlmsghdr& message);
    void drop_route(const IpPrefix& prefix, std::uint32_t metric, std::uint32_t table);
    void drop_way(const IpPrefix& prefix, std::uint32_t metric, const Way& way);
    void drop_ways_of_shut_ports();
    void drop_routes_by(const std::set<std::uint32_t>& gone);
    std::set<RouteKey> all_ways() const;
    bool is_read(std::uint32_t table) const;
    bool apart() const;

    std::vector<TwinIdentity> twins_;
    std::vector<bool> up_;
    std::set<std::pair<std::uint16_t, IpPrefix>> addresses_;
    std::set<RouteKey> routes_;
    std::vector<bool> shut_;       ///< by port: its twin was set down
    std::vector<bool> unplugged_;  ///< by port: its Linux interface has no link
    NextHopObjects objects_;
    std::map<ObjectRouteKey, std::uint32_t> object_routes_;  ///< by an object
    std::map<Key, Neighbour> neighbours_;

    using Station = std::pair<std::uint16_t, snapshot::MacAddress>;
    std::vector<Station> learned_;  ///< the oldest first
    std::optional<TimePoint> forgot_learned_;

    // What the last snapshot said, for stable indices and to tell changes that matter.
    std::map<Key, std::uint16_t> indices_;
    std::map<Station, std::uint16_t> learned_indices_;
    bool learned_changed_ = false;
    bool only_learned_ = false;
    std::shared_ptr<const snapshot::RoutingSnapshot> last_;
    std::set<RouteKey> last_routes_;
};

}  // namespace guideway::net
