// Reading, writing and deleting the objects.
#include <algorithm>
#include <utility>

#include "controlplane/manager.h"

namespace guideway::controlplane {
namespace {

using rest::Ensured;
using rest::Result;

resources::Problem not_found(const std::string& what, const std::string& name) {
    return {404, "NotFound", "there is no " + what + " \"" + name + "\"", {}};
}

template <class Map, class Key>
const typename Map::mapped_type* find(const Map& map, const Key& key) {
    const auto at = map.find(key);
    return at == map.end() ? nullptr : &at->second;
}

/// The same wish again: what the client says is what is there.
template <class T>
bool same_wish(const T& wanted, const T& before) {
    const bool same_uid = wanted.metadata.uid.empty() || wanted.metadata.uid == before.metadata.uid;
    return wanted.spec == before.spec && wanted.metadata.labels == before.metadata.labels && same_uid;
}

}  // namespace

template <class T>
std::optional<resources::Problem> Manager::check_version(const T* object, std::optional<std::uint64_t> if_match) const {
    if (!if_match) return std::nullopt;
    if (object == nullptr) {
        return resources::Problem{412,
                                  "PreconditionFailed",
                                  "If-Match names version " + std::to_string(*if_match) +
                                      ", but there is no such object any more; read again and decide anew",
                                  {}};
    }
    if (object->metadata.resource_version == *if_match) return std::nullopt;
    return resources::Problem{412,
                              "PreconditionFailed",
                              "If-Match names version " + std::to_string(*if_match) + ", in force is " +
                                  std::to_string(object->metadata.resource_version) + "; read again and decide anew",
                              {}};
}

template <class T>
void Manager::stamp(T& wanted, const T* before) const {
    if (before == nullptr) {
        wanted.metadata.generation = 1;
        wanted.metadata.creation_timestamp = timestamp();
        return;
    }
    wanted.metadata.generation = before->metadata.generation + (wanted.spec == before->spec ? 0 : 1);
    wanted.metadata.creation_timestamp = before->metadata.creation_timestamp;
    if (wanted.metadata.uid.empty()) wanted.metadata.uid = before->metadata.uid;
}

// Load balancers

Result<Ensured<resources::LoadBalancer>> Manager::ensure_load_balancer(resources::LoadBalancer wanted,
                                                                       std::optional<std::uint64_t> if_match) {
    const std::lock_guard lock(mutex_);
    const ipam::ServiceKey key = key_of(wanted);
    const auto at = load_balancers_.find(key);
    const bool exists = at != load_balancers_.end();
    const resources::LoadBalancer* before = exists ? &at->second.record.object : nullptr;
    if (auto problem = check_version(before, if_match)) return std::move(*problem);
    if (exists && same_wish(wanted, *before)) {
        return Ensured<resources::LoadBalancer>{render(key, at->second, link_.status()), false, false};
    }
    stamp(wanted, before);
    allocator_.begin(now_seconds());
    const ipam::Allocation& allocation = allocator_.ensure(key, wish_of(wanted.spec), revision_ + 1);
    if (allocation.refusal && allocation.refusal->reason == ipam::Reason::invalid_request) {
        const std::string message = allocation.refusal->message;
        allocator_.rollback();
        return resources::Problem{400, "InvalidRequest", message, {{"/spec/addresses", message}}};
    }
    Staged staged;
    staged.load_balancers.emplace(key, std::move(wanted));
    if (auto problem = commit(std::move(staged))) return std::move(*problem);
    return Ensured<resources::LoadBalancer>{render(key, load_balancers_.at(key), link_.status()), !exists, true};
}

Result<resources::LoadBalancer> Manager::load_balancer(const std::string& ns, const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto at = load_balancers_.find({ipam::kDefaultCluster, ns, name});
    if (at == load_balancers_.end()) return not_found("load balancer", ns + "/" + name);
    return render(at->first, at->second, link_.status());
}

std::vector<resources::LoadBalancer> Manager::load_balancers(const std::string& ns) {
    const std::lock_guard lock(mutex_);
    const reconcile::LinkStatus link = link_.status();
    std::vector<resources::LoadBalancer> all;
    for (auto& [key, entry] : load_balancers_) {
        if (ns.empty() || key.name_space == ns) all.push_back(render(key, entry, link));
    }
    return all;
}

Result<bool> Manager::delete_load_balancer(const std::string& ns, const std::string& name,
                                           std::optional<std::uint64_t> if_match) {
    const std::lock_guard lock(mutex_);
    const ipam::ServiceKey key{ipam::kDefaultCluster, ns, name};
    const Entry* entry = find(load_balancers_, key);
    if (entry == nullptr) return false;
    if (auto problem = check_version(&entry->record.object, if_match)) return std::move(*problem);
    allocator_.begin(now_seconds());
    allocator_.release(key);
    Staged staged;
    staged.load_balancers.emplace(key, std::nullopt);
    if (auto problem = commit(std::move(staged))) return std::move(*problem);
    return true;
}

// Address pools

std::variant<ipam::PoolSet, resources::Problem> Manager::pools_with(const std::string& name,
                                                                    const resources::AddressPoolSpec* spec) const {
    std::vector<ipam::PoolDefinition> definitions;
    const auto add = [&](const std::string& pool, const resources::AddressPoolSpec& of) {
        definitions.push_back({pool, of.addresses, of.auto_assign, of.avoid_buggy_ips, false});
    };
    for (const auto& [other, pool] : pools_) {
        if (other != name) add(other, pool.spec);
    }
    if (spec != nullptr) add(name, *spec);
    ipam::ParsedPools parsed = ipam::parse_pools(std::move(definitions));
    if (parsed.faults.empty()) return std::move(parsed.set);
    resources::Problem problem{400, "InvalidRequest", "", {}};
    for (const ipam::PoolFault& fault : parsed.faults) {
        if (fault.pool != name) continue;  // the other side of an overlap, said from this pool's side already
        problem.faults.push_back(
            {"/spec/addresses" + (fault.entry ? "/" + std::to_string(*fault.entry) : ""), fault.message});
    }
    if (problem.faults.empty()) problem.faults.push_back({"/spec/addresses", parsed.faults[0].message});
    std::stable_sort(problem.faults.begin(), problem.faults.end(),
                     [](const auto& a, const auto& b) { return a.field < b.field; });
    problem.detail =
        "the pool is refused, and nothing was changed: " + problem.faults[0].field + " " + problem.faults[0].message;
    return problem;
}

Result<Ensured<resources::AddressPool>> Manager::ensure_address_pool(resources::AddressPool wanted,
                                                                     std::optional<std::uint64_t> if_match) {
    const std::lock_guard lock(mutex_);
    const std::string name = wanted.metadata.name;
    const resources::AddressPool* before = find(pools_, name);
    const bool exists = before != nullptr;
    if (auto problem = check_version(before, if_match)) return std::move(*problem);
    if (exists && same_wish(wanted, *before)) {
        return Ensured<resources::AddressPool>{render(*before), false, false};
    }
    auto pools = pools_with(name, &wanted.spec);
    const bool refused = std::holds_alternative<resources::Problem>(pools);
    metrics_.pools_refused(refused);
    if (refused) return std::move(std::get<resources::Problem>(pools));
    stamp(wanted, before);
    wanted.status = {};
    allocator_.begin(now_seconds());
    if (!exists || wanted.spec != before->spec) allocator_.set_pools(std::move(std::get<ipam::PoolSet>(pools)));
    Staged staged;
    staged.pools.emplace(name, std::move(wanted));
    if (auto problem = commit(std::move(staged))) return std::move(*problem);
    return Ensured<resources::AddressPool>{render(pools_.at(name)), !exists, true};
}

Result<resources::AddressPool> Manager::address_pool(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const resources::AddressPool* pool = find(pools_, name);
    if (pool == nullptr) return not_found("address pool", name);
    return render(*pool);
}

std::vector<resources::AddressPool> Manager::address_pools() {
    const std::lock_guard lock(mutex_);
    std::vector<resources::AddressPool> all;
    for (const auto& [name, pool] : pools_) all.push_back(render(pool));
    return all;
}

Result<bool> Manager::delete_address_pool(const std::string& name, std::optional<std::uint64_t> if_match) {
    const std::lock_guard lock(mutex_);
    const resources::AddressPool* pool = find(pools_, name);
    if (pool == nullptr) return false;
    if (auto problem = check_version(pool, if_match)) return std::move(*problem);
    auto pools = pools_with(name, nullptr);
    if (auto* problem = std::get_if<resources::Problem>(&pools)) return std::move(*problem);
    allocator_.begin(now_seconds());
    allocator_.set_pools(std::move(std::get<ipam::PoolSet>(pools)));
    Staged staged;
    staged.pools.emplace(name, std::nullopt);
    if (auto problem = commit(std::move(staged))) return std::move(*problem);
    return true;
}

// Nodes

Result<Ensured<resources::Node>> Manager::ensure_node(resources::Node wanted, std::optional<std::uint64_t> if_match) {
    const std::lock_guard lock(mutex_);
    const std::string name = wanted.metadata.name;
    const resources::Node* before = find(nodes_, name);
    const bool exists = before != nullptr;
    if (auto problem = check_version(before, if_match)) return std::move(*problem);
    if (exists && same_wish(wanted, *before)) return Ensured<resources::Node>{*before, false, false};
    resources::Problem conflict{409, "Conflict", "", {}};
    for (const auto& [other, node] : nodes_) {
        for (std::size_t i = 0; other != name && i < wanted.spec.addresses.size(); ++i) {
            const IpAddress& address = wanted.spec.addresses[i];
            const auto& theirs = node.spec.addresses;
            if (std::find(theirs.begin(), theirs.end(), address) == theirs.end()) continue;
            conflict.faults.push_back({"/spec/addresses/" + std::to_string(i),
                                       address.to_string() + " is an address of node \"" + other +
                                           "\" already; delete that node, or give this one another address"});
        }
    }
    if (!conflict.faults.empty()) {
        conflict.detail = conflict.faults[0].message;
        return conflict;
    }
    stamp(wanted, before);
    allocator_.begin(now_seconds());
    Staged staged;
    staged.nodes.emplace(name, std::move(wanted));
    if (auto problem = commit(std::move(staged))) return std::move(*problem);
    return Ensured<resources::Node>{nodes_.at(name), !exists, true};
}

Result<resources::Node> Manager::node(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const resources::Node* node = find(nodes_, name);
    if (node == nullptr) return not_found("node", name);
    return *node;
}

std::vector<resources::Node> Manager::nodes() {
    const std::lock_guard lock(mutex_);
    std::vector<resources::Node> all;
    for (const auto& [name, node] : nodes_) all.push_back(node);
    return all;
}

Result<bool> Manager::delete_node(const std::string& name, std::optional<std::uint64_t> if_match) {
    const std::lock_guard lock(mutex_);
    const resources::Node* node = find(nodes_, name);
    if (node == nullptr) return false;
    if (auto problem = check_version(node, if_match)) return std::move(*problem);
    allocator_.begin(now_seconds());
    Staged staged;
    staged.nodes.emplace(name, std::nullopt);
    if (auto problem = commit(std::move(staged))) return std::move(*problem);
    return true;
}

}  // namespace guideway::controlplane
