// Selection: which Services are ours (Kubernetes rule 1), and which Nodes are back ends, and how (rule 8).
//
// Worked example: a Node with label node.kubernetes.io/exclude-from-external-load-balancers="false", taint
// ToBeDeletedByClusterAutoscaler and InternalIPs 10.0.2.11, 10.0.2.12, fd00:2::11 is the appliance's node 10.0.2.11 + fd00:2::11, draining.
//
// Thread contract: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "api/resources/node.h"
#include "controlplane/kubernetes/objects/node.h"
#include "controlplane/kubernetes/objects/service.h"

namespace guideway::kubernetes {

inline constexpr const char* kExcludeLabel = "node.kubernetes.io/exclude-from-external-load-balancers";
inline constexpr const char* kAutoscalerTaint = "ToBeDeletedByClusterAutoscaler";
inline constexpr const char* kUnschedulableTaint = "node.kubernetes.io/unschedulable";

/// type LoadBalancer of this class, not being deleted. `load_balancer_class` empty: only Services without one (ipam-rules 24);
/// `also_without_class`: with a class, Services without one too (for a cluster where Guideway is the default).
bool is_ours(const Service& service, const std::string& load_balancer_class, bool also_without_class);

/// How Nodes become back ends.
struct NodeRules {
    std::string cluster = resources::kDefaultCluster;
    bool drain_unschedulable = false;  ///< cordoned nodes (kubectl cordon, kubectl drain) get no new connections
    std::uint32_t drain_timeout_seconds = 0;
    std::uint16_t health_check_port = 10256;  ///< of kube-proxy; 0: nodes are not probed
    bool send_pod_cidrs = false;              ///< the appliance routes to pods by their nodes
};

struct NodeRefusal {
    std::string reason;  ///< for people
    /// It could be one but for a mistake (no usable address), which somebody should know.
    bool mistake = false;
};

/// The appliance's node, or why it is none.
std::variant<resources::Node, NodeRefusal> back_end_of(const Node& node, const NodeRules& rules);

}  // namespace guideway::kubernetes
