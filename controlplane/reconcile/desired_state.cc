#include "controlplane/reconcile/desired_state.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace guideway::reconcile {

contract::ForwardingState desired_state(const std::vector<resources::Node>& nodes,
                                        const std::vector<Forwarded>& load_balancers) {
    contract::ForwardingState state;
    contract::BackendSet ipv4{kNodesIpv4, IpFamily::ipv4, {}};
    contract::BackendSet ipv6{kNodesIpv6, IpFamily::ipv6, {}};
    for (const resources::Node& node : nodes) {
        for (const IpAddress& address : node.spec.addresses) {
            contract::Backend backend;
            backend.name = node.metadata.name;
            backend.address = address;
            backend.weight = node.spec.drain ? 0 : node.spec.weight;
            (address.is_v4() ? ipv4 : ipv6).backends.push_back(std::move(backend));
        }
    }
    for (contract::BackendSet* set : {&ipv4, &ipv6}) {
        std::sort(set->backends.begin(), set->backends.end(), [](const auto& a, const auto& b) {
            return std::tie(a.name, a.address) < std::tie(b.name, b.address);
        });
        state.backend_sets.push_back(std::move(*set));
    }
    for (const Forwarded& load_balancer : load_balancers) {
        for (const IpAddress& vip : load_balancer.addresses) {
            for (const resources::LoadBalancerPort& port : load_balancer.ports) {
                contract::Service service;
                service.name = load_balancer.name;
                service.vip = vip;
                service.protocol = port.protocol;
                service.port = port.port;
                service.backend_set = vip.is_v4() ? kNodesIpv4 : kNodesIpv6;
                service.backend_port = port.node_port;
                service.idle_timeout_seconds = load_balancer.idle_timeout_seconds;
                state.services.push_back(std::move(service));
            }
        }
    }
    std::sort(state.services.begin(), state.services.end(), [](const auto& a, const auto& b) {
        return std::tie(a.vip, a.protocol, a.port, a.name) < std::tie(b.vip, b.protocol, b.port, b.name);
    });
    return state;
}

bool same_content(const contract::ForwardingState& a, const contract::ForwardingState& b) {
    return a.backend_sets == b.backend_sets && a.services == b.services;
}

}  // namespace guideway::reconcile
