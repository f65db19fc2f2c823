// desired_state(): the ForwardingState that follows from the resources. Pure and deterministic: equal resources give equal
// states, in whatever order they came, so a state that did not change needs no new generation.
//
// Worked example: nodes node-1 (10.0.2.11, fd00::11) and node-2 (10.0.2.12, draining); default/web holds 203.0.113.10 with
// TCP 80 -> 30080:
//   sets:     nodes-ipv4 = node-1 weight 1, node-2 weight 0; nodes-ipv6 = node-1 weight 1
//   services: 203.0.113.10 TCP 80 -> nodes-ipv4:30080
// The nodes of another cluster, "prod", are the sets prod/nodes-ipv4 and prod/nodes-ipv6.
// Thread contract: pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/contract/forwarding_state.h"
#include "api/resources/load_balancer.h"
#include "api/resources/node.h"

namespace guideway::reconcile {

inline constexpr const char* kNodesIpv4 = "nodes-ipv4";
inline constexpr const char* kNodesIpv6 = "nodes-ipv6";

/// What one load balancer forwards: its ports in force, which lag behind its spec while a change does not fit (ipam-rules 17).
struct Forwarded {
    std::string name;  ///< "namespace/name", or "cluster/namespace/name"
    std::vector<IpAddress> addresses;
    std::vector<resources::LoadBalancerPort> ports;
    std::uint32_t idle_timeout_seconds = 0;
    std::string cluster = resources::kDefaultCluster;
    friend bool operator==(const Forwarded&, const Forwarded&) = default;
};

/// Generation 0: the caller numbers it.
contract::ForwardingState desired_state(const std::vector<resources::Node>& nodes,
                                        const std::vector<Forwarded>& load_balancers);
/// The same of what somebody else keeps.
contract::ForwardingState desired_state(const std::vector<const resources::Node*>& nodes,
                                        const std::vector<const Forwarded*>& load_balancers);

/// Equal but for the generation.
bool same_content(const contract::ForwardingState& a, const contract::ForwardingState& b);

}  // namespace guideway::reconcile
