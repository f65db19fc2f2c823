#include "controlplane/reconcile/desired_state.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>

namespace guideway::reconcile {

namespace {

struct Sets {
    contract::BackendSet ipv4, ipv6;
};

template <class T>
std::vector<const T*> pointers(const std::vector<T>& values) {
    std::vector<const T*> out;
    for (const T& value : values) out.push_back(&value);
    return out;
}

}  // namespace

contract::ForwardingState desired_state(const std::vector<resources::Node>& nodes,
                                        const std::vector<Forwarded>& load_balancers) {
    return desired_state(pointers(nodes), pointers(load_balancers));
}

contract::ForwardingState desired_state(const std::vector<const resources::Node*>& nodes,
                                        const std::vector<const Forwarded*>& load_balancers) {
    contract::ForwardingState state;
    std::map<std::string, Sets> clusters;
    const auto sets_of = [&](const std::string& cluster) -> Sets& {
        const auto [at, fresh] = clusters.try_emplace(cluster);
        if (fresh) {
            const std::string prefix = cluster == resources::kDefaultCluster ? "" : cluster + "/";
            at->second = {{prefix + kNodesIpv4, IpFamily::ipv4, {}}, {prefix + kNodesIpv6, IpFamily::ipv6, {}}};
        }
        return at->second;
    };
    sets_of(resources::kDefaultCluster);
    for (const resources::Node* node : nodes) {
        Sets& sets = sets_of(node->metadata.cluster);
        for (const IpAddress& address : node->spec.addresses) {
            contract::Backend backend;
            backend.name = node->metadata.name;
            backend.address = address;
            backend.weight = node->spec.drain ? 0 : node->spec.weight;
            (address.is_v4() ? sets.ipv4 : sets.ipv6).backends.push_back(std::move(backend));
        }
    }
    for (const Forwarded* load_balancer : load_balancers) {
        const Sets& sets = sets_of(load_balancer->cluster);
        for (const IpAddress& vip : load_balancer->addresses) {
            for (const resources::LoadBalancerPort& port : load_balancer->ports) {
                contract::Service service;
                service.name = load_balancer->name;
                service.vip = vip;
                service.protocol = port.protocol;
                service.port = port.port;
                service.backend_set = (vip.is_v4() ? sets.ipv4 : sets.ipv6).name;
                service.backend_port = port.node_port;
                service.idle_timeout_seconds = load_balancer->idle_timeout_seconds;
                state.services.push_back(std::move(service));
            }
        }
    }
    for (auto& [cluster, sets] : clusters) {
        for (contract::BackendSet* set : {&sets.ipv4, &sets.ipv6}) {
            std::sort(set->backends.begin(), set->backends.end(), [](const auto& a, const auto& b) {
                return std::tie(a.name, a.address) < std::tie(b.name, b.address);
            });
            state.backend_sets.push_back(std::move(*set));
        }
    }
    // By name, so that the order does not depend on how clusters are told apart.
    std::sort(state.backend_sets.begin(), state.backend_sets.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    std::sort(state.services.begin(), state.services.end(), [](const auto& a, const auto& b) {
        return std::tie(a.vip, a.protocol, a.port, a.name) < std::tie(b.vip, b.protocol, b.port, b.name);
    });
    return state;
}

bool same_content(const contract::ForwardingState& a, const contract::ForwardingState& b) {
    return a.backend_sets == b.backend_sets && a.services == b.services;
}

}  // namespace guideway::reconcile
