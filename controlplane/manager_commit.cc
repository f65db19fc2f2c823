// The writer's way: from what the works of one batch staged, over one durable write, to what everybody sees.
#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "api/resources/address_pool_codec.h"
#include "api/resources/node_codec.h"
#include "controlplane/log_value.h"
#include "controlplane/manager.h"
#include "controlplane/manager_support.h"

namespace guideway::controlplane {
namespace {

std::string join(const std::vector<ipam::Holding>& holdings) {
    std::string text;
    for (const ipam::Holding& holding : holdings) {
        text += (text.empty() ? "" : ", ") + holding.address.to_string() + " of pool " + holding.pool;
    }
    return text;
}

/// What becomes of each port of the spec; `in_force`: those that are forwarded.
std::vector<resources::PortStatus> port_statuses(const resources::LoadBalancerSpec& spec,
                                                 const std::vector<resources::LoadBalancerPort>& in_force, bool holds) {
    std::vector<resources::PortStatus> statuses;
    for (const resources::LoadBalancerPort& port : spec.ports) {
        resources::PortStatus status{port.protocol, port.port, {}, {}};
        const bool forwarded = std::find(in_force.begin(), in_force.end(), port) != in_force.end();
        if (port.node_port == 0 && spec.mode == resources::ForwardingMode::nat && spec.endpoint_slices.empty()) {
            status.error = "NoNodePort";
            status.message = "the port has no node port, and no endpoints are given that it could go to";
        } else if (holds && !forwarded) {
            status.error = "NotInForce";
            status.message = "it does not fit yet; see the condition Allocated";
        }
        statuses.push_back(std::move(status));
    }
    return statuses;
}

resources::ObjectReference reference_of(const ipam::ServiceKey& key) {
    return {"LoadBalancer", key.cluster, key.name_space, key.name};
}

}  // namespace

bool Manager::Staged::empty() const {
    return load_balancers.empty() && pools.empty() && nodes.empty() && tokens.empty() && !renumber && !probe;
}

void Manager::begin() {
    staged_ = {};
    allocator_.begin(unix_seconds());
}

void Manager::abandon() {
    if (allocator_.in_transaction()) allocator_.rollback();
    staged_ = {};
}

CommitQueue::Failure Manager::commit(std::size_t works) {
    Staged staged = std::exchange(staged_, {});
    if (stale_) {
        allocator_.rollback();
        stale_ = !catch_up();
        return resources::Problem{
            503,
            "StoreUnavailable",
            "the store was changed otherwise, or a write to it was believed lost; it is read again, and this "
            "change was not made: try again",
            {}};
    }
    Outcome outcome = outcome_of(staged);
    if (const auto error = write(outcome.batch)) {
        allocator_.rollback();
        if (error->kind == store::ErrorKind::conflict) stale_ = true;
        return problem_of(*error);
    }
    // It is durable. Should what follows fail, memory has to be made of the store again before anything else is decided.
    stale_ = true;
    metrics_.batch_committed(works);
    publish(staged, outcome);
    allocator_.commit();
    stale_ = false;
    if (options_.audit != nullptr) {
        for (AuditEntry& entry : staged.audit) {
            entry.revision = outcome.batch.revision;
            options_.audit->record(std::move(entry));
        }
    }
    return std::nullopt;
}

std::optional<store::Error> Manager::write(const store::Batch& batch) {
    const auto begun = std::chrono::steady_clock::now();
    auto error = store_->commit(batch);
    std::string said;
    if (error) {
        spdlog::error("store commit failed kind={} error={}", store::to_string(error->kind), log_value(error->message));
        metrics_.commit_failed(store::to_string(error->kind));
        said = error->message;
    } else {
        metrics_.committed(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
    }
    const std::lock_guard lock(mutex_);
    store_error_ = std::move(said);
    return error;
}

// ------------------------------------------------------------------------------------------ from staged to a batch

LoadBalancerRecord Manager::record_of(const ipam::ServiceKey& key, resources::LoadBalancer object,
                                      const LoadBalancerRecord* before, const ipam::Allocation& allocation) const {
    LoadBalancerRecord record;
    record.order = allocation.order;
    record.placed = allocation.placed;
    record.refusal = allocation.refusal;
    record.sharing_key = allocation.claim.sharing_key;
    if (!allocation.holdings.empty()) {
        // The ports in force: those of the spec, and those that stay while the spec's do not fit (17).
        std::vector<resources::LoadBalancerPort> known = object.spec.ports;
        if (before != nullptr) known.insert(known.end(), before->ports.begin(), before->ports.end());
        for (const resources::LoadBalancerPort& port : known) {
            const ipam::PortClaim claim{port.protocol, port.port};
            const bool claimed =
                std::binary_search(allocation.claim.ports.begin(), allocation.claim.ports.end(), claim);
            const bool there = std::any_of(record.ports.begin(), record.ports.end(), [&](const auto& other) {
                return other.protocol == port.protocol && other.port == port.port;
            });
            if (claimed && !there) record.ports.push_back(port);
        }
    }
    object.status = {};
    object.status.observed_generation = object.metadata.generation;
    for (const ipam::Holding& holding : allocation.holdings) {
        object.status.ingress.push_back({holding.address, holding.pool});
    }
    resources::Condition allocated;
    allocated.type = "Allocated";
    allocated.status = !allocation.refusal;
    allocated.reason = allocation.refusal ? std::string(ipam::to_string(allocation.refusal->reason)) : "Allocated";
    allocated.message = allocation.refusal ? allocation.refusal->message : "holds " + join(allocation.holdings);
    allocated.last_transition_time = timestamp();
    if (before != nullptr && !before->object.status.conditions.empty()) {
        const resources::Condition& last = before->object.status.conditions.front();
        if (last.status == allocated.status) allocated.last_transition_time = last.last_transition_time;
    }
    object.status.conditions.push_back(std::move(allocated));
    object.status.ports = port_statuses(object.spec, record.ports, !allocation.holdings.empty());
    record.object = std::move(object);
    return record;
}

void Manager::stage_load_balancers(Staged& staged, Outcome& outcome) {
    // What the allocator changed is written too, also where another object's change was the cause (23).
    for (const ipam::ServiceKey& key : allocator_.changed()) {
        if (staged.load_balancers.contains(key)) continue;
        const auto at = objects_.load_balancers.find(key);
        if (at != objects_.load_balancers.end()) staged.load_balancers.emplace(key, at->second.record.object);
    }
    // Those whose pool has other ways now (falls silent, is bound to ports) are forwarded otherwise.
    outcome.pool_ways = pool_ways_;
    for (const auto& [name, pool] : staged.pools) {
        PoolWays now = pool ? ways_of(pool->spec) : PoolWays{};
        const auto before = pool_ways_.find(name);
        if (now == (before == pool_ways_.end() ? PoolWays{} : before->second)) continue;
        outcome.pool_ways.insert_or_assign(name, std::move(now));
        if (outcome.pool_ways.at(name) == PoolWays{}) outcome.pool_ways.erase(name);
        for (const auto& [key, entry] : objects_.load_balancers) {
            const auto& ingress = entry.record.object.status.ingress;
            if (std::any_of(ingress.begin(), ingress.end(),
                            [&name = name](const auto& one) { return one.pool == name; }))
                staged.load_balancers.emplace(key, entry.record.object);
        }
    }
    for (auto& [key, object] : staged.load_balancers) {
        const auto at = objects_.load_balancers.find(key);
        const Entry* known = at == objects_.load_balancers.end() ? nullptr : &at->second;
        const bool anew = staged.replaced.contains(key);
        std::optional<Entry> entry;
        bool changed = false;
        if (object) {
            object->metadata.resource_version = outcome.batch.revision;
            entry.emplace();
            if (known != nullptr && !anew) entry->in_state_since = known->in_state_since;
            entry->record = record_of(key, std::move(*object), known != nullptr && !anew ? &known->record : nullptr,
                                      *allocator_.find(key));
            outcome.batch.changes.push_back({kLoadBalancerKind, key.to_string(), encode(entry->record)});
            const std::size_t before = known == nullptr ? 0 : services_of(known->record);
            const std::size_t now = services_of(entry->record);
            changed = before != now || (now > 0 && forwarded_of(key, known->record, pool_ways_) !=
                                                       forwarded_of(key, entry->record, outcome.pool_ways));
        } else {
            outcome.batch.changes.push_back({kLoadBalancerKind, key.to_string(), std::nullopt});
            changed = known != nullptr && services_of(known->record) > 0;
        }
        if (changed) {
            outcome.forwarding_changed = true;
            if (entry) entry->in_state_since = 0;  // the generation to come; publish() knows it
        }
        outcome.load_balancers.emplace_back(key, std::move(entry));
    }
}

void Manager::stage_nodes(Staged& staged, Outcome& outcome) {
    for (auto& [key, entry] : staged.nodes) {
        const auto at = objects_.nodes.find(key);
        const NodeEntry* known = at == objects_.nodes.end() ? nullptr : &at->second;
        bool changed = true;
        if (entry) {
            entry->object.metadata.resource_version = outcome.batch.revision;
            changed = known == nullptr || known->object.spec != entry->object.spec ||
                      known->object.status.drain_ended != entry->object.status.drain_ended;
            if (known != nullptr) {
                entry->in_state_since = known->in_state_since;
            }
            outcome.batch.changes.push_back({kNodeKind, key.to_string(), resources::encode(entry->object)});
        } else {
            outcome.batch.changes.push_back({kNodeKind, key.to_string(), std::nullopt});
        }
        if (changed) {
            outcome.forwarding_changed = true;
            if (entry) entry->in_state_since = 0;
        }
        outcome.nodes.emplace_back(key, std::move(entry));
    }
}

Manager::Outcome Manager::outcome_of(Staged& staged) {
    Outcome outcome;
    outcome.batch.after_revision = revision_;
    outcome.batch.revision = revision_ + 1;
    stage_load_balancers(staged, outcome);
    stage_nodes(staged, outcome);
    for (auto& [name, pool] : staged.pools) {
        if (pool) pool->metadata.resource_version = outcome.batch.revision;
        outcome.batch.changes.push_back(
            {kAddressPoolKind, name, pool ? std::optional(resources::encode(*pool)) : std::nullopt});
    }
    for (auto& [name, token] : staged.tokens) {
        if (token) token->metadata.resource_version = outcome.batch.revision;
        outcome.batch.changes.push_back(
            {auth::kTokenKind, name, token ? std::optional(auth::encode(*token)) : std::nullopt});
    }
    for (store::Change& change : quarantine_changes(allocator_)) outcome.batch.changes.push_back(std::move(change));
    // Generation 0 means "none yet" to the dataplane, so a new store begins with 1.
    outcome.forwarding_changed = outcome.forwarding_changed || staged.renumber || generation_ == 0;
    outcome.batch.generation = outcome.forwarding_changed ? std::max(generation_, staged.beyond) + 1 : generation_;
    return outcome;
}

// --------------------------------------------------------------------------------------------------- publishing

void Manager::publish_load_balancers(Staged& staged, Outcome& outcome, const reconcile::LinkStatus& link,
                                     std::vector<Change>& changes, reconcile::Delta& delta) {
    for (auto& [key, entry] : outcome.load_balancers) {
        const auto at = objects_.load_balancers.find(key);
        const bool known = at != objects_.load_balancers.end();
        const bool anew = staged.replaced.contains(key);
        std::map<std::string, std::string> labels_before;
        if (known) {
            labels_before = at->second.record.object.metadata.labels;
            services_ -= services_of(at->second.record);
            ranges_ -= at->second.record.object.spec.source_ranges.size();
            if (!entry || anew) {
                changes.push_back(change_of(rest::ChangeType::deleted, render(at->second, link), {}));
                spdlog::info("load_balancer={} deleted revision={}", key.to_string(), revision_);
            }
        }
        if (!entry) {
            if (known && services_of(at->second.record) > 0)
                delta.load_balancers.emplace_back(key.to_string(), std::nullopt);
            if (known) objects_.load_balancers.erase(at);
            continue;
        }
        services_ += services_of(entry->record);
        ranges_ += entry->record.object.spec.source_ranges.size();
        if (entry->in_state_since == 0) {
            entry->in_state_since = generation_;
            const bool forwards = services_of(entry->record) > 0;
            delta.load_balancers.emplace_back(
                key.to_string(), forwards ? std::optional(forwarded_of(key, entry->record, pool_ways_)) : std::nullopt);
        }
        if (known && !anew) {
            entry->programmed = at->second.programmed;
            entry->ready = at->second.ready;
        }
        tell(*entry, link);
        const auto type = known && !anew ? rest::ChangeType::modified : rest::ChangeType::added;
        changes.push_back(change_of(type, render(*entry, link), std::move(labels_before)));
        objects_.load_balancers.insert_or_assign(key, std::move(*entry));
    }
}

void Manager::publish_nodes(Outcome& outcome, const reconcile::LinkStatus& link, std::vector<Change>& changes,
                            reconcile::Delta& delta) {
    for (auto& [key, entry] : outcome.nodes) {
        const auto at = objects_.nodes.find(key);
        const bool known = at != objects_.nodes.end();
        std::map<std::string, std::string> labels_before;
        if (known) {
            labels_before = at->second.object.metadata.labels;
            count_serving(at->second.object, -1);
            pod_routes_.erase(key.to_string(), at->second.object);
        }
        const char* what = !entry ? "deleted" : known ? "changed" : "created";
        spdlog::info("node={} {} revision={}", key.to_string(), what, revision_);
        if (!entry) {
            if (!known) continue;
            changes.push_back(change_of(rest::ChangeType::deleted, render(at->second, link), {}));
            delta.nodes.emplace_back(key.to_string(), std::nullopt);
            objects_.nodes.erase(at);
            continue;
        }
        count_serving(entry->object, 1);
        pod_routes_.put(key.to_string(), entry->object);
        if (entry->in_state_since == 0) {
            entry->in_state_since = generation_;
            delta.nodes.emplace_back(key.to_string(), entry->object);
        }
        if (known) {
            entry->programmed = at->second.programmed;
            entry->ready = at->second.ready;
            entry->healthy = at->second.healthy;
            entry->routed = at->second.routed;
        }
        tell(*entry, link);
        const auto type = known ? rest::ChangeType::modified : rest::ChangeType::added;
        changes.push_back(change_of(type, render(*entry, link), std::move(labels_before)));
        objects_.nodes.insert_or_assign(key, std::move(*entry));
    }
}

void Manager::publish_pools(Staged& staged, std::vector<Change>& changes) {
    for (auto& [name, pool] : staged.pools) {
        const auto at = objects_.pools.find(name);
        const bool known = at != objects_.pools.end();
        const char* what = !pool ? "deleted" : known ? "changed" : "created";
        spdlog::info("address_pool={} {} revision={}", name, what, revision_);
        if (!pool) {
            if (!known) continue;
            changes.push_back(change_of(rest::ChangeType::deleted, at->second, {}));
            objects_.pools.erase(at);
            forecast_.forget(name);
            continue;
        }
        std::map<std::string, std::string> labels_before;
        if (known) labels_before = at->second.metadata.labels;
        const auto [now, fresh] = objects_.pools.insert_or_assign(name, std::move(*pool));
        count_pool_use(now->second);
        changes.push_back(change_of(known ? rest::ChangeType::modified : rest::ChangeType::added, now->second,
                                    std::move(labels_before)));
    }
    for (auto& [name, pool] : objects_.pools) count_pool_use(pool);
    if (!staged.pools.empty()) announce_pools();
}

void Manager::publish_event(const ipam::Event& event, std::vector<Change>& changes) {
    using ipam::EventKind;
    // Names of Kubernetes' habit where there are such (kubernetes-contract 5).
    const bool warning =
        event.kind == EventKind::lost || event.kind == EventKind::conflict || event.kind == EventKind::refused;
    std::string reason(ipam::to_string(event.kind));
    if (event.kind == EventKind::allocated || event.kind == EventKind::served_late) reason = "IPAllocated";
    if (event.kind == EventKind::refused) reason = "AllocationFailed";
    spdlog::log(warning ? spdlog::level::warn : spdlog::level::info, "load_balancer={} event={} message={}",
                event.service.to_string(), reason, log_value(event.message));
    add_event(changes, warning, std::move(reason), event.message, reference_of(event.service));
    const ipam::Allocation* allocation = allocator_.find(event.service);
    if (allocation == nullptr) return;
    if (event.kind == EventKind::refused && allocation->refusal) {
        metrics_.allocation_refused(ipam::to_string(allocation->refusal->reason));
    }
    if (event.kind == EventKind::allocated || event.kind == EventKind::served_late || event.kind == EventKind::moved) {
        for (const ipam::Holding& holding : allocation->holdings) metrics_.allocated(holding.pool);
    }
}

std::vector<store::Change> Manager::quarantine_changes(const ipam::Allocator& allocator) {
    std::vector<store::Change> changes;
    for (const ipam::QuarantineChange& change : allocator.quarantine_changes()) {
        changes.push_back({kQuarantineKind, change.address.to_string(),
                           change.now ? std::optional(encode(*change.now)) : std::nullopt});
    }
    return changes;
}

void Manager::count_serving(const resources::Node& node, int by) {
    if (node.spec.drain) return;
    for (const IpAddress& address : node.spec.addresses) {
        serving_[{node.metadata.cluster, address.family}] += static_cast<std::size_t>(by);
    }
}

void Manager::publish(Staged& staged, Outcome& outcome) {
    const reconcile::LinkStatus link = link_.status();
    std::vector<Change> changes;
    reconcile::Delta delta;
    for (auto& [name, token] : staged.tokens) {
        if (token) {
            tokens_.put_record(std::move(*token));
        } else {
            tokens_.erase_record(name);
        }
    }
    const std::lock_guard lock(mutex_);
    revision_ = outcome.batch.revision;
    if (outcome.forwarding_changed) {
        generation_ = outcome.batch.generation;
        not_in_force_.emplace_back(generation_, std::chrono::steady_clock::now());
    }
    follow_health(outcome);
    pool_ways_ = std::move(outcome.pool_ways);
    publish_load_balancers(staged, outcome, link, changes, delta);
    publish_nodes(outcome, link, changes, delta);
    publish_pools(staged, changes);
    for (const ipam::Event& event : allocator_.events()) publish_event(event, changes);
    // A node that goes or comes may change whether load balancers are served.
    if (!outcome.nodes.empty()) {
        tell_pod_routes(link, changes);
        tell_all(link, true, changes);
    }
    changes_.append(revision_, std::move(changes));
    if (outcome.forwarding_changed) {
        delta.generation = generation_;
        delta.verdicts = board_.take_verdicts();
        loop_.push(std::move(delta));
    }
}

void Manager::renumber_beyond(std::uint64_t generation) {
    // The dataplane kept a newer state than the store knows of (an older backup was restored): what the store says counts,
    // and needs a number beyond it to take effect.
    queue_.submit({[&] {
                       if (generation_ > generation) return CommitQueue::Step::finished;
                       spdlog::warn(
                           "dataplane is ahead of the store dataplane_generation={} store_generation={}: renumbering",
                           generation, generation_);
                       staged_.renumber = true;
                       staged_.beyond = generation;
                       return CommitQueue::Step::staged;
                   },
                   [](const CommitQueue::Failure&) {}});
}

}  // namespace guideway::controlplane
