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
    friend bool operator==(const NodeSpec&, const NodeSpec&) = default;
};

struct NodeStatus {
    std::uint64_t observed_generation = 0;
    std::vector<Condition> conditions;  ///< Programmed, Ready (takes new connections)
    friend bool operator==(const NodeStatus&, const NodeStatus&) = default;
};

struct Node {
    Metadata metadata;
    NodeSpec spec;
    NodeStatus status;
    friend bool operator==(const Node&, const Node&) = default;
};

}  // namespace guideway::resources
