// Node: a machine whose NodePorts serve. Key: cluster and name. Thread contract: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/contract/ip_address.h"
#include "api/resources/metadata.h"

namespace guideway::resources {

struct NodeSpec {
    std::vector<IpAddress> addresses;  ///< at least one, at most one a family (Kubernetes' InternalIP)
    std::uint32_t weight = 1;          ///< 1..1000
    bool drain = false;                ///< true: no new connections, old ones go on
    /// How long a drain waits for old connections before it ends them; 0: for ever. Counted from when `drain` became true.
    std::uint32_t drain_timeout_seconds = 0;
    /// Where kube-proxy tells whether the node is well (GET /healthz; 10256); 0: the node is not probed, and counts as well.
    std::uint16_t health_check_port = 0;
    /// Of its pods. Where given, the appliance routes to them by the node.
    std::vector<IpPrefix> pod_cidrs = {};
    friend bool operator==(const NodeSpec&, const NodeSpec&) = default;
};

/// What a probe of the node found; nothing of what is not probed.
struct NodeHealth {
    std::string check;  ///< "node", or the key of the load balancer (policy Local) that is asked about
    std::uint16_t port = 0;
    bool healthy = true;
    std::string reason;  ///< CamelCase: "Ok", "Refused", "Timeout", "Status503", "NotYetProbed", ...
    std::string message;
    std::string since;  ///< RFC 3339
    friend bool operator==(const NodeHealth&, const NodeHealth&) = default;
};

struct NodeStatus {
    std::uint64_t observed_generation = 0;
    std::vector<Condition> conditions;  ///< Healthy (where probed), Programmed, Ready (takes new connections)
    std::vector<NodeHealth> health = {};
    std::string draining_since = {};  ///< RFC 3339: when `drain` became true; empty: it does not drain
    bool drain_ended = false;         ///< its drain's time is over: connections it still had are ended
    friend bool operator==(const NodeStatus&, const NodeStatus&) = default;
};

struct Node {
    Metadata metadata;
    NodeSpec spec;
    NodeStatus status;
    friend bool operator==(const Node&, const Node&) = default;
};

}  // namespace guideway::resources
