// Node: core/v1 Node, as far as the cloud controller looks at it. What changes with every heartbeat is left out, so that equal nodes are the
// same back end. Thread contract: plain values, pure functions.
#pragma once

#include <string>
#include <vector>

#include "api/contract/decoded.h"
#include "controlplane/kubernetes/objects/meta.h"

namespace guideway::kubernetes {

struct Node {
    Meta meta;  ///< without annotations, which change often
    bool unschedulable = false;
    std::vector<std::string> taints;        ///< their keys
    std::vector<std::string> internal_ips;  ///< status.addresses of type InternalIP, in their order
    std::vector<std::string> pod_cidrs;
    friend bool operator==(const Node&, const Node&) = default;
};

contract::Decoded<Node> decode_node(const nlohmann::json& object);

}  // namespace guideway::kubernetes
