// What the manager shows: conditions, status, counters, metrics.
#include <algorithm>
#include <utility>

#include "controlplane/manager.h"

namespace guideway::controlplane {
namespace {

using rest::Result;

resources::Problem dataplane_unavailable(const std::string& why) {
    return {503, "DataplaneUnavailable", "the dataplane does not answer: " + why, {}};
}

void keep_time(resources::Condition& now, resources::Condition& last, const std::string& time) {
    const bool same = last.type == now.type && last.status == now.status;
    now.last_transition_time = same ? last.last_transition_time : time;
    last = now;
}

}  // namespace

resources::LoadBalancer Manager::render(const ipam::ServiceKey& key, Entry& entry, const reconcile::LinkStatus& link) {
    resources::LoadBalancer object = entry.record.object;
    resources::Condition programmed = programmed_condition(entry, link);
    resources::Condition ready = ready_condition(entry, programmed.status);
    const std::string time = timestamp();
    keep_time(programmed, entry.programmed, time);
    keep_time(ready, entry.ready, time);
    object.status.conditions.push_back(std::move(programmed));
    object.status.conditions.push_back(std::move(ready));
    return object;
}

resources::Condition Manager::programmed_condition(const Entry& entry, const reconcile::LinkStatus& link) const {
    resources::Condition condition;
    condition.type = "Programmed";
    if (entry.record.object.status.ingress.empty()) {
        condition.reason = "NotAllocated";
        condition.message = "has no address that could be forwarded; see the condition Allocated";
    } else if (!link.connected) {
        condition.reason = "DataplaneUnavailable";
        condition.message = link.error + "; what it had in force before, it goes on forwarding";
    } else if (link.confirmed >= entry.in_state_since) {
        condition.status = true;
        condition.reason = "Programmed";
        condition.message = "the dataplane forwards it (generation " + std::to_string(link.confirmed) + ")";
    } else if (link.refused_generation != 0) {
        condition.reason = "Refused";
        condition.message = link.error;
    } else {
        condition.reason = "Pending";
        condition.message = "the dataplane has generation " + std::to_string(link.in_force) + " in force, this needs " +
                            std::to_string(entry.in_state_since);
    }
    return condition;
}

resources::Condition Manager::ready_condition(const Entry& entry, bool programmed) const {
    resources::Condition condition;
    condition.type = "Ready";
    if (!programmed) {
        condition.reason = entry.record.object.status.ingress.empty() ? "NotAllocated" : "NotProgrammed";
        condition.message = "traffic is not forwarded as asked yet; see the conditions Allocated and Programmed";
        return condition;
    }
    for (const resources::Ingress& ingress : entry.record.object.status.ingress) {
        const bool served = std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& item) {
            const resources::NodeSpec& node = item.second.spec;
            return !node.drain &&
                   std::any_of(node.addresses.begin(), node.addresses.end(),
                               [&](const IpAddress& address) { return address.family == ingress.ip.family; });
        });
        if (!served) {
            condition.reason = "NoNodes";
            condition.message = "no node that takes connections has an " + std::string(to_string(ingress.ip.family)) +
                                " address, so clients of " + ingress.ip.to_string() +
                                " are refused; add or undrain a node";
            return condition;
        }
    }
    condition.status = true;
    condition.reason = "Ready";
    condition.message = "clients are served";
    return condition;
}

resources::AddressPool Manager::render(const resources::AddressPool& pool) const {
    resources::AddressPool shown = pool;
    if (const ipam::Pool* found = allocator_.pools().find(pool.metadata.name)) {
        const ipam::PoolUse use = allocator_.use(found->name);
        shown.status = {use.ipv4.total, use.ipv4.allocated, use.ipv6.total, use.ipv6.allocated};
    }
    return shown;
}

resources::SystemStatus Manager::status_locked(const reconcile::LinkStatus& link) const {
    resources::SystemStatus status;
    status.version = GUIDEWAY_VERSION;
    status.uptime_seconds = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_).count());
    status.dataplane_connected = link.connected;
    status.dataplane_error = link.error;
    status.desired_generation = desired_->generation;
    status.forwarding_generation = link.in_force;
    status.load_balancers = load_balancers_.size();
    status.load_balancers_waiting =
        static_cast<std::uint64_t>(std::count_if(load_balancers_.begin(), load_balancers_.end(), [](const auto& item) {
            return item.second.record.refusal.has_value();
        }));
    status.address_pools = pools_.size();
    status.nodes = nodes_.size();
    status.nodes_draining = static_cast<std::uint64_t>(
        std::count_if(nodes_.begin(), nodes_.end(), [](const auto& item) { return item.second.spec.drain; }));
    return status;
}

resources::SystemStatus Manager::status() {
    const std::lock_guard lock(mutex_);
    return status_locked(link_.status());
}

bool Manager::wait_until_forwarding(std::chrono::milliseconds timeout) {
    std::uint64_t generation = 0;
    {
        const std::lock_guard lock(mutex_);
        generation = desired_->generation;
    }
    return link_.wait_until_forwarding(generation, timeout);
}

Result<contract::ExplainAnswer> Manager::explain(const contract::ExplainRequest& request) {
    auto answer = link_.ask(request, options_.explain_timeout);
    if (const auto* why = std::get_if<std::string>(&answer)) return dataplane_unavailable(*why);
    auto& response = std::get<contract::Response>(answer);
    if (response.answer) return std::move(*response.answer);
    if (response.faults.empty()) return dataplane_unavailable("it gave no answer");
    return resources::Problem{400, "InvalidRequest", response.faults[0].message, std::move(response.faults)};
}

Result<contract::Counters> Manager::counters() {
    // Several scrapers at once ask the dataplane once. Those who come while it is asked share what comes of it, a failure
    // too: one after the other they would each wait for a dataplane that is stuck.
    const auto came = std::chrono::steady_clock::now();
    const std::lock_guard lock(counters_mutex_);
    const bool fresh = counters_ && std::chrono::steady_clock::now() - counters_at_ < options_.counters_age;
    if (!fresh && counters_at_ < came) {
        auto answer = link_.ask(contract::CountersRequest{}, options_.counters_timeout);
        counters_.reset();
        if (auto* why = std::get_if<std::string>(&answer)) {
            counters_error_ = std::move(*why);
        } else {
            counters_ = std::move(std::get<contract::Response>(answer).counters);
            counters_error_ = "it gave no counters";
        }
        counters_at_ = std::chrono::steady_clock::now();
    }
    if (!counters_) return dataplane_unavailable(counters_error_);
    return *counters_;
}

std::string Manager::metrics() {
    MetricsSnapshot snapshot;
    auto counted = counters();
    const std::lock_guard lock(mutex_);
    const reconcile::LinkStatus link = link_.status();
    snapshot.status = status_locked(link);
    snapshot.forwarding_known = link.connected;
    for (const auto& [name, pool] : pools_) snapshot.pools.push_back(render(pool));
    if (counted.ok()) {
        snapshot.counters = std::move(counted.value());
        // A service that was deleted while the counters were under way has no series any more.
        std::erase_if(snapshot.counters->services, [&](const contract::ServiceCounters& service) {
            const auto key = ipam::ServiceKey::parse(service.name);
            return !key || !load_balancers_.contains(*key);
        });
    }
    return metrics_.text(snapshot);
}

std::string Manager::not_ready_reason() {
    const std::lock_guard lock(mutex_);
    // After a failure, look whether the store takes changes again instead of waiting for somebody's next one.
    if (!store_error_.empty() && !write({{}, revision_, revision_ + 1, desired_->generation})) ++revision_;
    return store_error_;
}

}  // namespace guideway::controlplane
