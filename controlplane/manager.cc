#include "controlplane/manager.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include <spdlog/spdlog.h>

#include "api/contract/forwarding_state_codec.h"
#include "api/resources/address_pool_codec.h"
#include "api/resources/node_codec.h"
#include "controlplane/auth/token_book.h"
#include "controlplane/log_value.h"
#include "controlplane/reconcile/desired_state.h"

namespace guideway::controlplane {
namespace {

resources::Problem problem_of(const store::Error& error) {
    const bool full = error.kind == store::ErrorKind::full;
    return {full ? 507 : 503, full ? "StoreFull" : "StoreUnavailable", error.message, {}};
}

std::string join(const std::vector<ipam::Holding>& holdings) {
    std::string text;
    for (const ipam::Holding& holding : holdings) {
        text += (text.empty() ? "" : ", ") + holding.address.to_string() + " of pool " + holding.pool;
    }
    return text;
}

}  // namespace

Manager::Manager(std::unique_ptr<store::Store> store, ManagerOptions options, Metrics& metrics)
    : store_(std::move(store)), options_(std::move(options)), metrics_(metrics), link_(options_.link) {}

Manager::~Manager() { stop(); }

void Manager::stop() { link_.stop(); }

std::variant<std::unique_ptr<Manager>, std::string> Manager::open(std::unique_ptr<store::Store> store,
                                                                  ManagerOptions options, Metrics& metrics) {
    std::unique_ptr<Manager> manager(new Manager(std::move(store), std::move(options), metrics));
    {
        const std::lock_guard lock(manager->mutex_);
        if (std::string error = manager->restore(); !error.empty()) return error;
    }
    manager->link_.start([raw = manager.get()](std::uint64_t generation) {
        const std::lock_guard lock(raw->mutex_);
        raw->renumber_beyond(generation);
    });
    return manager;
}

std::string Manager::restore() {
    store::Contents contents;
    if (const auto error = store_->load(contents)) return error->message;
    revision_ = contents.revision;
    std::map<ipam::ServiceKey, ipam::Allocation> recorded;
    std::vector<ipam::PoolDefinition> definitions;
    for (const store::Record& one : contents.records) {
        const auto unreadable = [&](const std::string& why) {
            return "the store's record " + one.kind + " " + one.key + " cannot be read: " + why +
                   "; restore a backup, or run the version that wrote it";
        };
        if (one.kind == kLoadBalancerKind) {
            auto decoded = decode_load_balancer_record(one.document);
            if (const auto* why = std::get_if<std::string>(&decoded)) return unreadable(*why);
            auto& record = std::get<LoadBalancerRecord>(decoded);
            const ipam::ServiceKey key = key_of(record.object);
            recorded.emplace(key, allocation_of(record));
            load_balancers_.emplace(key, Entry{std::move(record), 0, {}, {}});
        } else if (one.kind == kAddressPoolKind) {
            auto decoded = resources::read_address_pool(one.document);
            if (!decoded.ok()) return unreadable(decoded.faults[0].field + " " + decoded.faults[0].message);
            const resources::AddressPoolSpec& spec = decoded.value->spec;
            definitions.push_back({one.key, spec.addresses, spec.auto_assign, spec.avoid_buggy_ips, false});
            pools_.emplace(one.key, std::move(*decoded.value));
        } else if (one.kind == kNodeKind) {
            auto decoded = resources::read_node(one.document);
            if (!decoded.ok()) return unreadable(decoded.faults[0].field + " " + decoded.faults[0].message);
            nodes_.emplace(one.key, std::move(*decoded.value));
        } else if (one.kind != auth::kTokenKind) {  // tokens: controlplane/token_store.h
            return unreadable("this version knows no such kind");
        }
    }
    ipam::ParsedPools parsed = ipam::parse_pools(std::move(definitions));
    if (!parsed.faults.empty()) {
        return "the store's address pool " + parsed.faults[0].pool + " is refused: " + parsed.faults[0].message;
    }
    // What the store stands for: its generation belongs to the state as recorded.
    auto state = build_state();
    state.generation = contents.generation;
    desired_ = std::make_shared<const contract::ForwardingState>(std::move(state));
    for (auto& [key, entry] : load_balancers_) entry.in_state_since = contents.generation;

    allocator_.begin();
    allocator_.load(std::move(parsed.set), std::move(recorded));
    // Generation 0 means "none yet" to the dataplane, so a new store begins with 1.
    if (allocator_.changed().empty() && desired_->generation > 0) {
        allocator_.commit();
        link_.set_desired(desired_);
    } else if (const auto problem = commit({})) {
        return problem->detail;
    }
    spdlog::info("store restored revision={} generation={} load_balancers={} pools={} nodes={}", revision_,
                 desired_->generation, load_balancers_.size(), pools_.size(), nodes_.size());
    return {};
}

LoadBalancerRecord Manager::record_of(const ipam::ServiceKey& key, resources::LoadBalancer object, const Entry* before,
                                      const ipam::Allocation& allocation) const {
    LoadBalancerRecord record;
    record.order = allocation.order;
    record.placed = allocation.placed;
    record.refusal = allocation.refusal;
    record.sharing_key = allocation.claim.sharing_key;
    if (!allocation.holdings.empty()) {
        // The ports in force: those of the spec, and those that stay while the spec's do not fit (17).
        std::vector<resources::LoadBalancerPort> known = object.spec.ports;
        if (before != nullptr) known.insert(known.end(), before->record.ports.begin(), before->record.ports.end());
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
    if (before != nullptr && !before->record.object.status.conditions.empty()) {
        const resources::Condition& last = before->record.object.status.conditions.front();
        if (last.status == allocated.status) allocated.last_transition_time = last.last_transition_time;
    }
    object.status.conditions.push_back(std::move(allocated));
    record.object = std::move(object);
    return record;
}

contract::ForwardingState Manager::build_state() const {
    std::vector<resources::Node> nodes;
    for (const auto& [name, node] : nodes_) nodes.push_back(node);
    std::vector<reconcile::Forwarded> forwarded;
    for (const auto& [key, entry] : load_balancers_) {
        const LoadBalancerRecord& record = entry.record;
        if (record.object.status.ingress.empty()) continue;
        reconcile::Forwarded one{key.to_string(), {}, record.ports, record.object.spec.idle_timeout_seconds};
        for (const resources::Ingress& ingress : record.object.status.ingress) one.addresses.push_back(ingress.ip);
        forwarded.push_back(std::move(one));
    }
    return reconcile::desired_state(nodes, forwarded);
}

std::optional<resources::Problem> Manager::commit(Staged staged) {
    store::Batch batch;
    batch.after_revision = revision_;
    batch.revision = revision_ + 1;
    const auto stage = [&](const char* kind, const std::string& key, std::optional<std::string> document) {
        batch.changes.push_back({kind, key, std::move(document)});
    };

    // What the allocator changed is written too, also where another object's change was the cause (23).
    for (const ipam::ServiceKey& key : allocator_.changed()) {
        if (staged.load_balancers.contains(key)) continue;
        const auto at = load_balancers_.find(key);
        if (at == load_balancers_.end()) continue;
        staged.load_balancers.emplace(key, at->second.record.object);
    }

    // The new objects are put in place; the old ones stand in for them, should the store or the dataplane's limits refuse.
    std::map<ipam::ServiceKey, std::optional<Entry>> old_entries;
    std::map<std::string, std::optional<resources::AddressPool>> old_pools;
    std::map<std::string, std::optional<resources::Node>> old_nodes;
    const auto take = [](auto& map, const auto& key, auto& old) {
        const auto at = map.find(key);
        if (at == map.end()) {
            old.emplace(key, std::nullopt);
        } else {
            old.emplace(key, std::move(at->second));
            map.erase(at);
        }
    };
    for (auto& [key, object] : staged.load_balancers) {
        take(load_balancers_, key, old_entries);
        if (object) {
            const std::optional<Entry>& before = old_entries.at(key);
            object->metadata.resource_version = batch.revision;
            Entry entry;
            if (before) entry = *before;
            entry.record = record_of(key, std::move(*object), before ? &*before : nullptr, *allocator_.find(key));
            stage(kLoadBalancerKind, key.to_string(), encode(entry.record));
            load_balancers_.emplace(key, std::move(entry));
        } else {
            stage(kLoadBalancerKind, key.to_string(), std::nullopt);
        }
    }
    for (auto& [name, object] : staged.pools) {
        take(pools_, name, old_pools);
        if (object) object->metadata.resource_version = batch.revision;
        stage(kAddressPoolKind, name, object ? std::optional(resources::encode(*object)) : std::nullopt);
        if (object) pools_.emplace(name, std::move(*object));
    }
    for (auto& [name, object] : staged.nodes) {
        take(nodes_, name, old_nodes);
        if (object) object->metadata.resource_version = batch.revision;
        stage(kNodeKind, name, object ? std::optional(resources::encode(*object)) : std::nullopt);
        if (object) nodes_.emplace(name, std::move(*object));
    }
    const auto undo = [&] {
        const auto put_back = [](auto& map, auto& old) {
            for (auto& [key, object] : old) {
                map.erase(key);
                if (object) map.emplace(key, std::move(*object));
            }
        };
        put_back(load_balancers_, old_entries);
        put_back(pools_, old_pools);
        put_back(nodes_, old_nodes);
        allocator_.rollback();
    };

    contract::ForwardingState state = build_state();
    const bool state_changed = desired_->generation == 0 || !reconcile::same_content(state, *desired_);
    state.generation = desired_->generation + (state_changed ? 1 : 0);
    batch.generation = state.generation;
    if (state_changed) {
        if (auto faults = contract::validate(state); !faults.empty()) {
            const std::string why = faults[0].message;
            undo();
            return resources::Problem{409, "NotForwardable", "the dataplane cannot forward this: " + why, {}};
        }
    }
    if (const auto error = write(batch)) {
        undo();
        return problem_of(*error);
    }
    log_events();
    allocator_.commit();
    revision_ = batch.revision;
    const auto log_changes = [&](const char* kind, const auto& old, const auto& now) {
        for (const auto& [name, before] : old) {
            const char* what = !before ? "created" : now.contains(name) ? "changed" : "deleted";
            spdlog::info("{}={} {} revision={}", kind, name, what, revision_);
        }
    };
    log_changes("address_pool", old_pools, pools_);
    log_changes("node", old_nodes, nodes_);
    for (const auto& [key, old] : old_entries) {
        if (const auto at = load_balancers_.find(key); at != load_balancers_.end()) {
            at->second.in_state_since = state.generation;
        }
    }
    if (state_changed) {
        desired_ = std::make_shared<const contract::ForwardingState>(std::move(state));
        link_.set_desired(desired_);
    }
    return std::nullopt;
}

std::optional<store::Error> Manager::write(const store::Batch& batch) {
    const auto begun = std::chrono::steady_clock::now();
    auto error = store_->commit(batch);
    if (error) {
        spdlog::error("store commit failed kind={} error={}", store::to_string(error->kind), log_value(error->message));
        metrics_.commit_failed(store::to_string(error->kind));
        store_error_ = error->message;
    } else {
        metrics_.committed(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
        store_error_.clear();
    }
    return error;
}

void Manager::renumber_beyond(std::uint64_t generation) {
    // The dataplane kept a newer state than the store knows of (an older backup was restored): what the store says counts,
    // and needs a number beyond it to take effect.
    if (desired_->generation > generation) return;
    spdlog::warn("dataplane is ahead of the store dataplane_generation={} store_generation={}: renumbering", generation,
                 desired_->generation);
    contract::ForwardingState state = *desired_;
    state.generation = generation + 1;
    if (write({{}, revision_, revision_ + 1, state.generation})) return;
    ++revision_;
    desired_ = std::make_shared<const contract::ForwardingState>(std::move(state));
    link_.set_desired(desired_);
}

void Manager::log_events() const {
    for (const ipam::Event& event : allocator_.events()) {
        spdlog::info("load_balancer={} event={}", event.service.to_string(), log_value(event.message));
    }
    for (const ipam::ServiceKey& key : allocator_.changed()) {
        const ipam::Allocation* allocation = allocator_.find(key);
        if (allocation == nullptr) {
            spdlog::info("load_balancer={} released", key.to_string());
        } else if (allocation->refusal) {
            spdlog::warn("load_balancer={} waits reason={} message={}", key.to_string(),
                         ipam::to_string(allocation->refusal->reason), log_value(allocation->refusal->message));
        } else {
            spdlog::info("load_balancer={} addresses={}", key.to_string(), log_value(join(allocation->holdings)));
        }
    }
}

std::string Manager::timestamp() const {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(options_.now());
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

}  // namespace guideway::controlplane
