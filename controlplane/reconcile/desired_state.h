// From the resources to the ForwardingState that follows from them. Pure and deterministic: equal resources give equal states, in
// whatever order they came.
//
// - backend sets: of each cluster one a family of all its nodes, shared by all services of policy Cluster; what goes to nodes
//   with endpoints (policy Local) or to endpoints (mode pod, ports without a node port) has sets of its own, equal ones of one
//   load balancer once: backend_sets.h has the weights.
// - source range sets: one for each content there is, whoever has it; sorted, without host bits, each prefix once.
// - VIPs bound to ports: each once, whichever load balancers share it: they have it of one pool.
// - routes: to the pod prefixes of nodes, by the node's address of the same family; where two nodes claim one, by the lower address.
//
// Worked example: nodes node-1 (10.0.2.11, fd00::11) and node-2 (10.0.2.12, draining); default/web holds 203.0.113.10 with
// TCP 80 -> 30080; default/api (Local, endpoints on node-1) holds 203.0.113.11 with TCP 80 -> 30081:
//   sets:     nodes-ipv4 = node-1 weight 1, node-2 weight 0; nodes-ipv6 = node-1 weight 1; default/api#ipv4-TCP-80 = node-1
//   services: 203.0.113.10 TCP 80 -> nodes-ipv4:30080, 203.0.113.11 TCP 80 -> default/api#ipv4-TCP-80:30081
// The nodes of another cluster, "prod", are the sets prod/nodes-ipv4 and prod/nodes-ipv6.
//
// StateBuilder keeps what it made before: a change of one node or verdict costs the sets that name that node, a change of a load
// balancer its own sets, and each build a copy of all; never services x nodes.
//
// Thread contract: desired_state() is pure; a StateBuilder is of one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "api/contract/forwarding_state.h"
#include "api/resources/load_balancer.h"
#include "api/resources/node.h"
#include "controlplane/reconcile/backend_sets.h"
#include "controlplane/reconcile/forwarded.h"
#include "controlplane/reconcile/health_verdicts.h"

namespace guideway::reconcile {

inline constexpr const char* kNodesIpv4 = "nodes-ipv4";
inline constexpr const char* kNodesIpv6 = "nodes-ipv6";

class StateBuilder {
  public:
    /// Forgets all but the verdicts.
    void clear();
    /// By the load balancer's name (Forwarded::name); none: nothing of it is forwarded.
    void put_load_balancer(const std::string& name, std::optional<Forwarded> now);
    /// By any text that names one node of all clusters; none: it is gone.
    void put_node(const std::string& key, std::optional<resources::Node> now);
    void put_verdicts(std::shared_ptr<const HealthVerdicts> now);

    /// Of what was put. Generation 0: the caller numbers it.
    contract::ForwardingState build();
    /// Load balancers whose sets the last build made anew; the others' were kept.
    std::size_t made_anew() const { return made_anew_; }

  private:
    using Prefixes = std::vector<IpPrefix>;
    /// A load balancer and what follows from it.
    struct Item {
        Forwarded from;
        bool dirty = true;
        bool owns = false;  ///< has sets of its own, which hang on nodes and verdicts
        std::vector<contract::BackendSet> sets;
        std::vector<contract::Service> services;
        Prefixes ranges;          ///< sorted; empty: open
        std::string ranges_name;  ///< by content; two contents may have one (names_of_ranges)
    };
    using NodeName = std::pair<std::string, std::string>;  ///< cluster, name

    void make(Item& item) const;
    void watch_nodes(const std::string& name, const Forwarded& one, bool begin);
    void touch_users(const NodeName& node);
    void add_cluster_sets(contract::ForwardingState& state) const;
    void add_routes(contract::ForwardingState& state) const;
    void add_ranges(contract::ForwardingState& state) const;
    const NodesByName& nodes_of(const std::string& cluster) const;

    std::map<std::string, Item> items_;
    std::map<std::string, NodesByName> nodes_;         ///< by cluster
    std::map<std::string, NodeName> node_names_;       ///< by the caller's key
    std::map<NodeName, std::set<std::string>> users_;  ///< load balancers with endpoints there and sets of their own
    std::shared_ptr<const HealthVerdicts> verdicts_ = std::make_shared<const HealthVerdicts>();
    std::size_t made_anew_ = 0;
};

/// All at once.
contract::ForwardingState desired_state(const std::vector<resources::Node>& nodes,
                                        const std::vector<Forwarded>& load_balancers,
                                        const HealthVerdicts& verdicts = {});

/// Equal but for the generation.
bool same_content(const contract::ForwardingState& a, const contract::ForwardingState& b);

}  // namespace guideway::reconcile
