#include "controlplane/kubernetes/node_controller.h"

#include <utility>

namespace guideway::kubernetes {
namespace {

SyncResult failure_of(const resources::Problem& problem, const std::string& name) {
    std::string message = "node " + name + ": " + problem.detail;
    for (const contract::Fault& fault : problem.faults) message += "; " + fault.field + ": " + fault.message;
    return SyncResult::failed(problem.reason.empty() ? "ApplianceFailed" : problem.reason, std::move(message));
}

}  // namespace

resources::Node with_drains(resources::Node wanted, const resources::Node* known) {
    if (wanted.spec.drain) {
        wanted.metadata.labels[kDrainedBy] = "cluster";
    } else if (known != nullptr && known->metadata.uid == wanted.metadata.uid && known->spec.drain &&
               !known->metadata.labels.contains(kDrainedBy)) {
        wanted.spec.drain = true;
        wanted.spec.drain_timeout_seconds = known->spec.drain_timeout_seconds;
    }
    return wanted;
}

NodeController::NodeController(NodeRules rules, NodeView cluster, ApplianceView<resources::Node>& appliance,
                               std::function<bool()> may_write)
    : rules_(std::move(rules)), cluster_(std::move(cluster)), appliance_(appliance), may_write_(std::move(may_write)) {}

SyncResult NodeController::sync(const std::string& name, client::Client& appliance) {
    if (!may_write_()) return SyncResult::done();
    const auto node = cluster_.find(name);
    const auto known = appliance_.find(name);
    if (!node) {
        if (!known || known->metadata.uid.empty()) return SyncResult::done();
        if (cluster_.exists(name) || !cluster_.complete()) return SyncResult::done();
        return remove(name, known->metadata.uid, appliance);
    }
    const auto verdict = back_end_of(*node, rules_);
    if (const auto* refusal = std::get_if<NodeRefusal>(&verdict)) {
        SyncResult result;
        if (known && !known->metadata.uid.empty()) result = remove(name, known->metadata.uid, appliance);
        if (result.ok() && refusal->mistake)
            return SyncResult::refused("NoAddress", "node " + name + ": " + refusal->reason);
        return result;
    }
    const resources::Node wanted = with_drains(std::get<resources::Node>(verdict), known.get());
    if (known && known->metadata.uid == wanted.metadata.uid && known->spec == wanted.spec &&
        known->metadata.labels == wanted.metadata.labels)
        return SyncResult::done();
    if (known && known->metadata.uid.empty()) {
        return SyncResult::failed("NameTaken", "node " + name + " was made on the appliance by hand: remove it there");
    }
    auto made = appliance.ensure(wanted);
    if (!made.ok()) return failure_of(made.problem(), name);
    appliance_.put(std::move(made.value().object));
    return SyncResult::done();
}

SyncResult NodeController::remove(const std::string& name, const std::string& uid, client::Client& appliance) {
    const auto removed = appliance.remove<resources::Node>({rules_.cluster, {}, name});
    if (!removed.ok()) return failure_of(removed.problem(), name);
    if (const auto known = appliance_.find(name); known && known->metadata.uid == uid) appliance_.drop(name);
    return SyncResult::done();
}

}  // namespace guideway::kubernetes
