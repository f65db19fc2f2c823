// What the manager shows: objects with their conditions, watches, events, status, counters, metrics.
#include <algorithm>
#include <utility>

#include "api/resources/address_pool_codec.h"
#include "api/resources/event_codec.h"
#include "api/resources/load_balancer_codec.h"
#include "api/resources/node_codec.h"
#include "api/rest/selection.h"
#include "controlplane/manager.h"
#include "controlplane/manager_support.h"
#include "controlplane/timestamps.h"

namespace guideway::controlplane {

using rest::Result;
using Step = CommitQueue::Step;

namespace {

resources::Problem dataplane_unavailable(const std::string& why) {
    return {503, "DataplaneUnavailable", "the dataplane does not answer: " + why, {}};
}

/// The time of its last transition: that of the one told last where nothing has changed since.
void keep_time(resources::Condition& now, const resources::Condition& last, const std::string& time) {
    const bool same = last.type == now.type && last.status == now.status;
    now.last_transition_time = same ? last.last_transition_time : time;
}

bool same_but_time(const resources::Condition& a, const resources::Condition& b) {
    return a.type == b.type && a.status == b.status && a.reason == b.reason;
}

/// Some port has a backend set of its own (reconcile::has_own_set).
bool by_endpoints(const resources::LoadBalancerSpec& spec) {
    return spec.external_traffic_policy == resources::TrafficPolicy::local ||
           spec.mode == resources::ForwardingMode::pod ||
           std::any_of(spec.ports.begin(), spec.ports.end(), [](const auto& port) { return port.node_port == 0; });
}

bool has_endpoints(const resources::LoadBalancerSpec& spec, IpFamily family) {
    for (const resources::EndpointSlice& slice : spec.endpoint_slices) {
        for (const resources::Endpoint& endpoint : slice.endpoints) {
            if (endpoint.address.family == family) return true;
        }
    }
    return false;
}

/// About what it holds, so that the change log is bounded in memory too.
std::size_t size_of(const resources::LoadBalancer& object) {
    std::size_t bytes = 1500 + 100 * object.spec.ports.size() + 20 * object.spec.source_ranges.size();
    for (const resources::EndpointSlice& slice : object.spec.endpoint_slices) bytes += 64 + 80 * slice.endpoints.size();
    return bytes;
}
std::size_t size_of(const resources::AddressPool& object) { return 1000 + 60 * object.spec.addresses.size(); }
std::size_t size_of(const resources::Node&) { return 1000; }

constexpr rest::Kind kind_of(const resources::LoadBalancer&) { return rest::Kind::load_balancer; }
constexpr rest::Kind kind_of(const resources::AddressPool&) { return rest::Kind::address_pool; }
constexpr rest::Kind kind_of(const resources::Node&) { return rest::Kind::node; }

template <class T>
Change made_of(rest::ChangeType type, T object, std::map<std::string, std::string> labels_before) {
    Change change;
    change.kind = kind_of(object);
    change.type = type;
    change.scope = {object.metadata.cluster, object.metadata.namespace_, object.metadata.labels};
    change.labels_before = std::move(labels_before);
    change.bytes = size_of(object);
    change.encode = [object = std::move(object)] { return encode(object); };
    return change;
}

}  // namespace

std::string Manager::timestamp() const { return timestamp_of(options_.now()); }

std::uint64_t Manager::unix_seconds() const {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(options_.now().time_since_epoch()).count());
}

// ---------------------------------------------------------------------------------------------- conditions

resources::LoadBalancer Manager::render(const Entry& entry, const reconcile::LinkStatus& link) const {
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

resources::Node Manager::render(const NodeEntry& entry, const reconcile::LinkStatus& link) const {
    resources::Node object = entry.object;
    resources::Condition programmed = programmed_condition(entry.in_state_since, link);
    resources::Condition ready = ready_condition(entry, programmed.status);
    const std::string time = timestamp();
    keep_time(programmed, entry.programmed, time);
    keep_time(ready, entry.ready, time);
    object.status.observed_generation = object.metadata.generation;
    object.status.conditions.clear();
    if (auto healthy = healthy_condition(entry)) {
        keep_time(*healthy, entry.healthy, time);
        object.status.conditions.push_back(std::move(*healthy));
    }
    if (auto routed = routed_condition(entry)) {
        keep_time(*routed, entry.routed, time);
        object.status.conditions.push_back(std::move(*routed));
    }
    object.status.conditions.push_back(std::move(programmed));
    object.status.conditions.push_back(std::move(ready));
    object.status.health =
        board_.health_of({entry.object.metadata.cluster, entry.object.metadata.name}, prober_.trouble());
    return object;
}

resources::Condition Manager::programmed_condition(std::uint64_t in_state_since,
                                                   const reconcile::LinkStatus& link) const {
    resources::Condition condition;
    condition.type = "Programmed";
    if (!link.connected) {
        condition.reason = "DataplaneUnavailable";
        condition.message = link.error + "; what it had in force before, it goes on forwarding";
    } else if (link.confirmed >= in_state_since) {
        condition.status = true;
        condition.reason = "Programmed";
        condition.message =
            "in force in the dataplane since generation " + std::to_string(in_state_since) + " at the latest";
    } else if (link.refused_generation != 0) {
        condition.reason = "Refused";
        condition.message = link.error;
    } else {
        condition.reason = "Pending";
        condition.message = "the dataplane has generation " + std::to_string(link.in_force) + " in force, this needs " +
                            std::to_string(in_state_since);
    }
    return condition;
}

resources::Condition Manager::programmed_condition(const Entry& entry, const reconcile::LinkStatus& link) const {
    if (!entry.record.object.status.ingress.empty()) return programmed_condition(entry.in_state_since, link);
    resources::Condition condition;
    condition.type = "Programmed";
    condition.reason = "NotAllocated";
    condition.message = "has no address that could be forwarded; see the condition Allocated";
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
    if (auto yielded = yielded_condition(entry)) return *std::move(yielded);
    for (const resources::Ingress& ingress : entry.record.object.status.ingress) {
        const resources::LoadBalancerSpec& spec = entry.record.object.spec;
        if (by_endpoints(spec)) {
            if (has_endpoints(spec, ingress.ip.family)) continue;
            condition.reason = "NoEndpoints";
            condition.message = "has no " + std::string(to_string(ingress.ip.family)) + " endpoint, so clients of " +
                                ingress.ip.to_string() + " are refused";
            return condition;
        }
        const auto served = serving_.find({entry.record.object.metadata.cluster, ingress.ip.family});
        if (served != serving_.end() && served->second > 0) continue;
        condition.reason = "NoNodes";
        condition.message = "no node that takes connections has an " + std::string(to_string(ingress.ip.family)) +
                            " address, so clients of " + ingress.ip.to_string() + " are refused; add or undrain a node";
        return condition;
    }
    condition.status = true;
    condition.reason = "Ready";
    condition.message = "clients are served";
    return condition;
}

resources::Condition Manager::ready_condition(const NodeEntry& entry, bool programmed) const {
    resources::Condition condition;
    condition.type = "Ready";
    const health::Verdict* verdict = board_.node_verdict({entry.object.metadata.cluster, entry.object.metadata.name});
    const bool well = verdict == nullptr || verdict->healthy;
    condition.status = programmed && !entry.object.spec.drain && well;
    if (!programmed) {
        condition.reason = "NotProgrammed";
        condition.message = "the dataplane does not know it as it is now; see the condition Programmed";
    } else if (entry.object.spec.drain) {
        condition.reason = "Draining";
        condition.message = entry.object.status.drain_ended
                                ? "no new connections; the time to drain is over, and those it had are ended"
                                : "no new connections; those it has go on";
    } else if (!well) {
        condition.reason = "Unhealthy";
        condition.message = "no new connections while other nodes are well, those it has go on: " + verdict->message;
    } else {
        condition.reason = "Ready";
        condition.message = "gets new connections with weight " + std::to_string(entry.object.spec.weight);
    }
    return condition;
}

// ---------------------------------------------------------------------------------------- watches and events

Change Manager::change_of(rest::ChangeType type, resources::LoadBalancer object,
                          std::map<std::string, std::string> labels_before) const {
    return made_of(type, std::move(object), std::move(labels_before));
}
Change Manager::change_of(rest::ChangeType type, resources::Node object,
                          std::map<std::string, std::string> labels_before) const {
    return made_of(type, std::move(object), std::move(labels_before));
}
Change Manager::change_of(rest::ChangeType type, resources::AddressPool object,
                          std::map<std::string, std::string> labels_before) const {
    return made_of(type, std::move(object), std::move(labels_before));
}

void Manager::add_event(std::vector<Change>& changes, bool warning, std::string reason, std::string message,
                        resources::ObjectReference regarding) {
    resources::Event event;
    event.resource_version = revision_;
    event.warning = warning;
    event.reason = std::move(reason);
    event.message = std::move(message);
    event.regarding = std::move(regarding);
    event.last_timestamp = timestamp();
    EventBook::Added added = event_book_.add(std::move(event));
    Change change;
    change.kind = rest::Kind::event;
    change.type = added.again ? rest::ChangeType::modified : rest::ChangeType::added;
    const resources::ObjectReference& about = added.event.regarding;
    change.scope = {about.cluster, about.namespace_, {}, about.kind, about.name};
    change.encode = [event = std::move(added.event)] { return encode(event); };
    changes.push_back(std::move(change));
}

namespace {

/// Notes what is so now; true where it is another state or reason than was told.
bool note(resources::Condition now, resources::Condition& told, const std::string& time) {
    if (same_but_time(now, told)) return false;
    keep_time(now, told, time);
    told = std::move(now);
    return true;
}

}  // namespace

bool Manager::tell(Entry& entry, const reconcile::LinkStatus& link) {
    resources::Condition programmed = programmed_condition(entry, link);
    resources::Condition ready = ready_condition(entry, programmed.status);
    const std::string time = timestamp();
    const bool other = note(std::move(programmed), entry.programmed, time);
    return note(std::move(ready), entry.ready, time) || other;
}

bool Manager::tell(NodeEntry& entry, const reconcile::LinkStatus& link) {
    resources::Condition programmed = programmed_condition(entry.in_state_since, link);
    resources::Condition ready = ready_condition(entry, programmed.status);
    const std::string time = timestamp();
    resources::Condition healthy = healthy_condition(entry).value_or(resources::Condition{});
    bool other = note(std::move(programmed), entry.programmed, time);
    other = note(std::move(healthy), entry.healthy, time) || other;
    return note(std::move(ready), entry.ready, time) || other;
}

std::optional<resources::Condition> Manager::routed_condition(const NodeEntry& entry) const {
    if (entry.object.spec.pod_cidrs.empty()) return std::nullopt;
    resources::Condition condition;
    condition.type = "PodsRouted";
    const NodeKey key{entry.object.metadata.cluster, entry.object.metadata.name};
    const auto left_out = pod_routes_.left_out(key.to_string(), entry.object);
    condition.status = !left_out;
    condition.reason = left_out ? "PodCidrTaken" : "PodsRouted";
    condition.message = left_out
                            ? left_out->pods.to_string() + " is a podCIDR of node \"" + left_out->by +
                                  "\" too, which has the lower address and so the route: pods of this node cannot be "
                                  "reached; give each node its own"
                            : "its podCIDRs are routed through it";
    return condition;
}

void Manager::tell_pod_routes(const reconcile::LinkStatus& link, std::vector<Change>& changes) {
    const std::string time = timestamp();
    for (auto& [key, entry] : objects_.nodes) {
        if (entry.object.spec.pod_cidrs.empty() && entry.routed.type.empty()) continue;
        if (!note(routed_condition(entry).value_or(resources::Condition{}), entry.routed, time)) continue;
        if (entry.routed.reason == "PodCidrTaken") {
            add_event(changes, true, "PodCidrTaken", entry.routed.message, {"Node", key.cluster, "", key.name});
        }
        changes.push_back(change_of(rest::ChangeType::modified, render(entry, link), entry.object.metadata.labels));
    }
}

void Manager::tell_all(const reconcile::LinkStatus& link, bool nodes_changed, std::vector<Change>& changes) {
    // Most are in force and were told so: with thousands of them each confirmed generation comes by here.
    const auto stays = [&](const auto& entry) {
        return !nodes_changed && link.connected && entry.programmed.status && link.confirmed >= entry.in_state_since;
    };
    for (auto& [key, entry] : objects_.load_balancers) {
        if (stays(entry) || !tell(entry, link)) continue;
        changes.push_back(
            change_of(rest::ChangeType::modified, render(entry, link), entry.record.object.metadata.labels));
    }
    for (auto& [key, entry] : objects_.nodes) {
        if (stays(entry) || !tell(entry, link)) continue;
        changes.push_back(change_of(rest::ChangeType::modified, render(entry, link), entry.object.metadata.labels));
    }
}

void Manager::link_changed() {
    announce_.link(link_.status());  // first: a withdrawal waits for nobody
    const std::lock_guard lock(mutex_);
    const reconcile::LinkStatus link = link_.status();
    while (!not_in_force_.empty() && link.confirmed >= not_in_force_.front().first) not_in_force_.pop_front();
    std::vector<Change> changes;
    const resources::ObjectReference appliance{"Appliance", "", "", "dataplane"};
    if (link.connected != told_connected_) {
        told_connected_ = link.connected;
        if (link.connected) {
            add_event(changes, false, "DataplaneConnected", "the dataplane is connected", appliance);
        } else {
            add_event(changes, true, "DataplaneUnavailable", link.error, appliance);
        }
    }
    if (link.refused_generation != told_refused_) {
        told_refused_ = link.refused_generation;
        if (told_refused_ != 0) add_event(changes, true, "StateRefused", link.error, appliance);
    }
    tell_all(link, false, changes);
    if (!changes.empty()) changes_.append_status(std::move(changes));
}

Result<std::unique_ptr<rest::Watch>> Manager::watch(rest::Kind kind, const rest::Selection& selection,
                                                    std::uint64_t revision) {
    auto watch = changes_.watch(kind, selection, revision);
    if (watch != nullptr) return watch;
    return resources::Problem{410,
                              "Expired",
                              "what happened since resourceVersion " + std::to_string(revision) +
                                  " is not known any more; list again, and watch from the list's resourceVersion",
                              {}};
}

Result<rest::Page<resources::Event>> Manager::events(const rest::PageRequest& request) {
    const std::shared_lock lock(mutex_);
    rest::Page<resources::Event> page;
    page.revision = revision_;
    for (const resources::Event& event : event_book_.events()) {
        if (rest::selects(request.selection, event)) page.items.push_back(event);
    }
    // The newest are the ones that are wanted.
    if (request.limit != 0 && page.items.size() > request.limit) {
        page.items.erase(page.items.begin(), page.items.end() - static_cast<std::ptrdiff_t>(request.limit));
    }
    return page;
}

// ------------------------------------------------------------------------------------- status and counters

void Manager::count_pool_use(resources::AddressPool& pool) {
    pool.status = {};
    pool.status.observed_generation = pool.metadata.generation;
    const ipam::PoolUse use = allocator_.use(pool.metadata.name);
    const auto shown = [](const ipam::FamilyUse& of) {
        return resources::PoolFamilyUse{of.total, of.allocated, of.shared, of.quarantined, of.free};
    };
    pool.status.ipv4 = shown(use.ipv4);
    pool.status.ipv6 = shown(use.ipv6);
    pool.status.load_balancers = use.services;
    const auto now = std::chrono::steady_clock::now();
    forecast_.note(pool.metadata.name, IpFamily::ipv4, use.ipv4.allocated, now);
    forecast_.note(pool.metadata.name, IpFamily::ipv6, use.ipv6.allocated, now);
}

resources::SystemStatus Manager::status_locked(const reconcile::LinkStatus& link) const {
    resources::SystemStatus status;
    status.version = GUIDEWAY_VERSION;
    status.uptime_seconds = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_).count());
    status.dataplane_connected = link.connected;
    status.dataplane_error = link.error.empty() ? loop_.last_error() : link.error;
    status.desired_generation = generation_;
    status.forwarding_generation = link.in_force;
    status.load_balancers = objects_.load_balancers.size();
    status.load_balancers_waiting = static_cast<std::uint64_t>(
        std::count_if(objects_.load_balancers.begin(), objects_.load_balancers.end(),
                      [](const auto& item) { return item.second.record.refusal.has_value(); }));
    status.address_pools = objects_.pools.size();
    status.nodes = objects_.nodes.size();
    status.nodes_draining = static_cast<std::uint64_t>(std::count_if(
        objects_.nodes.begin(), objects_.nodes.end(), [](const auto& item) { return item.second.object.spec.drain; }));
    status.address_conflicts = conflicts_.size();
    status.addresses_yielded = static_cast<std::uint64_t>(
        std::count_if(conflicts_.begin(), conflicts_.end(), [](const auto& item) { return item.second.yielded; }));
    return status;
}

resources::SystemStatus Manager::status() {
    const std::shared_lock lock(mutex_);
    return status_locked(link_.status());
}

bool Manager::wait_until_forwarding(std::chrono::milliseconds timeout) {
    std::uint64_t generation = 0;
    {
        const std::shared_lock lock(mutex_);
        generation = generation_;
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

Result<std::vector<resources::SnatAddress>> Manager::snat_addresses() {
    auto answer = link_.ask(contract::StatusRequest{}, options_.explain_timeout);
    if (const auto* why = std::get_if<std::string>(&answer)) return dataplane_unavailable(*why);
    const auto& response = std::get<contract::Response>(answer);
    if (!response.status) return dataplane_unavailable("it gave no status");
    std::vector<resources::SnatAddress> addresses;
    for (const IpAddress& address : response.status->snat_addresses) addresses.push_back({address});
    return addresses;
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
    const auto now = std::chrono::steady_clock::now();
    {
        const std::shared_lock lock(mutex_);
        const reconcile::LinkStatus link = link_.status();
        snapshot.status = status_locked(link);
        snapshot.forwarding_known = link.connected;
        snapshot.reconcile_failed = link.refused_generation != 0 || !loop_.last_error().empty();
        if (!not_in_force_.empty()) {
            snapshot.sync_lag_seconds = std::chrono::duration<double>(now - not_in_force_.front().second).count();
        }
        for (const auto& [key, entry] : objects_.load_balancers) {
            if (entry.record.refusal) ++snapshot.waiting[std::string(ipam::to_string(entry.record.refusal->reason))];
        }
        snapshot.nodes_probed = board_.nodes_probed();
        for (const auto& [name, found] : board_.balancers_probed()) {
            if (const auto key = ipam::ServiceKey::parse(name)) {
                snapshot.service_nodes.push_back({key->cluster, key->name_space, key->name, found.well, found.failing});
            }
        }
        for (const auto& [name, pool] : objects_.pools) {
            PoolSeries series{pool, {}, {}};
            series.ipv4_full_in = forecast_.seconds_until_full(name, IpFamily::ipv4, pool.status.ipv4.free, now);
            series.ipv6_full_in = forecast_.seconds_until_full(name, IpFamily::ipv6, pool.status.ipv6.free, now);
            snapshot.pools.push_back(std::move(series));
        }
        if (counted.ok()) {
            snapshot.counters = std::move(counted.value());
            // A service that was deleted while the counters were under way has no series any more.
            std::erase_if(snapshot.counters->services, [&](const contract::ServiceCounters& service) {
                const auto key = ipam::ServiceKey::parse(service.name);
                return !key || !objects_.load_balancers.contains(*key);
            });
        }
    }
    add_announcing(snapshot);
    return metrics_.text(snapshot);
}

std::string Manager::not_ready_reason() {
    {
        const std::shared_lock lock(mutex_);
        if (store_error_.empty()) return {};
    }
    // After a failure, look whether the store takes changes again instead of waiting for somebody's next one.
    std::string reason;
    queue_.submit({[&] {
                       staged_.probe = true;
                       return Step::staged;
                   },
                   [&](const CommitQueue::Failure& failure) {
                       if (failure) reason = failure->detail;
                   }});
    return reason;
}

}  // namespace guideway::controlplane
