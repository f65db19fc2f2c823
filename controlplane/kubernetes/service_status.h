// ServiceStatus: what status of a Service should say of its load balancer (Kubernetes rule 4), and the patch that makes it say so.
//
//     status.loadBalancer.ingress: [{ip: 192.0.2.10, ipMode: Proxy, ports: [{port: 80, protocol: TCP}, {..., error: NoNodePort}]}]
//
// ports[] name every port of the Service, so that it is seen which are carried. ipMode is Proxy: kube-proxy then does not
// answer for the address itself, so that pods reach it through the appliance too (rule 15).
// The condition LoadBalancerPortsError (upstream's) is True while a port is not carried.
//
// Thread contract: pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "api/resources/load_balancer.h"
#include "controlplane/kubernetes/objects/service.h"

namespace guideway::kubernetes {

inline constexpr const char* kPortsErrorCondition = "LoadBalancerPortsError";

struct DesiredStatus {
    std::vector<IngressState> ingress;
    /// What stops ports from being carried, as a sentence for people; empty: all are.
    std::string ports_error;
    std::string ports_reason;  ///< CamelCase, of the first
};

/// `port_errors`: beside those that the appliance told in its status. The same port twice: the appliance's word counts.
DesiredStatus desired_status(const resources::LoadBalancer& object,
                             const std::vector<resources::PortStatus>& port_errors);

/// A strategic merge patch of the status subresource that makes it so; nothing where it is so. `time`: RFC 3339, for a condition that turns.
std::optional<nlohmann::json> status_patch(const Service& service, const DesiredStatus& desired,
                                           const std::string& time);

}  // namespace guideway::kubernetes
