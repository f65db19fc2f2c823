// StateRoutes: the ForwardingState's routes in the kernel (`destination` by `via`, where pods are behind their node).
//
// They go into the main table with a protocol number and a metric of their own, so that the operator's and routing daemons' routes
// to the same destination win and are left alone; next hops then come from the kernel as for every other route (netlink.h).
// A route is put where `via` is in the network of an address of one of the ports' twins, into that twin's table; where clients' and nodes'
// side are apart (snapshot/side.h), of those of the nodes' side. What cannot be put is told (a warning when
// it changes, status()), and tried again by look(); it refuses no state.
//
// Worked example: state 1 wants 10.244.1.0/24 by 10.0.2.11, state 2 wants it by 10.0.2.12:
//   put({...11})    added; workers see it when put() returns
//   put({...12})    put in its place in the kernel
//   settle({...12}) nothing of an earlier state, or of an earlier process, is left
// put() comes before the state is in force, settle() after: no backend is chosen that cannot be reached yet.
//
// Thread contract: any control threads; a mutex orders them.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/contract/counters.h"
#include "api/contract/forwarding_state.h"
#include "dataplane/net/kernel_tables.h"
#include "dataplane/net/rtnetlink.h"
#include "dataplane/snapshot/publisher.h"

namespace guideway::net {

class StateRoutes {
  public:
    /// `publisher` must outlive this; whoever follows the kernel (Netlink) publishes there.
    StateRoutes(std::vector<TwinIdentity> twins, const snapshot::Publisher& publisher);

    std::optional<std::string> start();
    /// Adds what is missing of these, and waits until workers see it (at most half a second).
    void put(const std::vector<contract::Route>& routes);
    /// These, and no others of ours. Does nothing where they are what was settled last.
    void settle(const std::vector<contract::Route>& routes);
    /// What was settled is there? Every few seconds.
    void look();
    contract::RouteStatus status() const;

  private:
    struct Present {
        unsigned ifindex;
        IpPrefix to;
        IpAddress via;
        std::uint32_t table;
        friend auto operator<=>(const Present&, const Present&) = default;
    };
    std::vector<Present> present();
    /// The twin with an address in its network.
    const TwinIdentity* way_to(const IpAddress& via) const;
    /// Adds what is missing; returns what there is to say of the others, and how many were added.
    std::size_t add(const std::vector<contract::Route>& routes, const std::vector<Present>& there,
                    contract::RouteStatus& status);
    void wait_until_seen(const std::vector<contract::Route>& routes) const;
    void settle_now();

    std::vector<TwinIdentity> twins_;
    const snapshot::Publisher& publisher_;
    mutable std::mutex mutex_;  ///< guards what follows
    Rtnetlink kernel_;
    bool settled_once_ = false;
    std::vector<contract::Route> settled_;
    contract::RouteStatus status_;
};

}  // namespace guideway::net
