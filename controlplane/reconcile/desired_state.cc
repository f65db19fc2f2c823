#include "controlplane/reconcile/desired_state.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <tuple>

#include "api/contract/forwarding_state_codec.h"

namespace guideway::reconcile {

namespace {

constexpr std::array kFamilies{IpFamily::ipv4, IpFamily::ipv6};

/// FNV-1a: short names that follow from a content. Two contents of one hash are told apart by who uses it.
std::string hash_text(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    std::string out;
    for (int shift = 60; shift >= 0; shift -= 4) out += "0123456789abcdef"[hash >> shift & 15];
    return out;
}

std::string nodes_set(const std::string& cluster, IpFamily family) {
    return (cluster == resources::kDefaultCluster ? "" : cluster + "/") +
           (family == IpFamily::ipv4 ? kNodesIpv4 : kNodesIpv6);
}

/// "default/web#ipv4-TCP-80": no load balancer and no node can be called so. The name of a set whose load balancer's is as long as
/// names get ends in its hash.
std::string own_set(const std::string& load_balancer, IpFamily family, const resources::LoadBalancerPort& port) {
    const std::string end = std::string(family == IpFamily::ipv4 ? "#ipv4-" : "#ipv6-") +
                            std::string(contract::to_string(port.protocol)) + "-" + std::to_string(port.port);
    if (load_balancer.size() + end.size() <= contract::kMaxNameLength) return load_balancer + end;
    const std::string hash = "~" + hash_text(load_balancer);
    return load_balancer.substr(0, contract::kMaxNameLength - end.size() - hash.size()) + hash + end;
}

std::vector<IpPrefix> normal(const std::vector<IpPrefix>& prefixes) {
    std::vector<IpPrefix> out;
    out.reserve(prefixes.size());
    for (const IpPrefix& prefix : prefixes) out.push_back(prefix.network());
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

std::string name_of(const std::vector<IpPrefix>& ranges) {
    std::string text;
    for (const IpPrefix& range : ranges) text += range.to_string() + " ";
    return "ranges-" + hash_text(text);
}

bool owns_sets(const Forwarded& one) {
    return std::any_of(one.ports.begin(), one.ports.end(),
                       [&](const resources::LoadBalancerPort& port) { return has_own_set(one, port); });
}

/// Of what the state is made from nothing has changed.
bool same_backend(const resources::Node& a, const resources::Node& b) {
    return a.spec == b.spec && a.status.drain_ended == b.status.drain_ended &&
           a.metadata.cluster == b.metadata.cluster && a.metadata.name == b.metadata.name;
}

}  // namespace

void StateBuilder::clear() {
    items_.clear();
    nodes_.clear();
    node_names_.clear();
    users_.clear();
}

void StateBuilder::watch_nodes(const std::string& name, const Forwarded& one, bool begin) {
    if (!owns_sets(one)) return;
    for (const resources::EndpointSlice& slice : one.endpoint_slices) {
        for (const resources::Endpoint& endpoint : slice.endpoints) {
            if (endpoint.node.empty()) continue;
            const NodeName node{one.cluster, endpoint.node};
            if (begin) {
                users_[node].insert(name);
            } else if (const auto at = users_.find(node); at != users_.end()) {
                at->second.erase(name);
                if (at->second.empty()) users_.erase(at);
            }
        }
    }
}

void StateBuilder::touch_users(const NodeName& node) {
    const auto at = users_.find(node);
    if (at == users_.end()) return;
    for (const std::string& name : at->second) items_.at(name).dirty = true;
}

void StateBuilder::put_load_balancer(const std::string& name, std::optional<Forwarded> now) {
    const auto at = items_.find(name);
    if (at != items_.end()) {
        if (now && at->second.from == *now) return;
        watch_nodes(name, at->second.from, false);
        items_.erase(at);
    }
    if (!now) return;
    watch_nodes(name, *now, true);
    Item item;
    item.owns = owns_sets(*now);
    item.ranges = normal(now->source_ranges);
    if (!item.ranges.empty()) item.ranges_name = name_of(item.ranges);
    item.from = std::move(*now);
    items_.emplace(name, std::move(item));
}

void StateBuilder::put_node(const std::string& key, std::optional<resources::Node> now) {
    const auto known = node_names_.find(key);
    if (known != node_names_.end()) {
        const NodeName name = known->second;
        NodesByName& cluster = nodes_.at(name.first);
        const auto at = cluster.find(name.second);
        if (now && at != cluster.end() && same_backend(at->second, *now)) return;
        touch_users(name);
        if (at != cluster.end()) cluster.erase(at);
        if (cluster.empty()) nodes_.erase(name.first);
        node_names_.erase(known);
    }
    if (!now) return;
    NodeName name{now->metadata.cluster, now->metadata.name};
    touch_users(name);
    nodes_[name.first].insert_or_assign(name.second, std::move(*now));
    node_names_.emplace(key, std::move(name));
}

void StateBuilder::put_verdicts(std::shared_ptr<const HealthVerdicts> now) {
    const std::shared_ptr<const HealthVerdicts> before = std::exchange(verdicts_, std::move(now));
    if (before->all_failing != verdicts_->all_failing) {
        for (auto& [name, item] : items_) item.dirty = item.dirty || item.owns;
        return;
    }
    std::vector<NodeName> turned;
    std::set_symmetric_difference(before->failing_nodes.begin(), before->failing_nodes.end(),
                                  verdicts_->failing_nodes.begin(), verdicts_->failing_nodes.end(),
                                  std::back_inserter(turned));
    for (const NodeName& node : turned) touch_users(node);
    const auto touch_others = [this](const auto& these, const auto& those) {
        for (const auto& [name, verdicts] : these) {
            const auto other = those.find(name);
            if (other != those.end() && other->second == verdicts) continue;
            if (const auto at = items_.find(name); at != items_.end()) at->second.dirty = true;
        }
    };
    touch_others(before->local, verdicts_->local);
    touch_others(verdicts_->local, before->local);
}

const NodesByName& StateBuilder::nodes_of(const std::string& cluster) const {
    static const NodesByName kNone;
    const auto at = nodes_.find(cluster);
    return at == nodes_.end() ? kNone : at->second;
}

void StateBuilder::make(Item& item) const {
    const Forwarded& from = item.from;
    item.sets.clear();
    item.services.clear();
    // Sets are named by the lowest port that has them, in whatever order the ports came.
    std::vector<resources::LoadBalancerPort> ports = from.ports;
    std::sort(ports.begin(), ports.end(),
              [](const auto& a, const auto& b) { return std::tie(a.protocol, a.port) < std::tie(b.protocol, b.port); });
    const auto set_of = [&](const resources::LoadBalancerPort& port, IpFamily family) {
        if (!has_own_set(from, port)) return nodes_set(from.cluster, family);
        contract::BackendSet set{{}, family, own_backends(from, port, family, nodes_of(from.cluster), *verdicts_)};
        for (const contract::BackendSet& other : item.sets) {
            if (other.family == family && other.backends == set.backends) return other.name;
        }
        set.name = own_set(from.name, family, port);
        item.sets.push_back(std::move(set));
        return item.sets.back().name;
    };
    for (const IpFamily family : kFamilies) {
        const bool wanted = std::any_of(from.addresses.begin(), from.addresses.end(),
                                        [&](const IpAddress& vip) { return vip.family == family; });
        if (!wanted) continue;
        for (const resources::LoadBalancerPort& port : ports) {
            contract::Service service;
            service.name = from.name;
            service.protocol = port.protocol;
            service.port = port.port;
            service.backend_set = set_of(port, family);
            service.backend_port = goes_to_endpoints(from, port) ? 0 : port.node_port;
            service.idle_timeout_seconds = from.idle_timeout_seconds;
            service.affinity_seconds = from.affinity_seconds;
            service.ranges_end_established = from.ranges_end_established;
            service.new_connections_per_second = from.limits.new_connections_per_second;
            service.packets_per_second = from.limits.packets_per_second;
            service.new_connections_per_second_per_source = from.limits.new_connections_per_second_per_source;
            for (const IpAddress& vip : from.addresses) {
                if (vip.family != family) continue;
                service.vip = vip;
                service.silent = from.silent || std::find(from.silent_addresses.begin(), from.silent_addresses.end(),
                                                          vip) != from.silent_addresses.end();
                item.services.push_back(service);
            }
        }
    }
    item.dirty = false;
}

void StateBuilder::add_cluster_sets(contract::ForwardingState& state) const {
    std::set<std::string> clusters{resources::kDefaultCluster};
    for (const auto& [cluster, nodes] : nodes_) clusters.insert(cluster);
    for (const auto& [name, item] : items_) clusters.insert(item.from.cluster);
    for (const std::string& cluster : clusters) {
        for (const IpFamily family : kFamilies) {
            state.backend_sets.push_back({nodes_set(cluster, family), family,
                                          nodes_as_backends(nodes_of(cluster), cluster, family, *verdicts_)});
        }
    }
}

void StateBuilder::add_routes(contract::ForwardingState& state) const {
    for (const auto& [cluster, nodes] : nodes_) {
        for (const auto& [name, node] : nodes) {
            for (const IpPrefix& cidr : node.spec.pod_cidrs) {
                for (const IpAddress& via : node.spec.addresses) {
                    if (via.family == cidr.address.family) state.routes.push_back({cidr.network(), via});
                }
            }
        }
    }
    std::sort(state.routes.begin(), state.routes.end(), [](const auto& a, const auto& b) {
        return std::tie(a.destination, a.via) < std::tie(b.destination, b.via);
    });
    const auto same = [](const auto& a, const auto& b) { return a.destination == b.destination; };
    state.routes.erase(std::unique(state.routes.begin(), state.routes.end(), same), state.routes.end());
}

void StateBuilder::add_ranges(contract::ForwardingState& state) const {
    const auto less = [](const Item* a, const Item* b) {
        return std::tie(a->ranges_name, a->ranges) < std::tie(b->ranges_name, b->ranges);
    };
    std::map<const Item*, std::vector<const Item*>, decltype(less)> by_content(less);
    for (const auto& [name, item] : items_) {
        if (!item.ranges.empty()) by_content[&item].push_back(&item);
    }
    std::map<std::string, std::string> named;  // by load balancer, where it is not the content's own
    std::string last;
    std::size_t again = 1;
    for (const auto& [one, users] : by_content) {
        again = one->ranges_name == last ? again + 1 : 1;
        last = one->ranges_name;
        const std::string name = again == 1 ? last : last + "-" + std::to_string(again);
        state.source_range_sets.push_back({name, one->ranges});
        if (again == 1) continue;
        for (const Item* user : users) named.emplace(user->from.name, name);
    }
    if (named.empty()) return;
    for (contract::Service& service : state.services) {
        if (const auto at = named.find(service.name); at != named.end()) service.source_ranges = at->second;
    }
}

contract::ForwardingState StateBuilder::build() {
    contract::ForwardingState state;
    made_anew_ = 0;
    add_cluster_sets(state);
    for (auto& [name, item] : items_) {
        if (item.dirty) {
            make(item);
            ++made_anew_;
        }
        state.backend_sets.insert(state.backend_sets.end(), item.sets.begin(), item.sets.end());
        for (const contract::Service& service : item.services) {
            state.services.push_back(service);
            state.services.back().source_ranges = item.ranges_name;
        }
    }
    add_ranges(state);
    add_routes(state);
    std::map<IpAddress, const contract::VipPorts*> bound;
    for (const auto& [name, item] : items_) {
        for (const contract::VipPorts& one : item.from.bound_addresses) bound.emplace(one.vip, &one);
    }
    for (const auto& [vip, one] : bound) state.vip_ports.push_back(*one);
    // By name, so that the order does not depend on how clusters are told apart.
    std::sort(state.backend_sets.begin(), state.backend_sets.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    std::sort(state.services.begin(), state.services.end(), [](const auto& a, const auto& b) {
        return std::tie(a.vip, a.protocol, a.port, a.name) < std::tie(b.vip, b.protocol, b.port, b.name);
    });
    return state;
}

contract::ForwardingState desired_state(const std::vector<resources::Node>& nodes,
                                        const std::vector<Forwarded>& load_balancers, const HealthVerdicts& verdicts) {
    StateBuilder builder;
    builder.put_verdicts(std::make_shared<const HealthVerdicts>(verdicts));
    for (const resources::Node& node : nodes) {
        builder.put_node(node.metadata.cluster + "/" + node.metadata.name, node);
    }
    for (const Forwarded& one : load_balancers) builder.put_load_balancer(one.name, one);
    return builder.build();
}

bool same_content(const contract::ForwardingState& a, const contract::ForwardingState& b) {
    return a.backend_sets == b.backend_sets && a.services == b.services && a.source_range_sets == b.source_range_sets &&
           a.routes == b.routes && a.vip_ports == b.vip_ports;
}

}  // namespace guideway::reconcile
