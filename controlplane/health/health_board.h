// HealthBoard: which nodes are to be asked what, and what was found. From nodes and load balancers to the prober's targets, and from
// the prober's verdicts to what the forwarding state and the REST objects need.
//
// Terms. Check: one thing that is asked of one node. There are two kinds (kubernetes-contract 9):
// - "node": kube-proxy's GET /healthz at the node's healthCheckPort; one for each node that has such a port, at its first address.
// - of a load balancer with policy Local and a healthCheckNodePort: GET /healthz there, of each node that has ready endpoints in its
//   slices. Nodes without are not asked: they get nothing anyway. Nodes that only have draining ones are not asked either: they would
//   answer 503, though they serve where there is nothing else.
//
// A node whose first endpoint becomes ready while others serve joins: the slices tell of it before its kube-proxy has it, and what it is
// sent meanwhile is refused or lost. So others go before it until it answers that it has one. At a start, and of a load balancer that
// is new, nobody joins: there nothing is known of what served before.
//
// Worked example: put_node(node-1, 10.0.2.11, healthCheckPort 10256); put_load_balancer(default/web, Local, healthCheckNodePort 31000,
// 3 endpoints on node-1) -> take_targets() puts {"node node-1", 10.0.2.11:10256} and {"local default/web node-1", 10.0.2.11:31000}.
// note(the latter told 2 endpoints) -> verdicts().local["default/web"]["node-1"] = {false, 2}.
//
// Cost: a changed node costs its own checks, a changed load balancer its own.
// Thread contract: none of its own; the owner serialises.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "api/resources/load_balancer.h"
#include "api/resources/node.h"
#include "controlplane/health/brake.h"
#include "controlplane/health/prober.h"
#include "controlplane/reconcile/health_verdicts.h"

namespace guideway::health {

class HealthBoard {
  public:
    using NodeName = std::pair<std::string, std::string>;  ///< cluster and name

    explicit HealthBoard(reconcile::AllFailing all_failing = reconcile::AllFailing::all) {
        verdicts_.all_failing = all_failing;
    }

    void put_node(const resources::Node& node);
    void erase_node(const NodeName& node);
    /// As it is forwarded; its key() names it. One that needs no check is as good as erased.
    void put_load_balancer(const resources::LoadBalancer& load_balancer);
    void erase_load_balancer(const std::string& key);
    /// Forgets nodes and load balancers of which these say no.
    void keep_only(const std::function<bool(const NodeName&)>& node,
                   const std::function<bool(const std::string&)>& load_balancer);

    struct Targets {
        std::vector<Target> put;
        std::vector<std::string> gone;
    };
    /// What changed for the prober since the last call.
    Targets take_targets();
    /// Nothing can be probed at the moment: who joins is not waited for. True: somebody was.
    bool stop_waiting();

    /// A verdict that is another now, or has another reason.
    struct News {
        NodeName node;
        std::string load_balancer;  ///< its key; empty: the node's own check
        Target target;
        Verdict verdict;
        bool turned = false;
        bool tell = false;            ///< it may be logged and told as an event: it does not flap
        std::uint64_t held_back = 0;  ///< so many before it were not
    };
    /// What of it is about checks as they are now, but for mere numbers of endpoints.
    std::vector<News> note(const std::vector<Changed>& changes, std::chrono::steady_clock::time_point now);

    const reconcile::HealthVerdicts& verdicts() const { return verdicts_; }
    /// A copy of the verdicts where they are others than at the last call; else null.
    std::shared_ptr<const reconcile::HealthVerdicts> take_verdicts();

    /// Of this node's checks, its own first. `trouble`: why nothing can be probed at the moment.
    std::vector<resources::NodeHealth> health_of(const NodeName& node, const std::string& trouble) const;
    /// Of its own check; null: it has none.
    const Verdict* node_verdict(const NodeName& node) const;
    /// Each node with a check of its own, and whether it is well.
    std::vector<std::pair<NodeName, bool>> nodes_probed() const;
    struct Found {
        std::uint64_t well = 0, failing = 0;  ///< nodes
    };
    /// Each load balancer with a check of its own, by its key.
    std::map<std::string, Found> balancers_probed() const;
    /// Some check has no verdict yet.
    bool undecided() const;
    std::size_t checks() const { return checks_.size(); }

  private:
    struct NodeInfo {
        IpAddress address;
        std::uint16_t port = 0;  ///< 0: it has no check of its own
        friend bool operator==(const NodeInfo&, const NodeInfo&) = default;
    };
    struct Balancer {
        std::string cluster;
        std::uint16_t port = 0;
        std::map<std::string, std::uint32_t> ready;  ///< endpoints, by the node's name
        friend bool operator==(const Balancer&, const Balancer&) = default;
    };
    struct Check {
        Target target;
        Verdict verdict;
        NodeName node;
        std::string load_balancer;
        bool joins = false;  ///< and has no verdict yet
        Brake brake{Brake::Limits{}};
    };

    void put_check(const NodeName& node, const std::string& load_balancer, const NodeInfo& info, std::uint16_t port,
                   bool joins = false);
    void erase_check(const NodeName& node, const std::string& load_balancer);
    void count(const Check& check);
    void count_well(const NodeName& node, const std::string& load_balancer);

    std::map<NodeName, NodeInfo> nodes_;
    std::map<NodeName, std::set<std::string>> wanted_;  ///< by which load balancers; nodes that are not known, too
    std::map<std::string, Balancer> balancers_;
    std::map<std::string, Check> checks_;  ///< by the target's key
    std::set<std::string> changed_;        ///< keys of targets that came, changed or went
    reconcile::HealthVerdicts verdicts_;
    bool verdicts_changed_ = false;
    Brake brake_{Brake::Limits{256, 4}};  ///< of all checks together
};

}  // namespace guideway::health
