#include "controlplane/pod_routes.h"

namespace guideway::controlplane {
namespace {

/// Calls with each route that the node asks for.
template <class Visit>
void each_route(const resources::Node& node, Visit visit) {
    for (const IpPrefix& cidr : node.spec.pod_cidrs) {
        for (const IpAddress& via : node.spec.addresses) {
            if (via.family == cidr.address.family) visit(cidr.network(), via);
        }
    }
}

}  // namespace

void PodRoutes::put(const std::string& name, const resources::Node& node) {
    each_route(node, [&](const IpPrefix& pods, const IpAddress& via) { routes_[pods].emplace(via, name); });
}

void PodRoutes::erase(const std::string& name, const resources::Node& node) {
    each_route(node, [&](const IpPrefix& pods, const IpAddress& via) {
        const auto at = routes_.find(pods);
        if (at == routes_.end()) return;
        at->second.erase({via, name});
        if (at->second.empty()) routes_.erase(at);
    });
}

std::optional<PodRoutes::LeftOut> PodRoutes::left_out(const std::string& name, const resources::Node& node) const {
    std::optional<LeftOut> found;
    each_route(node, [&](const IpPrefix& pods, const IpAddress&) {
        const auto at = routes_.find(pods);
        if (found || at == routes_.end() || at->second.begin()->second == name) return;
        found = LeftOut{pods, at->second.begin()->second};
    });
    return found;
}

}  // namespace guideway::controlplane
