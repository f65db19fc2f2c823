#include "api/rest/field_mask.h"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "api/json/object_reader.h"

namespace guideway::rest {

namespace {

using Tree = nlohmann::ordered_json;
using json::ObjectReader;

constexpr std::size_t kMaxPaths = 64;

constexpr std::array<std::string_view, 65> kLoadBalancer{
    "kind",
    "metadata",
    "metadata.cluster",
    "metadata.namespace",
    "metadata.name",
    "metadata.uid",
    "metadata.labels",
    "metadata.resourceVersion",
    "metadata.generation",
    "metadata.creationTimestamp",
    "spec",
    "spec.ipFamilyPolicy",
    "spec.ipFamilies",
    "spec.clusterIPs",
    "spec.addressPool",
    "spec.addresses",
    "spec.loadBalancerIP",
    "spec.sharingKey",
    "spec.namespaceLabels",
    "spec.idleTimeoutSeconds",
    "spec.externalTrafficPolicy",
    "spec.healthCheckNodePort",
    "spec.mode",
    "spec.sessionAffinitySeconds",
    "spec.sourceRanges",
    "spec.sourceRangesEndEstablished",
    "spec.silent",
    "spec.limits",
    "spec.limits.newConnectionsPerSecond",
    "spec.limits.newConnectionsPerSecondPerSource",
    "spec.limits.packetsPerSecond",
    "spec.endpointSlices",
    "spec.endpointSlices.ports",
    "spec.endpointSlices.ports.protocol",
    "spec.endpointSlices.ports.port",
    "spec.endpointSlices.ports.targetPort",
    "spec.endpointSlices.endpoints",
    "spec.endpointSlices.endpoints.address",
    "spec.endpointSlices.endpoints.node",
    "spec.endpointSlices.endpoints.draining",
    "spec.ports",
    "spec.ports.name",
    "spec.ports.protocol",
    "spec.ports.port",
    "spec.ports.nodePort",
    "status",
    "status.observedGeneration",
    "status.ingress",
    "status.ingress.ip",
    "status.ingress.pool",
    "status.ports",
    "status.ports.protocol",
    "status.ports.port",
    "status.ports.error",
    "status.ports.message",
    "status.conditions",
    "status.conditions.type",
    "status.conditions.status",
    "status.conditions.reason",
    "status.conditions.message",
    "status.conditions.lastTransitionTime",
};

constexpr std::array<std::string_view, 60> kAddressPool{
    "kind",
    "metadata",
    "metadata.name",
    "metadata.uid",
    "metadata.labels",
    "metadata.resourceVersion",
    "metadata.generation",
    "metadata.creationTimestamp",
    "spec",
    "spec.addresses",
    "spec.autoAssign",
    "spec.avoidBuggyIPs",
    "spec.shareAcrossNamespaces",
    "spec.quarantineSeconds",
    "spec.silent",
    "spec.ports",
    "spec.serviceAllocation",
    "spec.serviceAllocation.priority",
    "spec.serviceAllocation.clusters",
    "spec.serviceAllocation.namespaces",
    "spec.serviceAllocation.namespaceSelectors",
    "spec.serviceAllocation.serviceSelectors",
    "status",
    "status.observedGeneration",
    "status.ipv4",
    "status.ipv4.total",
    "status.ipv4.allocated",
    "status.ipv4.shared",
    "status.ipv4.quarantined",
    "status.ipv4.free",
    "status.ipv6",
    "status.ipv6.total",
    "status.ipv6.allocated",
    "status.ipv6.shared",
    "status.ipv6.quarantined",
    "status.ipv6.free",
    "status.loadBalancers",
    "status.users",
    "status.users.cluster",
    "status.users.namespace",
    "status.users.name",
    "status.users.addresses",
};

constexpr std::array<std::string_view, 40> kNode{
    "kind",
    "metadata",
    "metadata.cluster",
    "metadata.name",
    "metadata.uid",
    "metadata.labels",
    "metadata.resourceVersion",
    "metadata.generation",
    "metadata.creationTimestamp",
    "spec",
    "spec.addresses",
    "spec.weight",
    "spec.drain",
    "spec.drainTimeoutSeconds",
    "spec.healthCheckPort",
    "spec.podCidrs",
    "status",
    "status.observedGeneration",
    "status.drainingSince",
    "status.drainEnded",
    "status.health",
    "status.health.check",
    "status.health.port",
    "status.health.healthy",
    "status.health.reason",
    "status.health.message",
    "status.health.since",
    "status.conditions",
    "status.conditions.type",
    "status.conditions.status",
    "status.conditions.reason",
    "status.conditions.message",
    "status.conditions.lastTransitionTime",
};

constexpr std::array<std::string_view, 20> kToken{
    "kind",
    "metadata",
    "metadata.name",
    "metadata.uid",
    "metadata.labels",
    "metadata.resourceVersion",
    "metadata.generation",
    "metadata.creationTimestamp",
    "spec",
    "spec.role",
    "spec.cluster",
    "spec.expiresAt",
    "status",
    "status.secrets",
    "status.secrets.id",
    "status.secrets.createdAt",
    "status.secrets.lastUsedAt",
};

constexpr std::array<std::string_view, 16> kEvent{
    "kind",
    "metadata",
    "metadata.resourceVersion",
    "type",
    "reason",
    "message",
    "regarding",
    "regarding.kind",
    "regarding.cluster",
    "regarding.namespace",
    "regarding.name",
    "count",
    "firstTimestamp",
    "lastTimestamp",
};

/// Without the empty ones at the end of its array.
std::span<const std::string_view> filled(std::span<const std::string_view> paths) {
    while (!paths.empty() && paths.back().empty()) paths = paths.first(paths.size() - 1);
    return paths;
}

bool below(std::string_view path, std::string_view ancestor) {
    return path.size() > ancestor.size() && path.starts_with(ancestor) && path[ancestor.size()] == '.';
}

/// `from` without what no path names.
Tree pruned(const Tree& from, const std::string& place, const std::vector<std::string>& paths) {
    if (from.is_array()) {
        Tree out = Tree::array();
        for (const Tree& element : from) out.push_back(pruned(element, place, paths));
        return out;
    }
    if (!from.is_object()) return from;
    Tree out = Tree::object();
    for (const auto& [key, value] : from.items()) {
        const std::string own = place.empty() ? key : place + "." + key;
        if (std::find(paths.begin(), paths.end(), own) != paths.end()) {
            out[key] = value;
        } else if (std::any_of(paths.begin(), paths.end(), [&](const auto& path) { return below(path, own); })) {
            Tree part = pruned(value, own, paths);
            if (!part.empty() || value.empty()) out[key] = std::move(part);
        }
    }
    return out;
}

std::string text_of(const Tree& tree) { return tree.dump(-1, ' ', false, Tree::error_handler_t::replace); }

}  // namespace

std::span<const std::string_view> FieldMask::paths_of(std::string_view kind) {
    if (kind == "LoadBalancer") return filled(kLoadBalancer);
    if (kind == "AddressPool") return filled(kAddressPool);
    if (kind == "Node") return filled(kNode);
    if (kind == "Token") return filled(kToken);
    if (kind == "Event") return filled(kEvent);
    return {};
}

contract::Decoded<FieldMask> FieldMask::parse(std::string_view kind, std::string_view text) {
    contract::Decoded<FieldMask> result;
    FieldMask mask;
    mask.paths_ = {"kind", "metadata.name"};
    const std::span<const std::string_view> known = paths_of(kind);
    const auto refuse = [&result](std::string message) { result.faults.push_back({"?fields", std::move(message)}); };
    std::size_t count = 0;
    while (true) {
        const std::size_t comma = text.find(',');
        const std::string_view path = text.substr(0, comma);
        if (++count > kMaxPaths) {
            refuse("found more than " + std::to_string(kMaxPaths) + " paths, allowed " + std::to_string(kMaxPaths));
            break;
        }
        if (std::find(known.begin(), known.end(), path) != known.end()) {
            mask.paths_.emplace_back(path);
        } else {
            // What stands beside it, for who misspelt the last part.
            const std::size_t dot = path.rfind('.');
            std::string_view parent = dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
            const bool parent_known = std::find(known.begin(), known.end(), parent) != known.end();
            if (!parent_known) parent = {};
            std::string allowed;
            for (const std::string_view one : known) {
                const std::string_view rest = parent.empty()       ? one
                                              : below(one, parent) ? one.substr(parent.size() + 1)
                                                                   : std::string_view();
                if (rest.empty() || rest.find('.') != std::string_view::npos) continue;
                allowed += (allowed.empty() ? "" : ", ") + std::string(one);
            }
            if (allowed.empty()) allowed = "nothing below " + std::string(parent);
            refuse("found " + ObjectReader::quoted(path) + ", allowed " + allowed);
        }
        if (comma == std::string_view::npos) break;
        text.remove_prefix(comma + 1);
    }
    if (result.faults.empty()) result.value = std::move(mask);
    return result;
}

std::string FieldMask::apply(const std::string& object) const {
    return everything() ? object : text_of(pruned(Tree::parse(object), "", paths_));
}

std::string FieldMask::apply_to_items(const std::string& list) const {
    if (everything()) return list;
    Tree tree = Tree::parse(list);
    for (Tree& item : tree["items"]) item = pruned(item, "", paths_);
    return text_of(tree);
}

}  // namespace guideway::rest
