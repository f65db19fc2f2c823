// Translate: a Service, its EndpointSlices and its Namespace's labels -> the LoadBalancer that the appliance is asked for.
//
// Terms. Pods: whether and how the appliance reaches pods itself. Endpoints (sent as endpointSlices) are sent only where something is
// decided by them: policy Local, mode pod, and ports without a node port. So a Service of the ordinary kind costs nothing while its pods
// come and go.
//
// A port that nothing can carry (no node port, and pods that are not reachable) is sent all the same, so that the address stays what it is
// (rule 16), and its clients are refused; port_errors tells it (rule 12).
//
// Worked example: Service prod/web, TCP 80 -> nodePort 30080, policy Local, one slice with pod 10.1.0.5 on node-1, ready
//   -> LoadBalancer prod/web {ports: [TCP 80 nodePort 30080], externalTrafficPolicy Local, healthCheckNodePort 31234,
//      endpointSlices: [{ports: [TCP 80 -> 8080], endpoints: [{10.1.0.5, node-1}]}]}
//
// A fault means that the Service is wrong as it is: nothing is made or changed for it (rule 11).
// Thread contract: pure functions.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/resources/load_balancer.h"
#include "controlplane/kubernetes/annotations.h"
#include "controlplane/kubernetes/objects/endpoint_slice.h"
#include "controlplane/kubernetes/objects/service.h"

namespace guideway::kubernetes {

enum class Pods : std::uint8_t {
    unreachable,  ///< only nodes are
    routed,       ///< the network routes to them
    via_nodes,    ///< the appliance routes to them by their nodes' podCIDRs
};

struct TranslateRules {
    std::string cluster = resources::kDefaultCluster;
    Pods pods = Pods::unreachable;
    bool ranges_end_established = false;
};

struct Translated {
    resources::LoadBalancer wanted;
    std::vector<resources::PortStatus> port_errors;  ///< of ports that nothing can carry
    std::vector<std::string> notes;                  ///< for Warning events
    std::vector<contract::Fault> faults;             ///< not empty: `wanted` is not to be used
    bool ok() const { return faults.empty(); }
};

using Slices = std::vector<std::shared_ptr<const Slice>>;

/// `slices`: those of the Service.
Translated translate(const Service& service, const Slices& slices,
                     const std::map<std::string, std::string>& namespace_labels, const TranslateRules& rules);

/// Whether anything of it depends on the Service's endpoints.
bool needs_endpoints(const resources::LoadBalancer& wanted, Pods pods);

}  // namespace guideway::kubernetes
