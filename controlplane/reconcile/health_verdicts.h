// HealthVerdicts: what the health checks found, as far as it changes where new connections go. What is not named here is well: a node
// that is not probed, or not yet.
//
// Worked example: node-2 fails its own check; of default/web (policy Local) node-1 tells 2 ready endpoints, node-3 fails:
//   failing_nodes = {{"default", "node-2"}}
//   local         = {"default/web": {"node-1": {false, 2}, "node-3": {true, none}}}
// -> the cluster's node sets have node-2 with weight 0; the set of default/web has node-3 with weight 0.
//
// A failing node stays in its sets with weight 0: no new connections, and none that it has is cut (kubernetes-contract 9).
// Thread contract: plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace guideway::reconcile {

/// Where every node of a set that could take new connections fails: all get some (the fault may be the appliance's), or none.
enum class AllFailing : std::uint8_t { all, none };

/// A node, as asked about one load balancer (policy Local, healthCheckNodePort).
struct LocalVerdict {
    bool failing = false;
    std::optional<std::uint32_t> endpoints;  ///< ready there, as the node tells; none: it does not
    /// Its first endpoint became ready just now, and it has not said yet that it serves it: whatever else serves goes before it.
    bool joining = false;
    friend bool operator==(const LocalVerdict&, const LocalVerdict&) = default;
};

struct HealthVerdicts {
    AllFailing all_failing = AllFailing::all;
    std::set<std::pair<std::string, std::string>> failing_nodes;  ///< by cluster and name
    /// By the load balancer's name (Forwarded::name), then by the node's name.
    std::map<std::string, std::map<std::string, LocalVerdict>> local;

    bool node_fails(const std::string& cluster, const std::string& node) const {
        return !failing_nodes.empty() && failing_nodes.contains({cluster, node});
    }
    /// Null: nothing is known of it, so it is well.
    const LocalVerdict* local_verdict(const std::string& load_balancer, const std::string& node) const {
        const auto of = local.find(load_balancer);
        if (of == local.end()) return nullptr;
        const auto at = of->second.find(node);
        return at == of->second.end() ? nullptr : &at->second;
    }
    friend bool operator==(const HealthVerdicts&, const HealthVerdicts&) = default;
};

}  // namespace guideway::reconcile
