// KernelTables: what the kernel said about links, addresses, routes and neighbours, and the RoutingSnapshot made of it.
//
// Terms:
//   twin       a port's TAP device; everything that is not on a twin is ignored.
//   usable     a neighbour with a MAC address that the kernel has not declared failed: REACHABLE, STALE, DELAY, PROBE,
//              PERMANENT, NOARP. A stale one keeps being used while the kernel probes it.
//   matters    a change that changes what workers do. REACHABLE -> STALE of the same MAC does not.
//
// Indices of next hops are stable: a neighbour keeps its index as long as it is usable, a new one takes a free index. The epoch
// moves on when an index may mean something else or another route may win, so flows look up again.
//
// Worked example: neighbour 10.0.2.11 resolves -> index 0, epoch as before (nobody used 0); its MAC changes -> index 0,
// epoch + 1; it fails -> gone, epoch + 1; a route is added -> epoch + 1.
//
// Pure: fed with netlink messages, no socket. Thread contract: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "dataplane/net/leftovers.h"
#include "dataplane/snapshot/routing_snapshot.h"

struct nlmsghdr;

namespace guideway::net {

/// A port as this module needs it, by port index.
struct TwinIdentity {
    unsigned ifindex = 0;  ///< of the TAP twin
    snapshot::MacAddress mac{};
    std::uint16_t mtu = 1500;
    std::uint32_t table = kMainTable;  ///< of the kernel: routes through the twin count in this one alone
    snapshot::Side side = snapshot::Side::clients;
};

class KernelTables {
  public:
    /// Twins of two sides (snapshot/side.h) have two tables; else all have the main one.
    explicit KernelTables(std::vector<TwinIdentity> twins);

    /// Any RTM_NEW* / RTM_DEL* message; damaged and foreign ones are ignored.
    void apply(const nlmsghdr& message);
    /// Forgets everything the kernel said, before it is asked again. Indices and the epoch stay.
    void clear();

    /// A new snapshot if something changed that matters since the last call (or nothing was built yet), else null.
    std::shared_ptr<const snapshot::RoutingSnapshot> build();

    /// Gateways of the routes: wanted before the first packet needs them.
    std::set<std::pair<std::uint16_t, IpAddress>> gateways() const;
    /// Neighbours without a fresh confirmation by the kernel: worth a question if they are in use.
    bool is_stale(const snapshot::NeighbourKey& key) const;

  private:
    using Key = std::pair<std::uint16_t, IpAddress>;
    struct Neighbour {
        snapshot::MacAddress mac{};
        std::uint16_t state = 0;
    };
    /// Identity of a route in the kernel: (prefix, metric, port); what it leads to.
    using RouteKey = std::tuple<IpPrefix, std::uint32_t, std::uint16_t, std::optional<IpAddress>>;

    std::optional<std::uint16_t> port_of(int ifindex) const;
    void apply_link(const nlmsghdr& message);
    void apply_address(const nlmsghdr& message);
    void apply_route(const nlmsghdr& message);
    void apply_neighbour(const nlmsghdr& message);
    void drop_route(const IpPrefix& prefix, std::uint32_t metric, std::uint32_t table);
    bool is_read(std::uint32_t table) const;
    bool apart() const;

    std::vector<TwinIdentity> twins_;
    std::vector<bool> up_;
    std::set<std::pair<std::uint16_t, IpPrefix>> addresses_;
    std::set<RouteKey> routes_;
    std::map<Key, Neighbour> neighbours_;

    // What the last snapshot said, for stable indices and to tell changes that matter.
    std::map<Key, std::uint16_t> indices_;
    std::shared_ptr<const snapshot::RoutingSnapshot> last_;
    std::set<RouteKey> last_routes_;
};

}  // namespace guideway::net
