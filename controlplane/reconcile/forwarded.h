// Forwarded: what one load balancer forwards. Its addresses and ports are those in force, which lag behind its spec while a change
// does not fit (ipam-rules 17); policy, mode, endpoints, affinity and source ranges are the spec's, and apply at once.
//
// Worked example: default/web holds 203.0.113.10, its spec asks for TCP 443 where another has that port: `ports` has TCP 80 alone,
// `source_ranges` is what the spec says.
// Thread contract: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/contract/forwarding_state.h"
#include "api/contract/ip_address.h"
#include "api/resources/load_balancer.h"

namespace guideway::reconcile {

struct Forwarded {
    std::string name;  ///< "namespace/name", or "cluster/namespace/name"
    std::vector<IpAddress> addresses;
    std::vector<resources::LoadBalancerPort> ports;
    std::uint32_t idle_timeout_seconds = 0;
    std::string cluster = resources::kDefaultCluster;
    resources::TrafficPolicy policy = resources::TrafficPolicy::cluster;
    resources::ForwardingMode mode = resources::ForwardingMode::nat;
    /// Policy Local: nodes are asked about this load balancer there, not about themselves.
    std::uint16_t health_check_node_port = 0;
    std::uint32_t affinity_seconds = 0;
    std::vector<IpPrefix> source_ranges = {};
    bool ranges_end_established = false;
    bool silent = false;
    std::vector<IpAddress> silent_addresses = {};  ///< those of `addresses` whose pool is silent
    /// Those of `addresses` whose pool is bound to ports, with these.
    std::vector<contract::VipPorts> bound_addresses = {};
    resources::Limits limits = {};
    std::vector<resources::EndpointSlice> endpoint_slices = {};
    friend bool operator==(const Forwarded&, const Forwarded&) = default;
};

/// The port goes to endpoints, not to node ports.
inline bool goes_to_endpoints(const Forwarded& one, const resources::LoadBalancerPort& port) {
    return one.mode == resources::ForwardingMode::pod || port.node_port == 0;
}

/// The port has backends that are not simply the cluster's nodes.
inline bool has_own_set(const Forwarded& one, const resources::LoadBalancerPort& port) {
    return goes_to_endpoints(one, port) || one.policy == resources::TrafficPolicy::local;
}

}  // namespace guideway::reconcile
