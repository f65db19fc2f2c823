// Address pools and nodes: reading, writing and deleting.
#include <algorithm>
#include <utility>

#include "api/contract/forwarding_state_codec.h"
#include "api/resources/address_pool_codec.h"
#include "api/resources/node_codec.h"
#include "controlplane/manager.h"
#include "controlplane/manager_support.h"
#include "controlplane/manager_writing.h"

namespace guideway::controlplane {

using rest::Ensured;
using rest::Result;
using Step = CommitQueue::Step;

// Address pools

std::variant<ipam::PoolSet, resources::Problem> Manager::pools_with(const std::string& name,
                                                                    const resources::AddressPoolSpec* spec) const {
    std::vector<ipam::PoolDefinition> definitions;
    for (const auto& [other, pool] : objects_.pools) {
        if (other != name) definitions.push_back(definition_of(other, pool.spec));
    }
    if (spec != nullptr) definitions.push_back(definition_of(name, *spec));
    ipam::ParsedPools parsed = ipam::parse_pools(std::move(definitions));
    if (parsed.faults.empty()) return std::move(parsed.set);
    resources::Problem problem{400, "InvalidRequest", "", {}};
    for (const ipam::PoolFault& fault : parsed.faults) {
        if (fault.pool != name) continue;  // the other side of an overlap, said from this pool's side already
        problem.faults.push_back({"/spec" + fault.field, fault.message});
    }
    if (problem.faults.empty()) problem.faults.push_back({"/spec/addresses", parsed.faults[0].message});
    std::stable_sort(problem.faults.begin(), problem.faults.end(),
                     [](const auto& a, const auto& b) { return a.field < b.field; });
    problem.detail =
        "the pool is refused, and nothing was changed: " + problem.faults[0].field + " " + problem.faults[0].message;
    return problem;
}

std::optional<resources::Problem> Manager::refuse_ports(const resources::AddressPoolSpec& spec) const {
    if (spec.ports.empty()) return std::nullopt;
    auto answer = link_.ask(contract::StatusRequest{}, options_.explain_timeout);
    const auto* response = std::get_if<contract::Response>(&answer);
    if (response == nullptr || !response->status || response->status->ports.empty()) return std::nullopt;
    std::string known;
    for (const contract::PortStatus& port : response->status->ports)
        known += (known.empty() ? "\"" : ", \"") + port.name + "\"";
    resources::Problem problem{400, "InvalidRequest", "", {}};
    for (std::size_t i = 0; i < spec.ports.size(); ++i) {
        if (std::ranges::find(response->status->ports, spec.ports[i], &contract::PortStatus::name) !=
            response->status->ports.end())
            continue;
        problem.faults.push_back({"/spec/ports/" + std::to_string(i),
                                  "found \"" + spec.ports[i] + "\", allowed the dataplane's ports: " + known});
    }
    if (problem.faults.empty()) return std::nullopt;
    problem.detail =
        "the pool is refused, and nothing was changed: " + problem.faults[0].field + " " + problem.faults[0].message;
    return problem;
}

Result<Ensured<resources::AddressPool>> Manager::ensure(resources::AddressPool wanted, const rest::Intent& intent) {
    const std::string name = wanted.metadata.name;
    // Before its turn comes: changes must not wait for the dataplane.
    auto no_such_port = refuse_ports(wanted.spec);
    std::optional<Result<Ensured<resources::AddressPool>>> answer;
    bool created = false;
    const auto prepare = [&] {
        // Pools are checked against each other, so one of them at a time.
        if (staged_.alone || !staged_.pools.empty()) return Step::deferred;
        const auto at = objects_.pools.find(name);
        const resources::AddressPool* before = at == objects_.pools.end() ? nullptr : &at->second;
        created = before == nullptr;
        if (auto problem = refuse_precondition(before == nullptr ? nullptr : &before->metadata, intent.precondition)) {
            answer = std::move(*problem);
            return Step::finished;
        }
        if (before != nullptr && same_wish(wanted, *before)) {
            answer = Ensured<resources::AddressPool>{*before, false, false};
            return Step::finished;
        }
        if (no_such_port && (before == nullptr || wanted.spec.ports != before->spec.ports)) {
            answer = std::move(*no_such_port);
            return Step::finished;
        }
        auto pools = pools_with(name, &wanted.spec);
        const bool refused = std::holds_alternative<resources::Problem>(pools);
        metrics_.pools_refused(refused);
        if (refused) {
            answer = std::move(std::get<resources::Problem>(pools));
            return Step::finished;
        }
        audit(intent, created ? "create" : "update", kAddressPoolKind, name, before, &wanted);
        stamp(wanted, before);
        wanted.status = {};
        if (created || wanted.spec != before->spec) allocator_.set_pools(std::move(std::get<ipam::PoolSet>(pools)));
        staged_.pools.emplace(name, std::move(wanted));
        return Step::staged;
    };
    const auto settle = [&](const CommitQueue::Failure& failure) {
        if (failure) {
            answer = *failure;
            return;
        }
        const std::shared_lock lock(mutex_);
        answer = Ensured<resources::AddressPool>{objects_.pools.at(name), created, true};
    };
    queue_.submit({prepare, settle});
    return *std::move(answer);
}

Result<resources::AddressPool> Manager::address_pool(const std::string& name) {
    const std::shared_lock lock(mutex_);
    const auto at = objects_.pools.find(name);
    if (at == objects_.pools.end()) return not_found("address pool", name);
    resources::AddressPool shown = at->second;
    for (const auto& [key, entry] : objects_.load_balancers) {
        if (shown.status.users.size() == resources::AddressPoolStatus::kMostUsers) break;
        resources::PoolUser user{key.cluster, key.name_space, key.name, {}};
        for (const resources::Ingress& ingress : entry.record.object.status.ingress) {
            if (ingress.pool == name) user.addresses.push_back(ingress.ip);
        }
        if (!user.addresses.empty()) shown.status.users.push_back(std::move(user));
    }
    return shown;
}

Result<rest::Page<resources::AddressPool>> Manager::address_pools(const rest::PageRequest& request) {
    const std::shared_lock lock(mutex_);
    return page_of<resources::AddressPool>(
        objects_.pools, request, revision_,
        [](const resources::AddressPool& pool) -> const auto& { return pool.metadata; },
        [](const resources::AddressPool& pool) { return pool; }, [](const std::string& name) { return name; });
}

Result<bool> Manager::delete_address_pool(const std::string& name, const rest::Intent& intent) {
    std::optional<Result<bool>> answer;
    const auto prepare = [&] {
        if (staged_.alone || !staged_.pools.empty()) return Step::deferred;
        const auto at = objects_.pools.find(name);
        const bool exists = at != objects_.pools.end();
        if (auto problem = refuse_precondition(exists ? &at->second.metadata : nullptr, intent.precondition)) {
            answer = std::move(*problem);
            return Step::finished;
        }
        if (!exists) {
            answer = false;
            return Step::finished;
        }
        auto pools = pools_with(name, nullptr);
        if (auto* problem = std::get_if<resources::Problem>(&pools)) {
            answer = std::move(*problem);
            return Step::finished;
        }
        audit<resources::AddressPool>(intent, "delete", kAddressPoolKind, name, &at->second, nullptr);
        allocator_.set_pools(std::move(std::get<ipam::PoolSet>(pools)));
        staged_.pools.emplace(name, std::nullopt);
        return Step::staged;
    };
    const auto settle = [&](const CommitQueue::Failure& failure) {
        answer = failure ? Result<bool>(*failure) : Result<bool>(true);
    };
    queue_.submit({prepare, settle});
    return *std::move(answer);
}

// Nodes

std::optional<resources::Problem> Manager::refuse_node(const resources::Node& wanted, const NodeKey& key) const {
    resources::Problem conflict{409, "Conflict", "", {}};
    std::map<IpFamily, std::size_t> of_family;
    std::size_t routes = wanted.spec.pod_cidrs.size();
    for (const auto& [other, entry] : objects_.nodes) {
        if (other != key) routes += entry.object.spec.pod_cidrs.size();
    }
    if (routes > contract::kMaxRoutes) {
        conflict.faults.push_back({"/spec/podCidrs", "found " + std::to_string(routes) +
                                                         " of all nodes, allowed at most " +
                                                         std::to_string(contract::kMaxRoutes)});
    }
    for (const auto& [other, entry] : objects_.nodes) {
        if (other == key || other.cluster != key.cluster) continue;
        for (const IpAddress& theirs : entry.object.spec.addresses) {
            ++of_family[theirs.family];
            for (std::size_t i = 0; i < wanted.spec.addresses.size(); ++i) {
                if (wanted.spec.addresses[i] != theirs) continue;
                conflict.faults.push_back({"/spec/addresses/" + std::to_string(i),
                                           theirs.to_string() + " is an address of node \"" + other.to_string() +
                                               "\" already; delete that node, or give this one another address"});
            }
        }
    }
    for (const IpAddress& address : wanted.spec.addresses) {
        if (of_family[address.family] < contract::kMaxBackendsPerSet) continue;
        conflict.faults.push_back(
            {"/spec/addresses", "found node number " + std::to_string(of_family[address.family] + 1) + " with an " +
                                    std::string(to_string(address.family)) + " address, allowed at most " +
                                    std::to_string(contract::kMaxBackendsPerSet) + " a cluster"});
    }
    if (conflict.faults.empty()) return std::nullopt;
    conflict.detail = conflict.faults[0].message;
    return conflict;
}

Result<Ensured<resources::Node>> Manager::ensure(resources::Node wanted, const rest::Intent& intent) {
    const NodeKey key = key_of(wanted);
    std::optional<Result<Ensured<resources::Node>>> answer;
    bool created = false;
    const auto prepare = [&] {
        // Their addresses are checked against each other; a node whose addresses are staged by another one waits.
        if (staged_.alone || staged_.nodes.contains(key)) return Step::deferred;
        for (const auto& [other, entry] : staged_.nodes) {
            if (!entry) continue;
            for (const IpAddress& address : entry->object.spec.addresses) {
                const auto& mine = wanted.spec.addresses;
                if (std::find(mine.begin(), mine.end(), address) != mine.end()) return Step::deferred;
            }
        }
        const auto at = objects_.nodes.find(key);
        const resources::Node* before = at == objects_.nodes.end() ? nullptr : &at->second.object;
        created = before == nullptr;
        if (auto problem = refuse_precondition(before == nullptr ? nullptr : &before->metadata, intent.precondition)) {
            answer = std::move(*problem);
            return Step::finished;
        }
        if (before != nullptr && same_wish(wanted, *before)) {
            const std::shared_lock lock(mutex_);
            answer = Ensured<resources::Node>{render(at->second, link_.status()), false, false};
            return Step::finished;
        }
        if (auto problem = refuse_node(wanted, key)) {
            answer = std::move(*problem);
            return Step::finished;
        }
        audit(intent, created ? "create" : "update", kNodeKind, key.to_string(), before, &wanted);
        stamp(wanted, before);
        wanted.status = {};
        if (wanted.spec.drain) {
            const bool goes_on = before != nullptr && before->spec.drain;
            wanted.status.draining_since = goes_on ? before->status.draining_since : timestamp();
            wanted.status.drain_ended = goes_on && before->status.drain_ended &&
                                        before->spec.drain_timeout_seconds == wanted.spec.drain_timeout_seconds;
        }
        NodeEntry entry;
        entry.object = std::move(wanted);
        staged_.nodes.emplace(key, std::move(entry));
        return Step::staged;
    };
    const auto settle = [&](const CommitQueue::Failure& failure) {
        if (failure) {
            answer = *failure;
            return;
        }
        const std::shared_lock lock(mutex_);
        answer = Ensured<resources::Node>{render(objects_.nodes.at(key), link_.status()), created, true};
    };
    queue_.submit({prepare, settle});
    return *std::move(answer);
}

Result<resources::Node> Manager::node(const std::string& cluster, const std::string& name) {
    const NodeKey key{cluster, name};
    const std::shared_lock lock(mutex_);
    const auto at = objects_.nodes.find(key);
    if (at == objects_.nodes.end()) return not_found("node", key.to_string());
    return render(at->second, link_.status());
}

Result<rest::Page<resources::Node>> Manager::nodes(const rest::PageRequest& request) {
    const std::shared_lock lock(mutex_);
    const reconcile::LinkStatus link = link_.status();
    return page_of<resources::Node>(
        objects_.nodes, request, revision_, [](const NodeEntry& entry) -> const auto& { return entry.object.metadata; },
        [&](const NodeEntry& entry) { return render(entry, link); },
        [](const NodeKey& key) { return key.to_string(); });
}

Result<bool> Manager::delete_node(const std::string& cluster, const std::string& name, const rest::Intent& intent) {
    const NodeKey key{cluster, name};
    std::optional<Result<bool>> answer;
    const auto prepare = [&] {
        if (staged_.alone || staged_.nodes.contains(key)) return Step::deferred;
        const auto at = objects_.nodes.find(key);
        const bool exists = at != objects_.nodes.end();
        if (auto problem = refuse_precondition(exists ? &at->second.object.metadata : nullptr, intent.precondition)) {
            answer = std::move(*problem);
            return Step::finished;
        }
        if (!exists) {
            answer = false;
            return Step::finished;
        }
        audit<resources::Node>(intent, "delete", kNodeKind, key.to_string(), &at->second.object, nullptr);
        staged_.nodes.emplace(key, std::nullopt);
        return Step::staged;
    };
    const auto settle = [&](const CommitQueue::Failure& failure) {
        answer = failure ? Result<bool>(*failure) : Result<bool>(true);
    };
    queue_.submit({prepare, settle});
    return *std::move(answer);
}

void Manager::announce_pools() {
    std::vector<announce::Pool> pools;
    for (const auto& [name, pool] : objects_.pools) {
        announce::Pool& one = pools.emplace_back(announce::Pool{name, {}});
        for (const std::string& text : pool.spec.addresses) {
            auto parsed = ipam::parse_range(text);
            if (auto* range = std::get_if<ipam::AddressRange>(&parsed)) one.ranges.push_back(*range);
        }
    }
    announce_.pools(std::move(pools));
}

}  // namespace guideway::controlplane
