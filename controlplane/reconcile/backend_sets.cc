#include "controlplane/reconcile/backend_sets.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "api/contract/forwarding_state_codec.h"

namespace guideway::reconcile {

namespace {

using contract::Backend;
using resources::Endpoint;

/// A backend before health is asked: the weight it has where it is well.
struct Candidate {
    Backend backend;
    bool failing = false;
};

void add(std::vector<Candidate>& candidates, const std::string& name, const IpAddress& address, std::uint16_t port,
         std::uint32_t weight, bool closed, bool failing) {
    Candidate& one = candidates.emplace_back();
    one.backend.name = name;
    one.backend.address = address;
    one.backend.port = port;
    one.backend.weight = weight;
    one.backend.closed = closed;
    one.failing = failing;
}

/// Health has its say, and closed is told: what the three sorts have in common.
std::vector<Backend> settled(std::vector<Candidate> candidates, const HealthVerdicts& verdicts) {
    const bool all_fail = std::all_of(candidates.begin(), candidates.end(),
                                      [](const Candidate& one) { return one.backend.weight == 0 || one.failing; });
    const bool obey = !all_fail || verdicts.all_failing == AllFailing::none;
    std::vector<Backend> out;
    out.reserve(candidates.size());
    for (Candidate& one : candidates) {
        if (one.failing && obey) one.backend.weight = 0;
        out.push_back(std::move(one.backend));
    }
    return out;
}

bool closed(const resources::Node& node) { return node.spec.drain && node.status.drain_ended; }

const resources::Node* find(const NodesByName& nodes, const std::string& name) {
    const auto at = nodes.find(name);
    return at == nodes.end() ? nullptr : &at->second;
}

/// Calls with each endpoint of the port and family, and the port it has there.
template <class Visit>
void each_endpoint(const Forwarded& one, const resources::LoadBalancerPort& port, IpFamily family, Visit visit) {
    for (const resources::EndpointSlice& slice : one.endpoint_slices) {
        const auto there = std::find_if(slice.ports.begin(), slice.ports.end(), [&](const auto& other) {
            return other.protocol == port.protocol && other.port == port.port;
        });
        if (there == slice.ports.end()) continue;
        for (const Endpoint& endpoint : slice.endpoints) {
            if (endpoint.address.family == family) visit(endpoint, there->target_port);
        }
    }
}

/// Endpoints of a port: each (address, port) once; in several slices at once (Kubernetes moves them) it is ready where any says so.
struct Target {
    const Endpoint* endpoint = nullptr;
    std::uint16_t port = 0;
};
std::vector<Target> targets_of(const Forwarded& one, const resources::LoadBalancerPort& port, IpFamily family) {
    std::vector<Target> targets;
    each_endpoint(one, port, family, [&](const Endpoint& endpoint, std::uint16_t at) {
        targets.push_back({&endpoint, at});
    });
    const auto order = [](const Target& target) {
        return std::tie(target.endpoint->address, target.port, target.endpoint->draining, target.endpoint->node);
    };
    std::sort(targets.begin(), targets.end(), [&](const auto& a, const auto& b) { return order(a) < order(b); });
    const auto same = [](const Target& a, const Target& b) {
        return a.port == b.port && a.endpoint->address == b.endpoint->address;
    };
    targets.erase(std::unique(targets.begin(), targets.end(), same), targets.end());
    return targets;
}

std::vector<Candidate> local_nodes(const Forwarded& one, const resources::LoadBalancerPort& port, IpFamily family,
                                   const NodesByName& nodes, const HealthVerdicts& verdicts) {
    struct Number {
        std::uint32_t ready = 0, draining = 0;
    };
    std::map<std::string, Number> numbers;
    for (const Target& target : targets_of(one, port, family)) {
        if (target.endpoint->node.empty()) continue;
        Number& number = numbers[target.endpoint->node];
        ++(target.endpoint->draining ? number.draining : number.ready);
    }
    const auto takes = [](const resources::Node* node) { return node != nullptr && !node->spec.drain; };
    const auto joins = [&](const std::string& name) {
        const LocalVerdict* verdict = verdicts.local_verdict(one.name, name);
        return one.health_check_node_port != 0 && verdict != nullptr && verdict->joining;
    };
    bool any_ready = false, any_draining = false;
    for (const auto& [name, number] : numbers) {
        if (!takes(find(nodes, name))) continue;
        any_ready = any_ready || (number.ready > 0 && !joins(name));
        any_draining = any_draining || number.draining > 0;
    }
    std::vector<Candidate> out;
    for (const auto& [name, number] : numbers) {
        const resources::Node* node = find(nodes, name);
        if (node == nullptr) continue;
        const LocalVerdict* verdict = verdicts.local_verdict(one.name, name);
        std::uint32_t weight = number.ready;
        if (any_ready) {
            if (joins(name)) weight = 0;
        } else if (any_draining) {
            weight = number.draining;
        }
        if (any_ready && verdict != nullptr && verdict->endpoints) {
            weight = std::min(weight, std::max(*verdict->endpoints, std::uint32_t{1}));
        }
        if (node->spec.drain) weight = 0;
        const bool failing = one.health_check_node_port != 0 ? verdict != nullptr && verdict->failing
                                                             : verdicts.node_fails(one.cluster, name);
        for (const IpAddress& address : node->spec.addresses) {
            if (address.family != family) continue;
            add(out, name, address, 0, std::min(weight, contract::kMaxWeight), closed(*node), failing);
        }
    }
    return out;
}

std::vector<Candidate> endpoints(const Forwarded& one, const resources::LoadBalancerPort& port, IpFamily family,
                                 const NodesByName& nodes, const HealthVerdicts& verdicts) {
    const std::vector<Target> targets = targets_of(one, port, family);
    const auto drained = [&](const Target& target) {
        const resources::Node* node = find(nodes, target.endpoint->node);
        return node != nullptr && node->spec.drain;
    };
    const bool any_ready = std::any_of(targets.begin(), targets.end(), [&](const Target& target) {
        return !target.endpoint->draining && !drained(target);
    });
    std::vector<Candidate> out;
    out.reserve(targets.size());
    for (const Target& target : targets) {
        const resources::Node* node = find(nodes, target.endpoint->node);
        const bool serves = !drained(target) && (!any_ready || !target.endpoint->draining);
        add(out, target.endpoint->address.to_string(), target.endpoint->address, target.port, serves ? 1U : 0U,
            node != nullptr && closed(*node), verdicts.node_fails(one.cluster, target.endpoint->node));
    }
    return out;
}

}  // namespace

std::vector<Backend> nodes_as_backends(const NodesByName& nodes, const std::string& cluster, IpFamily family,
                                       const HealthVerdicts& verdicts) {
    std::vector<Candidate> candidates;
    for (const auto& [name, node] : nodes) {
        for (const IpAddress& address : node.spec.addresses) {
            if (address.family != family) continue;
            add(candidates, name, address, 0, node.spec.drain ? 0 : node.spec.weight, closed(node),
                verdicts.node_fails(cluster, name));
        }
    }
    return settled(std::move(candidates), verdicts);
}

std::vector<Backend> own_backends(const Forwarded& one, const resources::LoadBalancerPort& port, IpFamily family,
                                  const NodesByName& nodes, const HealthVerdicts& verdicts) {
    std::vector<Candidate> candidates = goes_to_endpoints(one, port) ? endpoints(one, port, family, nodes, verdicts)
                                                                     : local_nodes(one, port, family, nodes, verdicts);
    std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
        return std::tie(a.backend.address, a.backend.port) < std::tie(b.backend.address, b.backend.port);
    });
    return settled(std::move(candidates), verdicts);
}

}  // namespace guideway::reconcile
