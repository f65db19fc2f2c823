#include "controlplane/kubernetes/service_controller.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

#include "controlplane/kubernetes/client/resource_path.h"
#include "controlplane/kubernetes/selection.h"

namespace guideway::kubernetes {
namespace {

using nlohmann::json;
using resources::LoadBalancer;
using resources::Problem;
using std::chrono::milliseconds;

/// Nothing more may be written: somebody else leads now.
constexpr milliseconds kNotLeading{1000};
/// The object changed under us; the watch will tell, this is for the case that it told already.
constexpr milliseconds kAfterConflict{200};

const resources::Condition* condition(const LoadBalancer& object, std::string_view type) {
    for (const resources::Condition& one : object.status.conditions) {
        if (one.type == type) return &one;
    }
    return nullptr;
}

std::string addresses_of(const LoadBalancer& object) {
    std::string out;
    for (const resources::Ingress& one : object.status.ingress) {
        out += (out.empty() ? "" : ", ") + one.ip.to_string() + (one.pool.empty() ? "" : " of pool " + one.pool);
    }
    return out;
}

std::string text_of(const std::vector<IpAddress>& addresses) {
    std::string out;
    for (const IpAddress& one : addresses) out += (out.empty() ? "" : ", ") + one.to_string();
    return out;
}

std::string text_of(const std::vector<contract::Fault>& faults) {
    std::string out;
    for (const contract::Fault& one : faults) out += (out.empty() ? "" : "; ") + one.field + ": " + one.message;
    return out;
}

SyncResult failure_of(const Problem& problem, const std::string& what) {
    std::string message = what + ": " + problem.detail;
    if (!problem.faults.empty()) message += " (" + text_of(problem.faults) + ")";
    return SyncResult::failed(problem.reason.empty() ? "ApplianceFailed" : problem.reason, std::move(message));
}

std::string path_of(const Service& service, std::string_view subresource = {}) {
    return kServices.object(service.meta.name_space, service.meta.name, subresource);
}

/// What its wish is answered by, as far as it is ours to say.
bool asks_the_same(const LoadBalancer& a, const LoadBalancer& b) {
    return a.metadata.uid == b.metadata.uid && a.metadata.labels == b.metadata.labels && a.spec == b.spec;
}

}  // namespace

std::vector<IpAddress> claim_of(const Service& service) {
    std::vector<IpAddress> out;
    for (const IngressState& one : service.ingress) {
        const auto address = IpAddress::parse(one.ip);
        if (!address || !address->is_usable_unicast()) continue;
        const bool again = std::any_of(out.begin(), out.end(),
                                       [&](const IpAddress& other) { return other.family == address->family; });
        if (!again) out.push_back(*address);
    }
    return out;
}

ServiceController::ServiceController(ServiceControllerOptions options, const ClusterView& cluster,
                                     ApplianceView<LoadBalancer>& appliance)
    : options_(std::move(options)), cluster_(cluster), appliance_(appliance) {}

bool ServiceController::concerns(const Service& service) const {
    return service.type == "LoadBalancer" || marked(service) || service.meta.has_finalizer(kFinalizer) ||
           appliance_.find(service.meta.key()) != nullptr;
}

std::size_t ServiceController::ours() const {
    std::size_t count = 0;
    for (const auto& service : cluster_.services()) {
        if (is_ours(*service, options_.load_balancer_class, options_.also_without_class)) ++count;
    }
    return count;
}

std::vector<std::string> ServiceController::claimants() const {
    std::vector<std::tuple<std::string, std::string, std::string>> found;
    for (const auto& service : cluster_.services()) {
        if (!is_ours(*service, options_.load_balancer_class, options_.also_without_class)) continue;
        if (claim_of(*service).empty() || appliance_.find(service->meta.key())) continue;
        found.emplace_back(service->meta.creation_timestamp, service->meta.uid, service->meta.key());
    }
    std::sort(found.begin(), found.end());
    std::vector<std::string> out;
    for (auto& [created, uid, key] : found) out.push_back(std::move(key));
    return out;
}

SyncResult ServiceController::sync(const std::string& key, Hands hands) {
    if (!may_write()) return SyncResult::done();
    const auto service = cluster_.service(key);
    const Known known = appliance_.find(key);
    if (!service) {
        // One that cannot be read is there; and while not all were listed nobody can say that it is gone.
        if (cluster_.service_exists(key) || !cluster_.services_complete()) return SyncResult::done();
        forget(key);
        return known ? remove_stale(key, *known, hands) : SyncResult::done();
    }
    if (is_ours(*service, options_.load_balancer_class, options_.also_without_class)) {
        return fail(*service, ensure(*service, known, hands));
    }
    return fail(*service, clean_up(*service, known, hands));
}

SyncResult ServiceController::fail(const Service& service, SyncResult result) {
    if (!result.ok()) event(service, true, "SyncLoadBalancerFailed", result.message);
    return result;
}

SyncResult ServiceController::of_error(const ApiError& error, const std::string& what) const {
    if (error.cancelled()) return SyncResult::again(kNotLeading);
    if (error.conflict()) return SyncResult::again(kAfterConflict);
    if (error.not_found()) return SyncResult::done();  // gone: the watch will tell
    return SyncResult::failed("Kubernetes" + error.reason, what + ": " + error.text());
}

// ------------------------------------------------------------------------------------------------ not ours

SyncResult ServiceController::remove(const std::string& key, const std::string& uid, Hands& hands) {
    if (!may_write()) return SyncResult::again(kNotLeading);
    const std::size_t slash = key.find('/');
    const auto removed = hands.appliance.remove<LoadBalancer>(
        {options_.rules.cluster, key.substr(0, slash), key.substr(slash + 1)}, {}, uid);
    // 409: another UID has the name: the one that is meant is gone.
    if (!removed.ok() && removed.problem().status != 409) {
        return failure_of(removed.problem(), "the load balancer could not be removed from the appliance");
    }
    if (const Known known = appliance_.find(key); known && known->metadata.uid == uid) appliance_.drop(key);
    return SyncResult::done();
}

SyncResult ServiceController::remove_stale(const std::string& key, const LoadBalancer& known, Hands& hands) {
    if (known.metadata.uid.empty()) return SyncResult::done();  // made by a person: not ours to remove
    return remove(key, known.metadata.uid, hands);
}

SyncResult ServiceController::clean_up(const Service& service, const Known& known, Hands& hands) {
    const std::string key = service.meta.key();
    const bool there = known && known->metadata.uid == service.meta.uid;
    if (known && !there && !known->metadata.uid.empty()) {  // of an earlier Service of that name
        if (SyncResult result = remove(key, known->metadata.uid, hands); !result.ok()) return result;
    }
    // Being deleted, ours by type and class: nobody else's finalizer it can be.
    Service alive = service;
    alive.meta.deleting = false;
    const bool of_class =
        service.meta.deleting && is_ours(alive, options_.load_balancer_class, options_.also_without_class);
    const bool finalizer = service.meta.has_finalizer(kFinalizer) && (there || marked(service) || of_class);
    if (!finalizer && !there && !marked(service)) {
        forget(key);
        return SyncResult::done();
    }
    event(service, false, "DeletingLoadBalancer", "the load balancer is being removed from the appliance");
    SyncResult result = remove(key, service.meta.uid, hands);
    if (!result.ok() || result.kind == SyncResult::Kind::again) return result;
    if (!service.meta.deleting && !service.ingress.empty()) {
        if (!may_write()) return SyncResult::again(kNotLeading);
        const auto patched = hands.kubernetes.patch(
            path_of(service, "status"), PatchType::strategic,
            {{"metadata", {{"uid", service.meta.uid}}}, {"status", {{"loadBalancer", {{"ingress", nullptr}}}}}});
        if (!patched.ok()) return of_error(patched.error(), "the status could not be emptied");
    }
    if (!may_write()) return SyncResult::again(kNotLeading);
    json metadata{{"uid", service.meta.uid}};
    if (finalizer) metadata["$deleteFromPrimitiveList/finalizers"] = json::array({kFinalizer});
    for (const char* name : {kManagedMark, kPoolWrittenBack}) {
        if (service.meta.annotations.contains(name)) metadata["annotations"][name] = nullptr;
    }
    const auto patched = hands.kubernetes.patch(path_of(service), PatchType::strategic, {{"metadata", metadata}});
    if (!patched.ok()) return of_error(patched.error(), "the finalizer could not be removed");
    event(service, false, "DeletedLoadBalancer", "the load balancer was removed from the appliance");
    forget(key);
    return SyncResult::done();
}

// ------------------------------------------------------------------------------------------------ ours

SyncResult ServiceController::set_finalizer(const Service& service, Hands& hands) {
    if (service.meta.has_finalizer(kFinalizer) && marked(service)) return SyncResult::done();
    if (!may_write()) return SyncResult::again(kNotLeading);
    json metadata{{"uid", service.meta.uid}};
    if (!service.meta.has_finalizer(kFinalizer)) metadata["finalizers"] = json::array({kFinalizer});
    metadata["annotations"][kManagedMark] = options_.rules.cluster;
    const auto patched = hands.kubernetes.patch(path_of(service), PatchType::strategic, {{"metadata", metadata}});
    if (patched.ok()) return SyncResult::done();
    // Whatever came between (deleted, another UID): nothing was made yet, so there is nothing to go on with.
    SyncResult result = of_error(patched.error(), "the finalizer could not be set");
    return result.kind == SyncResult::Kind::done ? SyncResult::again(kAfterConflict) : result;
}

SyncResult ServiceController::put(const LoadBalancer& wanted, Hands& hands, LoadBalancer& answered) {
    if (!may_write()) return SyncResult::again(kNotLeading);
    auto made = hands.appliance.ensure(wanted);
    if (!made.ok()) return failure_of(made.problem(), "the appliance did not take the load balancer");
    answered = std::move(made.value().object);
    appliance_.put(answered);
    return SyncResult::done();
}

SyncResult ServiceController::claim(const Service& service, const LoadBalancer& wanted, Hands& hands) {
    const std::vector<IpAddress> held = claim_of(service);
    const bool asks = !wanted.spec.addresses.empty() || wanted.spec.load_balancer_ip;
    if (held.empty() || asks) return SyncResult::done();
    LoadBalancer claiming = wanted;
    claiming.spec.addresses = held;
    if (!may_write()) return SyncResult::again(kNotLeading);
    const auto made = hands.appliance.ensure(claiming);
    std::string why;
    if (made.ok()) {
        const resources::Condition* allocated = condition(made.value().object, "Allocated");
        if (allocated != nullptr && !allocated->status) why = allocated->message;
    } else if (made.problem().status == 400 || made.problem().status == 422) {
        why = made.problem().detail;
    } else {
        return failure_of(made.problem(), "the appliance did not take the load balancer");
    }
    if (!why.empty()) {
        event(
            service, true, "AllocationFailed",
            "the address " + text_of(held) + " that its status names cannot be kept: " + why + "; it gets another one");
    }
    return SyncResult::done();
}

SyncResult ServiceController::ensure(const Service& service, Known known, Hands& hands) {
    const std::string key = service.meta.key();
    const Translated translated =
        translate(service, cluster_.slices(key), cluster_.namespace_labels(service.meta.name_space), options_.rules);
    if (!translated.ok()) return SyncResult::refused("InvalidService", text_of(translated.faults));
    const LoadBalancer& wanted = translated.wanted;
    if (SyncResult set = set_finalizer(service, hands); set.kind != SyncResult::Kind::done) return set;

    if (known && known->metadata.uid != service.meta.uid) {
        if (known->metadata.uid.empty()) {
            return SyncResult::failed(
                "NameTaken", "the appliance has a load balancer " + key + " of cluster " + options_.rules.cluster +
                                 " that was made by hand: remove it there, or rename the Service");
        }
        const SyncResult removed = remove(key, known->metadata.uid, hands);
        if (removed.kind != SyncResult::Kind::done) return removed;
        known = nullptr;
    }
    Told state = told(service);
    const auto now = options_.now();
    const bool fresh = known == nullptr;
    const bool changed = !fresh && !asks_the_same(*known, wanted);
    const bool due = now - state.put_at >= options_.full_every;
    LoadBalancer object;
    if (fresh) {
        if (!state.announced) event(service, false, "EnsuringLoadBalancer", "the load balancer is being made");
        state.ensuring = true;
        const SyncResult claimed = claim(service, wanted, hands);
        if (claimed.kind != SyncResult::Kind::done) return claimed;
    }
    if (fresh || changed || due) {
        const SyncResult result = put(wanted, hands, object);
        if (result.kind != SyncResult::Kind::done) return result;
        state.put_at = now;
        remember(key, state);
        if (changed) event(service, false, "UpdatedLoadBalancer", "the load balancer was changed as the Service asks");
    } else {
        object = *known;
    }
    std::string notes;
    for (const std::string& note : translated.notes) notes += (notes.empty() ? "" : "; ") + note;
    if (!notes.empty() && notes != state.notes) event(service, true, "AnnotationNotServed", notes);
    state.notes = notes;
    remember(key, state);
    tell_allocation(service, object);
    return publish(service, object, translated, hands);
}

void ServiceController::tell_allocation(const Service& service, const LoadBalancer& object) {
    Told state = told(service);
    const resources::Condition* allocated = condition(object, "Allocated");
    const std::string failure =
        allocated == nullptr || allocated->status ? "" : allocated->reason + ": " + allocated->message;
    if (!failure.empty() && failure != state.allocation_failure) event(service, true, "AllocationFailed", failure);
    state.allocation_failure = failure;
    const resources::Condition* ready = condition(object, "Ready");
    const bool no_nodes = ready != nullptr && !ready->status && ready->reason == "NoNodes";
    if (no_nodes && !state.no_nodes) event(service, true, "UnAvailableLoadBalancer", ready->message);
    state.no_nodes = no_nodes;
    remember(service.meta.key(), std::move(state));
}

SyncResult ServiceController::publish(const Service& service, const LoadBalancer& object, const Translated& translated,
                                      Hands& hands) {
    Told state = told(service);
    const DesiredStatus desired = desired_status(object, translated.port_errors);
    const auto patch = status_patch(service, desired, options_.timestamp ? options_.timestamp() : std::string());
    const bool moved = claim_of(service) != [&] {
        std::vector<IpAddress> now;
        for (const resources::Ingress& one : object.status.ingress) now.push_back(one.ip);
        return now;
    }();
    const resources::Condition* programmed = condition(object, "Programmed");
    const bool pending = programmed != nullptr && !programmed->status && programmed->reason == "Pending";
    if (patch && moved && pending && !object.status.ingress.empty()) {
        const auto now = options_.now();
        if (state.waiting_since == std::chrono::steady_clock::time_point{}) {
            state.waiting_since = now;
            remember(service.meta.key(), state);
        }
        const auto waited = std::chrono::duration_cast<milliseconds>(now - state.waiting_since);
        // The watch tells sooner where it comes about.
        if (waited < options_.publish_within) return SyncResult::again(options_.publish_within - waited);
    }
    if (patch) {
        if (!may_write()) return SyncResult::again(kNotLeading);
        const auto patched = hands.kubernetes.patch(path_of(service, "status"), PatchType::strategic, *patch);
        if (!patched.ok()) return of_error(patched.error(), "the status could not be written");
        if (moved && !object.status.ingress.empty()) event(service, false, "IPAllocated", addresses_of(object));
        if (!desired.ports_error.empty()) event(service, true, "SyncLoadBalancerFailed", desired.ports_error);
    }
    state.waiting_since = {};
    if (!state.announced && !object.status.ingress.empty()) {
        // Not at each start of the controller; also where the address was another controller's before.
        if (moved || state.ensuring)
            event(service, false, "EnsuredLoadBalancer", "the load balancer serves " + addresses_of(object));
        state.announced = true;
    }
    remember(service.meta.key(), std::move(state));
    return write_back_pool(service, object, hands);
}

SyncResult ServiceController::write_back_pool(const Service& service, const LoadBalancer& object, Hands& hands) {
    const std::string pool = object.status.ingress.empty() ? std::string() : object.status.ingress.front().pool;
    if (service.meta.annotation(kPoolWrittenBack) == pool) return SyncResult::done();
    if (!may_write()) return SyncResult::again(kNotLeading);
    json metadata{{"uid", service.meta.uid}};
    metadata["annotations"][kPoolWrittenBack] = pool.empty() ? json(nullptr) : json(pool);
    const auto patched = hands.kubernetes.patch(path_of(service), PatchType::strategic, {{"metadata", metadata}});
    if (!patched.ok()) return of_error(patched.error(), "the annotation of the pool could not be written");
    return SyncResult::done();
}

// ------------------------------------------------------------------------------------------------ what was told

ServiceController::Told ServiceController::told(const Service& service) const {
    const std::lock_guard lock(mutex_);
    const auto found = told_.find(service.meta.key());
    if (found != told_.end() && found->second.uid == service.meta.uid) return found->second;
    Told fresh;
    fresh.uid = service.meta.uid;
    return fresh;
}

void ServiceController::remember(const std::string& key, Told told) {
    const std::lock_guard lock(mutex_);
    told_.insert_or_assign(key, std::move(told));
}

void ServiceController::forget(const std::string& key) {
    const std::lock_guard lock(mutex_);
    told_.erase(key);
}

}  // namespace guideway::kubernetes
