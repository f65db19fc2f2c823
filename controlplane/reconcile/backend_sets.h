// The three sorts of backend sets, and what gives each backend its weight. Pure.
//
// Terms. A node takes connections unless it drains. It fails where the check that is asked about it says so: policy Local with a
// healthCheckNodePort its own verdict, else that of the node. An endpoint is ready unless it drains itself.
//
// - Nodes (policy Cluster): all of the cluster that have an address of the family, with their own weights.
// - Nodes with endpoints (policy Local, kubernetes-contract 10): weight = number of ready endpoints there, as far as the node itself
//   does not tell fewer. A node that has draining ones alone is in the set with weight 0; where no node has a ready one, those
//   have their number: kube-proxy serves them still (16).
// - Endpoints (mode pod, and ports without a node port; 12): each that is ready has weight 1; where none is, the draining ones have.
//
// In each: a draining node (its endpoints, too) has weight 0, and is `closed` once its time is over; one that fails has weight 0,
// but where all fail that would take connections, all keep their weight or none does, by AllFailing (9). Nobody is taken out
// of a set for that, so no connection is cut.
//
// Worked example: web (Local) has two ready endpoints on node-1, one on node-2, a draining one on node-3, and node-2 fails:
//   node-1 weight 2, node-2 weight 0, node-3 weight 0.
// Thread contract: pure functions.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "api/contract/forwarding_state.h"
#include "api/resources/node.h"
#include "controlplane/reconcile/forwarded.h"
#include "controlplane/reconcile/health_verdicts.h"

namespace guideway::reconcile {

/// Of one cluster, by name.
using NodesByName = std::map<std::string, resources::Node>;

/// Sorted by name and address.
std::vector<contract::Backend> nodes_as_backends(const NodesByName& nodes, const std::string& cluster, IpFamily family,
                                                 const HealthVerdicts& verdicts);

/// Of a port that has_own_set(). Sorted by address and port.
std::vector<contract::Backend> own_backends(const Forwarded& one, const resources::LoadBalancerPort& port,
                                            IpFamily family, const NodesByName& nodes, const HealthVerdicts& verdicts);

}  // namespace guideway::reconcile
