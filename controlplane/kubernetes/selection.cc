#include "controlplane/kubernetes/selection.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "controlplane/ipam/load_balancer_class.h"

namespace guideway::kubernetes {
namespace {

/// As Go's strconv.ParseBool, which Kubernetes uses: what parses as false does not exclude; everything else does.
bool excludes(std::string_view value) {
    constexpr std::array<std::string_view, 6> kFalse{"0", "f", "F", "false", "FALSE", "False"};
    return std::find(kFalse.begin(), kFalse.end(), value) == kFalse.end();
}

bool has_taint(const Node& node, std::string_view key) {
    return std::find(node.taints.begin(), node.taints.end(), key) != node.taints.end();
}

}  // namespace

bool is_ours(const Service& service, const std::string& load_balancer_class, bool also_without_class) {
    if (service.type != "LoadBalancer" || service.meta.deleting) return false;
    return ipam::handles_class(load_balancer_class, service.load_balancer_class) ||
           (also_without_class && service.load_balancer_class.empty());
}

std::variant<resources::Node, NodeRefusal> back_end_of(const Node& node, const NodeRules& rules) {
    if (node.meta.deleting) return NodeRefusal{"it is being deleted"};
    if (const auto label = node.meta.labels.find(kExcludeLabel);
        label != node.meta.labels.end() && excludes(label->second)) {
        return NodeRefusal{"its label " + std::string(kExcludeLabel) + " excludes it"};
    }
    resources::Node out;
    out.metadata.cluster = rules.cluster;
    out.metadata.name = node.meta.name;
    out.metadata.uid = node.meta.uid;
    for (const std::string& text : node.internal_ips) {
        const auto address = IpAddress::parse(text);
        if (!address || !address->is_usable_unicast()) continue;
        // The first of a family is the node's own; later ones are further interfaces.
        const bool known = std::any_of(out.spec.addresses.begin(), out.spec.addresses.end(),
                                       [&](const IpAddress& other) { return other.family == address->family; });
        if (!known) out.spec.addresses.push_back(*address);
    }
    if (out.spec.addresses.empty()) {
        return NodeRefusal{
            "it has no usable address of type InternalIP (found " + std::to_string(node.internal_ips.size()) + ")",
            true};
    }
    out.spec.drain = has_taint(node, kAutoscalerTaint) ||
                     (rules.drain_unschedulable && (node.unschedulable || has_taint(node, kUnschedulableTaint)));
    out.spec.drain_timeout_seconds = rules.drain_timeout_seconds;
    out.spec.health_check_port = rules.health_check_port;
    if (rules.send_pod_cidrs) {
        for (const std::string& text : node.pod_cidrs) {
            if (const auto prefix = IpPrefix::parse(text)) out.spec.pod_cidrs.push_back(prefix->network());
        }
    }
    return out;
}

}  // namespace guideway::kubernetes
